"""Peaks of activations: against the definition over whole utterances, and the same events for any chunking."""

from __future__ import annotations

from itertools import pairwise
from typing import Any

import numpy as np
import numpy.typing as npt
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from ostinato.errors import BadModelFileError, SnapshotError
from ostinato.events import Event
from ostinato.model import Network, Sequential
from ostinato.model.activation import Activation
from ostinato.model.decoders import Peaks
from ostinato.model.front_ends import Frames
from ostinato.model.layers import Dense, Gru
from ostinato.pipeline import decoder, pack, text
from ostinato.streaming import Model

F32 = npt.NDArray[np.float32]
FRAME_MS, LATENCY_MS = 10.0, 15.0


def run(chosen: Peaks, outputs: F32, *cuts: int) -> list[Event]:
    made = decoder(chosen, FRAME_MS, LATENCY_MS)
    state, events = made.start(), []
    for start, end in pairwise([0, *cuts, len(outputs)]):
        events += made.step(state, outputs[start:end])
        state = made.restore(pack(state))
    return events + made.flush(state)


def at(values: npt.NDArray[np.float64], i: int) -> float:
    return float(values[i]) if 0 <= i < len(values) else 0.0


def definition(chosen: Peaks, outputs: F32) -> list[tuple[int, int]]:
    """(frame, output) of the peaks, from the whole of each output."""
    smooth, pre_avg, post_avg, pre_max, post_max = (
        round(getattr(chosen, f"{name}_ms") / FRAME_MS)
        for name in ("smooth", "pre_avg", "post_avg", "pre_max", "post_max")
    )
    found = []
    for index, label in enumerate(chosen.labels):
        if not label:
            continue
        values = outputs[:, index].astype(np.float64)
        if smooth > 1:
            window = np.hamming(smooth).astype(np.float32).astype(np.float64)
            middle = (smooth - 1) // 2
            near = [[at(values, t + middle - k) for k in range(smooth)] for t in range(len(values))]
            values = np.array([sum(w * x for w, x in zip(window, each, strict=True)) for each in near])
        candidates = np.zeros(len(values))
        for t in range(len(values)):
            near = [at(values, i) for i in range(t - pre_avg, t + post_avg + 1)]
            level = sum(reversed(near)) / len(near) if len(near) > 1 else 0.0
            if values[t] >= level + chosen.threshold:
                candidates[t] = values[t]
        last = -(10**9)
        for t in range(len(values)):
            near = [at(candidates, i) for i in range(t - pre_max, t + post_max + 1)]
            if candidates[t] > 0 and candidates[t] == max(near) and (t - last) * FRAME_MS > chosen.combine_ms + 1e-9:
                found.append((t, index))
                last = t
    return sorted(found)


TIMES = st.sampled_from([0.0, 10.0, 20.0, 30.0, 50.0, 84.0])
CHOSEN = st.builds(
    Peaks,
    labels=st.sampled_from([("onset", "beat"), ("", "beat"), ("onset", "")]),
    threshold=st.sampled_from([0.05, 0.3, 0.5]),
    smooth_ms=TIMES,
    pre_avg_ms=TIMES,
    post_avg_ms=TIMES,
    pre_max_ms=TIMES,
    post_max_ms=TIMES,
    combine_ms=TIMES,
    delay_ms=st.sampled_from([0.0, -46.4]),
)


def activations(seed: int, frames: int) -> F32:
    """Of few different values, so that some are equal, or of many."""
    rng = np.random.default_rng(seed)
    values = rng.random((frames, 2)) ** 3
    return np.asarray(np.round(values, 1) if seed % 2 else values, np.float32)


@settings(deadline=None, max_examples=300)
@given(CHOSEN, st.integers(0, 9), st.integers(0, 60), st.data())
def test_peaks_are_those_of_the_whole_utterance(chosen: Peaks, seed: int, frames: int, data: st.DataObject) -> None:
    outputs = activations(seed, frames)
    cuts = sorted(data.draw(st.lists(st.integers(0, frames), max_size=6)))
    events, wanted = run(chosen, outputs, *cuts), definition(chosen, outputs)
    delay = decoder(chosen, FRAME_MS, LATENCY_MS).delay
    assert delay is not None
    times = [(t + 1) * FRAME_MS + LATENCY_MS + chosen.delay_ms for t, _ in wanted]
    assert [event.time_ms for event in events] == pytest.approx(times)
    assert [(e.frame, e.index) for e in events] == [(min(t + delay, frames - 1), i) for t, i in wanted]
    assert {e.kind for e in events} <= {"peak"} and all(e.text == chosen.labels[e.index] for e in events)
    if chosen.smooth_ms <= 10:
        assert [e.probability for e in events] == [outputs[place] for place in wanted]


def test_online_peaks_come_at_once() -> None:
    """What madmom's online onset detection does: no time after, so nothing waits."""
    made = decoder(Peaks(threshold=0.3, pre_max_ms=20.0, pre_avg_ms=50.0, combine_ms=30.0), FRAME_MS, LATENCY_MS)
    assert made.delay == 0
    state, found = made.start(), []
    for value in (0.0, 0.9, 0.8, 0.7, 0.95, 0.1, 0.0, 0.0, 0.9):
        found.append([event.time_ms for event in made.step(state, np.array([[value]], np.float32))])
    assert found == [[], [35.0], [], [], [], [], [], [], [105.0]]  # 0.95 within 30 ms of the first
    assert made.flush(state) == []


def test_a_peak_that_waits_says_where_it_was() -> None:
    chosen = Peaks(("beat",), threshold=0.2, post_max_ms=20.0, combine_ms=20.0, delay_ms=-10.0)
    made = decoder(chosen, FRAME_MS, LATENCY_MS)
    assert made.delay == 2
    outputs = np.array([0.1, 0.5, 0.6, 0.2, 0.1, 0.9], np.float32)[:, None]
    state = made.start()
    first, last = made.step(state, outputs), made.flush(state)
    assert [(e.frame, e.time_ms, e.text, e.index) for e in first] == [(4, 35.0, "beat", 0)]
    assert [(e.frame, e.time_ms, round(e.probability, 4)) for e in last] == [(5, 65.0, 0.9)]
    assert text(first + last, chosen) == "beat beat"


def test_a_streams_delay_counts_what_its_decoder_waits_for() -> None:
    layers = (Gru(3), Dense(2, Activation("sigmoid")))
    peaks = Peaks(("", "beat"), post_avg_ms=30.0, post_max_ms=10.0)
    model = Model(Network.random(Sequential("beats", Frames(4), layers, peaks)))
    assert (model.delay.frames, model.delay.ms) == (4, 40.0)
    with model.stream(decoder="outputs") as stream:
        assert (stream.delay.frames, stream.delay.ms) == (0, 0.0)


@pytest.mark.parametrize(
    ("make", "match"),
    [
        (lambda: Peaks(("",)), "labels"),
        (lambda: Peaks(threshold=0.0), "threshold"),
        (lambda: Peaks(pre_avg_ms=-1.0), "pre_avg_ms"),
        (lambda: Peaks(combine_ms=10_001.0), "combine_ms"),
        (lambda: decoder(Peaks(pre_max_ms=10_000.0), 0.001, 0.0), "shorter"),
    ],
)
def test_bad_settings_are_refused(make: Any, match: str) -> None:
    with pytest.raises(BadModelFileError, match=match):
        make()


@pytest.mark.parametrize(
    "changes",
    [
        {"frames": -1},
        {"recent": {"shape": [2, 1], "data": bytes(8)}},
        {"smoothed": {"shape": [1, 2], "data": bytes(16)}},
        {"candidates": {"shape": [0, 1], "data": b""}},
        {"last": {"shape": [2], "data": bytes(16)}},
    ],
)
def test_a_forged_state_is_refused(changes: dict[str, Any]) -> None:
    made = decoder(Peaks(), FRAME_MS, LATENCY_MS)
    with pytest.raises(SnapshotError):
        made.restore(pack(made.start()) | changes)
