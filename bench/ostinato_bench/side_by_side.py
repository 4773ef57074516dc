"""What was said in a recording and what models heard in it, word under word."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from itertools import groupby
from typing import TypeAlias

from rich.cells import cell_len
from rich.markup import escape

from ostinato.pipeline.score import Pair

Column: TypeAlias = tuple[str | None, tuple[str | None, ...]]
"""What was said, if anything was, and what each model heard there."""

GAP = 2
NOTHING = "-"


def columns(alignments: Sequence[Sequence[Pair[str]]]) -> list[Column]:
    """The alignments of several models with the same words as one: a column for each word said, and between these as
    many as hold what the models heard beyond."""
    heard_at, inserted_before = zip(*map(_by_word, alignments), strict=True)
    said = [word for word, _ in alignments[0] if word is not None]
    found: list[Column] = []
    for number in range(len(said) + 1):
        inserted = [each[number] for each in inserted_before]
        for place in range(max(map(len, inserted))):
            found.append((None, tuple(each[place] if place < len(each) else None for each in inserted)))
        if number < len(said):
            found.append((said[number], tuple(each[number] for each in heard_at)))
    return found


def side_by_side(names: Sequence[str], alignments: Sequence[Sequence[Pair[str]]], width: int) -> Iterator[str]:
    """Lines of markup, at most ``width`` wide where a word and its heading fit: what was said, and below it what each
    model heard. What is wrong is in brackets (and red), a dash in them is a word that is missing.

    Models whose words differ (one says "5", one "five") come one below the other.
    """
    pairs = zip(names, alignments, strict=True)
    for _, group in groupby(pairs, key=_words_said):
        called, each = zip(*group, strict=True)
        yield from _lines(["said", *called], columns(each), width)


def _words_said(pair: tuple[str, Sequence[Pair[str]]]) -> list[str]:
    return [said for said, _ in pair[1] if said is not None]


def _by_word(alignment: Sequence[Pair[str]]) -> tuple[list[str | None], list[list[str]]]:
    """For each word said, what was heard; and for each, and for the end, what was heard before it beyond that."""
    heard_at: list[str | None] = []
    inserted: list[list[str]] = [[]]
    for said, heard in alignment:
        if said is not None:
            heard_at.append(heard)
            inserted.append([])
        elif heard is not None:
            inserted[-1].append(heard)
    return heard_at, inserted


def _lines(headings: Sequence[str], table: Sequence[Column], width: int) -> Iterator[str]:
    label = max(map(cell_len, headings))
    cells = [[said or NOTHING, *(_shown(said, heard) for heard in each)] for said, each in table]
    room = 0
    line: list[tuple[Column, list[str], int]] = []
    for column, texts in zip(table, cells, strict=True):
        wide = max(map(cell_len, texts)) + GAP
        if line and room < wide:
            yield from _block(headings, label, line)
            line = []
        room = (room if line else width - label) - wide
        line.append((column, texts, wide))
    yield from _block(headings, label, line)


def _block(headings: Sequence[str], label: int, line: Sequence[tuple[Column, Sequence[str], int]]) -> Iterator[str]:
    for row, heading in enumerate(headings):
        made = f"[dim]{escape(heading)}[/]" + " " * (label - cell_len(heading))
        for (said, each), texts, wide in line:
            text = escape(texts[row])
            wrong = row and each[row - 1] != said
            made += (
                " " * GAP + (f"[bold red]{text}[/]" if wrong else text) + " " * (wide - GAP - cell_len(texts[row]))
            )
        yield made.rstrip()


def _shown(said: str | None, heard: str | None) -> str:
    if said == heard:
        return heard or NOTHING
    return f"[{heard or NOTHING}]"
