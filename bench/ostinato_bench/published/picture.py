"""Noisy speech before and after, as spectrograms, and as recordings beside the picture."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import soundfile

from ostinato_bench.published.denoising import Example
from ostinato_bench.published.sounds import F32, RATE

SHOWN_S = 8.0
_SIZE, _HOP = 512, 128
_FLOOR_DB, _LEVELS = -70.0, 14  # steps of 5 dB: noise in finer ones makes a file of megabytes


def draw(example: Example, path: Path) -> None:
    """The speech, with its noise, and what each model made of it, one below the other, as a PNG at ``path``."""
    import matplotlib

    matplotlib.use("Agg")
    from matplotlib import pyplot as plt

    from ostinato_bench.style import INK, SOFT

    shown = _shown(example)
    style: dict[Any, Any] = {"font.size": 9, "text.color": INK, "axes.edgecolor": SOFT, "axes.labelcolor": SOFT}
    with plt.rc_context(style | {"xtick.color": SOFT, "ytick.color": SOFT}):
        figure, axes = plt.subplots(
            len(shown), figsize=(10, 1.5 * len(shown) + 1), dpi=100, sharex=True, layout="constrained"
        )
        top = max(float(_decibels(samples).max()) for samples in shown.values())
        for axis, (name, samples) in zip(axes, shown.items(), strict=True):
            made = _decibels(samples) - top
            extent = (0, len(made) * _HOP / RATE, 0, RATE / 2000)
            image = axis.imshow(
                made.T, origin="lower", aspect="auto", extent=extent, cmap=plt.get_cmap("magma", _LEVELS),
                vmin=_FLOOR_DB, vmax=0, interpolation="nearest",
            )  # fmt: skip
            axis.set_title(name, loc="left", size=9, weight="bold")
            axis.set_ylabel("kHz")
            axis.spines[["top", "right"]].set_visible(False)
        axes[-1].set_xlabel("s")
        figure.colorbar(image, ax=axes, ticks=range(-70, 1, 10), label="dB below the loudest", shrink=0.6, pad=0.01)
        figure.savefig(path)
        plt.close(figure)


def write_recordings(example: Example, path: Path) -> list[Path]:
    """The same as recordings beside the picture, named after it: a .wav for each. Returns their paths."""
    made = {"clean": example.clean, "noisy": example.noisy, **example.denoised}
    found = []
    for name, samples in made.items():
        found.append(path.with_name(f"{path.stem}-{name}.wav"))
        soundfile.write(found[-1], np.clip(samples, -1, 1), RATE, subtype="PCM_16")
    return found


def _shown(example: Example) -> dict[str, F32]:
    what = {
        "speech": example.clean,
        f"with {example.noise} noise at {example.snr_db:g} dB": example.noisy,
    } | {f"denoised by {name}": samples for name, samples in example.denoised.items()}
    return {name: samples[: int(SHOWN_S * RATE)] for name, samples in what.items()}


def _decibels(samples: F32) -> F32:
    """Of short-time spectra [frames, bins]."""
    windows = np.lib.stride_tricks.sliding_window_view(samples, _SIZE)[::_HOP] * np.hanning(_SIZE)
    return (20 * np.log10(np.abs(np.fft.rfft(windows)) + 1e-6)).astype(np.float32)
