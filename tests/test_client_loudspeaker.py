"""A loudspeaker: what PortAudio is given, when it wants how much."""

from __future__ import annotations

import threading
from collections.abc import Callable
from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest

from ostinato.errors import AudioDeviceError
from ostinato_client import Loudspeaker, portaudio
from ostinato_client.loudspeaker import PREFILL_S, QUEUE_S

RATE = 1000
PREFILL = int(PREFILL_S * RATE)


class PortAudioError(Exception):
    pass


class OutputStream:
    """PortAudio's, whose callback tests call; the last one is ``made``."""

    latency = 0.01
    made: OutputStream

    def __init__(self, callback: Callable[..., None], finished_callback: Callable[[], None], **settings: Any) -> None:
        assert settings == {"channels": 1, "dtype": "float32", "samplerate": RATE, "latency": "low"}
        self.wants, self.ends, self.closed = callback, finished_callback, False
        OutputStream.made = self

    def start(self) -> None:
        pass

    def close(self) -> None:
        self.closed = True


@pytest.fixture
def loudspeaker(monkeypatch: pytest.MonkeyPatch) -> Loudspeaker:
    stub = SimpleNamespace(OutputStream=OutputStream, PortAudioError=PortAudioError)
    monkeypatch.setattr(portaudio, "load", lambda: stub)
    return Loudspeaker(RATE)


def wanted(count: int, late: bool = False) -> list[float]:
    out = np.full((count, 1), np.nan, np.float32)
    OutputStream.made.wants(out, count, None, SimpleNamespace(output_underflow=late))
    return [float(each) for each in out[:, 0]]


def ramp(start: int, count: int) -> Any:
    return np.arange(start, start + count, dtype=np.float32)


def test_samples_are_heard_in_order_once_there_are_enough(loudspeaker: Loudspeaker) -> None:
    loudspeaker.play(ramp(1, PREFILL - 1))
    assert wanted(5) == [0] * 5 and loudspeaker.underruns == 0
    loudspeaker.play(ramp(PREFILL, 7))
    assert loudspeaker.delay_s == pytest.approx((PREFILL + 6) / RATE + 0.01)
    heard = [*wanted(3), *wanted(PREFILL), *wanted(3)]
    assert heard == [float(each) for each in range(1, PREFILL + 7)]
    assert loudspeaker.underruns == 0 and loudspeaker.delay_s == pytest.approx(0.01)


def test_what_comes_too_late_leaves_a_gap_that_is_counted(loudspeaker: Loudspeaker) -> None:
    loudspeaker.play(ramp(1, PREFILL))
    assert wanted(PREFILL + 2)[-3:] == [PREFILL, 0, 0]
    assert loudspeaker.underruns == 1
    loudspeaker.play(ramp(1, PREFILL - 1))
    assert wanted(2) == [0, 0], "until there is enough again"
    loudspeaker.play(ramp(PREFILL, 1))
    assert wanted(2) == [1, 2]
    assert loudspeaker.underruns == 1
    assert wanted(2, late=True) == [3, 4] and loudspeaker.underruns == 2, "the device's own"


def test_the_end_is_heard_however_little_is_left(loudspeaker: Loudspeaker) -> None:
    loudspeaker.play(ramp(1, 3))
    ending = threading.Thread(target=loudspeaker.finish)
    ending.start()
    while (heard := wanted(4)) == [0] * 4:
        assert ending.is_alive()
    assert heard == [1, 2, 3, 0]
    ending.join(5)
    assert not ending.is_alive() and loudspeaker.underruns == 0
    loudspeaker.close()
    loudspeaker.close()
    assert OutputStream.made.closed


def test_who_plays_too_much_waits_and_a_device_that_is_gone_is_an_error(loudspeaker: Loudspeaker) -> None:
    loudspeaker.play(np.zeros(int(QUEUE_S * RATE) + 1, np.float32))
    errors = []

    def more() -> None:
        try:
            loudspeaker.play(ramp(0, 1))
        except AudioDeviceError as error:
            errors.append(str(error))

    playing = threading.Thread(target=more)
    playing.start()
    playing.join(0.05)
    assert playing.is_alive(), "it waits"
    OutputStream.made.ends()
    playing.join(5)
    assert not playing.is_alive() and "has gone away" in errors[0]


def test_without_a_loudspeaker_the_cure_is_named(monkeypatch: pytest.MonkeyPatch) -> None:
    def none(**_: Any) -> None:
        raise PortAudioError("no device")

    monkeypatch.setattr(portaudio, "load", lambda: SimpleNamespace(OutputStream=none, PortAudioError=PortAudioError))
    with pytest.raises(AudioDeviceError, match=r"no loudspeaker for 1000 Hz .no device.: .* or write a file"):
        Loudspeaker(RATE)
