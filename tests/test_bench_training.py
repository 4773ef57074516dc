"""`ostinato bench training`, small; a peer that learns something else is not timed."""

from __future__ import annotations

import importlib.util
import io
import json
from typing import Any

import numpy as np
import pytest

from ostinato.errors import InputError
from ostinato.training import TrainableNetwork
from ostinato_bench import training, training_tables
from ostinato_bench.report import renew
from ostinato_bench.terminal import Console
from ostinato_bench.training import TASKS, Task, measure, run, tasks

SMALL = [Task("gru", 5, 8, sequences=4, frames=6), Task("lstm", 3, 17, sequences=3, frames=4)]


class Peer:
    """Stands for PyTorch, which tests do not need: our own steps in its place, some per cent slower or wrong."""

    def __init__(self, wrong: float = 1.0) -> None:
        self.wrong = wrong

    def __call__(self, layers: Any, dense: Any, frames: Any, classes: Any, rate: float, threads: int) -> Any:
        task = next(each for each in SMALL if each.sequences == len(frames))
        assert frames.shape == (task.sequences, task.frames, task.input)
        assert dense[0].shape[1] == task.hidden and layers.weights
        network = TrainableNetwork(task.network().specification, weights=task.network().weights)
        learner = training.Learner(network, training.Objective(network, training.CrossEntropy()), training.Adam(rate))

        def step() -> float:
            found = learner.learn(task.batch(), (0,))
            return self.wrong * found.sums["main"] / found.counts["main"]

        return step


def test_what_is_measured() -> None:
    assert {(each.cell, each.hidden) for each in TASKS} >= {("gru", 128), ("gru", 256), ("lstm", 128), ("lstm", 256)}
    assert all((each.sequences, each.frames) == (32, 200) for each in TASKS)
    assert tasks(["lstm"], [96]) == (Task("lstm", 40, 96),)
    with pytest.raises(InputError, match="gru"):
        tasks(["gruu"], None)


def test_a_small_run(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(training.pytorch_training, "learner", Peer())
    told: list[str] = []
    found = run(SMALL, 0.1, lambda done, count, what: told.append(what))
    json.dumps(found)
    assert told == ["GRU 5 → 8", "LSTM 3 → 17", "done"]
    for row in found["rows"]:
        assert set(row["ours"]) == set(row["pytorch"]) == {"1", "2"}
        assert row["times"] == pytest.approx(training.best(row, "ours") / training.best(row, "pytorch"), abs=1e-3)
        assert row["gmacs"] >= 0 < row["processor_times"]
    console = Console(width=160, record=True, file=io.StringIO())
    console.print(training_tables.terminal(found))
    assert "GRU 5 → 8" in console.export_text()


def test_without_pytorch(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(training.pytorch_training.pytorch, "module", lambda network: None)
    find = importlib.util.find_spec
    monkeypatch.setattr(training, "find_spec", lambda name: None if name == "torch" else find(name))
    found = run(SMALL[:1], 0.05)
    assert "pytorch" not in found["rows"][0] and "pip install torch" in found["missing"]["pytorch"]
    assert "times" not in training_tables.learning(found)


def test_a_peer_that_learns_something_else_is_not_timed(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(training.pytorch_training, "learner", Peer(wrong=1.001))
    with pytest.raises(RuntimeError, match="not timed"):
        measure(SMALL[0], 0.05)


def test_the_network_is_the_layer_that_the_peer_gets_and_a_dense_one() -> None:
    task = SMALL[1]
    whole, alone = task.network(), task.layers()
    assert all(np.array_equal(whole.weights[name], array) for name, array in alone.weights.items())
    assert [node.layer.kind for node in whole.specification.nodes] == ["lstm", "dense", "softmax"]


def test_the_table_of_a_document(tmp_path: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(training.pytorch_training, "learner", Peer())
    (tmp_path / "t.json").write_text(json.dumps(run(SMALL[:1], 0.05)))
    text = renew(
        "<!-- table training t.json -->\n<!-- end -->\n<!-- table training-source t.json -->\n<!-- end -->", tmp_path
    )
    assert "| GRU 5 → 8 | 4 × 6 |" in text and "Load of the last minute" in text
