"""The activation functions by name: the one table that the specification, the kernels, learning and importers read.

Formulas are those of the ONNX operators RNN, GRU and LSTM (opset 22) and of the operators of these names.
"""

from __future__ import annotations

from typing import NamedTuple


class Function(NamedTuple):
    """``number``: how compiled code knows it; ``alpha`` and ``beta``: what they are where none are given."""

    number: int
    alpha: float = 0.0
    beta: float = 0.0


FUNCTIONS = {
    "identity": Function(0),
    "relu": Function(1),
    "tanh": Function(2),
    "sigmoid": Function(3),
    "affine": Function(4, 1.0, 0.0),
    "leaky-relu": Function(5, 0.01),
    "thresholded-relu": Function(6, 1.0),
    "scaled-tanh": Function(7, 1.0, 1.0),
    "hard-sigmoid": Function(8, 0.2, 0.5),
    "elu": Function(9, 1.0),
    "softsign": Function(10),
    "softplus": Function(11),
}
"""Defaults are ONNX's; affine and scaled-tanh, for which ONNX has none, are then the identity and tanh."""


def parameters(name: str, alpha: float | None = None, beta: float | None = None) -> tuple[int, float, float]:
    """Number, alpha and beta of an activation, defaults filled in. Raises ValueError for an unknown name."""
    if name not in FUNCTIONS:
        raise ValueError(f"unknown activation {name!r}: one of {', '.join(FUNCTIONS)}")
    function = FUNCTIONS[name]
    return (
        function.number,
        function.alpha if alpha is None else alpha,
        function.beta if beta is None else beta,
    )
