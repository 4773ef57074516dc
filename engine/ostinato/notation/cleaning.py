"""ABC as people write it, made what `reader` reads: one way for each thing, and nothing that a melody can do without.

Left out are titles and remarks, chord symbols, decorations, slurs, beams and grace notes. Broken rhythm (a>b) becomes
lengths, a chord its highest note, a tie that joins different notes a slur. A tune that changes its key or metre, or
has several voices, is refused.
"""

from __future__ import annotations

import re
from fractions import Fraction

from ostinato.errors import InputError
from ostinato.notation.bars import DIVIDING
from ostinato.notation.keys import Key
from ostinato.notation.reader import MAX_CHARACTERS, metre_of, tokens, unit_of
from ostinato.notation.tune import Bar, Note, Rest, Tune, Tuplet, element, token

_REMOVED = re.compile(
    r'"[^"\n]*"|\{[^}\n]*\}|![^!\n]*!|\+[a-z.]+\+|[`~.!HKLMOPRSTUkuv\\$*\]]|\((?!\d)|\)|y|\[[A-Z]:[^\]]*\]'
)
_CHORD = re.compile(r"\[([^\]|:\s]*[A-Ga-g][^\]|:\s]*)\](\d*/*\d*)")
_TUPLET = re.compile(r"\((\d)(?::(\d?)(?::(\d?))?)?")
_PIECES = re.compile(
    r"(?P<space>\s+)|(?P<bar>:*\|+[\]:]*|::+)\s*(?P<ending>\[?[12](?![\d/]))?|\[(?P<alone>[12])"
    r"|(?P<tuplet>\([2-9])|(?P<broken><+|>+)"
    r"|(?P<note>(?:\^\^|\^|=|__|_)?[A-Ga-gzx][,']*(?:\d+)?(?:/\d*)*)|(?P<tie>-)"
)


def title_of(abc: str) -> str:
    """The first title of a tune, "" if it has none."""
    found = re.search(r"^T:[ \t]*(.*)$", abc, re.MULTILINE)
    return found[1].strip() if found else ""


def cleaned(abc: str) -> Tune:
    """A tune as it was written, in canonical form. Raises InputError for what is no single melody."""
    if len(abc) > MAX_CHARACTERS:
        raise InputError(f"the tune has {len(abc)} characters: {MAX_CHARACTERS} at most")
    fields: dict[str, str] = {}
    lines: list[str] = []
    for raw in abc.splitlines():
        line = raw.split("%", 1)[0].strip()
        if found := re.match(r"([A-Za-z]):(?!\|)(.*)", line):
            letter, value = found[1], found[2].strip()
            if letter in "MLK" and lines and fields.get(letter) != value:
                raise InputError(f"{letter}: changes within the tune")
            if letter == "V":
                raise InputError("there are several voices")
            if letter in "MLK":
                fields[letter] = value
        elif line and "K" in fields:
            lines.append(line)
    if "M" not in fields or "K" not in fields:
        raise InputError("fields M: and K: are wanted")
    metre = metre_of(fields["M"])
    unit = unit_of(fields.get("L"), metre)
    key = Key.of(re.split(r"\s+(?=clef|bass|treble|transpose)", fields["K"])[0])
    return Tune(metre, unit, key, tuple(_lines(_tidied(_body(" ".join(lines))))))


def _body(text: str) -> list[str]:
    """Tokens of notes, rests, tuplets, endings, and bar lines as they are; lengths with broken rhythm in them."""
    if re.search(r"\[[MLKVPQ]:", text):
        raise InputError("a field changes within a line")
    text = _CHORD.sub(_highest, text)
    text = re.sub(r"\[(?![12])", "", text)
    text = _TUPLET.sub(_plain, _REMOVED.sub(" ", text))
    found: list[str] = []
    broken, at = "", 0
    while at < len(text):
        match = _PIECES.match(text, at)
        if match is None:
            raise InputError(f"{text[at : at + 8]!r} is not understood")
        at = match.end()
        kind = match.lastgroup
        if kind == "note":
            (written,) = tokens(match["note"].replace("x", "z"))
            if broken:
                previous = next((i for i in reversed(range(len(found))) if _sounds(found[i])), None)
                if previous is None or found[previous:] != [found[previous]]:
                    raise InputError("broken rhythm without a note before it")
                short = Fraction(1, 2 ** len(broken))
                factors = (2 - short, short) if broken[0] == ">" else (short, 2 - short)
                found[previous], written = (
                    _times(each, factor) for each, factor in zip((found[previous], written), factors, strict=True)
                )
                broken = ""
            found.append(written)
        elif kind == "broken":
            broken = match["broken"]
        elif kind == "tie":
            if found and isinstance(element(found[-1]), Note):
                found[-1] = token(element(found[-1])._replace(tied=True))  # type: ignore[arg-type, call-arg]
        elif kind in ("bar", "ending"):
            found.append(_line(match["bar"]))
            if match["ending"]:
                found.append(f"[{match['ending'][-1]}")
        elif kind == "alone":
            found.append(f"[{match['alone']}")
        elif kind == "tuplet":
            found.append(match["tuplet"])
    if broken:
        raise InputError("broken rhythm without a note behind it")
    return found


def _sounds(written: str) -> bool:
    return isinstance(element(written), Note | Rest)


def _highest(found: re.Match[str]) -> str:
    """A chord's highest note, with its length."""
    notes = [each for each in tokens(re.sub(r"[^A-Ga-g,'/\d^_=]", "", found[1])) if _sounds(each)]
    best = max(notes, key=lambda each: element(each).step)  # type: ignore[union-attr]
    return best + (found[2] if found[2] else "")


def _plain(found: re.Match[str]) -> str:
    """A tuplet without the settings that are the usual ones."""
    count, time, notes = found.groups()
    of = element(f"({count}")
    assert isinstance(of, Tuplet)
    if time not in (None, "", str(of.time)) or notes not in (None, "", count):
        raise InputError(f"tuplet {found[0]!r} is not a usual one")
    return f"({count}"


def _times(written: str, factor: Fraction) -> str:
    of = element(written)
    assert isinstance(of, Note | Rest)
    return token(of._replace(length=of.length * factor))


def _line(written: str) -> str:
    """A bar line in the one way."""
    ends, begins = written.startswith(":"), written.endswith(":")
    if ends or begins:
        return "::" if ends and begins else ":|" if ends else "|:"
    return "|" if written == "|" else "||"


def _tidied(body: list[str]) -> list[str]:
    """Ties between one pitch only; bar lines with nothing between them as one."""
    found: list[str] = []
    for place, each in enumerate(body):
        of = element(each)
        if isinstance(of, Note) and of.tied:
            behind = next((n for n in map(element, body[place + 1 :]) if isinstance(n, Note | Rest)), None)
            if not isinstance(behind, Note) or behind.step != of.step:
                each = token(of._replace(tied=False))
        if isinstance(of, Bar) and found and isinstance(element(found[-1]), Bar):
            found[-1] = _joined(found[-1], each)
            continue
        found.append(each)
    while found and found[0] in ("|", "||"):
        del found[0]
    return found


def _joined(one: str, other: str) -> str:
    ends = one in (":|", "::") or other in (":|", "::")
    begins = one in ("|:", "::") or other in ("|:", "::")
    if ends or begins:
        return "::" if ends and begins else ":|" if ends else "|:"
    return "||" if "||" in (one, other) else "|"


def _lines(body: list[str]) -> list[str]:
    """Each repeated part with both of its signs, and the tune's end as such."""
    starts = [-1]  # of the parts: places of the bar lines before them
    opened = False
    found = list(body)
    for place, each in enumerate(found):
        if each in (":|", "::"):
            if not opened and starts[-1] >= 0 and found[starts[-1]] in (":|", "||"):
                before = found[starts[-1]]
                found[starts[-1]] = "::" if before == ":|" else "|:"
            elif not opened and starts[-1] < 0:
                found[0] = f"|: {found[0]}"
            opened = each == "::"
        elif each == "|:":
            opened = True
        ending = place + 1 < len(found) and found[place + 1] == "[2"
        if each in DIVIDING and not ending:
            starts.append(place)
        elif ending:
            opened = True  # the second ending belongs to the part
    if found and found[-1] in DIVIDING | {"|"}:
        found[-1] = ":|" if found[-1] in (":|", "::") else "|]"
    elif found:
        found.append("|]")
    return " ".join(found).split()
