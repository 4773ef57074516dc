"""int8 networks in plain NumPy, rounded where the kernels round: what they are checked against, bit for bit.

How each kind of layer rounds is in its file in `kinds`.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np
import numpy.typing as npt
from kinds import KINDS
from kinds.kind import Floats

from ostinato.model.specification import FRAMES, Specification

Weights = Mapping[str, npt.NDArray[Any]]


def run(specification: Specification, weights: Weights, frames: Floats) -> Floats:
    """Outputs [T, output_size] of an utterance: ``frames`` [T, frame_size], or token ids [T, 1]."""
    x = np.asarray(frames, np.float32)
    values = {FRAMES: x[:, 0] if specification.front_end.wire.token else x}
    for node in specification.nodes:
        prefix = f"{node.name}."
        own = {name.removeprefix(prefix): array for name, array in weights.items() if name.startswith(prefix)}
        inputs = [values[name] for name in node.inputs]
        values[node.name] = KINDS[node.layer.kind].rounded(node.layer, own, inputs, specification.inputs(node))
    return values[specification.heads[0].node]
