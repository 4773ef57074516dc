"""Random models and inputs for tests: graphs of each front end, kind of layer (`kinds`), direction and odd size.

@given(cases())
def test(case): ... case.network, case.signal, case.pieces(cuts), events_bits(events)
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, replace
from itertools import pairwise
from typing import Any

import numpy as np
from hypothesis import assume
from hypothesis import strategies as st
from kinds import KINDS, Kind, sensible
from kinds.joining import JoiningKind
from kinds.recurrent import RecurrentKind

from ostinato.errors import BadModelFileError
from ostinato.events import Event
from ostinato.model import Network, quantization
from ostinato.model.activation import SIGMOID
from ostinato.model.decoders import (
    Audio,
    Beats,
    Crf,
    Ctc,
    CtcBeam,
    Decoder,
    EndOfSpeech,
    Generation,
    InverseSpectrum,
    Labels,
    Outputs,
    OverlapAdd,
    Peaks,
    RnnoiseSynthesis,
    SequenceClass,
    SequenceOutputs,
    SpeechActivity,
)
from ostinato.model.front_ends import Audio as AudioFrontEnd
from ostinato.model.front_ends import (
    FilteredSpectrogram,
    Frames,
    FrontEnd,
    LogMel,
    Mfcc,
    RnnoiseFeatures,
    Samples,
    Spectrum,
    Tokens,
)
from ostinato.model.layers import (
    Attention,
    Concatenate,
    Dense,
    Direction,
    Embedding,
    Gru,
    Last,
    Layer,
    Lstm,
    OneHot,
    Rnn,
    Slice,
    Softmax,
    Sru,
)
from ostinato.model.rnnoise import BANDS, FEATURES
from ostinato.model.specification import FRAMES, Head, Node, Specification
from ostinato.model.wire import Wire
from ostinato.pipeline import front_end

VOCABULARY = tuple("abcdefg ")


@dataclass(frozen=True)
class Case:
    """A network, an input for it, of `length` samples, tokens or frames, and the name of one of its heads."""

    network: Network
    signal: Any
    sample_rate: int | None = None
    head: str | None = None

    @property
    def options(self) -> dict[str, Any]:
        """How its streams are opened."""
        return {"sample_rate": self.sample_rate, "head": self.head}

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
    places = {name for name in weights if name.endswith(".contexts")}  # rows of a table, none of which is a number
    weights |= {name: start.weights[name] for name in places}
    for node in specification.nodes:
        own = {name: weights[f"{node.name}.{name}"] for name in node.layer.weights(specification.inputs(node))}
        weights |= {
            f"{node.name}.{name}": array for name, array in KINDS[node.layer.kind].tamed(node.layer, own).items()
        }
    made = sensible(specification, weights)
    if specification.encoder is not None:
        below = network(specification.encoder, seed)
        made |= {f"encoder.{name}": array for name, array in below.weights.items()}
    return Network(specification, made)


def quantized(network: Network, seed: int = 0) -> Network:
    """The network in int8, where it has anything that can be."""
    try:
        quantization.quantized(network.specification)
    except BadModelFileError:  # a graph that has nothing (an elementwise recurrence above token ids, say)
        return network
    reads = network.encoder or network
    front = front_end(reads.specification.front_end, reads.weights)
    length = 4000 if isinstance(reads.specification.front_end, AudioFrontEnd) else 20
    frames = front.step(front.start(), front.check(signal(reads.specification, length, seed)))
    if network.encoder is None:
        return quantization.quantize(network, [frames])
    tokens = np.random.default_rng(seed).integers(len(VOCABULARY), size=(20, 1)).astype(np.float32)
    return quantization.quantize(network, [quantization.Written(frames, tokens)])


def made_frames(network: Network, signal: Any) -> Any:
    """What the front end makes of frames that are given: the networks' input."""
    front = front_end(network.specification.front_end, network.weights)
    return front.step(front.start(), front.check(signal))


@st.composite
def front_ends(draw: st.DrawFn, fronts: Sequence[str]) -> FrontEnd:
    """One of the kinds ``fronts``; "audio" is any that takes it."""
    front = draw(st.sampled_from(fronts))
    if front == "frames":
        return Frames(draw(st.sampled_from((1, 3, 16, 19))), normalise=draw(st.booleans()))
    if front == "tokens":
        return texts(draw)
    audio = mel_bands(), filtered_spectrograms(), samples(), spectra(), st.just(RnnoiseFeatures(16000))
    return draw(draw(st.sampled_from(audio)))


def texts(draw: st.DrawFn) -> Tokens:
    """Characters, perhaps with tokens of their own around a text."""
    entry = st.sampled_from((None, 0, 5))
    return Tokens(VOCABULARY, begin=draw(entry), end=draw(entry))


@st.composite
def samples(draw: st.DrawFn) -> Samples:
    """Of any overlap."""
    hop = draw(st.integers(40, 90))
    return Samples(8000, hop + draw(st.sampled_from((0, 1, 30))), hop, pad=draw(st.booleans()))


@st.composite
def spectra(draw: st.DrawFn) -> Spectrum:
    """Of any window and parts."""
    hop, padding = draw(st.integers(40, 80)), draw(st.sampled_from(("causal", "none", "reflect", "constant")))
    size = hop + draw(st.sampled_from((0, 20, 80)))
    outputs = draw(
        st.lists(st.sampled_from(("real", "imaginary", "magnitude", "log-power")), min_size=1, unique=True)
    )
    return Spectrum(
        8000,
        size,
        hop,
        fft_size=draw(st.sampled_from((None, 160))),
        window=draw(st.sampled_from(("rect", "hann", "vorbis"))),
        place=draw(st.sampled_from(("start", "middle"))),
        padding=padding,
        pad=padding == "causal" and draw(st.booleans()),
        outputs=tuple(outputs),
    )


@st.composite
def filtered_spectrograms(draw: st.DrawFn) -> FilteredSpectrogram:
    """Of two windows."""
    return FilteredSpectrogram(
        sample_rate=8000,
        windows=(256, 400),
        bands_per_octave=(3, 6),
        low_hz=100.0,
        high_hz=3900.0,
        diff_ratio=draw(st.sampled_from((None, 0.3))),
        origin=draw(st.sampled_from(("online", "centre"))),
    )


@st.composite
def mel_bands(draw: st.DrawFn) -> FrontEnd:
    """Log-mel or cepstra, of any convention."""
    stack = draw(st.sampled_from((1, 3)))
    shared: dict[str, Any] = {
        "sample_rate": 8000,
        "mels": 13,
        "high_hz": 3900.0,
        "stack": stack,
        "stride": draw(st.integers(1, stack)),
        "normalise": draw(st.booleans()),
        "convention": draw(st.sampled_from(("kaldi", "slaney", "htk"))),
        "origin": draw(st.sampled_from(("start", "centre"))),
    }
    if draw(st.booleans()):
        energy = shared["convention"] == "kaldi" and draw(st.booleans())
        return Mfcc(**shared, coefficients=draw(st.integers(1, 13)), energy=energy)
    return LogMel(
        **shared, log=draw(st.sampled_from(("natural", "log10", "db"))), power=draw(st.sampled_from((1, 2)))
    )


@st.composite
def specifications(
    draw: st.DrawFn,
    fronts: Sequence[str] = ("frames", "tokens", "audio"),
    direction: str | None = None,
    heads: int = 3,
) -> Specification:
    """A graph above one of the front ends ``fronts``; ``direction`` None draws either. One node at least recurs.

    The first head reads the last node, which depends on one of the direction; up to ``heads`` read any."""
    front_end = draw(front_ends(fronts))
    graph = Graph(draw, front_end.wire)
    if isinstance(front_end, RnnoiseFeatures):
        graph.narrow(FEATURES)
    wanted = direction or draw(st.sampled_from(("unidirectional", "bidirectional")))
    ways: tuple[Direction, ...] = ("forward",)
    if wanted == "bidirectional":
        ways = ("forward", "backward", "bidirectional")
    for _ in range(draw(st.integers(0, 4))):
        graph.add(RECURRENT if draw(st.booleans()) else OTHERS, ways)
    graph.add(RECURRENT, ways[1:] or ways)
    for _ in range(draw(st.integers(0, 2))):
        graph.add(RECURRENT if draw(st.booleans()) else OTHERS, ways)
    if draw(st.booleans()):
        graph.gather()
    read, recurrent = graph.read_by(graph.last), [kind.layer.kind for kind in RECURRENT]
    if not any(node.layer.backward if len(ways) > 1 else node.layer.kind in recurrent for node in read):
        graph.append(Gru(2, direction=ways[-1]))
    if draw(st.booleans()):
        graph.append(Dense(draw(st.integers(2, 5))))
        graph.append(Softmax())
    made = [graph.head("main", graph.last)]
    nodes = [name for name, wire in graph.wires.items() if not wire.token]
    made += [graph.head(name, draw(st.sampled_from(nodes))) for name in HEADS[1 : draw(st.integers(1, heads))]]
    if isinstance(front_end, RnnoiseFeatures) and len(made) < heads:
        made.append(graph.suppressing(HEADS[len(made)]))
    return Specification("random", front_end, tuple(graph.read_by(*(head.node for head in made))), tuple(made))


@st.composite
def language_models(draw: st.DrawFn) -> Specification:
    """A causal graph above tokens whose only head gives logits or probabilities of what comes next."""
    front_end = Tokens(VOCABULARY)
    graph = Graph(draw, front_end.wire)
    for _ in range(draw(st.integers(0, 3))):
        graph.add(RECURRENT if draw(st.booleans()) else OTHERS, ("forward",))
    graph.add(RECURRENT, ("forward",))
    if draw(st.booleans()):
        graph.gather()
    graph.append(Dense(len(VOCABULARY)))
    if draw(st.booleans()):
        graph.append(Softmax())
    entry = st.sampled_from((None, 0, 5))
    nodes = tuple(graph.read_by(graph.last))
    plain = Specification("language-model", front_end, nodes, (Head("main", graph.last, Outputs()),))
    assume(len(plain.staging.stages) == 1)  # what re-frames cannot feed itself
    decoder = Generation(draw(entry), draw(entry), draw(st.integers(1, 40)))
    return replace(plain, heads=(replace(plain.heads[0], decoder=decoder),))


@st.composite
def encoder_decoders(
    draw: st.DrawFn, fronts: Sequence[str] = ("frames", "tokens", "audio"), direction: str | None = None
) -> Specification:
    """Any graph as the encoder; above it one that generates, which looks up what one or two of its nodes give."""
    encoder = draw(specifications(fronts, direction, heads=2))
    heads = tuple(replace(head, decoder=Outputs()) for head in encoder.heads)
    keys, values = (f"encoder.{head.name}" for head in (heads[0], heads[-1]))
    size, width = encoder.wires[heads[0].node].size, encoder.wires[heads[-1].node].size
    graph = Graph(draw, Tokens(VOCABULARY).wire)
    graph.append(draw(st.sampled_from((Embedding(5), OneHot()))))
    graph.wires |= {name: Wire(n, memory=True) for name, n in {keys: size, values: width}.items()}
    begun = draw(st.booleans())
    kinds = (Gru(size), Rnn(size), Lstm(size), Sru(size, highway="projected")) if size <= 64 else ()
    layer = draw(st.sampled_from(kinds)) if begun and kinds else Gru(draw(st.sampled_from((3, 16, 17))))
    below = graph.nodes[-1].name
    graph.append(layer, (below, keys) if layer.hidden == size and begun else (below,))
    state = read = graph.nodes[-1].name
    if layer.hidden != size:
        graph.append(Dense(size), (state,))
        read = graph.nodes[-1].name
    graph.append(
        draw(st.sampled_from((Attention(), Attention("additive"), Attention(scale=0.3)))), (read, keys, values)
    )
    joined = [state, graph.nodes[-1].name]
    if draw(st.booleans()):
        graph.append(Last(), (values,))
        joined.append(graph.nodes[-1].name)
    graph.append(Concatenate(), tuple(joined))
    graph.append(Dense(len(VOCABULARY)), (graph.nodes[-1].name,))
    if draw(st.booleans()):
        graph.append(Softmax(), (graph.nodes[-1].name,))
    decoder = Generation(draw(st.sampled_from((0, 5))), draw(st.sampled_from((None, 0, 5))), draw(st.integers(1, 40)))
    made = (Head("main", graph.nodes[-1].name, decoder),)
    encoder = replace(encoder, heads=heads)
    return Specification("encoder-decoder", Tokens(VOCABULARY), tuple(graph.nodes), made, encoder=encoder)


METHODS = st.sampled_from(("forward", "viterbi"))
HEADS = ("main", "other", "third")
RECURRENT = [kind for kind in KINDS.values() if isinstance(kind, RecurrentKind)]
JOINING = [kind for kind in KINDS.values() if isinstance(kind, JoiningKind)]
OTHERS = [kind for kind in KINDS.values() if kind not in RECURRENT] + 5 * [KINDS["within"]]
"""The last more often than others, as it may hold any of them."""


class Graph:
    """Nodes that are drawn one after the other. Each reads what the one before it gives, or any that is there."""

    def __init__(self, draw: st.DrawFn, frames: Wire) -> None:
        self.draw = draw
        self.frames = frames
        self.nodes: list[Node] = []
        self.wires = {FRAMES: frames}

    def add(self, kinds: Sequence[Kind], directions: Sequence[Direction]) -> None:
        """A node of one of the kinds; none, if no such can read what there is."""
        before = self.last
        for kind in self.draw(st.permutations(kinds)):
            if drawn := kind.drawn(self.draw, self.wires, directions):
                self.append(*drawn)
                return
        if self.wires[before].form == "id":  # tokens: what can read them comes first
            self.append(self.draw(st.sampled_from((Embedding(5), OneHot()))))
            self.add(kinds, directions)

    def gather(self) -> None:
        """A node that joins what nobody reads, as far as it fits together: branches of an ensemble, a skip."""
        read = {name for node in self.nodes for name in node.inputs}
        kind = self.draw(st.sampled_from(JOINING))
        chosen: list[str] = []
        for name in [name for name in reversed(self.wires) if name not in read]:
            if kind.takes(kind.layer(), [self.wires[each] for each in (*chosen, name, name)]):
                chosen.append(name)
        if len(chosen) > 1:
            self.append(kind.layer(), tuple(self.draw(st.permutations(chosen))))

    def append(self, layer: Layer, inputs: tuple[str, ...] = ()) -> None:
        """A node, which reads the one before it unless told otherwise."""
        name = f"{layer.kind}-{len(self.nodes) + 1}"
        self.nodes.append(Node(name, layer, inputs or (self.last,)))
        self.wires[name] = layer.output([self.wires[each] for each in self.nodes[-1].inputs])

    @property
    def last(self) -> str:
        """The last node."""
        return list(self.wires)[-1]

    def head(self, name: str, node: str) -> Head:
        """A head that reads ``node``, with one of the decoders that can."""
        size = self.wires[node].size
        names = tuple(f"{name}-{i}" for i in range(size))
        fit: list[Decoder] = [
            Outputs(),
            Crf(names, self.draw(st.sampled_from((None, 0, 3)))),
            SequenceOutputs(size, "mean"),
        ]
        if self.wires[node].probabilities:
            index = self.draw(st.integers(0, size - 1))
            fit += [
                Labels(names),
                Ctc(names),
                self.beam(names),
                SequenceClass(names),
                SequenceClass(names, pool="mean"),
            ]
            later = self.draw(st.sampled_from((0.0, 20.0)))
            fit += [Peaks(names, 0.1, pre_max_ms=20.0, post_avg_ms=later, post_max_ms=later)]
            fit += [Beats(index, 100, 250, tempi=6, observation_lambda=4.0, method=self.draw(METHODS))]
            fit += [EndOfSpeech(index, min_speech_ms=20.0, silence_ms=30.0)]
            fit += [SpeechActivity(index, min_speech_ms=self.draw(st.sampled_from((0.0, 30.0))), min_silence_ms=30.0)]
        if self.draw(st.booleans()):
            fit = self.audio(size)
        return Head(name, node, self.draw(st.sampled_from(fit)))

    def beam(self, names: tuple[str, ...]) -> CtcBeam:
        """Prefix beam search, now and then with a language, and with hotwords."""
        heard = self.draw(st.sampled_from(((), names[-1:], (f"{names[-1]} {names[-1]}",)))) if len(names) > 1 else ()
        return CtcBeam(
            names, width=self.draw(st.sampled_from((1, 3, 16))), lag=self.draw(st.sampled_from((0, 3, 60))),
            number_of_contexts=self.draw(st.sampled_from((1, 5))), language_weight=0.7, insertion_bonus=1.0,
            hotwords=heard, hotword_boost=1.5,
        )  # fmt: skip

    def audio(self, size: int) -> list[Decoder]:
        """Decoders that make audio of so many outputs."""
        hop, block = self.draw(st.integers(1, size)), self.draw(st.sampled_from((None, 1, 5, 64)))
        trimmed = {"trim_start": size - hop, "trim_end": size - hop} if self.draw(st.booleans()) else {}
        fit: list[Decoder] = [
            Audio(size, block),
            OverlapAdd(size, hop, "rect", normalise=True, block=block, **trimmed),
        ]
        if size % 2 == 0 and size > 2:
            own = self.draw(st.integers(size // 2, size - 2))
            fit.append(InverseSpectrum(own, self.draw(st.integers(1, own // 2)), size - 2, "hamming", block=block))
        return fit

    def narrow(self, size: int) -> None:
        """All that follows reads the first ``size`` values of large frames, not these themselves."""
        self.append(Slice(0, size))
        self.frames = self.wires.pop(FRAMES)

    def suppressing(self, name: str) -> Head:
        """A head that makes sound of gains, and of what RNNoise's front end analysed."""
        rest = RnnoiseSynthesis().outputs - BANDS
        self.wires[FRAMES] = self.frames
        self.append(Gru(3), (FRAMES,))
        self.append(Dense(BANDS, SIGMOID))
        gains = self.last
        self.append(Slice(self.frames.size - rest, rest), (FRAMES,))
        self.append(Concatenate(), (gains, self.last))
        return Head(name, self.last, RnnoiseSynthesis(self.draw(st.sampled_from((None, 100, 1000)))))

    def read_by(self, *names: str) -> list[Node]:
        """These nodes, and what they read, at however many removes."""
        read, kept = set(names), list[Node]()
        for node in reversed(self.nodes):
            if node.name in read:
                kept.append(node)
                read.update(node.inputs)
        return kept[::-1]


@st.composite
def cases(
    draw: st.DrawFn, fronts: Sequence[str] = ("frames", "tokens", "audio"), direction: str | None = None
) -> Case:
    """A random network, float32 or int8, and an input for it."""
    specification = draw(specifications(fronts, direction))
    seed = draw(st.integers(0, 1000))
    front = specification.front_end
    rate = None
    if isinstance(front, AudioFrontEnd):
        rate = draw(st.sampled_from((None, 8000, 11025, 44100)))
        seconds = draw(st.floats(0.0, 0.6))
        length = int(seconds * (rate or 8000))
    else:
        length = draw(st.integers(0, 60))
    made = network(specification, seed)
    if draw(st.booleans()):
        made = quantized(made, seed)
    return Case(made, signal(specification, length, seed), rate, draw(heads(specification, direction)))


def heads(specification: Specification, direction: str | None = None) -> st.SearchStrategy[str | None]:
    """The name of one of its heads, of that direction if one is named, or None for the first."""
    fit = [head for head in specification.heads if direction in (None, specification.direction_of(head))]
    return st.sampled_from((None, *(head.name for head in fit)))


def signal(specification: Specification, length: int, seed: int) -> Any:
    """A random input of ``length`` samples, tokens or frames."""
    generator = np.random.default_rng(seed)
    front = specification.front_end
    if isinstance(front, AudioFrontEnd):
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
