"""`listen` on a terminal: speech flows on over short pauses, long ones begin a line, and nothing is lost."""

from __future__ import annotations

import io

import pytest

from ostinato.cli import display
from ostinato.events import Event
from ostinato_bench.terminal import Console


@pytest.fixture
def terminal(monkeypatch: pytest.MonkeyPatch) -> io.StringIO:
    """What a terminal of 30 columns is sent."""
    sent = io.StringIO()
    monkeypatch.setattr(display, "out", Console(file=sent, force_terminal=True, width=30, color_system=None))
    return sent


def symbol(text: str) -> Event:
    return Event("symbol", 0, 0.0, text=text)


def lines(shown: display.OnTerminal, terminal: io.StringIO) -> list[str]:
    """What stays on the terminal once the live lines are gone."""
    shown.close()
    rows: list[str] = []
    for part in terminal.getvalue().split("\n"):
        rows.append(part.rsplit("\x1b[2K", 1)[-1].strip("\r"))
    return [row for row in rows if row and "\x1b" not in row and "…" not in row and "listening" not in row]


def test_a_short_pause_ends_no_line_and_a_long_one_does(terminal: io.StringIO) -> None:
    shown = display.OnTerminal(" ", audio=True)
    for at_ms, word in ((500, "one"), (900, "two"), (2500, "three"), (9000, "four")):
        shown.event(symbol(word), at_ms, None)
        shown.end_of_utterance()  # as a model does that waits for pauses
    kept = lines(shown, terminal)
    assert kept[-1] == "four" and "one two three" in kept


def test_a_full_line_is_broken_between_words(terminal: io.StringIO) -> None:
    shown = display.OnTerminal(" ", audio=True)
    words = [f"word{number}" for number in range(12)] + ["日本語" * 3, "語本日" * 3]
    for number, word in enumerate(words):
        shown.event(symbol(word), 100.0 * number, None)
    kept = lines(shown, terminal)
    ended = [row for row in dict.fromkeys(kept) if not any(other.startswith(row + " ") for other in kept)]
    assert " ".join(ended).split() == words


def test_utterances_of_text_are_lines(terminal: io.StringIO) -> None:
    shown = display.OnTerminal("", audio=False)
    for letter in "ab":
        shown.event(symbol(letter), 0.0, None)
    shown.end_of_utterance()
    shown.event(symbol("c"), 0.0, None)
    kept = lines(shown, terminal)
    assert "ab" in kept and kept[-1] == "c"


def test_the_line_below_fits(terminal: io.StringIO) -> None:
    shown = display.OnTerminal(" ", audio=True)
    shown.progress(display.Progress(waits=True, seconds=100.0, level_db=-20.0, buffered_s=3.0, overruns=2))
    shown.close()
    assert "2 overruns" in " ".join(terminal.getvalue().split())
