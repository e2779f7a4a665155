"""Sprites drawn anew from their factors."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from toolkit.corpora._sprites import AREA, COUNT, FACTORS, SIZE, factors, render, split, values


def centre(image: np.ndarray) -> tuple[float, float]:
    """Row and column."""
    row, column = np.nonzero(image)
    return row.mean(), column.mean()


def number(*found: int) -> int:
    """The image that has these factors."""
    return int(np.ravel_multi_index(found, tuple(FACTORS.values())))


def drawn(shape: int, scale: int = 5, orientation: int = 0, x: int = 16, y: int = 16) -> np.ndarray:
    return render([number(shape, scale, orientation, x, y)])[0]


class TestSprites:
    def test_numbers_are_those_of_dsprites(self) -> None:
        assert COUNT == 737280
        assert factors([0, 1, 32, 1024, 40960, 245760, COUNT - 1]).tolist() == [
            [0, 0, 0, 0, 0],
            [0, 0, 0, 0, 1],
            [0, 0, 0, 1, 0],
            [0, 0, 1, 0, 0],
            [0, 1, 0, 0, 0],
            [1, 0, 0, 0, 0],
            [2, 5, 39, 31, 31],
        ]

    def test_values(self) -> None:
        assert values([[0, 0, 0, 0, 0], [1, 1, 1, 1, 1], [2, 5, 39, 31, 31]]) == pytest.approx(
            np.array([[1, 0.5, 0, 0, 0], [2, 0.6, 0.16110732, 0.03225806, 0.03225806], [3, 1, 6.28318531, 1, 1]]), rel=1e-6
        )

    @given(st.lists(st.integers(0, COUNT - 1), min_size=1, max_size=20))
    def test_a_number_is_its_factors(self, numbers: list[int]) -> None:
        assert [number(*found) for found in factors(numbers)] == numbers

    def test_images_are_binary_and_never_touch_the_edge(self) -> None:
        images = render(np.random.default_rng(0).integers(0, COUNT, 500))
        assert images.shape == (500, SIZE, SIZE)
        assert images.dtype == np.uint8
        assert set(np.unique(images)) == {0, 1}
        assert not images[:, [0, -1]].any()
        assert not images[:, :, [0, -1]].any()

    @pytest.mark.parametrize("shape", range(3))
    def test_areas(self, shape: int) -> None:
        """Over all orientations, within 5 % of what a shape of that scale has."""
        for scale, size in enumerate(np.linspace(0.5, 1, 6)):
            images = render([number(shape, scale, turn, 0, 0) for turn in range(39)])
            assert images.sum((1, 2)).mean() == pytest.approx(AREA * size**2, rel=0.05)

    @pytest.mark.parametrize("shape", range(3))
    def test_the_centre_follows_the_position(self, shape: int) -> None:
        for x, y in ((0, 0), (31, 0), (5, 30)):
            assert centre(drawn(shape, 4, 7, x, y)) == pytest.approx((16 + y, 16 + x), abs=0.4)

    def test_looks(self) -> None:
        square, ellipse, heart = (drawn(shape) for shape in range(3))
        assert np.nonzero(square)[0].min() == 32 - 8
        assert square.sum() == 17**2
        assert np.ptp(np.nonzero(ellipse)[1]) > 1.4 * np.ptp(np.nonzero(ellipse)[0])
        assert heart[:32].sum() > heart[33:].sum()  # upright: broad above
        assert heart[np.nonzero(heart)[0].max()].sum() == 1

    def test_orientations_turn_counterclockwise(self) -> None:
        """Nearly a quarter turn: the heart's point, which was below, lies to the right."""
        columns = np.nonzero(drawn(2, orientation=10))[1]
        assert (columns.min(), columns.max()) == (32 - 8, 32 + 11)
        assert (drawn(2, orientation=39) == drawn(2, orientation=0)).all()

    def test_in_any_order_and_as_often_as_wished(self) -> None:
        images = render([700000, 5, 700000])
        assert (images[0] == images[2]).all()
        assert (images[1] == render([5])[0]).all()
        assert render([]).shape == (0, SIZE, SIZE)

    def test_no_such_image(self) -> None:
        with pytest.raises(ValueError, match="sprites: expected numbers from 0 to 737279, found -1 to 3"):
            render([-1, 3])

    def test_split(self) -> None:
        parts = split()
        assert [len(part) for part in parts.values()] == [516095, 147456, 36864]
        assert len(np.unique(np.concatenate(list(parts.values())))) == sum(map(len, parts.values()))
        assert parts["train"][:5].tolist() != split(1)["train"][:5].tolist()
