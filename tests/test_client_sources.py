"""Sources without a sound card: files for real, PortAudio through a stand-in module."""

from __future__ import annotations

import io
import sys
import threading
import time
import types

import numpy as np
import pytest
import soundfile

from ostinato.errors import AudioDeviceError, InputError
from ostinato_client import (
    FileSource,
    MicrophoneSource,
    TextSource,
    find_microphone,
    microphone,
    microphones,
    recording,
    sources,
)


def write(path, samples, rate=8000, **settings):
    soundfile.write(path, samples, rate, **settings)
    return path


def test_a_file_as_fast_as_possible(tmp_path):
    samples = np.arange(-1000, 1001, dtype=np.int16)
    with FileSource(write(tmp_path / "a.wav", samples), realtime=False, chunk_ms=20) as source:
        chunks = list(source)
        assert (source.sample_rate, source.channels, source.seconds) == (8000, 1, 2001 / 8000)
    assert [len(chunk) for chunk in chunks] == [160] * 12 + [81]
    assert all(chunk.dtype == np.float32 for chunk in chunks)
    assert np.array_equal(np.concatenate(chunks) * 32768, samples)


def test_channels_are_mixed_down(tmp_path):
    left, right = np.full(500, 0.5, np.float32), np.full(500, -0.25, np.float32)
    path = write(tmp_path / "a.flac", np.stack([left, right], 1))
    with FileSource(path, realtime=False) as source:
        assert np.allclose(source.read(), 0.125, atol=1e-4)


def test_real_time_is_kept_against_absolute_deadlines(tmp_path):
    with FileSource(write(tmp_path / "a.wav", np.zeros(1600, np.int16)), chunk_ms=20) as source:
        start = time.monotonic()
        arrivals = [time.monotonic() - start for _ in source]
    assert len(arrivals) == 10
    assert all(at >= 0.02 * (i + 1) - 1e-3 for i, at in enumerate(arrivals)), "never before it was spoken"


def test_a_late_reader_catches_up(tmp_path, monkeypatch):
    now, waits = [100.0], []

    def wait(seconds):
        waits.append(round(seconds, 6))
        now[0] += seconds

    monkeypatch.setattr(recording, "time", types.SimpleNamespace(monotonic=lambda: now[0]))
    with FileSource(write(tmp_path / "a.wav", np.zeros(960, np.int16)), chunk_ms=20) as source:
        monkeypatch.setattr(source._closed, "wait", wait)
        for i, _ in enumerate(source):
            now[0] += 0.05 if i == 0 else 0.001
    assert waits == [0.02, 0.0, 0.0, 0.008, 0.019, 0.019]


def test_timed_says_when(tmp_path):
    with FileSource(write(tmp_path / "a.wav", np.zeros(400, np.int16)), chunk_ms=20) as source:
        assert [due for due, _ in source.timed()] == [0.02, 0.04, 0.05]


def test_closing_ends_the_wait(tmp_path):
    with FileSource(write(tmp_path / "a.wav", np.zeros(8000 * 60, np.int16)), chunk_ms=30_000) as source:
        threading.Timer(0.05, source.close).start()
        assert list(source) == []


def test_no_file_and_a_folder(tmp_path):
    with pytest.raises(InputError, match="there is no file"):
        FileSource(tmp_path / "none.wav")
    with pytest.raises(InputError, match="there is no file"):
        FileSource(tmp_path)


def test_text():
    with TextSource(io.StringIO("one two\nthree" + "x" * 5000)) as source:
        pieces = list(source)
    assert pieces[0] == "one two\n"
    assert "".join(pieces) == "one two\nthree" + "x" * 5000
    assert max(map(len, pieces)) <= sources.LINE_CHARACTERS
    with pytest.raises(InputError, match="utf-8"):
        list(TextSource(io.TextIOWrapper(io.BytesIO(b"ab\xff\xfe"), encoding="utf-8")))


@pytest.mark.parametrize("errors", ["strict", "surrogateescape"])  # the latter is what Python does in the C locale
def test_text_of_another_encoding_is_named_after_what_is_before_it(errors):
    source = iter(TextSource(io.TextIOWrapper(io.BytesIO(b"one\ncaf\xe9\n"), encoding="utf-8", errors=errors)))
    assert next(source) == "one\n"
    with pytest.raises(InputError, match=r"line 2 of the text is not utf-8 .byte 0xe9"):
        next(source)


@pytest.mark.parametrize("cut", [1, 2, 3, 4096])
def test_line_ends_and_a_byte_order_mark_are_no_tokens(monkeypatch, cut):
    monkeypatch.setattr(sources, "LINE_CHARACTERS", cut)
    raw = "\ufeffone\r\nzwö\rthree\n\ufeff"
    for stream in (io.TextIOWrapper(io.BytesIO(raw.encode()), encoding="utf-8"), io.StringIO(raw, newline="")):
        assert "".join(TextSource(stream)) == "one\nzwö\nthree\n\ufeff"


def test_without_standard_input(monkeypatch):
    monkeypatch.setattr("sys.stdin", None)
    with pytest.raises(InputError, match="no standard input"):
        TextSource()


# --- microphones ----------------------------------------------------------------------------------------------------


class PortAudioError(Exception):
    pass


def device(name, inputs, rate=48000.0):
    return {"name": name, "max_input_channels": inputs, "default_samplerate": rate}


class FakeInputStream:
    last: FakeInputStream

    def __init__(self, **settings):
        self.settings = settings
        self.closed = False
        FakeInputStream.last = self

    def start(self):
        pass

    def close(self):
        self.closed = True
        self.settings["finished_callback"]()

    def vanish(self, complain):
        """The device goes away: PortAudio ends the stream, and may complain when it is closed."""

        def close():
            raise PortAudioError("PaErrorCode -9986")

        self.close = close if complain else self.close
        self.settings["finished_callback"]()

    def hear(self, samples, overflow=False):
        status = types.SimpleNamespace(input_overflow=overflow)
        self.settings["callback"](np.asarray(samples, np.int16)[:, None], len(samples), None, status)


@pytest.fixture
def portaudio(monkeypatch):
    module = types.ModuleType("sounddevice")
    module.PortAudioError = PortAudioError
    module.devices = [device("Speaker", 0), device("Desk microphone", 1), device("Headset microphone", 2, 16000.0)]
    module.query_devices = lambda: module.devices
    module.default = types.SimpleNamespace(device=(2, 0))
    module.rates = {48000, 16000}
    module.InputStream = FakeInputStream

    def check_input_settings(number, channels, dtype, extra, rate):
        if rate not in module.rates:
            raise PortAudioError("Invalid sample rate")

    module.check_input_settings = check_input_settings
    monkeypatch.setitem(sys.modules, "sounddevice", module)
    return module


def test_microphones_are_listed(portaudio):
    assert [(one.number, one.default) for one in microphones()] == [(1, False), (2, True)]
    assert "Headset" in str(microphones()[1]) and "*" in str(microphones()[1])


def test_a_microphone_is_found_by_number_or_name(portaudio):
    assert find_microphone().number == 2
    assert find_microphone("1").number == find_microphone(1).number == 1
    assert find_microphone("headset").number == 2
    with pytest.raises(AudioDeviceError, match="2 microphones have 'microphone'"):
        find_microphone("microphone")
    with pytest.raises(AudioDeviceError, match="did you mean 'Headset"):
        find_microphone("Haedset Microphone")
    for none in ("0", "9", "9" * 5000, "speaker"):
        with pytest.raises(AudioDeviceError, match="choose by number"):
            find_microphone(none)


def test_chunks_come_through_and_losses_are_counted(portaudio):
    with MicrophoneSource(sample_rate=16000, chunk_ms=20) as source:
        stream = FakeInputStream.last
        assert stream.settings["samplerate"] == source.sample_rate == 16000
        assert stream.settings["blocksize"] == 320
        shared = np.arange(320, dtype=np.int16)
        stream.hear(shared)
        shared[:] = 0  # PortAudio uses its buffer again
        assert np.array_equal(next(iter(source)), np.arange(320))
        assert source.lost == 0
        stream.hear(shared, overflow=True)
        for _ in range(150):
            stream.hear(shared)
        assert source.overflows == 1
        assert source.dropped == 151 - 100
        assert source.lost == 52
    assert stream.closed
    assert list(source) == []


def test_a_rate_that_the_device_lacks(portaudio):
    with MicrophoneSource(device=1, sample_rate=8000) as source:
        assert source.sample_rate == 48000


def test_closing_from_another_thread_ends_the_wait(portaudio):
    with MicrophoneSource() as source:
        threading.Timer(0.05, source.close).start()
        assert list(source) == []


def test_a_microphone_that_falls_silent_for_good(portaudio, monkeypatch):
    monkeypatch.setattr(microphone, "STALL_S", 0.05)
    with MicrophoneSource() as source, pytest.raises(AudioDeviceError, match="gave nothing"):
        list(source)


@pytest.mark.parametrize("complain", [False, True])
def test_a_microphone_that_goes_away(portaudio, complain):
    """What was heard before comes first; then it is named, at once. What PortAudio says on closing is no news."""
    with MicrophoneSource() as source:
        FakeInputStream.last.hear(np.arange(5))
        FakeInputStream.last.hear(np.arange(3))
        FakeInputStream.last.vanish(complain)
        chunks, start = iter(source), time.monotonic()
        assert [len(next(chunks)), len(next(chunks))] == [5, 3]
        with pytest.raises(AudioDeviceError, match="'Headset microphone' has gone away"):
            next(chunks)
        assert time.monotonic() - start < microphone.STALL_S / 2


def test_a_microphone_that_goes_away_while_its_reader_is_late(portaudio):
    with MicrophoneSource(chunk_ms=20) as source:
        for _ in range(150):
            FakeInputStream.last.hear(np.zeros(5))
        FakeInputStream.last.vanish(True)
        heard = []
        with pytest.raises(AudioDeviceError, match="gone away"):
            for chunk in source:
                heard.append(chunk)
        assert (len(heard), source.dropped) == (100, 50)


def test_a_microphone_that_does_not_start_is_let_go(portaudio, monkeypatch):
    def refuse(self):
        raise PortAudioError("Device unavailable")

    monkeypatch.setattr(FakeInputStream, "start", refuse)
    with pytest.raises(AudioDeviceError, match="Device unavailable"):
        MicrophoneSource()
    assert FakeInputStream.last.closed


def test_no_microphone(portaudio):
    portaudio.devices = [device("Speaker", 0)]
    with pytest.raises(AudioDeviceError, match="there is no microphone"):
        MicrophoneSource()


def test_a_microphone_in_use(portaudio, monkeypatch):
    def refuse(**settings):
        raise PortAudioError("Device unavailable")

    monkeypatch.setattr(portaudio, "InputStream", refuse)
    with pytest.raises(AudioDeviceError, match="Device unavailable"):
        MicrophoneSource()


@pytest.mark.parametrize(
    ("error", "told"),
    [
        (OSError("PortAudio library not found"), "libportaudio2"),
        (ImportError("sounddevice"), "pip install sounddevice"),
        (PortAudioError("Error initializing PortAudio"), "does not start .Error initializing PortAudio"),
    ],
)
def test_no_portaudio(monkeypatch, error, told):
    class Refusing:
        def find_spec(self, name, path=None, target=None):
            if name == "sounddevice":
                raise error

    monkeypatch.delitem(sys.modules, "sounddevice", raising=False)
    monkeypatch.setattr(sys, "meta_path", [Refusing(), *sys.meta_path])
    with pytest.raises(AudioDeviceError, match=told):
        microphones()
