"""Activation functions and their slopes, for learning: Numba scalars, float32 and float64, and vectors.

The formulas are those of the ONNX RNN operators (opset 22). In float32, tanh is a rational approximation (to about
3e-7) that the compiler can vectorise, of vectors the kernels' own; in float64 it is exact to rounding, for the finite
differences that check the gradients.
"""
# mypy: disable-error-code="untyped-decorator"

from __future__ import annotations

import math
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
from numba import njit, types
from numba.extending import overload

from ostinato.activations import FUNCTIONS, parameters
from ostinato.kernels import activations as kernels
from ostinato.kernels.cache import folder_of, keep
from ostinato.kernels.simd import vector
from ostinato.model.activation import Activation
from ostinato.training.packing import Array

OPTIONS: Any = {"error_model": "numpy"}
"""No fast mathematics: what a function computes would depend on what it was compiled into, so the process that
compiles would learn other bits than those that load what it has kept. What should be fast is written in vectors."""


def compiled(function: Callable[..., Any]) -> Any:
    """For learning: compiled on first use for float32 or float64, vectorised where it can be, and kept as kernels
    are."""
    return kept(njit(**OPTIONS, nogil=True)(function))


def kept(function: Any) -> Any:
    """A dispatcher of Numba's whose compiled code later processes load (`kernels.cache`)."""
    keep(function, lambda: folder_of(Path(__file__).parent))
    return function


def settings(activation: Activation, dtype: Any) -> tuple[int, Any, Any]:
    """(code, alpha, beta) of an activation, defaults filled in, as the functions below take them."""
    code, alpha, beta = parameters(activation.name, activation.alpha, activation.beta)
    scalar = np.dtype(dtype).type
    return code, scalar(alpha), scalar(beta)


# Rational minimax approximation of tanh by Eigen (generic_fast_tanh_float): odd of degree 13 over even of degree 6.
_LIMIT = np.float32(7.90531110763549805)
_P1, _P3, _P5, _P7, _P9, _P11, _P13 = (
    np.float32(c)
    for c in (
        4.89352455891786e-03,
        6.37261928875436e-04,
        1.48572235717979e-05,
        5.12229709037114e-08,
        -8.60467152213735e-11,
        2.00018790482477e-13,
        -2.76076847742355e-16,
    )
)
_Q0, _Q2, _Q4, _Q6 = (
    np.float32(c) for c in (4.89352518554385e-03, 2.26843463243900e-03, 1.18534705686654e-04, 1.19825839466702e-06)
)
_HALF = np.float32(0.5)


def tanh(x: Any) -> Any:
    """Hyperbolic tangent, in the precision of x."""
    return math.tanh(x)


def sigmoid(x: Any) -> Any:
    """1 / (1 + exp(-x)), in the precision of x."""
    return 0.5 * math.tanh(0.5 * x) + 0.5


def _tanh32(x: Any) -> Any:
    x = min(max(x, -_LIMIT), _LIMIT)
    s = x * x
    p = s * _P13 + _P11
    p = s * p + _P9
    p = s * p + _P7
    p = s * p + _P5
    p = s * p + _P3
    p = x * (s * p + _P1)
    q = s * _Q6 + _Q4
    q = s * q + _Q2
    return p / (s * q + _Q0)


@overload(tanh, jit_options=OPTIONS, strict=False)
def _tanh(x: Any) -> Any:
    if x == vector:
        return lambda x: kernels.tanh(x)
    return _tanh32 if x == types.float32 else lambda x: math.tanh(x)


@overload(sigmoid, jit_options=OPTIONS, strict=False)
def _sigmoid(x: Any) -> Any:
    if x == vector:
        return lambda x: kernels.sigmoid(x)
    if x == types.float32:
        return lambda x: _HALF * tanh(_HALF * x) + _HALF
    return lambda x: 1.0 / (1.0 + math.exp(-x))


def like(one: Any, value: Any) -> Any:
    """``value`` in the type of ``one``."""
    return type(one)(value)


@overload(like, jit_options=OPTIONS, strict=False)
def _like(one: Any, value: Any) -> Any:
    if one == types.float32:
        return lambda one, value: np.float32(value)
    return lambda one, value: np.float64(value)


(
    _RELU, _TANH, _SIGMOID, _AFFINE, _LEAKY, _THRESHOLDED, _SCALED, _HARD, _ELU, _SOFTSIGN, _SOFTPLUS, _CLIP, _ABS,
    _SQUARE, _SQRT, _RECIPROCAL, _EXP, _LOG, _ERF, _SILU, _HARD_SWISH, _GELU, _GELU_TANH, _SELU, _CELU,
) = (
    FUNCTIONS[name].number
    for name in (
        "relu", "tanh", "sigmoid", "affine", "leaky-relu", "thresholded-relu", "scaled-tanh", "hard-sigmoid", "elu",
        "softsign", "softplus", "clip", "abs", "square", "sqrt", "reciprocal", "exp", "log", "erf", "silu",
        "hard-swish", "gelu", "gelu-tanh", "selu", "celu",
    )
)  # fmt: skip

_ROOT_HALF, _INNER, _CUBIC = math.sqrt(0.5), math.sqrt(2 / math.pi), 0.044715
_ERF_SLOPE, _BELL = 2 / math.sqrt(math.pi), 1 / math.sqrt(2 * math.pi)


@compiled
def activate(code: int, alpha: Any, beta: Any, one: Any, x: Any) -> Any:
    """f(x) of the activation with this code (its number in `ostinato.activations.FUNCTIONS`).

    ``one`` is 1 in the type of x, as a literal would widen float32 to float64.
    """
    zero = one - one
    if code == _RELU:
        return max(x, zero)
    if code == _TANH:
        return tanh(x)
    if code == _SIGMOID:
        return sigmoid(x)
    if code == _AFFINE:
        return alpha * x + beta
    if code == _LEAKY:
        return x if x >= zero else alpha * x
    if code == _THRESHOLDED:
        return x if x > alpha else zero
    if code == _SCALED:
        return alpha * tanh(beta * x)
    if code == _HARD:
        return min(max(alpha * x + beta, zero), one)
    if code == _ELU:
        return x if x >= zero else alpha * math.expm1(x)
    if code == _SOFTSIGN:
        return x / (one + abs(x))
    if code == _SOFTPLUS:
        return max(x, zero) + math.log1p(math.exp(-abs(x)))
    if code == _CLIP:
        return min(max(x, alpha), beta)
    if code == _ABS:
        return abs(x)
    if code == _SQUARE:
        return x * x
    if code == _SQRT:
        return math.sqrt(x)
    if code == _RECIPROCAL:
        return one / x
    if code == _EXP:
        return math.exp(x)
    if code == _LOG:
        return math.log(x)
    if code == _ERF:
        return math.erf(x)
    if code == _SILU:
        return x * sigmoid(alpha * x)
    if code == _HARD_SWISH:
        return x * min(max(alpha * x + beta, zero), one)
    if code == _GELU:
        return x * like(one, 0.5) * math.erfc(-x * like(one, _ROOT_HALF))
    if code == _GELU_TANH:
        u = like(one, _INNER) * (x + like(one, _CUBIC) * x * x * x)
        return x * sigmoid(u + u)
    if code == _SELU:
        return beta * (x if x >= zero else alpha * math.expm1(x))
    if code == _CELU:
        return x if x >= zero else alpha * math.expm1(x / alpha)
    return x


@compiled
def slope(code: int, alpha: Any, beta: Any, one: Any, x: Any, y: Any) -> Any:
    """df/dx where y = f(x); at a kink, one of the two one-sided slopes."""
    zero = one - one
    if code == _RELU:
        return one if x > zero else zero
    if code == _TANH:
        return one - y * y
    if code == _SIGMOID:
        return y * (one - y)
    if code == _AFFINE:
        return alpha
    if code == _LEAKY:
        return one if x >= zero else alpha
    if code == _THRESHOLDED:
        return one if x > alpha else zero
    if code == _SCALED:
        u = tanh(beta * x)
        return alpha * beta * (one - u * u)
    if code == _HARD:
        return alpha if zero < y < one else zero
    if code == _ELU:
        return one if x >= zero else y + alpha
    if code == _SOFTSIGN:
        u = one / (one + abs(x))
        return u * u
    if code == _SOFTPLUS:
        return sigmoid(x)
    if code == _CLIP:
        return one if alpha < x < beta else zero
    if code == _ABS:
        return one if x > zero else -one
    if code == _SQUARE:
        return x + x
    if code == _SQRT:
        return one / (y + y)
    if code == _RECIPROCAL:
        return -y * y
    if code == _EXP:
        return y
    if code == _LOG:
        return one / x
    if code == _ERF:
        return like(one, _ERF_SLOPE) * math.exp(-x * x)
    if code == _SILU:
        u = sigmoid(alpha * x)
        return u + alpha * x * u * (one - u)
    if code == _HARD_SWISH:
        u = alpha * x + beta
        return zero if u <= zero else one if u >= one else u + alpha * x
    if code == _GELU:
        share = like(one, 0.5) * math.erfc(-x * like(one, _ROOT_HALF))
        return share + x * like(one, _BELL) * math.exp(like(one, -0.5) * x * x)
    if code == _GELU_TANH:
        cubic = like(one, _CUBIC) * x * x
        u = sigmoid(like(one, 2 * _INNER) * x * (one + cubic))
        return u + x * u * (one - u) * like(one, 2 * _INNER) * (one + cubic + cubic + cubic)
    if code == _SELU:
        return beta if x >= zero else y + alpha * beta
    if code == _CELU:
        return one if x >= zero else one + y / alpha
    return one


@compiled
def activate_all(code: int, alpha: Any, beta: Any, x: Array, y: Array) -> None:
    """Y <- f(x), for contiguous arrays of one shape [N, H]."""
    one = x.dtype.type(1)
    for row in range(x.shape[0]):
        for j in range(x.shape[1]):
            y[row, j] = activate(code, alpha, beta, one, x[row, j])


@compiled
def slope_all(code: int, alpha: Any, beta: Any, x: Array, y: Array, dy: Array, dx: Array) -> None:
    """Dx <- dy f'(x), where y = f(x), for contiguous arrays of one shape [N, H]."""
    one = x.dtype.type(1)
    for row in range(x.shape[0]):
        for j in range(x.shape[1]):
            dx[row, j] = dy[row, j] * slope(code, alpha, beta, one, x[row, j], y[row, j])
