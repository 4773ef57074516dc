"""Where each word of a recording is spoken, and which of the words heard is which of those: latencies count from the
end of a word in the recording, the same for every model.

Times stand beside a recording, in NAME.words.tsv, a word a line, as Audacity exports labels:

    start <tab> end <tab> word          seconds since the first sample
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from ostinato.errors import InputError
from ostinato.pipeline.score import align
from ostinato.pipeline.transcript import Vocabulary

SUFFIX = ".words.tsv"
MAX_BYTES = 1 << 20
"""The longest file that is read: some hours of speech."""
FAR_MS = 10_000.0
"""What is farther away from a word than this is as far as anything."""


@dataclass(frozen=True)
class Word:
    """A word of the recording: where it starts and ends, in ms since the first sample."""

    text: str
    start_ms: float
    end_ms: float


def read_word_times(recording: Path, seconds: float, transcript: str | None) -> tuple[Word, ...] | None:
    """The words' times that are given with a recording of that many seconds; None if there is no such file.

    Words ascend and do not overlap; they are those of ``transcript``, if that is given, as `Vocabulary` reads both.
    Raises InputError for anything else, naming the file and the line.
    """
    path = recording.with_suffix(SUFFIX)
    try:
        with path.open("rb") as file:
            raw = file.read(MAX_BYTES + 1)
    except FileNotFoundError:
        return None
    if len(raw) > MAX_BYTES:
        raise InputError(f"{path} is longer than {MAX_BYTES >> 20} MB: times of words are a line each")
    try:
        lines = raw.decode("utf-8-sig").splitlines()
    except UnicodeDecodeError as error:
        raise InputError(f"{path} is not UTF-8 (byte {error.start}): save it as UTF-8") from None
    words: list[Word] = []
    for number, line in enumerate(lines, 1):
        # Audacity puts the frequencies of a label, if it has any, into a line of their own.
        if line.strip() and not line.startswith("\\"):
            words.append(_word(line, f"{path}, line {number}", words[-1].end_ms if words else 0.0, 1e3 * seconds))
    if transcript is not None:
        known = Vocabulary()
        there, said = (
            [symbol for text in texts for symbol in known.read(text)]
            for texts in ([word.text for word in words], [transcript])
        )
        if there != said:
            raise InputError(f"{path} has other words than the transcript: {_difference(there, said)}")
    return tuple(words)


def _word(line: str, where: str, earliest_ms: float, latest_ms: float) -> Word:
    fields = line.split("\t")
    if len(fields) != 3 or len(fields[2].split()) != 1:
        raise InputError(f"{where}: {line!r} is not a start, an end and one word, with tabs between them")
    try:
        start_ms, end_ms = (1e3 * float(field) for field in fields[:2])
    except ValueError:
        raise InputError(f"{where}: {fields[0]!r} and {fields[1]!r} are not both numbers of seconds") from None
    if not (math.isfinite(start_ms) and math.isfinite(end_ms) and 0 <= start_ms < end_ms):
        raise InputError(f"{where}: a word must start before it ends, at 0 s or later")
    if start_ms < earliest_ms - 1e-6:
        raise InputError(f"{where}: {fields[2].strip()!r} starts before the word above it has ended")
    if end_ms > latest_ms + 1:
        raise InputError(f"{where}: {fields[2].strip()!r} ends after the recording, which has {latest_ms / 1e3:g} s")
    return Word(fields[2].strip(), start_ms, end_ms)


def _difference(there: Sequence[str], said: Sequence[str]) -> str:
    for number, (word, wanted) in enumerate(zip(there, said, strict=False), 1):
        if word != wanted:
            return f"word {number} is {word!r} there and {wanted!r} in the transcript"
    return f"{len(there)} there, {len(said)} in the transcript"


def matched(
    said: Sequence[str], places_ms: Sequence[tuple[float, float]] | None, heard: Sequence[str], at_ms: Sequence[float]
) -> list[int | None]:
    """For each of the words ``heard``, the number of the word of ``said`` that it is; None for a wrong one.

    They are aligned with the fewest errors. Of several such alignments, as there are where a word is repeated, it is
    the one whose words were decided (``at_ms``) nearest to where they are said (``places_ms``: start and end), if
    that is known.
    """
    away = None if places_ms is None else lambda i, j: min(_distance(places_ms[i], at_ms[j]) / FAR_MS, 1.0)
    found: list[int | None] = []
    number = 0
    for word, text in align(said, heard, away):
        if text is not None:
            found.append(number if word == text else None)
        number += word is not None
    return found


def _distance(place_ms: tuple[float, float], at_ms: float) -> float:
    """How far ``at_ms`` lies outside of a place, ms."""
    return max(place_ms[0] - at_ms, at_ms - place_ms[1], 0.0)
