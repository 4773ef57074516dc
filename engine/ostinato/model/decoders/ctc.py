"""Connectionist temporal classification."""

from dataclasses import dataclass
from typing import ClassVar

from ostinato.errors import BadModelFileError
from ostinato.model.decoders.decoder import Decoder
from ostinato.model.wire import Wire


@dataclass(frozen=True)
class Ctc(Decoder):
    """Greedy (best path) CTC decoding (Graves et al. 2006): repeats collapse, ``blank`` is
    dropped."""

    symbols: tuple[str, ...]
    blank: int = 0
    separator: str = " "

    kind: ClassVar[str] = "ctc"

    @property
    def names(self) -> tuple[str, ...]:
        """The symbols, with the blank's."""
        return self.symbols

    def check_outputs(self, wire: Wire) -> None:
        """The blank is one of them, besides."""
        super().check_outputs(wire)
        if not 0 <= self.blank < wire.size:
            raise BadModelFileError(f"decoder: blank = {self.blank} is outside the {wire.size} outputs")
