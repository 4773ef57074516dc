"""Tables and consoles: nothing is left out, whatever the width; nothing is wrapped where nobody looks."""

from __future__ import annotations

import io
import re

import pytest
from rich.cells import cell_len
from rich.markup import escape

from ostinato_bench.terminal import Console, Table

ROWS = (
    ("digits-uni", "unidirectional", "0 ms", "104,843", "Spoken digits in English, one to many in a row, for a test"),
    ("digits-bi", "bidirectional", "the utterance", "104,843 int8", ""),
    ("a-name-that-is-longer-than-others-are-by-far", "unidirectional", "0 ms", "7", "[not a tag]"),
    ("日本語のモデル", "unusable", "", "", ""),
)  # fmt: skip
COLUMNS = ("model", "direction", "from spoken to shown, p90", "weights", "about")


def printed(table: Table, width: int | None) -> str:
    """On a terminal of that width; None: into a pipe."""
    file = io.StringIO()
    Console(file=file, force_terminal=width is not None, width=width or 80, color_system=None).print(table)
    return file.getvalue()


def made(rows: tuple[tuple[str, ...], ...] = ROWS) -> Table:
    table = Table(*COLUMNS, title="Models", right=("weights",))
    for row in rows:
        table.add_row(*map(escape, row))
    return table


@pytest.mark.parametrize("width", [None, *range(20, 170, 5)])
def test_no_value_is_lost_and_no_line_is_too_long(width: int | None) -> None:
    shown = printed(made(), width)
    together = re.sub(r"\s+", "", shown)
    for row in ROWS:
        for cell in row:
            if width is None or width >= 60:
                assert all(word in shown for word in cell.split()), (cell, shown)
            if width is not None and width < 60:  # there, what is longer than a line is folded
                assert re.sub(r"\s+", "", cell) in together, (cell, shown)
    for line in shown.splitlines():
        assert width is None or cell_len(line) <= width, shown
        assert line == line.rstrip(), "nothing stands behind the last word"


def test_into_a_pipe_a_row_is_one_line_with_the_key_first() -> None:
    lines = printed(made(), None).splitlines()
    assert lines[0] == "Models" and len(lines) == 2 + len(ROWS)
    assert [line.split("  ")[0] for line in lines[2:]] == [row[0] for row in ROWS]


def test_columns_stand_under_their_headings() -> None:
    lines = printed(made(ROWS[:2]), None).splitlines()
    for row, line in zip(ROWS[:2], lines[2:], strict=True):
        assert line.index(row[2]) == lines[1].index(COLUMNS[2])
        assert line.index(row[3]) + len(row[3]) == lines[1].index("weights") + len("weights")


@pytest.mark.parametrize("width", range(20, 170, 5))
def test_headings_are_never_broken_within_a_word(width: int) -> None:
    shown = printed(made(ROWS[:2]), width)
    for heading in COLUMNS[1:-1]:  # prose below its row needs none
        assert all(re.search(rf"(?<!\w){re.escape(word)}(?!\w)", shown) for word in heading.split()), shown


def test_what_does_not_fit_goes_below_then_into_blocks() -> None:
    wide, middle, narrow = (printed(made(ROWS[:2]), width).splitlines() for width in (100, 70, 45))
    assert any("0 ms" in line and "Spoken" in line for line in wide)
    assert any(line.startswith("  Spoken digits in English") for line in middle)
    assert "digits-uni" in narrow and any(re.fullmatch(r"  direction +unidirectional", line) for line in narrow)
    facts = Table("fact", "value", prose=("value",), headings=False)
    facts.add_row("file", "/a/long/path/" + "x" * 60)
    assert printed(facts, 30).replace("\n", "").replace(" ", "") == "file/a/long/path/" + "x" * 60
    assert "fact" not in printed(facts, 80)


def test_columns_move_together_before_rows_become_blocks() -> None:
    table = Table("folder", "recordings", "words", right=("recordings", "words"))
    table.add_row("all", "2", "12")
    assert printed(table, 25).splitlines() == ["folder  recordings  words", "all              2     12"]
    assert printed(table, 24).splitlines() == ["folder recordings words", "all             2    12"]
    assert printed(table, 22).splitlines() == ["all", "  recordings  2", "  words       12"]


def test_prose_is_wrapped_on_a_terminal_only() -> None:
    for terminal, lines in ((True, 10), (False, 1)):
        file = io.StringIO()
        Console(file=file, force_terminal=terminal, width=20, color_system=None).print("word " * 39 + "word")
        assert len(file.getvalue().splitlines()) == lines
