"""The digits recipe: what it does to voices."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from recipe_sounds import tone

from ostinato.training.recipes.digits import augment

CHANGES = ["throat", "room", "colour", "telephone", "loudness"]


def pitch(samples: augment.Samples, rate: int = 16000) -> float:
    spectrum = np.abs(np.fft.rfft(samples * np.hanning(len(samples))))
    return float(np.argmax(spectrum) * rate / len(samples))


@pytest.mark.parametrize("name", CHANGES)
@given(seconds=st.floats(0.05, 1.5), seed=st.integers(0, 2**32 - 1))
@settings(deadline=None, max_examples=15)
def test_changes_draw_from_their_seed_alone(name: str, seconds: float, seed: int) -> None:
    samples = tone(seconds)
    kept = samples.copy()
    change = getattr(augment, name)
    first, second = (change(samples, np.random.default_rng(seed)) for _ in range(2))
    assert first.dtype == np.float32
    assert np.isfinite(first).all()
    np.testing.assert_array_equal(first, second)
    np.testing.assert_array_equal(samples, kept)
    if name != "throat":
        assert len(first) == len(samples)


@pytest.mark.parametrize("name", CHANGES)
def test_changes_change_and_differ_by_seed(name: str) -> None:
    samples, change = tone(0.8), getattr(augment, name)
    one, other = change(samples, np.random.default_rng(1)), change(samples, np.random.default_rng(2))
    assert len(one) != len(other) or np.abs(one - other).max() > 1e-4


@given(factor=st.floats(0.7, 1.4))
@settings(deadline=None, max_examples=15)
def test_stretch_keeps_the_pitch_and_warp_moves_it(factor: float) -> None:
    samples = tone(1.0)
    longer = augment.stretch(samples, factor)
    assert len(longer) == pytest.approx(factor * len(samples), abs=600)
    assert pitch(longer) == pytest.approx(220, abs=8)
    faster = augment.warp(samples, factor)
    assert len(faster) == pytest.approx(len(samples) / factor, rel=0.01)
    assert pitch(faster) == pytest.approx(220 * factor, rel=0.03)


def test_trim_cuts_silence_and_only_that() -> None:
    spoken = tone(0.5) + np.float32(0.05)
    quiet = np.zeros(8000, np.float32)
    trimmed = augment.trim(np.concatenate([quiet, spoken, quiet]), margin_ms=20)
    assert len(trimmed) == pytest.approx(len(spoken) + 640, abs=320)
    assert len(augment.trim(quiet)) == 0
    assert len(augment.trim(quiet[:10])) == 0


def test_telephone_keeps_its_band() -> None:
    def through(hz: float) -> float:
        wave = np.asarray(0.2 * np.sin(2 * np.pi * hz * np.arange(16000) / 16000), np.float32)
        heard = augment.telephone(wave, np.random.default_rng(3))[4000:12000]
        return float(np.sqrt(np.mean(np.square(heard))))

    assert through(1000) > 0.1
    assert through(6000) < 0.01 * through(1000)
    assert through(20) < 0.05 * through(1000)


@given(snr=st.floats(0, 40), seed=st.integers(0, 1000))
@settings(deadline=None, max_examples=15)
def test_noise_is_as_loud_as_asked(snr: float, seed: int) -> None:
    rng = np.random.default_rng(seed)
    steady = np.asarray(0.1 * np.sin(np.arange(16000) * 0.3), np.float32)
    noise = augment.noise(16000, rng)
    assert np.mean(np.square(noise)) == pytest.approx(1, rel=0.01)
    added = augment.add_noise(steady, noise, snr) - steady
    ratio = 10 * np.log10(np.mean(np.square(steady)) / np.mean(np.square(added)))
    assert ratio == pytest.approx(snr, abs=0.5)
