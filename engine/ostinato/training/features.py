"""What a network hears: features of recordings, by the product's own front ends, resampler included."""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray

from ostinato.model.front_ends import LogMel
from ostinato.pipeline import front_end

Samples = NDArray[np.float32]


def features(settings: LogMel, samples: NDArray[Any], sample_rate: int | None = None) -> Samples:
    """Log-mel features [n, mels * stack] of a whole recording, at ``sample_rate`` (None: the settings'), by a front
    end that does not normalise."""
    made = front_end(settings, {})
    state = made.start(sample_rate)
    return np.concatenate([made.step(state, samples), made.flush(state)])
