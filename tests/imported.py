"""What tests of importers share: a network streamed as a stranger would, and files that are damaged in many ways."""

from __future__ import annotations

from typing import Any

import numpy as np
import numpy.typing as npt

from ostinato.model import Network
from ostinato.model.front_ends import Samples
from ostinato.streaming import Model

Array = npt.NDArray[Any]


def streamed(network: Network, x: Array, cut: int = 3) -> Array:
    """The first head's raw outputs [frames, size] of an utterance, ``cut`` frames at a time."""
    stream = Model(network).stream(decoder="outputs")
    x = x[:, 0] if isinstance(network.specification.front_end, Samples) else x
    events = [event for at in range(0, len(x), cut) for event in stream.push(x[at : at + cut])]
    return np.array([event.values for event in (*events, *stream.flush())], np.float64)


def sigmoid(x: Array) -> Array:
    return 1 / (1 + np.exp(-x))
