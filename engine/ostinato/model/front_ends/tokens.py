"""Text as token ids."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import ClassVar, Literal

from ostinato.errors import BadModelFileError
from ostinato.model.front_ends.front_end import FrontEnd
from ostinato.model.strict_json import LATER
from ostinato.model.wire import Wire


@dataclass(frozen=True)
class Tokens(FrontEnd):
    """Text to token ids: characters, words split at white space, or the pieces of such words. ``unknown`` is the
    index of the entry that stands for all others; None refuses them, which only characters can do: a word that is cut
    between two pushes is complete only once its first part has been accepted.

    ``begin`` and ``end`` are entries that a text begins and ends with, as the network learnt them: one comes before
    its first token, the other when it is flushed, or a generation begins. An empty text has neither.

    ``mark`` is put before each word that is divided into pieces, so that a piece which begins a word is another entry
    than the same piece within one (as Kudo and Richardson 2018, "SentencePiece", have it). Where it is a space,
    pieces joined are the text again.
    """

    vocabulary: tuple[str, ...]
    unit: Literal["character", "word", "piece"] = "character"
    unknown: int | None = None
    lowercase: bool = False
    begin: int | None = field(default=None, metadata=LATER)
    end: int | None = field(default=None, metadata=LATER)
    mark: str = field(default="", metadata=LATER)

    kind: ClassVar[str] = "tokens"
    counted_in: ClassVar[Literal["sample", "character", "frame"]] = "character"

    @property
    def wire(self) -> Wire:
        """Ids of the vocabulary."""
        return Wire(len(self.vocabulary), "id")

    @property
    def in_words(self) -> bool:
        """Whether a word's tokens are known once white space, or the end, has come."""
        return self.unit != "character"

    @property
    def frame_size(self) -> int:
        """1: the id."""
        return 1

    @property
    def frame_ms(self) -> float:
        """1: a token counts as 1 ms."""
        return 1.0

    def check(self) -> None:
        """A vocabulary without repetitions, with an entry for unknown words."""
        if len(set(self.vocabulary)) != len(self.vocabulary) or not self.vocabulary:
            raise BadModelFileError("front_end: the vocabulary is empty or names an entry twice")
        for name in ("unknown", "begin", "end"):
            token = getattr(self, name)
            if token is not None and not 0 <= token < len(self.vocabulary):
                raise BadModelFileError(f"front_end: {name} = {token} is outside the vocabulary")
        if self.mark and (self.unit != "piece" or self.mark not in self.vocabulary):
            raise BadModelFileError(
                f"front_end: mark {self.mark!r} is for pieces, and must be an entry: some words begin with no more"
            )
        if self.in_words and self.unknown is None:
            raise BadModelFileError(
                f"front_end: a {self.unit} vocabulary needs an entry for unknown words: add one such as '<unk>' and "
                "set `unknown` to its index"
            )
