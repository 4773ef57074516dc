"""Prefix beam search: against all texts there are and against the algorithm as it is published; what is emitted when;
the same symbols for any chunking; language models and hotwords."""

from __future__ import annotations

import math
from collections import defaultdict
from dataclasses import replace
from itertools import pairwise, product
from typing import Any

import numpy as np
import numpy.typing as npt
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from ostinato.errors import BadModelFileError, SnapshotError, TrainingError
from ostinato.events import Event
from ostinato.model import Network, Sequential
from ostinato.model.decoders import CtcBeam
from ostinato.model.file import read, write
from ostinato.model.front_ends import Frames
from ostinato.model.layers import Dense, Gru, Softmax
from ostinato.pipeline import decoder, pack, text
from ostinato.streaming import Model
from ostinato.training.language import mixed, ngram

F32 = npt.NDArray[np.float32]
NAMES = ("", " ", "a", "b")
EXACT = CtcBeam(NAMES, separator="", width=128, lag=1000, least=0.0, threshold=0.0, number_of_contexts=3)
Weights = dict[str, F32]


def weights(seed: int, symbols: int = 4, contexts: int = 3) -> Weights:
    rng = np.random.default_rng(seed)
    scores = np.log(rng.dirichlet(np.ones(symbols), contexts)).astype(np.float32)
    return {"scores": scores, "contexts": rng.integers(0, contexts, (contexts, symbols)).astype(np.float32)}


def outputs(frames: int, seed: int, symbols: int = 4, sharp: float = 2.0) -> F32:
    x = np.exp(sharp * np.random.default_rng(seed + 100).normal(size=(frames, symbols)))
    return (x / x.sum(axis=1, keepdims=True)).astype(np.float32)


def run(chosen: CtcBeam, rows: F32, w: Weights, *cuts: int) -> list[Event]:
    made = decoder(chosen, 10.0, 15.0, w)
    state, events = made.start(), []
    for start, end in pairwise([0, *cuts, len(rows)]):
        events += made.step(state, rows[start:end])
        state = made.restore(pack(state))
    return events + made.flush(state)


def prior(chosen: CtcBeam, said: tuple[int, ...], w: Weights) -> float:
    """The logarithm of what a text counts beside its alignments, without hotwords."""
    total, context = 0.0, 0
    for k in said:
        total += chosen.language_weight * float(w["scores"][context, k]) + chosen.insertion_bonus
        context = int(w["contexts"][context, k])
    return total


def collapsed(path: tuple[int, ...]) -> tuple[int, ...]:
    return tuple(k for before, k in pairwise((0, *path)) if k not in (0, before))


def of_all_texts(rows: F32) -> dict[tuple[int, ...], float]:
    """Each text there is, with the probability of all its alignments."""
    found: defaultdict[tuple[int, ...], float] = defaultdict(float)
    for path in product(range(rows.shape[1]), repeat=len(rows)):
        found[collapsed(path)] += math.prod(float(rows[t, k]) for t, k in enumerate(path))
    return found


@settings(deadline=None, max_examples=40)
@given(st.integers(0, 4), st.integers(0, 1000), st.sampled_from((0.0, 0.7)), st.sampled_from((0.0, 1.5)), st.data())
def test_the_best_of_all_texts(frames: int, seed: int, weight: float, bonus: float, data: st.DataObject) -> None:
    chosen, w, rows = (
        replace(EXACT, language_weight=weight, insertion_bonus=bonus),
        weights(seed),
        outputs(frames, seed),
    )
    scores = {said: math.log(p) + prior(chosen, said, w) for said, p in of_all_texts(rows).items() if p > 0}
    cuts = sorted(data.draw(st.lists(st.integers(0, frames), max_size=3)))
    found = tuple(event.index for event in run(chosen, rows, w, *cuts))
    assert scores[found] == pytest.approx(max(scores.values()), abs=1e-4)


def published(chosen: CtcBeam, rows: F32, w: Weights) -> list[list[tuple[int, ...]]]:
    """Algorithm 1 of Hannun et al. (2014), as it stands there: the texts kept after each frame, the best first."""
    blank_ended: dict[tuple[int, ...], float] = {(): 1.0}
    other: dict[tuple[int, ...], float] = {}
    kept, after = [()], []
    for row in rows.astype(np.float64):
        b: defaultdict[tuple[int, ...], float] = defaultdict(float)
        nb: defaultdict[tuple[int, ...], float] = defaultdict(float)
        for said in kept:
            both = blank_ended.get(said, 0.0) + other.get(said, 0.0)
            b[said] += row[0] * both
            if said:
                nb[said] += row[said[-1]] * other.get(said, 0.0)
            for k in range(1, len(row)):
                if row[k] >= chosen.least:
                    step = math.exp(prior(chosen, (*said, k), w) - prior(chosen, said, w))
                    before = blank_ended.get(said, 0.0) if said[-1:] == (k,) else both
                    nb[*said, k] += row[k] * step * before
        total = {said: b[said] + nb[said] for said in {*b, *nb}}
        kept = sorted((s for s in total if total[s] > 0), key=lambda s: -total[s])[: chosen.width]
        kept = [s for s in kept if total[s] >= chosen.threshold * total[kept[0]]]
        scale = total[kept[0]]
        blank_ended, other = {s: b[s] / scale for s in kept}, {s: nb[s] / scale for s in kept}
        after.append(list(kept))
    return after


@settings(deadline=None, max_examples=40)
@given(st.integers(1, 30), st.integers(0, 1000), st.sampled_from((1, 2, 5, 16)), st.sampled_from((0.0, 1e-2)))
def test_as_published_and_each_symbol_as_soon_as_all_texts_agree(
    frames: int, seed: int, width: int, threshold: float
) -> None:
    chosen = replace(EXACT, width=width, threshold=threshold, least=1e-2, language_weight=0.6, insertion_bonus=0.8)
    w, rows = weights(seed), outputs(frames, seed)
    wanted = published(chosen, rows, w)
    made = decoder(chosen, 10.0, 15.0, w)
    state, told = made.start(), list[int]()
    for row, kept in zip(rows, wanted, strict=True):
        told += [event.index for event in made.step(state, row[None])]
        agreed = 0
        while all(len(said) > agreed and said[agreed] == kept[0][agreed] for said in kept):
            agreed += 1
        assert tuple(told) == kept[0][:agreed] and state.count == len(kept)
    told += [event.index for event in made.flush(state)]
    assert tuple(told) == wanted[-1][0]


@settings(deadline=None, max_examples=40)
@given(st.integers(1, 60), st.integers(0, 1000), st.sampled_from((0, 1, 3, 20)), st.data())
def test_nothing_waits_longer_than_the_lag(frames: int, seed: int, lag: int, data: st.DataObject) -> None:
    chosen, w = replace(EXACT, width=8, lag=lag, language_weight=0.5, insertion_bonus=1.0), weights(seed)
    rows = outputs(frames, seed, sharp=data.draw(st.sampled_from((0.3, 2.0))))
    made = decoder(chosen, 10.0, 15.0, w)
    assert made.delay == lag
    state, events, held = made.start(), list[Event](), made.state_bytes
    for t in range(frames):
        new = made.step(state, rows[t : t + 1])
        assert all(t - lag <= event.frame <= t for event in new)
        assert (state.undecided[: state.count, 0, 1] > t - lag)[state.texts[: state.count, 2] > 0].all()
        events += new
        state = made.restore(pack(state))
        assert state.texts.nbytes + state.undecided.nbytes == held
    events += made.flush(state)
    assert [e.frame for e in events] == sorted(e.frame for e in events)
    assert all(e.time_ms == (e.frame + 1) * 10.0 + 15.0 for e in events)
    assert events == run(chosen, rows, w)


def test_a_symbols_frame_is_where_its_output_is_largest() -> None:
    rows = np.full((9, 4), 0.02, np.float32)
    for t, (k, p) in enumerate(
        [(0, 0.9), (2, 0.5), (2, 0.9), (2, 0.6), (0, 0.9), (0, 0.9), (2, 0.8), (3, 0.9), (0, 0.9)]
    ):
        rows[t, k] = p
    found = run(EXACT, rows, weights(0))
    assert [(e.text, e.frame, round(e.probability, 3)) for e in found] == [
        ("a", 2, 0.9),
        ("a", 6, 0.8),
        ("b", 7, 0.9),
    ]
    assert text(found, EXACT) == "aab"


@settings(deadline=None, max_examples=20)
@given(st.integers(0, 40), st.integers(0, 1000), st.sampled_from((0, 3, 20)))
def test_silent_symbols_are_searched_and_not_told(frames: int, seed: int, lag: int) -> None:
    chosen, w, rows = replace(EXACT, width=8, lag=lag, language_weight=0.5), weights(seed), outputs(frames, seed)
    told = [event for event in run(chosen, rows, w) if event.text != "b"]
    assert run(replace(chosen, silent=("b",)), rows, w) == told


def test_a_frame_that_leaves_no_text_a_chance_says_nothing() -> None:
    rows = outputs(12, 3)
    silent = np.insert(rows, 5, 0.0, axis=0)
    chosen = replace(EXACT, lag=30)
    assert [e.index for e in run(chosen, silent, weights(3))] == [e.index for e in run(chosen, rows, weights(3))]
    assert run(chosen, np.zeros((50, 4), np.float32), weights(3)) == []


@settings(deadline=None, max_examples=40)
@given(st.integers(1, 4), st.integers(0, 1000), st.sampled_from(("ab", "b", "a b")))
def test_hotwords_count_by_what_is_said_of_them(frames: int, seed: int, phrase: str) -> None:
    chosen, w, rows = replace(EXACT, hotwords=(phrase,), hotword_boost=2.0), weights(seed), outputs(frames, seed)

    def worth(said: tuple[int, ...]) -> float:
        spoken, wanted = " " + "".join(NAMES[k] for k in said), " " + phrase
        begun = max(n for n in range(len(wanted)) if spoken.endswith(wanted[:n]))
        return 2.0 * (spoken.count(wanted) + max(0, begun - 1) / len(phrase))

    scores = {said: math.log(p) + worth(said) for said, p in of_all_texts(rows).items() if p > 0}
    found = tuple(event.index for event in run(chosen, rows, w))
    assert scores[found] == pytest.approx(max(scores.values()), abs=1e-4)


def test_hotwords_that_share_a_beginning_and_words_as_symbols() -> None:
    """Symbols that are words need no space before them; a phrase that begins with another is worth both."""
    names = ("", "turn", "on", "off")
    chosen = CtcBeam(names, hotwords=("turn on", "turn"), hotword_boost=1.0, threshold=0.0)
    rows = np.full((4, 4), 0.05, np.float32)
    rows[[0, 1, 2, 3], [1, 0, 3, 0]] = 0.5, 0.8, 0.6, 0.8
    rows[2, 2] = 0.3
    w = {"scores": np.zeros((1, 4), np.float32), "contexts": np.zeros((1, 4), np.float32)}
    assert text(run(replace(chosen, hotwords=()), rows, w), chosen) == "turn off"
    assert text(run(chosen, rows, w), chosen) == "turn on"


@pytest.mark.parametrize(
    ("changes", "named"),
    [
        ({"hotwords": ("ač",)}, "hotword 'ač' cannot be said"),
        ({"hotwords": ("?",)}, "cannot be said"),
        ({"hotwords": ("ab " * 700,)}, "hotwords of more than 2048 symbols"),
        ({"hotwords": ("a",) * 257}, "257 hotwords are more than 256"),
        ({"width": 129}, "width = 129"),
        ({"lag": -1}, "lag = -1"),
        ({"number_of_contexts": 1 << 17}, "number_of_contexts"),
        ({"least": 1.0}, "below 1"),
        ({"language_weight": 11.0}, "language_weight"),
        ({"hotword_boost": 21.0}, "hotword_boost"),
    ],
)
def test_settings_that_are_none(changes: dict[str, Any], named: str) -> None:
    with pytest.raises(BadModelFileError, match=named):
        decoder(replace(EXACT, **changes), 10.0, 0.0, weights(0))


@pytest.mark.parametrize(
    ("name", "value", "named"),
    [
        ("contexts", 0.5, r"contexts\[1, 2\] is 0.5"),
        ("contexts", 3, r"contexts\[1, 2\] is 3, no whole number from 0 to 2"),
        ("contexts", -1, "is -1"),
        ("contexts", np.nan, "is nan"),
        ("scores", 1e9, "too large"),
    ],
)
def test_a_language_model_that_is_none(name: str, value: float, named: str) -> None:
    w = weights(0)
    w[name][1, 2] = value
    with pytest.raises(BadModelFileError, match=named):
        decoder(replace(EXACT, language_weight=1.0), 10.0, 0.0, w)


FORGED = [
    ("count", 0, None), ("count", 9, None), ("latest", 99, None), ("frames", -1, None), ("frames", 2, None),
    ("texts", -0.5, (0, 0)), ("texts", 12.0, (0, 2)), ("texts", 4.0, (0, 3)), ("texts", 1.5, (0, 4)),
    ("texts", 3.0, (0, 4)), ("texts", 1.0, (0, 5)), ("undecided", 0.0, (0, 0, 0)), ("undecided", 9.0, (0, 0, 0)),
    ("undecided", -1.0, (0, 0, 1)), ("undecided", 1e6, (0, 0, 1)),
]  # fmt: skip


@pytest.mark.parametrize(("name", "value", "at"), FORGED)
def test_a_forged_state_is_refused(name: str, value: Any, at: Any) -> None:
    made = decoder(replace(EXACT, width=8, lag=10, threshold=0.0), 10.0, 0.0, weights(1))
    state = made.start()
    made.step(state, outputs(9, 1, sharp=0.3))
    assert state.texts[0, 2] > 0
    made.restore(pack(state))
    if at is None:
        setattr(state, name, value)
    else:
        getattr(state, name)[at] = value
    with pytest.raises(SnapshotError):
        made.restore(pack(state))


def test_a_model_has_its_language_in_its_file(tmp_path: Any) -> None:
    layers = (Gru(5), Dense(4), Softmax())
    chosen = CtcBeam(NAMES, separator="", number_of_contexts=3, lag=4, language_weight=1.0)
    specification = Sequential("letters", Frames(3), layers, chosen)
    network = Network(
        specification, Network.random(specification).weights | {f"head.main.{n}": a for n, a in weights(2).items()}
    )
    write(tmp_path / "letters.safetensors", network)
    model = Model(read(tmp_path / "letters.safetensors"))
    assert model.delay.frames == 4
    frames = 9 * np.random.default_rng(0).normal(size=(40, 3)).astype(np.float32)
    with model.stream() as stream, model.stream(decoder="outputs") as raw:
        events = stream.push(frames) + stream.flush()
        rows = np.array([event.values for event in raw.push(frames)])
    made = decoder(chosen, model.front_end.frame_ms, model.front_end.latency_ms, weights(2))
    state = made.start()
    assert events == made.step(state, rows) + made.flush(state) and events


# --- language models ------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("space", [None, 1])
@pytest.mark.parametrize("order", [1, 2, 4])
def test_ngrams_are_probabilities_by_kneser_and_ney(space: int | None, order: int) -> None:
    texts = [[2, 3, 2, 2], [3], [], [2, 3, 1, 2, 3, 3]]
    found = ngram(texts, 5, space=space, order=order, least=1)
    chances = np.exp(found.scores.astype(np.float64))
    assert np.allclose(chances.sum(axis=1), 1) and (chances[:, 0] < 1e-9).all() and (chances[:, 1:] > 0).all()
    if order == 1:
        counts = np.array([0, 1, 5, 5, 0]) + (np.array([0, 4, 0, 0, 0]) if space else 0)
        taken = np.minimum(counts, 0.75)
        assert np.allclose(chances[0], (counts - taken + taken.sum() * np.array([0, 1, 1, 1, 1]) / 4) / counts.sum())
    if order == 2 and space is None:
        # 3 follows 2 three times, 2 once; 1 stands behind 3 only, 2 behind four, a text's beginning among them.
        lower = (np.array([0, 0.25, 3.25, 2.25, 0]) + 3 * 0.75 * np.array([0, 1, 1, 1, 1]) / 4) / 8
        after = int(found.contexts[0, 2])
        assert np.allclose(chances[after], (np.array([0, 0, 0.25, 2.25, 0]) + 1.5 * lower) / 4)


@pytest.mark.parametrize("share", [0.0, 0.3, 1.0])
def test_two_language_models_as_one_share_what_each_gives(share: float) -> None:
    one = ngram([[2, 3, 2, 2], [3, 4, 1, 2]], 5, space=1, order=3, least=1)
    other = ngram([[4, 4, 2, 3, 4], [2, 3, 1, 2, 3, 3]], 5, space=1, order=4, least=1)
    both = mixed(one, other, share)
    assert len(both.scores) <= len(one.scores) + len(other.scores)
    random, states = np.random.default_rng(0), [0, 0, 0]
    for symbol in random.integers(1, 5, 60):
        left, right, made = (
            float(np.exp(m.scores[s, symbol])) for m, s in zip((one, other, both), states, strict=True)
        )
        assert np.isclose(made, share * left + (1 - share) * right, rtol=1e-5)
        states = [int(m.contexts[s, symbol]) for m, s in zip((one, other, both), states, strict=True)]
    with pytest.raises(TrainingError, match=r"share = 1\.5 is not from 0 to 1"):
        mixed(one, other, 1.5)


def test_a_language_model_knows_its_texts_better_than_others() -> None:
    texts = [[2, 3, 4] * 4, [2, 3, 4] * 2]
    found = ngram(texts, 5, order=3, least=1)
    assert found.bits(texts) < 1 < 2 < found.bits([[4, 3, 2] * 4])
