"""What recipes do with log-mel features [windows, mels] before a network meets them."""

from __future__ import annotations

from typing import TypeAlias

import numpy as np
from numpy.typing import NDArray

Array: TypeAlias = NDArray[np.float32]
Rng: TypeAlias = np.random.Generator


def normalisation(features: list[Array]) -> tuple[Array, Array]:
    """Mean and scale (1 / deviation) [mels] of features."""
    rows = np.concatenate(features).astype(np.float64)
    return rows.mean(axis=0).astype(np.float32), (1 / rows.std(axis=0)).astype(np.float32)


def stack(features: Array, size: int, offset: int = 0) -> Array:
    """Model frames [n // size, mels * size] of features [n, mels] from row ``offset``, as a front end makes them with
    stack and stride ``size``."""
    count = (len(features) - offset) // size
    return features[offset : offset + count * size].reshape(count, features.shape[1] * size)


def paced(features: Array, count: int) -> Array:
    """Said in ``count`` windows instead: interpolated."""
    rows = np.linspace(0, len(features) - 1, count)
    low = np.minimum(rows.astype(int), len(features) - 2)
    part = (rows - low)[:, None].astype(np.float32)
    said: Array = (1 - part) * features[low] + part * features[low + 1]
    return said


def warp_matrix(factor: float, mels: int) -> Array:
    """[mels, mels]: features @ it have their mel axis stretched by ``factor``, as by another vocal tract length."""
    place = np.clip(np.arange(mels) * factor, 0, mels - 1)
    low = np.minimum(place.astype(int), mels - 2)
    matrix = np.zeros((mels, mels), np.float32)
    matrix[low, np.arange(mels)] = 1 - (place - low)
    matrix[low + 1, np.arange(mels)] += place - low
    return matrix
