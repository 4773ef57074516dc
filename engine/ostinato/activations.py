"""The activation functions by name: the one table that the specification, the kernels, learning and importers read.

Formulas are those of the ONNX operators RNN, GRU and LSTM (opset 22) and of the operators of these names, Swish
(opset 24) among them.
"""

from __future__ import annotations

import math
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
    "clip": Function(12, -math.inf, math.inf),
    "abs": Function(13),
    "square": Function(14),
    "sqrt": Function(15),
    "reciprocal": Function(16),
    "exp": Function(17),
    "log": Function(18),
    "erf": Function(19),
    "silu": Function(20, 1.0),
    "hard-swish": Function(21, 1 / 6, 0.5),
    "gelu": Function(22),
    "gelu-tanh": Function(23),
    "selu": Function(24, 1.67326319217681884765625, 1.05070102214813232421875),
    "celu": Function(25, 1.0),
}
"""Defaults are ONNX's; affine and scaled-tanh, for which ONNX has none, are then the identity and tanh.

- affine: alpha x + beta (-x with alpha -1); scaled-tanh: alpha tanh(beta x); thresholded-relu: x above alpha, else 0
- hard-sigmoid: alpha x + beta within [0, 1]; hard-swish: x times that
- clip: x within [alpha, beta]; beta if alpha is above it
- square: x x; reciprocal: 1 / x; erf: 2 / sqrt(pi) times the integral of exp(-t^2) from 0 to x
- silu: x sigmoid(alpha x), also called swish
- gelu: x (1 + erf(x / sqrt(2))) / 2 (Hendrycks and Gimpel 2016), exact; gelu-tanh: the approximation there,
  x (1 + tanh(sqrt(2 / pi) (x + 0.044715 x^3))) / 2
- leaky-relu, elu, celu, selu: above 0, x (selu: beta x); below, alpha x, alpha (exp(x) - 1),
  alpha (exp(x / alpha) - 1), beta alpha (exp(x) - 1)
"""


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
