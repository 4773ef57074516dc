"""Our own activations against float64 and mpmath, over the whole range of float32."""

from __future__ import annotations

import itertools
from typing import Any

import mpmath
import numpy as np
import numpy.typing as npt
import pytest
from kinds.formulas import activate

from ostinato.activations import FUNCTIONS
from ostinato.kernels import arrays
from ostinato.model.activation import Activation

Floats = npt.NDArray[np.float32]
SMALLEST = np.finfo(np.float32).smallest_normal
LARGEST = np.float32(np.finfo(np.float32).max)
ODD = np.array([0.0, -0.0, np.inf, -np.inf, np.nan, 1e-45, -1e-45, 1e-39, -1e-39, LARGEST, -LARGEST], np.float32)


def everywhere(step: int = 9973) -> Floats:
    """float32 bit patterns, evenly spread: all exponents, both signs, NaNs too; and the odd ones."""
    patterns = np.arange(0, 1 << 32, step, dtype=np.uint64).astype(np.uint32)
    return np.concatenate([patterns.view(np.float32), ODD])


def flushed(x: Floats) -> Floats:
    """Denormals as zeros of their sign."""
    return np.where(np.abs(x) < SMALLEST, np.copysign(np.float32(0), x), x)


def ulps(found: Floats, exact: npt.NDArray[np.float64]) -> npt.NDArray[np.float64]:
    """Distance in units in the last place of the exact value, which is zero where it is denormal; 0 where both are
    the same infinity or NaN."""
    with np.errstate(over="ignore", invalid="ignore"):
        rounded = flushed(exact.astype(np.float32))
        exact = np.where(rounded == 0, 0, exact)
        same = (found == rounded) | (np.isnan(found) & np.isnan(rounded))
        distance: npt.NDArray[np.float64] = np.abs(found.astype(np.float64) - exact) / np.abs(np.spacing(rounded))
    return np.where(same, 0.0, distance)


@pytest.mark.parametrize("name", FUNCTIONS)
def test_values_over_all_floats(name: str) -> None:
    for alpha, beta in [(None, None)] if name in ("tanh", "sigmoid") else [(None, None), (0.75, -0.5)]:
        found = arrays.activate(name, everywhere(), alpha, beta)
        x = flushed(everywhere())
        with np.errstate(all="ignore"):
            want = activate(Activation(name, alpha, beta), x.astype(np.float64))  # type: ignore[arg-type]
            narrow = want.astype(np.float32)
            error = np.abs(found - want) / np.maximum(1, np.abs(want))
        infinite = np.isinf(narrow) | np.isnan(narrow)
        infinite |= np.abs(np.nan_to_num(want)) >= LARGEST  # rounding decides
        assert np.nanmax(np.where(infinite, 0, error)) <= 3e-7
        strange = np.isnan(x) | np.isinf(x)
        np.testing.assert_array_equal(found[strange], narrow[strange])


@pytest.mark.parametrize("name", FUNCTIONS)
def test_nan_stays_nan(name: str) -> None:
    assert np.isnan(arrays.activate(name, [np.nan] * 17)).all()


def test_bounded_activations_stay_within_bounds() -> None:
    x = everywhere()
    x = x[~np.isnan(x)]
    assert np.abs(arrays.activate("tanh", x)).max() == 1
    assert arrays.activate("sigmoid", x).min() == 0
    assert arrays.activate("sigmoid", x).max() == 1
    assert np.abs(arrays.activate("softsign", x)).max() == 1


def test_tanh_is_odd_and_exact_near_zero() -> None:
    x = everywhere()
    x = x[~np.isnan(x)]
    np.testing.assert_array_equal(arrays.activate("tanh", -x), -arrays.activate("tanh", x))
    small = x[np.abs(x) < 1e-4]
    assert ulps(arrays.activate("tanh", small), np.tanh(small.astype(np.float64))).max() <= 2


def test_exp_over_all_floats() -> None:
    x = everywhere()
    with np.errstate(all="ignore"):
        assert ulps(arrays.exp(x), np.exp(x.astype(np.float64))).max() <= 2


def test_log_over_all_floats() -> None:
    x = everywhere()
    with np.errstate(all="ignore"):
        exact = np.log(flushed(x).astype(np.float64))
    assert ulps(arrays.log(x), exact).max() <= 2
    assert (arrays.log([0.0, 1e-39, -1e-45]) == -np.inf).all()
    assert np.isnan(arrays.log([-SMALLEST, -1.0, -np.inf])).all()


def test_log_and_exp_where_cancellation_would_show() -> None:
    """Around 1 and 0, against arithmetic of 40 digits."""
    one = np.float32(1)
    near = np.array([one + k * np.spacing(one) for k in range(-40, 40)], np.float32)
    with mpmath.workdps(40):
        logarithms = np.array([float(mpmath.log(float(v))) for v in near])
        powers = np.array([float(mpmath.exp(float(v) - 1)) for v in near])
    assert ulps(arrays.log(near), logarithms).max() <= 2
    assert ulps(arrays.exp(near - one), powers).max() <= 2


def test_tanh_against_forty_digits() -> None:
    x = np.geomspace(1e-6, 12, 400).astype(np.float32)
    with mpmath.workdps(40):
        exact = np.array([float(mpmath.tanh(float(v))) for v in x])
    assert np.abs(arrays.activate("tanh", x) / exact - 1).max() <= 4e-7


def test_erf_against_forty_digits() -> None:
    x = np.concatenate([np.geomspace(1e-30, 1, 300), np.linspace(0.99, 1.01, 50), np.linspace(1, 6, 300)])
    x = x.astype(np.float32)
    with mpmath.workdps(40):
        exact = np.array([float(mpmath.erf(float(v))) for v in x])
    assert np.abs(arrays.activate("erf", x) / exact - 1).max() <= 4e-7
    np.testing.assert_array_equal(arrays.activate("erf", -x), -arrays.activate("erf", x))
    assert np.nanmax(np.abs(arrays.activate("erf", everywhere()))) == 1


def test_gelu_in_its_tail_against_forty_digits() -> None:
    """Below zero, where 1 + erf(x / sqrt(2)) cancels."""
    x = np.linspace(-9, 0, 400, endpoint=False).astype(np.float32)
    with mpmath.workdps(40):
        exact = np.array([float(mpmath.erfc(-mpmath.mpf(float(v)) / mpmath.sqrt(2)) * float(v) / 2) for v in x])
    assert np.abs(arrays.activate("gelu", x) / exact - 1).max() <= 1e-5
    assert (np.diff(arrays.activate("gelu", np.linspace(-30, -10, 50))) <= 0).all()


@pytest.mark.parametrize(("name", "exact"), [("sqrt", np.sqrt), ("reciprocal", np.reciprocal), ("square", np.square)])
def test_what_the_processor_rounds_is_rounded_once(name: str, exact: Any) -> None:
    x = flushed(everywhere())
    with np.errstate(all="ignore"):
        np.testing.assert_array_equal(arrays.activate(name, x), flushed(exact(x)))


@pytest.mark.parametrize("name", FUNCTIONS)
def test_infinities_go_to_the_limits_and_denormals_are_zeros(name: str) -> None:
    limits = {
        "sqrt": (np.nan, np.inf), "log": (np.nan, np.inf), "reciprocal": (0, 0), "exp": (0, np.inf), "erf": (-1, 1),
        "abs": (np.inf, np.inf), "square": (np.inf, np.inf), "clip": (-np.inf, np.inf), "silu": (0, np.inf),
        "hard-swish": (0, np.inf), "gelu": (0, np.inf), "gelu-tanh": (0, np.inf), "celu": (-1, np.inf),
        "selu": (-1.7580993408473766, np.inf),
    }  # fmt: skip
    if name in limits:
        np.testing.assert_allclose(arrays.activate(name, [-np.inf, np.inf]), limits[name], rtol=1e-6)
    tiny = np.array([1e-45, -1e-39], np.float32)
    assert arrays.activate(name, tiny).tobytes() == arrays.activate(name, np.copysign(0, tiny)).tobytes()


def test_clip_with_bounds_the_wrong_way_round_gives_the_upper_one() -> None:
    """As ONNX says of Clip."""
    assert (arrays.activate("clip", [-3, 0, 3], 1.0, -1.0) == -1).all()


@pytest.mark.parametrize("length", [0, 1, 15, 16, 17, 100])
def test_a_value_does_not_depend_on_its_place(length: int) -> None:
    x = np.random.default_rng(length).standard_normal(length).astype(np.float32)
    for function in (arrays.exp, lambda v: arrays.log(np.abs(v)), lambda v: arrays.activate("softplus", v)):
        alone = np.array([function(v) for v in x], np.float32)
        np.testing.assert_array_equal(function(x).view(np.uint32), alone.view(np.uint32))


def test_shapes_are_kept_and_the_input_too() -> None:
    x = np.arange(24, dtype=np.float32).reshape(2, 3, 4)
    before = x.copy()
    assert arrays.exp(x).shape == (2, 3, 4)
    np.testing.assert_array_equal(x, before)
    assert arrays.log(np.float32(1)).shape == ()


def test_an_unknown_activation_is_refused_by_name() -> None:
    with pytest.raises(ValueError, match="unknown activation 'maxout'"):
        arrays.activate("maxout", [1.0])


@pytest.mark.parametrize(
    ("rows", "inputs", "outputs"), [*itertools.product((1, 2, 3, 5, 67), (1, 40, 257), (1, 16, 25, 80))]
)
def test_multiply(rows: int, inputs: int, outputs: int) -> None:
    rng = np.random.default_rng(rows * inputs * outputs)
    matrix, bias = rng.standard_normal((inputs, outputs)), rng.standard_normal(outputs)
    x = rng.standard_normal((rows, inputs)).astype(np.float32)
    packed = arrays.pack_matrix(matrix, bias)
    found = arrays.multiply(packed, x)
    exact = x.astype(np.float64) @ matrix.astype(np.float32) + bias.astype(np.float32)
    np.testing.assert_allclose(found, exact, atol=2e-6 * inputs, rtol=0)
    for r in range(rows):
        np.testing.assert_array_equal(arrays.multiply(packed, x[r : r + 1])[0], found[r])


def test_multiply_refuses_rows_that_do_not_fit() -> None:
    packed = arrays.pack_matrix(np.ones((3, 2)))
    with pytest.raises(ValueError, match=r"is not \[n, 3\]"):
        arrays.multiply(packed, np.ones((5, 4), np.float32))
    assert arrays.multiply(packed, np.ones((0, 3), np.float32)).shape == (0, 2)
