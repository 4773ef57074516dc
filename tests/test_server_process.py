"""The server as a process: ready when it is ready, drained by a signal, gone with its parent."""

from __future__ import annotations

import signal
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest
from engine_models import SPECIFICATIONS, frames
from random_models import network
from server_raw import PATIENCE_S, Raw

from ostinato import protocol as wire
from ostinato.errors import ConnectionLostError, UnknownModelError
from ostinato.model import write
from ostinato.server import served_name, spawn_server


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder with two model files."""
    made = tmp_path_factory.mktemp("models")
    for name in ("frames", "audio-bi"):
        write(made / f"{name}.safetensors", network(SPECIFICATIONS[name]))
    return made


Started = tuple["subprocess.Popen[str]", str]


@pytest.fixture
def process(folder: Path) -> Iterator[Started]:
    """A server process that is ready, and its endpoint."""
    arguments = ["--models", str(folder), "--bind", "tcp://127.0.0.1:*", "--drain", "30"]
    started = subprocess.Popen(
        [sys.executable, "-m", "ostinato.server", *arguments],
        stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, text=True,
    )  # fmt: skip
    assert started.stdout is not None
    ready, endpoint, names, word, ms, unit = started.stdout.readline().split()
    assert (ready, word, unit) == ("ready", "start-up", "ms")
    assert {"frames", "audio-bi"} <= set(names.split(","))
    assert float(ms) > 0
    yield started, endpoint
    started.kill()
    started.wait()
    started.stdout.close()


@pytest.mark.parametrize("how", [signal.SIGTERM, signal.SIGINT])
def test_a_signal_drains(process: Started, how: signal.Signals) -> None:
    server, endpoint = process
    with Raw(endpoint) as raw:
        stream = raw.open("frames")
        raw.send(wire.Push(stream, 1, frames(100)))
        raw.results(stream, 1)
        server.send_signal(how)
        assert isinstance(raw.receive(), wire.Draining)
        assert raw.refused(wire.Open(b"n" * 16, "frames")).code == "draining"
        raw.send(wire.Push(stream, 2, frames(100)), wire.Flush(stream, 3))
        assert raw.results(stream, 3)[-1].processed == 200
        raw.ask(wire.Close(stream), wire.Closed)
        assert isinstance(raw.receive(), wire.Goodbye)
    assert server.wait(PATIENCE_S) == 0


def test_a_second_signal_ends_at_once(process: Started) -> None:
    server, endpoint = process
    with Raw(endpoint) as raw:
        raw.open("frames")
        server.send_signal(signal.SIGTERM)
        assert isinstance(raw.receive(), wire.Draining)
        server.send_signal(signal.SIGTERM)
        assert server.wait(PATIENCE_S) == 0


def test_a_spawned_server_ends_when_it_is_let_go(folder: Path) -> None:
    path = folder / "frames.safetensors"
    with spawn_server([path, "audio-bi"], [folder]) as (endpoint, process), Raw(endpoint) as raw:
        listed = raw.ask(wire.ListModels(), wire.ModelList)
        assert {info.name for info in listed.models} == {served_name(path), "audio-bi"}
        raw.open("audio-bi")
    assert process.returncode == 0


def test_a_spawned_server_of_a_wrong_model(folder: Path, capfd: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(UnknownModelError):
        spawn_server(["nobody"], [folder])
    wrong = folder / "wrong.safetensors"
    wrong.write_bytes(b"no model")
    try:
        with pytest.raises(ConnectionLostError, match="before it was ready"):
            spawn_server([wrong])
    finally:
        wrong.unlink()
    assert "wrong.safetensors" in capfd.readouterr().err


def test_another_address_is_refused_by_the_command() -> None:
    done = subprocess.run(
        [sys.executable, "-m", "ostinato.server", "--bind", "tcp://0.0.0.0:7077"],
        capture_output=True, text=True, timeout=PATIENCE_S,
    )  # fmt: skip
    assert done.returncode == 1
    assert "no keys yet" in done.stderr
    assert done.stdout == ""


def test_starting_a_server_loads_only_what_it_needs() -> None:
    code = (
        "import sys, ostinato.server.process; "
        "assert not {'numba', 'scipy', 'zmq'} & set(sys.modules); "
        "import ostinato.server.server, ostinato.server.loading; "
        "print([m for m in ('matplotlib', 'onnx', 'onnxruntime', 'typer', 'sounddevice') if m in sys.modules])"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, timeout=60, check=True)
    assert done.stdout.strip() == "[]"
