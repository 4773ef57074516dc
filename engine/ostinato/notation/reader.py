"""ABC, read strictly: what is not understood is refused, with its place."""

from __future__ import annotations

import re
from collections.abc import Sequence
from fractions import Fraction

from ostinato.errors import InputError
from ostinato.notation.keys import Key
from ostinato.notation.tune import Tune, bar_length, element

MAX_CHARACTERS = 100_000
"""Of one tune."""

_FIELD = re.compile(r"([A-Za-z]):\s*(.*)")
_SILENT = frozenset("ABCDFGHINORSTWXZQP")
"""Fields that say nothing of the notes."""
_TOKEN = re.compile(
    r"\s+|:\|\|?:|::|:\|\]?|\|\]|\|:|\|\||\||\[[12](?![-,])|\([2-9](?!:)"
    r"|(?:\^\^|\^|=|__|_)?[A-Ga-gz][,']*\d*(?:/\d*)*-?"
)
_LENGTH = re.compile(r"(.*?)(\d*)(/[\d/]*)?(-?)")


def read(text: str) -> Tune:
    """The one tune of a text: fields M, L and K, each on a line or between spaces, and its notes.

    Raises InputError for what is no melody in ABC as `ostinato.notation` knows it, with the place.
    """
    if len(text) > MAX_CHARACTERS:
        raise InputError(f"the tune has {len(text)} characters: {MAX_CHARACTERS} at most")
    fields, body = parts(text)
    metre = metre_of(fields.get("M", "4/4"))
    unit = unit_of(fields.get("L"), metre)
    if "K" not in fields:
        raise InputError("the tune has no key: a field such as K:D is wanted")
    return Tune(metre, unit, Key.of(fields["K"]), tuple(tokens(body)))


def begun(text: str) -> tuple[str, ...]:
    """The tokens of a tune's beginning, as `read` has them: fields, and what notes there are. Raises InputError."""
    return read(text).tokens


def is_abc(vocabulary: Sequence[str]) -> bool:
    """Whether a model's tokens are those of tunes, but for a few special ones."""
    if not any(token.startswith("K:") for token in vocabulary):
        return False
    return sum(map(_known, vocabulary)) >= 0.9 * len(vocabulary)


def _known(token: str) -> bool:
    if re.match("[MLK]:", token):
        return True
    try:
        element(token)
    except InputError:
        return False
    return True


def parts(text: str) -> tuple[dict[str, str], str]:
    """The header's fields by letter, and the body."""
    fields: dict[str, str] = {}
    body: list[str] = []
    for line in text.splitlines():
        line = line.split("%", 1)[0].strip()
        while found := re.match(r"([MLK]):\s*(\S+)(?:\s+|$)", line):  # as tokens, several on a line
            if body:
                raise InputError(f"{found[0].strip()} within the notes: tunes that change are not read")
            word = _FIELD.fullmatch(line)
            rest = line[found.end() :]
            if found[1] == "K" and word and not rest.startswith("|") and re.fullmatch(r"[A-Za-z]{3,}", rest):
                fields["K"], line = word[2], ""
            else:
                fields[found[1]], line = found[2], rest
        if (found := _FIELD.fullmatch(line)) and not line.startswith("|"):
            if found[1] not in _SILENT:
                raise InputError(f"field {found[1]}: is not read here")
        elif line:
            body.append(line)
    return fields, "\n".join(body)


def metre_of(text: str) -> str:
    """As a fraction."""
    metre = {"C": "4/4", "C|": "2/2"}.get(text.strip(), text.strip())
    bar_length(metre)
    return metre


def unit_of(text: str | None, metre: str) -> Fraction:
    """What L: says; without one 1/8, or 1/16 in metres below 3/4, as the standard has it."""
    if text is None:
        return Fraction(1, 16 if bar_length(metre) < Fraction(3, 4) else 8)
    if text.strip() not in ("1/1", "1", "1/2", "1/4", "1/8", "1/16", "1/32"):
        raise InputError(f"L:{text} is no unit length: 1/8, 1/16 or 1/4 are usual")
    return Fraction(text.strip())


def tokens(body: str) -> list[str]:
    """The tokens of notes, each written in one way. Raises InputError."""
    found: list[str] = []
    at, bars = 0, 1
    while at < len(body):
        match = _TOKEN.match(body, at)
        if match is None:
            near = body[at : at + 12].split("\n")[0]
            raise InputError(f"bar {bars}: {near!r} is not understood: notes, rests, bar lines, [1 [2 and (3 are")
        at = match.end()
        if not match[0].isspace():
            found.append(_written(match[0]))
            bars += match[0].strip() in ("|", "||", ":|", "::", "|:", "|]")
    return found


def _written(token: str) -> str:
    """In the one way that `tune.element` knows."""
    if token in (":||:", ":|:"):
        return "::"
    if token in (":|]",):
        return ":|"
    found = _LENGTH.fullmatch(token)
    if found is None or token[0] in "|:[(":
        return token
    length = Fraction(int(found[2] or 1))
    for part in re.findall(r"/(\d*)", found[3] or ""):
        if part.startswith("0"):
            raise InputError(f"{token!r} divides by nothing")
        length /= int(part or 2)
    shown = ("" if length.numerator == 1 else str(length.numerator)) + (
        "" if length.denominator == 1 else f"/{length.denominator}"
    )
    return f"{found[1]}{shown}{found[4]}"
