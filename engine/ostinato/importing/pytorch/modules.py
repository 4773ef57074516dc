"""The kinds of modules of PyTorch, and what each is here.

What names and shapes of its arrays do not tell are the fields of a class: the arguments that PyTorch has for it, with
PyTorch's defaults."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, fields
from itertools import count
from typing import Any, ClassVar, Literal, cast

import numpy as np

from ostinato.errors import BadModelFileError, ForeignModelError, did_you_mean
from ostinato.importing.arrays.contents import Floats
from ostinato.importing.gates import reordered
from ostinato.importing.pytorch.parameters import Parameters
from ostinato.model.activation import Activation
from ostinato.model.layers import (
    BatchNorm,
    Convolution,
    Dense,
    Direction,
    Embedding,
    Gru,
    Layer,
    LayerNorm,
    Lstm,
    PRelu,
    Rnn,
    TransposedConvolution,
)
from ostinato.model.strict_json import Strict, decode
from ostinato.model.wire import Wire

Layers = list[tuple[Layer, dict[str, Floats]]]
"""One on top of the other, each with its weights."""


@dataclass(frozen=True)
class Module(Strict):
    """A module as its arguments say it."""

    name: ClassVar[str]
    """Of its class in torch.nn."""

    def layers(self, parameters: Parameters, below: Wire) -> Layers:
        """What it is here, above ``below``. Raises ForeignModelError, or BadModelFileError, for arrays that are none
        of its kind."""
        raise NotImplementedError

    @staticmethod
    def sizes(parameters: Parameters) -> tuple[int, int]:
        """Values that a frame has below it, and above it."""
        raise NotImplementedError

    def said(self, layers: Layers) -> str:
        """What it was taken for, for people."""
        more = [f"{len(layers)} layers"] if len(layers) > 1 else []
        more += ["in both directions"] if layers[0][0].backward else []
        more += [
            f"{field.name} {getattr(self, field.name)}"
            for field in fields(self)
            if getattr(self, field.name) != field.default
        ]
        return ", ".join([self.name, *more])


@dataclass(frozen=True)
class Recurrence(Module):
    """RNN, GRU and LSTM, and their cells, which are layers of one frame at a time."""

    theirs: ClassVar[str]
    ours: ClassVar[str]
    """The gates, in the order of PyTorch and in that of our layers."""

    def layer(self, hidden: int, direction: Direction, projection: int | None) -> Layer:
        """One layer of it."""
        raise NotImplementedError

    def layers(self, parameters: Parameters, below: Wire) -> Layers:
        """As many as there are, of one direction or two."""
        made: Layers = []
        for number in count():
            tail = f"_l{number}" if f"weight_ih_l{number}" in parameters else ""
            if number and not tail:
                return made
            ways = {"forward": tail}
            if f"weight_ih{tail}_reverse" in parameters:
                ways["backward"] = f"{tail}_reverse"
            projection = parameters.shape(f"weight_hr{tail}", 2)[0] if f"weight_hr{tail}" in parameters else None
            hidden = parameters.shape(f"weight_ih{tail}", 2)[0] // len(self.ours)
            weights: dict[str, Floats] = {}
            for way, suffix in ways.items():
                for part, theirs in (("W", "weight_ih"), ("R", "weight_hh")):
                    weights[f"{way}.{part}"] = parameters.take(f"{theirs}{suffix}")
                for part, theirs in (("Wb", "bias_ih"), ("Rb", "bias_hh")):
                    weights[f"{way}.{part}"] = _or(parameters, f"{theirs}{suffix}", (len(self.ours) * hidden,), 0)
                weights |= {
                    f"{way}.{part}": reordered(weights[f"{way}.{part}"], self.theirs, self.ours)
                    for part in ("W", "R", "Wb", "Rb")
                }
                if projection:
                    weights[f"{way}.H"] = parameters.take(f"weight_hr{suffix}")
            direction: Direction = "bidirectional" if len(ways) == 2 else "forward"
            made.append((self.layer(hidden, direction, projection), weights))
            if not tail:
                return made
        raise AssertionError

    @classmethod
    def sizes(cls, parameters: Parameters) -> tuple[int, int]:
        """Of the first layer's input, and the last one's output."""
        tail = "_l0" if "weight_ih_l0" in parameters else ""
        directions = 2 if f"weight_ih{tail}_reverse" in parameters else 1
        return parameters.shape(f"weight_ih{tail}", 2)[1], directions * parameters.shape(f"weight_hh{tail}", 2)[1]


@dataclass(frozen=True)
class RNN(Recurrence):
    """The plain one."""

    nonlinearity: Literal["tanh", "relu"] = "tanh"

    name: ClassVar[str] = "RNN"
    theirs: ClassVar[str] = "h"
    ours: ClassVar[str] = "h"

    def layer(self, hidden: int, direction: Direction, projection: int | None) -> Layer:
        """As `Recurrence.layer`."""
        return Rnn(hidden, direction, Activation(self.nonlinearity))


@dataclass(frozen=True)
class GRU(Recurrence):
    """Gates r z n, the reset gate after the product."""

    name: ClassVar[str] = "GRU"
    theirs: ClassVar[str] = "rzn"
    ours: ClassVar[str] = "zrn"

    def layer(self, hidden: int, direction: Direction, projection: int | None) -> Layer:
        """As `Recurrence.layer`."""
        return Gru(hidden, direction)


@dataclass(frozen=True)
class LSTM(Recurrence):
    """Gates i f g o (our c is g), with or without proj_size."""

    name: ClassVar[str] = "LSTM"
    theirs: ClassVar[str] = "ifco"
    ours: ClassVar[str] = "iofc"

    def layer(self, hidden: int, direction: Direction, projection: int | None) -> Layer:
        """As `Recurrence.layer`."""
        return Lstm(hidden, direction, projection=projection)


@dataclass(frozen=True)
class Linear(Module):
    """W x + b."""

    name: ClassVar[str] = "Linear"

    def layers(self, parameters: Parameters, below: Wire) -> Layers:
        """A dense layer."""
        W = parameters.take("weight", 2)
        return [(Dense(len(W)), {"W": W, "b": _or(parameters, "bias", (len(W),), 0)})]

    @staticmethod
    def sizes(parameters: Parameters) -> tuple[int, int]:
        """As `Module.sizes`."""
        outputs, inputs = parameters.shape("weight", 2)
        return inputs, outputs


@dataclass(frozen=True)
class EmbeddingTable(Module):
    """A row for each token."""

    name: ClassVar[str] = "Embedding"

    def layers(self, parameters: Parameters, below: Wire) -> Layers:
        """An embedding."""
        E = parameters.take("weight", 2)
        return [(Embedding(E.shape[1]), {"E": E})]

    @staticmethod
    def sizes(parameters: Parameters) -> tuple[int, int]:
        """As `Module.sizes`: words come in."""
        words, values = parameters.shape("weight", 2)
        return words, values


@dataclass(frozen=True)
class Conv1d(Module):
    """Over frames. ``padding``: on both sides; ``left`` and ``right``: what the model pads besides (F.pad), or cuts
    off again, if below 0. How many groups there are follows from the shapes."""

    stride: int = 1
    padding: int = 0
    dilation: int = 1
    left: int = 0
    right: int = 0

    name: ClassVar[str] = "Conv1d"

    def layers(self, parameters: Parameters, below: Wire) -> Layers:
        """A convolution."""
        W = parameters.take("weight", 3)
        outputs, each, taps = W.shape
        if below.size % each:
            raise ForeignModelError(
                f"{parameters.what}: {parameters.prefix} takes {each} values, or groups of them, and what is below "
                f"it gives {below.size}"
            )
        left, right = self.padding + self.left, self.padding + self.right
        layer = Convolution(outputs, taps, self.stride, self.dilation, below.size // each, left, right)
        weights = {"W": W.transpose(0, 2, 1).reshape(outputs, taps * each)}
        return [(layer, weights | {"b": _or(parameters, "bias", (outputs,), 0)})]

    @staticmethod
    def sizes(parameters: Parameters) -> tuple[int, int]:
        """As `Module.sizes`; of one group of inputs."""
        outputs, inputs, _ = parameters.shape("weight", 3)
        return inputs, outputs


@dataclass(frozen=True)
class ConvTranspose1d(Module):
    """More frames out than in."""

    stride: int = 1
    padding: int = 0
    output_padding: int = 0

    name: ClassVar[str] = "ConvTranspose1d"

    def layers(self, parameters: Parameters, below: Wire) -> Layers:
        """A transposed convolution; of several groups, one whose other weights are 0."""
        W = parameters.take("weight", 3, rows=1)
        inputs, each, taps = W.shape
        bias = parameters.take("bias") if "bias" in parameters else None
        outputs = each if bias is None else len(bias)
        groups = outputs // each
        if outputs % each or inputs % groups:
            raise ForeignModelError(f"{parameters.what}: {parameters.prefix} has {outputs} biases for {each} outputs")
        whole = np.zeros((outputs, taps, inputs), np.float32)
        for group, part in enumerate(np.split(W, groups)):
            some = slice(group * len(part), (group + 1) * len(part))
            whole[group * each : (group + 1) * each, :, some] = part.transpose(1, 2, 0)
        layer = TransposedConvolution(outputs, taps, self.stride, self.padding, self.padding - self.output_padding)
        weights = {"W": whole.reshape(outputs, -1), "b": np.zeros(outputs, np.float32) if bias is None else bias}
        return [(layer, weights)]

    @staticmethod
    def sizes(parameters: Parameters) -> tuple[int, int]:
        """As `Module.sizes`."""
        inputs, outputs, _ = parameters.shape("weight", 3)
        return inputs, parameters.shape("bias")[0] if "bias" in parameters else outputs


@dataclass(frozen=True)
class BatchNorm1d(Module):
    """By statistics of the past, as a model in eval() does it."""

    eps: float = 1e-5

    name: ClassVar[str] = "BatchNorm1d"

    def layers(self, parameters: Parameters, below: Wire) -> Layers:
        """A batch normalisation."""
        mean = parameters.take("running_mean")
        weights = {
            "gamma": _or(parameters, "weight", mean.shape, 1),
            "beta": _or(parameters, "bias", mean.shape, 0),
            "mean": mean,
            "variance": parameters.take("running_var"),
        }
        return [(BatchNorm(self.eps), weights)]

    @staticmethod
    def sizes(parameters: Parameters) -> tuple[int, int]:
        """As `Module.sizes`."""
        return parameters.shape("running_mean", 1)[0], parameters.shape("running_mean", 1)[0]


@dataclass(frozen=True)
class LayerNorm1d(Module):
    """Over the values of a frame."""

    eps: float = 1e-5

    name: ClassVar[str] = "LayerNorm"

    def layers(self, parameters: Parameters, below: Wire) -> Layers:
        """A layer normalisation."""
        gamma = _or(parameters, "weight", (below.size,), 1)
        return [(LayerNorm(self.eps), {"gamma": gamma, "beta": _or(parameters, "bias", gamma.shape, 0)})]

    @staticmethod
    def sizes(parameters: Parameters) -> tuple[int, int]:
        """As `Module.sizes`."""
        return parameters.shape("weight", 1)[0], parameters.shape("weight", 1)[0]


@dataclass(frozen=True)
class PReLU(Module):
    """A slope for each value, or one for all."""

    name: ClassVar[str] = "PReLU"

    def layers(self, parameters: Parameters, below: Wire) -> Layers:
        """A rectifier whose slope is a weight."""
        slope = parameters.take("weight")
        return [(PRelu(), {"slope": np.repeat(slope, below.size) if slope.shape == (1,) else slope})]

    @staticmethod
    def sizes(parameters: Parameters) -> tuple[int, int]:
        """As `Module.sizes`; 1 stands for any."""
        return parameters.shape("weight", 1)[0], parameters.shape("weight", 1)[0]


MODULES: dict[str, type[Module]] = {
    module.name: module
    for module in (RNN, GRU, LSTM, Linear, EmbeddingTable, Conv1d, ConvTranspose1d, BatchNorm1d, LayerNorm1d, PReLU)
}
"""All kinds, by the names of their classes in torch.nn."""


RECURRENT = ("RNN", "GRU", "LSTM")


def layers_of(parameters: Parameters, table: Mapping[str, Any], below: Wire) -> tuple[Module, Layers]:
    """The module whose arrays these are, with the arguments of a settings table, and its layers above ``below``. Its
    kind is seen by names and shapes unless the table says it (``module``).

    Raises ForeignModelError if it is none that is known, has no such argument, or more arrays than are read.
    """
    module = _module_of(parameters, table, below)
    try:
        layers = module.layers(parameters, below)
    except (BadModelFileError, ValueError) as error:  # ValueError: NumPy's, for gates that cannot be split
        raise ForeignModelError(f"{parameters.what} has not the arrays of {module.name}: {error}") from error
    parameters.finish()
    return module, layers


def _module_of(parameters: Parameters, table: Mapping[str, Any], below: Wire) -> Module:
    what, arguments = parameters.what, dict(table)
    kind = arguments.pop("module", None) or recognise(parameters, below.form == "id")
    if kind not in MODULES:
        raise ForeignModelError(
            f"{what}: module {kind!r} is not read here{did_you_mean(str(kind), MODULES)}; known are "
            f"{', '.join(MODULES)}"
        )
    try:
        return cast(Module, decode(MODULES[kind], arguments, f"{what} ({kind})", {}))
    except BadModelFileError as error:
        raise ForeignModelError(str(error)) from error


def recognise(parameters: Parameters, token: bool = False) -> str:
    """Which kind of module has such arrays. ``token``: it reads token ids. Raises ForeignModelError if none does, or
    several."""
    has = f"{parameters.what}: {parameters.prefix or 'the model'} has {parameters.listed()}"
    if inside := sorted({local.rpartition(".")[0] for local in parameters} - {""}):
        names = ", ".join(f"{parameters.prefix}.{each}".removeprefix(".") for each in inside[:6])
        raise ForeignModelError(
            f"{has}: it is made of other modules ({names}): name each of them in a node of its own"
        )
    for tail in ("_l0", ""):
        if f"weight_ih{tail}" in parameters:
            gates = parameters.shape(f"weight_ih{tail}", 2)[0]
            projected = f"weight_hr{tail}" in parameters
            hidden = max(1, parameters.shape(f"weight_{'hr' if projected else 'hh'}{tail}", 2)[1])
            kind = {1: "RNN", 3: "GRU", 4: "LSTM"}.get(gates // hidden)
            if kind is None or gates % hidden or (projected and kind != "LSTM"):
                raise ForeignModelError(f"{has}: these are the arrays of no RNN, GRU or LSTM")
            return kind
    if "running_mean" in parameters:
        return "BatchNorm1d"
    if "in_proj_weight" in parameters:
        raise ForeignModelError(f"{has}: it is attention, which looks at the whole utterance at once: not read here")
    if "weight" not in parameters:
        raise ForeignModelError(f"{has}: no module that is known here ({', '.join(MODULES)}) has such")
    shape = parameters.shape("weight")
    if len(shape) == 1:
        if "bias" not in parameters and shape != (1,):
            raise ForeignModelError(f'{has}: say whether it is module = "PReLU" or module = "LayerNorm" (no bias)')
        return "LayerNorm" if "bias" in parameters else "PReLU"
    if len(shape) == 2:
        return "Embedding" if token else "Linear"
    if len(shape) == 3:
        biases = parameters.shape("bias")[0] if "bias" in parameters else shape[0]
        return "Conv1d" if biases == shape[0] else "ConvTranspose1d"
    raise ForeignModelError(f"{has}: a convolution over {len(shape) - 2} axes: only those over time are read here")


def _or(parameters: Parameters, local: str, shape: tuple[int, ...], value: float) -> Floats:
    """An array that a module may be without."""
    return parameters.take(local) if local in parameters else np.full(shape, value, np.float32)
