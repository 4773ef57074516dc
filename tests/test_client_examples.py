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
import soundfile
from snippets import ROOT

import ostinato
from ostinato.cli.files import bundled_recording
from ostinato.errors import ConnectionLostError
from ostinato.model import Network
from ostinato.model.activation import Activation
from ostinato.model.decoders import InverseSpectrum
from ostinato.model.front_ends import Spectrum
from ostinato.model.layers import Activate
from ostinato.model.specification import Sequential
from ostinato.server import Server
from ostinato.streaming import Model
from ostinato_client import Client, FileSource, Stream

EXAMPLES = ROOT / "clients/examples"
WORDS = re.compile(r" *(\d+\.\d\d) s  (\w+)")


@contextmanager
def serve(bind: str = "tcp://127.0.0.1:*") -> Iterator[tuple[str, subprocess.Popen[str]]]:
    """`ostinato serve`, and its endpoint once it is ready."""
    command = [sys.executable, "-c", "from ostinato.cli import main; main()", "serve", "--bind", bind]
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
    with Server({"digits-uni": ostinato.load("digits-uni")}) as server:
        yield server.endpoint


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
    assert complaints.count("no server (") == 1 and complaints.count("are sent again") == 2


def test_reconnecting_keeps_so_much_and_says_what_it_loses(endpoint: str, capsys: pytest.CaptureFixture[str]) -> None:
    """Without a server for longer than its memory lasts; then it goes on with what it has kept."""
    reconnecting = module("reconnecting")

    class Later(Client):
        there = False

        def open(self, *arguments: Any, **settings: Any) -> Stream:
            if not self.there:
                raise ConnectionLostError("nobody is there")
            return super().open(*arguments, **settings)

    with FileSource(bundled_recording(), realtime=False) as source, Later(endpoint) as client:
        speech, rate = source.read(), source.sample_rate
        stream = reconnecting.Recovering(client, "digits-uni", rate)
        reconnecting.AGAIN_S = 0.01
        assert stream.push(speech) == []
        while stream._kept_s() <= reconnecting.KEPT_S:
            assert stream.push(np.zeros(rate, np.float32)) == []
        assert stream.push(np.zeros(100, np.float32)) == []
        told = capsys.readouterr().err.splitlines()
        assert "no server (server_gone)" in told[0] and told[1:] == ["memory is full: 100 samples are lost"]
        client.there = True
        time.sleep(0.02)
        events = stream.push(np.zeros(100, np.float32)) + stream.flush()
        assert [event.text for event in events] == [word for _, word in undisturbed()]
        again = stream.push(speech) + stream.flush()
        assert [event.text for event in again] == [word for _, word in undisturbed()], "the next utterance"


@pytest.mark.parametrize("seed", range(3))
def test_reconnecting_loses_nothing_wherever_its_stream_breaks(endpoint: str, seed: int) -> None:
    """Utterance after utterance, with breaks at any call: the events are those of one stream that never broke."""
    reconnecting = module("reconnecting")
    reconnecting.AGAIN_S, reconnecting.SNAPSHOT_S = 0.0, 0.4
    chance = np.random.default_rng(seed)

    class Breaking:
        def __init__(self, stream: Stream) -> None:
            self.stream = stream

        def __getattr__(self, name: str) -> Any:
            def call(*arguments: Any) -> Any:
                if chance.random() < 0.03:
                    raise ConnectionLostError("before it")
                result = getattr(self.stream, name)(*arguments)
                if name != "results" and chance.random() < 0.03:
                    raise ConnectionLostError("after it")
                return result

            return call

    class Fragile(Client):
        def open(self, *arguments: Any, **settings: Any) -> Any:
            return Breaking(super().open(*arguments, **settings | {"timeout": 5.0}))

    with FileSource(bundled_recording(), realtime=False) as source, Fragile(endpoint) as client:
        stream = reconnecting.Recovering(client, "digits-uni", source.sample_rate)
        chunks = np.array_split(source.read(), 70)
        for utterance in range(2):
            events = [event for chunk in chunks for event in stream.push(chunk)] + stream.flush()
            heard = [(f"{event.time_ms / 1000:.2f}", event.text) for event in events]
            assert heard == undisturbed() and {event.utterance for event in events} == {utterance}


def test_denoise(tmp_path: Path) -> None:
    """A denoiser that keeps all gives the recording back, aligned, at its own rate."""
    front_end = Spectrum(16000, 320, 160, window="sqrt-hann", pad=True)
    decoder = InverseSpectrum(320, 160, window="sqrt-hann", trim_start=160, trim_end=160)
    network = Network.random(Sequential("keeps-all", front_end, [Activate(Activation("identity"))], decoder))
    noisy, clean = str(tmp_path / "noisy.wav"), str(tmp_path / "clean.wav")
    samples = np.random.default_rng(0).uniform(-0.5, 0.5, 16000)
    soundfile.write(noisy, samples, 16000)
    with Server({"keeps-all": Model(network), "digits-uni": ostinato.load("digits-uni")}) as server:
        endpoint = server.endpoint
        assert "clean.wav: 1.00 s at 16000 Hz" in example("denoise.py", noisy, clean, "keeps-all", endpoint)
        heard, rate = soundfile.read(clean)
        assert rate == 16000
        np.testing.assert_allclose(heard, samples, atol=2e-4)
        for wrong, why in (((noisy, clean, "digits-uni"), "makes no audio"), (("none.wav", clean), "none.wav")):
            arguments = [*wrong, "keeps-all"][:3]
            done = subprocess.run(
                [sys.executable, EXAMPLES / "denoise.py", *arguments, endpoint], capture_output=True, text=True
            )
            assert done.returncode == 1 and why in done.stderr and "Traceback" not in done.stderr


def test_sensors(tmp_path: Path) -> None:
    """Each sensor has the labels that the library gives it; also the one that goes away and comes back."""
    sensors = module("sensors")
    path = tmp_path / "models" / "trend.safetensors"
    example("sensors.py", "--write", str(path))
    with Server({"trend": ostinato.load(path)}) as server:
        served = example("sensors.py", server.endpoint)
    for number in (0, sensors.RECONNECTING, sensors.SENSORS - 1):
        stream = ostinato.load(path).stream()
        labels = Counter(event.text for event in [*stream.push(sensors.readings(number)), *stream.flush()])
        assert min(labels.values()) > 40 and labels.total() == sensors.FRAMES
        assert re.search(rf"sensor {number}\b.*: {re.escape(str(dict(labels)))}", served)
    assert f"{sensors.SENSORS * sensors.FRAMES} labels" in served
    assert "10000 labels" in example("sensors.py"), "with a server of its own"
