"""From a specification to the program of the kernels: each node's layer, in order, lowers itself."""

from __future__ import annotations

from ostinato.kernels.program import Program
from ostinato.model.lowering import Lowering, Value, Weights
from ostinato.model.specification import FRAMES, Specification


def compile_network(specification: Specification, weights: Weights) -> Program:
    """The program of a network. ``weights``: exactly those of the specification (not checked here)."""
    lowering, values = _lower(specification, weights)
    return lowering.program(values[FRAMES], [values[head.node] for head in specification.heads])


def matrix_inputs(specification: Specification, weights: Weights) -> dict[str, slice]:
    """Which values of a row the network's matrices multiply, by name; a recurrent one's are its layer's outputs."""
    return _lower(specification, weights)[0].multiplied


def _lower(specification: Specification, weights: Weights) -> tuple[Lowering, dict[str, Value]]:
    """All operations, and what each node gives."""
    lowering = Lowering(weights)
    values = {FRAMES: lowering.value(specification.front_end.wire)}
    for node in specification.nodes:
        values[node.name] = node.layer.lower(lowering, node.name, [values[name] for name in node.inputs])
    return lowering, values
