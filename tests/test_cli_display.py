"""`listen` on a terminal: speech flows on over short pauses, long ones begin a line, and nothing is lost."""

from __future__ import annotations

import io

import numpy as np
import pytest

from ostinato.cli import display, display_kinds
from ostinato.events import Event
from ostinato.model.decoders import DECODERS
from ostinato.protocol import HeadInfo, Unit
from ostinato_bench.terminal import Console


@pytest.fixture
def terminal(monkeypatch: pytest.MonkeyPatch) -> io.StringIO:
    """What a terminal of 30 columns is sent."""
    sent = io.StringIO()
    for module in (display, display_kinds):
        monkeypatch.setattr(module, "out", Console(file=sent, force_terminal=True, width=30, color_system=None))
    return sent


def symbol(text: str) -> Event:
    return Event("symbol", 0, 0.0, text=text)


def lines(shown: display.OnTerminal, terminal: io.StringIO) -> list[str]:
    """What stays on the terminal once the live lines are gone."""
    shown.close()
    rows: list[str] = []
    for part in terminal.getvalue().replace("\x1b[?25l", "").split("\n"):  # the cursor is hidden
        rows.append(part.rsplit("\x1b[2K", 1)[-1].strip("\r"))
    return [row for row in rows if row and "\x1b" not in row and "…" not in row and "listening" not in row]


def test_a_short_pause_ends_no_line_and_a_long_one_does(terminal: io.StringIO) -> None:
    shown = display.TextOnTerminal(" ", "sample")
    for at_ms, word in ((500, "one"), (900, "two"), (2500, "three"), (9000, "four")):
        shown.event(symbol(word), at_ms, None)
        shown.end_of_utterance()  # as a model does that waits for pauses
    kept = lines(shown, terminal)
    assert kept[-1] == "four" and "one two three" in kept


def test_a_full_line_is_broken_between_words(terminal: io.StringIO) -> None:
    shown = display.TextOnTerminal(" ", "sample")
    words = [f"word{number}" for number in range(12)] + ["日本語" * 3, "語本日" * 3]
    for number, word in enumerate(words):
        shown.event(symbol(word), 100.0 * number, None)
    kept = lines(shown, terminal)
    ended = [row for row in dict.fromkeys(kept) if not any(other.startswith(row + " ") for other in kept)]
    assert " ".join(ended).split() == words


def test_utterances_of_text_are_lines(terminal: io.StringIO) -> None:
    shown = display.TextOnTerminal("", "character")
    for letter in "ab":
        shown.event(symbol(letter), 0.0, None)
    shown.end_of_utterance()
    shown.event(symbol("c"), 0.0, None)
    kept = lines(shown, terminal)
    assert "ab" in kept and kept[-1] == "c"


def test_the_line_below_fits(terminal: io.StringIO) -> None:
    shown = display.TextOnTerminal(" ", "sample")
    shown.progress(display.Progress(waits=True, seconds=100.0, level_db=-20.0, buffered_s=3.0, overruns=2))
    shown.close()
    assert "2 overruns" in " ".join(terminal.getvalue().split())


# --- other kinds of results -------------------------------------------------------------------------------------


def live(shown: display.OnTerminal) -> list[str]:
    """What stands above the status, a line each."""
    plain = Console(file=io.StringIO(), width=100)
    with plain.capture() as caught:
        plain.print(shown.shown())
    return [line.rstrip() for line in caught.get().splitlines()]


def label(text: str, probability: float) -> Event:
    return Event("label", 0, 0.0, text=text, probability=probability)


def test_labels_have_bars_of_the_last_two_seconds_and_a_line_for_each_change(terminal: io.StringIO) -> None:
    shown = display_kinds.LabelsOnTerminal("frame")
    for at_ms, text, probability in ((500, "up", 0.9), (1000, "up", 0.7), (1500, "down", 0.8), (2000, "down", 1.0)):
        shown.event(label(text, probability), at_ms, None)
    assert live(shown) == [f"up   {'█' * 10}{'─' * 14}  40%", f"down {'█' * 11}{'─' * 13}  45%"]
    shown.event(label("down", 1.0), 2600, None)
    assert [line.split()[-1] for line in live(shown)] == ["18%", "70%"], "the first was over two seconds ago"
    shown.event(Event("end-of-speech", 0, 0.0), 2700, None)
    kept = lines(shown, terminal)
    assert kept == ["    0.50 s  up  90%", "    1.50 s  down  80%", "    2.70 s  (end of speech)"]


def test_of_many_labels_those_with_the_longest_bars_are_shown(terminal: io.StringIO) -> None:
    shown = display_kinds.LabelsOnTerminal("frame")
    for number in range(20):
        shown.event(label(f"label{number}", (number + 1) / 20), 10.0 * number, None)
    assert [line.split()[0] for line in live(shown)] == [f"label{number}" for number in range(8, 20)] + ["and"]
    shown.close()


def test_numbers_have_lines_of_blocks(terminal: io.StringIO) -> None:
    shown = display_kinds.NumbersOnTerminal("frame")
    for step in range(60):
        shown.event(Event("output", step, 0.0, values=np.array([step % 8, 3.0], np.float32)), 10.0 * step, None)
    first, second = live(shown)
    assert first == "0 3 ▃▄▅▆▇█▁▂▃▄ 0 to 7", "on a narrow terminal the last ten"
    assert set(second.split()[2]) == {"▁"} and second.endswith("3 to 3"), "what never changes"
    shown.close()
    assert "0 to 7" in terminal.getvalue().rsplit("\x1b[2K", 1)[-1], "the last values stay"


def test_moments_are_lines(terminal: io.StringIO) -> None:
    shown = display_kinds.MomentsOnTerminal("sample")
    shown.event(Event("peak", 0, 0.0, text="onset", probability=0.75), 1230.0, 3.0)
    assert live(shown) == ["onset 75% at 1.23 s"]
    assert lines(shown, terminal) == ["    1.23 s  onset  75%"]


def test_into_a_pipe_labels_are_a_line_for_each_change_but_those_of_text_each(
    capsys: pytest.CaptureFixture[str],
) -> None:
    plain = display.Plain("frame")
    for at_ms, text in ((10.0, "up"), (20.0, "up"), (30.0, "down")):
        plain.event(label(text, 0.5), at_ms, 2.0)
    plain.event(Event("output", 0, 0.0, values=np.array([1.5, -2.0], np.float32)), 40.0, None)
    assert capsys.readouterr().out.splitlines() == [
        "    0.01 s  up  50%  shown 2.0 ms later", "    0.03 s  down  50%  shown 2.0 ms later",
        "    0.04 s  1.500 -2.000",
    ]  # fmt: skip
    tagged = display.Plain("character")
    for at_ms in (1.0, 2.0):
        tagged.event(label("N", 0.5), at_ms, None)
    assert capsys.readouterr().out.splitlines() == ["       1  N", "       2  N"]


def test_into_a_pipe_audio_is_a_line_a_second(capsys: pytest.CaptureFixture[str]) -> None:
    plain = display.Plain("sample")
    for number in range(1, 261):
        plain.event(Event("audio", 0, 0.0, values=np.full(80, 0.1, np.float32)), 10.0 * number, None)
    wanted = ["    1.00 s  8000 samples, -20 dBFS", "    2.00 s  8000 samples, -20 dBFS"]
    assert capsys.readouterr().out.splitlines() == wanted
    plain.end_of_utterance()
    plain.close()
    assert capsys.readouterr().out.splitlines() == ["    2.60 s  4800 samples, -20 dBFS"]


def test_views_are_of_decoders_that_there_are() -> None:
    assert {*display_kinds.VIEWS} < {*DECODERS}


@pytest.mark.parametrize(
    ("decoder", "unit", "kind"),
    [
        ("labels", "frame", display_kinds.LabelsOnTerminal),
        ("labels", "sample", display_kinds.LabelsOnTerminal),
        ("labels", "character", display.TextOnTerminal),
        ("outputs", "sample", display_kinds.NumbersOnTerminal),
        ("peaks", "sample", display_kinds.MomentsOnTerminal),
        ("sequence-class", "frame", display_kinds.MomentsOnTerminal),
        ("ctc", "sample", display.TextOnTerminal),
        ("crf", "frame", display_kinds.LabelsOnTerminal),
        ("overlap-add", "sample", display_kinds.SoundOnTerminal),
    ],
)
def test_what_suits_a_head(
    terminal: io.StringIO, monkeypatch: pytest.MonkeyPatch, decoder: str, unit: Unit, kind: type
) -> None:
    head = HeadInfo("main", decoder)
    assert type(display_kinds.display(False, head, unit)) is display.Plain
    assert type(display_kinds.display(True, head, unit)) is display.Json
    monkeypatch.setattr("sys.stdout.isatty", lambda: True, raising=False)
    shown = display_kinds.display(False, head, unit)
    shown.close()
    assert type(shown) is kind


def test_starts_and_ends_of_speech_are_results_but_the_end_that_listen_asks_for_is_none() -> None:
    progress = display.Progress(waits=False)
    for kind in ("speech-start", "speech-end", "end-of-speech"):
        progress.heard(Event(kind, 0, 0.0), 1.0)  # type: ignore[arg-type]
    assert progress.results == len(progress.late_ms) == 2


@pytest.mark.parametrize(("results", "said"), [(0, "no results"), (1, "1 result"), (1200, "1,200 results")])
def test_the_line_at_the_end_counts_as_people_do(results: int, said: str) -> None:
    assert display.Progress(waits=False, results=results).summary() == said
