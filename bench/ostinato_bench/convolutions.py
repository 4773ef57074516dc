"""What `bench kernels` measures besides recurrent networks: causal convolutions, a frame of each stream a call."""

from __future__ import annotations

from collections.abc import Collection
from dataclasses import asdict, dataclass
from typing import Any

import numpy as np
import numpy.typing as npt

from ostinato.model import Network
from ostinato.model.decoders import Outputs
from ostinato.model.front_ends import Frames
from ostinato.model.layers import Convolution
from ostinato.model.specification import Sequential
from ostinato_bench import frame_rows, peers
from ostinato_bench.ours import Ours
from ostinato_bench.peers import onnx_runtime_convolution as peer

_PEERS = {
    "onnxruntime": peer.steps,
    "onnxruntime-bound": peer.bound_steps,
    "onnxruntime-bound-no-conv": peer.bound_steps_without_conv,
}


@dataclass(frozen=True)
class Causal:
    """A causal convolution over ``taps`` frames of ``input`` values, advanced by a frame of ``batch`` streams."""

    input: int
    size: int
    taps: int
    groups: int = 1
    batch: int = 1

    def network(self) -> Network:
        """The convolution and nothing else, with random weights and biases."""
        layer = Convolution(self.size, self.taps, groups=self.groups)
        start = Network.random(Sequential(self.name, Frames(self.input), [layer], Outputs()))
        rng = np.random.default_rng(0)
        weights = {
            name: array if array.ndim > 1 else rng.uniform(-0.5, 0.5, array.shape).astype(np.float32)
            for name, array in start.weights.items()
        }
        return Network(start.specification, weights)

    def input_frames(self, count: int = 1) -> npt.NDArray[np.float32]:
        """Random input [count, batch, input] in [-1, 1]."""
        return np.random.default_rng(1).uniform(-1, 1, (count, self.batch, self.input)).astype(np.float32)

    @property
    def weights(self) -> int:
        """Number of weights in W: the multiply-accumulates of one frame."""
        return self.size * self.taps * self.input // self.groups

    @property
    def name(self) -> str:
        """The network: ``convolution 64 → 64, k = 3``, ``depthwise 64, k = 5``."""
        if self.groups == self.input == self.size:
            return f"depthwise {self.size}, k = {self.taps}"
        groups = f", {self.groups} groups" if self.groups > 1 else ""
        return f"convolution {self.input} → {self.size}, k = {self.taps}{groups}"

    def __str__(self) -> str:
        return f"{self.name}, B = {self.batch}, float32"


CONVOLUTIONS = tuple(
    Causal(64, 64, taps, groups, batch) for taps, groups in ((3, 1), (5, 64)) for batch in (1, 8, 128)
)
"""What is measured unless something else is asked for."""
QUICK = tuple(each for each in CONVOLUTIONS if each.batch == 1)
"""A selection for a first impression."""


def measure(causal: Causal, seconds: float, wanted: Collection[str] = peers.NAMES) -> dict[str, Any]:
    """A row as `frame_rows.row` has it.

    ONNX Runtime is called a frame at a time, on one thread, with its cache
    passed by hand: by its Conv and, with IOBinding, also by products in its place (-no-conv). Raises RuntimeError if
    it does not compute what we do.
    """
    network = causal.network()
    others = {
        name: made
        for name, steps in _PEERS.items()
        if name.removesuffix("-no-conv") in wanted and (made := steps(network, causal.batch)) is not None
    }
    frames = causal.input_frames(causal.taps + 2)  # so that caches are seen to go on
    peers.check(
        {name: lambda each=each: each.over(frames) for name, each in others.items()},  # type: ignore[misc]
        Ours(network, frames).outputs,
        "float32",
    )
    ours, calls = Ours(network, causal.input_frames()), {name: each.call for name, each in others.items()}
    row = frame_rows.row(ours, calls, causal.batch, causal.weights, seconds)
    return asdict(causal) | {"name": causal.name} | row
