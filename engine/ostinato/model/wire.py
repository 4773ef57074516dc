"""What flows from node to node, and the weights of a node: what there is to know before there are any numbers."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Literal

import numpy as np
import numpy.typing as npt

Initial = Callable[[np.random.Generator, tuple[int, ...]], npt.NDArray[np.float32]]
"""What a weight starts learning from, by its shape."""


@dataclass(frozen=True, slots=True)
class Wire:
    """What a node gives: a vector of ``size`` values a frame.

    Or a token: its ``id``, one of ``size``, or the ``one-hot`` vector of that, which is never made: whatever reads it
    looks a column up.
    """

    size: int
    form: Literal["vector", "id", "one-hot"] = "vector"
    probabilities: bool = False
    """Whether all values are in [0, 1], as a softmax or a sigmoid makes them."""
    memory: bool = False
    """Whether it is none of the frame's: vectors of all frames that an encoder has made of the stream's source so
    far, to be looked up."""

    @property
    def token(self) -> bool:
        """Whether a row holds a token's id instead of values."""
        return self.form != "vector"


@dataclass(frozen=True, slots=True)
class Weight:
    """One array of a layer: its shape, what it starts learning from, and whether it is an int8 matrix, beside which
    stand its scales."""

    shape: tuple[int, ...]
    initial: Initial
    int8: bool = False


def zeros(_: np.random.Generator, shape: tuple[int, ...]) -> npt.NDArray[np.float32]:
    """0 everywhere."""
    return np.zeros(shape, np.float32)


def ones(_: np.random.Generator, shape: tuple[int, ...]) -> npt.NDArray[np.float32]:
    """1 everywhere."""
    return np.ones(shape, np.float32)


def normal(generator: np.random.Generator, shape: tuple[int, ...]) -> npt.NDArray[np.float32]:
    """Normally distributed, of variance 1."""
    return generator.normal(size=shape).astype(np.float32)


def glorot(parts: int = 1) -> Initial:
    """Uniform (Glorot and Bengio 2010) for ``parts`` matrices, one on top of the other."""

    def initial(generator: np.random.Generator, shape: tuple[int, ...]) -> npt.NDArray[np.float32]:
        bound = np.sqrt(6 / (shape[0] // parts + shape[1]))
        made: npt.NDArray[np.float32] = generator.uniform(-bound, bound, shape).astype(np.float32)
        return made

    return initial


def orthogonal(generator: np.random.Generator, shape: tuple[int, ...]) -> npt.NDArray[np.float32]:
    """Square orthogonal matrices (Saxe et al. 2014), one on top of the other, of the distribution that has no
    preferred direction: the signs of r's diagonal see to that (Mezzadri 2007)."""
    square = generator.normal(size=(shape[0] // shape[1], shape[1], shape[1]))
    q, r = np.linalg.qr(square)
    made: npt.NDArray[np.float32] = (
        (q * np.sign(np.einsum("gii->gi", r))[:, None, :]).reshape(shape).astype(np.float32)
    )
    return made
