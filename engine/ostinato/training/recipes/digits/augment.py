"""What happens to a voice on its way to a recogniser: other throats, rooms, telephones, noise, loudness.

All functions take and give mono float32 samples at 16 kHz unless said otherwise, draw from the generator given and
from nothing else, and so give the same for the same seed.
"""

from __future__ import annotations

from math import gcd
from typing import Any, TypeAlias

import numpy as np
from numpy.typing import NDArray
from scipy import fft, signal

Samples: TypeAlias = NDArray[np.float32]
Rng: TypeAlias = np.random.Generator

RATE = 16000


def _float32(samples: Any) -> Samples:
    single: Samples = np.asarray(samples, np.float32)
    return single


def resample(samples: Samples, rate: int, wanted: int) -> Samples:
    """The samples at another rate (polyphase filter)."""
    if rate == wanted:
        return _float32(samples)
    common = gcd(rate, wanted)
    return _float32(signal.resample_poly(samples, wanted // common, rate // common))


def loud(samples: Samples, rate: int = RATE, below_db: float = 40.0) -> tuple[int, int]:
    """Where the first part begins, and the last one ends, whose loudness is less than ``below_db`` under the loudest,
    in hundredths of a second; (0, 0) if all is silent."""
    hop = rate // 100
    if len(samples) < hop:
        return 0, 0
    power = np.square(samples[: len(samples) // hop * hop].reshape(-1, hop)).mean(axis=1)
    if power.max() < 1e-8:
        return 0, 0
    found = np.flatnonzero(power > power.max() * 10 ** (-below_db / 10))
    return int(found[0]) * hop, int(found[-1] + 1) * hop


def trim(samples: Samples, rate: int = RATE, below_db: float = 40.0, margin_ms: float = 20.0) -> Samples:
    """What is `loud`, and so much before and behind it; empty if all is silent."""
    first, last = loud(samples, rate, below_db)
    margin = int(margin_ms * rate / 1000)
    return samples[max(0, first - margin) : last + margin] if last else samples[:0]


def warp(samples: Samples, factor: float) -> Samples:
    """Played ``factor`` times as fast: pitch, formants and tempo all rise (a smaller throat, a faster speaker)."""
    common = gcd(100, round(factor * 100))
    return _float32(signal.resample_poly(samples, 100 // common, round(factor * 100) // common))


def stretch(samples: Samples, factor: float) -> Samples:
    """``factor`` times as long at the same pitch: waveform-similarity overlap-add (Verhelst and Roelands 1993)."""
    window, seek = 480, 160
    hop = window // 2
    count = int(len(samples) * factor) // hop
    if count < 2 or len(samples) < window + 2 * seek:
        return samples
    fade = np.hanning(window + 1)[:window].astype(np.float32)
    padded = np.concatenate([np.zeros(seek, np.float32), samples, np.zeros(window + 2 * seek, np.float32)])
    out = np.zeros((count + 1) * hop, np.float32)
    place = seek
    for n in range(count):
        if n:
            wanted = padded[place + hop : place + hop + window]
            near = min(int(n * hop / factor), len(samples) - 1)
            region = padded[near : near + window + 2 * seek]
            place = near + int(np.argmax(np.correlate(region, wanted, "valid")[: 2 * seek]))
            if place + hop + window > len(padded):
                place = len(padded) - hop - window
        out[n * hop : n * hop + window] += fade * padded[place : place + window]
    return out


def room(samples: Samples, rng: Rng) -> Samples:
    """Heard in a room: noise that decays by 60 dB in 0.1 to 0.6 s, after the direct sound. Length unchanged."""
    seconds = rng.uniform(0.1, 0.6)
    count = int(seconds * RATE)
    decay = np.exp(-6.9 * np.arange(count) / count)
    tail = rng.standard_normal(count) * decay * (np.arange(count) > rng.uniform(0.001, 0.01) * RATE)
    direct_to_reverberant = 10 ** (rng.uniform(0.0, 15.0) / 20)
    response = tail / (np.linalg.norm(tail) * direct_to_reverberant)
    response[0] = 1.0
    return _float32(signal.fftconvolve(samples, response)[: len(samples)])


def colour(samples: Samples, rng: Rng, strength_db: float = 6.0) -> Samples:
    """Through some microphone: a smooth random frequency response."""
    knots = np.array([0, 150, 400, 900, 1600, 2500, 4000, 8000])
    gains = rng.normal(0, strength_db / 2, len(knots)) + rng.normal(0, 1.5) * np.log2(np.maximum(knots, 100) / 1000)
    taps = signal.firwin2(129, knots / 8000, 10 ** (np.clip(gains, -15, 15) / 20))
    return _float32(signal.fftconvolve(samples, taps, "same"))


def telephone(samples: Samples, rng: Rng) -> Samples:
    """Through a telephone: 300 to 3400 Hz or so, 8 kHz, and mu-law or 8 linear bits. Length unchanged."""
    low, high = rng.uniform(60, 320), rng.uniform(2600, 3700)
    band = signal.butter(4, [low, high], "bandpass", fs=RATE, output="sos")
    narrow = signal.sosfilt(band, samples)[::2]
    peak = max(float(np.abs(narrow).max()), 1e-6)
    kind = rng.random()
    if kind < 0.5:  # ITU-T G.711's mu-law, its continuous form in 8 bits
        level = min(1.0, peak * rng.uniform(1.0, 3.0))
        squeezed = np.sign(narrow) * np.log1p(255 * np.clip(np.abs(narrow) / level, 0, 1)) / np.log(256)
        steps = np.round(squeezed * 127) / 127
        narrow = np.sign(steps) * np.expm1(np.abs(steps) * np.log(256)) / 255 * level
    elif kind < 0.7:
        level = peak * rng.uniform(1.0, 2.0)
        narrow = np.round(narrow / level * 127) / 127 * level
    wide = signal.resample_poly(narrow, 2, 1)[: len(samples)]
    return _float32(np.pad(wide, (0, len(samples) - len(wide))))


def noise(count: int, rng: Rng) -> Samples:
    """White, pink, brown or humming noise, steady or not, ``count`` samples of unit power."""
    kind = rng.choice(["white", "pink", "brown", "hum"], p=[0.25, 0.4, 0.25, 0.1])
    whole = fft.next_fast_len(max(count, 2), real=True)
    spectrum = fft.rfft(rng.standard_normal(whole))
    frequency = np.maximum(np.arange(len(spectrum)) * RATE / whole, 20.0)
    if kind == "pink":
        spectrum /= np.sqrt(frequency)
    elif kind == "brown":
        spectrum /= frequency
    made = fft.irfft(spectrum, whole)[:count]
    if kind == "hum":
        mains, time = rng.choice([50.0, 60.0]), np.arange(count) / RATE
        tones = sum(
            rng.uniform(0, 1 / n) * np.sin(2 * np.pi * n * mains * time + rng.uniform(0, 6)) for n in range(1, 9)
        )
        made = made / max(float(made.std()), 1e-9) * 0.1 + tones
    if rng.random() < 0.3:  # it swells and fades
        knots = np.exp(rng.normal(0, 1.0, max(2, int(count / RATE * rng.uniform(1, 6)))))
        made = made * np.interp(np.linspace(0, len(knots) - 1, count), np.arange(len(knots)), knots)
    return _float32(made / max(float(np.sqrt(np.mean(np.square(made)))), 1e-9)) if count else _float32(made)


def add_noise(samples: Samples, noise_: Samples, snr_db: float) -> Samples:
    """The samples plus noise, ``snr_db`` under the power of the speech's louder half."""
    if not len(samples):
        return samples
    hop = RATE // 50
    blocks = np.square(samples[: max(hop, len(samples) // hop * hop)])
    power = blocks.reshape(-1, min(hop, len(blocks))).mean(axis=1)
    speech = float(power[power >= np.median(power)].mean())
    gain = np.sqrt(max(speech, 1e-8) / max(float(np.mean(np.square(noise_))), 1e-12)) * 10 ** (-snr_db / 20)
    return _float32(samples + gain * noise_[: len(samples)])


def gate(samples: Samples, rng: Rng) -> Samples:
    """As in a recording cut to the word, or on a line muted in pauses: edges of up to 30 ms lost, noise inside."""
    first, last = (int(rng.uniform(0, 0.03) * RATE) for _ in range(2))
    cut = samples[first : len(samples) - last] if len(samples) > 0.2 * RATE else samples
    return add_noise(cut, noise(len(cut), rng), rng.uniform(10, 40))


def loudness(samples: Samples, rng: Rng) -> Samples:
    """At some distance from the microphone: peak from -36 to 0 dB of full scale, now and then clipped."""
    peak = max(float(np.abs(samples).max(initial=0.0)), 1e-6)
    if rng.random() < 0.06:
        return _float32(np.clip(samples / peak * rng.uniform(1.0, 3.0), -0.99, 0.99))
    return _float32(samples / peak * 10 ** (rng.uniform(-36, -0.5) / 20))


def throat(samples: Samples, rng: Rng) -> Samples:
    """As if said by another speaker: size of the throat 0.82 to 1.22, tempo 0.65 to 1.35 of what it was."""
    size = float(np.exp(np.clip(rng.normal(0, 0.09), -0.2, 0.2)))
    tempo = float(np.exp(np.clip(rng.normal(0, 0.16), -0.43, 0.3)))
    warped = warp(samples, size)
    change = tempo * len(samples) / max(len(warped), 1)
    return stretch(warped, change) if abs(change - 1) > 0.04 else warped


def quantise(samples: Samples) -> Samples:
    """In 16 bits, as a sound card gives it."""
    return _float32(np.round(np.clip(samples, -1, 1) * 32767) / 32768)
