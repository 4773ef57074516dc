"""Activation functions in float64."""

from __future__ import annotations

import numpy as np

from kinds.kind import Doubles
from ostinato.activations import parameters
from ostinato.model.activation import Activation


def sigmoid(x: Doubles) -> Doubles:
    return 0.5 * np.tanh(0.5 * x) + 0.5


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
    raise AssertionError(activation.name)
