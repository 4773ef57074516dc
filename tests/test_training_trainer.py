"""The training loop: it learns, resumes to the same bits, keeps the best, and names what is wrong."""

from __future__ import annotations

import io
import re
from collections.abc import Callable, Iterator, Mapping
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from rich.console import Console

from ostinato.errors import TrainingError
from ostinato.model import file
from ostinato.model.decoders import Ctc, Outputs, SequenceClass
from ostinato.model.front_ends import Frames, Tokens
from ostinato.model.layers import BatchNorm, Dense, Gru, Layer, LayerNorm, Lstm, OneHot, Rnn, Softmax
from ostinato.model.specification import Sequential
from ostinato.training import (
    Adam,
    AdamW,
    Batch,
    Cosine,
    CrossEntropy,
    CtcLoss,
    TrainableNetwork,
    Warmup,
    bucketed,
    export,
    fit,
    pad,
)
from ostinato.training.checkpoint import Checkpoint


def quiet() -> Console:
    return Console(file=io.StringIO())


ECHO = Sequential("echo", Frames(3), (Gru(24), Dense(3), Softmax()), Outputs())


def echo(count: int) -> Callable[[int], Iterator[Batch]]:
    """Say at each step what came two steps before."""

    def batches(epoch: int) -> Iterator[Batch]:
        random = np.random.default_rng(epoch)
        for _ in range(count):
            lengths, y = random.integers(5, 13, 16), random.integers(0, 3, (16, 12))
            targets = np.full_like(y, -1)
            targets[:, 2:] = y[:, :-2]
            yield Batch(np.eye(3, dtype=np.float32)[y], lengths, targets)

    return batches


def test_learns_an_echo_with_delay() -> None:
    network = TrainableNetwork(ECHO)
    optimiser = Adam(Warmup(Cosine(1e-2, 230), 20), clip_norm=5)
    history = fit(network, echo(30), CrossEntropy(), optimiser, steps=250, console=quiet())
    batch = next(echo(1)(10**6))
    outputs = network.forward(batch.inputs, batch.lengths)["main"]
    judged = CrossEntropy()(outputs, batch.lengths, batch.targets)
    assert judged.sums.sum() / judged.counts.sum() < 0.02  # guessing: log 3 = 1.1
    assert history.steps == history.best_step == 250


@pytest.mark.parametrize("layer", [Rnn(16), Lstm(16), Gru(16, reset="before")], ids=lambda layer: str(layer.kind))
def test_learns_parity_of_bits(layer: Layer) -> None:
    """One class per sequence, from its last frame: whether it holds an odd number of ones."""
    specification = Sequential(
        "parity", Tokens(("0", "1")), (OneHot(), layer, Dense(2), Softmax()), SequenceClass(("even", "odd"))
    )

    def batches(epoch: int) -> Iterator[Batch]:
        random = np.random.default_rng(epoch)
        for _ in range(100):
            bits, lengths = random.integers(0, 2, (32, 6)), random.integers(1, 7, 32)
            targets = np.full((32, 6), -1)
            last = (np.arange(32), lengths - 1)
            targets[last] = np.cumsum(bits, axis=1)[last] % 2
            yield Batch(bits, lengths, targets)

    network = TrainableNetwork(specification)
    optimiser = Adam(Warmup(Cosine(2e-2, 980), 20), clip_norm=1)
    fit(network, batches, CrossEntropy(), optimiser, steps=1000, console=quiet())
    bits = (np.arange(64)[:, None] >> np.arange(6)) & 1
    assert np.array_equal(network.forward(bits, [6] * 64)["main"][:, -1].argmax(axis=1), bits.sum(axis=1) % 2)


def test_learns_unsegmented_labels_with_ctc() -> None:
    """Each label is seen for 1 to 4 frames, with silence between; where is not told."""
    specification = Sequential(
        "labels",
        Frames(4),
        (Gru(12, direction="bidirectional"), Dense(4), Softmax()),
        Ctc(("", "a", "b", "c")),
    )

    def batches(epoch: int) -> Iterator[Batch]:
        random = np.random.default_rng(epoch)
        for _ in range(20):
            labels = [random.integers(1, 4, random.integers(0, 4)) for _ in range(16)]
            paths = [[0] if len(row) == 0 else np.ravel([(0, k) for k in row]) for row in labels]
            spoken = [np.repeat(path, random.integers(1, 5, len(path))) for path in paths]
            frames = [np.eye(4, dtype=np.float32)[path] + random.normal(0, 0.2, (len(path), 4)) for path in spoken]
            yield Batch(*pad([f.astype(np.float32) for f in frames]), labels)

    network = TrainableNetwork(specification)
    fit(network, batches, CtcLoss(), Adam(Warmup(Cosine(2e-2, 280), 20), clip_norm=5), steps=300, console=quiet())
    batch = next(batches(999))
    paths = network.forward(batch.inputs, batch.lengths)["main"].argmax(axis=2)
    for path, length, labels in zip(paths, batch.lengths, batch.targets, strict=True):
        kept = [k for before, k in zip([0, *path[: length - 1]], path[:length], strict=True) if k not in (0, before)]
        assert kept == list(labels)


def test_resumed_is_as_if_never_paused(tmp_path: Path) -> None:
    """In the middle of an epoch, dropout, statistics and all, to the same bits."""

    def learn(steps: int, **settings: Any) -> tuple[TrainableNetwork, Any]:
        layers = (Gru(8), BatchNorm(), Gru(8), LayerNorm(), Dense(3), Softmax())
        network = TrainableNetwork(Sequential("t", Frames(3), layers, Outputs()), dropout=0.3)
        optimiser = AdamW(Warmup(Cosine(1e-2, 35), 5), weight_decay=0.01)
        settings |= {"evaluate_every": 4, "seed": 5, "console": quiet()}
        return network, fit(network, echo(7), CrossEntropy(), optimiser, steps=steps, **settings)

    whole, straight = learn(24)
    path = tmp_path / "run.safetensors"
    learn(12, checkpoint=path)
    resumed, history = learn(24, checkpoint=path, resume=True)
    assert export(resumed).digest == export(whole).digest
    assert history == straight
    assert [path] == list(tmp_path.iterdir())


def test_the_best_weights_are_kept() -> None:
    network, seen = TrainableNetwork(ECHO), []

    def evaluate(now: TrainableNetwork) -> Mapping[str, float]:
        seen.append(export(now).digest)
        return {"error": [3.0, 1.0, 2.0, 1.5][len(seen) - 1], "other": -len(seen)}

    history = fit(
        network, echo(9), CrossEntropy(), Adam(1e-2), steps=20, evaluate=evaluate, evaluate_every=5, console=quiet()
    )
    assert (history.best_step, history.best_score) == (10, 1.0)
    assert export(network).digest == seen[1] != seen[3]
    assert [entry["step"] for entry in history.evaluations] == [5, 10, 15, 20]


def test_of_equal_scores_the_least_training_loss_decides(tmp_path: Path) -> None:
    """As error rates of few sequences are; it is no better score, and waiting goes on."""
    scores = iter([2.0, 1.0, 1.0, 1.0, 1.0])
    settings: dict[str, Any] = {"steps": 200, "evaluate_every": 20, "patience": 3, "console": quiet()}
    settings |= {"evaluate": lambda network: {"error": next(scores)}}
    history = fit(TrainableNetwork(ECHO), echo(9), CrossEntropy(), Adam(1e-2), **settings)
    losses = [each["loss"] for each in history.evaluations]
    assert losses == sorted(losses, reverse=True), "it learns all the time"
    assert (history.best_step, history.best_score, history.steps, history.waited) == (100, 1.0, 100, 3)


def test_it_ends_early_when_nothing_gets_better(tmp_path: Path) -> None:
    """With the best weights; and has nothing more to do when it is resumed."""
    scores = iter([3.0, 1.0, 2.0, 1.5, 0.5])
    settings: dict[str, Any] = {"steps": 99, "evaluate_every": 5, "patience": 2, "console": quiet()}
    settings |= {"evaluate": lambda network: {"error": next(scores)}, "checkpoint": tmp_path / "c"}
    network = TrainableNetwork(ECHO)
    history = fit(network, echo(9), CrossEntropy(), Adam(1e-2), **settings)
    assert (history.best_step, history.steps, history.interrupted) == (10, 20, False)
    again = TrainableNetwork(ECHO)
    assert fit(again, echo(9), CrossEntropy(), Adam(1e-2), resume=True, **settings) == history
    assert export(again).digest == export(network).digest


def test_a_refused_step_moves_nothing() -> None:
    """Neither weights nor the statistics of batch normalisation."""
    network = TrainableNetwork(Sequential("t", Frames(3), (BatchNorm(), Dense(3), Softmax()), Outputs()))
    before = export(network).digest
    network.parameters["dense.W"][:] = 1e30
    network.parameters["dense.W"][0] = -1e30
    spoilt = export(network).digest
    batch = Batch(np.random.default_rng(0).normal(size=(2, 4, 3)) * 1e9, np.array([4, 2]), np.zeros((2, 4), int))
    with pytest.raises(TrainingError, match="not finite"):
        fit(network, lambda epoch: [batch], CrossEntropy(), Adam(1e-2), steps=1, console=quiet())
    assert export(network).digest == spoilt != before


@pytest.mark.parametrize("width", [50, 80, 200])
def test_a_narrow_terminal_cuts_off_neither_steps_nor_times(width: int) -> None:
    said = io.StringIO()
    console = Console(file=said, width=width, force_terminal=True, color_system=None)
    fit(TrainableNetwork(ECHO), echo(3), CrossEntropy(), Adam(1e-2), steps=3, console=console)
    lines = [line for line in re.split(r"[\r\n]+|\x1b\[[0-9]*[A-Z]", said.getvalue()) if "3/3" in line]
    assert lines and all(re.search(r" 3/3 \d:\d\d:\d\d left [-\d]:\S\S:\S\S loss ", line) for line in lines), lines
    assert (" rate " in lines[-1]) == (width == 200) or width == 80


def test_an_interrupt_keeps_the_best(tmp_path: Path) -> None:
    network = TrainableNetwork(ECHO)
    kept: list[str] = []

    def evaluate(now: TrainableNetwork) -> Mapping[str, float]:
        kept.append(export(now).digest)
        return {"error": 1.0}

    def batches(epoch: int) -> Iterator[Batch]:
        yield from echo(7)(epoch)
        raise KeyboardInterrupt

    history = fit(
        network, batches, CrossEntropy(), Adam(1e-2), steps=99, evaluate=evaluate, evaluate_every=5, console=quiet()
    )
    assert history.interrupted and history.steps == 7
    assert kept == [export(network).digest]


def test_sequences_too_short_for_their_labels_are_left_out() -> None:
    specification = Sequential("t", Frames(2), (Gru(4), Dense(3), Softmax()), Ctc(("", "a", "b")))
    batch = Batch(np.ones((2, 3, 2), np.float32), np.array([3, 3]), [[1], [1, 1, 2]])
    network = TrainableNetwork(specification)
    history = fit(network, lambda epoch: [batch], CtcLoss(), Adam(1e-2), steps=4, console=quiet())
    assert history.skipped == 4
    assert np.isfinite(history.best_score)


def test_errors_name_what_is_wrong(tmp_path: Path) -> None:
    def attempt(message: str, **changes: Any) -> None:
        settings: dict[str, Any] = {"loss": CrossEntropy(), "batches": echo(3), "network": TrainableNetwork(ECHO)}
        settings |= changes
        with pytest.raises(TrainingError, match=message):
            fit(optimiser=Adam(1e-2), steps=3, console=quiet(), **settings)

    attempt("none; did you mean 'main'", loss={"mian": CrossEntropy()})
    attempt("no targets for head 'main'", loss={"main": CrossEntropy()})
    plain = Sequential("t", Frames(3), (Gru(4), Dense(3)), Outputs())
    attempt("let the head's node end in softmax", network=TrainableNetwork(plain))
    attempt("epoch 0 has no batches", batches=lambda epoch: [])
    bad = Batch(np.full((1, 2, 3), np.nan, np.float32), np.array([2]), np.zeros((1, 2), int))
    attempt("not finite at step 0", batches=lambda epoch: [bad])
    path = tmp_path / "c.safetensors"
    path.write_bytes(b"\x80\x04pickle")
    attempt("not a training checkpoint", checkpoint=path, resume=True)
    Checkpoint({"parameters": {}, "best": {}}, {"network": "another", "seed": 0}).write(path)
    attempt("another network", checkpoint=path, resume=True)


def test_export_is_a_model_file(tmp_path: Path) -> None:
    network = TrainableNetwork(ECHO, seed=4)
    path = tmp_path / "echo.safetensors"
    file.write(path, export(network))
    assert file.read(path).digest == export(network).digest


def test_buckets_hold_each_sequence_once_with_its_like() -> None:
    lengths = np.random.default_rng(0).integers(10, 500, 203)
    batches = bucketed(lengths, 16, np.random.default_rng(1))
    assert sorted(np.concatenate(batches)) == list(range(203))
    assert {len(batch) for batch in batches} == {16, 203 % 16}
    padding = sum(lengths[batch].max() * len(batch) for batch in batches) / lengths.sum()
    assert padding < 1.3
    again = bucketed(lengths, 16, np.random.default_rng(1))
    assert all(np.array_equal(a, b) for a, b in zip(batches, again, strict=True))
    assert [int(i) for i in bucketed([1, 3, 2], 2)[0]] == [1, 2]


def test_padding() -> None:
    padded, lengths = pad([np.array([1, 2, 3]), np.array([4])], value=9)
    assert padded.tolist() == [[1, 2, 3], [4, 9, 9]] and lengths.tolist() == [3, 1]
