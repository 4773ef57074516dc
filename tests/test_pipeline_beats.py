"""Beats by the bar pointer model: against a hidden Markov model with all its transitions written out, and the same
beats for any chunking."""

from __future__ import annotations

from dataclasses import replace
from itertools import pairwise
from typing import Any

import numpy as np
import numpy.typing as npt
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from ostinato.errors import BadModelFileError, SnapshotError
from ostinato.events import Event
from ostinato.model.decoders import Beats
from ostinato.pipeline import decoder, pack
from ostinato.pipeline.decoders import beats as rooms

F32 = npt.NDArray[np.float32]
F64 = npt.NDArray[np.float64]

FRAME_MS, LATENCY_MS = 50.0, 20.0
FORWARD = Beats(min_bpm=100, max_bpm=240, transition_lambda=20.0, observation_lambda=4.0)
VITERBI = replace(FORWARD, method="viterbi")
ONE = {"shape": [1], "data": bytes(4)}


def run(chosen: Beats, outputs: F32, *cuts: int, frame_ms: float = FRAME_MS) -> list[Event]:
    made = decoder(chosen, frame_ms, LATENCY_MS)
    state, events = made.start(), []
    for start, end in pairwise([0, *cuts, len(outputs)]):
        events += made.step(state, outputs[start:end, None])
        state = made.restore(pack(state))
    return events + made.flush(state)


def frames_of(events: list[Event], frame_ms: float = FRAME_MS) -> list[int]:
    return [round((event.time_ms - LATENCY_MS) / frame_ms) - 1 for event in events]


def model(chosen: Beats) -> tuple[list[tuple[int, int]], F64, npt.NDArray[np.bool_]]:
    """The states (interval, place), the probabilities of all transitions, and where beats are heard."""
    shortest, longest = (round(60_000 / FRAME_MS / bpm) for bpm in (chosen.max_bpm, chosen.min_bpm))
    intervals = range(shortest, longest + 1)
    states = [(interval, place) for interval in intervals for place in range(interval)]
    changes = {(i, j): np.exp(-chosen.transition_lambda * abs(j / i - 1)) for i in intervals for j in intervals}
    matrix = np.zeros((len(states), len(states)))
    for a, (i, p) in enumerate(states):
        for b, (j, q) in enumerate(states):
            if p + 1 < i:
                matrix[a, b] = i == j and q == p + 1
            elif q == 0 and changes[i, j] > 2**-52:
                matrix[a, b] = changes[i, j]
    matrix /= matrix.sum(axis=1, keepdims=True)
    return states, matrix, np.array([place / interval < 1 / chosen.observation_lambda for interval, place in states])


def observed(output: float, heard: npt.NDArray[np.bool_], chosen: Beats) -> F64:
    return np.where(heard, output, (1 - output) / (chosen.observation_lambda - 1))


def forward(outputs: F32, chosen: Beats) -> list[int]:
    states, matrix, heard = model(chosen)
    chances = np.full(len(states), 1 / len(states))
    found, last = [], 0
    for t, output in enumerate(outputs.tolist()):
        chances = chances @ matrix * observed(output, heard, chosen)
        chances /= chances.sum()
        if heard[chances.argmax()] and (t - last) * FRAME_MS >= 60_000 / chosen.max_bpm - 1e-6:
            found.append(t)
            last = t
    return found


def viterbi(outputs: F32, chosen: Beats) -> list[int]:
    states, matrix, heard = model(chosen)
    with np.errstate(divide="ignore"):
        steps = np.log(matrix)
    best, back = np.zeros(len(states)), []
    for output in outputs.tolist():
        scores = best[:, None] + steps
        back.append(scores.argmax(axis=0))
        best = scores.max(axis=0) + np.log(observed(output, heard, chosen))
    path = [int(best.argmax())]
    for came in back[:0:-1]:
        path.insert(0, int(came[path[0]]))
    inside = [False, *heard[path].tolist(), False]
    turns = [t for t in range(len(inside) - 1) if inside[t] != inside[t + 1]]
    return [a + int(outputs[a:b].argmax()) for a, b in zip(turns[::2], turns[1::2], strict=True)]


def activations(seed: int, frames: int) -> F32:
    rng = np.random.default_rng(seed)
    values = rng.uniform(0.001, 0.2, frames)
    values[rng.integers(0, 8) :: rng.integers(6, 11)] = rng.uniform(0.3, 0.99)
    return np.asarray(values, np.float32)


@settings(deadline=None, max_examples=40)
@given(st.integers(0, 1000), st.integers(0, 80), st.data())
def test_beats_are_those_of_the_whole_model(seed: int, frames: int, data: st.DataObject) -> None:
    outputs = activations(seed, frames)
    cuts = sorted(data.draw(st.lists(st.integers(0, frames), max_size=5)))
    events = run(FORWARD, outputs, *cuts)
    assert frames_of(events) == forward(outputs, FORWARD) == [event.frame for event in events]
    later = run(VITERBI, outputs, *cuts)
    assert frames_of(later) == (viterbi(outputs, VITERBI) if frames else [])
    assert {event.frame for event in later} <= {frames - 1}
    for event, frame in zip(events + later, frames_of(events) + frames_of(later), strict=True):
        assert (event.kind, event.text, event.index) == ("beat", "beat", 0)
        assert event.probability == outputs[frame]
        assert event.values is not None and 100 <= event.values[0] <= 240


def test_outputs_of_0_and_1_rule_nothing_out() -> None:
    outputs = np.zeros(60, np.float32)
    outputs[::8] = 1
    for chosen in (FORWARD, VITERBI):
        assert len(run(chosen, outputs)) >= 6
        assert run(chosen, np.ones(20, np.float32)) and run(chosen, np.zeros(20, np.float32)) is not None


def rhythm(*spans: tuple[int, float]) -> tuple[F32, list[int]]:
    """Activations at 100 frames/s, and where the beats are: so many of each bpm, over noise, one in five missing."""
    rng = np.random.default_rng(1)
    places, at = [], 50.0
    for count, bpm in spans:
        places += [round(at + k * 6000 / bpm) for k in range(count)]
        at += count * 6000 / bpm
    outputs = rng.uniform(0, 0.08, places[-1] + 60)
    for k, place in enumerate(places):
        if k % 5 != 4:
            outputs[place - 1 : place + 2] = 0.3, rng.uniform(0.5, 0.95), 0.3
    return outputs.astype(np.float32), places


@pytest.mark.parametrize("method", ["forward", "viterbi"])
def test_it_follows_the_tempo_and_fills_what_is_missing(method: Any) -> None:
    outputs, places = rhythm((30, 120.0), (30, 130.0))
    events = run(Beats(method=method), outputs, 777, frame_ms=10.0)
    found = np.array(frames_of(events, 10.0))
    settled = [place for place in places if place > 400 and not 1500 < place < 2000]
    near = 4 if method == "viterbi" else 7
    assert all(np.abs(found - place).min() <= near for place in settled)
    assert abs(len(found) - len(places)) <= 2
    tempo = [float(event.values[0]) for event in events if event.values is not None]
    assert np.median(tempo[5:25]) == pytest.approx(120, rel=0.02)
    assert np.median(tempo[-15:]) == pytest.approx(130, rel=0.02)


def test_long_utterances_are_told_in_halves(monkeypatch: pytest.MonkeyPatch) -> None:
    outputs, _ = rhythm((120, 120.0))
    whole = run(replace(Beats(), method="viterbi", tempi=20), outputs, frame_ms=10.0)
    monkeypatch.setattr(rooms, "MAX_KEPT", 20 * 1600)
    made = decoder(Beats(method="viterbi", tempi=20), 10.0, LATENCY_MS)
    state, told = made.start(), []
    for t in range(0, len(outputs), 7):
        told += made.step(state, outputs[t : t + 7, None])
        assert len(state.back) == len(state.outputs) <= 1600
    assert len(told) > 60
    assert [event.time_ms for event in told + made.flush(state)] == [event.time_ms for event in whole]
    at_once = run(Beats(method="viterbi", tempi=20), outputs, frame_ms=10.0)
    assert [(e.frame, e.time_ms) for e in told] == [(e.frame, e.time_ms) for e in at_once[: len(told)]]


def test_delays_and_tempi() -> None:
    assert decoder(FORWARD, FRAME_MS, 0.0).delay == 0
    assert decoder(VITERBI, FRAME_MS, 0.0).delay is None
    made: Any = decoder(Beats(), 10.0, 0.0)
    assert made.intervals.tolist() == list(range(28, 110))
    few: Any = decoder(Beats(tempi=20), 10.0, 0.0)
    assert len(few.intervals) == 20 and few.intervals[0] == 28 and few.intervals[-1] == 109
    (first, *_), (later, *_) = (run(replace(VITERBI, delay_ms=ms), activations(3, 60)) for ms in (0.0, -46.4))
    assert later.time_ms == first.time_ms - 46.4


@pytest.mark.parametrize(
    ("make", "match"),
    [
        (lambda: Beats(min_bpm=0.5), "min_bpm"),
        (lambda: Beats(min_bpm=120, max_bpm=120), "min_bpm"),
        (lambda: Beats(tempi=0), "tempi"),
        (lambda: Beats(transition_lambda=-1.0), "transition_lambda"),
        (lambda: Beats(observation_lambda=1.0), "observation_lambda"),
        (lambda: decoder(Beats(), 1000.0, 0.0), "2 are the least"),
        (lambda: decoder(Beats(), 0.5, 0.0), "the most"),
        (lambda: decoder(Beats(min_bpm=1), 0.001, 0.0), "the most"),
    ],
)
def test_bad_settings_are_refused(make: Any, match: str) -> None:
    with pytest.raises(BadModelFileError, match=match):
        make()


@pytest.mark.parametrize(
    ("chosen", "changes"),
    [
        (FORWARD, {"frames": -1}),
        (FORWARD, {"last": 1}),
        (FORWARD, {"paths": {"shape": [3], "data": bytes(24)}}),
        (FORWARD, {"paths": {"shape": [68], "data": bytes(8 * 68)}}),
        (FORWARD, {"outputs": ONE}),
        (VITERBI, {"frames": 1}),
        (VITERBI, {"frames": 1, "outputs": ONE, "back": {"shape": [1, 8], "data": b"\xff" * 16}}),
    ],
)
def test_a_forged_state_is_refused(chosen: Beats, changes: dict[str, Any]) -> None:
    made = decoder(chosen, FRAME_MS, 0.0)
    with pytest.raises(SnapshotError):
        made.restore(pack(made.start()) | changes)
