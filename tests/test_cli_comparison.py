"""A comparison as data and as a picture, from figures made up here; test_cli_compare.py measures."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from ostinato_bench.comparison import (
    Comparison,
    DelayRow,
    LengthRow,
    ModelRun,
    Shown,
    Wait,
    of_length,
    percentiles,
    spoken_words,
)
from ostinato_bench.picture import draw

RATE = 8000


def made_up(count: int = 4, shown: bool = True, swept: bool = True) -> Comparison:
    words = [("one", "two", "three", "four")[index % 4] for index in range(count)]
    samples = np.zeros((count + 1) * RATE, np.float32)
    for index in range(count):
        samples[index * RATE + RATE // 2 : index * RATE + RATE] = 0.5
    spoken = [(index + 1) * 1000.0 for index in range(count)]
    end = len(samples) / RATE * 1e3
    causal = tuple(Shown(word, at, at + 30) for word, at in zip(words, spoken, strict=True))
    blocks = tuple(Shown(word, at, at + 400) for word, at in zip(words, spoken, strict=True))
    whole = tuple(Shown(word, at, end + 40) for word, at in zip(words, spoken, strict=True))
    wait = Wait(120.0, 300.0)
    text = " ".join(words)
    return Comparison(
        samples=samples,
        sample_rate=RATE,
        chunk_ms=20.0,
        transcript=text,
        models=(
            ModelRun("uni", "unidirectional", 0.0, causal, 12.0, 0.002, 2048, 0.0, text),
            ModelRun("bi", "bidirectional", 390.0, blocks, 20.0, 0.003, 4096, 0.25, text, wait),
            ModelRun("bi", "bidirectional", None, whole if shown else (), 40.0, 0.003, 4096, None, text),
        ),
        by_length=tuple(
            LengthRow(name, float(s), 2.0 * s, 3, how)
            for name, how in (("uni", None), ("bi", wait), ("bi", None))
            for s in (1, 10)
        ),
        machine={"processor": "made up"},
        error_by_delay=(
            DelayRow("uni", "unidirectional", None, 0.0, 3, 12, 2),
            DelayRow("bi", "bidirectional", Wait(120.0, 0.0), 90.0, 9, 12, 2),
            DelayRow("bi", "bidirectional", wait, 390.0, 1, 12, 2),
            DelayRow("bi", "bidirectional", None, None, 0, 12, 2),
        )
        if swept
        else (),
    )


def test_the_json_has_exactly_the_documented_fields() -> None:
    figures = json.loads(json.dumps(made_up().as_dict()))
    assert set(figures) == {"audio", "models", "by_length", "error_by_delay", "machine"}
    assert set(figures["audio"]) == {"seconds", "transcript"}
    uni, blocks, bi = figures["models"]
    assert set(uni) == set(blocks) == set(bi) == {
        "name", "direction", "delay_ms", "first_result_ms", "latency_ms", "final_ms", "real_time_factor",
        "state_bytes", "error_rate", "text", "block_ms", "lookahead_ms",
    }  # fmt: skip
    assert uni["first_result_ms"] == 1030 and uni["latency_ms"] == {"p50": 30, "p90": 30, "p99": 30}
    assert bi["delay_ms"] is None and bi["first_result_ms"] == 5040
    assert bi["latency_ms"] == {"p50": 2040, "p90": 4040, "p99": 4040}
    assert figures["by_length"][0] == {
        "name": "uni", "seconds": 1.0, "final_ms": 2.0, "repeats": 3, "block_ms": None, "lookahead_ms": None,
    }  # fmt: skip
    assert (blocks["block_ms"], blocks["lookahead_ms"], blocks["delay_ms"]) == (120, 300, 390)
    assert figures["error_by_delay"][2] == {
        "name": "bi", "direction": "bidirectional", "block_ms": 120.0, "lookahead_ms": 300.0, "delay_ms": 390.0,
        "error_rate": 0.0833, "errors": 1, "symbols": 12, "recordings": 2,
    }  # fmt: skip


def test_a_model_that_said_nothing_has_no_latency() -> None:
    silent = made_up(shown=False).as_dict()["models"][2]
    assert silent["first_result_ms"] is None and silent["latency_ms"] == {"p50": None, "p90": None, "p99": None}


@given(st.lists(st.floats(0, 1e6), min_size=1, max_size=300))
@settings(deadline=None, max_examples=50)
def test_percentiles_are_values_that_at_least_that_share_does_not_exceed(values: list[float]) -> None:
    for name, share in (("p50", 0.5), ("p90", 0.9), ("p99", 0.99)):
        found = percentiles(values)[name]
        assert found in values
        assert np.mean(np.array(values) <= found) >= share - 1e-9
        below = [value for value in values if value < found]
        assert len(below) / len(values) < share


def test_lengths_are_cut_or_repeated_from_the_start() -> None:
    samples = np.arange(5, dtype=np.float32)
    assert of_length(samples, 3).tolist() == [0, 1, 2]
    assert of_length(samples, 12).tolist() == [0, 1, 2, 3, 4, 0, 1, 2, 3, 4, 0, 1]


def test_words_are_placed_where_it_is_loud_if_their_number_fits() -> None:
    found = spoken_words(made_up().samples, RATE, "one two three four")
    assert [word for _, _, word in found] == ["one", "two", "three", "four"]
    for index, (start, end, _) in enumerate(found):
        assert start == pytest.approx(index + 0.5, abs=0.05) and end == pytest.approx(index + 1, abs=0.05)
    assert spoken_words(made_up().samples, RATE, "one two three") == []
    assert spoken_words(made_up().samples, RATE, None) == []
    assert spoken_words(np.zeros(0, np.float32), RATE, "one") == []


@pytest.mark.parametrize(
    ("count", "shown", "swept"), [(4, True, True), (1, True, False), (25, True, True), (3, False, True)]
)
def test_the_picture_is_a_png_1600_pixels_wide(tmp_path: Path, count: int, shown: bool, swept: bool) -> None:
    path = tmp_path / "compare.png"
    draw(made_up(count, shown, swept), path)
    head = path.read_bytes()[:24]
    assert head.startswith(b"\x89PNG") and int.from_bytes(head[16:20], "big") == 1600
