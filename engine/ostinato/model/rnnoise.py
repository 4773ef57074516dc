"""What RNNoise's front end and decoder have in common (Valin 2018, "A Hybrid DSP/Deep Learning Approach to Real-Time
Full-Band Speech Enhancement", and version 0.2 of its program): sizes, and how a frame is laid out."""

from __future__ import annotations

HOP = 480
WINDOW = 2 * HOP
BINS = HOP + 1
SHORTEST, LONGEST = 60, 768
"""Periods of pitch, in samples."""
BANDS = 32
EDGES = (
    0, 2, 4, 6, 8, 10, 12, 15, 18, 21, 24, 28, 32, 36, 41, 47, 53, 60, 68, 77, 87, 98, 110, 124, 140, 157, 176, 198,
    223, 251, 282, 317, 356, 400,
)  # fmt: skip
"""Bins where bands lie, as wide as the ear's (ERB): number b rises from EDGES[b] to EDGES[b + 1] and falls to
EDGES[b + 2]."""
HEARD = EDGES[-1]
"""Bins that bands cover: up to 20 kHz at 48 kHz."""

FEATURES = 2 * BANDS + 1
ANALYSIS = 2 * BINS + 2 * HEARD + 3 * BANDS
"""Of a frame: its spectrum, that of a period of pitch before, of both the real, then the imaginary parts; their
energies in bands, and the correlations of the two."""
FRAME = FEATURES + 1 + ANALYSIS
"""Features, whether there is silence (1 or 0), analysis."""
