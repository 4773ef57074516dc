"""Connectionist temporal classification, its best path."""

from dataclasses import dataclass
from typing import ClassVar

from ostinato.model.decoders.ctc_symbols import CtcSymbols


@dataclass(frozen=True)
class Ctc(CtcSymbols):
    """Greedy (best path) CTC decoding (Graves et al. 2006): repeats collapse, ``blank`` and
    ``silent`` symbols are dropped."""

    kind: ClassVar[str] = "ctc"
