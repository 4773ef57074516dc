"""Resampling: the quality that resample.py promises, and the same bits for any chunking."""

from __future__ import annotations

import gc
import weakref

import numpy as np
import numpy.typing as npt
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from ostinato.errors import InputError, SnapshotError
from ostinato.model import front_ends as specified
from ostinato.pipeline import resample
from ostinato.pipeline.front_ends import log_mel
from ostinato.pipeline.resample import CROSSINGS, MAX_TABLE, STOP_DB, TRANSITION, check_rate, resampler
from ostinato.pipeline.state import pack, unpack

F32 = npt.NDArray[np.float32]
RATES = [
    (8000, 16000),
    (44100, 16000),
    (48000, 16000),
    (44101, 16000),
    (191999, 8000),
    (16001, 16000),
    (96000, 44100),
]


def convert(source: int, target: int, samples: npt.ArrayLike) -> F32:
    plan = resampler(source, target)
    state = plan.start()
    return np.concatenate((plan.step(state, np.asarray(samples, np.float32)), plan.flush(state)))


def tone(hz: float, rate: int, count: int) -> npt.NDArray[np.float64]:
    return np.asarray(0.5 * np.sin(2 * np.pi * hz * np.arange(count) / rate))


def middle(samples: F32) -> F32:
    return samples[len(samples) // 4 : -len(samples) // 4]


@pytest.mark.parametrize(("source", "target"), RATES)
def test_the_pass_band_passes_unchanged_and_in_time(source: int, target: int) -> None:
    slower = min(source, target)
    for hz in np.linspace(20, (1 - TRANSITION) * slower / 2, 9):
        got = convert(source, target, tone(hz, source, source // 4))
        assert len(got) == -(-(source // 4) * target // source)
        error = got - tone(hz, target, len(got)).astype(np.float32)
        assert np.abs(middle(error)).max() < 0.5 * 10 ** (-75 / 20), hz


@pytest.mark.parametrize(("source", "target"), [pair for pair in RATES if pair[0] > pair[1]])
def test_what_would_alias_is_gone(source: int, target: int) -> None:
    for hz in np.geomspace(target / 2, source / 2 * 0.999, 12):
        assert np.abs(middle(convert(source, target, tone(hz, source, source // 4)))).max() < 0.5e-4 * 2, hz


def test_images_are_gone() -> None:
    for hz in (1000, 3500, 3900):
        got = middle(convert(8000, 16000, tone(hz, 8000, 8000)))
        window = np.blackman(len(got))
        spectrum = np.abs(np.fft.rfft(got * window)) / (0.25 * window.sum())  # 1: a tone as loud as the input
        assert spectrum[len(spectrum) // 2 + 5 :].max() < 1e-4


def test_a_constant_stays_constant() -> None:
    for source, target in RATES:
        got = convert(source, target, np.ones(source // 10))
        assert np.abs(middle(got) - 1).max() < 1e-5


def test_the_design_is_scipys() -> None:
    """48 to 16 kHz has one phase, which must be firwin's Kaiser-windowed sinc."""
    firwin = pytest.importorskip("scipy.signal").firwin
    plan = resampler(48000, 16000)
    half = 3 * CROSSINGS
    beta = 0.1102 * (STOP_DB - 8.7)
    wanted = firwin(2 * half + 1, (1 - TRANSITION / 2) / 3, window=("kaiser", beta))
    got = plan.table[0]  # without firwin's first tap, which lies outside
    assert np.abs(got - wanted[1:]).max() < 2e-6


@settings(deadline=None, max_examples=60)
@given(
    st.sampled_from([*RATES, (16000, 8000), (22050, 16000)]),
    st.lists(st.integers(0, 700), max_size=12),
    st.integers(0, 2**32 - 1),
)
def test_chunking_does_not_matter(rates: tuple[int, int], sizes: list[int], seed: int) -> None:
    samples = np.random.default_rng(seed).uniform(-1, 1, sum(sizes)).astype(np.float32)
    plan = resampler(*rates)
    state, got, at = plan.start(), [], 0
    for size in sizes:
        got.append(plan.step(state, samples[at : at + size]))
        at += size
        state = unpack(type(state), pack(state))
        plan.expect(state)
    got.append(plan.flush(state))
    assert np.concatenate(got).tobytes() == convert(*rates, samples).tobytes()


def test_no_pair_of_rates_needs_a_large_table() -> None:
    for source in (8000, 8001, 11025, 44100, 44101, 96001, 191999, 192000):
        for target in (8000, 16000, 16001, 22050, 44100):
            if source != target:
                table = resampler(source, target).table
                assert table.size <= MAX_TABLE and np.isfinite(table).all()


@pytest.mark.parametrize("rate", [0, -1, 7999, 192001, 44100.0, "44100", None, True])
def test_rates_that_cannot_be(rate: object) -> None:
    with pytest.raises(InputError, match="8000 to 192000"):
        check_rate(rate)


def test_a_forged_state_is_refused() -> None:
    plan = resampler(44100, 16000)
    for position, size in ((-1, 0), (plan.up, 0), (0, plan.taps)):
        state = plan.start()
        state.position, state.tail = position, np.zeros(size, np.float32)
        with pytest.raises(SnapshotError, match="resampler"):
            plan.expect(state)


def test_a_table_is_made_once_for_all_who_use_it_and_kept_no_longer(monkeypatch: pytest.MonkeyPatch) -> None:
    """However many sample rates are in use at once; and the tables of those that are not are bounded."""
    made: list[weakref.ref[resample.Resampler]] = []
    real = resample._make

    def make(source: int, target: int) -> resample.Resampler:
        plan = real(source, target)
        made.append(weakref.ref(plan))
        return plan

    monkeypatch.setattr(resample, "_make", make)
    front_end = log_mel.LogMelFrontEnd(specified.LogMel(mels=13), {})
    rates = range(21_000, 21_100)
    states = [front_end.start(rate) for rate in rates for _ in range(2)]
    for _ in range(2):
        for state in states:
            front_end.step(state, np.zeros(300, np.int16))
            front_end.flush(front_end.restore(pack(state)))
    assert len(made) == len(rates)
    gc.collect()
    assert sum(ref() is not None for ref in made) == len(rates)
    states.clear()
    del state
    gc.collect()
    assert 0 < sum(ref() is not None for ref in made) <= 64
