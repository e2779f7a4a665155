"""Sprites as dSprites has them (Matthey, Higgins, Hassabis & Lerchner 2017): a square, an ellipse or a heart on black.

Nothing is stored: an image has a number from 0 to COUNT - 1, whose digits, shape first, are its factors.  Numbers, factors and
what they stand for are those of dSprites; the pixels are not, for neither its code nor its measures were published.  Here all
shapes of a scale have the same area, 294 pixels at scale 1; the ellipse is half as long again as it is broad; a step of a
position is one pixel, from 16 to 47 of 64; orientations turn counterclockwise, and at the first of them the square and the
ellipse lie straight and the heart stands upright.  Pixels are 0 or 1, by where their centres lie, without smoothing.  The last
orientation is a full turn, so its images are those of the first; small squares also look alike at other turns.
"""

from __future__ import annotations

import functools
import math

import numpy as np
from numpy.typing import ArrayLike, NDArray

from toolkit.corpora._factors import digits

SIZE = 64  # pixels
FACTORS = {"shape": 3, "scale": 6, "orientation": 40, "position_x": 32, "position_y": 32}  # the last one changes fastest
RANGES = {"shape": (1, 3), "scale": (0.5, 1), "orientation": (0, 2 * math.pi), "position_x": (0, 1), "position_y": (0, 1)}
COUNT = math.prod(FACTORS.values())
SPLITS = {"train": (0.0, 0.70), "valid": (0.70, 0.70 + 0.20), "test": (0.80 + 0.15, 1.0)}  # shares of the shuffled images

AREA = 294.0  # pixels at scale 1
RATIO = 1.5  # of the ellipse's axes
RADIUS = 14  # pixels that a sprite reaches at most
FIRST = 16  # the pixel at which a sprite of position 0 is centred
HEART_AREA, HEART_CENTRE = 3.66199, 0.29348  # of (x² + y² - 1)³ = x² y³: its area, and the height of its centre of gravity

Images = NDArray[np.uint8]


def factors(indices: ArrayLike) -> NDArray[np.uint8]:
    """Factors (N, 5) of images (N), named and counted by FACTORS.

    Raises:
        ValueError: there is no such image.
    """
    return digits(indices, FACTORS, "sprites")


def values(found: ArrayLike) -> NDArray[np.float32]:
    """What factors (N, 5) stand for (N, 5), evenly spaced over their RANGES as in dSprites."""
    columns = np.asarray(found).T
    evenly = (np.linspace(*RANGES[name], size)[column] for (name, size), column in zip(FACTORS.items(), columns, strict=True))
    return np.stack(list(evenly), axis=1).astype(np.float32)


def render(indices: ArrayLike) -> Images:
    """Draw images (N) as (N, 64, 64) of 0 and 1, the first row being the top one and position y growing downward.

    Raises:
        ValueError: there is no such image.
    """
    found = factors(indices).astype(np.int64)
    shape, scale, orientation, x, y = found.T
    images = np.zeros((len(found), SIZE, SIZE), np.uint8)
    square = np.arange(-RADIUS, RADIUS + 1) + FIRST
    rows, columns = y[:, None, None] + square[:, None], x[:, None, None] + square
    images[np.arange(len(found))[:, None, None], rows, columns] = _sprites()[shape, scale, orientation]
    return images


def split(seed: int = 0) -> dict[str, NDArray[np.int64]]:
    """Numbers of the images for training, validation and testing, in the order in which AR-VAE's code shuffles dSprites.

    It trains with shares of .70 and .20 but tests by a default of .80 and .15, so that the images between are for nothing.

    Args:
        seed: of NumPy's old generator; the code takes that of the first model which is trained.
    """
    order = np.arange(COUNT)
    np.random.RandomState(seed).shuffle(order)
    return {name: order[int(begin * COUNT) : int(end * COUNT)] for name, (begin, end) in SPLITS.items()}


@functools.cache
def _sprites() -> Images:
    """All sprites (3, 6, 40, 29, 29), each in the middle of its picture."""
    scale, orientation = (np.linspace(*RANGES[name], FACTORS[name]) for name in ("scale", "orientation"))
    down, right = np.mgrid[-RADIUS : RADIUS + 1, -RADIUS : RADIUS + 1].astype(float)
    cosine, sine = np.cos(orientation)[:, None, None], np.sin(orientation)[:, None, None]
    along = (cosine * right - sine * down) / scale[:, None, None, None]  # the pixel in the sprite's own axes
    across = (-sine * right - cosine * down) / scale[:, None, None, None]
    return np.stack([_square(along, across), _ellipse(along, across), _heart(along, across)]).astype(np.uint8)


def _square(x: NDArray[np.float64], y: NDArray[np.float64]) -> NDArray[np.bool_]:
    return np.maximum(np.abs(x), np.abs(y)) < math.sqrt(AREA) / 2


def _ellipse(x: NDArray[np.float64], y: NDArray[np.float64]) -> NDArray[np.bool_]:
    return x**2 / RATIO + y**2 * RATIO < AREA / math.pi


def _heart(x: NDArray[np.float64], y: NDArray[np.float64]) -> NDArray[np.bool_]:
    unit = math.sqrt(AREA / HEART_AREA)
    x, y = x / unit, y / unit + HEART_CENTRE
    return (x**2 + y**2 - 1) ** 3 < x**2 * y**3
