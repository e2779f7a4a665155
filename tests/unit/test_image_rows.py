"""Rows of images as a picture."""

import numpy as np
import pytest

from toolkit.corpora._sprites import FACTORS, render
from toolkit.report.image_rows import image_rows


class TestImageRows:
    def test_a_row_for_each_factor(self) -> None:
        middle = np.array([2, 3, 5, 16, 16])
        rows = {}
        for column, (name, last) in enumerate({"scale": 5, "orientation": 38, "position_x": 31}.items(), start=1):
            chosen = np.tile(middle, (6, 1))
            chosen[:, column] = np.linspace(0, last, 6)
            rows[name] = render(np.ravel_multi_index(tuple(chosen.T), tuple(FACTORS.values())))
        picture = image_rows(rows)
        assert 'aria-label="Rows of 6 images each: scale, orientation, position_x"' in picture
        assert picture.count("data:image/png") == 3
        assert ">position x<" in picture
        assert picture == image_rows(rows)

    @pytest.mark.parametrize("shapes", [[], [(2, 8, 8), (3, 8, 8)], [(8, 8)], [(0, 8, 8)]])
    def test_images_that_do_not_fit_together(self, shapes: list[tuple[int, ...]]) -> None:
        with pytest.raises(ValueError, match="of one shape in all rows"):
            image_rows({str(number): np.zeros(shape) for number, shape in enumerate(shapes)})
