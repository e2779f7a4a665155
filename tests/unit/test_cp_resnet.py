"""CP-ResNet: sizes, the rule of its receptive field, and that it begins as its shortcuts."""

import pytest
import torch

from toolkit.blocks import CPResNet, KaldiMel, LinearHead, MeanPooling
from toolkit.blocks.cp_resnet import ResidualBlock, kernel_sizes
from toolkit.models import Tagger, tap


def test_size_of_the_paper():
    with torch.device("meta"):
        model = Tagger(KaldiMel(), CPResNet, MeanPooling, LinearHead, tags=20)
        assert sum(p.numel() for p in model.parameters()) == 5_534_612
        assert model.embed(torch.empty(2, 320_000)).shape == (2, 512)
        assert model.backbone(torch.empty(2, 1, 128, 1000)).shape == (2, 512, 62)


def test_kernels_at_rho_7():
    first, second, third = kernel_sizes(7)
    assert first == [(3, 1), (3, 3), (3, 3), (3, 3)]
    assert second == [(3, 1), (1, 3), (1, 3), (1, 3)]
    assert third == [(1, 1)] * 4


@pytest.mark.parametrize("rho", range(1, 22))
def test_the_receptive_field_grows_with_rho(rho):
    now, more = (torch.tensor(kernel_sizes(r)) for r in (rho, rho + 1))
    assert (more >= now).all()
    if rho not in (7, 9, 11, 13):  # where only a second layer of Koutini's would have changed
        assert (more > now).any()


@pytest.mark.parametrize("rho", [1, 7, 12])
def test_size_from_the_kernels(rho):
    with torch.device("meta"):
        backbone = CPResNet(40, rho, base=8)
    expected, before = 25 * 8 + 2 * 8, 8
    for stage, channels in zip(kernel_sizes(rho), (8, 16, 32), strict=True):
        for first, second in stage:
            expected += before * channels * first**2 + channels**2 * second**2 + 4 * channels
            expected += before * channels + 2 * channels if before != channels else 0
            before = channels
    assert sum(p.numel() for p in backbone.parameters()) == expected


def test_every_block_begins_as_its_shortcut():
    backbone = CPResNet(32, base=4)
    blocks = [module for module in backbone.modules() if isinstance(module, ResidualBlock)]
    assert len(blocks) == 12
    x = torch.rand(2, 4, 6, 7)
    torch.testing.assert_close(blocks[0](x), x)
    wide = CPResNet(32, base=64)
    deviation = wide.stages[0][0].first.weight.detach().std()
    assert deviation == pytest.approx((2 / (9 * 64) / 12) ** 0.5, rel=0.02)


def test_three_taps_and_any_length():
    backbone = CPResNet(33, base=4)
    names = {str(number): f"stages.{number}" for number in range(3)}
    for frames in (15, 50, 333):
        with tap(backbone, names) as taps:
            features = backbone(torch.randn(1, 1, 33, frames))
        assert features.shape[:2] == (1, 16)
        assert [taps[name].shape[:3] for name in names] == [(1, 4, 2, *()), (1, 8, 2, *()), (1, 16, 2, *())]
        torch.testing.assert_close(taps["2"].mean(2), features)
    with pytest.raises(ValueError, match="spectrogram: expected at least 15 rows and frames, found 33 and 14"):
        backbone(torch.randn(1, 1, 33, 14))
    with pytest.raises(ValueError, match=r"spectrogram: expected shape .*bins=33.*found \(1, 1, 32, 50\)"):
        backbone(torch.randn(1, 1, 32, 50))


def test_everything_is_trained():
    backbone = CPResNet(32, base=4)
    for block in backbone.modules():
        if isinstance(block, ResidualBlock):
            torch.nn.init.normal_(block.second.weight)  # as after the first step
    backbone(torch.randn(2, 1, 32, 40)).square().mean().backward()
    assert all(p.grad is not None and p.grad.isfinite().all() for p in backbone.parameters())
