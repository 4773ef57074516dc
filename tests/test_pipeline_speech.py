"""Hearing the end of speech by energy: bursts like speech, in noise, at any loudness; and a synthetic voice."""

from __future__ import annotations

import io
import shutil
import subprocess
from typing import Any

import numpy as np
import numpy.typing as npt
import pytest
import soundfile
from hypothesis import given, settings
from hypothesis import strategies as st

from ostinato.errors import InputError, SnapshotError
from ostinato.events import Event
from ostinato.model import decoders as specified_decoders
from ostinato.model import front_ends as specified_front_ends
from ostinato.model.front_ends import LogMel, Mfcc
from ostinato.pipeline import decoder, front_end, pack
from ostinato.pipeline.front_ends.log_mel import LogMelFrontEnd
from ostinato.pipeline.speech import SECTIONS, SpeechEnergy

F32 = npt.NDArray[np.float32]
RATE = 16000
PLAIN = LogMelFrontEnd(LogMel(), {})


def noise(kind: str, count: int, seed: int = 0) -> npt.NDArray[np.float64]:
    """Noise of root mean square 1: white, pink, or the hum of the mains with a little hiss."""
    white = np.random.default_rng(seed).standard_normal(count)
    if kind == "pink":
        spectrum = np.fft.rfft(white)
        spectrum[1:] /= np.sqrt(np.arange(1, len(spectrum)))
        white = np.fft.irfft(spectrum, count)
    elif kind == "hum":
        white = 0.03 * white + sum(np.sin(2 * np.pi * 50 * k * np.arange(count) / RATE) / k for k in (1, 2, 3, 5))
    return np.asarray(white / np.sqrt(np.mean(white**2)))


def syllables(seconds: float) -> npt.NDArray[np.float64]:
    """Five syllables a second: a voice of 120 Hz through formant-like bands, with hissing onsets; root mean square
    0.1."""
    t = np.arange(int(seconds * RATE)) / RATE
    harmonics = np.arange(1, 60)[:, None] * 120
    weights = np.exp(-(((harmonics - 600) / 300) ** 2)) + 0.3 * np.exp(-(((harmonics - 1800) / 500) ** 2)) + 0.003
    voice = (weights * np.sin(2 * np.pi * harmonics * t + harmonics)).sum(axis=0)
    phase = t * 5 % 1
    envelope = np.sqrt(np.clip(np.sin(np.pi * phase / 0.8), 0, None))
    hiss = np.where(phase < 0.2, 1.0, 0.0) * noise("white", len(t), 7)
    signal = voice * envelope * (phase >= 0.15) + 0.15 * hiss * voice.std()
    return np.asarray(signal * 0.1 / np.sqrt(np.mean(signal**2)))


def one_burst(noise_level: float) -> npt.NDArray[np.float64]:
    """A second of noise, 0.8 s of syllables in it, and a second of noise."""
    signal = np.concatenate((np.zeros(RATE), syllables(0.8), np.zeros(RATE)))
    return signal + noise("white", len(signal)) * noise_level


def ends(
    front: Any,
    samples: npt.NDArray[np.float64],
    rate: int | None = None,
) -> list[Event]:
    energy = SpeechEnergy(front)
    listener = decoder(specified_decoders.EndOfSpeech(silence_ms=500), front.frame_ms, front.latency_ms)
    audio, state, heard = front.start(rate), energy.start(), listener.start()
    frames = np.concatenate((front.step(audio, front.check(samples.astype(np.float32))), front.flush(audio)))
    return listener.step(heard, energy.step(state, frames)) + listener.flush(heard)


@pytest.mark.parametrize("kind", ["white", "pink", "hum"])
@pytest.mark.parametrize("loudness", [1.0, 0.1, 0.01])
@pytest.mark.parametrize("snr", [40, 20, 10])
def test_bursts_in_noise(kind: str, loudness: float, snr: float) -> None:
    quiet = np.zeros(RATE)
    signal = np.concatenate((quiet, syllables(1.6), quiet, syllables(3.2), quiet))
    signal = (signal + noise(kind, len(signal)) * 0.1 * 10 ** (-snr / 20)) * loudness
    found = [event.time_ms for event in ends(PLAIN, signal)]
    # The last syllable of each burst ends 40 ms before the burst does.
    assert len(found) == 2
    assert abs(found[0] - 2560) < 120 and abs(found[1] - 6760) < 120


@pytest.mark.parametrize("kind", ["white", "pink", "hum"])
@pytest.mark.parametrize("level", [0.3, 0.01, 1e-4, 0.0])
def test_steady_noise_is_not_speech(kind: str, level: float) -> None:
    assert ends(PLAIN, noise(kind, 20 * RATE) * level) == []


def test_noise_that_sets_in_is_background_within_seconds() -> None:
    rising = noise("pink", 12 * RATE) * 1e-3
    rising[3 * RATE :] *= 30
    found = [event.time_ms for event in ends(PLAIN, rising)]
    assert len(found) <= 1 and all(time < 6500 for time in found)


def test_speech_from_the_first_sample() -> None:
    signal = np.concatenate((syllables(1.6), np.zeros(RATE))) + noise("white", int(2.6 * RATE)) * 1e-3
    (event,) = ends(PLAIN, signal)
    assert abs(event.time_ms - 1560) < 120


@pytest.mark.parametrize(
    "chosen",
    [
        LogMel(convention="slaney"),
        LogMel(convention="htk", log="db", origin="centre"),
        LogMel(power=1, log="log10"),
        LogMel(stack=4, stride=4),
        LogMel(mels=80, stack=3, stride=2),
        Mfcc(),
        Mfcc(energy=True),
        Mfcc(convention="slaney", mels=40, log="db", stack=2),
    ],
)
def test_other_features_hear_the_same(chosen: LogMel) -> None:
    front = front_end(chosen, {})
    signal = np.concatenate((np.zeros(RATE), syllables(1.6), np.zeros(RATE)))
    signal += noise("pink", len(signal)) * 0.005
    (event,) = ends(front, signal)
    assert abs(event.time_ms - 2560) < 150


def test_normalisation_makes_no_difference() -> None:
    rng = np.random.default_rng(3)
    weights = {
        "front_end.mean": rng.normal(8, 3, 40).astype(np.float32),
        "front_end.scale": rng.uniform(0.2, 2, 40).astype(np.float32),
    }
    signal = one_burst(noise_level=0.003)
    plain = ends(PLAIN, signal)
    other = ends(LogMelFrontEnd(LogMel(normalise=True), weights), signal)
    assert len(plain) == 1 and [event.time_ms for event in plain] == [event.time_ms for event in other]


@pytest.mark.skipif(shutil.which("espeak-ng") is None, reason="needs espeak-ng")
@pytest.mark.parametrize("loudness", [1.0, 0.02])
@pytest.mark.parametrize("snr", [30, 10])
def test_a_synthetic_voice(loudness: float, snr: float) -> None:
    spoken = subprocess.run(
        ["espeak-ng", "--stdout", "four seven one nine two eight"], capture_output=True, check=True, timeout=30
    ).stdout
    voice, rate = soundfile.read(io.BytesIO(spoken))
    pause = np.zeros(rate)
    signal = np.concatenate((pause, voice, pause))
    last = np.flatnonzero(np.abs(signal) > 0.1 * np.abs(voice).max())[-1] / rate * 1000
    hiss = noise("pink", len(signal)) * np.sqrt(np.mean(voice**2)) * 10 ** (-snr / 20)
    found = ends(PLAIN, (signal + hiss) * loudness, rate)
    assert len(found) == 1 and abs(found[0].time_ms - last) < 200


@settings(deadline=None, max_examples=30)
@given(st.lists(st.integers(0, 300), max_size=6))
def test_chunking_does_not_matter(cuts: list[int]) -> None:
    energy = SpeechEnergy(PLAIN)
    frames = PLAIN.step(PLAIN.start(), one_burst(noise_level=0.003).astype(np.float32))
    state, got, at = energy.start(), [], 0
    for cut in [*cuts, len(frames)]:
        got.append(energy.step(state, frames[at : at + cut]))
        at += cut
        state = energy.restore(pack(state))
    assert np.concatenate(got).tobytes() == energy.step(energy.start(), frames).tobytes()


def test_the_state_stays_small() -> None:
    energy = SpeechEnergy(PLAIN)
    state = energy.start()
    energy.step(state, PLAIN.step(PLAIN.start(), (noise("white", 10 * RATE) * 0.1).astype(np.float32)))
    assert len(state.minima) == SECTIONS and not len(state.levels) and energy.known(state)


def test_what_is_refused() -> None:
    with pytest.raises(InputError, match="audio"):
        SpeechEnergy(front_end(specified_front_ends.Frames(3), {}))
    for chosen in (specified_front_ends.FilteredSpectrogram(), LogMel(add=1.0)):
        with pytest.raises(InputError, match="log-mel"):
            SpeechEnergy(front_end(chosen, {}))
    energy = SpeechEnergy(PLAIN)
    for changes in (
        {"frames": 25},
        {"frames": -1},
        {"minima": {"shape": [13], "data": bytes(13 * 8)}},
        {"levels": {"shape": [1], "data": bytes(8)}},
        {"levels": {"shape": [1], "data": bytes(8)}, "minima": {"shape": [12], "data": bytes(12 * 8)}},
    ):
        with pytest.raises(SnapshotError):
            energy.restore(pack(energy.start()) | changes)
