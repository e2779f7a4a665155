"""Norms by their short names."""

from typing import get_args

import pytest
import torch

from toolkit.blocks import norms
from toolkit.blocks.norms import Norm


@pytest.mark.parametrize(
    ("name", "axes"), [("gLN", (1, 2)), ("cLN", (1,)), ("BN", (0, 2)), ("GN", (1, 2))], ids=lambda value: str(value)
)
def test_each_norm_takes_its_statistics_over_its_own_axes(name, axes):
    x = 3 * torch.randn(4, 12, 50) + 2
    normed = norms.build(name, 12)(x)
    torch.testing.assert_close(normed.mean(axes), torch.zeros_like(normed.mean(axes)), atol=1e-5, rtol=0)
    torch.testing.assert_close(normed.var(axes, correction=0), torch.ones_like(normed.mean(axes)), atol=1e-4, rtol=0)


def test_group_norm_has_sixteen_channels_a_group():
    x = torch.randn(2, 32, 40)
    x[:, 16:] += 5
    groups = norms.build("GN", 32)(x).unflatten(1, (2, 16))
    torch.testing.assert_close(groups.mean((2, 3)), torch.zeros(2, 2), atol=1e-5, rtol=0)


@pytest.mark.parametrize("name", norms.CAUSAL)
def test_causal_norms_do_not_look_ahead(name):
    norm = norms.build(name, 6).eval()
    x = torch.randn(2, 6, 30)
    changed = x.clone()
    changed[..., 20:] = 9
    torch.testing.assert_close(norm(x)[..., :20], norm(changed)[..., :20])


def test_the_cumulative_norm_ends_as_the_global_one():
    x = torch.randn(2, 6, 30)
    torch.testing.assert_close(norms.build("cgLN", 6)(x)[..., -1], norms.build("gLN", 6)(x)[..., -1], atol=1e-5, rtol=1e-5)


@pytest.mark.parametrize("name", [name for name in get_args(Norm) if name != "cgLN"])
def test_features_may_lie_last_and_have_more_axes(name):
    x = torch.randn(2, 5, 7, 16)
    norm = norms.build(name, 16).eval()
    expected = norm(x.permute(0, 3, 1, 2).contiguous()).permute(0, 2, 3, 1)
    torch.testing.assert_close(norms.features_last(norm, x), expected)


def test_the_cumulative_norm_refuses_chunks():
    with pytest.raises(ValueError, match="input of cgLN: expected shape"):
        norms.build("cgLN", 4)(torch.randn(2, 4, 5, 6))


@pytest.mark.parametrize("name", get_args(Norm))
def test_silence_stays_finite_in_half_precision(name):
    norm = norms.build(name, 8)
    with torch.autocast("cpu", torch.bfloat16):
        assert norm(torch.zeros(2, 8, 20, dtype=torch.bfloat16)).isfinite().all()
        quiet = 1e-6 * torch.randn(2, 8, 20)
        torch.testing.assert_close(norm(quiet.bfloat16()).float(), norm(quiet), atol=0.1, rtol=0.1)


def test_a_wrong_name_is_told_with_the_right_ones():
    with pytest.raises(ValueError, match=r"norm: expected one of gLN, cLN, .*, found 'layer'"):
        norms.build("layer", 8)  # type: ignore[arg-type]
