"""Masks from log-magnitudes, whatever separator stands inside."""

from functools import partial

import pytest
import torch

from toolkit.blocks import BLSTM, TCN, MagnitudeMasks, STFTDecoder, STFTFilterbank
from toolkit.models import MaskedSeparator

SMALL_TCN = partial(TCN, bottleneck=6, hidden=12, skip=5, blocks=2, repeats=1)


@pytest.mark.parametrize("inside", [SMALL_TCN, partial(BLSTM, hidden=6, layers=1)], ids=["TCN", "BLSTM"])
@pytest.mark.parametrize("samples", [1, 63, 1000])
def test_any_separator_may_stand_inside(inside, samples) -> None:
    model = MaskedSeparator(STFTFilterbank(32, 16), partial(MagnitudeMasks, separator=inside), STFTDecoder, sources=3)
    estimate = model(torch.randn(2, 1, samples))
    assert estimate.shape == (2, 3, 1, samples)
    estimate.square().mean().backward()
    assert all(p.grad.isfinite().all() for p in model.parameters())


def test_a_bin_has_one_mask_for_its_real_and_imaginary_part() -> None:
    masks = MagnitudeMasks(34, 2, SMALL_TCN)(torch.randn(2, 34, 9))
    assert masks.shape == (2, 2, 34, 9)
    assert masks[:, :, :17].equal(masks[:, :, 17:])


def test_phases_do_not_change_the_masks() -> None:
    block = MagnitudeMasks(34, 2, SMALL_TCN).eval()
    real, imaginary = torch.randn(2, 1, 17, 9)
    turned = torch.cat([-imaginary, real], dim=1)  # a quarter of a turn
    torch.testing.assert_close(block(torch.cat([real, imaginary], dim=1)), block(turned))


def test_silence_is_no_trouble() -> None:
    model = MaskedSeparator(STFTFilterbank(32, 16), partial(MagnitudeMasks, separator=SMALL_TCN), STFTDecoder)
    assert model(torch.zeros(1, 1, 500)).equal(torch.zeros(1, 2, 1, 500))


def test_features_that_are_no_spectrum_are_refused() -> None:
    with pytest.raises(ValueError, match="expected real and imaginary parts, an even number of features, found 7"):
        MagnitudeMasks(7, 2)
