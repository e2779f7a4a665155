"""MMDenseNet and MMDenseLSTM: sizes and shapes."""

import pytest
import torch
from torch import nn

from toolkit.blocks import MMDense
from toolkit.blocks.mmdense import DenseBlock, DenseLSTMBlock, MultiScale, MultiScaleNet
from toolkit.models import SpectrogramSeparator

LSTM_BANDS = [
    MultiScale([14] * 7, [5] * 7, [0, 0, 0, 64, 0, 64, 0], bins=380),
    MultiScale([4] * 7, [4] * 7, [0, 0, 0, 16, 0, 0, 0], bins=644),
    MultiScale([2, 2, 0, 2, 2], [1, 1, 0, 1, 1], [0, 0, 4, 0, 0], bins=1025),
]
LSTM_FULL = MultiScale([7] * 9, [3, 3, 4, 5, 5, 5, 4, 3, 3], [0, 0, 0, 0, 64, 0, 0, 64, 0], features=8)
DENSE_BANDS = [
    MultiScale([14, *[16] * 6], [4] * 7, kernel_size=(4, 3), bins=512),
    MultiScale([10] * 7, [3] * 7, bins=513),
]
DENSE_FULL = MultiScale([6] * 7, [2, 2, 2, 4, 2, 2, 2], kernel_size=(4, 3))


def small(bins=40, audio_channels=2, sources=2, **options):
    bands = [
        MultiScale([3] * 5, [2] * 5, [0, 0, 4, 3, 0], features=4, bins=bins // 2),
        MultiScale([2] * 3, [1, 0, 1], [0, 2, 0], features=4, bins=bins - bins // 2),
    ]
    return MMDense(bins, audio_channels, sources, bands, MultiScale([2] * 3, [1] * 3, features=4), 3, 2, **options)


def count(module):
    return sum(p.numel() for p in module.parameters())


def test_parameter_counts_of_mmdensenet():
    with torch.device("meta"):
        model = MMDense(1025, 2, 1, DENSE_BANDS, DENSE_FULL, 4, 2, (2, 1), False)
    assert count(model) == 339_468


@pytest.mark.parametrize(("position", "parameters"), [("after", 719_064), ("parallel", 719_085)])
def test_parameter_counts_of_mmdenselstm(position, parameters):
    with torch.device("meta"):
        model = MMDense(2049, 2, 1, LSTM_BANDS, LSTM_FULL, position=position)
    lstms = sum(count(module) for module in model.modules() if isinstance(module, nn.LSTM))
    assert lstms == 868_960
    assert count(model) == parameters + lstms * 3 // 4  # the known counts are with nn.RNN, a quarter of the size


@pytest.mark.parametrize("position", ["after", "parallel"])
@pytest.mark.parametrize(("bins", "frames"), [(40, 16), (41, 7), (33, 1)])
@pytest.mark.parametrize("channels", [1, 2])
def test_shapes_and_gradients(position, bins, frames, channels):
    masker = small(bins, channels, position=position)
    estimate = masker(torch.rand(2, channels, bins, frames))
    assert estimate.shape == (2, 2, channels, bins, frames)
    assert estimate.min() >= 0
    (estimate - 1).square().mean().backward()
    assert all(p.grad is not None and p.grad.isfinite().all() for p in masker.parameters())


def test_bands_do_not_hear_each_other_before_the_end():
    network = small().networks[0].eval()
    nn.init.ones_(network.output_mean)  # so that not all is zero
    x = torch.rand(1, 2, 40, 9)
    changed = x.clone()
    changed[:, :, 20:] = 1
    torch.testing.assert_close(network.bands[0](x[:, :, :20]), network.bands[0](changed[:, :, :20]))
    assert not torch.equal(network(x)[:, :, :15], network(changed)[:, :, :15])  # the whole spectrogram's network hears all


def test_a_dense_block_is_one_of_concatenation():
    block = DenseBlock(5, 3, depth=3, kernel_size=(3, 3)).eval()
    x = torch.randn(2, 5, 8, 6)
    made = []  # by each layer for the ones after it, as DenseNet's figure draws it
    for number, layer in enumerate(block.layers):
        own = x if number == 0 else sum(part[:, 3 * (number - 1 - i) :][:, :3] for i, part in enumerate(made))
        made.append(layer(own))
    expected = sum(part[:, -3:] for part in made)
    torch.testing.assert_close(block(x), expected)


def test_a_block_may_be_an_lstm_alone():
    block = DenseLSTMBlock(5, 2, 0, (3, 3), hidden=4, bins=8, position="after")
    assert block(torch.randn(2, 5, 8, 6)).shape == (2, 1, 8, 6)
    with pytest.raises(ValueError, match="expected a block to have at least one of the two"):
        DenseLSTMBlock(5, 2, 0, (3, 3), hidden=0, bins=8, position="after")


def test_dilated_layers_keep_the_size():
    block = DenseBlock(5, 3, depth=4, kernel_size=(2, 3), dilated=True)
    assert block(torch.randn(1, 5, 9, 7)).shape == (1, 3, 9, 7)


def test_a_narrow_band_is_widened():
    net = MultiScaleNet(2, 21, MultiScale([2] * 3, [1] * 3), "after", channels_out=5)
    assert net(torch.randn(1, 2, 21, 7)).shape == (1, 5, 21, 7)


def test_in_its_model():
    model = SpectrogramSeparator(small, sources=2, audio_channels=2, n_fft=64, hop_length=16)
    references = torch.randn(2, 2, 2, 500)
    assert model(references.sum(1)).shape == model.target(references).shape
    assert model.separate(references.sum(1)).shape == references.shape


def test_sizes_that_do_not_fit():
    with pytest.raises(ValueError, match=r"bands: expected 2049 bins in all, found 512 \+ 513 = 1025"):
        MMDense(2049, 2, 1, DENSE_BANDS, DENSE_FULL)
    with pytest.raises(ValueError, match="an odd number of blocks, found 4, 4 and 4"):
        MultiScale([1] * 4, [1] * 4)
    with pytest.raises(ValueError, match="found 3, 3 and 2"):
        MultiScale([1] * 3, [1] * 3, [0, 0])
    with pytest.raises(ValueError, match=r"magnitudes: expected shape \(batch, channels=2, bins=40, frames\)"):
        small()(torch.rand(1, 2, 41, 4))
