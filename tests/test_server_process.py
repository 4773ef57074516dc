"""The server as a process: ready when it is ready, drained by a signal, gone with its parent."""

from __future__ import annotations

import os
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
from ostinato.model import available, write
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


@pytest.mark.parametrize("how", [signal.SIGTERM, signal.SIGINT, signal.SIGHUP])
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


def test_nohup_keeps_a_server() -> None:
    started = subprocess.Popen(
        ["sh", "-c", 'trap "" HUP; exec "$@"', "sh", sys.executable, "-m", "ostinato.server", "--bind", "tcp://127.0.0.1:*"],
        stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, text=True,
    )  # fmt: skip
    assert started.stdout is not None
    endpoint = started.stdout.readline().split()[1]
    started.send_signal(signal.SIGHUP)
    with Raw(endpoint) as raw:
        raw.open("digits-uni")
    started.terminate()
    started.communicate(timeout=PATIENCE_S)
    assert started.returncode == 0


def test_what_is_no_model_in_a_folder_is_told_and_the_rest_is_served(tmp_path: Path) -> None:
    write(tmp_path / "frames.safetensors", network(SPECIFICATIONS["frames"]))
    write(tmp_path / "digits-uni.safetensors", network(SPECIFICATIONS["frames"]))
    (tmp_path / "foreign.safetensors").write_bytes(b"no model")
    (tmp_path / "folder.safetensors").mkdir()
    (tmp_path / "link.safetensors").symlink_to(tmp_path / "nowhere")
    (tmp_path / "loop.safetensors").symlink_to(tmp_path / "loop.safetensors")
    os.mkfifo(tmp_path / "pipe.safetensors")
    started = subprocess.Popen(
        [sys.executable, "-m", "ostinato.server", "--models", str(tmp_path), "--bind", "tcp://127.0.0.1:*"],
        stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True,
    )  # fmt: skip
    assert started.stdout is not None
    names = started.stdout.readline().split()[2]
    started.terminate()
    said = started.communicate(timeout=PATIENCE_S)[1]
    assert set(names.split(",")) == {"frames", *available()}
    for what in (
        "foreign.safetensors: ", "folder.safetensors is passed over: it is a folder",
        "link.safetensors is passed over", "loop.safetensors is passed over",
        "pipe.safetensors is passed over: it is a pipe",
        "hides the bundled model of that name",
    ):  # fmt: skip
        assert what in said
    listed = subprocess.run(
        [str(Path(sys.executable).parent / "ostinato"), "models", "--models", str(tmp_path)],
        capture_output=True, text=True, timeout=60,
    )  # fmt: skip
    assert listed.returncode == 0 and "unusable" in listed.stdout and "pipe.safetensors" in listed.stderr


def test_a_model_that_was_named_must_be_one(tmp_path: Path) -> None:
    (tmp_path / "foreign.safetensors").write_bytes(b"no model")
    done = subprocess.run(
        [sys.executable, "-m", "ostinato.server", "--model", str(tmp_path / "foreign.safetensors")],
        capture_output=True, text=True, timeout=PATIENCE_S,
    )  # fmt: skip
    assert done.returncode == 1 and "foreign.safetensors" in done.stderr


def test_options_of_the_command(folder: Path) -> None:
    """Each reaches the server, one process or several."""
    options = [
        "--drain",
        "7.5",
        "--idle",
        "77",
        "--max-clients",
        "3",
        "--max-memory-mb",
        "100000",
        "--log-level",
        "error",
    ]
    for workers in ("1", "2"):
        started = subprocess.Popen(
            [str(Path(sys.executable).parent / "ostinato"), "serve", "--models", str(folder), "--bind", "tcp://127.0.0.1:*",
             "--workers", workers, *options],
            stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True,
        )  # fmt: skip
        assert started.stdout is not None
        endpoint = started.stdout.readline().split()[1]
        with Raw(endpoint) as raw, Raw(endpoint) as second, Raw(endpoint) as third, Raw(endpoint) as fourth:
            if workers == "1":
                opened = raw.ask(wire.Open(b"s" * 16, "frames"), wire.Opened)
                assert opened.idle_s == 77
            for each in (raw, second, third):
                each.ask(wire.Ping(b""), wire.Pong)
            assert "3 clients" in fourth.refused(wire.Ping(b"")).message
            if workers == "1":
                started.terminate()
                draining = raw.receive()
                assert isinstance(draining, wire.Draining) and draining.seconds == 7.5
                raw.ask(wire.Close(b"s" * 16), wire.Closed)
        if workers != "1":
            started.terminate()
        said = started.communicate(timeout=PATIENCE_S)[1]
        assert started.returncode == 0 and "draining" not in said, said


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
