"""How right a model is, through its own streams: at a sentence's end, while it is read, and with bounded wait."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from typing import Any, NamedTuple

import numpy as np
import numpy.typing as npt

from ostinato.model.network import Network
from ostinato.streaming import Model
from ostinato.training.recipes.recipe import Progress
from ostinato.training.recipes.sentiment import figures
from ostinato.training.recipes.sentiment.examples import LABELLED, SCORED, Example, of_sets

F64 = npt.NDArray[np.float64]
LOOKAHEADS = (1, 2, 4, 8)
"""Pieces of words that bounded wait looks ahead."""
SHARES = tuple(range(10, 101, 10))
"""Per cent of a sentence's words."""


class Way(NamedTuple):
    """How a model is asked: with the whole sentence in sight (None: as it is made), or ``lookahead`` pieces beyond
    the one that it scores."""

    lookahead: int | None = None

    @property
    def name(self) -> str:
        """For people."""
        return "" if self.lookahead is None else f"look-ahead {self.lookahead}"

    @property
    def options(self) -> dict[str, Any]:
        """Of a stream: a piece is 1 ms."""
        return {} if self.lookahead is None else {"block_ms": 1.0, "lookahead_ms": float(self.lookahead)}


def ways(network: Network) -> list[Way]:
    """Those that there are."""
    return [Way()] if network.specification.direction == "unidirectional" else [Way(), *map(Way, LOOKAHEADS)]


class Answers(NamedTuple):
    """``figures``, as `figures` has them, and in which sentences (with a sign, of scores) a model is right."""

    figures: dict[str, Any]
    right: npt.NDArray[np.bool_]


def answers(model: Model, way: Way, examples: Sequence[Example]) -> Answers:
    """Of the sentences of one set, once each has ended."""
    if examples[0].source == LABELLED:
        given = np.array([_last(model, "class", way, example.text).argmax() for example in examples])
        right = given == np.array([example.label for example in examples])
        return Answers(figures.of_classes(examples, right), right)
    scores = np.array([float(_last(model, "sentence", way, example.text)[0]) for example in examples])
    return Answers(figures.of_scores(examples, scores), figures.signs(examples, scores)[1])


def _last(model: Model, head: str, way: Way, text: str) -> npt.NDArray[np.float32]:
    """What a head says of the sentence."""
    with model.stream(head=head, **way.options) as stream:
        events = [*stream.push(text), *stream.flush()]
    for event in events:
        if event.values is not None:
            return event.values
    return np.zeros(len(model.heads.find(head, None).settings.names) or 1, np.float32)  # of an empty sentence


def running(model: Model, way: Way, text: str) -> list[float | None]:
    """The score after each word, as it is shown then: None before there is one. The last is the sentence's own."""
    shown: float | None = None
    found: list[float | None] = []
    with model.stream(head="score", **way.options) as stream:
        for word in text.split():
            for event in stream.push(f"{word} "):
                if event.values is not None:
                    shown = float(event.values[0])
            found.append(shown)
    if found:
        found[-1] = float(_last(model, "sentence", way, text)[0])
    return found


def while_read(model: Model, way: Way, examples: Sequence[Example]) -> list[float]:
    """The correlation of the score shown with people's, after `SHARES` of the words; nothing shown counts as 0."""
    shown = [running(model, way, example.text) for example in examples]
    wanted = np.array([example.score for example in examples])
    curve = []
    for share in SHARES:
        places = [max(1, round(share / 100 * len(each))) - 1 if each else None for each in shown]
        given = [each[at] or 0.0 if at is not None else 0.0 for each, at in zip(shown, places, strict=True)]
        curve.append(float(np.corrcoef(given, wanted)[0, 1]) if np.std(given) else 0.0)
    return curve


def test(network: Network, examples: Sequence[Example], progress: Progress) -> dict[str, Any]:
    """{"ways": {way: {set: figures}}, "running": {"share": …, way: {set: correlations}}}, and beside it "right" for
    the first way, by set, to be compared with others' (`figures.better`)."""
    model, sets = Model(network), of_sets(examples)
    jobs = list(_jobs(network, sets))
    found: dict[str, Any] = {"ways": {}, "running": {"share": list(SHARES)}, "right": {}}
    for done, (way, source) in enumerate(jobs):
        progress(f"testing {network.specification.name}", done, len(jobs))
        given = answers(model, way, sets[source])
        found["ways"].setdefault(way.name, {})[source] = given.figures
        if way.lookahead is None:
            found["right"][source] = given.right
        if source in SCORED:
            found["running"].setdefault(way.name, {})[source] = while_read(model, way, sets[source])
    progress(f"testing {network.specification.name}", len(jobs), len(jobs))
    return found


def _jobs(network: Network, sets: Mapping[str, Sequence[Example]]) -> Iterator[tuple[Way, str]]:
    for way in ways(network):
        for source, examples in sets.items():
            if examples:
                yield way, source
