"""clients/examples, each run as its first lines say, against a server as `ostinato serve` makes it."""

from __future__ import annotations

import importlib.util
import re
import signal
import subprocess
import sys
import time
from collections import Counter
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from snippets import ROOT

import ostinato
from ostinato.cli.files import bundled_recording
from ostinato.errors import ConnectionLostError
from ostinato_client import FileSource

EXAMPLES = ROOT / "clients/examples"
WORDS = re.compile(r" *(\d+\.\d\d) s  (\w+)")


@contextmanager
def serve(*arguments: str, bind: str = "tcp://127.0.0.1:*") -> Iterator[tuple[str, subprocess.Popen[str]]]:
    """`ostinato serve`, and its endpoint once it is ready."""
    command = [sys.executable, "-c", "from ostinato.cli import main; main()", "serve", "--bind", bind, *arguments]
    with subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, text=True) as process:
        try:
            assert process.stdout is not None
            ready = re.search(r"tcp://\S+", process.stdout.readline())
            assert ready is not None
            yield ready[0], process
        finally:
            process.kill()


def example(name: str, *arguments: str, **settings: Any) -> str:
    """What an example prints."""
    done = subprocess.run(
        [sys.executable, EXAMPLES / name, *arguments], capture_output=True, text=True, timeout=100, **settings
    )
    assert done.returncode == 0, done.stderr
    return done.stdout


def module(name: str) -> Any:
    """An example, imported."""
    spec = importlib.util.spec_from_file_location(name, EXAMPLES / f"{name}.py")
    assert spec is not None and spec.loader is not None
    loaded = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(loaded)
    return loaded


@pytest.fixture(scope="module")
def endpoint() -> Iterator[str]:
    with serve() as (endpoint, _):
        yield endpoint


def undisturbed() -> list[tuple[str, str]]:
    """Each word of the recording with its time in seconds, by the library."""
    with FileSource(bundled_recording(), realtime=False) as source:
        stream = ostinato.load("digits-uni").stream(sample_rate=source.sample_rate)
        events = [*stream.push(source.read()), *stream.flush()]
    return [(f"{event.time_ms / 1000:.2f}", event.text) for event in events]


def test_each_example_is_run_here() -> None:
    tests = Path(__file__).read_text()
    assert all(f'"{path.name}"' in tests for path in EXAMPLES.glob("*.py"))


@pytest.mark.parametrize("path", sorted(EXAMPLES.glob("*.py")), ids=lambda path: path.name)
def test_what_an_example_tells_to_type_exists(path: Path) -> None:
    first = path.read_text().split('"""')[1]
    typed = re.findall(r"^    .*\.venv/bin/(?:python (\S+)|ostinato (\w+))", first, re.MULTILINE)
    assert ("clients/examples/" + path.name, "") in typed and ("", "serve") in typed
    assert {file for file, _ in typed} <= {"", "clients/examples/" + path.name}


def test_transcribe(endpoint: str) -> None:
    arguments = (str(bundled_recording()), "digits-uni", endpoint)
    assert WORDS.findall(example("transcribe.py", *arguments)) == undisturbed()
    with bundled_recording().open("rb") as recording:
        assert WORDS.findall(example("transcribe.py", "-", *arguments[1:], stdin=recording)) == undisturbed()
    for wrong, why in (
        ((*arguments[:1], "digits", endpoint), "digits-uni"),
        (("none.wav", "digits-uni", endpoint), "no file 'none.wav'"),
        ((*arguments[:2], "tcp://127.0.0.1:1"), "tcp://127.0.0.1:1"),
    ):
        done = subprocess.run([sys.executable, EXAMPLES / "transcribe.py", *wrong], capture_output=True, text=True)
        assert done.returncode == 1 and why in done.stderr and "Traceback" not in done.stderr


def test_many_streams(endpoint: str) -> None:
    lines = example("many_streams.py", "8", endpoint).splitlines()
    said = " ".join(word for _, word in undisturbed())
    assert len(lines) == 8 and all(f": {said}   (median latency" in line for line in lines)


@pytest.mark.parametrize("how", [signal.SIGKILL, signal.SIGTERM])
def test_reconnecting(how: signal.Signals) -> None:
    """The server dies amid the recording, and another comes two seconds later: no word is lost, none comes twice."""
    with (
        serve() as (endpoint, server),
        subprocess.Popen(
            [sys.executable, EXAMPLES / "reconnecting.py", endpoint],
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
        ) as process,
    ):
        assert process.stdout is not None
        shown = [process.stdout.readline(), process.stdout.readline()]
        server.send_signal(how)
        if how == signal.SIGTERM:
            server.send_signal(how)  # a second one does not wait for open streams
        server.wait(30)
        time.sleep(2)
        with serve(bind=endpoint):
            rest, complaints = process.communicate(timeout=60)
    assert process.returncode == 0, complaints
    assert WORDS.findall("".join(shown) + rest) == undisturbed()
    assert complaints.count("no server (") == 1 and complaints.count("sent again") == 2


def test_reconnecting_keeps_so_much_and_says_what_it_loses(capsys: pytest.CaptureFixture[str]) -> None:
    class NoServer:
        def open(self, *_: object, **__: object) -> None:
            raise ConnectionLostError("nobody is there")

    reconnecting = module("reconnecting")
    stream = reconnecting.Recovering(NoServer(), "digits-uni", 100)
    for _ in range(100):
        assert stream.push(np.zeros(100, np.float32)) == []
    assert len(stream._since) == reconnecting.KEPT_S + 1
    told = capsys.readouterr().err.splitlines()
    assert "no server (server_gone)" in told[0]
    assert told[1:] == ["memory is full: 100 samples are lost"] * 39


def test_sensors(tmp_path: Path) -> None:
    """Each sensor has the labels that the library gives it; also the one that goes away and comes back."""
    sensors = module("sensors")
    path = tmp_path / "models" / "trend.safetensors"
    example("sensors.py", "--write", str(path))
    with serve("--models", str(path.parent)) as (endpoint, _):
        served = example("sensors.py", endpoint)
    for number in (0, sensors.RECONNECTING, sensors.SENSORS - 1):
        stream = ostinato.load(path).stream()
        labels = Counter(event.text for event in [*stream.push(sensors.readings(number)), *stream.flush()])
        assert min(labels.values()) > 40 and labels.total() == sensors.FRAMES
        assert re.search(rf"sensor {number}\b.*: {re.escape(str(dict(labels)))}", served)
    assert f"{sensors.SENSORS * sensors.FRAMES} labels" in served
    assert "10000 labels" in example("sensors.py"), "with a server of its own"
