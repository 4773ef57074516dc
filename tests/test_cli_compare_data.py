"""`ostinato compare` on models of frames and tokens: what waiting buys, what it costs, and what the picture says."""

from __future__ import annotations

import json
import subprocess
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from own_models import LABELS, echo, random, write_csv

from ostinato.data import read
from ostinato.model import Network, Sequential, write
from ostinato.model.decoders import Crf, Labels, Outputs, SequenceClass
from ostinato.model.front_ends import Frames, Tokens
from ostinato.model.layers import Dense, Embedding, Gru, Softmax
from ostinato.pipeline.score import Errors
from ostinato.streaming import Model
from ostinato_bench.answers import judge_of, takes_data
from ostinato_bench.comparison import Wait
from ostinato_bench.conclusions import best_of, delay_told, telling
from ostinato_bench.data_comparison import DataComparison, Timing, WayRow, compare, timed, ways_of
from ostinato_bench.data_picture import draw
from ostinato_bench.recognition import Way
from ostinato_bench.scores import ErrorScore

Run = Callable[..., subprocess.CompletedProcess[str]]
TIMING = Timing(100, 12.5, {"p50": 0.1, "p90": 0.2, "p99": 0.3, "max": 0.4})


def refuse(path: Path, error: Exception) -> None:
    raise error


def test_bidirectional_models_are_tried_with_look_aheads_of_frames_and_whole() -> None:
    ways = ways_of([Model(random("uni")), Model(random("bi", "bidirectional"))])
    assert [str(way) for way in ways[:3]] == ["uni", "bi, 80 + 0 ms", "bi, 80 + 20 ms"], "frames of 20 ms"
    assert len(ways) == 10 and ways[-1].wait is None and ways[-1].delay_ms is None
    asked = ways_of([Model(random("bi", "bidirectional"))], None, 100.0, [60.0, 0.0, 60.0])
    assert [str(way) for way in asked] == ["bi, 100 + 0 ms", "bi, 100 + 60 ms", "bi"]


def test_what_waits_for_the_end_all_the_same_is_tried_whole_alone() -> None:
    """The class of a sequence, and labels that are chosen together."""
    layers = [Gru(4, direction="bidirectional"), Dense(3)]
    chosen = Model(Network.random(Sequential("chosen", Frames(3), layers, Crf(LABELS))))
    classes = Model(random("class", "bidirectional", SequenceClass(LABELS)))
    causal = Model(random("causal", "forward", SequenceClass(LABELS)))
    ways = ways_of([chosen, classes, causal])
    assert [str(way) for way in ways] == ["chosen", "class", "causal"]
    assert [way.delay_ms for way in ways] == [None] * 3
    assert takes_data(chosen) and judge_of(ways[0]).names == LABELS


def test_all_is_measured_and_a_file_that_cannot_be_used_is_not_timed(tmp_path: Path) -> None:
    for number in range(3):
        write_csv(tmp_path / f"{number}.csv", [0, 1, 2, 0] * 5, [0, 1, 1, 0] * 5)
    np.save(tmp_path / "wide.npy", np.zeros((5, 4)))
    told: list[str] = []
    ways = ways_of([Model(echo("echo", Labels(LABELS))), Model(random("bi", "bidirectional"))], None, None, [20.0])
    found = compare(ways, "data", sorted(tmp_path.iterdir()), lambda path, _: told.append(path.name))
    assert found is not None and told == ["wide.npy"]
    exact = found.rows[0]
    assert (exact.score.told, exact.delay_ms, exact.timing.frames) == ("15 of 60 frames wrong", 0.0, 60)
    assert exact.real_time_factor == pytest.approx(exact.timing.frame_us / 20e3)
    assert [row.delay_ms for row in found.rows] == [0.0, 80.0, None]
    said = found.as_dict()
    assert said["data"] == {"name": "data", "utterances": 3, "frames": 60, "frame_ms": 20.0}
    assert said["ways"][0]["accuracy"] == 0.75 and said["ways"][1]["block_ms"] == 80.0
    assert len(said["conclusions"]) == 2 and compare(ways, "none", [], refuse) is None


def test_each_answer_is_timed_when_it_comes(tmp_path: Path) -> None:
    """Of a causal model with each frame, in blocks with each block, of the whole at the end alone."""
    write_csv(tmp_path / "a.csv", [0] * 24, [0] * 24)
    counts: list[int] = []

    def percentiles(values: list[float]) -> dict[str, float | None]:
        counts.append(len(values))
        return {}

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr("ostinato_bench.data_comparison.percentiles", percentiles)
        bi = Model(random("bi", "bidirectional"))
        for way in (Way("uni", Model(random("uni"))), Way("bi", bi, Wait(80.0, 0.0)), Way("bi", bi)):
            assert timed(way, iter(read(tmp_path / "a.csv"))).frames == 24
    assert counts == [24, 6, 1]


def test_tokens_are_counted_and_not_paced(tmp_path: Path) -> None:
    layers = [Embedding(3), Gru(4, direction="bidirectional"), Dense(3), Softmax()]
    words = Tokens(("low", "mid", "?"), unit="word", unknown=2)
    model = Model(Network.random(Sequential("tags", words, layers, Labels(LABELS))))
    (tmp_path / "a.txt").write_text("low mid mid low\tlow mid mid low\nlow low\tlow low\n")
    found = compare(ways_of([model], None, None, [2.0]), "a.txt", [tmp_path / "a.txt"], refuse)
    assert found is not None and found.frame_ms is None and found.rows[0].real_time_factor is None
    assert (found.score.count, found.rows[0].timing.frames) == (6, 6)
    assert delay_told(found.rows[0]) == "5 tokens" and delay_told(found.rows[1]) == "the utterance"
    assert str(found.rows[0].way) == "tags, 4 + 2 tokens"


def row(name: str, wait: Wait | None, delay_ms: float | None, *wrong: int) -> WayRow:
    direction = "bidirectional" if delay_ms is None or wait else "forward"
    score = ErrorScore(tuple(Errors(50, each) for each in wrong), "frame")
    return WayRow(Way(name, Model(random(name, direction)), wait), score, delay_ms, TIMING, 0.001)


ROWS = (
    row("uni", None, 0.0, *[20] * 6),
    row("bi", Wait(80, 0), 60.0, *[15] * 6),
    row("bi", Wait(80, 100), 160.0, *[5] * 6),
    row("bi", Wait(80, 200), 260.0, *[5] * 6),
    row("bi", None, None, *[5] * 6),
)


def test_the_rows_that_say_most_are_the_first_as_good_or_the_best() -> None:
    assert telling(ROWS) == [ROWS[0], ROWS[2], ROWS[4]]
    never = (*ROWS[:2], row("bi", Wait(80, 100), 160.0, *[9] * 6), ROWS[4])
    assert telling(never) == [never[0], never[2], never[3]]


def test_in_words() -> None:
    said = best_of([(each.name, each.score) for each in (ROWS[0], ROWS[4])])
    assert said == (
        "bi has 30 of 300 frames wrong in 6 utterances. uni has 120 of 300 frames wrong, more than chance explains "
        "(p = 0.031, permutation test). Of other utterances like these, expect errors in 7.1 to 13.9 % (95 %)."
    )
    alike = best_of([("a", ROWS[0].score), ("b", ROWS[0].score)])
    assert "b has the same." in alike


def test_the_picture_names_what_matters(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    from matplotlib.figure import Figure
    from matplotlib.text import Text

    seen: list[str] = []
    save = Figure.savefig

    def saving(figure: Figure, path: Path) -> None:
        seen.clear()
        seen.extend(text.get_text() for text in figure.findobj(Text) if text.get_visible() and text.get_text())
        save(figure, path)

    monkeypatch.setattr(Figure, "savefig", saving)
    machine = {"processor": "a processor", "cores": 2}
    comparison = DataComparison("data", 20.0, ROWS, ("It is so.",), machine, "2026-11-26T00:00:00+00:00")
    draw(comparison, tmp_path / "all.png")
    assert "What waiting buys: frames wrong" in seen and "bi in blocks\n10.0 %" in seen and "uni\n40.0 %" in seen
    assert "data: 300 frames every 20 ms in 6 utterances; a processor, 2 cores; 26 November 2026" in seen
    assert "12.5 µs   0.001 of real time" in seen and "It is so." in seen and "bi in blocks, 160 ms" in seen
    draw(replace(comparison, rows=ROWS[:1], conclusions=()), tmp_path / "one.svg")
    assert "Frames wrong" in seen and not any(text.startswith("What waiting buys") for text in seen)
    assert all((tmp_path / name).stat().st_size > 5000 for name in ("all.png", "one.svg"))


def test_the_command(ostinato: Run, tmp_path: Path) -> None:
    data, figures, picture = tmp_path / "data", tmp_path / "figures.json", tmp_path / "picture.png"
    data.mkdir()
    for number in range(3):
        write_csv(data / f"{number}.csv", [0, 1, 2, 0] * 5, [0, 1, 1, 0] * 5)
    write(tmp_path / "numbers.safetensors", echo("numbers", Outputs()))
    write(tmp_path / "bi.safetensors", random("bi", "bidirectional", Outputs()))
    common = ("compare", "numbers", "bi", "--models", tmp_path)
    written = ("--json", figures, "--plot", picture)
    done = ostinato(*common, "--data", data, "--sweep-ms", "0,100", *written)
    assert done.returncode == 0, done.stderr
    found = json.loads(figures.read_text())
    assert [way["delay_ms"] for way in found["ways"]] == [0.0, 60.0, 160.0, None]
    assert found["ways"][0]["mse"] == 0.5 and picture.stat().st_size > 10_000
    assert "of real time" in done.stdout and "mean squared error" in done.stdout
    assert all(sentence in done.stdout for sentence in found["conclusions"])
    for wrong, says in (
        ((), "name a file or folder"),
        (("--data", data, "--transcript", "a"), "for models of speech"),
    ):
        refused = ostinato(*common, *wrong)
        assert refused.returncode == 2 and says in " ".join(refused.stderr.split()), refused.stderr
