"""Other engines for recurrent networks, called with our weights on the same frames.

A peer is a function ``caller(network, frames [T, B, input], threads) -> call | None``: None if it is not installed or
has no such layers. A call runs all frames from zero states and returns the last layer's outputs [T, B, output], as
something that numpy.asarray takes.
"""

from __future__ import annotations

from collections.abc import Callable, Collection, Mapping
from dataclasses import dataclass
from importlib.util import find_spec
from typing import Any

import numpy as np
import numpy.typing as npt

from ostinato.model import Network
from ostinato_bench.cells import Precision
from ostinato_bench.peers import onnx_runtime, onnx_runtime_int8, open_vino, pytorch

Call = Callable[[], Any]
Floats = npt.NDArray[np.float32]


@dataclass(frozen=True)
class Peer:
    """Whom we are compared with: ``package`` is what must be there, and ``pip install`` of ``install`` brings it."""

    name: str
    precision: Precision
    package: str
    install: str
    caller: Callable[[Network, Floats, int], Call | None]


PEERS = (
    Peer("onnxruntime", "float32", "onnxruntime", "onnx onnxruntime", onnx_runtime.caller),
    Peer("onnxruntime-bound", "float32", "onnxruntime", "onnx onnxruntime", onnx_runtime.bound_caller),
    Peer("openvino", "float32", "openvino", "onnx openvino", open_vino.caller),
    Peer("pytorch", "float32", "torch", "torch", pytorch.caller),
    Peer("onnxruntime-int8", "int8", "onnxruntime", "onnx onnxruntime", onnx_runtime_int8.caller),
    Peer("pytorch-int8", "int8", "torch", "torch", pytorch.caller_int8),
)
NAMES = tuple(peer.name for peer in PEERS)

TOLERANCE: dict[Precision, float] = {"float32": 1e-4, "int8": 0.05}
"""How far outputs may lie from ours in float32, root mean squares against each other. Two float32 engines are 1e-6
apart, int8 up to a hundredth; gates in the wrong order, a bias left out or sums that saturate are tenths."""


def missing() -> dict[str, str]:
    """Why peers are not there: name -> the cure."""
    return {
        peer.name: f"{peer.package} is not installed: pip install {peer.install}"
        for peer in PEERS
        if find_spec(peer.package) is None
    }


def callers(
    network: Network, frames: Floats, precision: Precision, wanted: Collection[str] = NAMES, threads: int = 1
) -> dict[str, Call]:
    """Those of the ``wanted`` peers that have such a network in this precision."""
    made = {
        peer.name: peer.caller(network, frames, threads)
        for peer in PEERS
        if peer.precision == precision and peer.name in wanted
    }
    return {name: call for name, call in made.items() if call is not None}


def check(calls: Mapping[str, Call], ours: Floats, precision: Precision) -> None:
    """Refuse to time a peer that computes something else: RuntimeError unless its outputs are ``ours`` (float32),
    within `TOLERANCE`."""
    for name, call in calls.items():
        theirs = np.asarray(call(), np.float32)
        if theirs.shape != ours.shape:
            raise RuntimeError(f"{name} gives outputs of shape {theirs.shape}, we {ours.shape}: it is set up wrongly")
        difference = float(np.sqrt(np.square(theirs - ours).mean() / np.square(ours).mean()))
        if not difference <= TOLERANCE[precision]:
            raise RuntimeError(
                f"{name}'s outputs are {difference:.2g} away from ours, more than {TOLERANCE[precision]:g}: it is "
                "set up wrongly, and not timed"
            )
