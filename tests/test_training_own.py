"""One's own model from one's own data: the run's folder, its pauses, its card, and what is refused."""

from __future__ import annotations

import io
import json
import signal
from collections.abc import Callable, Iterator
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import numpy as np
import numpy.typing as npt
import pytest
from rich.console import Console

from ostinato.cli import main
from ostinato.errors import InputError, TrainingError
from ostinato.model import file
from ostinato.model.decoders import Labels, Outputs, SequenceClass
from ostinato.training import curves
from ostinato.training.batching import Batch
from ostinato.training.own.config import Config
from ostinato.training.own.frames import Dataset
from ostinato.training.own.run import Run, run

Array = npt.NDArray[Any]
Answers = Callable[[Array], dict[str, Array]]
NAMES = np.array(["low", "high"])

CONFIG = """
name = "own"
licence = "CC0-1.0"
data = {train = ["learn"], test = ["test"], held_out = 0.2}
layers = [{kind = "gru", hidden = 6}]

[learning]
epochs = 4
batch = 4
rate = 3e-2
dropout = 0.2
recurrent_dropout = 0.1
share = 2
optimiser = {kind = "adamw", weight_decay = 1e-3}
"""


def by_frame(signs: Array) -> dict[str, Array]:
    return {"labels": NAMES[(signs > 0).astype(int)]}


def by_utterance(signs: Array) -> dict[str, Array]:
    return {"labels": np.array(int(signs[0] > 0))}


def numbers(signs: Array) -> dict[str, Array]:
    return {"targets": np.stack([signs, 2 * signs], axis=1)}


def write(folder: Path, answers: Answers, config: str = CONFIG) -> Path:
    """Data in which the sign of a value, far from 0 and of an odd size, is what is right."""
    random = np.random.default_rng(0)
    for part, count in (("learn", 20), ("test", 3)):
        (folder / part).mkdir(parents=True)
        for number in range(count):
            length = int(random.integers(8, 20))
            signs = np.full(length, random.choice([-1.0, 1.0]))
            if answers is not by_utterance:
                signs[length // 2 :] *= -1
            frames = np.stack([500 + 40 * signs, random.normal(size=length), np.full(length, 3.0)], axis=1)
            frames[:, 0] += random.normal(size=length)
            np.savez(folder / part / f"{number:02}.npz", frames=frames, frame_ms=20.0, **answers(signs))
    path = folder / "own.toml"
    path.write_text(config)
    return path


def learn(config: Path, folder: Path, resume: bool = False) -> Run:
    return run(config, folder, resume, Console(file=io.StringIO()))


def test_a_run_s_folder_has_all_of_it(tmp_path: Path) -> None:
    made = learn(write(tmp_path, by_frame), tmp_path / "run")
    found = {path.name for path in (tmp_path / "run").iterdir()}
    assert found == {"config.toml", "log.jsonl", "curves.png", "checkpoint.safetensors", "own.safetensors"}
    assert (tmp_path / "run" / "curves.png").read_bytes().startswith(b"\x89PNG")
    log = [json.loads(line) for line in (tmp_path / "run" / "log.jsonl").read_text().splitlines()]
    assert [each["step"] for each in log] == [4, 8, 12, 16]
    assert log[-1]["validation loss"] < log[0]["validation loss"] and log[-1]["accuracy"] > 0.95
    model = file.read(made.path).specification
    assert model.heads[0].decoder == Labels(("high", "low")) and model.front_end.frame_ms == 20
    assert model.card == made.card and model.licence == "CC0-1.0"
    assert "16 utterances" in model.card["training data"] and "4 utterances not learnt" in model.card["accuracy"]
    assert "Test data, through the model's own stream: share of labels that is right" in model.card["accuracy"]


def test_curves_take_little_of_the_time(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Drawn at once, then no more often than in 20 times as long as that takes, and at the end."""
    now, drawn = 0.0, list[tuple[float, int]]()

    def draw(evaluations: Any, path: Path) -> None:
        nonlocal now
        drawn.append((now, len(evaluations)))
        now += 0.5

    monkeypatch.setattr(curves, "time", SimpleNamespace(monotonic=lambda: now))
    monkeypatch.setattr(curves, "draw", draw)
    following = curves.Curves(tmp_path / "curves.png")
    for number in range(1, 6):
        following.follow([{"step": step} for step in range(number)])
        now += 4.0
    following.finish()
    following.finish()
    assert drawn == [(0.0, 1), (12.5, 4), (21.0, 5)]


@pytest.mark.parametrize(
    ("answers", "decoder"),
    [(by_utterance, SequenceClass(("0", "1"))), (numbers, Outputs())],
    ids=["utterance", "numbers"],
)
def test_other_tasks(tmp_path: Path, answers: Answers, decoder: Any) -> None:
    without = CONFIG.replace('test = ["test"], ', "").replace("epochs = 4", "epochs = 12")
    made = learn(write(tmp_path, answers, without), tmp_path / "run")
    assert file.read(made.path).specification.heads[0].decoder == decoder
    last = made.history.evaluations[-1]
    assert last["accuracy"] == 1.0 if answers is by_utterance else last["validation loss"] < 0.5
    assert "No test data were given" in made.card["accuracy"] and "Test data" not in made.card["accuracy"]


def test_ctrl_c_and_resumed_is_as_if_never_paused(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Between two evaluations, twice; the model, its card and the log to the same bytes."""
    config = write(tmp_path, by_frame)
    whole = learn(config, tmp_path / "whole")
    batches, at = Dataset.batches, iter([6, 9])

    def interrupted(self: Dataset, size: int, seed: int, epoch: int | None) -> Iterator[Batch]:
        for number, batch in enumerate(batches(self, size, seed, epoch)):
            if epoch is not None and 4 * epoch + number == waiting:
                signal.raise_signal(signal.SIGINT)
            yield batch

    monkeypatch.setattr(Dataset, "batches", interrupted)
    for number, waiting in enumerate(at):
        paused = learn(config, tmp_path / "paused", resume=number > 0)
        assert paused.history.interrupted and paused.history.steps == waiting + 1
        assert "stopped by hand" in paused.card["training data"]
    waiting = -1
    resumed = learn(config, tmp_path / "paused", resume=True)
    assert resumed.history == whole.history and resumed.path.read_bytes() == whole.path.read_bytes()
    assert (tmp_path / "paused" / "log.jsonl").read_text() == (tmp_path / "whole" / "log.jsonl").read_text()
    assert signal.getsignal(signal.SIGINT) is signal.default_int_handler


def test_a_run_is_gone_on_with_only_if_it_is_the_same(tmp_path: Path) -> None:
    config, folder = write(tmp_path, by_frame, CONFIG.replace("epochs = 4", "epochs = 1")), tmp_path / "run"
    with pytest.raises(TrainingError, match="no run to go on with"):
        learn(config, folder, resume=True)
    learn(config, folder)
    with pytest.raises(TrainingError, match="has a run already"):
        learn(config, folder)
    np.savez(tmp_path / "learn" / "99.npz", frames=np.ones((5, 3)), labels=np.array(["low"] * 5))
    with pytest.raises(TrainingError, match="the data have changed"):
        learn(config, folder, resume=True)
    config.write_text(config.read_text() + "# more\n")
    with pytest.raises(TrainingError, match=r"configuration has changed .*\+ # more"):
        learn(config, folder, resume=True)


@pytest.mark.parametrize(
    ("was", "becomes", "message"),
    [
        ("epochs = 4", "epoch = 4", "unknown field 'epoch'; did you mean 'epochs'"),
        ("epochs = 4", "epochs = 0", "learning.epochs = 0: 1 at least"),
        ('"gru"', '"gruu"', "did you mean 'gru'"),
        ('"adamw"', '"adamm"', "'adamm' is not one of .* did you mean 'adam"),
        ("weight_decay", "weight_dekay", "adamw is not so set"),
        ("epochs = 4", 'schedule = {kind = "steps"}', "did you mean 'step'"),
        ("epochs = 4", 'schedule = {kind = "step"}', "step is not so set"),
        ("epochs = 4", 'loss = {kind = "huber"}', "huber does not fit data with a label for each frame"),
        ("epochs = 4", 'loss = {kind = "cross-entropy", smoothing = 2}', "smoothing = 2"),
        ('["learn"]', '["nowhere"]', "nowhere is not there"),
        ("held_out = 0.2", 'labels = ["low", "other"]', "label 'high' is none of low, other"),
        ("epochs = 4", "epochs = ", "is no TOML"),
        *(
            ('"own"', f'"{name}"', "name = .* is to be a file's")
            for name in ("", ".", "../own", "a/b", "\\u0000", "a" * 201)
        ),
    ],
)
def test_errors_name_what_is_wrong(tmp_path: Path, was: str, becomes: str, message: str) -> None:
    assert was in CONFIG
    config = write(tmp_path, by_frame, CONFIG.replace(was, becomes))
    with pytest.raises((TrainingError, InputError), match=message):
        learn(config, tmp_path / "run")
    assert not (tmp_path / "run").exists()


def test_all_settings_are_taken(tmp_path: Path) -> None:
    text = CONFIG.replace(
        "epochs = 4",
        """schedule = {kind = "plateau", factor = 0.3, patience = 1}
        warmup = 3
        truncate = 5
        patience = 2
        average = 0.9
        loss = {kind = "cross-entropy", smoothing = 0.1, class_weights = [1, 2]}
        clip_norm = 1
        epochs = 2""",
    ).replace('{kind = "adamw", weight_decay = 1e-3}', '{kind = "sgd", momentum = 0.8, nesterov = true}')
    config = write(tmp_path, by_frame, text)
    optimiser = Config.of(config).optimiser(10)
    assert (optimiser.kind, optimiser.clip_norm, optimiser.schedule.kind) == ("sgd", 1.0, "warmup")
    assert optimiser.rate == pytest.approx(1e-2)
    made = learn(config, tmp_path / "run")
    assert made.history.steps == 8
    assert "averaged over steps (0.9)" in made.card["training data"]


def test_the_command(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> None:
    config = write(tmp_path, by_frame, CONFIG.replace("epochs = 4", "epochs = 1"))
    monkeypatch.chdir(tmp_path)
    for arguments, code, said in (
        (["own.toml"], 0, "written: runs/own/own.safetensors"),
        (["own.toml"], 1, "has a run already"),
        (["own.toml", "--resume"], 0, "written"),
        (["other.toml"], 2, "does not exist"),
    ):
        monkeypatch.setattr("sys.argv", ["ostinato", "train", *arguments])
        with pytest.raises(SystemExit) as ended:
            main()
        assert ended.value.code == code
        assert said in " ".join(capsys.readouterr().err.split())
    assert config.exists()
