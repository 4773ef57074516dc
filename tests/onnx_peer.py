"""Networks in ONNX Runtime: the second reference. What each kind of layer is in ONNX is in its file in `kinds`."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np
import numpy.typing as npt
from kinds import KINDS
from kinds.onnx_graph import OnnxGraph

from ostinato.model.specification import FRAMES, Specification

Floats = npt.NDArray[np.float32]


def run(specification: Specification, weights: Mapping[str, npt.NDArray[Any]], frames: Floats) -> Floats | None:
    """Outputs [T, output_size] of an utterance, ``frames`` [T, frame_size] or token ids [T, 1]; None if ONNX Runtime
    lacks one of its layers."""
    graph = OnnxGraph()
    values = {FRAMES: "x"}
    for node in specification.nodes:
        prefix = f"{node.name}."
        own = {name.removeprefix(prefix): array for name, array in weights.items() if name.startswith(prefix)}
        inputs = [values[name] for name in node.inputs]
        made = KINDS[node.layer.kind].onnx(graph, node.layer, own, inputs, specification.inputs(node))
        if made is None:
            return None
        values[node.name] = made
    x = frames[:, 0].astype(np.int64) if specification.front_end.wire.token else frames
    return graph.run("x", x, values[specification.heads[0].node])
