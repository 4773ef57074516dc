"""What a limit is measured with."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass


@dataclass(frozen=True)
class Probe:
    """A call of it does ``amount`` thousands of operations or bytes, so amount / microseconds is 10^9 a second."""

    call: Callable[[], None]
    amount: float

    def rate(self, us: float) -> float:
        """10^9 multiply-accumulates, or bytes, a second."""
        return self.amount / us
