"""docs/protocol.md is enough: a client in a process of its own, with only pyzmq and msgpack, does everything."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
from engine_models import model, models, sound
from snippets import ROOT, snippets

from ostinato.events import Event
from ostinato.server import Limits, Server
from ostinato.streaming import load

SPEECH = sound(1.9, 7)  # fits one message, and is pushed in pieces too


@pytest.fixture(scope="module")
def told() -> dict[str, Any]:
    script = Path(__file__).with_name("protocol_stranger.py")
    with Server(models()) as server:
        done = subprocess.run(
            [sys.executable, "-I", script, server.endpoint],
            input=SPEECH.astype("<i2").tobytes(), capture_output=True, timeout=100, check=False,
        )  # fmt: skip
    assert done.returncode == 0, done.stderr.decode()
    found: dict[str, Any] = json.loads(done.stdout)
    assert found["clean"], "the stranger has none of our code"
    return found


def plain(event: Event) -> list[Any]:
    values = None if event.values is None else [float(value) for value in event.values]
    return [event.kind, event.frame, event.time_ms, event.text, event.index, event.probability, values]


def in_process(name: str, **options: Any) -> list[list[Any]]:
    with model(name).stream(sample_rate=16000, **options) as stream:
        return [plain(event) for event in stream.push(SPEECH) + stream.flush()]


def test_what_is_served(told: dict[str, Any]) -> None:
    assert told["models"]["audio"] == ["unidirectional", "sample"]
    assert told["models"]["text"] == ["unidirectional", "character"]
    assert told["models"]["frames-bi"] == ["bidirectional", "frame"]
    assert (told["pong"], told["token"]) == ("hello", "here")


BLOCKS = {"block_ms": 100, "lookahead_ms": 50.0}


@pytest.mark.parametrize(
    ("name", "delay"), [("audio", [0, 0.0]), ("audio-bi", [None, None]), ("audio-bi in blocks", [14, 140.0])]
)
def test_the_results_are_the_same_bits(told: dict[str, Any], name: str, delay: list[float | None]) -> None:
    found = told[name]
    options = BLOCKS if "blocks" in name else {}
    assert found["events"] == in_process(name.split()[0], **options) != []
    assert found["processed"] == len(SPEECH)
    assert found["utterances"] == [0]
    assert found["delay"] == delay
    assert found["times"] == [True, True, name == "audio-bi"]
    assert found["before the end"] == (name != "audio-bi")
    assert found["closed"] == "close"


def test_resume_and_reset(told: dict[str, Any]) -> None:
    assert told["resumed"] == in_process("audio")
    assert told["reset"] == in_process("audio")
    assert told["repeat"]


def test_what_is_wrong_is_answered(told: dict[str, Any]) -> None:
    wrong = told["wrong"]
    assert {name: one["code"] for name, one in wrong.items()} == {
        "gap": "sequence_gap",
        "dtype": "bad_dtype",
        "shape": "bad_message",
        "type": "bad_message",
        "version": "unknown_version",
        "short": "bad_message",
        "large": "too_large",
        "frames": "bad_message",
        "stream": "unknown_stream",
        "in use": "stream_in_use",
        "model": "unknown_model",
        "snapshot": "bad_snapshot",
        "wait": "bad_input",
    }
    assert wrong["gap"]["expected"] == wrong["gap"]["next"]
    assert wrong["dtype"]["seq"] == wrong["gap"]["next"]
    whose = {name for name, one in wrong.items() if one["whose"]}
    assert whose == {"gap", "dtype", "stream", "in use", "model", "snapshot", "wait"}
    assert told["after"]


def test_the_client_that_the_protocol_shows_obeys_a_small_credit() -> None:
    """test_cli_readme runs it with the usual one; here an input beyond it would be refused, and end it."""
    (program,) = snippets("docs/protocol.md", "python")
    limits = Limits(credit_ms=250.0, inputs=4)
    with Server({"digits-uni": load("digits-uni")}, limits=limits) as server:
        script = program.code.replace("tcp://127.0.0.1:7077", server.endpoint)
        done = subprocess.run([sys.executable, "-c", script], cwd=ROOT, capture_output=True, text=True, timeout=60)
    assert done.returncode == 0, done.stderr
    assert len(done.stdout.split()) > 5
