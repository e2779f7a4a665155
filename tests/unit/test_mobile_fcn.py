"""Mobile FCN: size, pooling, taps."""

import pytest
import torch

from toolkit.blocks import KaldiMel, LinearHead, MeanPooling, MobileFCN
from toolkit.models import Tagger, tap


def test_size_of_the_released_code():
    with torch.device("meta"):
        model = Tagger(KaldiMel(16000, 96), MobileFCN, MeanPooling, LinearHead, tags=50)
        assert sum(p.numel() for p in model.parameters()) == 314_098
        assert model.backbone(torch.empty(2, 1, 96, 1456)).shape == (2, 256, 15)


@pytest.mark.parametrize(("bins", "frames"), [(96, 300), (128, 96), (64, 191), (33, 200)])
def test_rows_are_pooled_to_one(bins, frames):
    backbone = MobileFCN(bins, base=4)
    names = {str(number): f"stages.{number}" for number in range(3)}
    with tap(backbone, names) as taps:
        features = backbone.eval()(torch.randn(2, 1, bins, frames))
    assert [taps[name].shape for name in names] == [
        (2, 8, 4, frames // 48),
        (2, 16, 1, frames // 96),
        (2, 16, 1, frames // 96),
    ]
    torch.testing.assert_close(taps["2"].mean(2), features)


def test_everything_is_trained():
    backbone = MobileFCN(32, base=4)
    backbone(torch.randn(3, 1, 32, 200)).square().mean().backward()
    assert all(p.grad is not None and p.grad.isfinite().all() for p in backbone.parameters())


def test_a_short_picture_is_repeated():
    backbone, spectrogram = MobileFCN(32, base=4).eval(), torch.randn(2, 1, 32, 40)
    twice_and_more = torch.cat([spectrogram, spectrogram, spectrogram], dim=3)[..., :96]
    torch.testing.assert_close(backbone(spectrogram), backbone(twice_and_more))


def test_too_few_rows():
    with pytest.raises(ValueError, match="bins: expected a spectrogram of at least 32 rows, found 31"):
        MobileFCN(31)
