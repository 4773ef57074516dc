"""Transcripts as people write them, as the symbols that a model would give: case, punctuation and numerals aside."""

from __future__ import annotations

import unicodedata
from collections.abc import Iterator, Sequence

from ostinato.model.decoders import CtcSymbols

NUMERALS = ("zero", "one", "two", "three", "four", "five", "six", "seven", "eight", "nine")
"""What the digits are called."""
SPOKEN_ZERO = ("oh", "o")
"""How zero is read in strings of digits ("five oh five"): zero, for models that have no such word."""


class Vocabulary:
    """What a model can say, and how people write that.

    Case, accents written in two ways and punctuation do not matter. A numeral that is no symbol is read digit by
    digit: "555", "5-5-5" and "five five FIVE." are the same to a model that says "five"; "five" is "5" to one that
    says "5". Where a model's separator is empty, its symbols are pieces of words, and characters are compared.
    """

    def __init__(self, settings: CtcSymbols | None = None) -> None:
        """``settings`` of the model's decoder. None: the model is not known, and every word counts as one it knows;
        its words must then be `read` as the transcript is."""
        symbols = () if settings is None else [s for i, s in enumerate(settings.symbols) if i not in settings.untold]
        self.characters = settings is not None and settings.separator == ""
        """Whether symbols are compared character by character."""
        if self.characters:
            symbols = sorted({character for symbol in symbols for character in symbol})
        self._any = settings is None
        self._symbols = {_folded(symbol): symbol for symbol in symbols}
        for digit, name in enumerate(NUMERALS):
            for written, other in ((name, str(digit)), (str(digit), name)):
                if other in self._symbols:
                    self._symbols.setdefault(written, self._symbols[other])
        for written in SPOKEN_ZERO:
            if self._any or "zero" in self._symbols:
                self._symbols.setdefault(written, self._symbols.get("zero", "zero"))

    def read(self, text: str) -> list[str]:
        """The symbols that a transcript says. Words that are none of the model's stay, in small letters: they were
        said, so not to hear them is an error. `unknown` finds them."""
        if self.characters:
            return list(self._read_characters(_folded(text)))
        return [symbol for word in _folded(text).split() for symbol in self._read_word(word)]

    def heard(self, symbols: Sequence[str]) -> list[str]:
        """What a model gave, to be compared with what `read` gives."""
        return list("".join(symbols)) if self.characters else list(symbols)

    def unknown(self, said: Sequence[str]) -> list[str]:
        """Those of the symbols that `read` found that the model does not have, each once."""
        known = set(self._symbols.values())
        return [] if self._any else list(dict.fromkeys(symbol for symbol in said if symbol not in known))

    def _read_word(self, word: str) -> Iterator[str]:
        for whole in (word, word.strip("".join(filter(_is_punctuation, word)))):
            if whole in self._symbols:
                yield self._symbols[whole]
                return
        for part in "".join(_spaced(word)).split():
            if part in self._symbols:
                yield self._symbols[part]
            elif part.isdecimal():
                yield self._digit(part)
            else:
                yield part

    def _read_characters(self, text: str) -> Iterator[str]:
        spelled = "".join(
            f" {self._digit(c)} " if c.isdecimal() and c not in self._symbols else c
            for c in text
            if c in self._symbols or not _is_punctuation(c)
        )
        for character in " ".join(spelled.split()):
            if character != " " or " " in self._symbols:
                yield self._symbols.get(character, character)

    def _digit(self, digit: str) -> str:
        value = unicodedata.decimal(digit)
        return NUMERALS[value] if self.characters else self._symbols.get(str(value), NUMERALS[value])


def _folded(text: str) -> str:
    """In small letters, composed, without marks that are not seen (byte order mark, soft hyphen)."""
    small = unicodedata.normalize("NFKC", unicodedata.normalize("NFKC", text).lower()).replace("’", "'")
    return "".join(character for character in small if unicodedata.category(character) != "Cf")


def _is_punctuation(character: str) -> bool:
    return unicodedata.category(character)[0] in "PSC" and not character.isspace()


def _spaced(word: str) -> Iterator[str]:
    """The characters of a word: letters, apostrophes among them; each digit apart; for punctuation a space."""
    for i, character in enumerate(word):
        if character.isdecimal():
            yield f" {character} "
        elif not _is_punctuation(character):
            yield character
        else:
            within = 0 < i < len(word) - 1 and word[i - 1].isalpha() and word[i + 1].isalpha()
            yield character if character == "'" and within else " "
