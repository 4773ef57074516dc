"""Cepstral coefficients, and the ways people take logarithms of bands: against kaldi-native-fbank and formulas in
float64, and the same bits for any chunking and company."""

from __future__ import annotations

from dataclasses import replace
from itertools import pairwise

import kaldi_native_fbank as knf
import numpy as np
import numpy.typing as npt
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy.fft import dct

from ostinato.errors import BadModelFileError, SnapshotError
from ostinato.model.front_ends import LogMel, Mfcc
from ostinato.pipeline import front_end, pack
from ostinato.pipeline.pieces import split

F32 = npt.NDArray[np.float32]
F64 = npt.NDArray[np.float64]

KALDI = Mfcc()
LIBROSA = Mfcc(convention="slaney", mels=128, coefficients=20, low_hz=0.0, log="db", lifter=0.0)
"""librosa.feature.mfcc's defaults, but for top_db."""
TORCHAUDIO = Mfcc(convention="htk", mels=128, coefficients=40, low_hz=0.0, log="db", lifter=0.0)


def speech_like(seconds: float, seed: int = 0) -> F32:
    """Harmonics, hiss and an offset, from loud to quiet, 16 kHz."""
    t = np.arange(int(seconds * 16000)) / 16000
    noise = np.random.default_rng(seed).standard_normal(len(t))
    voice = sum(np.sin(2 * np.pi * 140 * k * t + k) / k for k in range(1, 12)) * 0.2
    return np.asarray((voice + 0.05 * noise) * 10 ** (-1 + np.sin(2 * np.pi * 1.7 * t)) + 0.01, np.float32)


def whole(chosen: LogMel, samples: F32, **weights: F32) -> F32:
    front = front_end(chosen, {f"front_end.{name}": value for name, value in weights.items()})
    state = front.start()
    return np.concatenate((front.step(state, samples), front.flush(state)))


def kaldi(samples: F32, chosen: Mfcc) -> F32:
    options = knf.MfccOptions()
    options.frame_opts.dither = 0
    options.frame_opts.frame_length_ms, options.frame_opts.frame_shift_ms = chosen.window_ms, chosen.hop_ms
    options.mel_opts.num_bins = chosen.mels
    options.mel_opts.low_freq, options.mel_opts.high_freq = chosen.low_hz, chosen.high_hz
    options.num_ceps, options.cepstral_lifter, options.use_energy = chosen.coefficients, chosen.lifter, chosen.energy
    reference = knf.OnlineMfcc(options)
    reference.accept_waveform(16000, (samples * np.float32(32768)).tolist())
    reference.input_finished()
    return np.array([reference.get_frame(i) for i in range(reference.num_frames_ready)])


@pytest.mark.parametrize(
    "chosen",
    [
        KALDI,
        replace(KALDI, energy=True),
        replace(KALDI, mels=40, coefficients=40, lifter=0.0),
        replace(KALDI, mels=30, coefficients=20, window_ms=32.0, low_hz=60.0, high_hz=7600.0),
    ],
)
def test_kaldi(chosen: Mfcc) -> None:
    samples = speech_like(1.0)
    wanted, got = kaldi(samples, chosen), whole(chosen, samples)
    assert got.shape == wanted.shape and len(got) > 90
    assert np.abs(got - wanted).max() < 5e-3 and np.abs(wanted).max() > 10
    assert np.sqrt(np.mean((got - wanted) ** 2)) < 3e-4


def power_bands(samples: F32, chosen: LogMel) -> F64:
    """Sums of the spectrum in the bands of librosa's and torchaudio's conventions, from their documentation."""
    size, hop, power = int(chosen.window_ms * 16), int(chosen.hop_ms * 16), chosen.power
    if chosen.convention == "htk":

        def hz_to_mel(hz: float) -> float:
            return 2595 * float(np.log10(1 + hz / 700))

        def mel_to_hz(mel: float) -> float:
            return 700 * float(10 ** (mel / 2595) - 1)
    else:

        def hz_to_mel(hz: float) -> float:
            return hz * 3 / 200 if hz < 1000 else 15 + 27 * float(np.log(hz / 1000) / np.log(6.4))

        def mel_to_hz(mel: float) -> float:
            return mel * 200 / 3 if mel < 15 else 1000 * float(6.4 ** ((mel - 15) / 27))

    low, high = hz_to_mel(chosen.low_hz), hz_to_mel(chosen.high_hz)
    edges = [mel_to_hz(low + (high - low) * i / (chosen.mels + 1)) for i in range(chosen.mels + 2)]
    filters = np.zeros((chosen.mels, size // 2 + 1))
    for m, (left, centre, right) in enumerate(zip(edges, edges[1:], edges[2:], strict=False)):
        for k in range(size // 2 + 1):
            hz = k * 16000 / size
            height = 1 if chosen.convention == "htk" else 2 / (right - left)
            filters[m, k] = max(0.0, min((hz - left) / (centre - left), (right - hz) / (right - centre))) * height
    window = 0.5 * (1 - np.cos(2 * np.pi * np.arange(size) / size))
    if chosen.origin == "centre":
        count = -(-len(samples) // hop)
        samples = np.concatenate((np.zeros(size // 2), samples, np.zeros(size)))[: (count - 1) * hop + size]
    frames = [samples[i : i + size].astype(float) for i in range(0, len(samples) - size + 1, hop)]
    return np.array([np.abs(np.fft.rfft(frame * window)) ** power for frame in frames]) @ filters.T


@pytest.mark.parametrize(
    "chosen",
    [
        LIBROSA,
        TORCHAUDIO,
        replace(LIBROSA, lifter=10.0, mels=40),
        replace(TORCHAUDIO, origin="centre", mels=64, power=1),
    ],
)
def test_librosa_and_torchaudio(chosen: Mfcc) -> None:
    samples = speech_like(0.5)
    bands = 20 / chosen.power * np.log10(np.maximum(1e-10, power_bands(samples, chosen)))
    wanted = dct(bands, type=2, norm="ortho", axis=1)[:, : chosen.coefficients]
    if chosen.lifter:
        places = np.arange(1, 1 + chosen.coefficients)
        wanted = wanted * (1 + chosen.lifter / 2 * np.sin(np.pi * places / chosen.lifter))
    got = whole(chosen, samples)
    assert got.shape == wanted.shape
    assert np.abs(got - wanted).max() < 1e-2 and np.abs(wanted).max() > 100


@pytest.mark.parametrize("convention", ["slaney", "htk"])
@pytest.mark.parametrize(
    ("changes", "formula"),
    [
        ({}, lambda x: np.log(np.maximum(1e-10, x))),
        ({"log": "log10"}, lambda x: np.log10(np.maximum(1e-10, x))),
        ({"log": "db"}, lambda x: 10 * np.log10(np.maximum(1e-10, x))),
        ({"log": "db", "power": 1, "floor": 1e-5}, lambda x: 20 * np.log10(np.maximum(1e-5, x))),
        ({"add": 1.0}, np.log1p),
        ({"add": 1e-6, "power": 1, "origin": "centre"}, lambda x: np.log(x + 1e-6)),
        ({"floor": 0.1, "origin": "centre"}, lambda x: np.log(np.maximum(0.1, x))),
    ],
)
def test_logarithms(convention: str, changes: dict[str, object], formula) -> None:  # type: ignore[no-untyped-def]
    chosen = replace(LogMel(), **({"convention": convention, "mels": 40} | changes))  # type: ignore[arg-type]
    samples = speech_like(0.5)
    wanted, got = formula(power_bands(samples, chosen)), whole(chosen, samples)
    assert got.shape == wanted.shape
    assert np.abs(got - wanted).max() < 2e-3 and wanted.std() > 0.1


def test_kaldis_magnitudes_and_floor() -> None:
    samples = speech_like(0.3)
    options = knf.FbankOptions()
    options.frame_opts.dither, options.use_power = 0, False
    options.mel_opts.num_bins, options.mel_opts.low_freq, options.mel_opts.high_freq = 40, 20, 8000
    reference = knf.OnlineFbank(options)
    reference.accept_waveform(16000, (samples * np.float32(32768)).tolist())
    wanted = np.array([reference.get_frame(i) for i in range(reference.num_frames_ready)])
    assert np.abs(whole(LogMel(power=1), samples) - wanted).max() < 1e-3
    assert whole(LogMel(floor=1e8), samples).min() == pytest.approx(np.log(1e8))


def test_normalisation_is_of_coefficients() -> None:
    rng = np.random.default_rng(1)
    mean, scale = rng.standard_normal(13).astype(np.float32), rng.uniform(0.5, 2, 13).astype(np.float32)
    samples = speech_like(0.5)
    for chosen in (KALDI, replace(KALDI, energy=True)):
        rows = (whole(chosen, samples) - mean) * scale
        got = whole(replace(chosen, normalise=True, stack=3, stride=2), samples, mean=mean, scale=scale)
        wanted = [rows[j : j + 3].ravel() for j in range(0, len(rows) - 2, 2)]
        assert got.shape == (len(wanted), 39)
        assert np.allclose(got, wanted, atol=2e-4)


VARIANTS = [
    KALDI,
    replace(KALDI, energy=True, stack=2, stride=3),
    replace(LIBROSA, origin="centre"),
    LogMel(convention="htk", origin="centre", power=1, stack=3, stride=2),
]
FRONTS = [front_end(chosen, {}) for chosen in VARIANTS]


@settings(deadline=None, max_examples=50)
@given(st.sampled_from(FRONTS), st.sampled_from([None, 44100]), st.integers(0, 6000), st.data())
def test_chunking_does_not_matter(front, rate: int | None, length: int, data: st.DataObject) -> None:  # type: ignore[no-untyped-def]
    samples = speech_like(0.5)[:length]
    cuts = sorted(data.draw(st.lists(st.integers(0, length), max_size=8)))
    state, got = front.start(rate), []
    for start, end in pairwise([0, *cuts, length]):
        got.append(front.step(state, front.check(samples[start:end])))
        state = front.restore(pack(state))  # any of these states can be a snapshot
    got.append(front.flush(state))
    alone = front.start(rate)
    assert np.concatenate(got).tobytes() == np.concatenate((front.step(alone, samples), front.flush(alone))).tobytes()


@settings(deadline=None, max_examples=20)
@given(st.sampled_from(FRONTS), st.lists(st.integers(0, 3000), min_size=1, max_size=20))
def test_company_does_not_matter(front, lengths: list[int]) -> None:  # type: ignore[no-untyped-def]
    audio = [speech_like(0.2, seed)[:length] for seed, length in enumerate(lengths)]
    together = [front.start() for _ in audio]
    got = split(*front.step_many(together, audio))
    for samples, frames, state in zip(audio, got, together, strict=True):
        alone = front.start()
        assert front.step(alone, samples).tobytes() == frames.tobytes()
        assert pack(alone) == pack(state)


@pytest.mark.parametrize(
    ("changes", "match"),
    [
        ({"coefficients": 24}, "coefficients"),
        ({"coefficients": 0}, "coefficients"),
        ({"lifter": -1.0}, "lifter"),
        ({"energy": True, "log": "db"}, "energy"),
        ({"energy": True, "convention": "htk"}, "energy"),
        ({"power": 3}, "power"),
        ({"add": -1.0}, "add"),
        ({"floor": 0.0}, "floor"),
    ],
)
def test_bad_settings_are_refused(changes: dict[str, object], match: str) -> None:
    with pytest.raises(BadModelFileError, match=match):
        replace(KALDI, **changes)  # type: ignore[arg-type]


def test_a_forged_state_is_refused() -> None:
    state = FRONTS[1].start()
    state.rows = np.zeros((1, 23), np.float32)
    with pytest.raises(SnapshotError, match="rows"):
        FRONTS[1].restore(pack(state))
