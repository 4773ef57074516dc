"""What decoders of connectionist temporal classification have in common."""

from __future__ import annotations

from dataclasses import dataclass

from ostinato.errors import BadModelFileError
from ostinato.model.decoders.decoder import Decoder
from ostinato.model.wire import Wire


@dataclass(frozen=True)
class CtcSymbols(Decoder):
    """Outputs are the symbols' probabilities, and that of ``blank``, which says nothing (Graves et al. 2006)."""

    symbols: tuple[str, ...]
    blank: int = 0
    separator: str = " "

    @property
    def names(self) -> tuple[str, ...]:
        """The symbols, with the blank's."""
        return self.symbols

    def check_outputs(self, wire: Wire) -> None:
        """The blank is one of them, besides."""
        super().check_outputs(wire)
        if not 0 <= self.blank < wire.size:
            raise BadModelFileError(f"decoder: blank = {self.blank} is outside the {wire.size} outputs")
