"""`ostinato listen` as a process: files, text, a running server, and a microphone through PortAudio for real."""

from __future__ import annotations

import json
import os
import re
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
import soundfile
import virtual_microphone

from ostinato.cli.display import level_db, meter
from ostinato.cli.files import bundled_recording
from ostinato.data.recordings import transcript_beside
from ostinato.model import Network, write
from ostinato.model.activation import Activation
from ostinato.model.decoders import Beats, Labels
from ostinato.model.front_ends import FilteredSpectrogram, Tokens
from ostinato.model.layers import Dense, Gru, OneHot, Softmax
from ostinato.model.specification import Sequential
from ostinato.pipeline.score import error_rate
from ostinato.server import Server
from ostinato.streaming import load

Run = Callable[..., subprocess.CompletedProcess[str]]
LISTEN = [sys.executable, "-c", "from ostinato.cli import main; main()", "listen"]
TRANSCRIPT = (transcript_beside(bundled_recording()) or "").split()


def words(output: str) -> list[str]:
    """The symbols in plain output: lines such as '    0.82 s  five  17 ms'."""
    return [line.split()[2] for line in output.splitlines() if re.match(r" *\d+\.\d\d s  \w+", line)]


@pytest.mark.parametrize("model", ["digits-uni", "digits-bi"])
def test_a_file_is_heard_line_by_line(ostinato: Run, model: str) -> None:
    done = ostinato("listen", model, "--file", bundled_recording(), "--fast")
    assert done.returncode == 0, done.stderr
    assert error_rate(TRANSCRIPT, words(done.stdout)) <= 0.3
    assert "heard" in done.stderr


def test_blanks_say_where_speech_ends(ostinato: Run) -> None:
    heard = ("--file", bundled_recording(), "--fast", "--trailing-blanks-ms", "1000")
    done = ostinato("listen", "digits-uni", *heard)
    assert done.returncode == 0, done.stderr
    lines = done.stdout.splitlines()
    assert len(ends := [i for i, line in enumerate(lines) if "(end of speech)" in line]) == 2
    assert 0 < ends[0] < ends[1] == len(lines) - 1, "once between words, once behind them"
    waiting = ostinato("listen", "digits-bi", *heard)
    assert waiting.returncode == 1 and "give block_ms too" in waiting.stderr


def test_bounded_wait_answers_while_somebody_speaks(ostinato: Run) -> None:
    wait = ("--block-ms", "200", "--lookahead-ms", "300")
    done = ostinato("listen", "digits-bi", "--file", bundled_recording(), "--json", "--seconds", "4", *wait)
    assert done.returncode == 0, done.stderr
    assert "which answers within" in done.stderr
    symbols = [event for event in map(json.loads, done.stdout.splitlines()) if event["kind"] == "symbol"]
    assert len(symbols) > 3
    assert min(event["after_decided_ms"] for event in symbols) < 1000, "none waited for the end, or a pause"
    causal = ostinato("listen", "digits-uni", "--file", bundled_recording(), "--fast", *wait)
    assert causal.returncode == 1 and "leave them out" in causal.stderr
    alone = ostinato("listen", "digits-bi", "--file", bundled_recording(), "--fast", "--lookahead-ms", "300")
    assert alone.returncode == 1 and "give both" in alone.stderr


def test_a_model_that_hears_no_pauses_answers_at_the_end(ostinato: Run, tmp_path: Path) -> None:
    """Frames of music do not tell how loud they are: nothing says where an utterance ends but the input's end."""
    layers = [Gru(3, direction="bidirectional"), Dense(1, Activation("sigmoid"))]
    front_end = FilteredSpectrogram(sample_rate=8000, windows=(512,), bands_per_octave=(6,), high_hz=3900.0)
    music = Sequential("music", front_end, layers, Beats(method="viterbi"))
    write(tmp_path / "music.safetensors", Network.random(music))
    done = ostinato("listen", tmp_path / "music.safetensors", "--file", bundled_recording(), "--fast", "--json")
    assert done.returncode == 0, done.stderr
    assert "answers at its end" in done.stderr
    events = [json.loads(line) for line in done.stdout.splitlines()]
    assert len(events) > 5 and {event["kind"] for event in events} == {"beat"}
    assert all(50 < event["values"][0] < 220 for event in events)


def test_json_lines_carry_kind_time_and_text_and_seconds_ends_early(ostinato: Run) -> None:
    done = ostinato("listen", "digits-uni", "--file", bundled_recording(), "--json", "--seconds", "3")
    assert done.returncode == 0, done.stderr
    events = [json.loads(line) for line in done.stdout.splitlines()]
    assert events and all(event["kind"] == "symbol" and 0 < event["time_ms"] <= 3000 for event in events)
    assert all(event["after_decided_ms"] > 0 for event in events)


def test_a_running_server_is_used_and_an_absent_one_is_named(ostinato: Run) -> None:
    with Server({"digits-uni": load("digits-uni")}) as server:
        done = ostinato("listen", "digits-uni", "--file", bundled_recording(), "--fast", "--connect", server.endpoint)
        assert done.returncode == 0, done.stderr
        assert words(done.stdout)
        lost = ostinato("listen", "digits-bi", "--file", bundled_recording(), "--connect", server.endpoint)
        assert lost.returncode == 1 and "no model 'digits-bi'" in lost.stderr
        endpoint = server.endpoint
    gone = ostinato("listen", "digits-uni", "--file", bundled_recording(), "--connect", endpoint)
    assert gone.returncode == 1
    assert "Traceback" not in gone.stderr and endpoint in gone.stderr


def test_audio_comes_from_standard_input_and_from_pipes(ostinato: Run, tmp_path: Path) -> None:
    """With its format found in its header, or told; an endless one is heard as it comes."""
    recording = bundled_recording().read_bytes()
    raw = recording[44:]
    for content, *told in ((recording,), (raw, "--format", "s16le", "--rate", "8000")):
        with (tmp_path / "content").open("wb") as file:
            file.write(content)
        with subprocess.Popen(["cat", tmp_path / "content"], stdout=subprocess.PIPE) as cat:
            done = ostinato("listen", "digits-uni", "--file", "-", "--fast", *told, stdin=cat.stdout)
        assert done.returncode == 0, done.stderr
        assert error_rate(TRANSCRIPT, words(done.stdout)) <= 0.3
    untold = ostinato("listen", "digits-uni", "--file", tmp_path / "content")
    assert untold.returncode == 1 and "content' is no audio" in untold.stderr
    for wrong in (
        ["--format", "s16le"],
        ["--rate", "8000"],
        ["--format", "s16le", "--rate", "8000", "--device", "1"],
    ):
        assert ostinato("listen", "digits-uni", *wrong).returncode == 2
    strange = ostinato("listen", "digits-uni", "--file", "-", "--format", "int16", "--rate", "8000")
    assert strange.returncode == 1 and "s16le" in strange.stderr
    nothing = ostinato("listen", "digits-uni", "--file", "-")
    assert nothing.returncode == 1 and "standard input is empty" in nothing.stderr


def test_audio_from_a_pipe_is_shown_before_the_pipe_ends() -> None:
    with subprocess.Popen(
        [*LISTEN, "digits-uni", "--file", "-"], stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=subprocess.PIPE
    ) as process:
        assert process.stdin is not None and process.stdout is not None
        process.stdin.write(bundled_recording().read_bytes()[: 44 + 2 * 8000 * 2])
        process.stdin.flush()
        first = process.stdout.readline()
        process.send_signal(signal.SIGINT)
        _, complaints = process.communicate(timeout=30)
    assert words(first.decode()) and process.returncode == 0, complaints


def test_what_was_spoken_before_a_recording_is_damaged_is_shown(ostinato: Run, tmp_path: Path) -> None:
    """digits-bi has said nothing yet when the FLAC breaks off after four seconds."""
    samples, rate = soundfile.read(bundled_recording())
    soundfile.write(tmp_path / "whole.flac", samples, rate)
    content = (tmp_path / "whole.flac").read_bytes()
    (tmp_path / "cut.flac").write_bytes(content[: len(content) * 2 // 3])
    done = ostinato("listen", "digits-bi", "--file", tmp_path / "cut.flac", "--fast")
    assert done.returncode == 1
    assert re.search(r"cut.flac' is damaged after \d\.\d\d s", done.stderr)
    assert len(words(done.stdout)) >= 3 and "heard" in done.stderr


def test_text_comes_from_standard_input(ostinato: Run, tmp_path: Path) -> None:
    vocabulary = tuple("abcdefghijklmnopqrstuvwxyz ")
    specification = Sequential(
        "mood", Tokens(vocabulary, unknown=26), (OneHot(), Gru(8), Dense(2), Softmax()), Labels(("a", "b"))
    )
    write(tmp_path / "mood.safetensors", Network.random(specification))
    done = ostinato("listen", "mood", "--text", "--models", tmp_path, stdin=None, input="hello\nthere\n")
    assert done.returncode == 0, done.stderr
    assert len(done.stdout.splitlines()) == len("hello\nthere\n")
    audio = ostinato("listen", "mood", "--file", bundled_recording(), "--models", tmp_path)
    assert audio.returncode == 1 and "--text" in audio.stderr


def test_ctrl_c_ends_with_what_was_left(tmp_path: Path) -> None:
    samples, rate = soundfile.read(bundled_recording(), dtype="float32")
    long = tmp_path / "long.wav"
    soundfile.write(long, np.tile(samples, 5), rate)
    with subprocess.Popen(
        [*LISTEN, "digits-uni", "--file", str(long)], stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True
    ) as process:
        assert process.stdout is not None
        first = process.stdout.readline()
        process.send_signal(signal.SIGINT)
        _rest, complaints = process.communicate(timeout=30)
    assert words(first)
    assert process.returncode == 0, complaints
    assert "heard" in complaints and "Traceback" not in complaints


NO_PORTAUDIO = "raise OSError('PortAudio library not found')"
NO_MICROPHONE = """
class PortAudioError(Exception): pass
class default: device = (-1, -1)
def query_devices(): return []
def get_portaudio_version(): return 0, "a stand-in"
"""


NOT_STARTING = """
class PortAudioError(Exception): pass
raise PortAudioError("Error initializing PortAudio")
"""


@pytest.mark.parametrize(
    ("sounddevice", "cure"),
    [
        (NO_PORTAUDIO, "libportaudio2"),
        (NO_MICROPHONE, "plug one in"),
        (NOT_STARTING, "see that the sound server runs"),
    ],
)
def test_without_portaudio_or_microphone_the_cure_is_named(
    ostinato: Run, tmp_path: Path, sounddevice: str, cure: str
) -> None:
    (tmp_path / "sounddevice.py").write_text(sounddevice)
    bare = os.environ | {"PYTHONPATH": str(tmp_path), "COLUMNS": "160"}
    done = ostinato("listen", "digits-uni", env=bare)
    assert done.returncode == 1, done.stdout
    assert cure in done.stderr and "Traceback" not in done.stderr
    examined = ostinato("doctor", "--only", "audio", env=bare)
    assert examined.returncode == 0 and "!" in examined.stdout


def test_recordings_need_neither(ostinato: Run, tmp_path: Path) -> None:
    (tmp_path / "sounddevice.py").write_text(NOT_STARTING)
    bare = os.environ | {"PYTHONPATH": str(tmp_path), "COLUMNS": "160"}
    heard = ostinato("listen", "digits-uni", "--file", bundled_recording(), "--fast", env=bare)
    assert heard.returncode == 0 and words(heard.stdout), heard.stderr


def test_the_level_meter() -> None:
    assert level_db(np.zeros(10, np.int16)) == level_db(np.zeros(0, np.float32)) == -np.inf
    assert level_db(np.full(10, 0.1, np.float32)) == pytest.approx(-20, abs=1e-3)
    assert level_db(np.full(10, -32768, np.int16)) == 0
    assert meter(-np.inf).plain.count("█") == 0 and meter(0.0).plain.count("█") == 16
    assert meter(-30.0).plain.count("█") == 8


@pytest.mark.skipif(bool(virtual_microphone.missing()), reason=f"needs {virtual_microphone.missing()}")
def test_digits_appear_while_a_recording_is_played_into_a_microphone(tmp_path: Path) -> None:
    """The whole way: PulseAudio, ALSA, PortAudio, sounddevice, ZeroMQ, and back onto standard output."""
    shown: list[tuple[float, str]] = []
    with (
        virtual_microphone.VirtualMicrophone(tmp_path) as microphone,
        subprocess.Popen(
            [*LISTEN, "digits-uni"],
            env=microphone.environment,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
        ) as process,
    ):
        assert process.stdout is not None
        lines = process.stdout

        def read() -> None:
            for line in lines:
                shown.append((time.monotonic(), line))

        reader = threading.Thread(target=read)
        reader.start()
        try:
            wait_for(lambda: microphone.being_recorded() or process.poll() is not None)
            player = microphone.play(bundled_recording())
            player.wait(30)
            ended = time.monotonic()
            wait_for(lambda: len(shown) >= len(TRANSCRIPT) - 2 or process.poll() is not None)
        finally:
            process.send_signal(signal.SIGINT)
            reader.join(30)
        assert process.stderr is not None
        complaints = process.stderr.read()
        assert process.wait(30) == 0, complaints
    heard = words("".join(line for _, line in shown))
    assert shown[0][0] < ended, "nothing was shown before the recording had been played"
    assert error_rate(TRANSCRIPT, heard) <= 0.5, heard
    assert "microphone" in complaints and "heard" in complaints


@pytest.mark.skipif(bool(virtual_microphone.missing()), reason=f"needs {virtual_microphone.missing()}")
def test_what_was_spoken_before_the_microphone_went_away_is_shown(tmp_path: Path) -> None:
    """digits-bi has said nothing yet when the sound server dies: first its words, then the error, at once."""
    with (
        virtual_microphone.VirtualMicrophone(tmp_path) as microphone,
        subprocess.Popen(
            [*LISTEN, "digits-bi"],
            env=microphone.environment,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
        ) as process,
    ):
        wait_for(lambda: microphone.being_recorded() or process.poll() is not None)
        with microphone.play(bundled_recording()) as player:
            time.sleep(4.5)
            microphone.vanish()
            went = time.monotonic()
            player.wait(30)
        shown, complaints = process.communicate(timeout=30)
        took = time.monotonic() - went
    assert process.returncode == 1 and "has gone away" in complaints and "Traceback" not in complaints, complaints
    assert complaints.index("heard") < complaints.index("has gone away")
    assert set(words(shown)) & set(TRANSCRIPT) and len(words(shown)) >= 2, shown
    assert took < 5


def wait_for(condition: Callable[[], bool], seconds: float = 60.0) -> None:
    """Wait until a condition holds."""
    deadline = time.monotonic() + seconds
    while not condition():
        assert time.monotonic() < deadline, "waited in vain"
        time.sleep(0.05)
