"""Activation functions as vector code: our own, because the library's give other bits on other CPUs.

Errors, over all float32 and against float64 (tests/test_kernels_activations.py): tanh and sigmoid 2e-7 of their
range, exp and log 2 units in the last place. NaN stays NaN; infinities go to the limits. Denormals are zeros, as in
all kernels (`float_mode`): where an activation selects rather than computes, its argument must be a computed one.
"""

from __future__ import annotations

import math

from ostinato.activations import FUNCTIONS
from ostinato.kernels.compiler import part, routine
from ostinato.kernels.simd import (
    BYTES,
    ROUNDER,
    Lanes,
    exponent,
    fma,
    load,
    mantissa,
    scale,
    splat,
    store,
    where_less,
)

# tanh(x) = x P(x^2) / Q(x^2): fitted by least squares, reweighted (Lawson 1961) towards the least largest relative
# error, which is 2.1e-8 for |x| <= 9.02, where tanh rounds to 1.
_TANH_LIMIT = 9.02
_P = (1.331907942e-08, 2.058348668e-05, 3.494034879e-03, 1.337971820e-01, 9.999999790e-01)
_Q = (7.762022526e-07, 3.283093370e-04, 2.587107439e-02, 4.671303344e-01, 1.0)


@part
def clip(x: Lanes, limit: float) -> Lanes:
    """The vector x within [-limit, limit]; NaN stays."""
    x = where_less(splat(limit), x, splat(limit), x)
    return where_less(x, splat(-limit), splat(-limit), x)


@part
def tanh(x: Lanes) -> Lanes:
    """(e^x - e^-x) / (e^x + e^-x)."""
    x = clip(x, _TANH_LIMIT)
    s = x * x
    p = fma(splat(_P[0]), s, splat(_P[1]))
    q = fma(splat(_Q[0]), s, splat(_Q[1]))
    p = fma(p, s, splat(_P[2]))
    q = fma(q, s, splat(_Q[2]))
    p = fma(p, s, splat(_P[3]))
    q = fma(q, s, splat(_Q[3]))
    p = fma(p, s, splat(_P[4]))
    q = fma(q, s, splat(_Q[4]))
    return clip(x * (p / q), 1.0)


@part
def sigmoid(x: Lanes) -> Lanes:
    """1 / (1 + e^-x) = tanh(x / 2) / 2 + 1/2."""
    half = splat(0.5)
    return fma(half, tanh(half * x), half)


# exp(x) = 2^n e^r with |r| <= ln 2 / 2, ln 2 in two parts (Cody and Waite 1980), e^r = 1 + r + r^2 E(r); log(m 2^n)
# = n ln 2 + f - f^2/2 + f^3 L(f) with f = m - 1, sqrt(1/2) <= m < sqrt(2). E and L fitted likewise, to 3e-9 and 6e-9.
_LOG2_E = math.log2(math.e)
_LN2_HIGH, _LN2_LOW = 0.693359375, -2.12194440e-4
_E = (1.381446712e-03, 8.368780673e-03, 4.166839423e-02, 1.666652011e-01, 4.999999341e-01)
_L = (
    -7.634504940e-02, 1.276159070e-01, -1.316018575e-01, 1.420175642e-01, -1.662335686e-01, 2.000122693e-01,
    -2.500082105e-01, 3.333333171e-01,
)  # fmt: skip


@part
def exp(x: Lanes) -> Lanes:
    """Powers e^x, from zero to infinity."""
    x = where_less(splat(90.0), x, splat(90.0), x)
    x = where_less(x, splat(-105.0), splat(-105.0), x)
    power = fma(x, splat(_LOG2_E), splat(ROUNDER))
    n = power - splat(ROUNDER)
    r = fma(n, splat(-_LN2_HIGH), x)
    r = fma(n, splat(-_LN2_LOW), r)
    p = fma(splat(_E[0]), r, splat(_E[1]))
    p = fma(p, r, splat(_E[2]))
    p = fma(p, r, splat(_E[3]))
    p = fma(p, r, splat(_E[4]))
    return scale(fma(p, r * r, r) + splat(1.0), power)


@part
def log(x: Lanes) -> Lanes:
    """Natural logarithm; of 0 -infinity, of negative numbers NaN."""
    n = exponent(x)
    f = mantissa(x) - splat(1.0)
    p = fma(splat(_L[0]), f, splat(_L[1]))
    p = fma(p, f, splat(_L[2]))
    p = fma(p, f, splat(_L[3]))
    p = fma(p, f, splat(_L[4]))
    p = fma(p, f, splat(_L[5]))
    p = fma(p, f, splat(_L[6]))
    p = fma(p, f, splat(_L[7]))
    s = f * f
    y = fma(s * f, p, n * splat(_LN2_LOW))
    y = fma(s, splat(-0.5), y) + f
    y = fma(n, splat(_LN2_HIGH), y)
    infinity = splat(math.inf)
    y = where_less(x, infinity, y, x)  # infinity and NaN
    y = where_less(
        splat(0.0), x, y, x - infinity
    )  # 0 gives -infinity, and so does, for now, a negative number; NaN stays
    return where_less(x, splat(0.0), splat(math.nan), y)


# --- the ONNX activations -------------------------------------------------------------------------------------------

_RELU, _TANH, _SIGMOID, _AFFINE, _LEAKY, _THRESHOLDED, _SCALED, _HARD, _ELU, _SOFTSIGN, _SOFTPLUS = (
    FUNCTIONS[name].number
    for name in (
        "relu", "tanh", "sigmoid", "affine", "leaky-relu", "thresholded-relu", "scaled-tanh", "hard-sigmoid", "elu",
        "softsign", "softplus",
    )
)  # fmt: skip


@part
def apply(number: int, x: Lanes, alpha: Lanes, beta: Lanes) -> Lanes:
    """Activation ``number`` of `ostinato.activations.FUNCTIONS`."""
    zero = splat(0.0)
    one = splat(1.0)
    if number == _RELU:
        return where_less(x, zero, zero, x)
    if number == _TANH:
        return tanh(x)
    if number == _SIGMOID:
        return sigmoid(x)
    if number == _AFFINE:
        return fma(alpha, x, beta)
    if number == _LEAKY:
        return where_less(x, zero, alpha * x, x)
    if number == _THRESHOLDED:
        return where_less(alpha, x, x, where_less(x, alpha, zero, x - x))
    if number == _SCALED:
        return alpha * tanh(beta * x)
    if number == _HARD:
        y = fma(alpha, x, beta)
        y = where_less(y, zero, zero, y)
        return where_less(one, y, one, y)
    if number == _ELU:
        t = tanh(splat(0.5) * x)  # e^x - 1 = 2 t / (1 - t), without cancellation
        return where_less(x, zero, alpha * ((t + t) / (one - t)), x)
    if number == _SOFTSIGN:
        x = clip(x, 1e9)  # from there on +-1, also for infinities
        return x / (one + where_less(x, zero, zero - x, x))
    if number == _SOFTPLUS:
        u = exp(where_less(x, zero, x, zero - x))
        w = one + u
        y = log(w) - ((w - one) - u) / w  # log(1 + u), with what rounding took from w given back
        return where_less(zero, x, x + y, y)
    return x


@routine("void(int64, float64, float64, int64, int64)")
def activate(number: int, alpha: float, beta: float, address: int, count: int) -> None:
    """Activation ``number`` of `ostinato.activations.FUNCTIONS` on ``count`` vectors in place."""
    a = splat(alpha)
    b = splat(beta)
    for i in range(count):
        at = address + i * BYTES
        store(at, apply(number, load(at), a, b))
