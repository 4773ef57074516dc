"""A recording, played into a virtual microphone, comes out of MicrophoneSource: PortAudio for real."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
from virtual_microphone import VirtualMicrophone, missing

from ostinato_client import FileSource

RECORDING = next(Path(__file__).parent.parent.glob("engine/ostinato/recordings/*.wav"))
RECORD = """
import sys
import numpy as np
from ostinato_client import MicrophoneSource, microphones

assert any(one.default for one in microphones())
with MicrophoneSource(sample_rate=16000) as source:
    heard, silence = [], 0
    for chunk in source:
        loud = np.abs(chunk).max() > 300
        if loud or heard:
            heard.append(chunk)
        silence = 0 if loud else silence + len(chunk)
        if heard and silence > 1.5 * source.sample_rate:
            break
    assert source.sample_rate == 16000
    print(source.lost, file=sys.stderr)
np.save(sys.argv[1], np.concatenate(heard))
"""


def test_what_is_played_is_heard(tmp_path: Path) -> None:
    if lacking := missing():
        pytest.skip(f"this machine lacks {lacking}")
    (tmp_path / "microphone").mkdir()
    with VirtualMicrophone(tmp_path / "microphone") as microphone:
        recording = subprocess.Popen(
            [sys.executable, "-c", RECORD, str(tmp_path / "heard.npy")], env=microphone.environment
        )
        try:
            while not microphone.being_recorded():
                assert recording.poll() is None
            microphone.play(RECORDING).wait(60)
            assert recording.wait(60) == 0
        finally:
            recording.kill()
            recording.wait()
    heard = np.load(tmp_path / "heard.npy").astype(np.float64)
    with FileSource(RECORDING, realtime=False) as source:
        samples, rate = source.read(), source.sample_rate
    played = np.interp(np.arange(0, len(samples) / rate, 1 / 16000), np.arange(len(samples)) / rate, samples)
    size = 1 << int(np.ceil(np.log2(len(heard) + len(played))))
    correlation = np.fft.irfft(np.fft.rfft(heard, size) * np.conj(np.fft.rfft(played, size)), size)
    likeness = np.abs(correlation).max() / (np.linalg.norm(heard) * np.linalg.norm(played))
    assert likeness > 0.9, "the same sound, whenever it came"
