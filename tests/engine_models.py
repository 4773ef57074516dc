"""Small models and a driver for the tests of the engine and the server."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Hashable
from dataclasses import replace
from functools import cache
from typing import Any

import numpy as np
from random_models import VOCABULARY, network

from ostinato.engine import Answer, Engine
from ostinato.events import Event
from ostinato.model.decoders import Ctc, Generation, Labels, Outputs, SequenceClass
from ostinato.model.front_ends import Frames, LogMel, Tokens
from ostinato.model.layers import Attention, Concatenate, Dense, Direction, Embedding, Gru, Lstm, OneHot, Softmax
from ostinato.model.specification import Head, Node, Sequential, Specification
from ostinato.streaming import Model

LABELS = Labels(("a", "b", "c"))
LETTERS = Tokens(VOCABULARY)
HEAD = (Dense(3), Softmax())
SPECIFICATIONS = {
    "frames": Sequential("frames", Frames(3), (Gru(5), *HEAD), LABELS),
    "frames-bi": Sequential("frames-bi", Frames(3), (Lstm(5, direction="bidirectional"),), Outputs()),
    "audio": Sequential("audio", LogMel(mels=13), (Gru(5), *HEAD), LABELS),
    "audio-bi": Sequential(
        "audio-bi", LogMel(mels=13), (Gru(5, direction="backward"), *HEAD), LABELS
    ),
    "text": Sequential("text", Tokens(tuple("abcd ")), (Embedding(3), Gru(5), *HEAD), LABELS),
}  # fmt: skip


def heads(direction: Direction = "forward") -> Specification:
    """Four heads: phones by their labels and in all, words, and what the body below both gives."""
    nodes = (
        Node("body", Gru(5, direction=direction), ("frames",)),
        Node("low", Dense(3), ("body",)),
        Node("phones", Softmax(), ("low",)),
        Node("above", Lstm(4), ("low",)),
        Node("high", Dense(4), ("above",)),
        Node("words", Softmax(), ("high",)),
    )
    made = (
        Head("phones", "phones", Labels(("p", "t", "k"))),
        Head("words", "words", Ctc(("", "one", "two", "three"))),
        Head("body", "body", Outputs()),
        Head("all", "phones", SequenceClass(("p", "t", "k"), pool="mean")),
    )
    return Specification("heads", Frames(3), nodes, made)


def mixed() -> Specification:
    """`heads` that tell phones at once, and words once the utterance has ended."""
    made = heads()
    nodes = tuple(
        replace(node, layer=replace(node.layer, direction="bidirectional")) if node.name == "above" else node
        for node in made.nodes
    )
    return replace(made, nodes=nodes)


@cache
def model(name: str) -> Model:
    """A model by name; kept, so that its streams meet each other's in all tests."""
    return Model(network(SPECIFICATIONS[name]))


def models(*names: str) -> dict[str, Model]:
    """Models by name; all if none is named."""
    return {name: model(name) for name in names or SPECIFICATIONS}


def frames(count: int, seed: int = 0) -> np.ndarray:
    """Input for the models of frames."""
    return np.random.default_rng(seed).normal(size=(count, 3)).astype(np.float32)


def sound(seconds: float, seed: int = 0) -> np.ndarray:
    """Input for the models of audio, 16 kHz."""
    return (np.random.default_rng(seed).normal(size=int(16000 * seconds)) * 3000).astype(np.int16)


def run(engine: Engine, most: int = 100_000) -> dict[Hashable, list[Answer]]:
    """Tick until nothing waits; the results by stream."""
    found: dict[Hashable, list[Answer]] = defaultdict(list)
    for _ in range(most):
        if not engine.busy:
            return found
        for result in engine.tick():
            found[result.key].append(result)
    raise AssertionError(f"the engine is still busy after {most} ticks")


def events(results: list[Answer]) -> list[Event]:
    """All events of some results."""
    return [event for result in results for event in result.events]


def encoder_decoder(backward: bool = False, **decoder: Any) -> Model:
    """One that makes letters of letters, by attention to an encoder that runs forward, or in both directions."""
    layer = Gru(3, direction="bidirectional") if backward else Gru(6)
    encoder = Specification(
        "reader", LETTERS, (Node("one-hot", OneHot(), ("frames",)), Node("gru", layer, ("one-hot",))),
        (Head("made", "gru", Outputs()),),
    )  # fmt: skip
    nodes = (
        Node("embedding", Embedding(4), ("frames",)),
        Node("gru", Gru(6), ("embedding", "encoder.made")),
        Node("attention", Attention(), ("gru", "encoder.made", "encoder.made")),
        Node("both", Concatenate(), ("gru", "attention")),
        Node("out", Dense(len(VOCABULARY)), ("both",)),
    )
    head = Head("main", "out", Generation(**{"start": 0, **decoder}))
    return Model(network(Specification("letters", LETTERS, nodes, (head,), encoder=encoder)))
