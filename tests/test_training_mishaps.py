"""What goes wrong while a network learns: it is told, and what was learnt before is still there."""

from __future__ import annotations

import math
from collections.abc import Iterator, Sequence
from contextlib import ExitStack
from dataclasses import replace
from itertools import count
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from little_room import little_room
from test_training_trainer import ECHO, echo, quiet

from ostinato.errors import TrainingError
from ostinato.model.decoders import Ctc
from ostinato.model.front_ends import Frames
from ostinato.model.layers import Dense, Gru, Softmax
from ostinato.model.specification import Sequential
from ostinato.training import Adam, Batch, CrossEntropy, CtcLoss, TrainableNetwork, export, fit
from ostinato.training.checkpoint import Checkpoint
from ostinato.training.curves import draw
from ostinato.training.run_folder import RunFolder
from ostinato.training.trainer import History

SPOKEN = Sequential("spoken", Frames(2), (Gru(4), Dense(3), Softmax()), Ctc(("", "a", "b")))


def learn(network: TrainableNetwork, path: Path | None, **how: Any) -> History:
    settings: dict[str, Any] = {"optimiser": Adam(1e-2), "steps": 15, "evaluate_every": 5} | how
    batches, loss = settings.pop("batches", echo(4)), settings.pop("loss", CrossEntropy())
    return fit(network, batches, loss, checkpoint=path, console=quiet(), **settings)


def test_a_full_disk_leaves_the_checkpoint_before(tmp_path: Path) -> None:
    path = tmp_path / "checkpoint.safetensors"
    whole, network = TrainableNetwork(ECHO), TrainableNetwork(ECHO)
    learn(whole, None)
    with ExitStack() as full, pytest.raises(TrainingError, match=r"cannot be written: File too large; .* is kept"):
        learn(network, path, on_evaluation=lambda _: full.enter_context(little_room()))
    assert list(tmp_path.iterdir()) == [path], "no part of the new one"
    assert Checkpoint.read(path).numbers["history"]["steps"] == 5
    again = TrainableNetwork(ECHO)
    learn(again, path, resume=True)
    assert export(again).digest == export(whole).digest


def test_all_files_of_a_run_are_written_whole_or_not_at_all(tmp_path: Path) -> None:
    folder = RunFolder(tmp_path)
    folder.write("log.jsonl", "before")
    draw([{"step": 1, "loss": 2.0}], tmp_path / "curves.png")
    before = {path: path.read_bytes() for path in tmp_path.iterdir()}
    with little_room():
        with pytest.raises(TrainingError, match=r"log\.jsonl cannot be written: File too large; what it held before"):
            folder.write("log.jsonl", "after" * 1000)
        with pytest.raises(TrainingError, match=r"curves\.png cannot be written"):
            draw([{"step": 1, "loss": 1.0}], tmp_path / "curves.png")
        with pytest.raises(TrainingError, match=r"new\.txt cannot be written: File too large\. Make room"):
            folder.write("new.txt", "new" * 1000)
    assert {path: path.read_bytes() for path in tmp_path.iterdir()} == before


def test_a_loss_that_is_not_finite_stops_and_says_what_is_kept(tmp_path: Path) -> None:
    path = tmp_path / "checkpoint.safetensors"

    def batches(epoch: int) -> Iterator[Batch]:
        for number, batch in zip(count(), echo(8)(epoch), strict=False):
            yield batch if number < 7 else replace(batch, inputs=np.full_like(batch.inputs, np.nan))

    with pytest.raises(TrainingError, match=r"not finite at step 7: lower .*checkpoint\.safetensors keeps .* step 5"):
        learn(TrainableNetwork(ECHO), path, batches=batches)
    saved = Checkpoint.read(path)
    assert saved.numbers["history"]["steps"] == 5
    assert all(np.isfinite(weights).all() for group in saved.groups.values() for weights in group.values())
    with pytest.raises(TrainingError, match=r"step 7: lower .* keeps .* step 5"):
        learn(TrainableNetwork(ECHO), path, batches=batches, resume=True)
    with pytest.raises(TrainingError, match=r"lower the learning rate$"):
        learn(TrainableNetwork(ECHO), None, batches=batches)


def test_weights_that_are_judged_by_no_number_are_not_the_best() -> None:
    scores = iter([math.nan, 2.0, math.nan, 1.0, math.nan])
    history = learn(TrainableNetwork(ECHO), None, steps=25, evaluate=lambda _: {"score": next(scores)})
    assert (history.best_step, history.best_score) == (20, 1.0)


def spoken(labels: Sequence[Sequence[int]]) -> Batch:
    return Batch(np.ones((len(labels), 3, 2), np.float32), np.full(len(labels), 3), [list(each) for each in labels])


def test_where_no_sequence_can_be_aligned_nothing_is_learnt_and_that_is_told() -> None:
    with pytest.raises(TrainingError, match=r"nothing has counted in 5 steps.*too short for theirs \(10 were\)"):
        learn(TrainableNetwork(SPOKEN), None, batches=lambda _: [spoken([[1, 1, 2], [2, 2, 2]])], loss=CtcLoss())
    console = quiet()
    fit(
        TrainableNetwork(SPOKEN), lambda _: [spoken([[1], [1, 1, 2]])], CtcLoss(), Adam(1e-2), steps=4,
        console=console,
    )  # fmt: skip
    assert "4 skipped" in console.file.getvalue()  # type: ignore[attr-defined]


@pytest.mark.parametrize("label", [-1, 0, 3])
def test_a_label_that_is_no_output_is_named_with_its_sequence(label: int) -> None:
    with pytest.raises(TrainingError, match=rf"label {label} of sequence 2: .* 0 to 2 and not the blank, 0"):
        learn(TrainableNetwork(SPOKEN), None, batches=lambda _: [spoken([[], [1], [2, label]])], loss=CtcLoss())
