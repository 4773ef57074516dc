"""From a specification to programs of the kernels: each node's layer, in order, lowers itself."""

from __future__ import annotations

from ostinato.model.lowering import Compiled, Lowering, Value, Weights
from ostinato.model.specification import FRAMES, Specification


def compile_network(specification: Specification, weights: Weights) -> Compiled:
    """``weights``: exactly those of the specification (not checked here). Raises BadModelFileError if a stream's
    state would be too large."""
    lowering, values = _lower(specification, weights)
    return lowering.compiled(values[FRAMES], [values[head.node] for head in specification.heads])


def matrix_inputs(specification: Specification, weights: Weights) -> dict[str, tuple[int, slice]]:
    """Which values the network's matrices multiply, by name: the stage, and where its rows have them. A recurrent
    one's are its layer's outputs."""
    return _lower(specification, weights)[0].multiplied


def _lower(specification: Specification, weights: Weights) -> tuple[Lowering, dict[str, Value]]:
    """All operations, and what each node gives."""
    lowering, values = _walk(specification, Lowering(weights, specification.staging))
    if len(specification.staging.stages) > 1:  # again, now that it is known how much each stage is given
        lowering, values = _walk(specification, Lowering(weights, specification.staging, lowering.given))
    return lowering, values


def _walk(specification: Specification, lowering: Lowering) -> tuple[Lowering, dict[str, Value]]:
    values = {FRAMES: lowering.value(specification.front_end.wire)}
    for node in specification.nodes:
        inputs = lowering.in_step([values[name] for name in node.inputs], node.name)
        values[node.name] = node.layer.lower(lowering, node.name, inputs)
    lowering.in_step([values[head.node] for head in specification.heads])
    return lowering, values
