"""`ostinato listen --play` and `--output`: audio that a model makes is heard, and written."""

from __future__ import annotations

import re
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
import soundfile
import virtual_microphone
from little_room import little_room

from ostinato.cli.files import bundled_recording
from ostinato.cli.playing import Playback
from ostinato.model import Network, write
from ostinato.model.decoders import Audio
from ostinato.model.front_ends import Samples
from ostinato.model.layers import Dense
from ostinato.model.specification import Sequential
from ostinato.protocol import HeadInfo

Run = Callable[..., subprocess.CompletedProcess[str]]
RATE = 8000
RECORD = """
import sys
import numpy as np
from ostinato_client import MicrophoneSource

with MicrophoneSource(sample_rate=8000) as source:
    heard, silence = [], 0
    for chunk in source:
        loud = np.abs(chunk).max() > 300
        heard += [chunk] if loud or heard else []
        silence = 0 if loud else silence + len(chunk)
        if heard and silence > 8000:
            break
np.save(sys.argv[1], np.concatenate(heard))
"""


@pytest.fixture
def amplifier(tmp_path: Path) -> Path:
    """A model that makes sound half as loud, and turns it over."""
    specification = Sequential("amplifier", Samples(RATE, 1, 1), (Dense(1),), Audio())
    weights = {"dense.W": np.array([[-0.5]], np.float32), "dense.b": np.zeros(1, np.float32)}
    path = tmp_path / "amplifier.safetensors"
    write(path, Network(specification, weights))
    return path


def test_what_the_model_makes_is_written(ostinato: Run, amplifier: Path, tmp_path: Path) -> None:
    made = tmp_path / "made.wav"
    done = ostinato("listen", amplifier, "--file", bundled_recording(), "--fast", "--output", made)
    assert done.returncode == 0, done.stderr
    samples, rate = soundfile.read(bundled_recording(), dtype="float32")
    heard, made_rate = soundfile.read(made, dtype="float32")
    assert rate == made_rate == RATE
    np.testing.assert_array_equal(heard, -0.5 * samples)
    seconds = f"{len(samples) / RATE:.1f}"
    assert f"{seconds} s heard, {seconds} s made" in done.stderr
    assert not done.stdout, "sound is no text"


def test_sound_that_the_disk_does_not_take_is_told_as_other_files_are(tmp_path: Path) -> None:
    head = HeadInfo("main", "audio", sample_rate=RATE)
    for size in (8, 4096):  # not the head of the file; and only that, and a little
        full = pytest.raises(OSError, match="the sound cannot be written")
        with little_room(size), full as told, Playback(head, False, tmp_path / "full.wav") as playback:
            playback.take(np.zeros(100_000, np.float32))
        assert told.value.filename == str(tmp_path / "full.wav")


def test_wrong_uses_are_named(ostinato: Run, amplifier: Path, tmp_path: Path) -> None:
    words = ostinato("listen", "digits-uni", "--file", bundled_recording(), "--fast", "--output", tmp_path / "a.wav")
    assert words.returncode == 1 and "gives no audio (its decoder is ctc)" in words.stderr
    assert not (tmp_path / "a.wav").exists()
    fast = ostinato("listen", amplifier, "--file", bundled_recording(), "--fast", "--play")
    assert fast.returncode == 2 and "at the pace of sound" in fast.stderr
    kind = ostinato("listen", amplifier, "--file", bundled_recording(), "--output", tmp_path / "a.mp3")
    assert kind.returncode == 2 and ".wav" in kind.stderr


@pytest.mark.skipif(bool(virtual_microphone.missing()), reason=f"needs {virtual_microphone.missing()}")
def test_what_the_model_makes_is_heard(amplifier: Path, tmp_path: Path) -> None:
    """PortAudio for real: what the loudspeaker plays is recorded by another process, and is what was made."""
    (tmp_path / "microphone").mkdir()
    made = tmp_path / "made.wav"
    listen = [sys.executable, "-c", "from ostinato.cli import main; main()", "listen", str(amplifier)]
    with virtual_microphone.VirtualMicrophone(tmp_path / "microphone") as microphone:
        recording = subprocess.Popen(
            [sys.executable, "-c", RECORD, str(tmp_path / "heard.npy")], env=microphone.environment
        )
        try:
            while not microphone.being_recorded():
                assert recording.poll() is None
            done = subprocess.run(
                [*listen, "--file", str(bundled_recording()), "--play", "--output", str(made), "--seconds", "3"],
                env=microphone.environment, capture_output=True, text=True, timeout=60,
            )  # fmt: skip
            assert done.returncode == 0, done.stderr
            assert recording.wait(30) == 0
        finally:
            recording.kill()
            recording.wait()
    trip = re.search(r"3\.0 s made, round trip (\d+) ms in the median, (no|\d+) underruns?\b", done.stderr)
    assert trip and 0 < int(trip[1]) < 3000, done.stderr
    heard, (played, _) = np.load(tmp_path / "heard.npy").astype(np.float64), soundfile.read(made)
    alike = [likeness(heard, part) for part in np.array_split(played, len(played) // 4000)]
    assert np.median(alike) > 0.9, f"the same sound, not turned over: {np.round(alike, 2)}"


def likeness(heard: np.ndarray, part: np.ndarray) -> float:
    """The correlation of a part of what was played with what was heard, where it is greatest. Part by part, as a busy
    machine may leave gaps between them."""
    size = 1 << int(np.ceil(np.log2(len(heard) + len(part))))
    products = np.fft.irfft(np.fft.rfft(heard, size) * np.conj(np.fft.rfft(part, size)), size)[: len(heard)]
    power = np.cumsum(np.append(0, np.square(np.append(heard, np.zeros(len(part))))))
    around = np.sqrt(np.maximum(power[len(part) :] - power[: -len(part)], 1))[: len(heard)]
    return float((products / around / max(np.linalg.norm(part), 1e-9)).max())
