"""Neural Amp Modeler's WaveNet (van den Oord et al. 2016): blocks of dilated causal convolutions with residuals.

A block's layers stand behind each other, above a product. A layer activates what its convolution makes of the layer
before, plus a product of the condition, which is what is played; it gives a product of that, plus what it was given.
What all layers activate is summed, which the block's head makes the start of the next block's sum. The last one's,
scaled, is heard.
"""

from __future__ import annotations

from typing import Any

import numpy as np

from ostinato.errors import ForeignModelError
from ostinato.importing.audio_json.document import Document
from ostinato.importing.audio_json.weight_list import WeightList
from ostinato.importing.builder import Builder
from ostinato.importing.draft import Decision
from ostinato.model.activation import SIGMOID, Activation
from ostinato.model.layers import Activate, Add, Convolution, Dense, Multiply, Scale, Slice

ACTIVATIONS = {
    "Tanh": Activation("tanh"),
    "ReLU": Activation("relu"),
    "Sigmoid": SIGMOID,
    "SiLU": Activation("silu"),
    "Hardswish": Activation("hard-swish"),
    "Hardtanh": Activation("clip", -1.0, 1.0),
    "LeakyReLU": Activation("leaky-relu", 0.01),
    "Softsign": Activation("softsign"),
}
_MAY_BE_ACTIVE = (
    "head1x1", "conv_pre_film", "conv_post_film", "input_mixin_pre_film", "input_mixin_post_film",
    "activation_pre_film", "activation_post_film", "layer1x1_post_film", "head1x1_post_film",
)  # fmt: skip
"""Parts of newer files' layers that are read only where they are not active."""


def build(config: Document, weights: WeightList, builder: Builder, node: str) -> tuple[str, list[Decision]]:
    """As `nam.ARCHITECTURES` has it."""
    for part in ("condition_dsp", "head"):
        if config.get(part, dict, {}):
            raise ForeignModelError(f"{config.at(part)} is a network of its own: WaveNets with one are not read here")
    config.take("head_scale", float)  # the player goes by the last weight, which is the same
    blocks = config.documents("layers")
    if not blocks:
        raise ForeignModelError(f"{config.at('layers')} is empty: a WaveNet has a block at least")
    condition, summed = node, ""
    for number, block in enumerate(blocks, 1):
        made = _Block(block, f"block-{number}", weights, builder)
        node, summed = made.add(node, condition, summed)
        block.end("only WaveNets of residual layers, gated or not, are read")
    outputs = builder.wires[summed].size
    scale = {"a": np.repeat(weights.take("scale of the head", 1), outputs), "b": np.zeros(outputs, np.float32)}
    node = builder.add(Scale(), [summed], scale, name="scale")
    text = "each layer begins with zeros; the player hears silence before the first sample, as long as it looks back"
    return node, [Decision("states", text)]


class _Block:
    """A block's settings, read; its weights are taken in the order of the file."""

    def __init__(self, block: Document, name: str, weights: WeightList, builder: Builder) -> None:
        self._block, self._name, self._weights, self._builder = block, name, weights, builder
        self._inputs, self._conditions = block.size("input_size"), block.size("condition_size")
        self._channels = block.size("channels")
        dilations = _sizes(block, "dilations")
        count = len(dilations)
        taps = _sizes(block, "kernel_sizes") if "kernel_sizes" in block else [block.size("kernel_size")] * count
        raw = block.value("activation")
        activations = [_activation(each, block) for each in (raw if isinstance(raw, list) else [raw] * count)]
        if not count == len(taps) == len(activations):
            raise ForeignModelError(
                f"{block.where} has {count} dilations, {len(taps)} kernel_sizes and {len(activations)} activations"
            )
        self._layers = list(zip(dilations, taps, activations, strict=True))
        self._gated = _gated(block)
        if "head_size" in block:
            self._head = block.size("head_size"), 1, 1, block.take("head_bias", bool)
        else:
            head = block.document("head")
            dilation = head.size("head_dilation", 1)
            self._head = head.size("out_channels"), head.size("kernel_size"), dilation, head.take("bias", bool)
            head.end("only a convolution is read as a block's head")
        self._check_usual()

    def add(self, node: str, condition: str, summed: str) -> tuple[str, str]:
        """The last layer's output, and what the head makes of the sum, which begins with ``summed`` if there is
        one."""
        wires = self._builder.wires
        for what, size, wire in (("input", self._inputs, node), ("condition", self._conditions, condition)):
            if wires[wire].size != size:
                raise ForeignModelError(f"{self._block.where}: {what}_size is {size}, and {wires[wire].size} come")
        name, channels = self._name, self._channels
        node = self._product(node, f"{name}-in", channels, bias=False)
        for number, (dilation, taps, activation) in enumerate(self._layers, 1):
            layer = f"{name}-{number}"
            sums = self._convolution(node, layer, channels * (1 + self._gated), taps, dilation, bias=True)
            mixin = self._product(condition, f"{layer}-mixin", channels * (1 + self._gated), bias=False)
            sums = self._builder.add(Add(), [sums, mixin], name=f"{layer}-sum")
            active = self._activated(sums, activation, layer)
            summed = self._builder.add(Add(), [summed, active], name=f"{layer}-head") if summed else active
            product = self._product(active, f"{layer}-product", channels, bias=True)
            node = self._builder.add(Add(), [node, product], name=f"{layer}-residual")
        size, taps, dilation, bias = self._head
        return node, self._convolution(summed, f"{name}-head", size, taps, dilation, bias)

    def _activated(self, sums: str, activation: Activation, layer: str) -> str:
        """Sums, activated; gated, the first half so, times the sigmoid of the second."""
        if not self._gated:
            return self._builder.add(Activate(activation), [sums], name=f"{layer}-activation")
        halves = []
        for start, function, what in ((0, activation, "signal"), (self._channels, SIGMOID, "gate")):
            half = self._builder.add(Slice(start, self._channels), [sums], name=f"{layer}-{what}-sum")
            halves.append(self._builder.add(Activate(function), [half], name=f"{layer}-{what}"))
        return self._builder.add(Multiply(), halves, name=f"{layer}-gated")

    def _product(self, node: str, name: str, size: int, bias: bool) -> str:
        W = self._weights.take(f"W of {name}", size, self._builder.wires[node].size)
        b = self._weights.take(f"bias of {name}", size) if bias else np.zeros(size)
        return self._builder.add(Dense(size), [node], {"W": W, "b": b}, name=name)

    def _convolution(self, node: str, name: str, size: int, taps: int, dilation: int, bias: bool) -> str:
        """The file has W [outputs, inputs, taps], as PyTorch does."""
        W = self._weights.take(f"W of {name}", size, self._builder.wires[node].size, taps)
        b = self._weights.take(f"bias of {name}", size) if bias else np.zeros(size)
        parts = {"W": W.transpose(0, 2, 1).reshape(size, -1), "b": b}
        return self._builder.add(Convolution(size, taps, dilation=dilation), [node], parts, name=name)

    def _check_usual(self) -> None:
        """Newer files may have more in a layer, most of it not active."""
        block = self._block
        for field in _MAY_BE_ACTIVE:
            if _active(block, field):
                raise ForeignModelError(f"{block.at(field)} is active: it is not read here")
        if "layer1x1" in block and not _active(block, "layer1x1"):
            raise ForeignModelError(f"{block.at('layer1x1')} is not active: layers without it are not read here")
        for field, usual in (("bottleneck", self._channels), ("groups_input", 1), ("groups_input_mixin", 1)):
            if (value := block.size(field, usual)) != usual:
                raise ForeignModelError(f"{block.at(field)} is {value}, and only {usual} is read here")
        if block.get("slimmable", dict, {}):
            raise ForeignModelError(f"{block.at('slimmable')}: networks of several widths are not read here")


def _sizes(block: Document, field: str) -> list[int]:
    """A list of whole numbers from 1."""
    found = block.take(field, list)
    if not all(type(each) is int and each > 0 for each in found) or not found:
        raise ForeignModelError(f"{block.at(field)} is no list of whole numbers from 1")
    return found


def _active(block: Document, field: str) -> bool:
    """Whether a part of a layer is there and active; its settings matter only then."""
    if field not in block:
        return False
    found = block.value(field)
    return bool(found.get("active", True) if isinstance(found, dict) else found)


def _activation(raw: Any, block: Document) -> Activation:
    """By its name, or an object of its type and settings."""
    settings = Document(raw, block.at("activation")) if isinstance(raw, dict) else None
    name = settings.take("type", str) if settings else raw
    if not isinstance(name, str) or name not in ACTIVATIONS:
        raise ForeignModelError(
            f"{block.at('activation')} {name!r} is not read here: only {', '.join(ACTIVATIONS)} are"
        )
    activation = ACTIVATIONS[name]
    if settings:
        if name == "LeakyReLU":
            activation = Activation("leaky-relu", settings.get("negative_slope", float, 0.01))
        settings.end("it is no setting of that activation")
    return activation


def _gated(block: Document) -> bool:
    """Whether layers are gated, all or none; the gate is a sigmoid."""
    mode = block.value("gating_mode") if "gating_mode" in block else None
    modes = set(mode) if isinstance(mode, list) and all(isinstance(each, str) for each in mode) else {mode}
    if not modes <= {None, "none", "gated"} or len(modes) > 1:
        raise ForeignModelError(f"{block.at('gating_mode')} is {mode!r}: only 'none' or 'gated' for all is read here")
    gated = block.get("gated", bool, False) if modes == {None} else modes == {"gated"}
    block.drop(*() if "gated" not in block else ("gated",))
    second = block.value("secondary_activation") if "secondary_activation" in block else None
    seconds = second if isinstance(second, list) else [second]
    if gated and any(each not in (None, "Sigmoid", {"type": "Sigmoid"}) for each in seconds):
        raise ForeignModelError(f"{block.at('secondary_activation')} is not Sigmoid: it is not read here")
    return gated
