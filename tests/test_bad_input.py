"""What a user does wrong at the edges: one clear line, an exit code, no traceback, and nothing else disturbed.

The rest of the bad input of docs/protocol.md is tested where it is refused: test_server_wire, test_client_sync,
test_model_file, test_cli_app, test_cli_listen.
"""

from __future__ import annotations

import asyncio
import os
import subprocess
import sys
import tempfile
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import soundfile
import typer
from engine_models import models, sound

from ostinato.cli.files import bundled_recording
from ostinato.cli.output_files import check_writable
from ostinato.cli.usage import UNREAD
from ostinato.errors import BadMessageError, InputError, OstinatoError, ShapeError, UnknownModelError
from ostinato.server import Server, spawn_server
from ostinato_client import AsyncClient, Client

Run = Callable[..., subprocess.CompletedProcess[str]]
COMMAND = [sys.executable, "-c", "from ostinato.cli import main; main()"]


def complaint(done: subprocess.CompletedProcess[str]) -> str:
    """The one line that a command ended with."""
    assert done.returncode == 1, done.stderr
    assert "Traceback" not in done.stderr
    last = done.stderr.strip().splitlines()[-1]
    assert last.startswith("error: ")
    return last


@pytest.mark.parametrize("command", ["listen", "compare"])
def test_an_empty_recording(ostinato: Run, tmp_path: Path, command: str) -> None:
    soundfile.write(tmp_path / "nothing.wav", np.zeros(0, np.int16), 16000)
    said = complaint(ostinato(command, "digits-uni", "--file", tmp_path / "nothing.wav"))
    assert "nothing.wav" in said and "is empty" in said


def test_a_recording_with_infinite_samples(ostinato: Run, tmp_path: Path) -> None:
    samples = np.full(16000, np.inf, np.float32)
    soundfile.write(tmp_path / "loud.wav", samples, 16000, subtype="FLOAT")
    said = complaint(ostinato("listen", "digits-uni", "--fast", "--file", tmp_path / "loud.wav"))
    assert "loud.wav" in said and "not finite" in said


def test_stereo_at_another_rate_is_heard_as_mono(ostinato: Run, tmp_path: Path) -> None:
    samples, rate = soundfile.read(bundled_recording(), dtype="float32")
    wide = np.repeat(samples, 6)[: len(samples) * 6]  # 8 kHz -> 48 kHz, held
    soundfile.write(tmp_path / "stereo.wav", np.stack([wide, wide], axis=1), rate * 6)
    done = ostinato("listen", "digits-uni", "--fast", "--file", tmp_path / "stereo.wav")
    assert done.returncode == 0, done.stderr
    assert "five" in done.stdout


@pytest.mark.parametrize("endpoint", ["nonsense", "tcp://127.0.0.1"])
def test_an_address_that_is_none_is_named_with_the_cure(ostinato: Run, endpoint: str) -> None:
    said = complaint(ostinato("listen", "digits-uni", "--file", bundled_recording(), "--connect", endpoint))
    assert repr(endpoint) in said and "tcp://127.0.0.1:7077" in said


def test_a_server_killed_under_listen_is_named() -> None:
    with spawn_server(["digits-uni"]) as server:
        listen = [*COMMAND, "listen", "digits-uni", "--file", str(bundled_recording()), "--connect", server.endpoint]
        with subprocess.Popen(listen, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True) as process:
            assert process.stdout is not None
            assert process.stdout.readline(), "it hears something first"
            server.process.kill()
            _, complaints = process.communicate(timeout=30)
    said = complaint(subprocess.CompletedProcess(listen, process.returncode, "", complaints))
    assert server.endpoint in said and "gone" in said


@pytest.mark.parametrize("arguments", [["inspect", "digits-uni"], ["models"]])
def test_a_reader_that_leaves_is_no_traceback(ostinato: Run, arguments: list[str]) -> None:
    reading, writing = os.pipe()
    os.close(reading)
    try:
        done = ostinato(*arguments, stdout=writing)
    finally:
        os.close(writing)
    assert done.returncode == UNREAD
    assert "Traceback" not in done.stderr and "Exception" not in done.stderr


def test_files_that_cannot_be_written_or_read(ostinato: Run, tmp_path: Path) -> None:
    soundfile.write(tmp_path / "one.wav", sound(0.5, 1), 16000)
    (tmp_path / "one.txt").mkdir()
    done = ostinato("evaluate", "digits-uni", "--data", tmp_path)
    assert done.returncode == 1 and "one.txt' is no file" in done.stderr and "Traceback" not in done.stderr
    (tmp_path / "away.json").symlink_to(tmp_path / "missing" / "figures.json")
    done = ostinato("compare", "--json", tmp_path / "away.json")
    assert done.returncode == 2 and "no folder" in done.stderr, "before time is spent on measuring"


def test_a_folder_that_may_not_be_written(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def refuse(*_: object, **__: object) -> None:  # as anyone but root is refused, who may write anywhere
        raise PermissionError(13, "Permission denied")

    monkeypatch.setattr(tempfile, "NamedTemporaryFile", refuse)
    with pytest.raises(typer.BadParameter, match="cannot be written: Permission denied"):
        check_writable(tmp_path / "figures.json")


@pytest.mark.parametrize(
    "wrong",
    [{"sample_rate": 0}, {"sample_rate": 10**7}, {"max_utterance_s": float("nan")}, {"end_of_speech_ms": -1.0},
     {"model": "x" * 300}, {"model": ""}],
)  # fmt: skip
def test_a_wrong_open_disturbs_no_other_stream(wrong: dict[str, Any]) -> None:
    with Server(models()) as server, Client(server.endpoint) as client:
        stream = client.open("audio", sample_rate=16000)
        with pytest.raises(BadMessageError, match="OPEN"):
            client.open(**{"model": "audio", **wrong})
        stream.push(sound(0.5, 1))
        assert stream.flush()[-1].final


@pytest.mark.parametrize("data", [np.array(3, np.int16), np.zeros((1,) * 5, np.int16)])
def test_an_array_of_no_sense_disturbs_no_other_stream(data: Any) -> None:
    with Server(models()) as server, Client(server.endpoint) as client:
        stream, wrong = (client.open("audio", sample_rate=16000) for _ in range(2))
        with pytest.raises(ShapeError):
            wrong.push(data)
        for one in (stream, wrong):
            one.push(sound(0.5, 1))
            assert one.flush()[-1].final


HALF = "lone surrogate"


def test_half_a_character_is_refused_by_name_and_disturbs_nobody() -> None:
    served = models("text")
    with pytest.raises(InputError, match=HALF):
        served["text"].stream().push("a\ud83d")
    with Server(served) as server, Client(server.endpoint) as client:
        stream = client.open("text")
        with pytest.raises(InputError, match=HALF):
            stream.push("a\ud83d")
        with pytest.raises(UnknownModelError, match=r"caf\?"):
            client.open("caf\udce9")  # what the name of a file may be
        stream.push("a")
        assert stream.flush()[-1].final

        async def the_same() -> None:
            async with AsyncClient(server.endpoint) as client:
                stream = await client.open("text")
                with pytest.raises(InputError, match=HALF):
                    await stream.push("\ud83d")
                assert (await stream.flush())[-1].final

        asyncio.run(the_same())


def test_every_error_is_one_of_ours() -> None:
    with Server(models()) as server, Client(server.endpoint) as client:
        stream = client.open("audio", sample_rate=16000)
        for data in ([1, 2], None, np.zeros(3, complex), np.zeros(3, object), np.zeros(3, bool), "text", b"bytes"):
            with pytest.raises(OstinatoError):
                stream.push(data)  # type: ignore[arg-type]
                stream.flush()
        stream.push(sound(0.5, 1))
        assert stream.flush()[-1].final
