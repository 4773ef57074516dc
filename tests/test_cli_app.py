"""The command line itself: quick to load, clear when used wrongly, never a traceback for a user's mistake."""

from __future__ import annotations

import dataclasses
import json
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from types import SimpleNamespace
from typing import Any, cast

import numpy as np
import pytest

from ostinato.cli.files import bundled_recording
from ostinato.cli.selftest import promises_kept
from ostinato.data.recordings import transcript_beside
from ostinato.events import Event
from ostinato.model.front_ends import Frames
from ostinato.streaming import Model

Run = Callable[..., subprocess.CompletedProcess[str]]


def test_help_names_every_command_and_loads_nothing_heavy() -> None:
    script = (
        "import sys; sys.argv = ['ostinato', '--help']; from ostinato.cli import main\n"
        "try: main()\n"
        "except SystemExit as end: assert not end.code\n"
        "heavy = {'numba', 'scipy', 'matplotlib', 'zmq', 'numpy', 'sounddevice'} & set(sys.modules)\n"
        "assert not heavy, heavy"
    )
    done = subprocess.run([sys.executable, "-c", script], capture_output=True, text=True, timeout=60)
    assert done.returncode == 0, done.stderr
    for command in (
        "models",
        "serve",
        "listen",
        "generate",
        "translate",
        "read",
        "compare",
        "inspect",
        "doctor",
        "bench",
        "train",
        "evaluate",
        "quantize",
    ):
        assert f"{command} " in done.stdout


@pytest.mark.parametrize(
    ("arguments", "code"), [(["inspect", "digits-uni"], 0), (["inspect", "no-such-model"], 1), (["inspect", "-x"], 2)]
)
def test_a_command_in_tests_is_one_from_nothing(ostinato: Run, arguments: list[str], code: int) -> None:
    """`forked`, by which most tests run commands."""
    here, fresh = (ostinato(*arguments, fresh=fresh) for fresh in (False, True))
    assert (here.returncode, here.stdout, here.stderr) == (code, fresh.stdout, fresh.stderr)
    assert fresh.returncode == code and fresh.stdout + fresh.stderr


@pytest.mark.parametrize(
    ("arguments", "complaint"),
    [
        (["listen"], "which model"),
        (["listen", "digits-uni", "--fast"], "--fast needs --file"),
        (["listen", "digits-uni", "--text", "--device", "1"], "only one of"),
        (["listen", "digits-uni", "--file", "no-such-file.wav"], "there is no file"),
        (["compare", "digits-uni", "--json", "no/such/folder/figures.json"], "no folder"),
        (["doctor", "--only", "stars"], "is not one of"),
        (["nonsense"], "No such command"),
    ],
)
def test_wrong_usage_exits_with_2_and_says_what(ostinato: Run, arguments: list[str], complaint: str) -> None:
    done = ostinato(*arguments)
    assert done.returncode == 2
    assert complaint in done.stderr and "Traceback" not in done.stderr


@pytest.mark.parametrize(
    ("arguments", "complaint"),
    [
        (["inspect", "no-such-model"], "there is no model 'no-such-model'"),
        (["listen", "no-such-model", "--file", str(bundled_recording())], "no-such-model"),
        (["compare", "no-such-model"], "no-such-model"),
        (["listen", "digits-uni", "--file", "{text}"], "notes.wav"),
        (["compare", "digits-uni", "--file", "{text}"], "notes.wav"),
        (["inspect", "{text}"], "notes.wav"),
    ],
)
def test_a_mistake_exits_with_1_and_one_clear_line(
    ostinato: Run, tmp_path: Path, arguments: list[str], complaint: str
) -> None:
    (tmp_path / "notes.wav").write_text("not a recording at all")
    done = ostinato(*(argument.format(text=tmp_path / "notes.wav") for argument in arguments))
    assert done.returncode == 1, done.stderr
    last = done.stderr.strip().splitlines()[-1]
    assert last.startswith("error: ") and complaint in last
    assert "Traceback" not in done.stderr


def test_models_lists_what_is_there_and_marks_what_is_broken(ostinato: Run, tmp_path: Path) -> None:
    (tmp_path / "broken.safetensors").write_bytes(b"\x80\x04 a pickle")
    done = ostinato("models", "--models", tmp_path)
    assert done.returncode == 0, done.stderr
    lines = {line.split()[0]: line for line in done.stdout.splitlines() if line}
    assert "unusable" in lines["broken"]
    assert "unidirectional" in lines["digits-uni"] and "0 ms" in lines["digits-uni"]
    assert "bidirectional" in lines["digits-bi"] and "the utterance" in lines["digits-bi"]


def test_inspect_shows_layers_and_card(ostinato: Run) -> None:
    done = ostinato("inspect", "digits-bi")
    assert done.returncode == 0, done.stderr
    for word in ("log-mel", "ctc", "softmax", "bidirectional", "licence"):
        assert word in done.stdout.lower()


def test_the_doctor_finds_a_machine_that_passes_the_tests_well(ostinato: Run) -> None:
    done = ostinato("doctor")
    assert done.returncode == 0, done.stdout
    assert "the same bits" in done.stdout and "loopback come back" in done.stdout


@dataclasses.dataclass
class Careless:
    """A model whose streams break a promise: the length of a piece, or the company, shows in the outputs."""

    fault: str
    direction: str = "unidirectional"
    network: Any = dataclasses.field(
        default_factory=lambda: SimpleNamespace(
            specification=SimpleNamespace(front_end=Frames(2), heads=(SimpleNamespace(name="main"),))
        )
    )
    writer: None = None

    @property
    def reader(self) -> Any:
        return self.network

    def stream(self, head: str, decoder: str) -> Any:
        def push(data: Any) -> list[Event]:
            values = np.array([len(data) if self.fault == "pieces" else 1], np.float32)
            return [Event("output", 0, 0.0, values=values)] if self.fault == "pieces" else []

        end = [] if self.fault in ("pieces", "silence") else [Event("output", 0, 0.0, values=np.ones(1, np.float32))]
        record = SimpleNamespace(accept=lambda data: None, writing=False)
        return SimpleNamespace(push=push, flush=lambda: end, record=record, close=lambda: None)


@pytest.mark.parametrize(
    ("fault", "complaint"), [("pieces", "in pieces"), ("silence", "no output"), ("company", "among 5")]
)
def test_the_self_test_notices_broken_promises(monkeypatch: pytest.MonkeyPatch, fault: str, complaint: str) -> None:
    blurred = [Event("output", 0, 0.0, values=np.full(1, 2, np.float32))]
    monkeypatch.setattr("ostinato.cli.selftest.advance", lambda streams: [blurred for _ in streams])
    found = promises_kept(cast(Model, Careless(fault)))
    assert found is not None and complaint in found


def test_evaluate_counts_errors_by_folder(ostinato: Run, tmp_path: Path) -> None:
    recording = bundled_recording()
    (tmp_path / "voice").mkdir()
    (tmp_path / "voice" / recording.name).write_bytes(recording.read_bytes())
    (tmp_path / "voice" / f"{recording.stem}.txt").write_bytes(recording.with_suffix(".txt").read_bytes())
    done = ostinato("evaluate", "digits-bi", "--data", tmp_path, "--json", tmp_path / "figures.json")
    assert done.returncode == 0, done.stderr
    figures = json.loads((tmp_path / "figures.json").read_text())
    spoken = len((transcript_beside(recording) or "").split())
    (whole,) = figures["models"]
    assert whole["all"]["symbols"] == whole["by_folder"]["voice"]["symbols"] == spoken
    assert 0 <= whole["all"]["error_rate"] <= 0.5
    hasty = ("--block-ms", "120", "--lookahead-ms", "0")
    done = ostinato("evaluate", "digits-bi", "--data", tmp_path, "--json", tmp_path / "hasty.json", *hasty)
    blind, again = json.loads((tmp_path / "hasty.json").read_text())["models"]
    assert (blind["block_ms"], blind["lookahead_ms"], whole["block_ms"]) == (120, 0, None)
    assert blind["all"]["errors"] > whole["all"]["errors"] and again == whole, "it pays to look ahead"
    done = ostinato("evaluate", "digits-bi", "--data", tmp_path, "--lookahead-ms", "100")
    assert done.returncode == 2 and "needs --block-ms" in done.stderr
