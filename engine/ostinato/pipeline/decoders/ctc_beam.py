"""Connectionist temporal classification, its most probable text, by a language model."""

from __future__ import annotations

import copy
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from ostinato.errors import BadModelFileError, InputError
from ostinato.events import Event
from ostinato.kernels import prepare
from ostinato.kernels.arrays import exp
from ostinato.kernels.ctc_beam import (
    BLANK,
    COLUMNS,
    CONTEXT,
    FRAME,
    HOTWORD,
    INDEX,
    LAST,
    LENGTH,
    OUTPUT,
    SYMBOL,
    search,
)
from ostinato.model.decoders import CtcBeam
from ostinato.model.decoders.ctc_beam import MAX_HOTWORD_SCORES, MAX_HOTWORD_SYMBOLS
from ostinato.pipeline import state as snapshots
from ostinato.pipeline.automaton import Automaton, hotwords
from ostinato.pipeline.decoders.decoder import F32, Decoder, counted
from ostinato.pipeline.transcript import Vocabulary

F64 = npt.NDArray[np.float64]


@dataclass(slots=True)
class CtcBeamState:
    """The ``count`` texts that are kept, the best first, as `kernels.ctc_beam` has them. ``latest``: the frame of
    the last symbol that was decided."""

    texts: snapshots.F64Matrix
    undecided: snapshots.F64Cube
    count: int = 1
    latest: int = 0
    frames: int = 0


class CtcBeamDecoder(Decoder[CtcBeam, CtcBeamState]):
    """A ``symbol`` event for each, as `model.decoders.CtcBeam` says.

    ``event.frame`` and ``time_ms`` are those of the symbol's own frame, where its output was largest while it was the
    best text's last one, but never before that of the symbol before; ``probability`` is that output.
    """

    def __init__(self, settings: CtcBeam, frame_ms: float, latency_ms: float, weights: Mapping[str, F32]) -> None:
        """``weights``: ``scores`` and ``contexts`` [contexts, symbols]. Raises BadModelFileError for those that are
        no automaton, and for hotwords that cannot be said."""
        super().__init__(settings, frame_ms, latency_ms)
        prepare(search)
        self.delay = settings.lag
        self._untold = settings.untold
        self._language = _language(settings, weights["scores"], weights["contexts"])
        self._own_bytes = 0
        try:
            self._hotwords = self._listening_for(settings.hotwords, settings.hotword_boost)
        except InputError as error:
            raise BadModelFileError(f"decoder: {error}") from error

    def start(self) -> CtcBeamState:
        """A fresh state: nothing has been said."""
        texts = np.zeros((self.settings.width, COLUMNS))
        texts[0, BLANK], texts[0, LAST] = 1.0, self.settings.blank
        texts[0, CONTEXT], texts[0, HOTWORD] = self._language.start, self._hotwords.start
        return CtcBeamState(texts, np.zeros((self.settings.width, self.settings.lag + 1, 3)))

    def step(self, state: CtcBeamState, outputs: F32) -> list[Event]:
        """The symbols that the rows of ``outputs`` [n, symbols] decide."""
        settings, first = self.settings, state.frames
        decided, counts = np.empty((len(outputs) + settings.lag + 1, 3)), np.array([state.count, 0])
        search(
            np.ascontiguousarray(outputs), first, settings.blank, settings.lag, settings.least, settings.threshold,
            self._language.factors, self._language.following, self._hotwords.factors, self._hotwords.following,
            state.texts, state.undecided, np.empty_like(state.texts), np.empty_like(state.undecided),
            np.empty((settings.width, 3)), np.empty((settings.width, 4)), decided, counts,
        )  # fmt: skip
        state.frames += len(outputs)
        state.count, found = counts.tolist()
        return self._events(state, decided[:found])

    def flush(self, state: CtcBeamState) -> list[Event]:
        """The rest of the best text."""
        return self._events(state, state.undecided[0, : int(state.texts[0, LENGTH])])

    def restore(self, packed: object) -> CtcBeamState:
        """The state that `state.pack` packed. Raises SnapshotError."""
        state, fresh = counted(snapshots.unpack(CtcBeamState, packed)), self.start()
        fits = state.texts.shape == fresh.texts.shape and state.undecided.shape == fresh.undecided.shape
        snapshots.expect(fits and 1 <= state.count <= len(state.texts), "state.texts are not of the model's size")
        snapshots.expect(0 <= state.latest <= state.frames, "state.latest is out of range")
        for text, rows in zip(state.texts[: state.count], state.undecided, strict=False):
            snapshots.expect(self._is_text(text), "state.texts hold what is no text")
            undecided = rows[: int(text[LENGTH])]
            snapshots.expect(self._are_symbols(undecided, state.frames), "state.undecided holds what is no text")
            same = not len(undecided) or undecided[-1, INDEX] == text[LAST]
            snapshots.expect(same, "state.texts end otherwise than state.undecided")
        return state

    def _is_text(self, text: F64) -> bool:
        """Whether a kernel may go on with a text."""
        most = {LENGTH: self.settings.lag + 1, LAST: len(self.settings.symbols)}
        most |= {CONTEXT: len(self._language.factors), HOTWORD: len(self._hotwords.factors)}
        whole = all(0 <= text[at] < bound and text[at] == np.floor(text[at]) for at, bound in most.items())
        return whole and bool(text[BLANK] >= 0 and text[SYMBOL] >= 0)

    def _are_symbols(self, undecided: F64, frames: int) -> bool:
        """Whether undecided symbols [n, 3] are some, each later than the one before, and none decided by now."""
        index, at = undecided[:, INDEX], undecided[:, FRAME]
        known = (index >= 0) & (index < len(self.settings.symbols)) & (index != self.settings.blank)
        in_order = np.diff(at, prepend=max(0, frames - self.settings.lag) - 1) > 0
        whole = (undecided[:, :OUTPUT] == np.floor(undecided[:, :OUTPUT])).all()
        return bool(known.all() and in_order.all() and (at < frames).all() and whole)

    def listening_for(self, phrases: Sequence[str], boost: float) -> CtcBeamDecoder:
        """The same with these hotwords instead of its own, of the same language model. Raises InputError."""
        other = copy.copy(self)
        other._hotwords = self._listening_for(phrases, boost)
        other._own_bytes = other._hotwords.nbytes
        return other

    @property
    def state_bytes(self) -> int:
        """As `Decoder` has it, with hotwords that are not the model's own."""
        return super().state_bytes + self._own_bytes

    def _listening_for(self, phrases: Sequence[str], boost: float) -> Automaton:
        settings, vocabulary = self.settings, Vocabulary(self.settings)
        index = {symbol: i for i, symbol in enumerate(settings.symbols) if i not in settings.untold}
        read = [vocabulary.read(phrase) for phrase in phrases]
        for phrase, said in zip(phrases, read, strict=True):
            if not said or any(symbol not in index for symbol in said):
                raise InputError(f"hotword {phrase!r} cannot be said in the model's symbols: leave it out")
        space = index.get(" ")
        most = min(MAX_HOTWORD_SYMBOLS, MAX_HOTWORD_SCORES // len(settings.symbols))
        if sum(len(said) + 1 for said in read) > most:
            raise InputError(f"hotwords of more than {most} symbols together are too many: give fewer")
        return hotwords([[index[symbol] for symbol in said] for said in read], len(settings.symbols), boost, space)

    def _events(self, state: CtcBeamState, decided: F64) -> list[Event]:
        events = []
        for index, frame, output in decided.tolist():
            state.latest = max(state.latest, int(frame))
            if int(index) in self._untold:
                continue
            name = self.settings.symbols[int(index)]
            events.append(Event("symbol", state.latest, self.time_ms(state.latest), name, int(index), output))
        return events


def _language(settings: CtcBeam, scores: F32, contexts: F32) -> Automaton:
    whole = (contexts == np.floor(contexts)) & (contexts >= 0) & (contexts < settings.number_of_contexts)
    if not whole.all():
        context, symbol = np.argwhere(~whole)[0].tolist()
        raise BadModelFileError(
            f"decoder: contexts[{context}, {symbol}] is {contexts[context, symbol]:g}, no whole number from 0 to "
            f"{settings.number_of_contexts - 1}"
        )
    factors = exp(np.float32(settings.language_weight) * scores + np.float32(settings.insertion_bonus))
    if not np.isfinite(factors).all():
        raise BadModelFileError("decoder: scores times language_weight are too large: logarithms are 0 at most")
    return Automaton(factors, contexts.astype(np.uint16))
