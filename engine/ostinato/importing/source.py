"""The numbers that a model had where it comes from."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Protocol

import numpy as np
import numpy.typing as npt

from ostinato.errors import ForeignModelError
from ostinato.model import Network
from ostinato.model.wire import Wire

Array = npt.NDArray[Any]


@dataclass(frozen=True)
class Pair:
    """What is generated of what: token ids ``tokens`` [T], the first being the head's start, of a ``source``, as an
    utterance of the encoder's: [frames, size], or token ids [frames]."""

    source: Array
    tokens: Array

    def __len__(self) -> int:
        """Of the tokens."""
        return len(self.tokens)


class Source(Protocol):
    """What computes a model as its origin does, an utterance at a time; of a model with an encoder, a `Pair`."""

    @property
    def name(self) -> str:
        """What computes, with its version: "ONNX Runtime 1.22.0"."""

    def inputs(self, generator: np.random.Generator, count: int) -> Any:
        """An utterance of ``count`` frames to compare with: float32 [count, size], or token ids int64 [count]."""

    def outputs(self, inputs: Any) -> Mapping[str, Array]:
        """What it makes of an utterance, whose state begins as a new stream's: [frames, size] by the name of a
        head."""


def random_inputs(wire: Wire, generator: np.random.Generator, count: int) -> Array:
    """Normally distributed frames [count, size], or uniformly distributed token ids [count], as ``wire`` takes
    them."""
    if wire.token:
        return generator.integers(0, wire.size, count)
    return generator.normal(size=(count, wire.size)).astype(np.float32)


class Float64:
    """The network's own formulas in float64, by NumPy: of a model whose origin is only arrays. It shares no code with
    the kernels."""

    unseen = "the formulas of what was read, in float64: if the file means these, only --expect can see"
    """What it cannot tell, as `Draft.unseen` says it."""

    def __init__(self, network: Network) -> None:
        self._network = network

    @property
    def name(self) -> str:
        """As `Source.name`."""
        return f"float64 by NumPy {np.__version__}"

    def inputs(self, generator: np.random.Generator, count: int) -> Array:
        """As `Source.inputs`."""
        return random_inputs(self._network.specification.front_end.wire, generator, count)

    def outputs(self, inputs: Array) -> Mapping[str, Array]:
        """As `Source.outputs`."""
        from ostinato.training.network import TrainableNetwork  # compiles; only parity needs it

        network = TrainableNetwork(self._network.specification, np.float64, weights=self._network.weights)
        made = network.activate(network.forward(inputs[None], [len(inputs)]))
        lengths = network.output_lengths([len(inputs)])
        return {head: outputs[0, : lengths[head][0]] for head, outputs in made.items()}


class Recorded:
    """Outputs that somebody recorded at home: of one utterance, in ``inputs`` and ``outputs`` of an .npz."""

    def __init__(self, inputs: Array, outputs: Mapping[str, Array]) -> None:
        self._inputs, self._outputs = inputs, outputs

    @property
    def name(self) -> str:
        """As `Source.name`."""
        return "recorded outputs"

    def inputs(self, generator: np.random.Generator, count: int) -> Array:
        """What was recorded, however long."""
        return self._inputs

    def outputs(self, inputs: Array) -> Mapping[str, Array]:
        """As `Source.outputs`."""
        if inputs is not self._inputs:
            raise ForeignModelError("recorded outputs are there for the recorded inputs only")
        return self._outputs
