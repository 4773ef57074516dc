"""Networks in plain float64 NumPy, straight from the formulas: what everything else is checked against."""

from __future__ import annotations

from collections.abc import Callable, Mapping

import numpy as np
import numpy.typing as npt

from ostinato.activations import parameters
from ostinato.model.activation import Activation
from ostinato.model.front_ends import Tokens
from ostinato.model.layers import Dense, Embedding, Gru, Lstm, OneHot, Recurrent, Rnn, Softmax
from ostinato.model.specification import FRAMES, Specification

Doubles = npt.NDArray[np.float64]
Weights = Mapping[str, npt.NDArray[np.float32]]


def run(specification: Specification, weights: Weights, frames: npt.ArrayLike) -> Doubles:
    """Outputs [T, output_size] of a whole utterance: ``frames`` [T, frame_size], or token ids [T]."""

    def whole(layer: Recurrent, name: str, x: Doubles) -> Doubles:
        return _recurrent(layer, weights, name, x)[0]

    return _layers(specification, weights, frames, whole)


def run_blocks(
    specification: Specification, weights: Weights, frames: npt.ArrayLike, block: int, lookahead: int
) -> Doubles:
    """`run` with bounded wait: ``block`` frames at a time, each with up to ``lookahead`` frames of right context.

    Forward states are carried from block to block, backward ones start from zeros at the end of the context."""
    x = np.asarray(frames)
    carried: dict[str, tuple[Doubles, Doubles]] = {}
    outputs = []
    for start in range(0, len(x), block):
        keep = min(block, len(x) - start)

        def part(layer: Recurrent, name: str, x: Doubles, keep: int = keep) -> Doubles:
            if name.endswith("backward"):
                return _recurrent(layer, weights, name, x)[0]
            h, c = _recurrent(layer, weights, name, x, *carried.get(name, ()))
            carried[name] = h[keep - 1], c[keep - 1]
            return h

        outputs.append(_layers(specification, weights, x[start : start + block + lookahead], part)[:keep])
    return np.concatenate(outputs) if outputs else run(specification, weights, x)


def _layers(
    specification: Specification,
    weights: Weights,
    frames: npt.ArrayLike,
    recurrent: Callable[[Recurrent, str, Doubles], Doubles],
) -> Doubles:
    x = np.asarray(frames, np.float64)
    if isinstance(specification.front_end, Tokens):
        x = x.reshape(len(x))
    values = {FRAMES: x}
    for node in specification.nodes:
        name, layer, (x, *_) = node.name, node.layer, [values[each] for each in node.inputs]
        if isinstance(layer, OneHot):
            x = np.eye(specification.wires[name].size)[x.astype(int)]
        elif isinstance(layer, Embedding):
            x = np.asarray(weights[f"{name}.E"], np.float64)[x.astype(int)]
        elif isinstance(layer, Dense):
            x = activate(layer.activation, x @ _double(weights, f"{name}.W").T + _double(weights, f"{name}.b"))
        elif isinstance(layer, Softmax):
            e = np.exp(x - x.max(axis=1, keepdims=True))
            x = e / e.sum(axis=1, keepdims=True)
        else:
            assert isinstance(layer, Recurrent)
            x = np.concatenate([recurrent(layer, f"{name}.{way}", x) for way in layer.directions], axis=1)
        values[name] = x
    return values[specification.heads[0].node]


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


def _double(weights: Weights, name: str) -> Doubles:
    return np.asarray(weights[name], np.float64)


def _recurrent(
    layer: Recurrent,
    weights: Weights,
    name: str,
    x: Doubles,
    h: Doubles | None = None,
    c: Doubles | None = None,
) -> tuple[Doubles, Doubles]:
    """One direction over all frames [T, input], from zeros unless told otherwise: h and c after each, [T, hidden]."""
    W, R, Wb, Rb = (_double(weights, f"{name}.{part}") for part in ("W", "R", "Wb", "Rb"))
    backward = name.endswith("backward")
    h, c = (np.zeros(layer.hidden) if state is None else state for state in (h, c))
    out, cells = np.zeros((2, len(x), layer.hidden))
    for t in reversed(range(len(x))) if backward else range(len(x)):
        a = W @ x[t] + Wb
        if isinstance(layer, Rnn):
            h = activate(layer.activation, a + R @ h + Rb)
        elif isinstance(layer, Gru):
            az, ar, an = np.split(a, 3)
            Rz, Rr, Rn = np.split(R, 3)
            bz, br, bn = np.split(Rb, 3)
            z = sigmoid(az + Rz @ h + bz)
            r = sigmoid(ar + Rr @ h + br)
            n = np.tanh(an + r * (Rn @ h + bn)) if layer.reset == "after" else np.tanh(an + Rn @ (r * h) + bn)
            h = (1 - z) * n + z * h
        elif isinstance(layer, Lstm):
            ai, ao, af, ac = np.split(a + R @ h + Rb, 4)
            pi, po, pf = np.split(_double(weights, f"{name}.P"), 3) if layer.peepholes else np.zeros((3, 1))
            i, f = sigmoid(ai + pi * c), sigmoid(af + pf * c)
            c = f * c + i * np.tanh(ac)
            o = sigmoid(ao + po * c)
            h = o * np.tanh(c)
        out[t], cells[t] = h, c
    return out, cells
