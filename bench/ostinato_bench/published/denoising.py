"""Noisy speech, denoised by published models through streams: how much of the noise is gone, and in what time.

SI-SDR (Le Roux et al. 2019, "SDR - half-baked or well done?") compares an estimate with the clean speech, however
loud it is: 10 log10(|a s|^2 / |a s - e|^2) with a = <e, s> / |s|^2.
"""

from __future__ import annotations

import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from ostinato.errors import ForeignModelError
from ostinato.importing import import_model
from ostinato.streaming import Model
from ostinato_bench.published.sounds import F32, RATE, mixed, noises, resampled, speech

DENOISERS = ("nsnet2", "dtln", "gtcrn", "rnnoise")
SNRS_DB = (0.0, 5.0, 10.0)
EXAMPLE = "pink", 5.0
"""The noise and the ratio that are shown."""


@dataclass(frozen=True)
class Example:
    """Speech with a noise, and what a model made of it, for who wants to hear or see it."""

    noise: str
    snr_db: float
    clean: F32
    noisy: F32
    denoised: Mapping[str, F32]


def measure(names: Sequence[str], seconds: float) -> tuple[list[dict[str, Any]], Example | None, dict[str, str]]:
    """Rows of each model, noise and ratio in decibels: SI-SDR before and after, the share of real time that computing
    took, from a sample in to the same sample out in ms, and how smooth block borders are; then an example; and which
    models could not be had, and why."""
    models, missing = dict[str, Model](), dict[str, str]()
    for name in names:
        try:
            models[name] = Model(import_model(name).network)
        except ForeignModelError as error:
            missing[name] = str(error)
    clean = speech(seconds).samples
    rows: list[dict[str, Any]] = []
    example = None
    for noise, samples in noises(len(clean)).items():
        for snr_db in SNRS_DB:
            noisy = mixed(clean, samples, snr_db)
            made = dict[str, F32]()
            for name, model in models.items():
                made[name], computing_s = denoised(model, noisy)
                rows.append(
                    {
                        "model": name,
                        "noise": noise,
                        "snr_db": snr_db,
                        "si_sdr_before_db": round(si_sdr(noisy, clean), 2),
                        "si_sdr_after_db": round(si_sdr(made[name], clean), 2),
                        "real_time_factor": round(computing_s / seconds, 5),
                        "delay_ms": delay_ms(model),
                        "border_step": round(border_step(made[name], _hop(model)), 3),
                    }
                )
            if models and (noise, snr_db) == EXAMPLE:
                example = Example(noise, snr_db, clean, noisy, made)
    return rows, example, missing


def denoised(model: Model, noisy: F32) -> tuple[F32, float]:
    """What a stream makes of samples that come 10 ms at a time, as many as come; and the seconds of
    computing, without resampling where the model has a rate of its own."""
    rate = _rate(model)
    given, piece = resampled(noisy, RATE, rate), rate // 100
    start = time.thread_time()
    with model.stream() as stream:
        events = [event for at in range(0, len(given), piece) for event in stream.push(given[at : at + piece])]
        events += stream.flush()
    taken = time.thread_time() - start
    made = np.concatenate([each.values for each in events if each.values is not None])
    return resampled(made, rate, RATE)[: len(noisy)], taken


def delay_ms(model: Model) -> float:
    """How long after a sample has come it goes out, at most: seen by samples that come 1 ms at a time."""
    rate, found = _rate(model), 0.0
    with model.stream() as stream:
        for come_ms in range(1, 301):
            for event in stream.push(np.zeros(rate // 1000, np.float32)):
                if event.values is not None:
                    found = max(found, come_ms - event.time_ms + 1000 * len(event.values) / rate)
    return round(found, 3)


def si_sdr(estimate: F32, clean: F32) -> float:
    """In decibels, of signals of one length, without their means."""
    e, s = (each.astype(np.float64) - each.mean(dtype=np.float64) for each in (estimate, clean))
    target = (e @ s) / (s @ s) * s
    return float(10 * np.log10((target @ target) / np.square(target - e).sum()))


def border_step(samples: F32, hop: int) -> float:
    """The largest step between neighbouring samples where a block ends and the next begins, of the largest within
    blocks. What clicks at borders is well above 1."""
    steps = np.abs(np.diff(samples))
    borders = np.zeros(len(steps), bool)
    borders[hop - 1 :: hop] = True
    return float(steps[borders].max() / steps[~borders].max())


def _rate(model: Model) -> int:
    """Hz, of what comes and what goes out."""
    rate: int = model.network.specification.front_end.sample_rate  # type: ignore[attr-defined]
    return rate


def _hop(model: Model) -> int:
    """Samples from frame to frame, at `RATE`."""
    hop: int = round(model.front_end.frame_ms * RATE / 1000)
    return hop
