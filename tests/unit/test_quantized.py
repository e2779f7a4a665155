"""Models with weights of few bits: noise in training, levels in evaluation, files without a wasted bit."""

from functools import partial

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from safetensors.torch import save_file
from torch import nn

from toolkit.blocks import TCN, LearnedFilterbank, RecurrentBottleneck
from toolkit.dsp.quantization import dequantize, pack, packed_size, quantize, unpack
from toolkit.log import UserError
from toolkit.models import Demucs, MaskedSeparator, Quantized

KILOBYTE = 1 / 1024


def demucs(**options) -> Demucs:
    return Demucs(channels=8, depth=3, resample=False, bottleneck=partial(RecurrentBottleneck, layers=1), **options)


def conv_tasnet() -> MaskedSeparator:
    tcn = partial(TCN, bottleneck=16, hidden=32, skip=8, blocks=2, repeats=1)
    return MaskedSeparator(LearnedFilterbank(16, 8, audio_channels=2), tcn, sources=4)


def quantized(model=demucs, **options) -> Quantized:
    torch.manual_seed(0)
    return Quantized(model(), **({"min_size": KILOBYTE} | options))


def spread(model: Quantized) -> None:
    """Give the groups different bits, as training would."""
    with torch.no_grad():
        for logits in model.logits:
            logits.copy_(torch.linspace(-8, 8, len(logits)))


@given(
    values=st.lists(st.floats(-3, 3, width=32), min_size=1, max_size=20),
    bits=st.integers(1, 16),
)
def test_levels(values, bits):
    values, width = torch.tensor(values), torch.tensor(float(bits))
    low, high = values.aminmax()
    codes = quantize(values, width, low, high)
    levels = dequantize(codes, width, low, high)
    assert codes.min() >= 0
    assert codes.max() <= 2**bits - 1
    assert ((levels - values).abs() <= (high - low) / (2**bits - 1) / 2 + 1e-6).all()
    assert levels.aminmax() == (low, high)
    again = quantize(levels, width, *levels.aminmax())
    assert dequantize(again, width, low, high).equal(levels)  # levels are told by themselves


@settings(deadline=None)
@given(width=st.integers(0, 16), count=st.integers(0, 100), seed=st.integers(0, 9))
def test_packing(width, count, seed):
    numbers = np.random.default_rng(seed).integers(0, 2**width, count)
    packed = pack(numbers, width)
    assert packed.dtype == np.uint8
    assert len(packed) == packed_size(width, count) == -(-width * count // 8)
    assert (unpack(packed, width, count) == numbers).all()


def test_packing_of_many_numbers(monkeypatch):
    monkeypatch.setattr("toolkit.dsp.quantization.PIECE", 16)
    numbers = np.arange(100) % 32
    assert (unpack(pack(numbers, 5), 5, 100) == numbers).all()
    with pytest.raises(ValueError, match="expected 63 bytes for 100 numbers of 5 bits, found 62"):
        unpack(pack(numbers, 5)[:-1], 5, 100)


@pytest.mark.parametrize("build", [demucs, conv_tasnet])
def test_any_model_learns_with_noisy_weights(build):
    model = quantized(build, init_bits=4)
    mixture = torch.randn(2, 2, model.input_length(200))
    first, second = model(mixture), model(mixture)
    assert first.shape == model.target(torch.randn(2, 4, 2, mixture.shape[-1])).shape
    assert not first.equal(second)
    first.square().mean().backward()
    assert all(p.grad is not None and p.grad.isfinite().all() for p in model.parameters())
    assert all(logits.grad.any() for logits in model.logits)


@torch.no_grad()
def test_the_noise_is_half_a_step_to_each_side():
    model = quantized(init_bits=5)
    spread(model)
    name, weight = model.names[0], model.model.get_parameter(model.names[0])
    steps = (weight.max() - weight.min()) / (2 ** model._learned(model.logits[0]) - 1)
    noise = torch.stack([(model.weights()[name] - weight).reshape(-1, 8) / steps[:, None] for _ in range(50)])
    assert noise.abs().max() <= 0.5 + 1e-3
    assert noise.mean() == pytest.approx(0, abs=0.02)
    assert noise.var() == pytest.approx(1 / 12, rel=0.05)


def test_evaluation_is_with_levels_and_follows_the_weights():
    model = quantized(init_bits=3).eval()
    mixture = torch.randn(1, 2, 500)
    coarse = model.separate(mixture)
    assert coarse.equal(model.separate(mixture))
    for name, weight in model.weights().items():
        assert len(weight.unique()) <= 2**3
        assert weight.shape == model.model.get_parameter(name).shape
    assert not coarse.equal(model.model.separate(mixture))

    with torch.no_grad():
        model.model.get_parameter(model.names[0]).mul_(2)  # as an optimizer's step does
    assert not coarse.equal(model.separate(mixture))


def test_small_tensors_are_left_alone():
    model = quantized()
    large = {name for name, p in model.model.named_parameters() if p.numel() >= 256}
    assert set(model.names) == large < {name for name, _ in model.model.named_parameters()}
    assert not Quantized(demucs()).names  # nothing of this has a megabyte


def test_the_price_of_bits_lowers_them():
    model = quantized(penalty=5.0)
    weights = sum(model.model.get_parameter(name).numel() for name in model.names)
    assert model.penalty().item() == pytest.approx(5.0 * weights * 8 / 2**23, rel=1e-3)
    optimizer = torch.optim.Adam(model.parameter_groups(), lr=1.0)
    assert [group["lr"] for group in optimizer.param_groups] == [1.0, 1e-3]
    before = model.size_mb()
    optimizer.param_groups[1]["lr"] = 1.0
    model.penalty().backward()
    optimizer.step()
    assert model.size_mb() < before
    assert len(model.parameter_groups()[0]["params"]) + len(model.logits) == len(list(model.parameters()))


def test_the_size_counts_every_bit():
    model = quantized(init_bits=6.2)
    kept = {name: model.model.get_parameter(name) for name in model.names}
    groups = sum(-(-weight.numel() // 8) for weight in kept.values())
    others = sum(p.numel() for name, p in model.model.named_parameters() if name not in kept)
    expected = groups * (8 * 6 + 4) + 64 * len(kept) + 32 * others  # bits of weights, bits of bits, limits, the rest
    assert model.size_mb() == pytest.approx(expected / 2**23)


def test_a_fixed_number_of_bits():
    model = quantized(fixed_bits=4)
    mixture = torch.randn(1, 2, model.input_length(50))
    trained = model(mixture)
    trained.square().mean().backward()
    assert all(p.grad is not None for p in model.parameters())  # gradients pass the rounding
    assert model.penalty() is None
    assert len(model.parameter_groups()) == 1
    torch.testing.assert_close(trained, model.eval()(mixture), atol=1e-6, rtol=1e-4)  # what is trained is what is evaluated
    whole = sum(p.numel() for p in model.model.parameters()) * 32 / 2**23
    assert whole / 8 < model.size_mb() < whole / 3


@pytest.mark.parametrize("options", [{}, {"group_size": 7}, {"fixed_bits": 3}], ids=str)
def test_a_compressed_file_is_the_model(tmp_path, options):
    path = tmp_path / "model.safetensors"
    model = quantized(**options).eval()
    spread(model)
    mixture = torch.randn(1, 2, 777)
    expected = model.separate(mixture)
    model.save_compressed(path)

    torch.manual_seed(1)
    other = quantized(lambda: demucs(rescale=0.2), **options).eval()
    assert not other.separate(mixture).equal(expected)
    other.load_compressed(path)
    assert other.separate(mixture).equal(expected)
    assert all(weight.equal(other.weights()[name]) for name, weight in model.weights().items())
    assert other.size_mb() == model.size_mb()
    names = 300 * len(model.state_dict())  # of tensors, in the file's header
    assert model.size_mb() * 2**20 <= path.stat().st_size <= model.size_mb() * 2**20 + names


def test_files_that_do_not_fit(tmp_path):
    path = tmp_path / "model.safetensors"
    model = quantized()
    with pytest.raises(UserError, match="no compressed weights at"):
        model.load_compressed(path)
    model.save_compressed(path)
    with pytest.raises(UserError, match=r"expected groups and bits \(4, \(2, 15\)\), found \(8, \(2, 15\)\)"):
        quantized(group_size=4).load_compressed(path)
    with pytest.raises(UserError, match="belongs to another model"):
        quantized(conv_tasnet).load_compressed(path)
    path.write_bytes(path.read_bytes()[:-10])
    with pytest.raises(UserError, match="holds no compressed weights, or is damaged"):
        model.load_compressed(path)
    save_file({"weight": torch.zeros(3)}, path)
    with pytest.raises(UserError, match="expected the format quantized-1, found None"):
        model.load_compressed(path)


def test_bits_that_are_out_of_order():
    with pytest.raises(ValueError, match=r"expected 1 <= min < init < max <= 16, found 2, 8\.0, 17"):
        quantized(max_bits=17)
    with pytest.raises(ValueError, match="fixed_bits: expected 1 to 16, found 0"):
        quantized(fixed_bits=0)


def test_an_average_of_the_weights_can_be_kept():
    model = quantized()
    average = torch.optim.swa_utils.AveragedModel(model)
    model(torch.randn(1, 2, 500)).sum().backward()
    average.update_parameters(model)
    assert average.module.eval().separate(torch.randn(1, 2, 500)).isfinite().all()


def test_the_state_is_that_of_the_model_and_the_bits():
    model = quantized()
    state = model.eval().state_dict()
    assert {name for name in state if name.startswith("model.")} == {f"model.{name}" for name in model.model.state_dict()}
    assert {name for name in state if not name.startswith("model.")} == {f"logits.{n}" for n in range(len(model.names))}
    assert isinstance(model.logits[0], nn.Parameter)
