"""Random ONNX graphs of what the importer knows: sequences of frames, and steps whose states go in and out.

model = sequence(numpy.random.default_rng(seed), 6)    # or step(…)
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from typing import Any, NamedTuple

import numpy as np
import onnx
from onnx import TensorProto, helper, numpy_helper

Generator = np.random.Generator
OPSET = 20


class Value(NamedTuple):
    """A tensor [1, frames, size]. ``rate``: of those that are equal, frames are too."""

    name: str
    size: int
    rate: int


@dataclass
class Graph:
    """A graph in the making."""

    rng: Generator
    nodes: list[Any] = field(default_factory=list)
    constants: list[Any] = field(default_factory=list)
    values: list[Value] = field(default_factory=list)
    inputs: list[Any] = field(default_factory=list)
    outputs: list[str] = field(default_factory=list)
    rates: int = 0
    waits: bool = False
    """Whether something runs backward: then nothing that re-frames may stand above."""
    count: int = 0

    def node(self, operator: str, *inputs: str, outputs: int = 1, **attributes: Any) -> Any:
        self.count += 1
        names = [f"v{self.count}_{k}" for k in range(outputs)]
        self.nodes.append(helper.make_node(operator, list(inputs), names, f"{operator}_{self.count}", **attributes))
        return names[0] if outputs == 1 else names

    def constant(self, array: Any) -> str:
        self.count += 1
        self.constants.append(numpy_helper.from_array(np.asarray(array), f"c{self.count}"))
        return f"c{self.count}"

    def normal(self, *shape: int, scale: float = 1.0) -> str:
        return self.constant((scale * self.rng.normal(size=shape)).astype(np.float32))

    def ints(self, *values: int) -> str:
        return self.constant(np.array(values, np.int64))

    def pick(self, choices: Sequence[Any]) -> Any:
        return choices[int(self.rng.integers(len(choices)))]

    def chance(self, probability: float = 0.5) -> bool:
        return bool(self.rng.random() < probability)

    def model(self) -> onnx.ModelProto:
        outputs = [helper.make_tensor_value_info(name, TensorProto.FLOAT, None) for name in self.outputs]
        graph = helper.make_graph(self.nodes, "random", self.inputs, outputs, self.constants)
        made = helper.make_model(graph, opset_imports=[helper.make_opsetid("", OPSET)])
        made.ir_version = 10
        return made


def dense(g: Graph, x: Value) -> Value:
    size = g.pick((1, 3, 8))
    product = g.node("MatMul", x.name, g.normal(x.size, size, scale=0.5))
    return x._replace(name=g.node("Add", product, g.normal(size)) if g.chance(0.8) else product, size=size)


def gemm(g: Graph, x: Value) -> Value:
    size, turned = g.pick((2, 5)), int(g.chance())
    flat = g.node("Reshape", x.name, g.ints(-1, x.size))
    W = g.normal(*((size, x.size) if turned else (x.size, size)), scale=0.5)
    made = g.node("Gemm", flat, W, g.normal(size), transB=turned, alpha=g.pick((1.0, 0.5)), beta=g.pick((1.0, 2.0)))
    return x._replace(name=g.node("Unsqueeze", made, g.ints(0)), size=size)


def unary(g: Graph, x: Value) -> Value:
    name = g.pick(
        ("Relu", "Tanh", "Sigmoid", "LeakyRelu", "HardSigmoid", "Elu", "Selu", "Celu", "Softsign", "Softplus", "Abs",
         "Neg", "Erf", "HardSwish", "Gelu", "ThresholdedRelu")
    )  # fmt: skip
    attributes = {"alpha": 0.3} if name in ("LeakyRelu", "HardSigmoid", "Elu", "Celu", "ThresholdedRelu") else {}
    return x._replace(name=g.node(name, x.name, **attributes))


def positive(g: Graph, x: Value) -> Value:
    """A function of positive values, of what is made positive."""
    above = g.node("Add", g.node("Softplus", x.name), g.constant(np.float32(0.5)))
    how = g.pick(("Sqrt", "Log", "Reciprocal", "Pow", "Div", "Exp"))
    if how == "Pow":
        return x._replace(name=g.node("Pow", above, g.constant(np.float32(g.pick((2.0, 0.5, -1.0, 3.0))))))
    if how == "Div":
        return x._replace(name=g.node("Div", x.name, above))
    return x._replace(name=g.node(how, g.node("Tanh", x.name) if how == "Exp" else above))


def clip(g: Graph, x: Value) -> Value:
    if g.chance():
        return x._replace(name=g.node("Clip", x.name, g.constant(np.float32(-0.7)), g.constant(np.float32(0.9))))
    return x._replace(name=g.node(g.pick(("Max", "Min")), x.name, g.constant(np.float32(0.1))))


def scale(g: Graph, x: Value) -> Value:
    shape = g.pick(((), (x.size,), (1, 1, x.size)))
    other = g.rng.uniform(0.4, 1.6, shape) * g.pick((-1, 1))  # not so small that a quotient loses digits
    return x._replace(name=g.node(g.pick(("Add", "Mul", "Sub", "Div")), x.name, g.constant(other.astype(np.float32))))


def prelu(g: Graph, x: Value) -> Value:
    return x._replace(name=g.node("PRelu", x.name, g.normal(g.pick((1, x.size)))))


def join(g: Graph, x: Value) -> Value:
    others = [y for y in g.values if y.rate == x.rate and (y.size in (1, x.size) or x.size == 1)]
    y = g.pick(others or [x])
    operator = g.pick(("Add", "Mul", "Sub", "Max", "Min", "Mean", "Sum"))
    return x._replace(name=g.node(operator, x.name, y.name), size=max(x.size, y.size))


def concatenate(g: Graph, x: Value) -> Value:
    y = g.pick([y for y in g.values if y.rate == x.rate] or [x])
    return x._replace(name=g.node("Concat", x.name, y.name, axis=-1), size=x.size + y.size)


def piece(g: Graph, x: Value) -> Value:
    if x.size < 2:
        return x
    start = int(g.rng.integers(x.size - 1))
    size = int(g.rng.integers(1, x.size - start + 1))
    how = g.pick(("Slice", "Split", "Gather"))
    if how == "Slice":
        made = g.node("Slice", x.name, g.ints(start), g.ints(start + size), g.ints(-1))
        return x._replace(name=made, size=size)
    if how == "Split":
        first, second = g.node("Split", x.name, g.ints(1, x.size - 1), outputs=2, axis=-1)
        return x._replace(name=g.node("Add", second, first), size=x.size - 1)
    order = g.rng.permutation(x.size)[: max(1, x.size - 1)]
    return x._replace(name=g.node("Gather", x.name, g.ints(*order), axis=2), size=len(order))


def turned(g: Graph, x: Value) -> Value:
    """A frame as a matrix, transposed; over one axis of it a product or a softmax."""
    rows = next((rows for rows in (4, 3, 2) if x.size % rows == 0 and x.size > rows), 0)
    if not rows:
        return x
    columns = x.size // rows
    matrix = g.node("Reshape", x.name, g.ints(1, -1, rows, columns))
    matrix = g.node("Transpose", matrix, perm=[0, 1, 3, 2])
    how = g.pick(("nothing", "MatMul", "Softmax", "ReduceMean", "LayerNormalization"))
    size = rows
    if how == "MatMul":
        size = g.pick((1, 2))
        matrix = g.node("MatMul", matrix, g.normal(rows, size))
    elif how == "Softmax":
        matrix = g.node("Softmax", matrix, axis=g.pick((2, 3)))
    elif how == "ReduceMean":
        matrix, size = g.node("ReduceMean", matrix, g.ints(3), keepdims=1), 1
    elif how == "LayerNormalization":
        matrix = g.node("LayerNormalization", matrix, g.normal(rows), g.normal(rows), axis=-1, epsilon=1e-2)
    return x._replace(name=g.node("Reshape", matrix, g.ints(1, -1, columns * size)), size=columns * size)


def normalised(g: Graph, x: Value) -> Value:
    how = g.pick(("LayerNormalization", "BatchNormalization", "Softmax", "LogSoftmax", "spelled", "ReduceL2"))
    if how == "LayerNormalization":
        return x._replace(name=g.node(how, x.name, g.normal(x.size), g.normal(x.size), axis=-1, epsilon=1e-3))
    if how == "BatchNormalization":
        turned = g.node("Transpose", x.name, perm=[0, 2, 1])
        variance = g.constant(g.rng.uniform(0.5, 2, x.size).astype(np.float32))
        made = g.node(how, turned, g.normal(x.size), g.normal(x.size), g.normal(x.size), variance)
        return x._replace(name=g.node("Transpose", made, perm=[0, 2, 1]))
    if how == "spelled":
        less = g.node("Sub", x.name, g.node("ReduceMean", x.name, g.ints(-1)))
        variance = g.node("ReduceMean", g.node("Mul", less, less), g.ints(-1))
        root = g.node("Sqrt", g.node("Add", variance, g.constant(np.float32(0.1))))
        return x._replace(name=g.node("Div", less, root))
    if how == "ReduceL2":
        return x._replace(name=g.node(how, x.name, g.ints(2), keepdims=1), size=1)
    return x._replace(name=g.node(how, x.name, axis=-1))


def convolution(g: Graph, x: Value) -> Value:
    """Causal, centred or chomped; any stride, dilation and groups."""
    taps, dilation, stride = g.pick((1, 2, 3, 5)), g.pick((1, 1, 2)), g.pick((1, 1, 1, 2, 3))
    groups = g.pick([each for each in (1, 2, x.size) if x.size % each == 0])
    size, span = groups * g.pick((1, 2)), (taps - 1) * dilation
    turned = g.node("Transpose", x.name, perm=[0, 2, 1])
    how = g.pick(("causal", "pads", "chomp", "SAME_UPPER", "SAME_LOWER") if stride == 1 else ("causal", "pads"))
    attributes: dict[str, Any] = {"dilations": [dilation], "strides": [stride], "group": groups}
    if how == "causal":
        turned = g.node("Pad", turned, g.ints(0, 0, span, 0, 0, 0))
    elif how.startswith("SAME"):
        attributes |= {"auto_pad": how, "dilations": [1]}  # ONNX Runtime dilates nothing there
    else:
        attributes["pads"] = [span, span] if how == "chomp" else [span // 2, span - span // 2]
    inputs = [g.normal(size, x.size // groups, taps, scale=0.5), *([g.normal(size)] if g.chance() else [])]
    made = g.node("Conv", turned, *inputs, **attributes)
    if how == "chomp" and span:
        made = g.node("Slice", made, g.ints(0), g.ints(-span), g.ints(2))
    rate = x.rate
    if stride > 1:
        g.rates += 1
        rate = g.rates
    return Value(g.node("Transpose", made, perm=[0, 2, 1]), size, rate)


def spectral(g: Graph, x: Value) -> Value:
    """Convolutions over time and the bands of a frame, one behind the other, and back."""
    bands, channels = g.pick((9, 16)), g.pick((2, 4))
    wide = g.node("MatMul", x.name, g.normal(x.size, bands * channels, scale=0.5))
    made = g.node("Transpose", g.node("Reshape", wide, g.ints(1, -1, channels, bands)), perm=[0, 2, 1, 3])
    made = g.node("Transpose", g.node("Relu", made), perm=[0, 1, 2, 3])  # [1, channels, time, bands]
    for _ in range(g.pick((1, 2))):
        frames, taps, stride = g.pick((1, 3)), g.pick((1, 3, 5)), g.pick((1, 2))
        groups = g.pick([each for each in (1, 2, channels) if channels % each == 0])
        outputs = groups * g.pick((1, 2))
        W = g.normal(outputs, channels // groups, frames, taps, scale=0.4)
        made = g.node(
            "Conv", made, W, g.normal(outputs), pads=[frames - 1, taps // 2, 0, taps // 2], strides=[1, stride],
            group=groups,
        )  # fmt: skip
        bands, channels = (bands + 2 * (taps // 2) - taps) // stride + 1, outputs
    if g.chance(0.4):
        W = g.normal(channels, 2, 1, 3, scale=0.4)
        made = g.node("ConvTranspose", made, W, strides=[1, 2], pads=[0, 1, 0, 0])
        bands, channels = 2 * bands, 2
    made = g.node("Reshape", g.node("Transpose", made, perm=[0, 2, 1, 3]), g.ints(1, -1, channels * bands))
    return dense(g, x._replace(name=made, size=channels * bands))


def pool(g: Graph, x: Value) -> Value:
    taps = g.pick((2, 3))
    turned = g.node("Transpose", x.name, perm=[0, 2, 1])
    operator = g.pick(("MaxPool", "AveragePool"))
    more = {"count_include_pad": 1} if operator == "AveragePool" else {}
    stride = g.pick((1, 2))
    pads = [taps - 1, 0] if stride == 1 else [1, 1]
    made = g.node(operator, turned, kernel_shape=[taps], strides=[stride], pads=pads, **more)
    rate = x.rate
    if stride > 1:
        g.rates += 1
        rate = g.rates
    return Value(g.node("Transpose", made, perm=[0, 2, 1]), x.size, rate)


def upsample(g: Graph, x: Value) -> Value:
    stride = g.pick((2, 3))
    taps, size = stride + g.pick((0, 1)), g.pick((2, 3))
    turned = g.node("Transpose", x.name, perm=[0, 2, 1])
    W = g.normal(x.size, size, taps, scale=0.5)
    made = g.node("ConvTranspose", turned, W, strides=[stride], pads=[0, taps - stride])
    g.rates += 1
    return Value(g.node("Transpose", made, perm=[0, 2, 1]), size, g.rates)


def repeated(g: Graph, x: Value) -> Value:
    """More frames by Reshape or Resize."""
    g.rates += 1
    if x.size % 2 == 0 and g.chance():
        return Value(g.node("Reshape", x.name, g.ints(1, -1, x.size // 2)), x.size // 2, g.rates)
    scales = g.constant(np.array([1, 2, 1], np.float32))
    how = {"mode": "nearest", "nearest_mode": "floor", "coordinate_transformation_mode": "asymmetric"}
    return Value(g.node("Resize", x.name, "", scales, **how), x.size, g.rates)


def recurrent(g: Graph, x: Value) -> Value:
    kind = g.pick(("RNN", "GRU", "LSTM"))
    way = "forward" if g.rates or g.chance(0.7) else g.pick(("reverse", "bidirectional"))
    hidden, count = g.pick((1, 4, 9)), 1 + (way == "bidirectional")
    if way != "forward":
        g.waits = True
        g.values.clear()  # what is joined with it must be in step with it
    time_first = g.node("Transpose", x.name, perm=[1, 0, 2])
    weights = _weights(g, kind, x.size, hidden, count)
    if g.chance(0.3):  # learnt initial states
        states = [g.normal(count, 1, hidden) for _ in range(1 + (kind == "LSTM"))]
        weights += [""] * (4 - len(weights)) + states
    made = g.node(
        kind, time_first, *weights, outputs=2, hidden_size=hidden, direction=way,
        **_attributes(g, kind, count),
    )[0]  # fmt: skip
    if count == 1 and g.chance():
        made = g.node("Transpose", g.node("Squeeze", made, g.ints(1)), perm=[1, 0, 2])
    else:
        made = g.node("Transpose", made, perm=[2, 0, 1, 3])
        made = g.node("Reshape", made, g.ints(0, 0, count * hidden))
    return x._replace(name=made, size=count * hidden)


def _weights(g: Graph, kind: str, size: int, hidden: int, count: int) -> list[str]:
    gates = {"RNN": 1, "GRU": 3, "LSTM": 4}[kind]
    W, R = g.normal(count, gates * hidden, size, scale=0.5), g.normal(count, gates * hidden, hidden, scale=0.3)
    return [W, R, *([g.normal(count, 2 * gates * hidden, scale=0.3)] if g.chance(0.8) else [])]


def _attributes(g: Graph, kind: str, count: int) -> dict[str, Any]:
    found: dict[str, Any] = {}
    if kind == "GRU":
        found["linear_before_reset"] = int(g.chance())
    if g.chance(0.3):
        found["clip"] = 1.5
    if g.chance(0.3):
        names = [g.pick(("Tanh", "Sigmoid", "Softsign")) for _ in range({"RNN": 1, "GRU": 1, "LSTM": 2}[kind])]
        gates = [] if kind == "RNN" else [g.pick(("Sigmoid", "HardSigmoid"))]  # others make some of them chaotic
        found["activations"] = [*gates, *names] * count
    if kind == "LSTM" and g.chance(0.2):
        found["input_forget"] = 1
    return found


IN_STEP: tuple[Callable[[Graph, Value], Value], ...] = (
    dense, gemm, unary, positive, clip, scale, prelu, join, concatenate, piece, turned, normalised,
)  # fmt: skip
OVER_TIME: tuple[Callable[[Graph, Value], Value], ...] = (
    convolution, convolution, pool, upsample, repeated, recurrent, recurrent, spectral,
)  # fmt: skip


def sequence(rng: Generator, blocks: int) -> onnx.ModelProto:
    """A graph over a whole utterance [1, time, size]."""
    g = Graph(rng)
    size = g.pick((1, 4, 6))
    g.inputs = [helper.make_tensor_value_info("x", TensorProto.FLOAT, [1, "time", size])]
    x = Value("x", size, 0)
    for _ in range(blocks):
        block = g.pick(IN_STEP if g.waits or g.chance(0.6) else OVER_TIME)
        if g.waits and block is recurrent:
            continue
        g.values.append(x)
        x = block(g, x)
    if not any(node.op_type in ("RNN", "GRU", "LSTM", "Conv") for node in g.nodes):
        g.values.append(x)
        x = recurrent(g, x)
    g.outputs = [g.node("Identity", x.name)]
    other = g.pick(g.values or [x])
    if other.rate == x.rate and other.name != "x" and not g.waits and g.chance(0.3):
        g.outputs.append(g.node("Identity", other.name))
    return g.model()


def step(rng: Generator, blocks: int) -> onnx.ModelProto:
    """A graph over one frame [1, 1, size], whose states go in and out, alone or stacked."""
    g = Graph(rng)
    size = g.pick((1, 4, 6))
    g.inputs = [helper.make_tensor_value_info("x", TensorProto.FLOAT, [1, 1, size])]
    x = Value("x", size, 0)
    ends: list[str] = []
    for _ in range(blocks):
        g.values.append(x)
        if g.chance(0.6):
            x = g.pick(IN_STEP)(g, x)
        else:
            x = g.pick((stated, cached, written_lstm, written_gru))(g, x, ends)
    if not ends:
        x = stated(g, x, ends)
    g.outputs = [g.node("Identity", x.name), *ends]
    return g.model()


def _state(g: Graph, *shape: int) -> str:
    g.count += 1
    g.inputs.append(helper.make_tensor_value_info(f"s{g.count}", TensorProto.FLOAT, shape))
    return f"s{g.count}"


def stated(g: Graph, x: Value, ends: list[str]) -> Value:
    """ONNX's own operators, from states that are given."""
    kind, hidden = g.pick(("RNN", "GRU", "LSTM")), g.pick((3, 5))
    weights = _weights(g, kind, x.size, hidden, 1)
    weights += [""] * (3 - len(weights))
    if kind == "LSTM":
        if g.chance():
            both = _state(g, 2, 1, hidden)
            states = [g.node("Slice", both, g.ints(k), g.ints(k + 1), g.ints(0)) for k in (0, 1)]
        else:
            states = [_state(g, 1, 1, hidden) for _ in range(2)]
    else:
        states = [_state(g, 1, 1, hidden)]
    made = g.node(
        kind, x.name, *weights, "", *states, outputs=1 + len(states), hidden_size=hidden, **_attributes(g, kind, 1)
    )
    if kind == "LSTM" and g.inputs[-1].type.tensor_type.shape.dim[0].dim_value == 2:
        ends.append(g.node("Concat", *made[1:], axis=0))
    else:
        ends.extend(g.node("Identity", each) for each in made[1:])
    return x._replace(name=g.node("Squeeze", made[0], g.ints(1)), size=hidden)


def cached(g: Graph, x: Value, ends: list[str]) -> Value:
    """A convolution whose last frames are handed on."""
    taps, size = g.pick((2, 4)), g.pick((2, 3))
    cache = _state(g, 1, x.size, taps - 1)
    window = g.node("Concat", cache, g.node("Transpose", x.name, perm=[0, 2, 1]), axis=2)
    ends.append(g.node("Slice", window, g.ints(1), g.ints(taps), g.ints(2)))
    made = g.node("Conv", window, g.normal(size, x.size, taps, scale=0.5), g.normal(size))
    return x._replace(name=g.node("Transpose", made, perm=[0, 2, 1]), size=size)


def _sums(g: Graph, x: Value, h: str, gates: int, hidden: int) -> tuple[str, str]:
    flat = g.node("Squeeze", x.name, g.ints(0))
    inputs = g.node("Gemm", flat, g.normal(x.size, gates * hidden, scale=0.5), g.normal(gates * hidden))
    return inputs, g.node("Gemm", h, g.normal(hidden, gates * hidden, scale=0.4), g.normal(gates * hidden))


def written_lstm(g: Graph, x: Value, ends: list[str]) -> Value:
    """Gates in any order."""
    hidden = g.pick((3, 5))
    h, c = _state(g, 1, hidden), _state(g, 1, hidden)
    total = g.node("Add", *_sums(g, x, h, 4, hidden))
    parts = g.node("Split", total, outputs=4, axis=1, num_outputs=4)
    i, f, o, n = (parts[k] for k in g.rng.permutation(4))
    i, f, o = (g.node("Sigmoid", each) for each in (i, f, o))
    pairs = [g.node("Mul", f, c), g.node("Mul", g.node("Tanh", n), i)]
    cell = g.node("Add", *(pairs if g.chance() else pairs[::-1]))
    out = g.node("Mul", o, g.node("Tanh", cell))
    ends += [g.node("Identity", out), g.node("Identity", cell)]
    return x._replace(name=g.node("Unsqueeze", out, g.ints(0)), size=hidden)


def written_gru(g: Graph, x: Value, ends: list[str]) -> Value:
    """Reset after the product, in PyTorch's gate order; both ways to write the last line."""
    hidden = g.pick((3, 5))
    h = _state(g, 1, hidden)
    inputs, states = (g.node("Split", each, outputs=3, axis=1, num_outputs=3) for each in _sums(g, x, h, 3, hidden))
    r, z = (g.node("Sigmoid", g.node("Add", inputs[k], states[k])) for k in (0, 1))
    n = g.node("Tanh", g.node("Add", inputs[2], g.node("Mul", r, states[2])))
    if g.chance():
        kept = g.node("Mul", g.node("Sub", g.constant(np.float32(1)), z), n)
        out = g.node("Add", kept, g.node("Mul", z, h))
    else:
        out = g.node("Add", n, g.node("Mul", z, g.node("Sub", h, n)))
    ends.append(g.node("Identity", out))
    return x._replace(name=g.node("Unsqueeze", out, g.ints(0)), size=hidden)
