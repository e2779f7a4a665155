"""VGGish: its input, its network, its whitening and 8 bits; and what stands in for it."""

from pathlib import Path

import numpy as np
import pytest
import soundfile
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from safetensors.torch import save_file

from toolkit import files
from toolkit.dsp.ensemble import play
from toolkit.dsp.resample import resample
from toolkit.log import UserError
from toolkit.models.vggish import PatchProjection, VGGish, VGGishNetwork, log_mel_patches, read_pca, read_released, whiten


def plain_patches(waveform: np.ndarray) -> np.ndarray:
    """The released `mel_features.py`, said again: (L, 96, 64) of a waveform (T,) at 16 kHz."""
    hann = 0.5 - 0.5 * np.cos(2 * np.pi / 400 * np.arange(400))
    frames = [waveform[start : start + 400] * hann for start in range(0, len(waveform) - 399, 160)]
    magnitudes = np.abs(np.fft.rfft(frames, 512))

    def mel(hertz: np.ndarray) -> np.ndarray:
        return 1127.0 * np.log(1.0 + hertz / 700.0)

    bins, edges = mel(np.linspace(0, 8000, 257)), np.linspace(*mel(np.array([125.0, 7500.0])), 66)
    triangles = np.zeros((257, 64))
    for band in range(64):
        low, centre, high = edges[band : band + 3]
        triangles[:, band] = np.maximum(0, np.minimum((bins - low) / (centre - low), (high - bins) / (high - centre)))
    triangles[0] = 0
    log_mel = np.log(magnitudes @ triangles + 0.01)
    return np.stack([log_mel[start : start + 96] for start in range(0, len(log_mel) - 95, 96)])


@pytest.mark.parametrize("samples", [15600, 16000, 30959, 30960, 80001])
def test_the_input_is_that_of_the_release(samples: int) -> None:
    waveform = play(["piano", "violin"], 5.1, 16000, seed=0)[0, :samples].astype(float)
    ours = log_mel_patches(torch.from_numpy(waveform)[None])[0].numpy()
    np.testing.assert_allclose(ours, plain_patches(waveform), atol=1e-9)


def test_ten_seconds_are_ten_patches() -> None:
    assert log_mel_patches(torch.randn(2, 160000)).shape == (2, 10, 96, 64)


@given(samples=st.integers(0, 15599))
@settings(max_examples=5)
def test_a_short_recording_is_filled_up_with_silence(samples: int) -> None:
    patches = log_mel_patches(torch.randn(1, samples))
    assert patches.shape == (1, 1, 96, 64)
    assert patches.isfinite().all()


def test_a_projection_has_the_format_of_the_published_features() -> None:
    feature = PatchProjection()
    assert (feature.name, feature.sample_rate, feature.frame_rate) == ("patch_projection", 16000, pytest.approx(1.0416667))
    sound = torch.from_numpy(np.stack([play([name], 10.0, 16000, seed=1).mean(0) for name in ("flute", "bass")]))
    projected = feature.compute(sound)
    assert projected.shape == (2, 10, 128)
    assert projected.dtype == feature.dtype == torch.uint8
    assert torch.equal(projected[:1], feature.compute(sound[:1]))
    silence = feature.compute(torch.zeros(1, 16000))
    assert torch.equal(silence, feature.compute(torch.zeros(1, 16000)))


def test_a_projection_keeps_what_tells_instruments_apart() -> None:
    """A linear read-out (ridge regression), fitted to a few examples, names most instruments of new pieces."""
    names = ["accordion", "bass", "cymbals", "flute", "guitar", "trumpet", "violin", "voice"]

    def heard(seeds: range) -> np.ndarray:
        pieces = [play([name], 3.0, 16000, seed, level=0.5).mean(0) for seed in seeds for name in names]
        return PatchProjection().compute(torch.from_numpy(np.stack(pieces))).numpy() / 128.0 - 1  # (pieces, 3, 128)

    known, new = heard(range(3)), heard(range(3, 5))
    told = np.repeat(np.tile(np.eye(len(names)), (3, 1)), 3, axis=0)
    patches = known.reshape(-1, 128)
    weights = np.linalg.solve(patches.T @ patches + 3.0 * np.eye(128), patches.T @ (told - 1 / 8))
    named = (new @ weights).mean(1).argmax(1)
    assert np.mean(named == np.tile(np.arange(8), 2)) >= 0.6


def odd_weights(*shape: int) -> torch.Tensor:
    """Numbers of any shape that take no room: the same few, again and again, each row begins with another one."""
    few = torch.randn(sum(shape) + 7) / (shape[-1] * 9 if len(shape) == 4 else shape[-1]) ** 0.5
    return few.as_strided(shape, (1,) * len(shape))


def write_release(folder: Path) -> tuple[Path, Path]:
    """Files in the format of the release (the PCA as pickled arrays), with other numbers in them."""
    with torch.device("meta"):
        shapes = {name: value.shape for name, value in VGGishNetwork().state_dict().items()}
    weights, pca = folder / "vggish.pth", folder / "pca.pth"
    torch.save({name: odd_weights(*shape) for name, shape in shapes.items()}, weights)
    rng = np.random.default_rng(0)
    arrays = {"pca_eigen_vectors": 3 * rng.standard_normal((128, 128)), "pca_means": rng.standard_normal((128, 1))}
    torch.save(arrays, pca, _use_new_zipfile_serialization=False)
    pca.write_bytes(pca.read_bytes().replace(b"numpy._core", b"numpy.core"))  # as older NumPy wrote it
    return weights, pca


def test_the_network_has_as_many_parameters_as_published() -> None:
    with torch.device("meta"):
        network = VGGishNetwork()
    assert sum(parameter.numel() for parameter in network.parameters()) == 72_141_184


def test_the_network_is_that_of_the_release() -> None:
    """Said again layer by layer, in TensorFlow's order of axes: 3 x 3 convolutions, max-pools, dense layers of rows."""
    with torch.device("meta"):
        network = VGGishNetwork()
    network.load_state_dict({name: odd_weights(*value.shape) for name, value in network.state_dict().items()}, assign=True)
    patches = torch.randn(2, 96, 64)
    state = network.state_dict()
    spectrograms = patches[..., None]  # (N, frames, bands, channels)
    for number, pooled in ((0, True), (3, True), (6, False), (8, True), (11, False), (13, True)):
        kernel, bias = state[f"features.{number}.weight"].permute(2, 3, 1, 0), state[f"features.{number}.bias"]
        padded = torch.nn.functional.pad(spectrograms, (0, 0, 1, 1, 1, 1))
        frames, bands = spectrograms.shape[1:3]
        spectrograms = sum(  # type: ignore[assignment]
            padded[:, row : row + frames, column : column + bands] @ kernel[row, column]
            for row in range(3)
            for column in range(3)
        )
        spectrograms = (spectrograms + bias).relu()
        if pooled:
            spectrograms = spectrograms.unflatten(2, (-1, 2)).unflatten(1, (-1, 2)).amax((2, 4))
    rows = spectrograms.flatten(1)
    for number in (0, 2, 4):
        rows = (rows @ state[f"embeddings.{number}.weight"].T + state[f"embeddings.{number}.bias"]).relu()
    torch.testing.assert_close(network(patches), rows, rtol=1e-3, atol=1e-4)


def test_whitening() -> None:
    eigen_vectors, means, embeddings = torch.randn(128, 128), torch.randn(128), torch.randn(5, 128)
    plain = torch.stack([eigen_vectors @ (embedding - means) for embedding in embeddings])
    torch.testing.assert_close(whiten(embeddings, eigen_vectors, means), plain.clip(-2, 2), rtol=1e-4, atol=1e-4)


def test_embeddings_are_computed_from_files(tmp_path: Path) -> None:
    weights, pca = write_release(tmp_path)
    waveforms = torch.randn(2, 32000) / 10
    found = {}
    for rule in ("torchvggish", "openmic"):
        feature = VGGish(str(weights), str(pca), rule=rule)  # type: ignore[arg-type]
        feature.load(check=False)
        found[rule] = feature.compute(waveforms)
        assert found[rule].shape == (2, 2, 128)
        assert found[rule].dtype == feature.dtype == torch.uint8
    assert not torch.equal(found["torchvggish"], found["openmic"])
    plain = VGGish(str(weights), str(pca), quantize=False)
    plain.load(check=False)
    whitened = plain.compute(waveforms)
    assert whitened.dtype == plain.dtype == torch.float32
    torch.testing.assert_close(found["torchvggish"].float(), ((whitened + 2) * 255 / 4).round())
    assert whitened.abs().max() == 2.0
    names = {plain.name, feature.name, VGGish(str(weights), str(pca)).name}
    assert len(names) == 3
    files_of_the_same = VGGish(str(weights.rename(tmp_path / "other.pth")), str(pca), quantize=False)
    assert files_of_the_same.name == plain.name


def test_without_components_embeddings_are_what_comes_before_the_last_relu(tmp_path: Path) -> None:
    weights, pca = write_release(tmp_path)
    raw, whitened = VGGish(str(weights), None), VGGish(str(weights), str(pca), quantize=False)
    for feature in (raw, whitened):
        feature.load(check=False)
    waveforms = torch.randn(2, 16000) / 10
    embeddings = raw.compute(waveforms)
    assert embeddings.shape == (2, 1, 128)
    assert embeddings.dtype == raw.dtype == torch.float32
    assert embeddings.min() < 0
    eigen_vectors, means = read_pca(pca, check=False)
    torch.testing.assert_close(whiten(embeddings.relu(), eigen_vectors, means), whitened.compute(waveforms))
    assert raw.name not in (whitened.name, VGGish(str(weights), str(pca)).name)


def test_a_recording_is_brought_to_full_scale_as_the_corpus_did(tmp_path: Path) -> None:
    weights, pca = write_release(tmp_path)
    feature = VGGish(str(weights), str(pca), rule="openmic")
    feature.load(check=False)
    loud = torch.randn(1, 16000)
    assert torch.equal(feature.compute(loud), feature.compute(loud / 16))
    assert feature.compute(torch.zeros(1, 16000)).shape == (1, 1, 128)


def test_files_are_read_only_with_the_hash_of_the_release(tmp_path: Path) -> None:
    weights, pca = write_release(tmp_path)
    feature = VGGish(str(weights), str(pca))
    with pytest.raises(UserError, match=r"vggish.pth: expected vggish-10086976.pth, whose SHA-256 begins with 10086976, found"):
        feature.compute(torch.zeros(1, 16000))
    with pytest.raises(UserError, match=r"begins with 970ea276, found .* Next: curl -L -o .*/pca.pth https://github.com/"):
        read_pca(pca)


def test_a_missing_file_is_named_with_its_address(tmp_path: Path) -> None:
    feature = VGGish(str(tmp_path / "none.pth"), str(tmp_path / "none.npz"))
    with pytest.raises(UserError, match=r"no such file: .*none.pth. Next: curl -L -o .*/v0.1/vggish-10086976.pth"):
        feature.compute(torch.zeros(1, 16000))
    with pytest.raises(UserError, match=r"none.pth"):
        _ = feature.name
    with pytest.raises(UserError, match=r"or https://storage.googleapis.com/audioset/vggish_pca_params.npz"):
        read_pca(tmp_path / "none.npz")


def test_all_formats_hold_the_same(tmp_path: Path) -> None:
    _, pca = write_release(tmp_path)
    eigen_vectors, means = read_pca(pca, check=False)
    np.savez(tmp_path / "pca.npz", pca_eigen_vectors=eigen_vectors.numpy(), pca_means=means.numpy()[:, None])
    save_file({"pca_eigen_vectors": eigen_vectors, "pca_means": means}, tmp_path / "pca.safetensors")
    torch.save({"pca_eigen_vectors": eigen_vectors, "pca_means": means}, tmp_path / "tensors.pth")
    for path in (tmp_path / "pca.npz", tmp_path / "pca.safetensors"):  # no hash is published of these
        assert all(map(torch.equal, read_pca(path), (eigen_vectors, means)))
    assert all(map(torch.equal, read_pca(tmp_path / "tensors.pth", check=False), (eigen_vectors, means)))


class Dangerous:
    def __reduce__(self) -> tuple[object, tuple[str]]:
        return Path.touch, (Path("/nowhere"),)  # type: ignore[return-value]


@pytest.mark.parametrize("content", [{"pca_means": torch.zeros(128)}, [1, 2], Dangerous()])
def test_other_files_are_refused(tmp_path: Path, content: object) -> None:
    path = tmp_path / "other.pth"
    torch.save(content, path)
    with pytest.raises(UserError, match=r"other.pth: expected"):
        read_pca(path, check=False)
    pickled = tmp_path / "other.npz"
    np.savez(pickled, pca_means=np.array([Dangerous()], dtype=object))
    with pytest.raises(UserError, match=r"other.npz: expected arrays by name"):
        read_pca(pickled)
    (tmp_path / "other.safetensors").write_bytes(b"nothing")
    with pytest.raises(UserError, match=r"other.safetensors: expected arrays by name"):
        read_released(tmp_path / "other.safetensors", "vggish-10086976.pth", check=True)


def test_weights_of_another_network_are_refused(tmp_path: Path) -> None:
    weights, pca = write_release(tmp_path)
    torch.save({"features.0.weight": torch.zeros(64, 1, 3, 3)}, weights)
    with pytest.raises(UserError, match=r"vggish.pth: expected VGGish's weights: .*embeddings.0.weight"):
        VGGish(str(weights), str(pca)).load(check=False)


@pytest.mark.real
def test_a_real_clip_is_framed_as_published(shared_data: Path) -> None:
    """Ten patches every 0.96 s, whole numbers from 0 to 255; that the numbers agree can only be seen with the weights."""
    key = "000046_3840"
    published = files.read_json(shared_data / "openmic2018" / "vggish" / "000" / f"{key}.json")
    sound, rate = soundfile.read(shared_data / "openmic2018" / "audio" / "000" / f"{key}.ogg", dtype="float32")
    waveform = torch.from_numpy(resample(sound.mean(1), rate, 16000))[None]
    patches = log_mel_patches(waveform)
    assert patches.shape[1] == len(published["features"]) == 10
    assert published["time_points"] == pytest.approx((np.arange(10) * PatchProjection.frame_rate**-1).tolist())
    features = np.array(published["features"])
    assert features.shape == (10, 128)
    assert features.min() == 0
    assert features.max() == 255
    assert np.issubdtype(features.dtype, np.integer)
    np.testing.assert_allclose(log_mel_patches(waveform.double())[0], plain_patches(waveform[0].double().numpy()), atol=1e-9)
    ours = PatchProjection().compute(waveform)[0]
    assert ours.shape == features.shape
    assert ours.dtype == torch.uint8
