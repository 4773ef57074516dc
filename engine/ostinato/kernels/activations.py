"""Activation functions as vector code: our own, because the library's give other bits on other CPUs.

Errors, over all float32 and against float64 (tests/test_kernels_activations.py): tanh and sigmoid 2e-7 of their
range, exp and log 2 units in the last place, erf 4e-7 of its value, sqrt and reciprocal none but rounding. NaN stays
NaN; infinities go to the limits. Denormals are zeros, as in
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
    sqrt,
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


@part
def expm1_below_zero(x: Lanes) -> Lanes:
    """Values e^x - 1 for x <= 0, without cancellation."""
    t = tanh(splat(0.5) * x)
    return (t + t) / (splat(1.0) - t)


# erfc(z) = 1 - erf(z) = e^(-z^2) t T(t) for z >= 0, with t = 1 / (1 + 0.3 z) (a form of Hastings' 1955); erf(x) =
# x S(x^2) for |x| <= 1. T and S fitted as above, to 2e-8 and 1e-9.
_T = (
    -1.294570340e-01, 4.852175426e-01, -5.115003307e-01, 5.467414440e-01, -9.389879301e-02, 2.145653001e-01,
    1.484445481e-01, 1.706981176e-01, 1.691891859e-01,
)  # fmt: skip
_S = (
    7.853811951e-05, -8.010180087e-04, 5.188326310e-03, -2.685381130e-02, 1.128358514e-01, -3.761262582e-01,
    1.128379166e+00,
)  # fmt: skip
_ROOT_HALF = math.sqrt(0.5)
_GELU_INNER, _GELU_CUBIC = math.sqrt(2 / math.pi), 0.044715


@part
def magnitude(x: Lanes) -> Lanes:
    """|x|."""
    zero = splat(0.0)
    return where_less(x, zero, zero - x, x + zero)


@part
def erfc_above_zero(z: Lanes) -> Lanes:
    """1 - erf(z) for z >= 0; 0 from about 9.3 on, where it is below all normal numbers."""
    z = clip(z, 10.0)
    t = splat(1.0) / fma(splat(0.3), z, splat(1.0))
    p = fma(splat(_T[0]), t, splat(_T[1]))
    p = fma(p, t, splat(_T[2]))
    p = fma(p, t, splat(_T[3]))
    p = fma(p, t, splat(_T[4]))
    p = fma(p, t, splat(_T[5]))
    p = fma(p, t, splat(_T[6]))
    p = fma(p, t, splat(_T[7]))
    p = fma(p, t, splat(_T[8]))
    return exp(splat(0.0) - z * z) * (p * t)


@part
def erf(x: Lanes) -> Lanes:
    """The error function."""
    s = x * x
    p = fma(splat(_S[0]), s, splat(_S[1]))
    p = fma(p, s, splat(_S[2]))
    p = fma(p, s, splat(_S[3]))
    p = fma(p, s, splat(_S[4]))
    p = fma(p, s, splat(_S[5]))
    p = fma(p, s, splat(_S[6]))
    z = magnitude(x)
    y = splat(1.0) - erfc_above_zero(z)
    y = where_less(x, splat(0.0), splat(0.0) - y, y)
    return where_less(z, splat(1.0), x * p, y)


@part
def gelu(x: Lanes) -> Lanes:
    """Values x (1 + erf(x / sqrt(2))) / 2, by the tail that is small: nothing cancels."""
    tail = x * (splat(0.5) * erfc_above_zero(splat(_ROOT_HALF) * magnitude(x)))
    y = where_less(x, splat(0.0), tail, x - tail)
    y = where_less(x, splat(-20.0), splat(0.0), y)  # from here on, infinities too
    return where_less(splat(20.0), x, x, y)


@part
def times_sigmoid(x: Lanes, y: Lanes) -> Lanes:
    """Values x / (1 + e^-y)."""
    e = exp(splat(0.0) - y)
    return where_less(splat(3e38), e, splat(0.0), x / (splat(1.0) + e))


# --- the activations -------------------------------------------------------------------------------------------

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
        return where_less(x, zero, alpha * expm1_below_zero(x), x)
    if number == _SOFTSIGN:
        x = clip(x, 1e9)  # from there on +-1, also for infinities
        return x / (one + magnitude(x))
    if number == _SOFTPLUS:
        u = exp(where_less(x, zero, x, zero - x))
        w = one + u
        y = log(w) - ((w - one) - u) / w  # log(1 + u), with what rounding took from w given back
        return where_less(zero, x, x + y, y)
    if number == _CLIP:
        x = where_less(x, alpha, alpha, x)
        return where_less(beta, x, beta, x)
    if number == _ABS:
        return magnitude(x)
    if number == _SQUARE:
        return x * x
    if number == _SQRT:
        return where_less(x, zero, splat(math.nan), sqrt(x))  # one NaN on all hosts
    if number == _RECIPROCAL:
        return one / x
    if number == _EXP:
        return exp(x)
    if number == _LOG:
        return log(x)
    if number == _ERF:
        return erf(x)
    if number == _SILU:
        return times_sigmoid(x, alpha * x)
    if number == _HARD_SWISH:
        y = fma(alpha, x, beta)
        z = where_less(one, y, one, y)
        return where_less(y, zero, zero, x * z)
    if number == _GELU:
        return gelu(x)
    if number == _GELU_TANH:  # (1 + tanh(u)) / 2 = sigmoid(2 u)
        u = splat(_GELU_INNER) * fma(splat(_GELU_CUBIC) * x, x * x, x)
        return times_sigmoid(x, u + u)
    if number == _SELU:
        return beta * where_less(x, zero, alpha * expm1_below_zero(x), x)
    if number == _CELU:
        return where_less(x, zero, alpha * expm1_below_zero(x / alpha), x)
    return x


@routine("void(int64, float64, float64, int64, int64)")
def activate(number: int, alpha: float, beta: float, address: int, count: int) -> None:
    """Activation ``number`` of `ostinato.activations.FUNCTIONS` on ``count`` vectors in place."""
    a = splat(alpha)
    b = splat(beta)
    for i in range(count):
        at = address + i * BYTES
        store(at, apply(number, load(at), a, b))
