"""How everything is printed: consoles and tables that leave no value out, however narrow a terminal is.

Into a pipe or a file a line has any length, so that ``| grep`` and ``| less -S`` see everything.
"""

from __future__ import annotations

import textwrap
from collections.abc import Iterable, Iterator, Sequence

import rich.console
from rich.console import ConsoleDimensions, ConsoleOptions
from rich.text import Text

UNBOUNDED = 1_000_000
GAP = 2
PROSE = 28
"""A column of prose that has less room than this goes below its row."""
BESIDE = 14
"""A fact that has less room than this beside its heading goes below it."""

NOTHING = Text()

Widths = Sequence[int | None]
"""Of columns; None: below the row."""


class Console(rich.console.Console):
    """Rich's, but wraps nothing unless a terminal is there to read it, and a broken pipe is an error like others."""

    @property  # type: ignore[misc]  # nobody sets it
    def size(self) -> ConsoleDimensions:
        """Of the terminal; elsewhere as wide as it takes."""
        return super().size if self.is_terminal else ConsoleDimensions(UNBOUNDED, 25)

    def on_broken_pipe(self) -> None:
        """Called while the error is handled: Rich would end the process here."""
        raise


class Table:
    """Rows of short facts; the first column is the key, those named in ``prose`` may wrap, those in ``right`` are
    aligned right. Cells are markup.

    What does not fit is made narrower step by step: less space between columns; headings over several lines, never
    broken within a word; prose in what room there is, or below its row; at last each row as a block of its own, a
    line for each fact.
    """

    def __init__(
        self,
        *columns: str,
        title: str | None = None,
        right: Iterable[str] = (),
        prose: Iterable[str] = ("about",),
        headings: bool = True,
    ) -> None:
        self._columns, self._title, self._headings = columns, title, headings
        self._right = [name in right for name in columns]
        self._prose = [name in prose for name in columns]
        self._rows: list[list[Text]] = []
        self._beside: list[Text] = []

    @property
    def row_count(self) -> int:
        """How many rows there are."""
        return len(self._rows)

    def add_row(self, *cells: str, beside: str = "") -> None:
        """A row; cells that are left out are empty. If it takes several lines, ``beside`` begins the others."""
        made = [Text.from_markup(cell) for cell in cells]
        self._rows.append(made + [Text()] * (len(self._columns) - len(made)))
        self._beside.append(Text.from_markup(beside))

    def __rich_console__(self, console: rich.console.Console, options: ConsoleOptions) -> Iterator[Text]:
        if self._title is not None:
            yield Text(self._title, style="bold")
        for widths in self._layouts(options.max_width):
            for gap in (GAP, 1):
                if _total(widths, gap) <= options.max_width:
                    yield from self._lines(console, widths, gap, options.max_width)
                    return
        yield from self._blocks(console, options.max_width)

    def _layouts(self, width: int) -> Iterator[Widths]:
        """From the one that needs most room to the one that needs least."""
        values = [max((_width(row[column]) for row in self._rows), default=0) for column in range(len(self._columns))]
        headings = self._columns if self._headings else [""] * len(self._columns)
        yield [max(value, _width(Text(name))) for value, name in zip(values, headings, strict=True)]
        short = [max(value, *map(len, name.split()), 0) for value, name in zip(values, headings, strict=True)]
        yield short
        below: Widths = [None if prose else least for least, prose in zip(short, self._prose, strict=True)]
        if None in below:
            room = (width - _total(below, GAP)) // below.count(None) - GAP
            if room >= PROSE:
                yield [min(most, room) if least is None else least for most, least in zip(short, below, strict=True)]
            if sum(least is not None for least in below) > 1:
                yield below

    def _lines(self, console: rich.console.Console, widths: Widths, gap: int, room: int) -> Iterator[Text]:
        if self._headings:
            headings = [
                Text(_broken(name, width or 0), style="bold")
                for name, width in zip(self._columns, widths, strict=True)
            ]
            yield from self._line(console, headings, widths, gap)
        for row, beside in zip(self._rows, self._beside, strict=True):
            yield from self._line(console, row, widths, gap, beside)
            for cell, width in zip(row, widths, strict=True):
                if width is None and cell:
                    yield from _indented(console, cell, room, GAP, beside)

    def _line(
        self, console: rich.console.Console, cells: Sequence[Text], widths: Widths, gap: int, beside: Text = NOTHING
    ) -> Iterator[Text]:
        """A row: as many lines as its highest cell has, with nothing behind the last word of a line."""
        columns = [
            (cell.wrap(console, max(1, width)), width, right)
            for cell, width, right in zip(cells, widths, self._right, strict=True)
            if width is not None
        ]
        for number in range(max(len(lines) for lines, _, _ in columns)):
            made = Text(no_wrap=True, overflow="ignore")
            for column, (lines, width, right) in enumerate(columns):
                part = lines[number] if number < len(lines) else Text() if column else beside.copy()
                part.rstrip()
                padding = Text(" " * (width - part.cell_len))
                made += (padding + part if right else part + padding) + Text(" " * gap)
            made.rstrip()
            yield made

    def _blocks(self, console: rich.console.Console, room: int) -> Iterator[Text]:
        names = [" ".join(name.split()) if self._headings else "" for name in self._columns]
        label = max(map(len, names[1:]), default=0) + 2 * GAP
        for row, beside in zip(self._rows, self._beside, strict=True):
            yield from _indented(console, row[0] or Text("–"), room, 0)
            for name, cell in zip(names[1:], row[1:], strict=True):
                if not cell:
                    continue
                heading = Text(" " * GAP + name, style="dim")
                if not name:
                    yield from _indented(console, cell, room, GAP, beside)
                elif room - label - beside.cell_len < min(BESIDE, _width(cell)):
                    yield from _indented(console, Text(name, style="dim"), room, GAP, beside)
                    yield from _indented(console, cell, room, 2 * GAP, beside)
                else:
                    for line in _indented(console, cell, room - beside.cell_len, label):
                        yield beside + heading + line[len(heading) :]
                        heading = Text()


def _indented(
    console: rich.console.Console, text: Text, room: int, by: int, beside: Text = NOTHING
) -> Iterator[Text]:
    for line in text.wrap(console, max(1, room - by - beside.cell_len)):
        line.rstrip()
        yield beside + Text(" " * by) + line


def _width(text: Text) -> int:
    return max((line.cell_len for line in text.split("\n")), default=0)


def _broken(heading: str, width: int) -> str:
    """The heading over several lines, broken between words only."""
    lines = (textwrap.wrap(line, max(1, width), break_long_words=False, break_on_hyphens=False) for line in
             heading.split("\n"))  # fmt: skip
    return "\n".join("\n".join(each) for each in lines)


def _total(widths: Widths, gap: int) -> int:
    """Of all columns that are not below, with what is between them."""
    beside = [width for width in widths if width is not None]
    return sum(beside) + gap * (len(beside) - 1)
