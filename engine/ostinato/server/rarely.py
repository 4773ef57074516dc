"""Logging what may happen a thousand times a second: a few lines of each kind, then how many more there were."""

from __future__ import annotations

import logging
import time

LINES = 5
PERIOD_S = 60.0


class Rarely:
    """Logs at most LINES lines of one kind (its text before the arguments) in PERIOD_S."""

    def __init__(self, log: logging.Logger) -> None:
        self._log = log
        self._kinds: dict[str, tuple[float, int]] = {}

    def __call__(self, level: int, text: str, *arguments: object, fault: bool = False) -> None:
        """Log it, unless enough has been said; ``fault``: with the traceback of the exception being handled."""
        now = time.monotonic()
        since, count = self._kinds.get(text, (now, 0))
        if now - since > PERIOD_S:
            if count > LINES:
                self._log.log(level, f"{text} (and {count - LINES} more in {now - since:.0f} s)", *arguments)
                self._kinds[text] = (now, 1)
                return
            since, count = now, 0
        self._kinds[text] = (since, count + 1)
        if count < LINES:
            self._log.log(level, text, *arguments, exc_info=fault)
