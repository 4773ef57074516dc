"""Recordings as people have them: of every kind, streamed, cut off, wrong in their sizes, and through pipes."""

from __future__ import annotations

import io
import os
import struct
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

import numpy as np
import pytest
import soundfile

from ostinato.errors import InputError
from ostinato_client import FileSource, RawFormat, recording
from ostinato_client.recording import RAW_FORMATS

RATE = 16000
SAMPLES = (np.sin(np.arange(8000) * 0.05) * np.linspace(3000, 9000, 8000)).astype(np.int16)
KINDS = [
    ("WAV", "PCM_U8"), ("WAV", "PCM_16"), ("WAV", "PCM_24"), ("WAV", "PCM_32"), ("WAV", "FLOAT"), ("WAV", "DOUBLE"),
    ("WAV", "ULAW"), ("WAV", "ALAW"), ("WAV", "IMA_ADPCM"), ("WAV", "MS_ADPCM"), ("WAVEX", "PCM_24"),
    ("RF64", "PCM_16"), ("AIFF", "PCM_16"), ("AU", "PCM_16"), ("FLAC", "PCM_16"), ("FLAC", "PCM_24"),
    ("OGG", "VORBIS"), ("OGG", "OPUS"), ("MP3", "MPEG_LAYER_III"), ("W64", "PCM_16"),
]  # fmt: skip
ONLY_FILES = [("CAF", "PCM_16"), ("CAF", "ALAC_16")]
"""libsndfile cannot read them from a pipe."""


def encoded(kind: str = "WAV", subtype: str = "PCM_16", channels: int = 1, **settings: str) -> bytes:
    """SAMPLES as the bytes of a recording; further channels are silent."""
    samples = np.zeros((len(SAMPLES), channels), np.int16)
    samples[:, 0] = SAMPLES
    target = io.BytesIO()
    soundfile.write(target, samples, RATE, format=kind, subtype=subtype, **settings)
    return target.getvalue()


def noise(kind: str) -> bytes:
    """Two seconds that no encoder makes small."""
    samples = np.random.default_rng(0).normal(0, 3000, 2 * RATE).astype(np.int16)
    target = io.BytesIO()
    soundfile.write(target, samples, RATE, format=kind)
    return target.getvalue()


def wav(data: bytes, claimed: int, before: bytes = b"", after: bytes = b"", riff: int = 0) -> bytes:
    """A WAV of int16, mono, whose data chunk claims a size, with other chunks before and after it."""
    settings = struct.pack("<4sIHHIIHH", b"fmt ", 16, 1, 1, RATE, 2 * RATE, 2, 16)
    return (
        struct.pack("<4sI4s", b"RIFF", riff, b"WAVE")
        + settings
        + before
        + struct.pack("<4sI", b"data", claimed)
        + data
        + after
    )


@contextmanager
def piped(content: bytes, hold: float = 0.0) -> Iterator[int]:
    """The reading end of a pipe through which bytes come, which stays open after them for some seconds."""
    reading, writing = os.pipe()
    done = threading.Event()

    def fill() -> None:
        with os.fdopen(writing, "wb", buffering=0) as pipe:
            try:
                pipe.write(content)
                done.wait(hold)
            except BrokenPipeError:
                pass

    thread = threading.Thread(target=fill)
    thread.start()
    try:
        yield reading
    finally:
        done.set()
        os.close(reading)
        thread.join()


def read(source: str | Path | int, raw: RawFormat | None = None) -> tuple[np.ndarray, FileSource]:
    with FileSource(source, realtime=False, raw=raw) as opened:
        return opened.read(), opened


@pytest.mark.parametrize("channels", [1, 2, 8])
@pytest.mark.parametrize(("kind", "subtype"), KINDS + ONLY_FILES, ids=["-".join(one) for one in KINDS + ONLY_FILES])
def test_every_kind_from_a_file_and_from_a_pipe(tmp_path: Path, kind: str, subtype: str, channels: int) -> None:
    if channels == 8 and (subtype in ("IMA_ADPCM", "MS_ADPCM") or kind == "MP3"):
        return  # not defined for so many
    path = tmp_path / "speech"
    path.write_bytes(encoded(kind, subtype, channels))
    expected = soundfile.read(path, dtype="float32", always_2d=True)[0].mean(axis=1, dtype=np.float32)
    samples, source = read(path)
    assert np.allclose(samples, expected, rtol=0, atol=1e-6 if kind == "MP3" else 0)
    assert (source.sample_rate, source.channels) == (RATE, channels)
    assert source.seconds == pytest.approx(len(expected) / RATE)
    if (kind, subtype) not in ONLY_FILES:
        with piped(path.read_bytes()) as pipe:
            samples, source = read(pipe)
        assert np.allclose(samples[: len(expected)], expected, rtol=0, atol=1e-6 if kind == "MP3" else 0)
        assert len(samples) - len(expected) < 2000, "only what pads the last block"


def test_a_flac_whose_length_is_not_known(tmp_path: Path) -> None:
    """As encoders write it that cannot go back: total samples 0. It was "damaged after 576460752303423.44 s"."""
    content = bytearray(encoded("FLAC"))
    content[21] &= 0xF0
    content[22:26] = bytes(4)
    (tmp_path / "streamed.flac").write_bytes(content)
    samples, source = read(tmp_path / "streamed.flac")
    assert np.array_equal(samples * 32768, SAMPLES) and source.seconds is None
    with piped(bytes(content)) as pipe:
        assert np.array_equal(read(pipe)[0] * 32768, SAMPLES)


@pytest.mark.parametrize("riff", [0, 36, 0xFFFFFFFF])
@pytest.mark.parametrize("claimed", [0, 0xFFFFFFFF, 0x7FFFFFFF, 0x80000000, 0xFFFFFFFF - 36, 0x7FFFF000, 20_000])
def test_a_wav_whose_length_was_never_written(tmp_path: Path, claimed: int, riff: int) -> None:
    """Streamed, or cut off: all that is there, from a file and from a pipe. It was "empty"."""
    content = wav(SAMPLES.tobytes(), claimed, riff=riff)
    (tmp_path / "streamed.wav").write_bytes(content)
    samples, source = read(tmp_path / "streamed.wav")
    assert np.array_equal(samples * 32768, SAMPLES) and source.seconds == len(SAMPLES) / RATE
    with piped(content) as pipe:
        assert np.array_equal(read(pipe)[0] * 32768, SAMPLES)


def test_an_rf64_whose_length_was_never_written(tmp_path: Path) -> None:
    content = bytearray(encoded("RF64"))
    at = content.index(b"ds64")
    for long_size in (0, 0xFFFFFFFFFFFFFFFF, 2**63 - 1):
        struct.pack_into("<Q", content, at + 16, long_size)
        struct.pack_into("<I", content, content.index(b"data") + 4, 0xFFFFFFFF)
        (tmp_path / "streamed.wav").write_bytes(content)
        assert np.array_equal(read(tmp_path / "streamed.wav")[0] * 32768, SAMPLES)
        with piped(bytes(content)) as pipe:
            assert np.array_equal(read(pipe)[0] * 32768, SAMPLES)


def test_a_wav_that_is_empty_says_so_and_what_follows_the_samples_is_not_heard(tmp_path: Path) -> None:
    info = struct.pack("<4sI4s4sI8s", b"LIST", 20, b"INFO", b"ICMT", 8, b"recorded")
    (tmp_path / "empty.wav").write_bytes(wav(b"", 0, after=info))
    samples, source = read(tmp_path / "empty.wav")
    assert len(samples) == 0 == source.seconds
    content = wav(SAMPLES.tobytes(), SAMPLES.nbytes, after=info)
    (tmp_path / "informed.wav").write_bytes(content)
    assert np.array_equal(read(tmp_path / "informed.wav")[0] * 32768, SAMPLES)
    with piped(content) as pipe:
        assert np.array_equal(read(pipe)[0] * 32768, SAMPLES)


@pytest.mark.parametrize("comment", [b"odd", b"seven b", b"even"])
@pytest.mark.parametrize("padding", [b"", b"\0", b"x"])
def test_a_chunk_of_odd_size_with_and_without_its_pad_byte(tmp_path: Path, comment: bytes, padding: bytes) -> None:
    padding = padding if len(comment) % 2 else b""
    before = struct.pack("<4sI", b"LIST", len(comment)) + comment + padding
    content = wav(SAMPLES.tobytes(), SAMPLES.nbytes, before=before)
    (tmp_path / "odd.wav").write_bytes(content)
    assert np.array_equal(read(tmp_path / "odd.wav")[0] * 32768, SAMPLES)
    with piped(content) as pipe:
        assert np.array_equal(read(pipe)[0] * 32768, SAMPLES)


def test_big_endian_wav_au_without_length_and_mp3_behind_a_picture(tmp_path: Path) -> None:
    big = encoded(endian="BIG")
    assert big[:4] == b"RIFX"
    au = bytearray(encoded("AU"))
    au[8:12] = b"\xff" * 4
    for content in (big, bytes(au)):
        (tmp_path / "audio").write_bytes(content)
        assert np.array_equal(read(tmp_path / "audio")[0] * 32768, SAMPLES)
    picture = 300_000
    tag = b"ID3\x03\0\0" + bytes(picture >> shift & 127 for shift in (21, 14, 7, 0)) + bytes(picture)
    mp3 = encoded("MP3", "MPEG_LAYER_III")
    (tmp_path / "plain.mp3").write_bytes(mp3)
    (tmp_path / "tagged.mp3").write_bytes(tag + mp3)
    plain = read(tmp_path / "plain.mp3")[0]
    assert np.array_equal(read(tmp_path / "tagged.mp3")[0], plain)
    with piped(tag + mp3) as pipe:
        assert len(read(pipe)[0]) >= len(plain)


@pytest.mark.parametrize("name", RAW_FORMATS)
@pytest.mark.parametrize("channels", [1, 3])
def test_raw_samples_when_told_how_they_are_stored(tmp_path: Path, name: str, channels: int) -> None:
    raw = RawFormat(name, RATE, channels)
    said = raw.samples(None)
    content = encoded("RAW", said.subtype, channels, endian=said.endian)
    if said.subtype in ("FLOAT", "DOUBLE"):
        dtype = f"{'>' if said.endian == 'BIG' else '<'}f{said.frame_bytes // channels}"
        content = np.pad(SAMPLES[:, None] / 32768, ((0, 0), (0, channels - 1))).astype(dtype).tobytes()
    (tmp_path / "raw").write_bytes(content)
    samples, source = read(tmp_path / "raw", raw)
    assert len(samples) == len(SAMPLES) and source.seconds == len(SAMPLES) / RATE
    assert np.abs(samples * channels - SAMPLES / 32768).max() < 0.02
    with piped(content) as pipe:
        again, source = read(pipe, raw)
    assert np.array_equal(again, samples) and source.seconds is None


def test_raw_formats_are_checked() -> None:
    assert RawFormat("S16_LE", RATE).name == "s16le"
    with pytest.raises(InputError, match="s16le, s16be"):
        RawFormat("int16", RATE)
    for rate, channels in ((0, 1), (RATE, 0), (RATE, 5000), (2_000_000, 1)):
        with pytest.raises(InputError, match="raw audio has"):
            RawFormat("s16le", rate, channels)


# --- as it comes ----------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("raw", [True, False])
def test_a_pipe_is_heard_as_it_comes(raw: bool) -> None:
    reading, writing = os.pipe()
    if not raw:
        os.write(writing, wav(b"", 0))
    with (
        FileSource(reading, realtime=False, raw=RawFormat("s16le", RATE) if raw else None)
        if not raw
        else _later(reading, writing) as source
    ):
        chunks = iter(source)
        for at in range(0, 1600, 320):
            if at or not raw:
                os.write(writing, SAMPLES[at : at + 320].tobytes())
            assert np.array_equal(next(chunks) * 32768, SAMPLES[at : at + 320])
        os.write(writing, SAMPLES[:7].tobytes() + b"x")
        os.close(writing)
        assert len(next(chunks)) == 7, "half a sample at the end is none"
        assert list(chunks) == []
    os.close(reading)


def _later(reading: int, writing: int) -> FileSource:
    os.write(writing, SAMPLES[:320].tobytes())
    return FileSource(reading, realtime=False, raw=RawFormat("s16le", RATE))


@pytest.mark.parametrize("kind", ["WAV", "FLAC", "OGG"])
def test_closing_ends_a_wait_for_a_pipe(kind: str) -> None:
    with piped(noise(kind), hold=60) as pipe:
        start = time.monotonic()
        with FileSource(pipe, realtime=False) as source:
            timer = threading.Timer(0.2, source.close)
            timer.start()
            heard = sum(map(len, source))
        assert heard > 4000
        assert time.monotonic() - start < 10
        timer.join()


def test_an_endless_pipe_is_never_held_as_a_whole() -> None:
    """The writer is held up where the reader is, but for the pipe's and the decoder's buffers."""
    reading, writing = os.pipe()
    written = 0

    def fill() -> None:
        nonlocal written
        try:
            os.write(writing, wav(b"", 0xFFFFFFFF))
            while True:
                written += os.write(writing, bytes(16384))
        except BrokenPipeError:
            os.close(writing)

    thread = threading.Thread(target=fill)
    thread.start()
    with FileSource(reading, realtime=False) as source:
        taken = sum(len(chunk) for chunk, _ in zip(source, range(50), strict=False))
        time.sleep(0.2)
        assert taken == 50 * 320
        assert written <= 2 * taken + 500_000
    os.close(reading)
    thread.join()


def test_what_is_read_at_once_is_bounded(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(recording, "MOST_SAMPLES", 8000)
    with piped(encoded()) as pipe:
        assert len(read(pipe)[0]) == 8000
    with Path("/dev/zero").open("rb") as endless:
        message = refusal(lambda: read(endless.fileno(), RawFormat("s16le", RATE)))
    assert "is longer than 0.00014 h" in message


def test_a_named_pipe(tmp_path: Path) -> None:
    os.mkfifo(tmp_path / "pipe")
    thread = threading.Thread(target=lambda: (tmp_path / "pipe").write_bytes(encoded("FLAC")))
    thread.start()
    samples, source = read(tmp_path / "pipe")
    thread.join()
    assert np.array_equal(samples * 32768, SAMPLES)
    assert source.name == str(tmp_path / "pipe")


def test_a_descriptor_of_a_file_stays_open(tmp_path: Path) -> None:
    (tmp_path / "a.ogg").write_bytes(encoded("OGG", "VORBIS"))
    with (tmp_path / "a.ogg").open("rb") as file:
        samples, source = read(file.fileno())
        assert len(samples) == len(SAMPLES) and source.seconds == 0.5
        file.seek(0)


# --- what cannot be heard -------------------------------------------------------------------------------------------


def refusal(action: Callable[[], object]) -> str:
    with pytest.raises(InputError) as raised:
        action()
    return str(raised.value)


@pytest.mark.parametrize(
    ("content", "why"),
    [
        (b"", "empty"),
        (b"RIFF", "no audio"),
        (b"this is no sound at all" * 50, "no audio"),
        (b"RIFF\0\0\0\0WAVE", "no audio"),
        (wav(SAMPLES.tobytes(), SAMPLES.nbytes)[:30], "no audio"),
        (encoded("FLAC")[:60], "no audio"),
        (encoded("MP3", "MPEG_LAYER_III")[:40], "no audio"),
        (b"fLaC" + bytes(400), "no audio"),
        (b"OggS" + bytes(400), "no audio"),
        (struct.pack("<4sI4s4sIHHIIHH4sI", b"RIFF", 0, b"WAVE", b"fmt ", 16, 1, 1, 2**31 - 1, 0, 2, 16, b"data", 0)
         + bytes(800), "claims 2147483647 samples a second"),
        (wav(b"", 0)[:36] + b"JUNK\0\0\0\0" * 200_000, "no audio"),
        (wav(bytes(800), 800, before=struct.pack("<4sI", b"JUNK", 2**31 - 2)), "no audio"),
        (encoded("WAV", "FLOAT")[:-400] + np.full(100, np.nan, "<f4").tobytes(), "not finite"),
    ],
)  # fmt: skip
def test_what_is_no_audio_is_named(tmp_path: Path, content: bytes, why: str) -> None:
    path = tmp_path / "wrong.wav"
    path.write_bytes(content)
    message = refusal(lambda: read(path))
    assert why in message and repr(str(path)) in message
    with piped(content) as pipe:
        message = refusal(lambda: read(pipe))
    assert why in message and f"descriptor {pipe}" in message


def test_what_is_cut_off_is_heard_until_there(tmp_path: Path) -> None:
    """But a FLAC says that it is damaged, and where."""
    for kind in ("WAV", "OGG", "AIFF", "MP3"):
        content = noise(kind)
        (tmp_path / "cut").write_bytes(content[: len(content) * 3 // 4])
        assert len(read(tmp_path / "cut")[0]) > RATE // 2, kind
    (tmp_path / "cut.flac").write_bytes(noise("FLAC")[:30_000])
    heard: list[np.ndarray] = []
    with FileSource(tmp_path / "cut.flac", realtime=False) as source:
        message = refusal(lambda: heard.extend(source))
    assert f"damaged after {sum(map(len, heard)) / RATE:.2f} s" in message and len(heard) > 20
    assert repr(str(tmp_path / "cut.flac")) in message


def test_what_is_no_file(tmp_path: Path) -> None:
    assert "there is no file" in refusal(lambda: FileSource(tmp_path / "none.wav"))
    assert "it is a folder" in refusal(lambda: FileSource(tmp_path))
    assert "there is no file" in refusal(lambda: FileSource("a\0b.wav"))
    (tmp_path / "locked.wav").write_bytes(encoded())
    (tmp_path / "locked.wav").chmod(0)
    if os.geteuid():
        assert "Permission denied" in refusal(lambda: FileSource(tmp_path / "locked.wav"))


def test_a_descriptor_that_cannot_be_read() -> None:
    reading, writing = os.pipe()
    assert f"descriptor {writing} cannot be read: Bad file descriptor" in refusal(lambda: FileSource(writing))
    os.close(reading)
    os.close(writing)
    assert "cannot be read: Bad file descriptor" in refusal(lambda: FileSource(writing))


def test_a_name_that_is_no_text(tmp_path: Path) -> None:
    path = os.fsencode(tmp_path / "caf") + b"\xe9.wav"
    Path(os.fsdecode(path)).write_bytes(encoded())
    assert len(read(os.fsdecode(path))[0]) == len(SAMPLES)


def test_without_descriptors_the_reason_is_told(tmp_path: Path) -> None:
    import resource

    (tmp_path / "a.flac").write_bytes(encoded("FLAC"))
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    lowest = os.open(os.devnull, os.O_RDONLY)
    os.close(lowest)
    resource.setrlimit(resource.RLIMIT_NOFILE, (lowest, hard))
    try:
        message = refusal(lambda: FileSource(tmp_path / "a.flac"))
    finally:
        resource.setrlimit(resource.RLIMIT_NOFILE, (soft, hard))
    assert "Too many open files" in message
