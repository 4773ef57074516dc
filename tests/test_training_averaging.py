"""Averaged weights: the formula, that they are what is judged and kept, and that a pause changes no bit."""

from __future__ import annotations

import io
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from rich.console import Console

from ostinato.errors import TrainingError
from ostinato.model.decoders import Outputs
from ostinato.model.front_ends import Frames
from ostinato.model.layers import BatchNorm, Dense, Gru
from ostinato.model.specification import Sequential
from ostinato.training import AdamW, Batch, MeanSquaredError, TrainableNetwork, export, fit
from ostinato.training.averaging import WeightAverage

SPECIFICATION = Sequential("sum", Frames(3), (Gru(6), BatchNorm(), Dense(2)), Outputs())


def batches(count: int) -> Callable[[int], Iterator[Batch]]:
    """Sums of the frames so far, and noise."""

    def epoch(number: int) -> Iterator[Batch]:
        random = np.random.default_rng(number)
        for _ in range(count):
            x = random.normal(0, 1, (4, 6, 3)).astype(np.float32)
            y = np.cumsum(x[:, :, :2], axis=1) + random.normal(0, 1, (4, 6, 2))
            yield Batch(x, np.full(4, 6), y.astype(np.float32))

    return epoch


def learn(steps: int, average: float | None, **settings: Any) -> tuple[TrainableNetwork, Any]:
    network = TrainableNetwork(SPECIFICATION, seed=2, dropout=0.2)
    settings = {"evaluate_every": 4, "console": Console(file=io.StringIO())} | settings
    optimiser = AdamW(1e-2)
    return network, fit(network, batches(7), MeanSquaredError(), optimiser, steps=steps, average=average, **settings)


def after_each_step(steps: int) -> list[dict[str, Any]]:
    """The weights of learning without a mean, from the first ones on."""
    network = TrainableNetwork(SPECIFICATION, seed=2)
    found = [{name: w.astype(np.float64) for name, w in network.parameters.items()}]

    def evaluate(now: TrainableNetwork) -> dict[str, float]:
        found.append({name: w.astype(np.float64) for name, w in now.parameters.items()})
        return {"score": 0.0}

    learn(steps, None, evaluate=evaluate, evaluate_every=1)
    return found


def test_it_is_the_formula() -> None:
    """a <- d a + (1 - d) w, d = min(decay, (1 + n) / (10 + n)) after step n, in float64; 0.5 from the ninth step."""
    first, *later = after_each_step(20)
    wanted = first
    for n, weights in enumerate(later):
        d = min(0.5, (1 + n) / (10 + n))
        wanted = {name: d * wanted[name] + (1 - d) * w for name, w in weights.items()}
    seen = []

    def evaluate(now: TrainableNetwork) -> dict[str, float]:
        seen.append({name: w.copy() for name, w in now.parameters.items()})
        return {"score": -len(seen)}

    network, _ = learn(20, 0.5, evaluate=evaluate)
    assert len(seen) == 5
    for name, value in wanted.items():
        assert np.allclose(seen[-1][name], value, rtol=1e-5, atol=1e-6), name
        assert np.array_equal(network.parameters[name], seen[-1][name]), name
    assert not np.allclose(network.parameters["gru.forward.W"], later[-1]["gru.forward.W"], rtol=1e-3, atol=1e-4)


def test_learning_itself_is_the_same(tmp_path: Path) -> None:
    """The same losses as without, to the bit: a mean is looked at, and leads nowhere."""
    plain, average = learn(22, None)[1], learn(22, 0.99)[1]
    assert [each["loss"] for each in plain.evaluations] == [each["loss"] for each in average.evaluations]


@pytest.mark.parametrize("pause", [4, 12])
def test_resumed_is_as_if_never_paused(tmp_path: Path, pause: int) -> None:
    whole, straight = learn(24, 0.9)
    path = tmp_path / "run.safetensors"
    learn(pause, 0.9, checkpoint=path)
    resumed, history = learn(24, 0.9, checkpoint=path, resume=True)
    assert export(resumed).digest == export(whole).digest
    assert history == straight


def test_a_mean_begins_where_a_run_without_one_was_paused(tmp_path: Path) -> None:
    path = tmp_path / "run.safetensors"
    learn(12, None, checkpoint=path)
    seen = []

    def evaluate(now: TrainableNetwork) -> dict[str, float]:
        seen.append({name: w.copy() for name, w in now.parameters.items()})
        return {"score": -len(seen)}

    learn(13, 0.9, checkpoint=path, resume=True, evaluate=evaluate, evaluate_every=1)
    before, after = after_each_step(13)[12:]
    for name, mean in seen[0].items():
        assert np.allclose(mean, 0.1 * before[name] + 0.9 * after[name], rtol=1e-5, atol=1e-6), name


def test_never_evaluated_it_is_the_mean_that_is_left() -> None:
    def batches_until_ctrl_c(epoch: int) -> Iterator[Batch]:
        yield from batches(3)(epoch)
        raise KeyboardInterrupt

    def short(average: float | None) -> TrainableNetwork:
        network = TrainableNetwork(SPECIFICATION, seed=2)
        fit(
            network, batches_until_ctrl_c, MeanSquaredError(), AdamW(1e-2), steps=9, average=average,
            console=Console(file=io.StringIO()),
        )  # fmt: skip
        return network

    assert export(short(0.9)).digest != export(short(None)).digest


@pytest.mark.parametrize("decay", [0.0, 1.0, -0.1, float("nan")])
def test_a_decay_that_is_none_is_refused(decay: float) -> None:
    with pytest.raises(TrainingError, match=r"average = .* is not between 0 and 1"):
        WeightAverage(decay, {})
