"""int8 graphs in float32, before anything else is read of them: integers become what they stand for, and rounding is
left out.

    QuantizeLinear ── QLinearMatMul ── DequantizeLinear    becomes    MatMul ── Clip

What a tensor of integers stands for is (q - zero point) * scale, and it stands in its place here. Its range is where
a calibration saw values, and is left out too, unless it begins or ends at zero: whoever quantized the graph may have
left out a Relu, or a Clip, that such a range does as well. A tensor that is quantized as it comes
(DynamicQuantizeLinear) is what it was, with scale 1 and zero point 0, so that whatever multiplies the scales later
multiplies by 1.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import Any, NamedTuple

import numpy as np

from ostinato.errors import ForeignModelError
from ostinato.importing.onnx.elements import Array
from ostinato.importing.onnx.reading import array_of, nodes

Rewrite = Callable[["_Node"], None]
_OWN = ("channels_last", "opset")
"""Attributes that only quantized operators have."""
_BOUNDED = ("Sigmoid", "HardSigmoid", "Softmax", "Relu", "Clip")
"""Operators whose values have bounds of their own."""


def in_float32(model: Any) -> tuple[Any, list[str]]:
    """The model without int8 operators, and the names of those that it had; itself, if it had none. Raises
    ForeignModelError for one whose integers are computed."""
    import onnx

    if not any(node.op_type in OPERATORS for node in nodes(model)):
        return model, []
    made = onnx.ModelProto()
    made.CopyFrom(model)
    opset = next((each.version for each in model.opset_import if each.domain in ("", "ai.onnx")), 1)
    return made, _Graph(made.graph, opset, None).replaced


class _Range(NamedTuple):
    """What integers of a tensor stand for: (q - ``zero``) * ``step``."""

    step: float
    zero: float


class _Graph:
    """A graph, rewritten where it is, with its branches and loops. ``outer``: the one that it stands in."""

    def __init__(self, graph: Any, opset: int, outer: _Graph | None) -> None:
        self.opset = opset
        self.replaced: list[str] = []
        self.ranges: dict[str, _Range] = dict(outer.ranges) if outer else {}
        """Of tensors of integers, which have what these stand for."""
        self.kinds: dict[str, str] = {}
        """Of the node that gives a value, by its name."""
        self._outer = outer
        self._nodes: list[Any] = []
        self._constants: list[Any] = []
        self._known = {each.name: each for each in graph.initializer}
        self._names: set[str] = outer._names if outer else set()
        self._names |= {name for node in graph.node for name in (*node.input, *node.output)} | set(self._known)
        for node in graph.node:
            self._rewrite(node)
        made = [type(node).FromString(node.SerializeToString()) for node in self._nodes]
        del graph.node[:], graph.value_info[:]  # the latter tell of integers
        graph.node.extend(made)
        graph.initializer.extend(self._constants)

    def _rewrite(self, node: Any) -> None:
        if rewrite := OPERATORS.get(node.op_type):
            self.replaced.append(str(node.name or node.output[0]))
            seen = _Node(self, node)
            try:
                rewrite(seen)
            except (ValueError, IndexError, TypeError, ArithmeticError) as error:
                raise seen.refused(f"has integers, scales or zero points that do not fit: {error}") from error
            return
        if node.op_type == "Constant" and node.attribute and node.attribute[0].HasField("t"):
            self._known[node.output[0]] = node.attribute[0].t
        for each in node.attribute:
            if each.HasField("g"):
                self.replaced += _Graph(each.g, self.opset, self).replaced
        if node.input and (own := self.ranges.get(node.input[0])):  # moves integers about
            self.ranges |= dict.fromkeys(node.output, own)
            if node.op_type == "Pad" and len(node.input) > 2 and (fill := self.known(node.input[2])) is not None:
                node.input[2] = self.constant(node.input[2], (fill.astype(np.float64) - own.zero) * own.step)
        self.append(node)

    def append(self, node: Any) -> None:
        """One more node."""
        self._nodes.append(node)
        self.kinds |= dict.fromkeys(node.output, node.op_type)

    def known(self, name: str) -> Array | None:
        """The values of a constant, None if it is none."""
        if name in self._known:
            return array_of(self._known[name])
        return self._outer.known(name) if self._outer else None

    def new(self, name: str) -> str:
        """A name like it that is nobody's."""
        number = 1
        while (made := f"{name}_float{number}") in self._names:
            number += 1
        self._names.add(made)
        return made

    def constant(self, name: str, values: Any) -> str:
        """The name of a new float32 constant."""
        from onnx import numpy_helper

        made = self.new(name)
        self._constants.append(numpy_helper.from_array(np.asarray(values, np.float32), made))
        return made


class _Node:
    """A node that is rewritten."""

    def __init__(self, graph: _Graph, node: Any) -> None:
        self.graph, self.node = graph, node

    def has(self, number: int) -> bool:
        """Whether an input is there."""
        return number < len(self.node.input) and bool(self.node.input[number])

    def input(self, number: int) -> str:
        """Its name. Raises ForeignModelError if it is not there."""
        if not self.has(number):
            raise self.refused(f"input number {number + 1} is missing")
        return str(self.node.input[number])

    def refused(self, reason: str) -> ForeignModelError:
        """An error that names the node."""
        return ForeignModelError(f"node {self.node.name or self.node.output[0]!r} ({self.node.op_type}): {reason}")

    def constant(self, number: int, what: str) -> Array:
        """An input that must be constant, in float64; single bytes, of which there are many, in float32."""
        if (found := self.graph.known(self.input(number))) is None:
            raise self.refused(f"{what} is computed, and must be constant: import the float32 model")
        return found.astype(np.float32 if found.dtype.itemsize == 1 else np.float64)

    def restored(self, number: int, scale: int | None, zero: int | None, axis: int = 0) -> Array:
        """Constant integers less their zero point, times their scale, along ``axis`` if they have several."""
        whole = self.constant(number, "what it reads as integers")

        def along(number: int) -> Array:
            by = self.constant(number, "a scale or a zero point").astype(whole.dtype)
            return by.reshape([-1 if k == axis % whole.ndim else 1 for k in range(whole.ndim)] if by.size > 1 else ())

        if zero is not None and self.has(zero):
            whole = whole - along(zero)
        return whole if scale is None else whole * along(scale)

    def real(self, number: int, scale: int, zero: int, axis: int = 0) -> str:
        """The name of what an input's integers stand for."""
        name = self.input(number)
        if self.graph.known(name) is not None:
            return self.graph.constant(name, self.restored(number, scale, zero, axis))
        if name not in self.graph.ranges:
            raise self.refused(f"reads integers {name!r} of no operator that is known: import the float32 model")
        return name

    def add(self, kind: str, inputs: Sequence[str], output: str | None = None, **attributes: Any) -> str:
        """Append a node of that kind; the name of its output."""
        from onnx import helper

        made = output or self.graph.new(self.node.output[0])
        self.graph.append(helper.make_node(kind, list(inputs), [made], name=made, **attributes))
        return made

    def attributes(self) -> dict[str, Any]:
        """Its own, as they are."""
        from onnx import helper

        return {each.name: helper.get_attribute_value(each) for each in self.node.attribute}

    def quantized(self, value: str, scale: int, zero: int) -> None:
        """Its output is ``value``, within the range of its integers if that begins or ends at zero."""
        step, origin, kind = self.constant(scale, "a scale"), np.zeros(1), np.dtype(np.uint8)
        if self.has(zero) and (known := self.graph.known(self.input(zero))) is not None:
            origin, kind = known.astype(np.float64), known.dtype
        if step.size > 1 or origin.size > 1:
            raise self.refused("has a scale for each of several values: import the float32 model")
        name, limits = self.node.output[0], np.iinfo(kind)
        own = _Range(float(step.reshape(())), float(origin.reshape(())))
        low, high = ((end - own.zero) * own.step for end in (limits.min, limits.max))
        if low < 0 < high or self.graph.kinds.get(value) in _BOUNDED:
            self.add("Identity", [value], name)
        elif self.graph.opset < 11:
            self.add("Clip", [value], name, min=low, max=high)
        else:
            self.add("Clip", [value, self.graph.constant(name, low), self.graph.constant(name, high)], name)
        self.graph.ranges[name] = own


def _dynamic(node: _Node) -> None:
    """y, its scale and its zero point."""
    value, scale, zero = node.node.output
    node.add("Identity", [node.input(0)], value)
    node.add("Identity", [node.graph.constant(scale, 1.0)], scale)
    node.add("Identity", [node.graph.constant(zero, 0.0)], zero)


def _quantize(node: _Node) -> None:
    node.quantized(node.input(0), 1, 2)


def _dequantize(node: _Node) -> None:
    """Of constants, of what was quantized before, or of integers that a table holds."""
    import onnx

    name, output = node.input(0), node.node.output[0]
    attributes = node.attributes()
    if attributes.get("block_size"):
        raise node.refused("has a scale for each block: import the float32 model")
    if node.graph.known(name) is not None:
        whole = node.restored(0, 1, 2, int(attributes.get("axis", 1)))
        node.add("Identity", [node.graph.constant(output, whole)], output)
    elif name in node.graph.ranges:
        node.add("Identity", [name], output)
    else:
        value = node.add("Cast", [name], to=onnx.TensorProto.FLOAT)
        if node.has(2):
            value = node.add("Sub", [value, node.graph.constant(output, node.constant(2, "a zero point"))])
        node.add("Mul", [value, node.graph.constant(output, node.constant(1, "a scale"))], output)


def _raw(node: _Node, number: int) -> str:
    """An input as its integers are, less their zero point: what was quantized as it came is itself."""
    name = node.input(number)
    own = node.graph.ranges.get(name)
    return node.add("Mul", [name, node.graph.constant(name, 1 / own.step)]) if own else name


def _matmul_integer(node: _Node) -> None:
    """A, B and their zero points."""
    B = node.graph.constant(node.input(1), node.restored(1, None, 3, -1))
    node.add("MatMul", [_raw(node, 0), B], node.node.output[0])


def _conv_integer(node: _Node) -> None:
    """X, W and their zero points."""
    W = node.graph.constant(node.input(1), node.restored(1, None, 3))
    node.add("Conv", [_raw(node, 0), W], node.node.output[0], **node.attributes())


def _matmul_to_float(node: _Node) -> None:
    """A, B, a_scale, b_scale, a_zero, b_zero, bias."""
    B = node.graph.constant(node.input(1), node.restored(1, 3, 5, -1))
    _biased(node, node.add("Mul", [node.add("MatMul", [_raw(node, 0), B]), node.input(2)]), 6)


def _dynamic_matmul(node: _Node) -> None:
    """A, B, b_scale, b_zero, bias."""
    B = node.graph.constant(node.input(1), node.restored(1, 2, 3, -1))
    _biased(node, node.add("MatMul", [node.input(0), B]), 4)


def _biased(node: _Node, value: str, bias: int) -> None:
    if node.has(bias):
        node.add("Add", [value, node.input(bias)], node.node.output[0])
    else:
        node.add("Identity", [value], node.node.output[0])


def _dynamic_lstm(node: _Node) -> None:
    """W [directions, inputs, 4 hidden] and R [directions, hidden, 4 hidden], their scales and zero points behind the
    inputs that an LSTM has."""
    from onnx import helper

    def matrices(number: int, scale: int) -> str:
        whole = node.constant(number, "its weights")
        by, zero = (
            node.constant(scale + k, "a scale").astype(whole.dtype).reshape(len(whole), 1, -1) for k in (0, 1)
        )
        return node.graph.constant(node.input(number), np.swapaxes((whole - zero) * by, 1, 2))

    inputs = [node.input(0), matrices(1, 8), matrices(2, 10), *node.node.input[3:8]]
    made = helper.make_node("LSTM", inputs, list(node.node.output), name=node.node.name, **node.attributes())
    node.graph.append(made)


def _linear_matmul(node: _Node) -> None:
    """a, b and y, each with its scale and zero point."""
    node.quantized(node.add("MatMul", [node.real(0, 1, 2), node.real(3, 4, 5, -1)]), 6, 7)


def _linear_conv(node: _Node) -> None:
    """x, w and y likewise; a bias of integers worth as much as a product of both."""
    inputs = [node.real(0, 1, 2), node.real(3, 4, 5)]
    if node.has(8):
        unit = node.constant(1, "a scale").reshape(()) * node.constant(4, "a scale").reshape(-1)
        inputs.append(node.graph.constant(node.input(8), node.constant(8, "its bias") * unit))
    node.quantized(node.add("Conv", inputs, **node.attributes()), 6, 7)


def _linear_gemm(node: _Node) -> None:
    """A, B with scales and zero points, C, y's scale and zero point, if it is quantized at all."""
    attributes = node.attributes()
    inputs = [node.real(0, 1, 2), node.real(3, 4, 5, 0 if attributes.get("transB") else 1)]
    if node.has(6):
        unit = node.constant(1, "a scale").reshape(()) * node.constant(4, "a scale").reshape(-1)
        bias = node.constant(6, "its bias") * unit * attributes.get("alpha", 1)
        inputs.append(node.graph.constant(node.input(6), bias))
    if node.has(7):
        node.quantized(node.add("Gemm", inputs, **attributes), 7, 8)
    else:
        node.add("Gemm", inputs, node.node.output[0], **attributes)


def _two(kind: str) -> Rewrite:
    """Of A, B and C, each with its scale and zero point."""

    def rewrite(node: _Node) -> None:
        node.quantized(node.add(kind, [node.real(0, 1, 2), node.real(3, 4, 5)]), 6, 7)

    return rewrite


def _one(kind: str) -> Rewrite:
    """Of x and y, each with its scale and zero point."""

    def rewrite(node: _Node) -> None:
        attributes = {name: value for name, value in node.attributes().items() if name not in _OWN}
        node.quantized(node.add(kind, [node.real(0, 1, 2)], **attributes), 3, 4)

    return rewrite


def _linear_concat(node: _Node) -> None:
    """Y's scale and zero point, then each input with its own."""
    parts = [node.real(number, number + 1, number + 2) for number in range(2, len(node.node.input), 3)]
    node.quantized(node.add("Concat", parts, **node.attributes()), 0, 1)


OPERATORS: Mapping[str, Rewrite] = {
    "DynamicQuantizeLinear": _dynamic,
    "QuantizeLinear": _quantize,
    "DequantizeLinear": _dequantize,
    "MatMulInteger": _matmul_integer,
    "ConvInteger": _conv_integer,
    "MatMulIntegerToFloat": _matmul_to_float,
    "DynamicQuantizeMatMul": _dynamic_matmul,
    "DynamicQuantizeLSTM": _dynamic_lstm,
    "QLinearMatMul": _linear_matmul,
    "QLinearConv": _linear_conv,
    "QGemm": _linear_gemm,
    "QLinearAdd": _two("Add"),
    "QLinearMul": _two("Mul"),
    "QLinearSigmoid": _one("Sigmoid"),
    "QLinearLeakyRelu": _one("LeakyRelu"),
    "QLinearSoftmax": _one("Softmax"),
    "QLinearAveragePool": _one("AveragePool"),
    "QLinearConcat": _linear_concat,
}
"""By their names, ONNX's own and those of com.microsoft."""
