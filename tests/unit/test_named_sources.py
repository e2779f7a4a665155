"""Separation of sources that have names: stems are grouped, recordings normalised and mixed down as the configuration says."""

from pathlib import Path

import pytest
import torch
from torch import Tensor

from toolkit import audio
from toolkit.config import Resolved
from toolkit.data import manifest
from toolkit.data.examples import Batch
from toolkit.data.manifest import Item
from toolkit.log import UserError
from toolkit.losses import MultipleChoice, PermutationInvariant
from toolkit.models import SeparationModel
from toolkit.tasks.separation import Separation

RATE = 800
STEMS = ("drums", "bass", "other", "vocals")


class SaysHalf(SeparationModel):
    """Says that each of two sources is a half of what it hears."""

    def __init__(self, audio_channels: int = 2, sources: int = 2) -> None:
        super().__init__()
        self.sources, self.audio_channels = sources, audio_channels
        self.heard: list[Tensor] = []

    def forward(self, mixture: Tensor) -> Tensor:
        self.heard.append(mixture)
        return torch.stack([mixture / 2] * self.sources, dim=1)


class Centre(SaysHalf):
    """Estimates only what lies ten samples inside of what it reads."""

    def forward(self, mixture: Tensor) -> Tensor:
        return super().forward(mixture)[..., 10:-10]

    def target(self, references: Tensor) -> Tensor:
        return references[..., 10:-10]

    def input_length(self, length: int) -> int:
        return length + 20


def task(model: SeparationModel, **data: object) -> Separation:
    section = {"train": "songs/train", "valid": "songs/train", "test": "songs/train", "sample_rate": RATE, "segment": 0.5}
    tree = {
        "data": {**section, "batch_size": 1, **data},
        "model": {"class_path": "SaysHalf"},
        "loss": {"class_path": "FixedOrder"},
        "optimizer": {"class_path": "SGD", "init_args": {"lr": 0.1}},
    }
    config = Resolved(Separation.Config, tree, "test").build()
    config.model = model
    return Separation(config)


@pytest.fixture
def songs(tmp_path: Path) -> Path:
    """One song of four stems, each a constant on the left and nothing on the right."""
    paths = {}
    for level, stem in enumerate(STEMS, 1):
        paths[stem] = f"{stem}.wav"
        audio.write(tmp_path / paths[stem], torch.tensor([[level / 16], [0.0]]).expand(2, RATE), RATE)
    audio.write(tmp_path / "mixture.wav", torch.tensor([[10 / 16], [0.0]]).expand(2, RATE), RATE)
    item = Item("song", "train", RATE, RATE, 2, {"mixture": "mixture.wav", **paths})
    manifest.write(tmp_path / "songs" / "train.jsonl", {"root": "..", "name": "songs/train"}, [item])
    return tmp_path


def test_a_number_of_sources_that_the_loss_cannot_take_is_told_before_the_first_step(songs: Path) -> None:
    permuted = task(SaysHalf(sources=2))
    permuted.config.loss = PermutationInvariant()
    with pytest.raises(UserError, match=r"as many estimates as references, found 2 and 4.* Next: --model.sources 4"):
        permuted.training(songs)
    permuted.config.loss = MultipleChoice()
    assert len(permuted.training(songs).source) == 1


def test_stems_are_summed_as_the_sources_say(songs: Path) -> None:
    model = SaysHalf()
    separation = task(model, sources={"vocals": ["vocals"], "accompaniment": ["drums", "bass", "other"]})
    batch = separation.training(songs).source.batch(0, [0])
    loss = separation.loss(model, batch)
    # the left channel holds 10/16, a half of it is 5/16; vocals are 4/16, the rest is 6/16; the right channel is silent
    assert loss.tolist() == pytest.approx([(1 / 16 + 1 / 16) / 4])
    assert list(separation.predict(model, batch.mixture[0], RATE)) == ["vocals", "accompaniment"]


def test_channels_are_mixed_down(songs: Path) -> None:
    model = SaysHalf(audio_channels=1)
    separation = task(model, downmix=True, sources={"vocals": ["vocals"], "accompaniment": ["drums", "bass", "other"]})
    separation.loss(model, separation.training(songs).source.batch(0, [0]))
    assert model.heard[0].shape == (1, 1, RATE // 2)
    assert model.heard[0].unique().tolist() == [5 / 16]


def test_a_model_that_estimates_the_centre_is_given_more_to_read(songs: Path) -> None:
    model = Centre(sources=4)
    separation = task(model, sources=list(STEMS))
    batch = separation.training(songs).source.batch(0, [0])
    assert batch.mixture.shape[-1] == RATE // 2 + 20
    assert separation.loss(model, batch).shape == (1,)
    assert separation.validate(model, batch)["loss"].shape == (1,)


def test_a_recording_is_normalised_before_the_model_and_brought_back_after_it() -> None:
    model = SaysHalf()
    separation = task(model, sources=["vocals", "drums"], normalize=True)
    recording = 5 + 3 * torch.randn(2, RATE)
    predictions = separation.predict(model, recording, RATE)
    mono = model.heard[0][0].mean(0)
    assert mono.mean().item() == pytest.approx(0, abs=0.1)
    assert mono.std().item() == pytest.approx(1, abs=1e-3)
    level = recording.mean()
    assert torch.allclose(predictions["vocals"], (recording - level) / 2 + level, atol=1e-4)


def test_a_silent_reference_has_no_ratio_and_spoils_no_mean(songs: Path) -> None:
    model = SaysHalf()
    separation = task(model, sources=["drums", "bass"])
    separation.stems = ["drums", "bass"]
    references = torch.randn(1, 2, 2, 100)
    references[:, 1] = 0
    batch = Batch(references.sum(1), references, torch.tensor([100]), ["song"])
    assert separation.validate(model, batch)["si_sdr_improvement"].isfinite().all()


def test_wrong_sources_are_told_before_anything_is_trained(songs: Path) -> None:
    with pytest.raises(UserError, match=r"the model has 2 sources, data\.sources names 3: drums, bass, other"):
        task(SaysHalf(), sources=["drums", "bass", "other"]).check()
    with pytest.raises(UserError, match=r"expected stems of .*train.jsonl .*, found 'vocal'; did you mean 'vocals'\?"):
        task(SaysHalf(), sources=["drums", "vocal"]).training(songs)
