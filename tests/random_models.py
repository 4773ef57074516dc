"""Random models and inputs for tests: each front end, layer kind, direction, depth and odd size.

@given(cases())
def test(case): ... case.network, case.signal, case.pieces(cuts), events_bits(events)
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from itertools import pairwise
from typing import Any

import numpy as np
from hypothesis import strategies as st

from ostinato.events import Event
from ostinato.model import Network
from ostinato.model.activation import Activation
from ostinato.model.decoders import Ctc, Labels, Outputs, SequenceClass
from ostinato.model.front_ends import Frames, LogMel, Tokens
from ostinato.model.layers import Dense, Direction, Embedding, Gru, Layer, Lstm, OneHot, Rnn, Softmax
from ostinato.model.quantization import quantize
from ostinato.model.specification import Sequential, Specification
from ostinato.pipeline import front_end

HIDDEN = (1, 2, 5, 7, 16, 17, 33)
ACTIVATIONS = ("tanh", "relu", "sigmoid", "softsign", "leaky-relu", "hard-sigmoid", "elu", "softplus", "scaled-tanh")
VOCABULARY = tuple("abcdefg ")


@dataclass(frozen=True)
class Case:
    """A network and an input for it, of `length` samples, tokens or frames."""

    network: Network
    signal: Any
    sample_rate: int | None = None

    @property
    def length(self) -> int:
        return len(self.signal)

    def pieces(self, cuts: Iterable[int]) -> list[Any]:
        """The signal cut at ``cuts`` (any numbers; taken modulo the length). Some pieces may be empty."""
        places = [0, *sorted(cut % (self.length + 1) for cut in cuts), self.length]
        return [self.signal[a:b] for a, b in pairwise(places)]


def network(specification: Specification, seed: int = 0) -> Network:
    """A random network none of whose weights is zero, so that every weight matters to the outputs."""
    start = Network.random(specification, seed)
    generator = np.random.default_rng(seed + 1)
    weights = {
        name: (array + generator.uniform(-0.3, 0.3, array.shape)).astype(np.float32)
        for name, array in start.weights.items()
    }
    for node in specification.nodes:
        if isinstance(node.layer, Rnn):  # some activations have no bound: keep their states from growing without end
            for way in node.layer.directions:
                R = weights[f"{node.name}.{way}.R"]
                R /= np.float32(1.2 * np.linalg.norm(R, 2))
    return Network(specification, weights)


def quantized(network: Network, seed: int = 0) -> Network:
    """The network in int8, where it has anything that can be."""
    front = front_end(network.specification.front_end, network.weights)
    length = 4000 if isinstance(network.specification.front_end, LogMel) else 20
    frames = front.step(front.start(), front.check(signal(network.specification, length, seed)))
    return quantize(network, [frames])


@st.composite
def layers(draw: st.DrawFn, direction: str, depth: int) -> list[Layer]:
    """``depth`` recurrent layers of the direction ("bidirectional": at least one looks back) and an output layer."""
    made: list[Layer] = []
    looking_back = draw(st.integers(0, depth - 1))
    for i in range(depth):
        way: Direction = "forward"
        if direction == "bidirectional":
            ways: tuple[Direction, ...] = ("forward", "backward", "bidirectional")
            way = draw(st.sampled_from(ways[1:] if i == looking_back else ways))
        size = draw(st.sampled_from(HIDDEN))
        kind = draw(st.sampled_from(("rnn", "gru", "lstm")))
        if kind == "rnn":
            name: Any = draw(st.sampled_from(ACTIVATIONS))
            made.append(Rnn(size, direction=way, activation=Activation(name)))
        elif kind == "gru":
            made.append(Gru(size, direction=way, reset=draw(st.sampled_from(("after", "before")))))
        else:
            made.append(Lstm(size, direction=way, peepholes=draw(st.booleans())))
    if draw(st.booleans()):
        outputs = draw(st.integers(2, 5))
        made += [Dense(outputs), Softmax()]
    return made


@st.composite
def specifications(
    draw: st.DrawFn, fronts: Sequence[str] = ("frames", "tokens", "audio"), direction: str | None = None
) -> Specification:
    """A specification with one of the front ends ``fronts``; ``direction`` None draws either."""
    front: Any = draw(st.sampled_from(fronts))
    bottom: list[Layer] = []
    if front == "frames":
        front_end: Any = Frames(draw(st.sampled_from((1, 3, 16, 19))))
    elif front == "tokens":
        front_end = Tokens(VOCABULARY)
        bottom = [Embedding(5) if draw(st.booleans()) else OneHot()]
    else:
        stack = draw(st.sampled_from((1, 3)))
        front_end = LogMel(
            sample_rate=8000,
            mels=13,
            high_hz=3900.0,
            stack=stack,
            stride=draw(st.integers(1, stack)),
            normalise=draw(st.booleans()),
            convention=draw(st.sampled_from(("kaldi", "slaney"))),
        )
    wanted = direction or draw(st.sampled_from(("unidirectional", "bidirectional")))
    made = bottom + draw(layers(wanted, draw(st.integers(1, 3))))
    decoder: Any = Outputs()
    chain = Sequential("random", front_end, made, decoder)
    names = tuple(f"n{i}" for i in range(chain.output_size))
    if isinstance(made[-1], Softmax):
        decoder = draw(st.sampled_from((Outputs(), Labels(names), Ctc(names), SequenceClass(names, pool="mean"))))
    return Sequential("random", front_end, made, decoder)


@st.composite
def cases(
    draw: st.DrawFn, fronts: Sequence[str] = ("frames", "tokens", "audio"), direction: str | None = None
) -> Case:
    """A random network, float32 or int8, and an input for it."""
    specification = draw(specifications(fronts, direction))
    seed = draw(st.integers(0, 1000))
    front = specification.front_end
    rate = None
    if isinstance(front, LogMel):
        rate = draw(st.sampled_from((None, 8000, 11025, 44100)))
        seconds = draw(st.floats(0.0, 0.6))
        length = int(seconds * (rate or 8000))
    else:
        length = draw(st.integers(0, 60))
    made = network(specification, seed)
    if draw(st.booleans()):
        made = quantized(made, seed)
    return Case(made, signal(specification, length, seed), rate)


def signal(specification: Specification, length: int, seed: int) -> Any:
    """A random input of ``length`` samples, tokens or frames."""
    generator = np.random.default_rng(seed)
    front = specification.front_end
    if isinstance(front, LogMel):
        loudness = np.repeat(generator.uniform(0, 0.3, length // 500 + 1), 500)[:length]
        return (generator.normal(size=length) * loudness).astype(np.float32)
    if isinstance(front, Tokens):
        return "".join(generator.choice(list(front.vocabulary), length))
    return generator.normal(size=(length, front.size)).astype(np.float32)


def bits(events: Iterable[Event]) -> list[tuple[Any, ...]]:
    """The events as something that is equal exactly if all their bits are."""
    return [
        (
            e.kind,
            e.frame,
            e.time_ms.hex(),
            e.text,
            e.index,
            float(e.probability).hex(),
            e.utterance,
            e.utterance_ms.hex(),
            None if e.values is None else e.values.tobytes(),
        )
        for e in events
    ]
