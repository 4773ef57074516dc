"""`ostinato compare` of models of text and of each task: what was told when, how long it waited, what is right."""

from __future__ import annotations

import json
import subprocess
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
import typer
from engine_models import encoder_decoder

from ostinato.cli.compare import Wanted, compare
from ostinato.cli.compare_tasks import TEXTS, compare_texts
from ostinato.errors import InputError
from ostinato.sampling import Sampling
from ostinato.streaming import load
from ostinato.training.recipes.phonemes.dictionary import PHONEMES, part_of
from ostinato_bench import overview
from ostinato_bench.comparison import Comparison, ModelRun, Recording, Shown, Wait
from ostinato_bench.following import scored, scoring, written

Run = Callable[..., subprocess.CompletedProcess[str]]
TEXT = "I wanted to love this unbelievably drab film, and I did."


def no_report(doing: str) -> None:
    """Nobody is told."""


@pytest.mark.parametrize("name", ["sentiment-uni", "sentiment-bi"])
def test_scores_are_those_of_streams_and_come_when_they_can(name: str) -> None:
    model = load(name)
    head = scoring(model)
    assert head == "score"
    words = len(TEXT.split())
    for how, way in overview.ways_of_scores(model):
        followed = scored(way, TEXT)
        assert followed.pieces == tuple(TEXT.split()) and [told.of for told in followed.told] == [*range(words)]
        late = [told for told in followed.told if told.at_end]
        assert all(told.read == words for told in late)
        if name == "sentiment-uni":
            assert not late and [told.read for told in followed.told] == [*range(1, words + 1)]
        elif how == "at the end":
            assert len(late) == words
        else:
            assert way.wait is not None and 0 < len(late) <= way.wait.lookahead_ms + 1
            assert followed.told[0].read > 1
    # What it comes to is what the model itself says of the sentence.
    with model.stream(head="sentence") as stream:
        (event,) = [*stream.push(TEXT + " "), *stream.flush()]
    assert event.values is not None
    assert followed.answer == pytest.approx(float(event.values[0]), abs=1e-5)


def test_what_is_written_was_read_before() -> None:
    model = encoder_decoder(longest=20)
    sampling = Sampling(temperature=0)
    for wait in (1, 3, None):
        followed = written(model, wait, "badcab")
        with model.stream(wait_k=wait, sampling=sampling if wait else None) as stream:
            events = stream.push("badcab") + list(stream.generate(sampling))
        assert followed.answer == tuple(event.text for event in events if event.kind == "token")
        reads = [told.read for told in followed.told]
        assert reads == [6 if wait is None else min(wait + at, 6) for at in range(len(reads))]
    behind = [f"{wait} behind" for wait in (1, 3, 5, 7)]
    assert [how for how, _ in overview.ways_of_writing(model)] == [*behind, "at the end"]
    assert [how for how, _ in overview.ways_of_writing(load("phonemes-bi"))] == ["at the end"]


def test_what_is_right_is_counted() -> None:
    model, texts = load("sentiment-bi"), overview.pairs(TEXTS / "sentences.tsv")[:3]
    turned = [({"positive": "negative", "negative": "positive"}[sign], text) for sign, text in texts]
    rows, others = (overview.of_scores(model, each, no_report) for each in (texts, turned))
    assert [one.right + other.right for one, other in zip(rows, others, strict=True)] == [3] * len(rows)  # type: ignore[operator]
    waits, early = [row.waits for row in rows], [row.early for row in rows]
    assert waits == sorted(waits) and early == sorted(early, reverse=True) and early[-1] == 0  # type: ignore[type-var]
    lengths = [len(text.split()) for _, text in texts]
    assert rows[-1].first == np.mean(lengths)
    assert rows[-1].waits == np.mean([at for length in lengths for at in range(length)])
    phonemes = load("phonemes-bi")
    said = [" ".join(map(str, written(phonemes, None, word).answer)) for word in ("command", "despotism")]  # type: ignore[arg-type]
    words = [("command", f"K AA | {said[0]}"), ("despotism", said[1]), ("armed", "AA")]
    (row,) = overview.of_writing(phonemes, words, no_report)
    assert (row.right, row.count, row.early) == (2, 3, 0) and row.waits == pytest.approx(np.mean([8, 10, 6]))


def test_speech_has_the_same_columns() -> None:
    shown = (Shown("five", 300, 500, 450), Shown("one", 900, 1200, 950), Shown("two", 900, 1300, None))
    runs = (
        ModelRun("a", "main", "unidirectional", 0.0, shown, 1.0, 0.1, 100, 1 / 3, "five one two"),
        ModelRun("b", "main", "bidirectional", 420.0, shown[:1], 1.0, 0.1, 100, 2 / 3, "five", Wait(120, 300)),
        ModelRun("c", "main", "bidirectional", None, (), 1.0, 0.1, 100, 1.0, ""),
    )
    recording = Recording("x.wav", np.zeros(8000, np.float32), 8000, "five one six")
    rows = overview.of_speech(Comparison(recording, (), "", 20.0, runs, (), {}, ""))
    assert [(row.how, row.first, row.waits, row.right, row.count) for row in rows] == [
        ("as it is spoken", 500, 50, 2, 3),
        ("in blocks, 120 + 300 ms", 500, 50, 1, 3),
        ("at the end", None, None, 0, 3),
    ]
    assert rows[0].early == pytest.approx(1 / 3) and rows[2].early is None


def test_the_bundled_texts_were_learnt_by_nobody() -> None:
    words, sentences = (overview.pairs(TEXTS / f"{name}.tsv") for name in ("words", "sentences"))
    assert {part_of(word) for word, _ in words} == {"test"} and len(words) == 60
    assert all(set(said.split()) <= {*PHONEMES, "|"} for _, said in words)
    assert sorted(sign for sign, _ in sentences) == ["negative"] * 12 + ["positive"] * 12


def test_a_line_that_is_no_pair_is_named(tmp_path: Path) -> None:
    (tmp_path / "a.tsv").write_text("a\tb\nc\n")
    with pytest.raises(InputError, match=r"a\.tsv, line 2"):
        overview.pairs(tmp_path / "a.tsv")


def test_the_command(ostinato: Run, tmp_path: Path) -> None:
    figures, picture = tmp_path / "found.json", tmp_path / "found.png"
    done = ostinato("compare", "--task", "phonemes", "--json", figures, "--plot", picture)
    assert done.returncode == 0 and picture.read_bytes().startswith(b"\x89PNG"), done.stderr
    rows = json.loads(figures.read_text())["rows"]
    ways = [(row["model"], row["how"]) for row in rows]
    behind = [("phonemes-uni", f"{wait} behind") for wait in (1, 3, 5, 7)]
    assert ways == [*behind, ("phonemes-uni", "at the end"), ("phonemes-bi", "at the end")]
    right = [row["right"] for row in rows]
    assert right == sorted(right) and right[0] < right[1] < right[-2] < right[-1] < rows[0]["count"]
    assert f"{rows[-1]['right']} of 60" in done.stdout and "first answer after" in done.stdout
    told = ostinato("compare", "sentiment-uni", "sentiment-bi", "--text", "Not bad at all.")
    lines = [line.split() for line in told.stdout.splitlines() if line.strip()]
    assert [line[0] for line in lines if line[0] in ("Not", "bad", "at", "all.")] == ["Not", "bad", "at", "all."]
    assert len(next(line for line in lines if line[0] == "Not")) == 2, "the bidirectional one says nothing yet"
    assert lines[-1][:2] == ["(the", "end)"] and len(lines[-1]) == 2 + 4


@pytest.mark.parametrize(
    ("arguments", "says"),
    [
        (("--task", "sentimental"), "did you mean 'sentiment'"),
        (("digits-uni", "--task", "speech"), "leave all else out"),
        (("sentiment-uni", "--text", "a", "--connect", "tcp://127.0.0.1:1"), "--text is read here"),
        (("digits-uni", "--text", "one"), "--text is for models of text"),
    ],
)
def test_what_does_not_fit_is_wrong_usage(ostinato: Run, arguments: tuple[str, ...], says: str) -> None:
    done = ostinato("compare", *arguments)
    assert done.returncode == 2 and says in " ".join(done.stderr.split()), done.stderr


def test_models_of_different_tasks_are_refused() -> None:
    with pytest.raises(InputError, match="compare those of one kind"):
        compare_texts([load("sentiment-uni"), load("phonemes-bi")], (), None, None)
    wanted = Wanted(["sentiment-uni"], Path("a.wav"), None, None, None, None, None)
    with pytest.raises(typer.BadParameter, match="--file"):
        compare(wanted, None, None, None, None)
