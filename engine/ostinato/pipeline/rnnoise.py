"""Arrays that RNNoise's front end and decoder hand to their kernels."""

from __future__ import annotations

from itertools import pairwise

import numpy as np

from ostinato.model.rnnoise import BANDS, EDGES

EDGES_OF_BANDS = np.array(EDGES, np.int64)
SHARES = np.concatenate([np.arange(high - low) / (high - low) for low, high in pairwise(EDGES)]).astype(np.float32)
"""How much of each bin belongs to the higher of the two bands that it is in."""
_COLUMNS = np.arange(BANDS)
COSINES = (
    np.cos((_COLUMNS[:, None] + 0.5) * _COLUMNS * np.pi / BANDS)
    * np.where(_COLUMNS, 1, np.sqrt(0.5))
    * np.sqrt(2 / 22)
).astype(np.float32)
"""A cosine transform (DCT-II), whose factor RNNoise has from when there were 22 bands."""
