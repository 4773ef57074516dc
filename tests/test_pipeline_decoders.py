"""Decoders, and the error rate of what they find."""

from __future__ import annotations

from itertools import pairwise
from typing import Any

import numpy as np
import numpy.typing as npt
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra import numpy as hnp

from ostinato.errors import SnapshotError
from ostinato.events import Event
from ostinato.model import decoders as specified
from ostinato.model.decoders import (
    Ctc,
    EndOfSpeech,
    Generation,
    Labels,
    Outputs,
    Peaks,
    SequenceClass,
    SequenceOutputs,
)
from ostinato.pipeline import decoder, pack, text
from ostinato.pipeline.score import edit_distance, error_rate

F32 = npt.NDArray[np.float32]
SYMBOLS = ("", "one", "two")
DECODERS: list[specified.Decoder] = [
    Outputs(),
    Labels(SYMBOLS),
    Ctc(SYMBOLS),
    Ctc(SYMBOLS, blank=2),
    Ctc(SYMBOLS, silent=("two",)),
    SequenceClass(SYMBOLS, pool="last"),
    SequenceClass(SYMBOLS, pool="mean"),
    SequenceOutputs(3, pool="last"),
    SequenceOutputs(3, pool="mean"),
    EndOfSpeech(index=1, min_speech_ms=30, silence_ms=50),
    Peaks(SYMBOLS, threshold=0.2, smooth_ms=30.0, post_max_ms=20.0),
    Generation(),
]


def run(settings: specified.Decoder, outputs: npt.ArrayLike, *cuts: int) -> list[Event]:
    made = decoder(settings, 10.0, 15.0)
    rows = np.asarray(outputs, np.float32)
    state, events = made.start(), []
    for start, end in pairwise([0, *cuts, len(rows)]):
        events += made.step(state, rows[start:end])
        state = made.restore(pack(state))
    return events + made.flush(state)


def path(*symbols: int) -> F32:
    """Probabilities whose best path is this: 0.8 for the symbol, 0.1 for the others."""
    return np.where(np.arange(3) == np.array(symbols)[:, None], 0.8, 0.1).astype(np.float32)


def bits(events: list[Event]) -> list[Any]:
    return [
        (e.kind, e.frame, e.time_ms, e.text, e.index, e.probability, None if e.values is None else e.values.tobytes())
        for e in events
    ]


@settings(deadline=None, max_examples=150)
@given(
    st.sampled_from(DECODERS),
    hnp.arrays(np.float32, st.tuples(st.integers(0, 40), st.just(3)), elements=st.floats(0, 1, width=32)),
    st.data(),
)
def test_chunking_does_not_matter(chosen: specified.Decoder, outputs: F32, data: st.DataObject) -> None:
    cuts = sorted(data.draw(st.lists(st.integers(0, len(outputs)), max_size=6)))
    assert bits(run(chosen, outputs, *cuts)) == bits(run(chosen, outputs))


def test_outputs_are_copies() -> None:
    rows = path(1, 2)
    events = run(Outputs(), rows)
    before = rows.copy()
    rows[:] = 0
    assert [event.kind for event in events] == ["output", "output"]
    assert np.array_equal(np.array([event.values for event in events]), before)
    assert [event.time_ms for event in events] == [25.0, 35.0]


def test_labels() -> None:
    events = run(Labels(SYMBOLS), path(2, 0, 1))
    assert [(e.kind, e.frame, e.index, e.text) for e in events] == [
        ("label", 0, 2, "two"),
        ("label", 1, 0, ""),
        ("label", 2, 1, "one"),
    ]
    assert events[0].probability == pytest.approx(0.8)


def test_ctc_collapses_repeats_and_drops_blanks() -> None:
    events = run(Ctc(SYMBOLS), path(0, 1, 1, 0, 1, 2, 2, 2, 0, 0, 2))
    assert [(e.text, e.frame, e.time_ms) for e in events] == [
        ("one", 1, 35.0),
        ("one", 4, 65.0),
        ("two", 5, 75.0),
        ("two", 10, 125.0),
    ]
    assert all(e.kind == "symbol" and e.probability == pytest.approx(0.8) for e in events)
    assert text(events, Ctc(SYMBOLS)) == "one one two two"
    assert text(events, Ctc(SYMBOLS, separator="")) == "oneonetwotwo"


def test_silent_symbols_are_not_told_and_part_what_is_around_them() -> None:
    settings = Ctc(SYMBOLS, silent=("two",))
    found = run(settings, path(1, 2, 1, 1, 2, 2, 0, 1, 2))
    assert [(e.text, e.frame) for e in found] == [("one", 0), ("one", 2), ("one", 7)]
    assert settings.untold == {0, 2}


def test_labels_are_joined_as_people_would() -> None:
    words, characters = Labels(("noun", "verb", "")), Labels(("h", "i", " "))
    assert text(run(words, path(0, 1, 2, 1)), words) == "noun verb verb"
    assert text(run(characters, path(0, 1, 2, 0)), characters) == "hi h"
    assert text(run(SequenceClass(SYMBOLS), path(0, 1)), SequenceClass(SYMBOLS)) == "one"


def test_ctc_emits_at_once() -> None:
    made = decoder(Ctc(SYMBOLS), 10.0, 0.0)
    state = made.start()
    assert [len(made.step(state, path(k))) for k in (1, 1, 0, 1, 2, 2)] == [1, 0, 0, 1, 1, 0]


def test_ctc_first_frame_of_symbol_0() -> None:
    assert [e.text for e in run(Ctc(SYMBOLS, blank=1), path(0, 0, 1, 0))] == ["", ""]


def test_class_of_the_sequence() -> None:
    rows = path(1, 1, 2)
    (last,), (mean,) = run(SequenceClass(SYMBOLS), rows), run(SequenceClass(SYMBOLS, pool="mean"), rows)
    assert (last.kind, last.index, last.text, last.frame, last.time_ms) == ("class", 2, "two", 2, 45.0)
    assert mean.index == 1 and mean.values is not None
    assert np.allclose(mean.values, rows.mean(axis=0)) and mean.probability == pytest.approx(mean.values[1])
    assert run(SequenceClass(SYMBOLS), rows[:0]) == []
    assert text([last], SequenceClass(SYMBOLS)) == "two"


def test_numbers_of_the_sequence() -> None:
    rows = np.array([[1, -4, 0], [2, 8, 0.5]], np.float32)
    (last,), (mean,) = run(SequenceOutputs(3), rows), run(SequenceOutputs(3, pool="mean"), rows)
    assert (last.kind, last.frame, last.time_ms) == ("output", 1, 35.0)
    assert last.values is not None and last.values.tolist() == [2, 8, 0.5] and last.values.dtype == np.float32
    assert mean.values is not None and mean.values.tolist() == [1.5, 2, 0.25]
    assert run(SequenceOutputs(3), rows[:0]) == []


def voiced(pattern: str) -> F32:
    """Probability of speech per 10 ms frame in column 1: '#' is 0.9, '.' is 0.2."""
    rows = np.zeros((len(pattern), 3), np.float32)
    rows[:, 1] = [0.9 if mark == "#" else 0.2 for mark in pattern]
    return rows


@pytest.mark.parametrize(
    ("pattern", "ends"),
    [
        # min_speech 30 ms, silence 50 ms; frame f ends at (f + 1) * 10 + 15 ms
        ("..####.....", [(10, 75.0)]),
        ("..####....", [(9, 75.0)]),  # flush
        ("..##.##.....", []),  # never long enough
        ("..###..#..###.....#.", [(17, 145.0)]),
        ("###.....###.....", [(7, 45.0), (15, 125.0)]),
        ("#####", [(4, 65.0)]),
        ("", []),
        ("....................", []),
    ],
)
def test_end_of_speech(pattern: str, ends: list[tuple[int, float]]) -> None:
    events = run(EndOfSpeech(index=1, min_speech_ms=30, silence_ms=50), voiced(pattern))
    assert [(e.frame, e.time_ms) for e in events] == ends
    assert all(e.kind == "end-of-speech" for e in events)


@pytest.mark.parametrize(
    ("known", "revised", "after", "ends"),
    [
        ("...", "###.", "....", [(7, 45.0)]),  # the beginning turns out to have been speech
        ("##.", "###.", "....", [(7, 45.0)]),
        ("...", "#...", ".....", []),  # too short to be speech
        ("........", "###......", "", [(8, 45.0)]),  # it would have ended before: it ends now
        (".....", ".###", ".....", [(10, 75.0)]),  # only the last of the frames are given anew
    ],
)
def test_end_of_speech_revised(known: str, revised: str, after: str, ends: list[tuple[int, float]]) -> None:
    made = decoder(EndOfSpeech(index=1, min_speech_ms=30, silence_ms=50), 10.0, 15.0)
    state = made.start()
    events = made.step(state, voiced(known)) + made.revise(state, voiced(revised))
    assert state.frames == len(known) + 1
    events += made.step(made.restore(pack(state)), voiced(after))
    assert [(e.frame, e.time_ms) for e in events] == ends


def test_the_threshold_itself_is_speech() -> None:
    settings = EndOfSpeech(threshold=0.1, min_speech_ms=10, silence_ms=10)  # 0.1 is not a float32
    assert len(run(settings, [[0.1], [0.0999]])) == 1


@pytest.mark.parametrize(
    ("settings", "changes"),
    [
        (Outputs(), {"frames": -1}),
        (Labels(SYMBOLS), {"frames": "1"}),
        (Ctc(SYMBOLS), {"previous": 3}),
        (Ctc(SYMBOLS), {"previous": -2}),
        (SequenceClass(SYMBOLS), {"total": {"shape": [2], "data": bytes(16)}}),
        (SequenceOutputs(3), {"total": {"shape": [2], "data": bytes(16)}}),
        (EndOfSpeech(), {"silence": 10**6}),
        (EndOfSpeech(), {"speech": 1}),
    ],
)
def test_a_forged_state_is_refused(settings: specified.Decoder, changes: dict[str, Any]) -> None:
    made = decoder(settings, 10.0, 0.0)
    with pytest.raises(SnapshotError):
        made.restore(pack(made.start()) | changes)


# --- scores ---------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("reference", "hypothesis", "distance"),
    [("", "", 0), ("abc", "abc", 0), ("abc", "", 3), ("", "ab", 2), ("kitten", "sitting", 3), ("ab", "ba", 2)],
)
def test_edit_distance(reference: str, hypothesis: str, distance: int) -> None:
    assert edit_distance(reference, hypothesis) == edit_distance(hypothesis, reference) == distance


@settings(deadline=None, max_examples=60)
@given(st.text("ab", max_size=6), st.text("ab", max_size=6), st.text("ab", max_size=6))
def test_edit_distance_is_a_metric(a: str, b: str, c: str) -> None:
    assert edit_distance(a, c) <= edit_distance(a, b) + edit_distance(b, c)
    assert (edit_distance(a, b) == 0) == (a == b)
    assert abs(len(a) - len(b)) <= edit_distance(a, b) <= max(len(a), len(b))


def test_error_rate() -> None:
    assert error_rate(["one", "two", "three", "four"], ["one", "three", "four", "four"]) == 0.5
    assert error_rate(["one"], ["one", "two", "two"]) == 2.0
    assert error_rate([], []) == 0.0 and error_rate([], ["one"]) == 1.0
