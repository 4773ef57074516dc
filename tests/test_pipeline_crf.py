"""Linear-chain conditional random fields: against all paths there are, and the same labels for any chunking."""

from __future__ import annotations

from itertools import pairwise, product
from typing import Any

import numpy as np
import numpy.typing as npt
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from ostinato.errors import BadModelFileError, SnapshotError
from ostinato.events import Event
from ostinato.model import Network, Sequential
from ostinato.model.decoders import Crf
from ostinato.model.file import read, write
from ostinato.model.front_ends import Frames
from ostinato.model.layers import Dense, Gru
from ostinato.pipeline import decoder, pack, text
from ostinato.pipeline.decoders import crf as rooms
from ostinato.streaming import Model

F32 = npt.NDArray[np.float32]
NAMES = ("begin", "inside", "", "end")


def weights(labels: int, seed: int) -> dict[str, F32]:
    rng = np.random.default_rng(seed)
    shapes = {"transitions": (labels, labels), "start": (labels,), "end": (labels,)}
    return {name: rng.normal(size=shape).astype(np.float32) for name, shape in shapes.items()}


def scores(frames: int, labels: int, seed: int) -> F32:
    return np.random.default_rng(seed + 100).normal(size=(frames, labels)).astype(np.float32)


def run(chosen: Crf, outputs: F32, given_weights: dict[str, F32], *cuts: int) -> list[Event]:
    made = decoder(chosen, 10.0, 15.0, given_weights)
    state, events = made.start(), []
    for start, end in pairwise([0, *cuts, len(outputs)]):
        events += made.step(state, outputs[start:end])
        state = made.restore(pack(state))
    return events + made.flush(state)


def best_path(outputs: F32, w: dict[str, F32], end: bool = True) -> tuple[int, ...]:
    """The one of all paths with the highest score."""

    def score(path: tuple[int, ...]) -> float:
        total = float(w["start"][path[0]]) + sum(float(outputs[t, y]) for t, y in enumerate(path))
        total += sum(float(w["transitions"][y, z]) for y, z in pairwise(path))
        return total + float(w["end"][path[-1]]) * end

    return max(product(range(outputs.shape[1]), repeat=len(outputs)), key=score, default=())


@settings(deadline=None, max_examples=60)
@given(st.integers(1, 4), st.integers(0, 6), st.integers(0, 1000), st.data())
def test_the_whole_path_is_the_best_of_all(labels: int, frames: int, seed: int, data: st.DataObject) -> None:
    chosen, w, outputs = Crf(NAMES[:labels]), weights(labels, seed), scores(frames, labels, seed)
    cuts = sorted(data.draw(st.lists(st.integers(0, frames), max_size=3)))
    events = run(chosen, outputs, w, *cuts)
    assert tuple(event.index for event in events) == (best_path(outputs, w) if frames else ())
    assert [(e.kind, e.frame, e.time_ms, e.text) for e in events] == [
        ("label", t, (t + 1) * 10.0 + 15.0, NAMES[e.index]) for t, e in enumerate(events)
    ]


@settings(deadline=None, max_examples=60)
@given(st.integers(1, 3), st.integers(1, 7), st.integers(0, 7), st.integers(0, 1000), st.data())
def test_with_a_lag_each_label_is_that_of_the_best_path_so_far(
    labels: int, frames: int, lag: int, seed: int, data: st.DataObject
) -> None:
    chosen, w, outputs = Crf(NAMES[:labels], lag), weights(labels, seed), scores(frames, labels, seed)
    wanted = [best_path(outputs[: t + lag + 1], w, end=False)[t] for t in range(max(0, frames - lag))]
    wanted += best_path(outputs, w)[max(0, frames - lag) :]
    cuts = sorted(data.draw(st.lists(st.integers(0, frames), max_size=3)))
    assert [event.index for event in run(chosen, outputs, w, *cuts)] == wanted
    made = decoder(chosen, 10.0, 15.0, w)
    state = made.start()
    assert made.delay == lag
    for t in range(frames):
        assert [event.frame for event in made.step(state, outputs[t : t + 1])] == ([t - lag] if t >= lag else [])


def test_long_paths(monkeypatch: pytest.MonkeyPatch) -> None:
    """One that is told in halves is the same as one that is told at the end, and of bounded size."""
    w, outputs = weights(4, 5), scores(1000, 4, 5)
    whole = run(Crf(NAMES), outputs, w, 17, 400)
    assert len(whole) == 1000
    monkeypatch.setattr(rooms, "MAX_KEPT", 400)
    made = decoder(Crf(NAMES), 10.0, 15.0, w)
    state, told = made.start(), []
    for t in range(1000):
        told += made.step(state, outputs[t : t + 1])
        assert len(state.back) <= 100
    assert len(told) == 950
    assert [event.index for event in told + made.flush(state)] == [event.index for event in whole]


def test_a_model_has_its_weights_in_its_file(tmp_path: Any) -> None:
    layers = (Gru(5), Dense(4))
    specification = Sequential("tagger", Frames(3), layers, Crf(NAMES))
    start = Network.random(specification)
    assert {name for name in start.weights if name.startswith("head")} == {
        "head.main.transitions", "head.main.start", "head.main.end"
    }  # fmt: skip
    own = {f"head.main.{name}": array for name, array in weights(4, 3).items()}
    write(tmp_path / "tagger.safetensors", Network(specification, start.weights | own))
    model = Model(read(tmp_path / "tagger.safetensors"))
    assert model.delay.frames is None
    frames = np.random.default_rng(0).normal(size=(6, 3)).astype(np.float32)
    with model.stream() as stream, model.stream(decoder="outputs") as raw:
        assert stream.push(frames) == []
        found = stream.flush()
        outputs = np.array([event.values for event in raw.push(frames)])
    assert tuple(event.index for event in found) == best_path(outputs, weights(4, 3))
    assert text(found, Crf(NAMES)) == " ".join(event.text for event in found if event.text)
    with pytest.raises(BadModelFileError, match=r"head\.main\.end is missing"):
        Network(specification, {n: x for n, x in (start.weights | own).items() if n != "head.main.end"})


@pytest.mark.parametrize(
    ("make", "match"),
    [
        (lambda: Crf(()), "labels"),
        (lambda: Crf(tuple(map(str, range(4097)))), "labels"),
        (lambda: Crf(NAMES, lag=-1), "lag"),
        (lambda: Crf(NAMES, lag=1 << 18), "lag"),
        (lambda: Sequential("s", Frames(3), (Dense(3),), Crf(NAMES)), "4 labels for 3 outputs"),
    ],
)
def test_bad_settings_are_refused(make: Any, match: str) -> None:
    with pytest.raises(BadModelFileError, match=match):
        make()


@pytest.mark.parametrize(
    "changes",
    [
        {"frames": 1},
        {"frames": -1},
        {"best": {"shape": [3], "data": bytes(24)}},
        {"frames": 1, "back": {"shape": [1, 4], "data": bytes(6) + b"\4\0"}},
    ],
)
def test_a_forged_state_is_refused(changes: dict[str, Any]) -> None:
    made = decoder(Crf(NAMES), 10.0, 0.0, weights(4, 0))
    with pytest.raises(SnapshotError):
        made.restore(pack(made.start()) | changes)
