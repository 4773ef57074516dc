"""What decoders of connectionist temporal classification have in common."""

from __future__ import annotations

import dataclasses
from dataclasses import dataclass

from ostinato.errors import BadModelFileError
from ostinato.model.decoders.decoder import Decoder
from ostinato.model.strict_json import LATER
from ostinato.model.wire import Wire


@dataclass(frozen=True)
class CtcSymbols(Decoder):
    """Outputs are the symbols' probabilities, and that of ``blank``, which says nothing (Graves et al. 2006).

    ``silent``: symbols that a model hears and does not tell, such as words that are none of its own. They stand
    between others as any symbol does; no event names them.
    """

    symbols: tuple[str, ...]
    blank: int = 0
    separator: str = " "
    silent: tuple[str, ...] = dataclasses.field(default=(), kw_only=True, metadata=LATER)

    @property
    def names(self) -> tuple[str, ...]:
        """The symbols, with the blank's."""
        return self.symbols

    @property
    def untold(self) -> frozenset[int]:
        """The outputs that no event names: of the blank, and of silent symbols."""
        return frozenset({self.blank, *(i for i, symbol in enumerate(self.symbols) if symbol in self.silent)})

    def check_outputs(self, wire: Wire) -> None:
        """The blank is one of them, besides, and so are silent symbols."""
        super().check_outputs(wire)
        if not 0 <= self.blank < wire.size:
            raise BadModelFileError(f"decoder: blank = {self.blank} is outside the {wire.size} outputs")
        for symbol in self.silent:
            if symbol not in self.symbols or symbol == self.symbols[self.blank]:
                raise BadModelFileError(f"decoder: silent {symbol!r} is no symbol beside the blank")
