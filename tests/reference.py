"""Networks in plain float64 NumPy, straight from the formulas: what everything else is checked against.

The formulas of each kind of layer are in its file in `kinds`.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from types import MappingProxyType

import numpy as np
import numpy.typing as npt
from kinds import KINDS
from kinds.kind import Doubles
from kinds.kind import Weights as Parts

from ostinato.model.specification import FRAMES, Node, Specification

Weights = Mapping[str, npt.NDArray[np.float32]]
Inputs = Sequence[Doubles]


def run(
    specification: Specification, weights: Weights, frames: npt.ArrayLike, source: npt.ArrayLike | None = None
) -> Doubles:
    """Outputs [T, output_size] of a whole utterance: ``frames`` [T, frame_size], or token ids [T]; ``source``: the
    encoder's, likewise."""
    return run_all(specification, weights, frames, source)[specification.heads[0].node]


def run_all(
    specification: Specification, weights: Weights, frames: npt.ArrayLike, source: npt.ArrayLike | None = None
) -> dict[str, Doubles]:
    """What every node of `run` gives, by its name."""

    def whole(node: Node, weights: Parts, inputs: Inputs) -> Doubles:
        found = KINDS[node.layer.kind].reference(node.layer, weights, inputs, specification.inputs(node))
        constant = all(wire.memory for wire in specification.inputs(node))  # the same for each frame
        return np.tile(found, (count, 1)) if constant else found

    count, memories = len(np.asarray(frames)), dict[str, Doubles]()
    if (encoder := specification.encoder) is not None:
        own = {name.removeprefix("encoder."): x for name, x in weights.items() if name.startswith("encoder.")}
        assert source is not None
        made = run_all(encoder, own, source)
        memories = {f"encoder.{head.name}": made[head.node] for head in encoder.heads}
    return _values(specification, weights, frames, whole, memories)


def run_blocks(
    specification: Specification, weights: Weights, frames: npt.ArrayLike, block: int, lookahead: int
) -> Doubles:
    """`run` with bounded wait: ``block`` frames at a time, each with up to ``lookahead`` frames of right context.

    What looks back sees the inputs of all earlier blocks, what looks ahead begins at the end of the context."""
    x = np.asarray(frames)
    kept: dict[str, Doubles] = {}
    outputs = []
    for start in range(0, len(x), block):
        keep = min(block, len(x) - start)

        def part(node: Node, weights: Parts, inputs: Inputs) -> Doubles:
            past = [kept.get(name, x[:0]) for name, x in zip(node.inputs, inputs, strict=True)]
            return KINDS[node.layer.kind].block(node.layer, weights, past, inputs, specification.inputs(node))

        values = _values(specification, weights, x[start : start + block + lookahead], part)
        for name, value in values.items():
            kept[name] = np.concatenate([kept.get(name, value[:0]), value[:keep]])
        outputs.append(values[specification.heads[0].node][:keep])
    return np.concatenate(outputs) if outputs else run(specification, weights, x)


def _values(
    specification: Specification,
    weights: Weights,
    frames: npt.ArrayLike,
    compute: Callable[[Node, Parts, Inputs], Doubles],
    memories: Mapping[str, Doubles] = MappingProxyType({}),
) -> dict[str, Doubles]:
    """What each node gives, and the front end."""
    x = np.asarray(frames, np.float64)
    values = {**memories, FRAMES: x.reshape(len(x)) if specification.front_end.wire.token else x}
    for node in specification.nodes:
        prefix = f"{node.name}."
        own = {n.removeprefix(prefix): a.astype(np.float64) for n, a in weights.items() if n.startswith(prefix)}
        values[node.name] = compute(node, own, [values[name] for name in node.inputs])
    return values
