"""What was said and what models heard, word under word."""

from __future__ import annotations

from rich.text import Text

from ostinato.pipeline.score import align
from ostinato_bench.side_by_side import columns, side_by_side


def shown(said: str, *heard: str, width: int = 200) -> list[str]:
    alignments = [align(said.split(), each.split()) for each in heard]
    names = [f"model-{i}" for i in range(len(heard))]
    return [Text.from_markup(line).plain for line in side_by_side(names, alignments, width)]


def test_each_word_stands_below_the_one_it_was_heard_for() -> None:
    assert shown("five five zero one", "five zero nine", "five five two zero one six") == [
        "said     five  five  -      zero  one     -",
        "model-0  [-]   five  -      zero  [nine]  -",
        "model-1  five  five  [two]  zero  one     [six]",
    ]
    assert columns([align(["one"], ["two"])]) == [("one", ("two",))]
    assert columns([align([], ["two"]), align([], [])]) == [(None, ("two", None))]


def test_long_recordings_go_on_below_and_words_are_never_cut() -> None:
    lines = shown(" ".join(["seven"] * 12), " ".join(["seven"] * 11), width=40)
    assert all(len(line) <= 40 for line in lines) and len(lines) == 2 * 3
    assert sum(line.count("seven") for line in lines[::2]) == 12
    assert shown("extraordinary", "", width=10) == ["said     extraordinary", "model-0  [-]"]


def test_nothing_said_nothing_heard_brackets_and_wide_letters() -> None:
    assert shown("", "") == ["said", "model-0"]
    assert shown("", "[red]") == ["said     -", "model-0  [[red]]"]
    assert shown("五 one", "二 one") == ["said     五    one", "model-0  [二]  one"]


def test_models_that_say_it_in_other_words_come_one_below_the_other() -> None:
    lines = list(side_by_side(["a", "b"], [align(["5"], ["5"]), align(["five"], ["nine"])], 80))
    assert [Text.from_markup(line).plain for line in lines] == ["said  5", "a     5", "said  five", "b     [nine]"]
