"""When this process began to read Ostinato's sources: what of them changes later is not what it runs."""

from __future__ import annotations

import time

BEGUN_NS = time.time_ns()
"""By the clock that files are dated by."""
