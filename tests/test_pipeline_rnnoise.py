"""RNNoise's front end and decoder: against a plain transcription of its formulas in float64, and the same bits for
any chunking and company."""

from __future__ import annotations

import math
from itertools import pairwise
from typing import Any

import numpy as np
import numpy.typing as npt
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from ostinato.errors import BadModelFileError, SnapshotError
from ostinato.events import Event
from ostinato.model.decoders import RnnoiseSynthesis
from ostinato.model.front_ends import RnnoiseFeatures
from ostinato.pipeline import decoder, front_end, pack
from ostinato.pipeline.pieces import split
from ostinato.pipeline.state import held_bytes

F32 = npt.NDArray[np.float32]
F64 = npt.NDArray[np.float64]
I16 = npt.NDArray[np.int16]

EDGES = [0, 2, 4, 6, 8, 10, 12, 15, 18, 21, 24, 28, 32, 36, 41, 47, 53, 60, 68, 77, 87, 98, 110, 124, 140, 157, 176,
         198, 223, 251, 282, 317, 356, 400]  # fmt: skip
WINDOW = np.sin(np.pi / 2 * np.sin(np.pi * (np.arange(960) + 0.5) / 960) ** 2)
FRONT = front_end(RnnoiseFeatures(), {})


def speech(seconds: float, seed: int = 0, rate: int = 48000) -> I16:
    """A voice whose pitch moves, syllables, pauses of digital silence, noise."""
    random, t = np.random.default_rng(seed), np.arange(int(seconds * rate)) / rate
    phase = 2 * np.pi * np.cumsum(110 + 60 * seed + 40 * np.sin(2 * np.pi * 0.7 * t)) / rate
    voice = sum(np.sin(k * phase + k * k) / k for k in range(1, 40)) * np.maximum(0, np.sin(2 * np.pi * 2.2 * t))
    heard = 3000 * voice + 150 * random.normal(size=len(t))
    heard[int(0.6 * len(t)) : int(0.75 * len(t))] = 0
    return np.asarray(np.clip(np.rint(heard), -32768, 32767), np.int16)


# --- the formulas ---------------------------------------------------------------------------------------------------


def pitch(x: F64, before: int, strength_before: float) -> tuple[int, float]:
    """Of 1728 samples the period at their end, and how strong it is."""
    padded = np.concatenate([[0.0], x])
    low = 0.5 * (0.5 * (padded[0:-1:2] + padded[2::2]) + padded[1::2])
    ac = np.array([low[lag:] @ low[: len(low) - lag] for lag in range(5)])
    ac[0] *= 1.0001
    ac[1:] *= 1 - (0.008 * np.arange(1, 5)) ** 2
    lpc, error = np.zeros(4), ac[0]
    for i in range(4 if ac[0] else 0):
        reflection = -(ac[i + 1] + lpc[:i] @ ac[i:0:-1]) / error
        lpc[:i] += reflection * lpc[:i][::-1].copy()
        lpc[i] = reflection
        error *= 1 - reflection**2
        if error < 0.001 * ac[0]:
            break
    lpc *= 0.9 ** np.arange(1, 5)
    y = np.convolve(low, np.convolve(np.concatenate([[1.0], lpc]), [1, 0.8]))[:864]

    def best(correlations: dict[int, float], energies: list[float]) -> list[int]:
        ranked = sorted((lag for lag, c in correlations.items() if c > 0),
                        key=lambda lag: -(correlations[lag] ** 2) / energies[lag])  # fmt: skip
        return [*ranked, 0, 1][:2]

    coarse, now = y[::2], y[384:][::2][:240]
    chosen = best({lag: now @ coarse[lag : lag + 240] for lag in range(147)},
                  [max(1, 1 + coarse[lag : lag + 240] @ coarse[lag : lag + 240]) for lag in range(147)])  # fmt: skip
    fine = {lag: y[384:] @ y[lag : lag + 480] for lag in range(294) if min(abs(lag - 2 * c) for c in chosen) <= 2}
    (at, _) = best(fine, [max(1, 1 + y[lag : lag + 480] @ y[lag : lag + 480]) for lag in range(294)])

    def offset(a: float, b: float, c: float) -> int:
        return 1 if c - a > 0.7 * (b - a) else -1 if a - c > 0.7 * (b - c) else 0

    moved = offset(fine.get(at - 1, 0), fine[at], fine.get(at + 1, 0)) if fine and 0 < at < 293 else 0
    whole = min((768 - (2 * at - moved)) // 2, 383)

    def at_lag(lag: int) -> F64:
        return y[384 - lag : 864 - lag]

    def normal(xy: float, yy: float) -> float:
        return xy / math.sqrt(1 + at_lag(0) @ at_lag(0) * yy)

    xy, yy = at_lag(0) @ at_lag(whole), at_lag(whole) @ at_lag(whole)
    found, strongest = whole, normal(xy, yy)
    best_xy, best_yy, strength = xy, yy, strongest
    for k, times in zip(range(2, 16), (3, 2, 3, 2, 5, 2, 3, 2, 3, 2, 5, 2, 3, 2), strict=True):
        lag = (2 * whole + k) // (2 * k)
        if lag < 30:
            break
        other = (2 * times * whole + k) // (2 * k)
        if k == 2:
            other = whole if lag + whole > 384 else whole + lag
        xy = 0.5 * (at_lag(0) @ at_lag(lag) + at_lag(0) @ at_lag(other))
        yy = 0.5 * (at_lag(lag) @ at_lag(lag) + at_lag(other) @ at_lag(other))
        away = abs(lag - before // 2)
        bonus = strength_before if away <= 1 else strength_before / 2 if away <= 2 and 5 * k * k < whole else 0
        least, share = (0.4, 0.85) if lag < 90 else (0.3, 0.7)
        if normal(xy, yy) > max(least, share * strongest - bonus):
            found, best_xy, best_yy, strength = lag, xy, yy, normal(xy, yy)
    best_xy = max(0, best_xy)
    predicted = 1 if best_yy <= best_xy else best_xy / (best_yy + 1)
    a, b, c = (at_lag(0) @ at_lag(found + d) for d in (-1, 0, 1))
    return max(60, 2 * found + offset(a, b, c)), min(predicted, strength)


def in_bands(x: Any, y: Any) -> F64:
    """Correlations of two spectra in triangular bands."""
    sums, product = np.zeros(34), (x * np.conj(y)).real
    for b, (low, high) in enumerate(pairwise(EDGES)):
        rising = np.arange(high - low) / (high - low)
        sums[b] += ((1 - rising) * product[low:high]).sum()
        sums[b + 1] += (rising * product[low:high]).sum()
    sums[1], sums[32] = (sums[0] + sums[1]) * 2 / 3, (sums[32] + sums[33]) * 2 / 3
    return sums[1:33]


def cosines(values: F64) -> F64:
    rows = [sum(v * math.cos((j + 0.5) * i * math.pi / 32) for j, v in enumerate(values)) for i in range(32)]
    return np.array(rows) * np.where(np.arange(32), 1, math.sqrt(0.5)) * math.sqrt(2 / 22)


def analysed(samples: I16) -> tuple[F64, list[tuple[Any, ...]]]:
    """Frames as the front end gives them, and of each X, P, their energies and correlations, whether it is silent."""
    whole = np.concatenate([samples.astype(np.float64), np.zeros(-len(samples) % 480 + 960)])
    a0, a1 = (float(np.float32(a)) for a in (-1.99599, 0.996))
    m0 = m1 = 0.0  # what the filter keeps is float32 in RNNoise, and heard in silence
    filtered = np.zeros(1248 + len(whole))
    for n, x in enumerate(whole):
        filtered[1248 + n] = y = float(np.float32(x + m0))
        m0, m1 = float(np.float32(m1 + (-2 * x - a0 * y))), float(np.float32(x - a1 * y))
    rows, parts, period, strength = [], [], 0, 0.0
    for end in range(1728, len(filtered) + 1, 480):
        kept = filtered[end - 1728 : end]
        period, strength = pitch(kept, period, strength)
        X, P = (np.fft.rfft(WINDOW * kept[n : n + 960]) / 960 for n in (768, 768 - period))
        Ex, Ep = in_bands(X, X), in_bands(P, P)
        Exp = in_bands(X, P) / np.sqrt(0.001 + Ex * Ep)
        levels, highest, follow = [], -2.0, -2.0
        for e in Ex:
            levels.append(max(math.log10(0.01 + e), highest - 7, follow - 1.5))
            highest, follow = max(highest, levels[-1]), max(follow - 1.5, levels[-1])
        features = np.concatenate([cosines(np.array(levels)), cosines(Exp), [0.01 * (period - 300)]])
        features[:2] -= 12, 4
        silent = Ex.sum() < 0.04
        values = [features * (not silent), [silent], X.real, X.imag, P.real[:400], P.imag[:400], Ex, Ep, Exp]
        rows.append(np.concatenate(values))
        parts.append((X, P, Ex, Ep, Exp, silent))
    return np.array(rows), parts


def spread(values: F64) -> F64:
    """Values of bands, for the bins."""
    centres = [0, *EDGES[1:33], 399]
    return np.concatenate([np.interp(np.arange(400), centres, [values[0], *values, values[-1]]), np.zeros(81)])


def resynthesised(parts: list[tuple[Any, ...]], gains: F64) -> F64:
    """The sound that gains [frames, 32] make of what was analysed."""
    zeros = np.zeros(32)
    X, P, Ex, Ep, Exp = np.zeros(481, complex), np.zeros(481, complex), zeros, zeros, zeros
    last, sound = np.zeros(32), np.zeros(480 * (len(parts) + 1))
    for t, (now, wanted) in enumerate(zip(parts, gains, strict=True)):
        if not now[5]:
            g = wanted
            with np.errstate(invalid="ignore"):
                r = Exp**2 * (1 - g**2) / (0.001 + g**2 * (1 - Exp**2))
            r = np.where(Exp > g, 1, np.sqrt(np.clip(r, 0, 1))) * np.sqrt(Ex / (1e-8 + Ep))
            X = X + spread(r) * P
            X = X * spread(np.sqrt(Ex / (1e-8 + in_bands(X, X))))
            g = np.maximum(g, 0.6 * last)
            last = np.minimum(1, g * (Ex + 1e-3) / (now[2] + 1e-3))
            X = X * spread(g)
        sound[480 * t : 480 * t + 960] += WINDOW * np.fft.irfft(X, 960) * 960
        X, P, Ex, Ep, Exp = now[:5]
    return sound[960:-480] / 32768


# --- values ---------------------------------------------------------------------------------------------------------


def frames_of(samples: Any, *cuts: int, rate: int | None = None) -> F32:
    """What the front end makes of it, from snapshots at the cuts."""
    state, made = FRONT.start(rate), []
    for begin, end in pairwise([0, *sorted(cuts), len(samples)]):
        made.append(FRONT.step(state, FRONT.check(samples[begin:end])))
        state = FRONT.restore(pack(state))
    return np.concatenate([*made, FRONT.flush(state)])


def random_gains(count: int, seed: int = 3) -> F32:
    """Gains that rise and fall."""
    random = np.random.default_rng(seed)
    return np.asarray(random.uniform(-0.3, 1.3, (count, 32)).clip(0, 1), np.float32)


def rows_for(frames: F32, seed: int = 3) -> F32:
    """What the decoder reads: gains, and what is behind the features."""
    return np.hstack([random_gains(len(frames), seed), frames[:, 65:]])


@pytest.mark.parametrize("seed", [0, 1, 2])
def test_the_formulas(seed: int) -> None:
    samples = speech(1.5, seed)[:-100]
    wanted, parts = analysed(samples)
    got = frames_of(samples)
    assert got.shape == wanted.shape == (152, 1924) == (152, RnnoiseFeatures().frame_size)
    assert np.array_equal(*(np.rint(100 * each[:, 64]) for each in (got, wanted))) and len(set(got[:, 64])) > 10
    assert np.array_equal(got[:, 65], wanted[:, 65]) and 5 < got[:, 65].sum() < 40
    assert np.abs(got[:, :66] - wanted[:, :66]).max() < 2e-3
    assert np.abs(got[:, 66:-96] - wanted[:, 66:-96]).max() < 1e-6 * np.abs(wanted[:, 66:-96]).max()
    assert np.allclose(got[:, -96:], wanted[:, -96:], rtol=2e-3, atol=2e-3)
    assert np.median(np.abs(got[:, :65] - wanted[:, :65]).max(axis=1)) < 1e-4
    gains = random_gains(152, seed)
    sound = heard(run(RnnoiseSynthesis(), np.hstack([gains, got[:, 65:]])))
    reference = resynthesised(parts, gains.astype(float))
    assert sound.shape == reference.shape == (72000,)
    assert np.abs(sound - reference).max() < 2e-4 * np.abs(reference).max() and np.abs(reference).max() > 0.05


def test_what_is_periodic_keeps_its_pitch() -> None:
    """A hundred and fifty hertz are 320 samples, not twice as many; gains of 1 give back what came in, but
    for the high-pass filter."""
    t = np.arange(24000)
    samples = np.rint(4000 * sum(np.sin(2 * np.pi * k * t / 320) / k for k in range(1, 20))).astype(np.int16)
    frames = frames_of(samples)
    assert set(np.rint(100 * frames[10:45, 64] + 300)) == {320.0}
    ones = np.hstack([np.ones((len(frames), 32), np.float32), frames[:, 65:]])
    sound = heard(run(RnnoiseSynthesis(), ones))
    assert np.corrcoef(sound[1000:20000], samples[1000:20000])[0, 1] > 0.98


@pytest.mark.parametrize("length", [0, 1, 479, 480, 481, 5000])
def test_all_of_the_audio_comes_out(length: int) -> None:
    frames = frames_of(speech(0.2)[:length])
    assert len(frames) == (-(-length // 480) + 2 if length else 0)
    events = run(RnnoiseSynthesis(), rows_for(frames))
    assert len(heard(events)) == -(-length // 480) * 480
    if events:
        assert events[0].time_ms == pytest.approx(10.0) and events[0].frame == 2
    made = decoder(RnnoiseSynthesis(), FRONT.frame_ms, FRONT.latency_ms)
    assert made.sample_rate == 48000 and made.delay == 2


# --- promises -------------------------------------------------------------------------------------------------------


def run(chosen: RnnoiseSynthesis, rows: F32, *cuts: int) -> list[Event]:
    """The events of rows, from snapshots at the cuts."""
    made = decoder(chosen, 10.0, 0.0)
    state, events = made.start(), list[Event]()
    for begin, end in pairwise([0, *sorted(cuts), len(rows)]):
        events += made.step(state, rows[begin:end])
        assert held_bytes(state) <= made.state_bytes
        state = made.restore(pack(state))
    return events + made.flush(state)


def heard(events: list[Event]) -> F32:
    return np.concatenate([np.empty(0, np.float32), *(e.values for e in events if e.values is not None)])


def bits(events: list[Event]) -> list[Any]:
    return [(e.frame, e.time_ms, e.values.tobytes()) for e in events if e.values is not None]


AUDIO = speech(0.4, 1)
ROWS = rows_for(frames_of(AUDIO))


@settings(deadline=None, max_examples=40)
@given(st.sampled_from([None, 44100]), st.integers(0, len(AUDIO)), st.lists(st.integers(0, len(AUDIO)), max_size=6))
def test_chunking_does_not_matter(rate: int | None, length: int, cuts: list[int]) -> None:
    samples = AUDIO[:length]
    cut = [min(each, length) for each in cuts]
    assert frames_of(samples, *cut, rate=rate).tobytes() == frames_of(samples, rate=rate).tobytes()
    rows, block = ROWS[: length // 480], (None, 64, 1000)[length % 3]
    chosen, cut = RnnoiseSynthesis(block), [min(each // 480, len(rows)) for each in cuts]
    assert bits(run(chosen, rows, *cut)) == bits(run(chosen, rows))


@settings(deadline=None, max_examples=20)
@given(st.lists(st.integers(0, 2000), min_size=1, max_size=20))
def test_company_does_not_matter(lengths: list[int]) -> None:
    audio = [speech(0.05, i)[:length] for i, length in enumerate(lengths)]
    together = [FRONT.start() for _ in audio]
    made = decoder(RnnoiseSynthesis(), 10.0, 0.0)
    others = [made.start() for _ in audio]
    for _ in range(2):
        frames, counts = FRONT.step_many(together, audio)
        rows = rows_for(frames)
        events = list(made.step_many(others, rows, counts))
    for i, (samples, own) in enumerate(zip(audio, split(frames, counts), strict=True)):
        alone = FRONT.start()
        first, second = FRONT.step(alone, samples), FRONT.step(alone, samples)
        assert second.tobytes() == own.tobytes() and pack(alone) == pack(together[i])
        state, at = made.start(), sum(counts[:i])
        assert len(first) <= len(second)
        made.step(state, made_rows(audio, i, 0))
        assert bits(made.step(state, rows[at : at + counts[i]])) == bits(events[i])
        assert pack(state) == pack(others[i])


def made_rows(audio: list[I16], number: int, turn: int) -> F32:
    """The rows of one of them, as they were made of all in the first turn."""
    fresh = [FRONT.start() for _ in audio]
    frames, counts = FRONT.step_many(fresh, audio)
    at = sum(counts[:number])
    return rows_for(frames)[at : at + counts[number]]


def test_no_numbers_leave_anything_but_numbers_behind() -> None:
    """Whatever a network gives: states can be kept, and sound is finite."""
    random = np.random.default_rng(5)
    for scale in (1.0, 1e10, 1e38):
        rows = np.asarray(random.uniform(-1, 1, (20, 1891)) * scale, np.float32)
        rows[:, 32] = 0
        assert np.isfinite(heard(run(RnnoiseSynthesis(), rows, *range(20)))).all()
    loud = np.where(np.arange(9600) // 160 % 2, 8.0, -8.0).astype(np.float32)
    assert np.isfinite(frames_of(loud, 1000, 5000)).all()


# --- refused --------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("place", "value", "match"),
    [(0, 1e9, "loud"), (1249, -1e9, "loud"), (1250, 59.0, "period"), (1250, 61.5, "period"), (1250, 768.0, "period"),
     (1251, 1.5, "period"), (None, 3, "size")],
)  # fmt: skip
def test_a_forged_state_of_the_front_end_is_refused(place: int | None, value: float, match: str) -> None:
    state = FRONT.start()
    if place is None:
        state.history = np.zeros(int(value), np.float32)
    else:
        state.history[place] = value
    with pytest.raises(SnapshotError, match=match):
        FRONT.restore(pack(state))


@pytest.mark.parametrize(
    ("place", "value", "match"),
    [(0, 2e9, "loud"), (1761, -2e9, "loud"), (1762, -1.0, "energies"), (1825, 2e18, "energies"), (1857, 2e9, "loud"),
     (1858, -0.1, "gains"), (1889, 1.1, "gains"), (None, 3, "size")],
)  # fmt: skip
def test_a_forged_state_of_the_decoder_is_refused(place: int | None, value: float, match: str) -> None:
    made = decoder(RnnoiseSynthesis(), 10.0, 0.0)
    state = made.start()
    if place is None:
        state.before = np.zeros(int(value), np.float32)
    else:
        state.before[place] = value
    with pytest.raises(SnapshotError, match=match):
        made.restore(pack(state))
    state = made.start()
    state.tail = np.zeros(7, np.float32)
    with pytest.raises(SnapshotError, match="tail"):
        made.restore(pack(state))


def test_bad_settings_are_refused() -> None:
    with pytest.raises(BadModelFileError, match="sample_rate"):
        RnnoiseFeatures(0)
    with pytest.raises(BadModelFileError, match="block"):
        RnnoiseSynthesis(9000)
