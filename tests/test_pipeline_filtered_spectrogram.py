"""Logarithmically filtered spectrograms: against the formulas in float64, and the same bits for any chunking and
company."""

from __future__ import annotations

from dataclasses import replace
from itertools import pairwise

import numpy as np
import numpy.typing as npt
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from ostinato.errors import BadModelFileError, SnapshotError
from ostinato.model.front_ends import FilteredSpectrogram
from ostinato.pipeline import front_end, pack
from ostinato.pipeline.pieces import split

F64 = npt.NDArray[np.float64]
I16 = npt.NDArray[np.int16]

MADMOM = {
    "onsets, online": (236, FilteredSpectrogram(windows=(512, 1024, 2048), mul=5.0, diff_ratio=0.25)),
    "onsets": (266, FilteredSpectrogram(mul=5.0, diff_ratio=0.25, origin="centre")),
    "beats, online": (162, FilteredSpectrogram(windows=(2048,), bands_per_octave=(12,))),
    "beats": (266, FilteredSpectrogram(origin="centre")),
    "downbeats": (314, FilteredSpectrogram(bands_per_octave=(3, 6, 12), origin="centre")),
    "notes": (482, FilteredSpectrogram(bands_per_octave=(12, 12, 12), mul=5.0, origin="centre")),
}
"""What madmom's networks read, and how many values a frame has."""
SMALL = FilteredSpectrogram(
    sample_rate=8000, windows=(255, 512, 400), bands_per_octave=(6, 12, 3), low_hz=100.0, high_hz=3900.0
)
VARIANTS = [
    SMALL,
    replace(SMALL, origin="centre", norm_filters=False),
    replace(SMALL, diff_ratio=None, add=0.01, hop_ms=12.3),
    replace(SMALL, windows=(64, 128, 80), hop_ms=25.0, origin="centre"),
]
FRONTS = [front_end(chosen, {}) for chosen in VARIANTS]


def music(seconds: float, rate: int = 44100, loud: float = 0.9) -> I16:
    """Notes that are struck three times a second, over a little noise."""
    t = np.arange(int(seconds * rate)) / rate
    noise = np.random.default_rng(0).standard_normal(len(t))
    notes = sum(np.sin(2 * np.pi * 110 * k * t + k) / k for k in range(1, 30)) * np.exp(-4 * (3 * t % 1)) / 3
    return np.asarray(np.clip((notes + 0.005 * noise) * loud, -1, 1) * 32767, np.int16)


def reference(samples: I16, chosen: FilteredSpectrogram) -> F64:
    """The formulas, frame by frame, window by window and band by band."""
    rate, hop = chosen.sample_rate, int(chosen.sample_rate * 0.001 * chosen.hop_ms)
    parts = []
    for size, bands in zip(chosen.windows, chosen.bands_per_octave, strict=True):
        shape = 0.5 - 0.5 * np.cos(2 * np.pi * np.arange(size) / (size - 1))
        tones = [440 * 2 ** (k / bands) for k in range(-10 * bands, 10 * bands)]
        tones = [tone for tone in tones if chosen.low_hz <= tone <= chosen.high_hz]
        hz = np.arange(size // 2) * rate / size
        bins = sorted({min(range(size // 2), key=lambda k: (abs(hz[k] - tone), -k)) for tone in tones})
        filters = np.zeros((size // 2, len(bins) - 2))
        for m, (left, centre, right) in enumerate(zip(bins, bins[1:], bins[2:], strict=False)):
            for k in range(left, right):
                filters[k, m] = (k - left) / (centre - left) if k < centre else (right - k) / (right - centre)
            if chosen.norm_filters:
                filters[:, m] /= filters[:, m].sum()
        rows = []
        for centre in range(0, len(samples), hop):
            last = centre if chosen.origin == "online" else centre - size // 2 + size - 1
            window = [samples[n] / 32767 if 0 <= n < len(samples) else 0.0 for n in range(last - size + 1, last + 1)]
            magnitudes = np.abs(np.fft.rfft(shape * window))[: size // 2]
            rows.append(np.log10(chosen.mul * (magnitudes @ filters) + chosen.add))
        spectrum = np.array(rows).reshape(-1, len(bins) - 2)
        parts.append(spectrum)
        if chosen.diff_ratio is not None:
            risen = next(n for n in range(size) if shape[n] > chosen.diff_ratio * shape.max())
            lag = max(1, round((size / 2 - risen) / hop))
            rise = np.zeros_like(spectrum)
            for t in range(lag, len(spectrum)):
                rise[t] = np.maximum(0, spectrum[t] - spectrum[t - lag])
            parts.append(rise)
    return np.hstack(parts)


@pytest.mark.parametrize("name", MADMOM)
def test_what_madmoms_networks_read(name: str) -> None:
    size, chosen = MADMOM[name]
    front, samples = front_end(chosen, {}), music(0.7)
    state = front.start()
    got = np.concatenate((front.step(state, samples), front.flush(state)))
    wanted = reference(samples, chosen)
    assert got.shape == wanted.shape == (70, size)
    assert chosen.frame_size == size
    assert np.abs(got - wanted).max() < 1e-5 and wanted.max() > 1
    wait = 0 if chosen.origin == "online" else max(chosen.windows) // 2 - 1
    assert front.latency_ms + front.frame_ms == pytest.approx((wait + 1) / 44.1)


@pytest.mark.parametrize("chosen", VARIANTS)
@pytest.mark.parametrize("length", [0, 1, 79, 80, 81, 3000])
def test_all_settings_and_ends(chosen: FilteredSpectrogram, length: int) -> None:
    front, samples = front_end(chosen, {}), music(1.0, 8000)[:length]
    state = front.start()
    got = np.concatenate((front.step(state, samples), front.flush(state)))
    wanted = reference(samples, chosen)
    assert got.shape == wanted.shape == (-(-length // chosen.hop), chosen.frame_size)
    assert np.abs(got - wanted).max(initial=0) < 1e-5


def test_a_frame_comes_with_its_last_sample() -> None:
    for chosen, front in zip(VARIANTS, FRONTS, strict=True):
        for frame in (0, 1, 7):
            end = ((frame + 1) * front.frame_ms + front.latency_ms) * chosen.sample_rate / 1000
            assert end == pytest.approx(round(end))
            for samples, frames in ((round(end) - 1, frame), (round(end), frame + 1)):
                assert len(front.step(front.start(), np.zeros(samples, np.float32))) == frames


@settings(deadline=None, max_examples=60)
@given(st.sampled_from(FRONTS), st.sampled_from([None, 44100]), st.integers(0, 4000), st.data())
def test_chunking_does_not_matter(front, rate: int | None, length: int, data: st.DataObject) -> None:  # type: ignore[no-untyped-def]
    samples = music(0.5, rate or 8000)[:length]
    cuts = sorted(data.draw(st.lists(st.integers(0, len(samples)), max_size=8)))
    state, got = front.start(rate), []
    for start, end in pairwise([0, *cuts, len(samples)]):
        got.append(front.step(state, front.check(samples[start:end])))
        state = front.restore(pack(state))  # any of these states can be a snapshot
    got.append(front.flush(state))
    whole = front.start(rate)
    wanted = np.concatenate((front.step(whole, samples), front.flush(whole)))
    assert np.concatenate(got).tobytes() == wanted.tobytes()


@settings(deadline=None, max_examples=30)
@given(st.sampled_from(FRONTS), st.lists(st.integers(0, 1500), min_size=1, max_size=20))
def test_company_does_not_matter(front, lengths: list[int]) -> None:  # type: ignore[no-untyped-def]
    audio = [music(0.2, 8000, 0.1 * i)[:length] for i, length in enumerate(lengths, 1)]
    together = [front.start() for _ in audio]
    for _ in range(2):
        got = split(*front.step_many(together, audio))
    for samples, frames, state in zip(audio, got, together, strict=True):
        alone = front.start()
        front.step(alone, samples)
        assert front.step(alone, samples).tobytes() == frames.tobytes()
        assert pack(alone) == pack(state)


@pytest.mark.parametrize(
    ("changes", "match"),
    [
        ({"low_hz": 0.5}, "low_hz"),
        ({"high_hz": 22051.0}, "high_hz"),
        ({"windows": ()}, "windows"),
        ({"windows": (1024, 2048)}, "bands_per_octave"),
        ({"windows": (2, 1024, 2048)}, "windows must have"),
        ({"windows": (1024, 2048, 1 << 17)}, "windows must have"),
        ({"bands_per_octave": (6, 6, 97)}, "bands_per_octave"),
        ({"bands_per_octave": (6, 0, 6)}, "bands_per_octave"),
        ({"hop_ms": 0.01}, "hop_ms"),
        ({"hop_ms": 0.5}, "hop_ms"),
        ({"add": 0.0}, "add"),
        ({"mul": -1.0}, "mul"),
        ({"diff_ratio": 1.0}, "diff_ratio"),
        ({"windows": (16, 2048, 4096), "high_hz": 50.0}, "no band"),
    ],
)
def test_bad_settings_are_refused(changes: dict[str, object], match: str) -> None:
    with pytest.raises(BadModelFileError, match=match):
        replace(FilteredSpectrogram(), **changes)  # type: ignore[arg-type]


@pytest.mark.parametrize("shape", [(1, 1), (0, 0), (1000, 10)])
def test_a_forged_state_is_refused(shape: tuple[int, int]) -> None:
    state = FRONTS[0].start()
    state.spectra = np.zeros(shape, np.float32)
    with pytest.raises(SnapshotError, match="spectra"):
        FRONTS[0].restore(pack(state))
