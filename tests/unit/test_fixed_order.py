"""Sources with names: each estimate is held against the reference in its own place."""

import pytest
import torch

from toolkit.losses import FixedOrder


def test_each_estimate_is_held_against_the_reference_in_its_own_place() -> None:
    reference = torch.tensor([[[[1.0, 2.0]], [[0.0, 0.0]]]])  # one example, two sources, mono, two samples
    swapped = reference.flip(1)
    assert FixedOrder("l1")(reference, reference).tolist() == [0.0]
    assert FixedOrder("l1")(swapped, reference).tolist() == [(1 + 2 + 1 + 2) / 4]
    assert FixedOrder("mse")(swapped, reference).tolist() == [(1 + 4 + 1 + 4) / 4]
    assert FixedOrder().assign(swapped, reference).tolist() == [[0, 1]]


def test_it_takes_estimates_in_any_domain() -> None:
    magnitudes = torch.rand(3, 4, 2, 65, 7)
    assert FixedOrder("mse")(magnitudes, magnitudes + 2).tolist() == pytest.approx([4.0] * 3)


def test_estimate_and_reference_of_different_shapes_are_refused() -> None:
    with pytest.raises(ValueError, match=r"expected the reference's shape \(1, 2, 1, 9\), found \(1, 2, 1, 8\)"):
        FixedOrder()(torch.zeros(1, 2, 1, 8), torch.zeros(1, 2, 1, 9))
