"""The front end for text: characters or words to token ids."""

from __future__ import annotations

import unicodedata
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass

import numpy as np

from ostinato.errors import DtypeError, InputError, UnknownTokenError, check_text
from ostinato.model import front_ends as specified
from ostinato.pipeline import state as snapshots
from ostinato.pipeline.front_ends.front_end import F32, Place, kind_of
from ostinato.pipeline.pieces import each_part, joined

MAX_WORD = 1024
"""Longest word that is looked up, in characters; a longer one is unknown. Bounds the state of a stream that never
sends a space."""


@dataclass(slots=True)
class TokensState:
    """``pending``: the start of a word that the next push may go on with (at most MAX_WORD + 1 characters).
    ``begun``: whether the text has had a token, where it begins or ends with one of its own."""

    pending: str = ""
    begun: bool = False


class TokensFrontEnd:
    """Text in, token ids out: float32 [n, 1], the index of each token in the vocabulary.

    *Characters*: each code point is a token, so compose accents (NFC) before sending if the vocabulary is composed.
    *Words*: white space separates and is no token; a word is brought to NFC before it is looked up. It may be cut
    between two pushes; `flush` yields the last one. ``lowercase`` applies to each token as a whole.
    *Pieces*: of each such word the longest entry that it begins with, then the longest that goes on from there, and
    so on (longest match first, as Wu et al. 2016, https://arxiv.org/abs/1609.08144, divide words; a mark, where the
    vocabulary has one, stands before the word); characters that begin no entry are unknown, those beside each other
    one token.

    What a text begins and ends with is put around it; what comes after an end begins again.
    """

    frame_size = 1
    frame_ms = 1.0
    latency_ms = 0.0

    def __init__(self, settings: specified.Tokens, weights: Mapping[str, F32]) -> None:
        """``weights``: there are none."""
        self.settings = settings
        self._ids = {token: index for index, token in enumerate(settings.vocabulary)}
        self._longest = max(map(len, settings.vocabulary))

    def start(self, sample_rate: int | None = None) -> TokensState:
        """A fresh state. Raises InputError if a sample rate is given."""
        if sample_rate is not None:
            raise InputError("this model takes text, which has no sample rate: open the stream without one")
        return TokensState()

    def check(self, data: object) -> str:
        """``data`` itself. Raises DtypeError if it is no str, InputError for lone surrogates, UnknownTokenError for a
        character that the vocabulary lacks if it has no entry for unknown ones."""
        if not isinstance(data, str):
            raise DtypeError(f"this model takes text (str), not {kind_of(data)}: decode bytes as UTF-8 first")
        check_text(data)
        if self.settings.unknown is None:
            for character in self._characters(data):
                if character not in self._ids:
                    raise UnknownTokenError(
                        f"the vocabulary has neither {character!r} nor an entry for unknown characters: leave it out"
                    )
        return data

    def units(self, data: str) -> int:
        """How many characters the text holds (as many as tokens at least, lower-casing of a few letters apart)."""
        return len(data)

    def step(self, state: TokensState, data: str) -> F32:
        """The ids of the tokens that are complete, float32 [n, 1]."""
        if self.settings.unit == "character":
            return self._look_up(state, self._characters(data))
        text = state.pending + data
        words = text.split()
        state.pending = words.pop()[: MAX_WORD + 1] if words and not text[-1].isspace() else ""
        return self._look_up(state, self._parts(words))

    def step_many(
        self, states: Sequence[TokensState], data: Sequence[str], lengths: Sequence[int] | None = None
    ) -> tuple[F32, list[int]]:
        """`step` for many streams."""
        ids = [self.step(state, text) for state, text in zip(states, each_part(data, lengths), strict=True)]
        return joined(ids, 1), [len(each) for each in ids]

    def place(self, state: TokensState) -> Place | None:
        """A word may be pending."""
        return None

    def flush(self, state: TokensState) -> F32:
        """The ids of the word that no white space ended yet, and that of the end, float32 [n, 1]."""
        words = [state.pending] if state.pending else []
        state.pending = ""
        last = self._look_up(state, self._parts(words))
        if self.settings.end is None or not state.begun:
            return last
        state.begun = False
        return np.concatenate([last, np.array([[self.settings.end]], np.float32)])

    def restore(self, packed: object) -> TokensState:
        """The state that `state.pack` packed. Raises SnapshotError."""
        state = snapshots.unpack(TokensState, packed)
        bound = 0 if self.settings.unit == "character" else MAX_WORD + 1
        snapshots.expect(
            len(state.pending) <= bound and not any(map(str.isspace, state.pending)), "state.pending is no word"
        )
        snapshots.expect(self._bounded or not state.begun, "state.begun says what no text has")
        return state

    def _characters(self, data: str) -> Iterable[str]:
        # Character by character: str.lower of a text looks at neighbours (final sigma), so its result would depend on
        # chunking.
        return (part for character in data for part in character.lower()) if self.settings.lowercase else data

    def _parts(self, words: Iterable[str]) -> Iterable[str]:
        """The tokens of words as they came."""
        whole = map(self._word, words)
        return whole if self.settings.unit == "word" else (part for word in whole for part in self._pieces(word))

    def _pieces(self, word: str) -> Iterable[str]:
        at, known = 0, True
        word = word and self.settings.mark + word
        while at < len(word):
            ends = range(min(len(word), at + self._longest), at, -1)
            end = next((end for end in ends if word[at:end] in self._ids), 0)
            if end or known:
                yield word[at:end]  # "" is unknown
            known, at = bool(end), end or at + 1
        if not word:
            yield word

    def _word(self, word: str) -> str:
        if len(word) > MAX_WORD:
            return ""  # in no vocabulary: words are not empty
        composed = unicodedata.normalize("NFC", word)
        return composed.lower() if self.settings.lowercase else composed

    @property
    def _bounded(self) -> bool:
        """Whether there is anything around a text."""
        return self.settings.begin is not None or self.settings.end is not None

    def _look_up(self, state: TokensState, tokens: Iterable[str]) -> F32:
        unknown, begin = self.settings.unknown, self.settings.begin
        ids = [self._ids[token] if unknown is None else self._ids.get(token, unknown) for token in tokens]
        if ids and self._bounded and not state.begun:
            state.begun = True
            ids = ids if begin is None else [begin, *ids]
        return np.array(ids, np.float32).reshape(-1, 1)
