"""What a model is, as data: front end, layers and decoder, read from and written to JSON, strictly.

Whatever cannot be served is refused as it is made, in Python as from JSON, by a BadModelFileError that names it.

Weights are named ``layers.<i>.<part>`` and described by `weight_shapes`. Gate orders are those of the ONNX operators
RNN, GRU and LSTM (opset 22), whose formulas `ostinato.kernels` implements: GRU z r h, LSTM i o f c, peepholes i o f.
"""

from __future__ import annotations

import dataclasses
import json
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Literal, TypeAlias

from ostinato.bounded import check_json
from ostinato.errors import BadModelFileError
from ostinato.model.strict_json import LATER, Strict, decode, encode

VERSION = 1
MOST = 65536
"""The largest size of anything: a layer, a frame, a window in samples."""
MAX_VALUES, MAX_CONTAINERS = 1 << 20, 1 << 16
"""In a specification's JSON: room for large vocabularies, whose words may hold commas and brackets."""

Direction = Literal["forward", "backward", "bidirectional"]
Precision = Literal["float32", "int8"]
"""Of a layer's matrices: int8 ones are integers, with what a unit of them is worth as float32 beside them."""
ActivationName = Literal[
    "identity", "relu", "tanh", "sigmoid", "affine", "leaky-relu", "thresholded-relu", "scaled-tanh",
    "hard-sigmoid", "elu", "softsign", "softplus",
]  # fmt: skip


@dataclass(frozen=True)
class Activation(Strict):
    """An activation function of the ONNX RNN operators; ``alpha`` and ``beta`` None mean ONNX's defaults."""

    name: ActivationName = "tanh"
    alpha: float | None = None
    beta: float | None = None


# --- front ends -----------------------------------------------------------------------------------------------------


@dataclass(frozen=True)
class LogMel(Strict):
    """Log-mel filter banks of mono audio.

    ``convention`` "kaldi": compute-fbank-feats with snip-edges, dither 0, Povey window, pre-emphasis, DC removal, HTK
    mel scale, power spectrum, natural logarithm floored at float32 epsilon, samples scaled to the int16 range.
    "slaney": librosa.feature.melspectrogram's defaults (periodic Hann window, Slaney mel scale and area norm, centred
    frames without padding, samples in [-1, 1]), then the natural logarithm of max(power, 1e-10).

    ``stack`` consecutive frames are concatenated, every ``stride``-th such stack becomes a model frame. If
    ``normalise``, weights ``front_end.mean`` and ``front_end.scale`` [mels] turn a value v into (v - mean) * scale,
    before stacking.
    """

    kind: Literal["log-mel"] = "log-mel"
    convention: Literal["kaldi", "slaney"] = "kaldi"
    sample_rate: int = 16000
    mels: int = 40
    window_ms: float = 25.0
    hop_ms: float = 10.0
    low_hz: float = 20.0
    high_hz: float = 8000.0
    stack: int = 1
    stride: int = 1
    normalise: bool = False

    @property
    def frame_size(self) -> int:
        """Values in one model frame."""
        return self.mels * self.stack

    @property
    def frame_ms(self) -> float:
        """Time from one model frame to the next, in ms."""
        return self.hop_ms * self.stride

    def check(self) -> None:
        """Sizes within bounds, frequencies in order, a window of two samples or more."""
        positive = (self.sample_rate, self.mels, self.window_ms, self.hop_ms, self.stack, self.stride)
        if min(positive) <= 0 or not 0 <= self.low_hz < self.high_hz <= self.sample_rate / 2:
            raise BadModelFileError("front_end: sizes must be positive and 0 <= low_hz < high_hz <= sample_rate / 2")
        window, hop = (int(self.sample_rate * 0.001 * ms) for ms in (self.window_ms, self.hop_ms))
        if window < 2 or hop < 1:
            raise BadModelFileError("front_end: window_ms and hop_ms must last at least two samples and one")
        if max(window, hop) > MOST or self.mels > 512 or max(self.frame_size, self.stack, self.stride) > MOST:
            raise BadModelFileError(
                f"front_end: a window or hop has at most {MOST} samples, a frame 512 mels and {MOST} values"
            )


@dataclass(frozen=True)
class Tokens(Strict):
    """Text to token ids: characters, or words split at white space. ``unknown`` is the index of the entry that stands
    for all others; None refuses them, which only characters can do: a word that is cut between two pushes is complete
    only once its first part has been accepted."""

    vocabulary: tuple[str, ...]
    kind: Literal["tokens"] = "tokens"
    unit: Literal["character", "word"] = "character"
    unknown: int | None = None
    lowercase: bool = False

    frame_size = 1
    frame_ms = 1.0

    def check(self) -> None:
        """A vocabulary without repetitions, with an entry for unknown words."""
        if len(set(self.vocabulary)) != len(self.vocabulary) or not self.vocabulary:
            raise BadModelFileError("front_end: the vocabulary is empty or names an entry twice")
        if self.unknown is not None and not 0 <= self.unknown < len(self.vocabulary):
            raise BadModelFileError(f"front_end: unknown = {self.unknown} is outside the vocabulary")
        if self.unit == "word" and self.unknown is None:
            raise BadModelFileError(
                "front_end: a word vocabulary needs an entry for unknown words: add one such as '<unk>' and set "
                "`unknown` to its index"
            )


@dataclass(frozen=True)
class Frames(Strict):
    """Ready frames: float32 vectors of ``size`` values, ``frame_ms`` apart."""

    size: int
    kind: Literal["frames"] = "frames"
    frame_ms: float = 10.0

    @property
    def frame_size(self) -> int:
        """Values in one frame."""
        return self.size

    def check(self) -> None:
        """Sizes within bounds."""
        if not 0 < self.size <= MOST or not self.frame_ms >= 1e-3:
            raise BadModelFileError(f"front_end: size must be from 1 to {MOST}, frame_ms at least 0.001")


# --- layers ---------------------------------------------------------------------------------------------------------


class _Layer(Strict):
    def check(self) -> None:
        """All sizes within bounds."""
        for field in dataclasses.fields(self):  # type: ignore[arg-type]
            value = getattr(self, field.name)
            if type(value) is int and not 1 <= value <= MOST:
                kind = getattr(self, "kind", "layer")
                raise BadModelFileError(f"{kind}: {field.name} = {value} is not from 1 to {MOST}")


@dataclass(frozen=True)
class Rnn(_Layer):
    """h<t> = f(W x<t> + R h<t-1> + Wb + Rb). ONNX RNN."""

    input: int
    hidden: int
    kind: Literal["rnn"] = "rnn"
    direction: Direction = "forward"
    activation: Activation = Activation("tanh")
    precision: Precision = dataclasses.field(default="float32", metadata=LATER)

    gates = 1


@dataclass(frozen=True)
class Gru(_Layer):
    """ONNX GRU, gates z r h. ``reset`` "after" the product is linear_before_reset=1 (PyTorch, Keras reset_after),
    "before" is 0 (Cho et al. 2014): n = g(W x + r * (R h + Rb) + Wb) against n = g(W x + R (r * h) + Rb + Wb);
    h' = (1 - z) * n + z * h."""

    input: int
    hidden: int
    kind: Literal["gru"] = "gru"
    direction: Direction = "forward"
    reset: Literal["after", "before"] = "after"
    precision: Precision = dataclasses.field(default="float32", metadata=LATER)

    gates = 3


@dataclass(frozen=True)
class Lstm(_Layer):
    """ONNX LSTM, gates i o f c. With ``peepholes`` i and f see c<t-1>, o sees c<t> (Gers and Schmidhuber 2000)."""

    input: int
    hidden: int
    kind: Literal["lstm"] = "lstm"
    direction: Direction = "forward"
    peepholes: bool = False
    precision: Precision = dataclasses.field(default="float32", metadata=LATER)

    gates = 4


@dataclass(frozen=True)
class Dense(_Layer):
    """y = f(W x + b)."""

    input: int
    output: int
    kind: Literal["dense"] = "dense"
    activation: Activation = Activation("identity")
    precision: Precision = dataclasses.field(default="float32", metadata=LATER)


@dataclass(frozen=True)
class Embedding(_Layer):
    """Token id -> a row of ``weights`` [size, output]. First layer only."""

    size: int
    output: int
    kind: Literal["embedding"] = "embedding"


@dataclass(frozen=True)
class OneHot(_Layer):
    """Token id -> a one-hot vector of ``size`` values, never materialised: the layer above looks its weight column
    up. First layer only, below a recurrent or dense layer."""

    size: int
    kind: Literal["one-hot"] = "one-hot"


@dataclass(frozen=True)
class Softmax(_Layer):
    """exp(x_i - max x) / sum_j exp(x_j - max x)."""

    size: int
    kind: Literal["softmax"] = "softmax"


# --- decoders -------------------------------------------------------------------------------------------------------


PROBABILITIES: tuple[ActivationName, ...] = ("sigmoid", "hard-sigmoid")
"""Activations whose values are in [0, 1], as those of a softmax are."""


@dataclass(frozen=True)
class Outputs(Strict):
    """Each frame's raw outputs, as they are."""

    kind: Literal["outputs"] = "outputs"


@dataclass(frozen=True)
class Labels(Strict):
    """Each frame's most probable label. Outputs are probabilities: the last layer is a softmax, or has an activation
    of `PROBABILITIES`."""

    labels: tuple[str, ...]
    kind: Literal["labels"] = "labels"

    @property
    def separator(self) -> str:
        """What joins labels to a text: nothing if they are characters, else a space."""
        return "" if all(len(label) <= 1 for label in self.labels) else " "


@dataclass(frozen=True)
class Ctc(Strict):
    """Greedy (best path) CTC decoding (Graves et al. 2006): repeats collapse, ``blank`` is dropped. Outputs are
    probabilities, as for `Labels`."""

    symbols: tuple[str, ...]
    kind: Literal["ctc"] = "ctc"
    blank: int = 0
    separator: str = " "


@dataclass(frozen=True)
class SequenceClass(Strict):
    """The class of the whole sequence: the last frame's probabilities, or their mean over the frames. Outputs are
    probabilities, as for `Labels`."""

    labels: tuple[str, ...]
    kind: Literal["sequence-class"] = "sequence-class"
    pool: Literal["last", "mean"] = "last"

    separator = " "


@dataclass(frozen=True)
class EndOfSpeech(Strict):
    """End of speech: output ``index`` (a probability of speech, see `Labels`) at least ``threshold`` for
    ``min_speech_ms``, then below it for ``silence_ms``."""

    kind: Literal["end-of-speech"] = "end-of-speech"
    index: int = 0
    threshold: float = 0.5
    min_speech_ms: float = 100.0
    silence_ms: float = 600.0

    def check(self) -> None:
        """A threshold that probabilities can reach and fall below, times that pass."""
        if not 0 < self.threshold <= 1:
            raise BadModelFileError(f"decoder: threshold = {self.threshold:g} is not above 0 and at most 1")
        for name in ("min_speech_ms", "silence_ms"):
            if not getattr(self, name) > 0:
                raise BadModelFileError(f"decoder: {name} = {getattr(self, name):g} is not above 0")


FrontEnd: TypeAlias = LogMel | Tokens | Frames
Recurrent: TypeAlias = Rnn | Gru | Lstm
Layer: TypeAlias = Rnn | Gru | Lstm | Dense | Embedding | OneHot | Softmax
Decoder: TypeAlias = Outputs | Labels | Ctc | SequenceClass | EndOfSpeech

FRONT_ENDS = (LogMel, Tokens, Frames)
RECURRENT = (Rnn, Gru, Lstm)
LAYERS = (Rnn, Gru, Lstm, Dense, Embedding, OneHot, Softmax)
DECODERS = (Outputs, Labels, Ctc, SequenceClass, EndOfSpeech)


@dataclass(frozen=True)
class Specification(Strict):
    """A whole pipeline: front end -> layers -> decoder, with a name and where it comes from.

    ``card`` is free text about the model by heading (data, accuracy, licence).
    """

    name: str
    front_end: FrontEnd
    layers: tuple[Layer, ...]
    decoder: Decoder
    description: str = ""
    licence: str = ""
    card: dict[str, str] = dataclasses.field(default_factory=dict)

    @property
    def direction(self) -> Literal["unidirectional", "bidirectional"]:
        """Whether outputs depend on the whole utterance."""
        causal = all(layer.direction == "forward" for layer in self.layers if isinstance(layer, RECURRENT))
        return "unidirectional" if causal else "bidirectional"

    @property
    def precision(self) -> Precision:
        """int8 if any layer is."""
        return "int8" if any(getattr(layer, "precision", None) == "int8" for layer in self.layers) else "float32"

    @property
    def output_size(self) -> int:
        """Values in one frame of the last layer's output (the front end's, if there are no layers)."""
        return output_size(self.layers[-1]) if self.layers else self.front_end.frame_size

    def to_json(self) -> str:
        """As JSON text, with the format's version."""
        return json.dumps({"version": VERSION} | encode(self), ensure_ascii=False, sort_keys=True)

    @staticmethod
    def from_json(text: str) -> Specification:
        """The specification of a JSON text.

        Raises BadModelFileError naming the place for anything unknown, missing, of the wrong type, or inconsistent.
        """
        try:
            check_json(text, MAX_VALUES, MAX_CONTAINERS)
        except ValueError as error:
            raise BadModelFileError(f"the specification is too large: {error}") from error
        try:
            raw = json.loads(text)
        except (ValueError, RecursionError) as error:
            raise BadModelFileError(f"the specification is not JSON: {error}") from error
        if not isinstance(raw, dict):
            raise BadModelFileError("the specification is not a JSON object")
        version = raw.pop("version", None)
        if version != VERSION:
            raise BadModelFileError(
                f"specification version {version!r} is unknown here (this Ostinato reads {VERSION}): "
                "use the Ostinato that wrote the file, or write it again"
            )
        made: Specification = decode(Specification, raw, "specification")
        return made

    def check(self) -> None:
        """Layers that fit together, and a decoder that has what it needs below it."""
        for index, layer in enumerate(self.layers):
            where = f"layers[{index}] ({layer.kind})"
            if isinstance(layer, Embedding | OneHot):
                if index or not isinstance(self.front_end, Tokens):
                    raise BadModelFileError(f"{where} must be the first layer, above a tokens front end")
                have, want = len(self.front_end.vocabulary), layer.size
            else:
                below = self.layers[index - 1] if index else None
                have = output_size(below) if below else self.front_end.frame_size
                want = layer.size if isinstance(layer, Softmax) else layer.input
            if have != want:
                raise BadModelFileError(f"{where} takes {want} values, what is below it gives {have}")
            if isinstance(layer, OneHot):
                above = self.layers[index + 1] if index + 1 < len(self.layers) else None
                if not isinstance(above, Rnn | Gru | Lstm | Dense):
                    raise BadModelFileError(f"{where} must be below a recurrent or dense layer")
        if self.layers and isinstance(self.front_end, Tokens) and not isinstance(self.layers[0], Embedding | OneHot):
            raise BadModelFileError("a tokens front end needs an embedding or one-hot layer above it")
        self._check_decoder()

    def _check_decoder(self) -> None:
        decoder, size = self.decoder, self.output_size
        if not isinstance(decoder, Outputs) and not self._gives_probabilities:
            raise BadModelFileError(
                f"decoder: {decoder.kind} needs probabilities below it: end the layers in a softmax, or in one with "
                f"activation {' or '.join(PROBABILITIES)}"
            )
        names = {"labels": "labels", "sequence-class": "labels", "ctc": "symbols"}.get(decoder.kind)
        if names and len(getattr(decoder, names)) != size:
            raise BadModelFileError(f"decoder: {len(getattr(decoder, names))} {names} for {size} outputs")
        if isinstance(decoder, Ctc) and not 0 <= decoder.blank < size:
            raise BadModelFileError(f"decoder: blank = {decoder.blank} is outside the {size} outputs")
        if isinstance(decoder, EndOfSpeech) and not 0 <= decoder.index < size:
            raise BadModelFileError(f"decoder: index = {decoder.index} is outside the {size} outputs")

    @property
    def _gives_probabilities(self) -> bool:
        last = self.layers[-1] if self.layers else None
        activated = isinstance(last, Rnn | Dense) and last.activation.name in PROBABILITIES
        return isinstance(last, Softmax) or activated


def output_size(layer: Layer) -> int:
    """Values in one frame of a layer's output: [forward, backward] side by side for a bidirectional one."""
    if isinstance(layer, Rnn | Gru | Lstm):
        return layer.hidden * (2 if layer.direction == "bidirectional" else 1)
    return layer.size if isinstance(layer, OneHot | Softmax) else layer.output


def directions(layer: Recurrent) -> tuple[str, ...]:
    """The directions that a recurrent layer runs in, in the order of its outputs."""
    return ("forward", "backward") if layer.direction == "bidirectional" else (layer.direction,)


def weight_shapes(specification: Specification) -> dict[str, tuple[int, ...]]:
    """Every weight that a model file of this specification holds: name -> shape (float32 but for int8 matrices).

    Recurrent, per direction: ``layers.<i>.<direction>.W`` [gates * hidden, input], ``.R`` [gates * hidden, hidden],
    ``.Wb`` and ``.Rb`` [gates * hidden], LSTM with peepholes ``.P`` [3 * hidden]. Dense: ``layers.<i>.W``
    [output, input], ``layers.<i>.b`` [output]. Embedding: ``layers.<i>.E`` [size, output]. Normalised LogMel:
    ``front_end.mean`` and ``front_end.scale`` [mels].

    In layers of precision "int8" W and R are int8, but for the W of token ids. Beside such a matrix M [outputs,
    inputs] stand ``M_scale`` [outputs] and ``M_input_scale`` [1]: what one unit of a row's weights and of its inputs
    is worth.
    """
    return dict(_weight_shapes(specification))


def is_int8(name: str, shapes: Mapping[str, tuple[int, ...]]) -> bool:
    """Whether a weight of `weight_shapes` is a matrix of int8."""
    return f"{name}_scale" in shapes


def _weight_shapes(specification: Specification) -> Iterator[tuple[str, tuple[int, ...]]]:
    front = specification.front_end
    if isinstance(front, LogMel) and front.normalise:
        yield "front_end.mean", (front.mels,)
        yield "front_end.scale", (front.mels,)
    tokens = False
    for i, layer in enumerate(specification.layers):
        if isinstance(layer, Rnn | Gru | Lstm):
            rows = layer.gates * layer.hidden
            int8 = layer.precision == "int8"
            for direction in directions(layer):
                yield from _matrix(f"layers.{i}.{direction}.W", rows, layer.input, int8 and not tokens)
                yield from _matrix(f"layers.{i}.{direction}.R", rows, layer.hidden, int8)
                yield f"layers.{i}.{direction}.Wb", (rows,)
                yield f"layers.{i}.{direction}.Rb", (rows,)
                if isinstance(layer, Lstm) and layer.peepholes:
                    yield f"layers.{i}.{direction}.P", (3 * layer.hidden,)
        elif isinstance(layer, Dense):
            int8 = layer.precision == "int8" and not tokens
            yield from _matrix(f"layers.{i}.W", layer.output, layer.input, int8)
            yield f"layers.{i}.b", (layer.output,)
        elif isinstance(layer, Embedding):
            yield f"layers.{i}.E", (layer.size, layer.output)
        tokens = isinstance(layer, OneHot)


def _matrix(name: str, outputs: int, inputs: int, int8: bool) -> Iterator[tuple[str, tuple[int, ...]]]:
    yield name, (outputs, inputs)
    if int8:
        yield f"{name}_scale", (outputs,)
        yield f"{name}_input_scale", (1,)
