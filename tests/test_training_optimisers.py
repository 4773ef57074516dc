"""Optimisers against their formulas in float64 over many steps; clipping; schedules."""

from __future__ import annotations

import math
from collections.abc import Callable
from typing import Any

import numpy as np
import numpy.typing as npt
import pytest

from ostinato.errors import TrainingError
from ostinato.training import (
    Adam,
    AdamW,
    Constant,
    Cosine,
    Linear,
    Optimiser,
    Plateau,
    RmsProp,
    Schedule,
    Sgd,
    StepDecay,
    Trapezoid,
    Warmup,
)
from ostinato.training.optimisers import OPTIMISERS
from ostinato.training.schedules import SCHEDULES

Array = npt.NDArray[np.float64]
Formula = Callable[[dict[str, Array], Array, Array, float, int], Array]
"""What a weight becomes: of its moments, itself, its clipped gradient, the rate and the step from 1 on."""


def adam(kept: dict[str, Array], w: Array, g: Array, rate: float, t: int) -> Array:
    m = kept["m"] = 0.8 * kept.get("m", 0 * w) + 0.2 * g
    v = kept["v"] = 0.95 * kept.get("v", 0 * w) + 0.05 * g**2
    return w - rate * (m / (1 - 0.8**t)) / (np.sqrt(v / (1 - 0.95**t)) + 1e-6)


def adamw(kept: dict[str, Array], w: Array, g: Array, rate: float, t: int) -> Array:
    return adam(kept, w, g, rate, t) - (rate * 0.1 * w if w.ndim > 1 else 0)


def sgd(kept: dict[str, Array], w: Array, g: Array, rate: float, t: int) -> Array:
    v = kept["v"] = 0.7 * kept.get("v", 0 * w) + g
    return w - rate * v


def nesterov(kept: dict[str, Array], w: Array, g: Array, rate: float, t: int) -> Array:
    """Sutskever et al. 2013, equations 3 and 4, of the weights that are looked ahead to: ``w`` = theta + mu u."""
    u = kept.get("u", 0 * w)
    theta = w - 0.7 * u
    u = kept["u"] = 0.7 * u - rate * g
    return theta + u + 0.7 * u


def rmsprop(kept: dict[str, Array], w: Array, g: Array, rate: float, t: int) -> Array:
    v = kept["v"] = 0.9 * kept.get("v", 0 * w) + 0.1 * g**2
    u = kept["u"] = 0.5 * kept.get("u", 0 * w) + g / (np.sqrt(v) + 1e-6)
    return w - rate * u


CONSTANT, VARIED = Constant(0.05), Warmup(Cosine(0.05, 15), 5)
MADE: dict[str, tuple[Callable[[], Optimiser], Formula, Schedule]] = {
    "adam": (lambda: Adam(VARIED, beta1=0.8, beta2=0.95, epsilon=1e-6, clip_norm=3.0), adam, VARIED),
    "adamw": (
        lambda: AdamW(VARIED, beta1=0.8, beta2=0.95, epsilon=1e-6, weight_decay=0.1, clip_norm=3.0), adamw, VARIED,
    ),
    "sgd": (lambda: Sgd(VARIED, momentum=0.7, clip_norm=3.0), sgd, VARIED),
    "nesterov": (lambda: Sgd(CONSTANT, momentum=0.7, nesterov=True, clip_norm=3.0), nesterov, CONSTANT),
    "rmsprop": (lambda: RmsProp(VARIED, decay=0.9, momentum=0.5, epsilon=1e-6, clip_norm=3.0), rmsprop, VARIED),
}  # fmt: skip


def test_every_optimiser_is_there() -> None:
    assert {type(make()) for make, _, _ in MADE.values()} == set(OPTIMISERS.values())


@pytest.mark.parametrize("dtype", [np.float32, np.float64])
@pytest.mark.parametrize("name", MADE)
def test_many_steps_follow_the_formula(name: str, dtype: type) -> None:
    make, formula, schedule = MADE[name]
    random, optimiser = np.random.default_rng(0), make()
    expected = {"W": random.normal(size=(3, 4)), "b": random.normal(size=4)}
    w: dict[str, npt.NDArray[Any]] = {part: a.astype(dtype) for part, a in expected.items()}
    kept: dict[str, dict[str, Array]] = {part: {} for part in expected}
    for t in range(20):
        g = {part: random.normal(size=a.shape) for part, a in expected.items()}
        norm = math.sqrt(sum((a**2).sum() for a in g.values()))
        assert optimiser.step(w, {n: a.astype(dtype) for n, a in g.items()}) == pytest.approx(norm, rel=1e-6)
        for part, a in expected.items():
            expected[part] = formula(kept[part], a, g[part] * min(1, 3 / norm), schedule(t), t + 1)
    for part, a in expected.items():
        np.testing.assert_allclose(w[part], a, rtol=1e-12 if dtype is np.float64 else 1e-4)


def test_two_steps_of_adam_by_hand() -> None:
    """Kingma and Ba 2015, algorithm 1: m = 0.1 g, v = 0.001 g^2, so the corrected first step is exactly the rate."""
    w = {"w": np.array([1.0])}
    optimiser = Adam(0.1)
    optimiser.step(w, {"w": np.array([2.0])})
    assert w["w"][0] == pytest.approx(1 - 0.1, abs=1e-8)
    optimiser.step(w, {"w": np.array([-1.0])})
    m = (0.9 * 0.2 - 0.1) / (1 - 0.9**2)
    v = (0.999 * 0.004 + 0.001) / (1 - 0.999**2)
    assert w["w"][0] == pytest.approx(0.9 - 0.1 * m / (math.sqrt(v) + 1e-8), abs=1e-8)


@pytest.mark.parametrize("name", MADE)
def test_state_goes_on_alike(name: str) -> None:
    random, make = np.random.default_rng(0), MADE[name][0]
    gradients = [{"w": random.normal(size=5)} for _ in range(6)]
    one, two = {"w": np.ones(5)}, {"w": np.ones(5)}
    first, second, third = make(), make(), make()
    for g in gradients[:3]:
        first.step(one, g)
        second.step(two, g)
    third.restore(second.state())
    for g in gradients[3:]:
        first.step(one, g)
        third.step(two, g)
    np.testing.assert_array_equal(one["w"], two["w"])


@pytest.mark.parametrize("name", MADE)
def test_gradients_that_are_not_finite_change_nothing(name: str) -> None:
    w, optimiser = {"w": np.ones(3)}, MADE[name][0]()
    with pytest.raises(TrainingError, match="not finite"):
        optimiser.step(w, {"w": np.array([1.0, np.nan, 0.0])})
    assert optimiser.steps == 0 and np.all(w["w"] == 1)


def test_schedules() -> None:
    def rates(schedule: Schedule, *steps: int) -> Any:
        return pytest.approx([schedule(step) for step in steps])

    assert rates(Constant(0.3), 0, 10**9) == [0.3, 0.3]
    assert rates(Linear(2.0, total=100, floor=0.5), 0, 50, 100, 10**6) == [2.0, 1.25, 0.5, 0.5]
    assert rates(Cosine(2.0, total=100, floor=0.5), 0, 50, 100, 10**6) == [2.0, 1.25, 0.5, 0.5]
    assert rates(Trapezoid(2.0, 100, 0.4, 0.5), 0, 60, 80, 100, 10**6) == [2.0, 2.0, 1.25, 0.5, 0.5]
    assert rates(Trapezoid(2.0, 100, 0.0), 0, 99) == [2.0, 2.0]
    assert rates(StepDecay(1.0, every=10, factor=0.5), 0, 9, 10, 29) == [1.0, 1.0, 0.5, 0.25]
    assert rates(Warmup(Cosine(2.0, 100, 0.5), 10), 0, 4, 9, 10, 60, 110) == [0.2, 1.0, 2.0, 2.0, 1.25, 0.5]
    assert {"constant", "linear", "cosine", "trapezoid", "step", "plateau", "warmup"} == set(SCHEDULES)
    for wrong in (lambda: Constant(-1), lambda: Cosine(math.nan, 10), lambda: StepDecay(1.0, every=0)):
        with pytest.raises(TrainingError, match="is not finite and at least"):
            wrong()
    with pytest.raises(TrainingError, match=r"share = 1\.5 is not from 0 to 1"):
        Trapezoid(1.0, 10, 1.5)


def test_a_plateau_lowers_the_rate_and_goes_on_from_its_state() -> None:
    plateau = Plateau(1.0, factor=0.5, patience=1, floor=0.3)
    seen = []
    for score in (5.0, 4.0, 4.5, 4.0, 3.0, 3.0, 3.0, 3.0, 3.0):
        plateau.observe(score)
        seen.append(plateau(0))
    assert seen == [1.0, 1.0, 1.0, 0.5, 0.5, 0.5, 0.3, 0.3, 0.3]
    optimiser = Sgd(Warmup(plateau, 2))
    again = Sgd(Warmup(Plateau(1.0, factor=0.5, patience=1, floor=0.3), 2))
    again.restore(optimiser.state())
    assert again.schedule == optimiser.schedule and again.rate == 0.15
