"""Activation functions in float64."""

from __future__ import annotations

from typing import Any

import numpy as np
from scipy.special import erf, erfc

from kinds.kind import Doubles
from ostinato.activations import FUNCTIONS, parameters
from ostinato.model.activation import Activation

DEFINED = tuple(name for name in FUNCTIONS if name not in ("square", "sqrt", "reciprocal", "exp", "log"))
"""Those of all real numbers that grow no faster than these, so that they may stand above anything."""


def sigmoid(x: Doubles) -> Doubles:
    return 0.5 * np.tanh(0.5 * x) + 0.5


def times(x: Doubles, share: Doubles) -> Doubles:
    """x times its share; of infinity no share is 0."""
    return np.where(share == 0, 0.0, x * share)


def clipped(limit: float | None, x: Any) -> Any:
    """Within [-limit, limit], in the precision of x."""
    return x if limit is None else np.clip(x, x.dtype.type(-limit), x.dtype.type(limit))


def activate(activation: Activation, x: Doubles) -> Doubles:
    """The activation functions as the ONNX operators RNN and, by name, Elu, HardSigmoid, … define them."""
    _, alpha, beta = parameters(activation.name, activation.alpha, activation.beta)
    match activation.name:
        case "identity":
            return x
        case "relu":
            return np.where(x < 0, 0.0, x)
        case "tanh":
            return np.tanh(x)
        case "sigmoid":
            return sigmoid(x)
        case "affine":
            return alpha * x + beta
        case "leaky-relu":
            return np.where(x < 0, alpha * x, x)
        case "thresholded-relu":
            return np.where(x <= alpha, 0.0, x)
        case "scaled-tanh":
            return alpha * np.tanh(beta * x)
        case "hard-sigmoid":
            return np.clip(alpha * x + beta, 0.0, 1.0)
        case "elu":
            return np.where(x < 0, alpha * np.expm1(np.minimum(x, 0.0)), x)
        case "softsign":
            return np.where(np.isinf(x), np.sign(x), x / (1 + np.abs(np.where(np.isinf(x), 0.0, x))))
        case "softplus":
            return np.maximum(x, 0.0) + np.log1p(np.exp(-np.abs(x)))
        case "clip":
            return np.minimum(beta, np.maximum(x, alpha))
        case "abs":
            return np.abs(x)
        case "square":
            return x * x
        case "sqrt":
            return np.sqrt(x)
        case "reciprocal":
            return 1 / x
        case "exp":
            return np.exp(x)
        case "log":
            return np.log(x)
        case "erf":
            return np.asarray(erf(x))
        case "silu":
            return times(x, 1 / (1 + np.exp(-alpha * x)))
        case "hard-swish":
            return times(x, np.clip(alpha * x + beta, 0.0, 1.0))
        case "gelu":
            return times(x, erfc(-x / np.sqrt(2)) / 2)
        case "gelu-tanh":
            return times(x, 1 / (1 + np.exp(-2 * np.sqrt(2 / np.pi) * (x + 0.044715 * x**3))))
        case "selu":
            return beta * np.where(x < 0, alpha * np.expm1(np.minimum(x, 0.0)), x)
        case "celu":
            return np.where(x < 0, alpha * np.expm1(np.minimum(x, 0.0) / alpha), x)
    raise AssertionError(activation.name)
