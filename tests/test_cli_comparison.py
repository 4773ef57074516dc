"""A comparison as data and as a picture, from figures made up here; test_cli_compare.py measures."""

from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from ostinato.pipeline.score import Errors
from ostinato_bench.comparison import (
    Comparison,
    DelayRow,
    LengthRow,
    ModelRun,
    Recording,
    Shown,
    Wait,
)
from ostinato_bench.comparison_picture import draw
from ostinato_bench.conclusions import as_good, conclusions
from ostinato_bench.word_times import Word

RATE = 8000


def rows(*errors: tuple[float | None, int], words: int = 12, recordings: int = 2) -> tuple[DelayRow, ...]:
    """A bidirectional model's rows: (delay, errors in all), divided evenly over the recordings."""
    return tuple(
        DelayRow(
            "bi",
            "bidirectional",
            None if delay is None else Wait(90.0, delay - 90.0),
            delay,
            tuple(
                Errors(words // recordings, substitutions=count // recordings + (number < count % recordings))
                for number in range(recordings)
            ),
        )
        for delay, count in errors
    )


def made_up(count: int = 4, shown: bool = True, swept: bool = True, name: str = "") -> Comparison:
    """Words that end at 0.9 s, 1.9 s, ...: uni decides 0.2 s before and shows them 0.02 s later; bi 0.4 s before."""
    words = tuple(
        Word(("one", "two", "three", "four")[index % 4], 1e3 * index + 500, 1e3 * index + 900)
        for index in range(count)
    )
    samples = np.zeros((count + 1) * RATE, np.float32)
    for index in range(count):
        samples[index * RATE + RATE // 2 : index * RATE + RATE] = 0.5
    end = len(samples) / RATE * 1e3
    causal = tuple(Shown(word.text, word.end_ms - 200, word.end_ms - 180, word.end_ms) for word in words)
    blocks = tuple(Shown(word.text, word.end_ms - 400, word.end_ms + 150, word.end_ms) for word in words)
    whole = tuple(Shown(word.text, word.end_ms - 400, end + 40, word.end_ms) for word in words)
    wait = Wait(120.0, 300.0)
    text = " ".join(word.text for word in words)
    uni = (DelayRow(f"uni{name}", "unidirectional", None, 0.0, (Errors(12, 3),)),)
    sweep = rows((90.0, 9), (390.0, 1), (None, 0))
    return Comparison(
        recording=Recording(f"{name}made up.wav", samples, RATE, text, words),
        words=words,
        words_from="given in made up.words.tsv",
        chunk_ms=20.0,
        models=(
            ModelRun(f"uni{name}", "main", "unidirectional", 0.0, causal, 12.0, 0.002, 2048, 0.0, text),
            ModelRun(f"bi{name}", "main", "bidirectional", 390.0, blocks, 20.0, 0.003, 4096, 0.25, text, wait),
            ModelRun(
                f"bi{name}", "main", "bidirectional", None, whole if shown else (), 40.0, 0.003, 4096, None, text
            ),
        ),
        by_length=tuple(
            LengthRow(f"{model}{name}", float(s), 2.0 * s, 3, how)
            for model, how in (("uni", None), ("bi", wait), ("bi", None))
            for s in (1, 10)
        ),
        machine={"processor": "made up", "cores": 2},
        date="2026-11-25T10:00:00+00:00",
        error_by_delay=uni + sweep if swept else (),
        conclusions=conclusions(sweep) if swept else (),
    )


def test_the_json_has_exactly_the_documented_fields() -> None:
    figures = json.loads(json.dumps(made_up().as_dict()))
    assert set(figures) == {
        "audio", "models", "by_length", "error_by_delay", "conclusions", "machine", "date"
    }  # fmt: skip
    assert set(figures["audio"]) == {"name", "seconds", "transcript", "words", "words_from"}
    assert figures["audio"]["words"][1] == {"text": "two", "start_at_ms": 1500, "end_at_ms": 1900}
    uni, blocks, bi = figures["models"]
    assert set(uni) == set(blocks) == set(bi) == {
        "name", "head", "direction", "delay_ms", "first_result_ms", "latency_ms", "decided_ms", "counted_words",
        "final_ms", "real_time_factor", "state_bytes", "error_rate", "text", "block_ms", "lookahead_ms", "words",
    }  # fmt: skip
    assert figures["by_length"][0] == {
        "name": "uni", "seconds": 1.0, "final_ms": 2.0, "repeats": 3, "block_ms": None, "lookahead_ms": None,
    }  # fmt: skip
    assert (blocks["block_ms"], blocks["lookahead_ms"], blocks["delay_ms"]) == (120, 300, 390)
    assert bi["delay_ms"] is None
    assert figures["error_by_delay"][2] == {
        "name": "bi", "direction": "bidirectional", "block_ms": 90.0, "lookahead_ms": 300.0, "delay_ms": 390.0,
        "error_rate": 0.0833, "interval_95": [0.014, 0.3684], "errors": 1, "symbols": 12, "recordings": 2,
        "substitutions": 1, "insertions": 0, "deletions": 0,
    }  # fmt: skip


def test_every_latency_counts_from_the_same_end_of_the_word_whoever_decided_when() -> None:
    uni, blocks, bi = made_up().as_dict()["models"]
    assert uni["first_result_ms"] == 720 and bi["first_result_ms"] == 5040
    assert uni["latency_ms"] == {"p50": -180, "p90": -180, "p99": -180, "max": -180}  # before the word had ended
    assert blocks["latency_ms"] == {"p50": 150, "p90": 150, "p99": 150, "max": 150}
    assert bi["latency_ms"] == {"p50": 2140, "p90": 4140, "p99": 4140, "max": 4140}
    assert uni["decided_ms"]["p50"] == -200 and blocks["decided_ms"] == bi["decided_ms"]
    assert bi["decided_ms"]["p50"] == -400
    assert [one["counted_words"] for one in (uni, blocks, bi)] == [4, 4, 4]
    assert uni["words"][0] == {
        "text": "one", "end_at_ms": 900, "decided_at_ms": 700, "shown_at_ms": 720, "decided_ms": -200,
        "latency_ms": -180,
    }  # fmt: skip


def test_a_wrong_word_has_no_end_and_counts_in_no_latency() -> None:
    run = made_up().models[0]
    wrong = replace(run, shown=(*run.shown[:3], Shown("six", 3700.0, 9000.0)))
    found = wrong.as_dict()
    assert found["words"][3]["end_at_ms"] is None and found["words"][3]["latency_ms"] is None
    assert found["counted_words"] == 3 and found["latency_ms"]["max"] == -180


def test_a_model_that_said_nothing_has_no_latency() -> None:
    silent = made_up(shown=False).as_dict()["models"][2]
    assert silent["first_result_ms"] is None and silent["counted_words"] == 0
    assert set(silent["latency_ms"].values()) == set(silent["decided_ms"].values()) == {None}


# --- the closing sentence ---------------------------------------------------------------------------------------


def test_it_says_from_which_delay_on_blocks_are_as_good_as_the_whole() -> None:
    (said,) = conclusions(rows((90.0, 9), (150.0, 1), (210.0, 2), (330.0, 1), (990.0, 0), (None, 1)))
    assert said.startswith("bi in blocks is as good as the whole utterance from 330 ms on: 1 of 12 words wrong")
    assert said.endswith(
        "But 12 words in 2 recordings prove little: the 95 % interval of the whole utterance's errors goes from "
        "1.4 to 36.8 %."
    )


def test_it_does_not_say_so_where_it_is_not_so() -> None:
    (said,) = conclusions(rows((90.0, 9), (390.0, 1), (990.0, 2), (None, 0)))
    assert "as good as the whole utterance at no delay that was tried: at best 1 of 12 words wrong at 390 ms" in said
    (one,) = conclusions(rows((390.0, 0), (None, 0), recordings=1))
    assert one.endswith("But 12 words in 1 recording prove little.")
    assert conclusions(rows((None, 0))) == conclusions(()) == ()


def test_many_words_are_not_said_to_prove_little_and_one_error_in_them_is_no_difference() -> None:
    many: dict[str, Any] = {"words": 4000, "recordings": 200}
    worse, same, whole = rows((330.0, 440), (390.0, 341), (None, 340), **many)
    assert as_good(same, whole) and not as_good(worse, whole)
    (said,) = conclusions((worse, same, whole))
    assert "from 390 ms on: 341 of 4,000 words wrong, with the whole utterance 340. In 4,000 words in" in said
    # The same small difference in the sum, here by turns, there never the other way: the latter is no chance.
    even = whole.by_recording

    def more(*extra: int) -> DelayRow:
        changed = [Errors(20, one.substitutions + plus) for one, plus in zip(even, extra, strict=False)]
        return replace(same, by_recording=(*changed, *even[len(extra) :]))

    assert as_good(more(*[1] * 60, *[-1] * 47), whole) and not as_good(more(*[1] * 17), whole)


# --- the picture ------------------------------------------------------------------------------------------------


@pytest.fixture
def texts(monkeypatch: pytest.MonkeyPatch) -> list[list[str]]:
    """All texts of each picture that is drawn."""
    from matplotlib.figure import Figure
    from matplotlib.text import Text

    found: list[list[str]] = []
    save = Figure.savefig

    def saved(figure: Figure, *arguments: Any, **options: Any) -> None:
        save(figure, *arguments, **options)
        found.append([text.get_text() for text in figure.findobj(Text) if text.get_text()])

    monkeypatch.setattr(Figure, "savefig", saved)
    return found


@pytest.mark.parametrize(
    ("count", "shown", "swept", "name"),
    [(4, True, True, ""), (1, True, False, ""), (60, True, True, "-of-a-long-name" * 9), (3, False, True, "a$b_")],
)
def test_the_picture_is_a_png_1600_pixels_wide(
    tmp_path: Path, count: int, shown: bool, swept: bool, name: str, texts: list[list[str]]
) -> None:
    path = tmp_path / "compare.png"
    draw(made_up(count, shown, swept, name), path)
    head = path.read_bytes()[:24]
    assert head.startswith(b"\x89PNG") and int.from_bytes(head[16:20], "big") == 1600
    about = next(text for text in texts[0] if "made up.wav" in text)
    assert "made up, 2 cores; 25 November 2026" in " ".join(about.split()), "whose, where, when"
    assert "given in made up.words.tsv" in about


def test_a_panel_is_drawn_where_there_is_something_to_compare(tmp_path: Path, texts: list[list[str]]) -> None:
    whole = made_up()
    one = replace(
        whole,
        models=(replace(whole.models[0], shown=whole.models[0].shown[:1]),),
        error_by_delay=whole.error_by_delay[:1],
        conclusions=(),
    )
    blind = replace(
        whole,
        words=(),
        words_from="not known: nothing was recognised",
        models=tuple(
            replace(run, shown=tuple(replace(each, end_at_ms=None) for each in run.shown)) for run in whole.models
        ),
    )
    for each in (whole, one, blind):
        draw(each, tmp_path / "compare.png")
    panels = ("From a word's end to shown", "Computing left after", "What waiting buys")
    seen = [[any(text.startswith(panel) for text in each) for panel in panels] for each in texts]
    assert seen == [[True, True, True], [False, True, False], [False, True, True]]
    assert any("as good as" in text for text in texts[0])
    assert not any("word ends" in text for text in texts[2]) and "decided" in texts[2]


def test_wrong_words_are_marked(tmp_path: Path, texts: list[list[str]]) -> None:
    found = made_up()
    run = replace(found.models[0], shown=(*found.models[0].shown[:3], Shown("six", 3700.0, 3720.0)))
    draw(replace(found, models=(run,)), tmp_path / "compare.png")
    assert "✗six" in texts[0] and "three" in texts[0] and "six" not in texts[0]
