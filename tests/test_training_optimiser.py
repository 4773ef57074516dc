"""Adam against steps computed by hand and by the formula; clipping; schedules."""

from __future__ import annotations

import math
from typing import Any

import numpy as np
import pytest

from ostinato.errors import TrainingError
from ostinato.training import Adam, WarmupCosine


def test_two_steps_by_hand() -> None:
    """Kingma and Ba 2015, algorithm 1: m = 0.1 g, v = 0.001 g^2, so the corrected first step is exactly the rate."""
    w = {"w": np.array([1.0])}
    adam = Adam(0.1)
    adam.step(w, {"w": np.array([2.0])})
    assert w["w"][0] == pytest.approx(1 - 0.1, abs=1e-8)
    adam.step(w, {"w": np.array([-1.0])})
    m = (0.9 * 0.2 - 0.1) / (1 - 0.9**2)
    v = (0.999 * 0.004 + 0.001) / (1 - 0.999**2)
    assert w["w"][0] == pytest.approx(0.9 - 0.1 * m / (math.sqrt(v) + 1e-8), abs=1e-8)


@pytest.mark.parametrize("dtype", [np.float32, np.float64])
def test_many_steps_with_decay_and_clipping_follow_the_formula(dtype: type) -> None:
    random = np.random.default_rng(0)
    start = {"W": random.normal(size=(3, 4)), "b": random.normal(size=4)}
    w: dict[str, np.ndarray[Any, Any]] = {name: a.astype(dtype) for name, a in start.items()}
    expected = {name: a.copy() for name, a in start.items()}
    m, v = ({name: np.zeros_like(a) for name, a in start.items()} for _ in range(2))
    schedule = WarmupCosine(0.05, total=20, warmup=5)
    adam = Adam(schedule, beta1=0.8, beta2=0.95, epsilon=1e-6, weight_decay=0.1, clip_norm=3.0)
    for t in range(20):
        g = {name: random.normal(size=a.shape) for name, a in start.items()}
        norm = math.sqrt(sum((a**2).sum() for a in g.values()))
        assert adam.step(w, {name: a.astype(dtype) for name, a in g.items()}) == pytest.approx(norm, rel=1e-6)
        for name in g:
            d = g[name] * min(1, 3 / norm)
            m[name] = 0.8 * m[name] + 0.2 * d
            v[name] = 0.95 * v[name] + 0.05 * d**2
            step = m[name] / (1 - 0.8 ** (t + 1)) / (np.sqrt(v[name] / (1 - 0.95 ** (t + 1))) + 1e-6)
            decay = 0.1 * expected[name] if name == "W" else 0
            expected[name] = expected[name] - schedule(t) * (step + decay)
    for name, a in expected.items():
        np.testing.assert_allclose(w[name], a, rtol=1e-12 if dtype is np.float64 else 3e-5)


def test_state_goes_on_alike() -> None:
    random = np.random.default_rng(0)
    gradients = [{"w": random.normal(size=5)} for _ in range(6)]
    one, two = {"w": np.ones(5)}, {"w": np.ones(5)}
    first, second = Adam(0.1), Adam(0.1)
    for g in gradients[:3]:
        first.step(one, g)
        second.step(two, g)
    third = Adam(0.1)
    third.restore(second.state())
    for g in gradients[3:]:
        first.step(one, g)
        third.step(two, g)
    np.testing.assert_array_equal(one["w"], two["w"])


def test_gradients_that_are_not_finite_change_nothing() -> None:
    w = {"w": np.ones(3)}
    adam = Adam(0.1)
    with pytest.raises(TrainingError, match="not finite"):
        adam.step(w, {"w": np.array([1.0, np.nan, 0.0])})
    assert adam.steps == 0 and np.all(w["w"] == 1)


def test_warm_up_then_cosine() -> None:
    rate = WarmupCosine(2.0, total=110, warmup=10, floor=0.5)
    assert [rate(0), rate(4), rate(9)] == pytest.approx([0.2, 1.0, 2.0])
    assert [rate(10), rate(60), rate(110), rate(10**6)] == pytest.approx([2.0, 1.25, 0.5, 0.5])
