"""Prints digests of kernel results on fixed inputs: float32, int8, numbers around the smallest normal one, each of
`LATER`, of `JOINS`, of activations, of sound, …; run for several targets by test_kernels_compilation."""

from __future__ import annotations

import hashlib
from collections.abc import Iterator
from typing import Any

import numpy as np
import numpy.typing as npt

from ostinato.activations import FUNCTIONS
from ostinato.kernels import arrays
from ostinato.kernels.program import Workspace, advance
from ostinato.model import Network
from ostinato.model.activation import Activation
from ostinato.model.compile import compile_network
from ostinato.model.decoders import Beats, Crf, Generation, InverseSpectrum, Outputs, Peaks, RnnoiseSynthesis
from ostinato.model.front_ends import FilteredSpectrogram, Frames, LogMel, Mfcc, RnnoiseFeatures, Spectrum, Tokens
from ostinato.model.layers import (
    Activate,
    Add,
    Attention,
    Concatenate,
    Convolution,
    Dense,
    Each,
    Gather,
    Gru,
    Last,
    Layer,
    LayerNorm,
    Lru,
    Lstm,
    Mean,
    MinGru,
    MinLstm,
    Multiply,
    OneHot,
    PRelu,
    Rnn,
    Scale,
    Slice,
    Softmax,
    Sru,
    Transpose,
    TransposedConvolution,
    Within,
)
from ostinato.model.quantization import quantize
from ostinato.model.specification import Head, Node, Sequential, Specification
from ostinato.model.whole_sequence import whole_sequence
from ostinato.pipeline import decoder, front_end, pack
from ostinato.pipeline.beam import extend, length_weight
from ostinato.pipeline.decoders.inverse_spectrum import InverseSpectrumDecoder
from ostinato.pipeline.decoders.rnnoise_synthesis import RnnoiseSynthesisDecoder
from ostinato.pipeline.front_ends.log_mel import LogMelFrontEnd
from ostinato.pipeline.front_ends.rnnoise_features import RnnoiseFeaturesFrontEnd
from ostinato.pipeline.front_ends.spectrum import SpectrumFrontEnd
from ostinato.pipeline.resample import resampler
from ostinato.pipeline.sampling import draw
from ostinato.sampling import Sampling

Floats = npt.NDArray[np.float32]
FIRST_FUNCTIONS = tuple(name for name, function in FUNCTIONS.items() if function.number < 12)
"""Those of the digests of `main` and `tiny`."""


def main() -> None:
    rng = np.random.default_rng(0)
    digest = hashlib.sha256()
    odd = [0.0, -0.0, np.inf, -np.inf, 3e38]
    x = np.concatenate([rng.uniform(-20, 20, 1000), rng.uniform(-1e-3, 1e-3, 1000), odd]).astype(np.float32)
    for name in FIRST_FUNCTIONS:
        digest.update(arrays.activate(name, x).tobytes())
    digest.update(arrays.exp(x).tobytes() + arrays.log(np.abs(x)).tobytes())
    digest.update(
        arrays.multiply(arrays.pack_matrix(rng.uniform(-1, 1, (33, 50))), x[:330].reshape(10, 33)).tobytes()
    )
    for hidden in (7, 64, 100):
        layers = (
            Gru(hidden),
            Gru(hidden, reset="before"),
            Lstm(hidden, direction="bidirectional", peepholes=True),
            Rnn(hidden),
            Dense(11),
            Softmax(),
        )
        specification = Sequential("golden", Frames(13), layers, Outputs())
        weights = {
            name: rng.uniform(-0.3, 0.3, weight.shape).astype(np.float32)
            for name, weight in specification.weights().items()
        }
        program = compile_network(specification, weights).program
        rows, state = program.new_rows(50), program.new_states(9)
        rows[:, program.input.slice] = rng.uniform(-1, 1, (50, 13))
        sizes = np.array([9] * 5 + [1] * 5, np.int64)
        advance(program, state, np.arange(9), sizes, rows, Workspace())
        digest.update(rows[:, program.output.slice].tobytes() + state.tobytes())
    print(digest.hexdigest())
    print(int8())
    print(tiny())
    for name in LATER:
        print(later(name))
    print(of_network(Specification("golden", Frames(13), JOINS, (Head("main", "y", Outputs()),))))
    print(activations())
    print(sound())
    print(bands_and_paths())
    print(rnnoise())
    print(draws())
    print(looked_up())
    print(beams())


def int8() -> str:
    """The digest of int8 networks of all kinds of cells, on batches of several sizes."""
    rng = np.random.default_rng(1)
    digest = hashlib.sha256()
    for hidden in (7, 64, 100):
        layers = (
            Dense(33),
            Gru(hidden),
            Gru(hidden, reset="before"),
            Lstm(hidden, direction="bidirectional", peepholes=True),
            Rnn(11),
        )
        specification = Sequential("golden", Frames(13), layers, Outputs())
        weights = {
            name: rng.uniform(-0.3, 0.3, weight.shape).astype(np.float32)
            for name, weight in specification.weights().items()
        }
        network = Network(specification, weights)
        frames = rng.uniform(-1, 1, (50, 13)).astype(np.float32)
        program = quantize(network, [frames]).program
        rows, state = program.new_rows(50), program.new_states(9)
        rows[:, program.input.slice] = frames
        advance(program, state, np.arange(9), np.array([9] * 4 + [3] * 3 + [1] * 5, np.int64), rows, Workspace())
        digest.update(rows[:, program.output.slice].tobytes() + state.tobytes())
    return digest.hexdigest()


def tiny() -> str:
    """The digest of what comes near 2^-126, where numbers become zeros: activations, single multiply-adds, states
    that decay, audio that fades."""
    rng = np.random.default_rng(2)
    digest = hashlib.sha256()
    near = np.concatenate([around_the_smallest(rng, 4000), np.linspace(-104, -86, 500).astype(np.float32)])
    for name in FIRST_FUNCTIONS:
        digest.update(arrays.activate(name, near).tobytes())
    digest.update(arrays.exp(near).tobytes() + arrays.log(np.abs(near)).tobytes())
    digest.update(fused(*products_around_the_smallest(rng, 4096)).tobytes())
    for frames, network in decaying(rng):
        program = network.program
        rows, state = program.new_rows(len(frames)), program.new_states(1)
        rows[:, program.input.slice] = frames
        advance(program, state, np.zeros(1, np.int64), np.ones(len(frames), np.int64), rows, Workspace())
        digest.update(rows[:, program.output.slice].tobytes() + state.tobytes())
    fading = np.ldexp(rng.uniform(-1, 1, 9000), -(np.arange(9000) // 60)).astype(np.float32)
    front_end = LogMelFrontEnd(LogMel(sample_rate=8000, high_hz=4000.0, mels=20), {})
    for rate in (8000, 11025):
        faded = front_end.start(rate)
        digest.update(front_end.step(faded, fading).tobytes() + front_end.flush(faded).tobytes())
    digest.update(resampler(11025, 8000).step(resampler(11025, 8000).start(), fading).tobytes())
    return digest.hexdigest()


def sound() -> str:
    """The digest of spectra, even and odd, and of the audio that is made of them."""
    digest = hashlib.sha256()
    audio = np.random.default_rng(7).uniform(-1, 1, 3000).astype(np.float32)
    parts = ("real", "imaginary", "magnitude", "power", "log-power")
    for size in (64, 96, 75):
        front = SpectrumFrontEnd(Spectrum(8000, size, 30, window="hamming", outputs=parts), {})
        frames = front.step(front.start(), audio)
        spectra = np.ascontiguousarray(frames[:, : 2 * (size // 2 + 1)])
        back = InverseSpectrumDecoder(InverseSpectrum(size, 30, window="hamming"), 3.75, 0.0)
        state = back.start()
        events = back.step(state, spectra) + back.flush(state)
        digest.update(frames.tobytes() + b"".join(e.values.tobytes() for e in events if e.values is not None))
    return digest.hexdigest()


def rnnoise() -> str:
    """The digest of what RNNoise's front end makes of a voice and silence, and of the audio that gains make of it."""
    rng, t = np.random.default_rng(8), np.arange(24000)
    voice = (t % (300 + t // 480) / 400 + 0.2 * rng.uniform(-1, 1, 24000)) * (abs(t - 11000) > 2000) / 4
    front, back = (
        RnnoiseFeaturesFrontEnd(RnnoiseFeatures(), {}),
        RnnoiseSynthesisDecoder(RnnoiseSynthesis(), 10.0, 0.0),
    )
    frames = front.step(front.start(), voice.astype(np.float32))
    gains = rng.uniform(0, 1, (len(frames), 32)).astype(np.float32)
    events = back.step(back.start(), np.hstack([gains, frames[:, 65:]]))
    made = b"".join(event.values.tobytes() for event in events if event.values is not None)
    return hashlib.sha256(frames.tobytes() + made).hexdigest()


JOINS = (
    Node("a", Gru(20), ("frames",)),
    Node("part", Slice(3, 13), ("a",)),
    Node("one", Dense(1), ("a",)),
    Node("skip", Add(), ("part", "frames", "one")),
    Node("back", Rnn(5, "bidirectional"), ("skip",)),
    Node("wide", Concatenate(), ("back", "a", "part")),
    Node("gate", Dense(43, Activation("sigmoid")), ("skip",)),
    Node("gated", Multiply(), ("wide", "gate")),
    Node("y", Mean(), ("gated", "wide", "gate")),
)
LATER: dict[str, tuple[Layer, ...]] = {
    "attributes": (
        Gru(20, gate_activation=Activation("hard-sigmoid"), activation=Activation("softsign"), clip=0.9),
        Gru(33, reset="before", clip=0.5, direction="bidirectional"),
        Lstm(20, activation=Activation("elu"), output_activation=Activation("softplus"), input_forget=True),
        Lstm(33, projection=9, peepholes=True, clip=0.7, initial=True, direction="bidirectional"),
        Rnn(7, clip=0.4, initial=True),
    ),
    "min-gru": (MinGru(20), MinGru(33, "bidirectional", positive=True, initial=True)),
    "min-lstm": (MinLstm(20), MinLstm(33, "bidirectional", positive=True, initial=True)),
    "sru": (Sru(13, scale=1.5), Sru(33, "bidirectional", highway="projected", initial=True)),
    "lru": (Lru(20, size=7), Lru(33, "bidirectional", size=5, initial=True)),
    "each value": (Gru(33), Scale(), LayerNorm(), PRelu(), Activate(Activation("gelu")), LayerNorm(0.1)),
    "within": (
        Dense(33 * 4, Activation("tanh")),
        Within(33, Convolution(6, 3, stride=2, left=1, right=1)),
        Within(17, Gru(5, "bidirectional")),
        Transpose(17),
        Within(10, LayerNorm()),
        Within(10, TransposedConvolution(3, 4, 2, start=1, end=0)),
    ),
    "each": (
        Dense(70 * 3, Activation("tanh")),
        Each(70, Gru(5)),
        Each(70, Convolution(3, 3, dilation=2)),
        Each(42, Lstm(17, peepholes=True, initial=True)),
        Dense(5),
    ),
    "gather": (Dense(20), Gather((*range(19, -1, -2), -1, 3, 3, *range(18))), Dense(5)),
}
"""What came after the digests above, which so stay as they are: layers by a name."""


def activations() -> str:
    """The digest of activations that came later."""
    rng = np.random.default_rng(4)
    digest = hashlib.sha256()
    x = np.concatenate([rng.uniform(-20, 20, 1000), rng.uniform(-1e-3, 1e-3, 1000)]).astype(np.float32)
    for name in FUNCTIONS:
        if name not in FIRST_FUNCTIONS:
            y = arrays.activate(name, np.abs(x) if name in ("sqrt", "log") else x)
            digest.update(name.encode() + y.tobytes())
    return digest.hexdigest()


def later(name: str) -> str:
    """The digest of a network of some layers, in float32 and in int8."""
    return of_network(Sequential("golden", Frames(13), LATER[name], Outputs()))


def of_network(specification: Specification) -> str:
    """The digest of what it gives, in float32 and in int8."""
    rng = np.random.default_rng(3)
    digest = hashlib.sha256()
    weights = {
        name: rng.uniform(-0.5, 0.5, weight.shape).astype(np.float32)
        for name, weight in specification.weights().items()
    }
    network = Network(specification, weights)
    frames = rng.uniform(-1, 1, (50, 13)).astype(np.float32)
    for program in (network.program, quantize(network, [frames]).program):
        rows, state = program.new_rows(50), program.new_states(9)
        rows[:, program.input.slice] = frames
        advance(program, state, np.arange(9), np.array([9] * 4 + [3] * 3 + [1] * 5, np.int64), rows, Workspace())
        digest.update(rows[:, program.output.slice].tobytes() + state.tobytes())
    return digest.hexdigest()


def around_the_smallest(rng: np.random.Generator, count: int) -> Floats:
    """Values of both signs from 2^-149 to 2^-120, those beside powers of two often."""
    bits = rng.integers(0, 6 << 23, count)
    beside = np.maximum((bits >> 23 << 23) + rng.integers(-2, 3, count), 0)
    bits = np.where(rng.random(count) < 0.3, beside, bits) | rng.integers(0, 2, count) << 31
    return bits.astype(np.uint32).view(np.float32)


def products_around_the_smallest(rng: np.random.Generator, count: int) -> tuple[Floats, Floats, Floats]:
    """x, y and z whose x * y + z, each exact, lies around 2^-126; some just below it, where rounding decides."""
    x = np.ldexp(rng.choice([-1, 1], count) * rng.uniform(1, 2, count), rng.integers(-126, 0, count))
    x = x.astype(np.float32)
    target = np.ldexp(rng.uniform(0.5, 4, count), rng.integers(-128, -122, count))
    y = (target / x).astype(np.float32)
    z = around_the_smallest(rng, count)
    just_below = 2.0**-126 * (1 - rng.integers(0, 64, count) * 2.0**-30)
    cancel = (just_below - x.astype(np.float64) * y).astype(np.float32)
    return x, y, np.where(rng.random(count) < 0.5, cancel, np.where(rng.random(count) < 0.2, 0, z)).astype(np.float32)


def bands_and_paths() -> str:
    """The digest of frames of bands, and of what decoders find along paths."""
    rng, digest = np.random.default_rng(3), hashlib.sha256()
    samples = rng.uniform(-1, 1, 4000).astype(np.float32)
    for chosen in (
        FilteredSpectrogram(8000, windows=(256, 399), bands_per_octave=(6, 3), low_hz=60.0, high_hz=3900.0),
        Mfcc(8000, high_hz=4000.0, energy=True),
        LogMel(8000, "htk", high_hz=4000.0, power=1, log="db", origin="centre"),
    ):
        front = front_end(chosen, {})
        state = front.start()
        digest.update(front.step(state, samples).tobytes() + front.flush(state).tobytes())
    scores = rng.uniform(0, 1, (300, 3)).astype(np.float32) ** 4
    weights = {
        name: rng.normal(size=shape).astype(np.float32)
        for name, shape in (("transitions", (3, 3)), ("start", 3), ("end", 3))
    }
    names = ("a", "b", "c")
    for settings, own in (
        (Peaks(names, 0.1, smooth_ms=30.0, pre_avg_ms=50.0, post_max_ms=20.0), None),
        (Beats(tempi=30), None),
        (Beats(tempi=30, method="viterbi"), None),
        (Crf(names, lag=4), weights),
    ):
        made = decoder(settings, 10.0, 0.0, own)
        state = made.start()
        for event in made.step(state, scores) + made.flush(state):
            digest.update(f"{event.kind} {event.time_ms.hex()} {event.index} {event.probability.hex()}".encode())
        digest.update(repr(pack(state)).encode())
    return digest.hexdigest()


def draws() -> str:
    """The digest of tokens that are drawn, and of their probabilities."""
    rng, digest = np.random.default_rng(4), hashlib.sha256()
    outputs = rng.uniform(-12, 12, (300, 40)).astype(np.float32)
    shares = (outputs + 12) / 24
    for rows, probabilities in ((outputs, False), (shares * shares * shares, True)):
        for chosen in ({}, {"temperature": 0}, {"temperature": 0.7, "top_k": 9}, {"temperature": 3.1, "top_p": 0.9}):
            drawn = draw(rows, probabilities, [Sampling(seed=2**50 + 1, **chosen)] * 300, range(300))
            digest.update(repr([(token, chance.hex()) for token, chance in zip(*drawn, strict=True)]).encode())
    return digest.hexdigest()


def looked_up() -> str:
    """The digest of networks that look up what an encoder made, by dot products and by additive scores."""
    rng, digest = np.random.default_rng(5), hashlib.sha256()
    encoder = Specification(
        "golden", Frames(13), (Node("gru", Gru(23, direction="bidirectional"), ("frames",)),),
        (Head("made", "gru", Outputs()),),
    )  # fmt: skip
    for attention in (Attention(scale=0.3), Attention("additive")):
        nodes = (
            Node("one-hot", OneHot(), ("frames",)),
            Node("gru", Gru(46), ("one-hot", "encoder.made")),
            Node("attention", attention, ("gru", "encoder.made", "encoder.made")),
            Node("last", Last(), ("encoder.made",)),
            Node("y", Concatenate(), ("attention", "last")),
            Node("out", Dense(9), ("y",)),
        )
        head = Head("main", "out", Generation(start=0))
        network = Network.random(Specification("golden", Tokens(tuple("abcdefghi")), nodes, (head,), encoder=encoder))
        for length in (1, 16, 77):
            source = rng.uniform(-1, 1, (length, 13)).astype(np.float32)
            tokens = rng.integers(0, 9, (5, 1)).astype(np.float32)
            digest.update(whole_sequence(network, tokens, source)[0].tobytes())
    return digest.hexdigest()


def beams() -> str:
    """The digest of how beams go on, and of their scores."""
    rng, digest = np.random.default_rng(5), hashlib.sha256()
    outputs = rng.uniform(-12, 12, (300, 40)).astype(np.float32)
    shares = (outputs + 12) / 24
    counts, scores = [1 + i % 5 for i in range(100)], rng.uniform(-9, 0, 300)
    for rows, probabilities in ((outputs, False), (shares * shares * shares, True)):
        for each in extend(rows, probabilities, counts, [2 + i % 15 for i in range(100)], 7, scores):
            arrays = (each.parents, each.tokens, each.scores, each.chances)
            digest.update(b"".join(array.tobytes() for array in arrays) + repr(each.ended).encode())
    digest.update(repr([length_weight(0.1 * i, i).hex() for i in range(1, 99)]).encode())
    return digest.hexdigest()


def fused(x: Floats, y: Floats, z: Floats) -> Floats:
    """x * y + z of vectors, by the kernels: a product whose matrix is diagonal would add zeros, so one at a time."""
    rows = [arrays.multiply(arrays.pack_matrix([[b]], [c]), [[a]]).item() for a, b, c in zip(x, y, z, strict=True)]
    return np.array(rows, np.float32)


def decaying(rng: np.random.Generator) -> Iterator[tuple[Floats, Network]]:
    """All kinds of cells without biases, float32 and int8, and frames that fall silent, some by way of faint ones."""
    cells: list[Any] = [
        Gru(20), Gru(20, reset="before"), Lstm(20), Lstm(20, peepholes=True), Rnn(20),
        Rnn(20, activation=Activation("relu")), Rnn(20, activation=Activation("identity")),
    ]  # fmt: skip
    frames = rng.uniform(-1, 1, (400, 5)).astype(np.float32)
    frames[5:] = 0
    frames[200:260] = around_the_smallest(rng, 300).reshape(60, 5)
    for cell in cells:
        specification = Sequential("decaying", Frames(5), (cell,), Outputs())
        weights = {
            name: (rng.uniform(-0.15, 0.15, shape) if len(shape) > 1 or name.endswith("P") else np.zeros(shape))
            for name, shape in ((name, weight.shape) for name, weight in specification.weights().items())
        }
        network = Network(specification, {name: array.astype(np.float32) for name, array in weights.items()})
        yield frames, network
        yield frames, quantize(network, [frames[:5]])


if __name__ == "__main__":
    main()
