"""From a specification to programs of the kernels: each node's layer, in order, lowers itself. But for those that
only scale and shift what a product below gives: that product's weights are changed instead."""

from __future__ import annotations

from collections.abc import Mapping
from typing import NamedTuple

import numpy as np

from ostinato.model.layers.affine import Affine
from ostinato.model.lowering import Compiled, Lowering, Value, Weights
from ostinato.model.specification import FRAMES, Node, Specification


class Observable(NamedTuple):
    """A network whose rows have all values in the end, each at a place of its own."""

    compiled: Compiled
    multiplied: dict[str, tuple[int, slice]]
    """Which values the network's matrices multiply, by name: the stage, and where its rows have them. A recurrent
    one's are its layer's outputs."""


def compile_network(specification: Specification, weights: Weights) -> Compiled:
    """``weights``: exactly those of the specification (not checked here). Raises BadModelFileError if a stream's
    state would be too large."""
    return _compiled(specification, weights)[0]


def compile_observable(specification: Specification, weights: Weights) -> Observable:
    """The same network to the bit, which takes more memory."""
    return Observable(*_compiled(specification, weights, apart=True))


def _compiled(
    specification: Specification, weights: Weights, apart: bool = False
) -> tuple[Compiled, dict[str, tuple[int, slice]]]:
    weights, folded = _fold(specification, weights)
    lowering, values = _walk(specification, folded, Lowering(weights, specification.staging, apart=apart))
    if len(specification.staging.stages) > 1:  # again, now that it is known how much each stage is given
        lowering = Lowering(weights, specification.staging, lowering.given, apart)
        lowering, values = _walk(specification, folded, lowering)
    outputs = [values[head.node] for head in specification.heads]
    return lowering.compiled(values[FRAMES], outputs), lowering.multiplied


def _walk(
    specification: Specification, folded: Mapping[str, str], lowering: Lowering
) -> tuple[Lowering, dict[str, Value]]:
    values = {FRAMES: lowering.value(specification.front_end.wire)} | lowering.memory(specification.memories)
    for node in specification.nodes:
        if node.name in folded:
            values[node.name] = values[folded[node.name]]
            continue
        inputs = lowering.in_step([values[name] for name in node.inputs], node.name)
        values[node.name] = node.layer.lower(lowering, node.name, inputs)
    lowering.in_step([values[head.node] for head in specification.heads])
    return lowering, values


def _fold(specification: Specification, weights: Weights) -> tuple[Weights, dict[str, str]]:
    """The weights with which there is nothing left to do for some affine nodes; and by the name of each of these, the
    node that does its work. What is below such a node must be read by nothing else."""
    by_name = {node.name: node for node in specification.nodes}
    heads = {head.node for head in specification.heads}
    changed, folded = dict(weights), dict[str, str]()
    for node in specification.nodes:
        if not isinstance(node.layer, Affine):
            continue
        (name,) = node.inputs
        below = by_name.get(folded.get(name, name))
        if below is None or name in heads or len(specification.readers(name)) > 1:
            continue
        a, b = node.layer.line(_own(specification, node, changed))
        scaled = below.layer.scaled(_own(specification, below, changed), a, b)
        if scaled is not None:
            changed |= {f"{below.name}.{part}": array.astype(np.float32) for part, array in scaled.items()}
            folded[node.name] = below.name
    return changed, folded


def _own(specification: Specification, node: Node, weights: Weights) -> Weights:
    """A node's weights, by the last part of their names."""
    return {part: weights[f"{node.name}.{part}"] for part in node.layer.weights(specification.inputs(node))}
