"""All of a network's weights in one list, taken from its front."""

from __future__ import annotations

import math

from ostinato.errors import ForeignModelError
from ostinato.importing.audio_json.document import Array


class WeightList:
    """What was not taken yet."""

    def __init__(self, values: Array) -> None:
        if values.ndim != 1:
            raise ForeignModelError(f"weights are an array of {values.ndim} dimensions, not a list of numbers")
        self._values = values
        self._at = 0

    def take(self, what: str, *shape: int) -> Array:
        """The next weights, row by row. Raises ForeignModelError, naming ``what`` they are for, if they run out."""
        size = math.prod(shape)
        if self._at + size > len(self._values):
            raise ForeignModelError(
                f"{what} needs weights {self._at} to {self._at + size - 1}, and the file has {len(self._values)}: "
                "it is cut short, or its settings are not those of its weights"
            )
        found = self._values[self._at : self._at + size].reshape(shape)
        self._at += size
        return found

    def end(self) -> None:
        """Raise ForeignModelError if some were not taken: they would be lost."""
        if self._at < len(self._values):
            raise ForeignModelError(
                f"the network needs {self._at} weights, and the file has {len(self._values)}: what it is was "
                "understood wrong, or its settings are not those of its weights"
            )
