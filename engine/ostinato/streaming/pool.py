"""Where the recurrent states of a model's streams live: rows of one array, so that many streams advance without
copies."""

from __future__ import annotations

import threading

from ostinato.errors import CapacityError
from ostinato.kernels.program import Program


class StatePool:
    """``capacity`` state rows of a program, float32 [capacity, state_size]; a stream holds one by its index, its
    slot.

    The whole array is reserved at once and never moves; the system gives memory to the rows that are used (to all,
    where streams begin from other states than zeros). A row is acquired as the program says that streams begin."""

    def __init__(self, program: Program, capacity: int) -> None:
        self.rows = program.new_states(capacity)
        self._program = program
        self._unused = 0
        self._released: list[int] = []
        self._lock = threading.RLock()  # the garbage collector may close a stream in the middle of `acquire`

    def acquire(self) -> int:
        """A slot of one's own. Raises CapacityError when all are taken."""
        with self._lock:
            if self._released:
                return self._released.pop()
            if self._unused == len(self.rows):
                raise CapacityError(
                    f"all {self._unused} stream states of this model are in use: close streams, or load it with a "
                    "larger max_streams"
                )
            self._unused += 1
            return self._unused - 1

    def acquire_many(self, count: int) -> list[int]:
        """So many of them. Raises CapacityError when there are fewer; then none is taken."""
        with self._lock:
            free = len(self._released) + len(self.rows) - self._unused
            if free < count:
                raise CapacityError(
                    f"a beam of {count} needs as many stream states, and {free} of this model's {len(self.rows)} are "
                    "free: ask for fewer beams, close streams, or load the model with a larger max_streams"
                )
            return [self.acquire() for _ in range(count)]

    def release(self, slot: int) -> None:
        """Give a slot back."""
        self._program.begin(self.rows[slot])
        with self._lock:
            self._released.append(slot)
