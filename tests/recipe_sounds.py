"""What stands for speech in the tests of recipes."""

from __future__ import annotations

import numpy as np

from ostinato.training.recipes.digits import augment


def tone(seconds: float, hz: float = 220.0, rate: int = 16000) -> augment.Samples:
    time = np.arange(int(seconds * rate)) / rate
    wave = sum(np.sin(2 * np.pi * hz * n * time) / n for n in range(1, 8))
    return np.asarray(0.2 * wave * np.hanning(len(time)), np.float32)
