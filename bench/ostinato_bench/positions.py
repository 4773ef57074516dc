"""What `bench kernels` measures within a frame: layers over its positions, a frame of each stream a call."""

from __future__ import annotations

from collections.abc import Collection
from dataclasses import asdict, dataclass
from typing import Any, Literal

import numpy as np
import numpy.typing as npt

from ostinato.model import Network
from ostinato.model.decoders import Outputs
from ostinato.model.front_ends import Frames
from ostinato.model.layers import Convolution, Gru, Layer, Within
from ostinato.model.specification import Sequential
from ostinato_bench import frame_rows, peers
from ostinato_bench.ours import Ours
from ostinato_bench.peers import onnx_runtime_positions

Floats = npt.NDArray[np.float32]


@dataclass(frozen=True)
class Along:
    """A layer of ``size`` over the ``positions`` of a frame, of ``channels`` values each: a GRU in both directions,
    or a convolution of three taps, every ``stride``-th."""

    kind: Literal["gru", "convolution"]
    positions: int
    channels: int
    size: int
    stride: int = 1
    batch: int = 1

    @property
    def layer(self) -> Layer:
        """What runs over the positions."""
        if self.kind == "gru":
            return Gru(self.size, "bidirectional")
        return Convolution(self.size, 3, self.stride, left=1, right=1)

    def inner(self) -> Network:
        """The layer by itself, with random weights and biases; its frames are positions."""
        return Network.random(Sequential(self.kind, Frames(self.channels), [self.layer], Outputs()))

    def network(self) -> Network:
        """With the same weights, over the positions of frames."""
        within = Within(self.positions, self.layer)
        specification = Sequential(self.name, Frames(self.positions * self.channels), [within], Outputs())
        weights = {f"{within.kind}{name.removeprefix(self.kind)}": w for name, w in self.inner().weights.items()}
        return Network(specification, weights)

    def input_positions(self) -> Floats:
        """Random input [positions, batch, channels] in [-1, 1]."""
        shape = self.positions, self.batch, self.channels
        return np.random.default_rng(1).uniform(-1, 1, shape).astype(np.float32)

    @property
    def name(self) -> str:
        """``GRU 16 → 8, bidirectional, over 33``; ``convolution 16 → 16, k = 3, stride 2, over 129``."""
        if self.kind == "gru":
            return f"GRU {self.channels} → {self.size}, bidirectional, over {self.positions}"
        stride = f", stride {self.stride}" if self.stride > 1 else ""
        return f"convolution {self.channels} → {self.size}, k = 3{stride}, over {self.positions}"

    def __str__(self) -> str:
        return f"{self.name}, B = {self.batch}, float32"


POSITIONS = tuple(
    each
    for batch in (1, 32)
    for each in (Along("gru", 33, 16, 8, batch=batch), Along("convolution", 129, 16, 16, 2, batch))
)
"""What is measured unless something else is asked for."""
QUICK = tuple(each for each in POSITIONS if each.batch == 1)
"""A selection for a first impression."""


def measure(along: Along, seconds: float, wanted: Collection[str] = peers.NAMES) -> dict[str, Any]:
    """A row as `frame_rows.row` has it.

    The peers get positions as the frames of an utterance, or as the axis of their Conv, laid out as they want them:
    turning a frame is not counted. Raises RuntimeError if they do not compute what we do.
    """
    network, inner, x = along.network(), along.inner(), along.input_positions()
    if along.kind == "gru":
        others = peers.callers(inner, x, "float32", wanted)
        checked = dict(others)
    else:
        others = onnx_runtime_positions.callers(inner, x, wanted)
        checked = {
            name: lambda call=call: np.asarray(call()).transpose(2, 0, 1)  # type: ignore[misc]
            for name, call in others.items()
        }
    frames = np.ascontiguousarray(x.transpose(1, 0, 2)).reshape(1, along.batch, -1)
    ours = Ours(network, frames)
    size = inner.specification.output_size
    peers.check(checked, ours.outputs.reshape(along.batch, -1, size).transpose(1, 0, 2), "float32")
    specification = network.specification
    (node,) = specification.nodes
    work = node.layer.multiply_adds(specification.inputs(node))
    return asdict(along) | {"name": along.name} | frame_rows.row(ours, others, along.batch, work, seconds)
