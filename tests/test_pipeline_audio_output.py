"""Decoders that give audio: the same samples however outputs come, against formulas in float64 and SciPy."""

from __future__ import annotations

from dataclasses import replace
from itertools import pairwise
from typing import Any

import numpy as np
import numpy.typing as npt
import pytest
import scipy.signal
from hypothesis import given, settings
from hypothesis import strategies as st
from sounds import F32, noise

from ostinato.errors import BadModelFileError, SnapshotError
from ostinato.events import Event
from ostinato.model import Network, Sequential
from ostinato.model.decoders import Audio, AudioOutput, InverseSpectrum, OverlapAdd, Overlapping
from ostinato.model.front_ends import Samples, Spectrum
from ostinato.model.wire import Wire
from ostinato.pipeline import decoder, pack
from ostinato.pipeline.state import held_bytes
from ostinato.streaming import Model

F64 = npt.NDArray[np.float64]
DTLN = OverlapAdd(512, 128)
GTCRN = InverseSpectrum(512, 256, window="sqrt-hann", trim_start=256, trim_end=256)
DECODERS: list[AudioOutput] = [
    Audio(),
    Audio(3, block=7),
    Audio(40, block=None),
    replace(DTLN, size=37, hop=11),
    OverlapAdd(40, 10, "hann", normalise=True, block=9, trim_start=30, trim_end=30),
    OverlapAdd(40, 40, block=64),
    InverseSpectrum(32, 16),
    InverseSpectrum(33, 10, window="hamming", analysis="rect", trim_start=3, block=1),
    InverseSpectrum(20, 7, fft_size=32, place="middle", window="hann", trim_start=16, trim_end=16),
    InverseSpectrum(20, 5, fft_size=31, window="vorbis", normalise=False, block=100, trim_end=15),
]


def run(
    chosen: AudioOutput, outputs: F32, *cuts: int, frame_ms: float = 10.0, latency_ms: float = 0.0
) -> list[Event]:
    made = decoder(chosen, frame_ms, latency_ms)
    state, events = made.start(), []
    for start, end in pairwise([0, *sorted(cuts), len(outputs)]):
        events += made.step(state, outputs[start:end])
        state = made.restore(pack(state))
    return events + made.flush(state)


def heard(events: list[Event]) -> F32:
    assert all(event.kind == "audio" and event.values is not None for event in events)
    return np.concatenate([np.empty(0, np.float32), *(e.values for e in events if e.values is not None)])


def bits(events: list[Event]) -> list[Any]:
    return [(e.frame, e.time_ms, e.values.tobytes()) for e in events if e.values is not None]


def outputs_for(chosen: AudioOutput, count: int, seed: int = 0) -> F32:
    return noise(count * chosen.outputs, seed).reshape(count, chosen.outputs)


def added_up(frames: F64, step: int, first: int, count: int) -> F64:
    """The sum of frames, the first of which begins ``step`` * ``first`` samples from the start, over ``count``
    samples."""
    total = np.zeros(count)
    for j, frame in enumerate(frames, first):
        for n in range(max(0, -j * step), min(len(frame), count - j * step)):
            total[j * step + n] += frame[n]
    return total


def reference(chosen: AudioOutput, outputs: F32) -> F64:
    """From the definition: the sum of the windowed frames, divided by that of the windows; of an end that is not
    trimmed as if frames went on there."""
    frames, step, covered, count = outputs.astype(float), chosen.step, chosen.covered, len(outputs)
    if not isinstance(chosen, Overlapping) or not count:
        return frames.ravel()
    shape = chosen.shape(chosen.window)
    if isinstance(chosen, InverseSpectrum):
        bins = outputs.shape[1] // 2
        frames = np.fft.irfft(frames[:, :bins] + 1j * frames[:, bins:], chosen.transformed)[:, :covered]
    length = count * step + covered - step
    total = added_up(frames * shape, step, 0, length)
    if chosen.normalise:
        before, after = 0 if chosen.trim_start else covered, 0 if chosen.trim_end else covered
        products = np.tile(shape * chosen.shape(chosen.analysis or chosen.window), (before + count + after, 1))
        windows = added_up(products, step, -before, length)
        total = np.divide(total, windows, out=total, where=windows > 1e-11)
    return total[chosen.trim_start : length - chosen.trim_end]


@pytest.mark.parametrize("chosen", DECODERS)
@pytest.mark.parametrize("count", [0, 1, 2, 5, 40])
def test_values(chosen: AudioOutput, count: int) -> None:
    outputs = outputs_for(chosen, count)
    wanted, got = reference(chosen, outputs), heard(run(chosen, outputs))
    assert got.shape == wanted.shape
    assert np.allclose(got, wanted, atol=2e-5 * max(1.0, np.abs(wanted).max(initial=0)))


@settings(deadline=None, max_examples=80)
@given(st.sampled_from(DECODERS), st.integers(0, 30), st.lists(st.integers(0, 30), max_size=8))
def test_chunking_does_not_matter(chosen: AudioOutput, count: int, cuts: list[int]) -> None:
    outputs = outputs_for(chosen, count)
    assert bits(run(chosen, outputs, *(min(cut, count) for cut in cuts))) == bits(run(chosen, outputs))
    made = decoder(chosen, 10.0, 0.0)
    state = made.start()
    for row in outputs[:, None]:
        made.step(state, row)
        assert held_bytes(state) <= made.state_bytes


@settings(deadline=None, max_examples=40)
@given(st.sampled_from(DECODERS), st.lists(st.integers(0, 9), min_size=1, max_size=40))
def test_company_does_not_matter(chosen: AudioOutput, counts: list[int]) -> None:
    made = decoder(chosen, 10.0, 0.0)
    parts = [outputs_for(chosen, 2 * n, i) for i, n in enumerate(counts)]
    states, together = [made.start() for _ in counts], [list[Event]() for _ in counts]
    for half in (0, 1):
        rows = np.concatenate([part[half * n : (half + 1) * n] for part, n in zip(parts, counts, strict=True)])
        for events, some in zip(together, made.step_many(states, rows, counts), strict=True):
            events += some
    for state, events, part in zip(states, together, parts, strict=True):
        assert bits(events + made.flush(state)) == bits(run(chosen, part))


@pytest.mark.parametrize("chosen", DECODERS)
def test_events_are_blocks_and_tell_where_they_end(chosen: AudioOutput) -> None:
    frame_ms, latency_ms = 10.0, 3.0
    events = run(chosen, outputs_for(chosen, 30), latency_ms=latency_ms)
    lengths = [len(event.values) for event in events if event.values is not None]
    assert set(lengths[:-1]) <= {chosen.block_size} and 0 < lengths[-1] <= chosen.block_size
    trimmed = chosen.trim_start if isinstance(chosen, Overlapping) else 0
    for event, end in zip(events, trimmed + np.cumsum(lengths), strict=True):
        into = (end - chosen.covered) / chosen.step * frame_ms
        assert event.time_ms == pytest.approx(frame_ms + latency_ms + into)
        assert event.frame == min(-(-end // chosen.step), 30) - 1


# --- there and back -------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("front", "back", "late", "reached"),
    [
        # late: how long a sample waits for others that its value needs; reached: how many of 5,000 come back
        (Spectrum(padding="reflect", window="sqrt-hann"), GTCRN, 256, 4864),
        (
            Spectrum(size=512, hop=128, padding="constant"),
            InverseSpectrum(512, 128, trim_start=256, trim_end=256),
            384,
            4992,
        ),
        (
            Spectrum(size=320, hop=160, window="sqrt-hann", pad=True),
            InverseSpectrum(320, 160, window="sqrt-hann", trim_start=160),
            160,
            5000,
        ),
        (
            Spectrum(size=400, hop=100, fft_size=512, window="hamming", pad=True),
            InverseSpectrum(400, 100, fft_size=512, window="rect", analysis="hamming", trim_start=300),
            300,
            5000,
        ),
        (Samples(size=512, hop=128), replace(DTLN, normalise=True, trim_start=384), 384, 4608),
        (Samples(size=1, hop=1), Audio(), 0, 5000),
    ],
)
def test_what_is_left_as_it_is_comes_back(front: Any, back: AudioOutput, late: int, reached: int) -> None:
    """Perfect reconstruction, by a model that changes nothing: aligned with the input, and as late as stated."""
    audio = noise(5000)
    stream = Model(Network.random(Sequential("identity", front, (), back))).stream()
    events = stream.push(audio)
    known = heard(events)
    assert 0 <= len(audio) - late - len(known) < max(front.hop, back.block_size)
    assert events[-1].time_ms == pytest.approx(len(known) / 16)
    got = heard(events + stream.flush())
    assert len(got) >= reached and np.abs(got[:reached] - audio[:reached]).max() < 1e-6


def test_as_scipy_has_it() -> None:
    outputs = outputs_for(InverseSpectrum(512, 128), 20)
    bins = outputs.shape[1] // 2
    spectra = (outputs[:, :bins] + 1j * outputs[:, bins:]).T.astype(complex)
    spectra[[0, -1]] = spectra[[0, -1]].real
    _, wanted = scipy.signal.istft(spectra / 256, 16000, "hann", 512, 384, boundary=True, scaling="spectrum")
    got = heard(run(InverseSpectrum(512, 128, trim_start=256, trim_end=256), outputs))
    assert np.allclose(got, wanted, atol=1e-5)


def test_an_end_that_is_not_trimmed_fades() -> None:
    """Nothing is amplified where few frames overlap: no click."""
    chosen = InverseSpectrum(512, 128)
    outputs = np.zeros((30, 514), np.float32)
    outputs[:, 0] = 512.0  # ones
    got = heard(run(chosen, outputs))
    assert np.abs(np.diff(got)).max() < 0.02 and abs(got[0]) < 1e-3 and abs(got[-1]) < 1e-3
    assert np.allclose(got[384:-384], 1, atol=0.34)  # a window of analysis lacks, which would make it one


def test_what_is_no_sound_overflows_nothing() -> None:
    for chosen in DECODERS:
        if isinstance(chosen, Overlapping):
            outputs = np.full((20, chosen.outputs), 3e38, np.float32)
            assert np.isfinite(heard(run(chosen, outputs, 7))).all()


# --- what is refused ------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    "make",
    [
        lambda: Audio(0),
        lambda: Audio(block=0),
        lambda: Audio(block=8193),
        lambda: OverlapAdd(4, 5),
        lambda: OverlapAdd(4, 0),
        lambda: OverlapAdd(512, 128, trim_end=385),
        lambda: OverlapAdd(512, 128, trim_start=-1),
        lambda: InverseSpectrum(512, 128, fft_size=511),
        lambda: InverseSpectrum(512, 512),
        lambda: InverseSpectrum(512, 256, analysis="square"),  # type: ignore[arg-type]
    ],
)
def test_settings_that_cannot_be(make: Any) -> None:
    with pytest.raises(BadModelFileError, match=r"decoder|inverse"):
        make()


@pytest.mark.parametrize("chosen", DECODERS)
def test_outputs_of_another_size_are_refused(chosen: AudioOutput) -> None:
    chosen.check_outputs(Wire(chosen.outputs))
    with pytest.raises(
        BadModelFileError, match=rf"takes {chosen.outputs} outputs, and there are {chosen.outputs + 1}"
    ):
        chosen.check_outputs(Wire(chosen.outputs + 1))


@pytest.mark.parametrize("chosen", DECODERS)
def test_a_forged_state_is_refused(chosen: AudioOutput) -> None:
    made = decoder(chosen, 10.0, 0.0)
    packed = pack(made.start())
    long = {"shape": [chosen.block_size], "data": bytes(4 * chosen.block_size)}
    wrongs: list[dict[str, Any]] = [{"frames": -1}, {"pending": long}]
    if isinstance(chosen, Overlapping):
        for place, value in ((-1, 1.0), (0, 1e30)):
            tail = np.zeros_like(made.start().tail)
            tail[place] = value
            wrongs.append({"tail": {"shape": list(tail.shape), "data": bytes(tail)}})
        wrongs.append({"tail": {"shape": [1], "data": bytes(4)}})
    for wrong in wrongs:
        with pytest.raises(SnapshotError):
            made.restore(packed | wrong)
