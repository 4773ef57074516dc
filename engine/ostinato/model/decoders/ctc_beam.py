"""Connectionist temporal classification, its most probable text, by a language model."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import ClassVar

import numpy as np

from ostinato.errors import BadModelFileError
from ostinato.model.decoders.ctc_symbols import CtcSymbols
from ostinato.model.wire import Weight, Wire, normal
from ostinato.options import MAX_BOOST, MAX_HOTWORDS

MAX_WIDTH = 128
MAX_LAG = 1000
MAX_CONTEXTS = 1 << 16
MAX_SCORES = 1 << 22
"""Of a language model: contexts times symbols."""
MAX_HOTWORD_SYMBOLS = 2048
"""Of all hotwords together, a space before each included."""
MAX_HOTWORD_SCORES = 1 << 20
"""These times the symbols there are."""


@dataclass(frozen=True)
class CtcBeam(CtcSymbols):
    """Prefix beam search (Hannun et al. 2014, "First-pass large vocabulary continuous speech recognition using
    bi-directional recurrent DNNs", algorithm 1): of each text that the frames so far may say, the sum over all its
    alignments. After each frame the ``width`` likeliest texts are kept, without those that are less than
    ``threshold`` times as likely as the best; symbols whose output is below ``least`` go on with none.

    A text's probability is multiplied with that of the language model to the power ``language_weight``, and with
    e^``insertion_bonus`` for each symbol.

    The language model is a finite automaton, weights of the head:

        ``scores``   [contexts, symbols]   natural logarithms of how likely each symbol is in each context
        ``contexts`` [contexts, symbols]   the context after it, a whole number

    An utterance begins in context 0. `ostinato.training.language` makes one of texts; so may other programs, of a
    lexicon or a grammar: any deterministic automaton will do.

    ``hotwords``: words and phrases to expect. A text that says one counts e^``hotword_boost`` times as likely; one
    that has said a part of it, by that part of the boost, which it loses with the first symbol that does not go on
    with it. A stream may be opened with others (`ostinato.options.Options`).

    A symbol is emitted as soon as all texts that are kept agree on it, and never taken back; ``lag`` frames after its
    own at the latest, when the best text decides, and what says otherwise is given up.
    """

    width: int = 16
    lag: int = 50
    least: float = 1e-3
    threshold: float = 1e-4
    number_of_contexts: int = 1
    language_weight: float = 0.0
    insertion_bonus: float = 0.0
    hotwords: tuple[str, ...] = ()
    hotword_boost: float = 5.0

    kind: ClassVar[str] = "ctc-beam"

    def weights(self, wire: Wire) -> Mapping[str, Weight]:
        """The language model: anything, to begin with."""
        shape = (self.number_of_contexts, wire.size)
        return {"scores": Weight(shape, normal), "contexts": Weight(shape, _anywhere)}

    def check(self) -> None:
        """Everything is bounded."""
        if not 1 <= self.width <= MAX_WIDTH:
            raise BadModelFileError(f"decoder: width = {self.width} is not from 1 to {MAX_WIDTH}")
        if not 0 <= self.lag <= MAX_LAG:
            raise BadModelFileError(f"decoder: lag = {self.lag} is not from 0 to {MAX_LAG} frames")
        if not 0 <= self.least < 1 or not 0 <= self.threshold < 1:
            raise BadModelFileError("decoder: least and threshold must be at least 0 and below 1")
        most = min(MAX_CONTEXTS, MAX_SCORES // max(1, len(self.symbols)))
        if not 1 <= self.number_of_contexts <= most:
            raise BadModelFileError(
                f"decoder: number_of_contexts = {self.number_of_contexts} is not from 1 to {most}, the most for "
                f"{len(self.symbols)} symbols"
            )
        if not 0 <= self.language_weight <= 10 or not abs(self.insertion_bonus) <= 10:
            raise BadModelFileError("decoder: language_weight must be from 0 to 10, insertion_bonus from -10 to 10")
        if len(self.hotwords) > MAX_HOTWORDS:
            raise BadModelFileError(f"decoder: {len(self.hotwords)} hotwords are more than {MAX_HOTWORDS}")
        if not 0 <= self.hotword_boost <= MAX_BOOST:
            raise BadModelFileError(f"decoder: hotword_boost = {self.hotword_boost} is not from 0 to {MAX_BOOST:g}")


def _anywhere(generator: np.random.Generator, shape: tuple[int, ...]) -> np.ndarray:
    return generator.integers(0, shape[0], shape).astype(np.float32)
