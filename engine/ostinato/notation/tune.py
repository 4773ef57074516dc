"""What a tune is: its header, and tokens."""

from __future__ import annotations

import re
from dataclasses import dataclass
from fractions import Fraction
from functools import lru_cache
from typing import NamedTuple, TypeAlias

from ostinato.errors import InputError
from ostinato.notation.keys import Key

LETTERS = "CDEFGAB"
ALTERATIONS = {"": None, "__": -2, "_": -1, "=": 0, "^": 1, "^^": 2}
ACCIDENTALS = {alteration: sign for sign, alteration in ALTERATIONS.items()}
BARS = ("|", "||", "|]", "|:", ":|", "::")
ENDINGS = ("[1", "[2")
TUPLETS = {2: 3, 3: 2, 4: 3, 6: 2, 8: 3}
"""(p: p notes in the time of so many. 5, 7 and 9 depend on the metre and are not read."""

LONGEST = Fraction(64)
"""Of one note or rest, in units: more than any bar of these tunes has."""

_LENGTH = r"(?P<times>[1-9]\d?)?(?:/(?P<over>[1-9]\d?))?"
_NOTE = re.compile(rf"(?P<sign>\^\^|\^|=|__|_)?(?P<letter>[A-Ga-g])(?P<octave>,{{0,3}}|'{{0,3}}){_LENGTH}(?P<tie>-)?")
_REST = re.compile(rf"z{_LENGTH}")
_METRE = re.compile(r"([1-9]\d?)/(1|2|4|8|16)")


class Note(NamedTuple):
    """``step``: diatonic, 0 is C, 7 is c; ``alteration`` in semitones, None if no accidental is written; ``length``
    in units; ``tied`` to the next note."""

    step: int
    alteration: int | None
    length: Fraction
    tied: bool = False


class Rest(NamedTuple):
    """``length`` in units."""

    length: Fraction


class Bar(NamedTuple):
    """A bar line: one of BARS."""

    line: str


class Ending(NamedTuple):
    """The ending of a repeated part, for its first or second time."""

    number: int


class Tuplet(NamedTuple):
    """The next ``notes`` notes take the time of ``time``."""

    notes: int
    time: int


Element: TypeAlias = Note | Rest | Bar | Ending | Tuplet


@lru_cache(maxsize=65536)
def element(token: str) -> Element:
    """What a token stands for. Raises InputError if it is none."""
    if token in BARS:
        return Bar(token)
    if token in ENDINGS:
        return Ending(int(token[1]))
    if token.startswith("(") and token[1:] in map(str, TUPLETS):
        return Tuplet(int(token[1:]), TUPLETS[int(token[1:])])
    if (found := _REST.fullmatch(token)) and (length := _length(found)) <= LONGEST:
        return Rest(length)
    if (found := _NOTE.fullmatch(token)) and (length := _length(found)) <= LONGEST:
        octave = found["octave"].count("'") - found["octave"].count(",") + found["letter"].islower()
        step = LETTERS.index(found["letter"].upper()) + 7 * octave
        return Note(step, ALTERATIONS[found["sign"] or ""], length, bool(found["tie"]))
    raise InputError(
        f"{token!r} is no token of a tune: notes (^c'3/2), rests (z2), bar lines ({' '.join(BARS)}), endings ([1 [2) "
        f"and tuplets ((2 (3 (4 (6 (8) are"
    )


def _length(found: re.Match[str]) -> Fraction:
    return Fraction(int(found["times"] or 1), int(found["over"] or 1))


def token(of: Note | Rest) -> str:
    """How a note or rest is written."""
    length = ("" if of.length.numerator == 1 else str(of.length.numerator)) + (
        "" if of.length.denominator == 1 else f"/{of.length.denominator}"
    )
    if isinstance(of, Rest):
        return f"z{length}"
    letter, octave = LETTERS[of.step % 7], of.step // 7
    pitch = letter + "," * -octave if octave <= 0 else letter.lower() + "'" * (octave - 1)
    return f"{ACCIDENTALS[of.alteration]}{pitch}{length}{'-' * of.tied}"


@dataclass(frozen=True)
class Tune:
    """A melody. ``metre`` (3/4) and ``unit`` (1/8: the length of a note without one) are shares of a whole note,
    ``body`` its tokens. Raises InputError for what is none."""

    metre: str
    unit: Fraction
    key: Key
    body: tuple[str, ...]

    def __post_init__(self) -> None:
        bar_length(self.metre)
        for each in self.body:
            element(each)

    @property
    def bar(self) -> Fraction:
        """The length of a full bar in units."""
        return bar_length(self.metre) / self.unit

    @property
    def header(self) -> tuple[str, ...]:
        """Its fields as tokens."""
        return f"M:{self.metre}", f"L:{self.unit}", f"K:{self.key}"

    @property
    def tokens(self) -> tuple[str, ...]:
        """Header and body."""
        return self.header + self.body

    def elements(self) -> list[Element]:
        """What the body's tokens stand for."""
        return [element(each) for each in self.body]

    def abc(self, title: str = "", tempo: int | None = None) -> str:
        """As an ABC file has it, four bars a line. ``tempo``: beats a minute (`beat`)."""
        fields = ["X:1", f"T:{title}", *self.header[:2]]
        if tempo is not None:
            fields.append(f"Q:{beat(self.metre)}={tempo}")
        lines: list[list[str]] = [[]]
        bars = 0
        for each in self.body:
            lines[-1].append(each)
            bars += each in BARS and len(lines[-1]) > 1
            if each in BARS and bars >= 4:
                lines.append([])
                bars = 0
        body = [" ".join(line) for line in lines if line]
        return "\n".join([*fields, self.header[2], *body]) + "\n"


def bar_length(metre: str) -> Fraction:
    """Of a full bar, as a share of a whole note. Raises InputError if ``metre`` is none."""
    found = _METRE.fullmatch(metre)
    if not found:
        raise InputError(f"M:{metre} is no metre that is read here: a fraction such as 6/8, C or C| is")
    return Fraction(int(found[1]), int(found[2]))


def beat(metre: str) -> Fraction:
    """What one counts, as a share of a whole note: of 6/8 and the like a dotted quarter, of 2/2 a half."""
    count, over = map(int, metre.split("/"))
    return Fraction(3 if count % 3 == 0 and count > 3 else 1, over)
