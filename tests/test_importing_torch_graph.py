"""Traced PyTorch modules, without PyTorch: graphs as torch.fx makes them. tests/against_torch.py has real ones."""

from __future__ import annotations

import operator
from collections.abc import Mapping
from typing import Any

import numpy as np
import numpy.typing as npt
import pytest
from imported import sigmoid, streamed
from test_importing_pytorch import cell, random
from torch_archive import fake
from torch_formulas import conv1d, linear, parameters, recurrent

from ostinato.errors import ForeignModelError
from ostinato.importing.arrays.contents import Arrays, Stored
from ostinato.importing.builder import Builder
from ostinato.importing.pytorch.graph import Trace
from ostinato.importing.pytorch.values import AxesError, States, Value
from ostinato.importing.settings import Settings
from ostinato.model import Network
from ostinato.model.decoders import Outputs
from ostinato.model.front_ends import Frames

Array = npt.NDArray[Any]


class Node:
    """Of a graph."""

    def __init__(self, op: str, target: Any, *args: Any, **kwargs: Any) -> None:
        self.op, self.target, self.args, self.kwargs = op, target, args, kwargs
        self.name = str(getattr(target, "__name__", target)).replace(".", "_")
        self.users: dict[Node, None] = {}
        for arg in args:
            for each in arg if isinstance(arg, tuple | list) else (arg,):
                if isinstance(each, Node):
                    each.users[self] = None


class Graph:
    """Nodes in order, as a module's forward calls them."""

    def __init__(self) -> None:
        self.nodes: list[Node] = []
        self.modules: dict[str, Any] = {}

    def add(self, op: str, target: Any, *args: Any, **kwargs: Any) -> Node:
        self.nodes.append(Node(op, target, *args, **kwargs))
        return self.nodes[-1]

    def input(self) -> Node:
        return self.add("placeholder", "x")

    def call(self, function: str, *args: Any, **kwargs: Any) -> Node:
        """A function, by its name."""
        made = getattr(operator, function, None) or fake("torch", function)
        return self.add("call_function", made, *args, **kwargs)

    def module(self, kind: str, name: str, *args: Any, **attributes: Any) -> Node:
        self.modules[name] = fake("torch.nn.modules", kind)()
        for attribute, value in attributes.items():
            setattr(self.modules[name], attribute, value)
        return self.add("call_module", name, *args)

    def gru(self, name: str, x: Node, **attributes: Any) -> Node:
        return self.module("GRU", name, x, **{"batch_first": True, "bidirectional": False} | attributes)

    def conv(self, name: str, x: Node, **attributes: Any) -> Node:
        return self.module("Conv1d", name, x, **{"stride": (1,), "padding": (0,), "dilation": (1,)} | attributes)

    def trace(self, axes: str, result: Any, arrays: Mapping[str, Array] | None = None) -> Trace:
        """What becomes of it above frames of three values."""
        self.add("output", "output", result)
        stored = {name: Stored("float32", array) for name, array in (arrays or {}).items()}
        self.builder = Builder(Frames(3))
        return Trace(self.nodes, self.modules, Arrays(stored), self.builder, axes)

    def network(self, axes: str, result: Any, arrays: Mapping[str, Array]) -> Network:
        value = self.trace(axes, result, arrays).result
        return self.builder.network(Settings(), [("main", value.node, Outputs())], name="traced")


def test_axes_are_followed_through_convolutions_recurrences_and_joins() -> None:
    """Causal by padding both sides and cutting the end; by padding before; gates of two branches."""
    arrays = random({
        "one.weight": (4, 3, 3), "one.bias": (4,), "two.weight": (4, 4, 2),
        **{f"rnn.{name}": shape for name, shape in cell(3, 4, 4).items()}, "out.weight": (2, 8),
    })  # fmt: skip
    graph = Graph()
    x = graph.add("call_method", "transpose", graph.input(), 1, 2)
    cut = graph.call("getitem", graph.conv("one", x, padding=(2,)), (slice(None), slice(None), slice(None, -2)))
    y = graph.conv("two", graph.call("pad", graph.call("relu", cut), (1, 0)))
    y = graph.add("call_method", "permute", y, 0, 2, 1)
    h = graph.call("getitem", graph.gru("rnn", y), 0)
    gated = graph.call("mul", graph.call("sub", 1, graph.call("sigmoid", h)), y)
    both = graph.call("cat", [h, gated], dim=-1)
    network = graph.network("btc", graph.module("Linear", "out", both), arrays)

    frames = np.random.default_rng(1).normal(size=(20, 3)).astype("f4")
    p = {name: parameters(arrays, name) for name in ("one", "two", "rnn", "out")}
    y = np.maximum(conv1d(p["one"], np.pad(frames, ((2, 0), (0, 0)))), 0)
    y = conv1d(p["two"], np.pad(y, ((1, 0), (0, 0))))
    h = recurrent("GRU", p["rnn"], y)
    expected = linear(p["out"], np.concatenate([h, (1 - sigmoid(h)) * y], axis=1))
    np.testing.assert_allclose(streamed(network, frames), expected, atol=2e-6)


@pytest.mark.parametrize("of", ["outputs", "states"])
def test_the_last_frame_is_each_frames(of: str) -> None:
    arrays = random({**{f"rnn.{name}": shape for name, shape in cell(3, 4, 3).items()}, "out.weight": (2, 4)})
    graph = Graph()
    both = graph.gru("rnn", graph.input())
    if of == "outputs":
        last = graph.call("getitem", graph.call("getitem", both, 0), (slice(None), -1))
    else:
        last = graph.call("getitem", graph.call("getitem", both, 1), -1)
    network = graph.network("btc", graph.module("Linear", "out", last), arrays)
    frames = np.random.default_rng(1).normal(size=(20, 3)).astype("f4")
    h = recurrent("GRU", parameters(arrays, "rnn"), frames.astype("f8"))
    np.testing.assert_allclose(streamed(network, frames), linear(parameters(arrays, "out"), h), atol=2e-6)


def test_both_ends_of_two_directions_are_known_at_the_end() -> None:
    """torch.cat((h[-2], h[-1, :]), 1): forward's last frame, backward's first."""
    both = cell(3, 4, 3) | {f"{name}_reverse": shape for name, shape in cell(3, 4, 3).items()}
    arrays = random({**{f"rnn.{name}": shape for name, shape in both.items()}, "out.weight": (2, 8)})
    graph = Graph()
    states = graph.call("getitem", graph.gru("rnn", graph.input(), bidirectional=True), 1)
    ends = [graph.call("getitem", states, -2), graph.call("getitem", states, (-1, slice(None)))]
    network = graph.network("btc", graph.module("Linear", "out", graph.call("cat", ends, 1)), arrays)
    frames = np.random.default_rng(1).normal(size=(20, 3)).astype("f4")
    h = recurrent("GRU", parameters(arrays, "rnn"), frames.astype("f8"))
    expected = linear(parameters(arrays, "out"), np.concatenate([h[-1:, :4], h[:1, 4:]], axis=1))
    np.testing.assert_allclose(streamed(network, frames)[-1:], expected, atol=2e-6)


def test_constants_and_some_of_the_values() -> None:
    class Constant:
        """A tensor."""

        def __init__(self, array: Any) -> None:
            self.array = np.asarray(array, np.float32)

        def detach(self) -> Constant:
            return self

        float = detach

        def numpy(self) -> Array:
            return self.array

    graph = Graph()
    graph.modules[""] = type("Root", (), {"mean": Constant([1, 2, 3]), "half": Constant([[0.5]])})()
    x = graph.call("sub", graph.input(), graph.add("get_attr", "mean"))
    y = graph.call("truediv", 2, graph.call("exp", x))
    y = graph.call("add", graph.call("mul", y, graph.add("get_attr", "half")), 1.5)
    network = graph.network("btc", graph.call("getitem", y, (Ellipsis, slice(1, 3))), {})
    frames = np.random.default_rng(1).normal(size=(20, 3)).astype("f4")
    expected = (2 / np.exp(frames - [1, 2, 3]) * 0.5 + 1.5)[:, 1:]
    np.testing.assert_allclose(streamed(network, frames), expected, rtol=2e-6)


def test_gates_of_halves_and_products_with_constants() -> None:
    """F.glu; a, b = y.chunk(2, -1); y.split([1, 3], -1); F.linear; y @ w."""

    class Constant:
        def __init__(self, array: Any) -> None:
            self.array = array

        def detach(self) -> Constant:
            return self

        float = detach

        def numpy(self) -> Any:
            return self.array

    arrays = random({"w": (8, 3), "b": (8,), "v": (4, 3)})
    graph = Graph()
    graph.modules[""] = type("Model", (), {name: Constant(array) for name, array in arrays.items()})()
    w, b, v = (graph.add("get_attr", name) for name in arrays)
    y = graph.call("linear", graph.input(), w, b)
    a, c = (graph.call("getitem", graph.add("call_method", "chunk", y, 2, -1), number) for number in (0, 1))
    first, rest = (graph.call("getitem", graph.add("call_method", "split", a, [1, 3], dim=2), k) for k in (0, 1))
    both = graph.call("cat", [rest, first], -1)
    z = graph.call("add", graph.call("add", graph.call("glu", y), both), graph.module("GLU", "g", y, dim=-1))
    network = graph.network("btc", graph.call("matmul", graph.call("sub", z, c), v), arrays)
    frames = np.random.default_rng(1).normal(size=(20, 3)).astype("f4")
    y = frames @ arrays["w"].T + arrays["b"]
    a, c = y[:, :4], y[:, 4:]
    expected = (2 * a * sigmoid(c) + a[:, [1, 2, 3, 0]] - c) @ arrays["v"]
    np.testing.assert_allclose(streamed(network, frames), expected, atol=2e-6)


@pytest.mark.parametrize("way", ["sizes", "device", "constant", "pair"])
def test_zeros_to_begin_from_are_what_streams_begin_from(way: str) -> None:
    """h = torch.zeros(1, x.size(0), 4).to(x.device), as many forward methods have it."""
    arrays = random({f"rnn.{name}": shape for name, shape in cell(4 if way == "pair" else 3, 4, 3).items()})
    graph = Graph()
    x = graph.input()
    h = graph.call("zeros", 1, graph.add("call_method", "size", x, 0), 4)
    if way == "device":
        shape = graph.add("call_function", getattr, x, "shape")
        device = graph.add("call_function", getattr, x, "device")
        h = graph.call("zeros", 1, graph.call("getitem", shape, 0), 4, device=device)
        h = graph.add("call_method", "requires_grad_", graph.add("call_method", "to", h, device))
    if way == "constant":
        zeros = type("Zeros", (), {"numpy": lambda _: np.zeros((1, 1, 4))})()
        zeros.detach = zeros.float = lambda: zeros
        graph.modules[""] = type("Model", (), {"_tensor_constant0": zeros})()
        h = graph.add("get_attr", "_tensor_constant0")
    made = graph.module(
        "LSTM" if way == "pair" else "GRU", "rnn", x, (h, h) if way == "pair" else h,
        batch_first=True, bidirectional=False,
    )  # fmt: skip
    network = graph.network("btc", graph.call("getitem", made, 0), arrays)
    frames = np.random.default_rng(1).normal(size=(20, 3)).astype("f4")
    expected = recurrent("LSTM" if way == "pair" else "GRU", parameters(arrays, "rnn"), frames.astype("f8"))
    np.testing.assert_allclose(streamed(network, frames), expected, atol=2e-6)


def test_what_is_returned_besides_outputs() -> None:
    graph = Graph()
    trace = graph.trace("btc", graph.gru("rnn", graph.input()), random({
        f"rnn.{name}": shape for name, shape in cell(3, 4, 3).items()
    }))  # fmt: skip
    assert trace.result == (Value("rnn", "btc"), States("rnn", False, False))


def conv_after_frames(graph: Graph) -> Any:
    return graph.conv("c", graph.input())


def batches_side_by_side(graph: Graph) -> Any:
    x = graph.input()
    return graph.call("cat", [x, x], 0)


def second_input(graph: Graph) -> Any:
    graph.input()
    return graph.add("placeholder", "y")


def given_states(graph: Graph) -> Any:
    x = graph.input()
    return graph.module("GRU", "rnn", x, x, batch_first=True, bidirectional=False)


def states_of_the_first_layer(graph: Graph) -> Any:
    states = graph.call("getitem", graph.gru("rnn", graph.input(), bidirectional=True), 1)
    return graph.call("getitem", states, 0)


REFUSED = {
    "convolution over values": (conv_after_frames, AxesError, "takes axes 'bct', and what comes has 'btc'"),
    "batches side by side": (batches_side_by_side, AxesError, "puts along axis 'b'"),
    "mean over time": (lambda g: g.call("mean", g.input(), 1), ForeignModelError, "is not read here; over"),
    "a second input": (second_input, ForeignModelError, "takes a second input"),
    "states that are given": (given_states, ForeignModelError, "starts from states that it is given"),
    "states of the first layer": (states_of_the_first_layer, ForeignModelError, "only h of the last layer"),
    "reflecting": (lambda g: g.call("pad", g.input(), (0, 0, 1, 0), "reflect"), ForeignModelError, "frames of zeros"),
    "padded, not convolved": (
        lambda g: g.call("relu", g.call("pad", g.input(), (0, 0, 1, 0))), ForeignModelError, "only a convolution",
    ),
    "every second": (
        lambda g: g.call("getitem", g.input(), (slice(None), slice(None, None, 2))), ForeignModelError, "not read",
    ),
    "softmax over time": (lambda g: g.call("softmax", g.input(), 1), AxesError, "only over the values"),
    "softmax of no axis": (lambda g: g.call("softmax", g.input()), AxesError, "softmax over axis None"),
    "another module": (lambda g: g.module("InstanceNorm1d", "n", g.input()), ForeignModelError, "statistics of all"),
    "a module that nobody knows": (lambda g: g.module("Bilinear", "n", g.input()), ForeignModelError, "module is"),
    "attention": (
        lambda g: g.module("MultiheadAttention", "n", g.input()), ForeignModelError, r"n \(Multi.*whole utterance",
    ),
    "over two axes": (lambda g: g.module("Conv2d", "n", g.input()), ForeignModelError, "two axes.*export it as ONNX"),
    "a product of two values": (lambda g: g.call("matmul", *2 * [g.input()]), ForeignModelError, "is attention, or"),
    "halves of three": (lambda g: g.call("glu", g.input()), ForeignModelError, "cannot be halved"),
    "halves of time": (lambda g: g.call("chunk", g.input(), 2, 1), AxesError, "divides axis 't'"),
    "sizes as values": (
        lambda g: g.call("mul", g.input(), g.call("zeros", 3)), ForeignModelError, "is not read here",
    ),
    "circular": (lambda g: g.conv("c", g.input(), padding_mode="circular"), ForeignModelError, "only zeros"),
    "a softplus of its own": (lambda g: g.call("softplus", g.input(), 2.0), ForeignModelError, "softplus with"),
    "own arguments": (lambda g: g.call("transpose", g.input(), 1), ForeignModelError, "transpose of"),
}  # fmt: skip


@pytest.mark.parametrize("name", REFUSED)
def test_what_cannot_be_read_is_named(name: str) -> None:
    make, error, why = REFUSED[name]
    graph = Graph()
    shapes = {"c.weight": (4, 3, 3)} | {
        f"rnn.{each}{way}": shape for way in ("", "_reverse") for each, shape in cell(3, 4, 3).items()
    }
    if name != "last states of both ways":
        shapes = {each: shape for each, shape in shapes.items() if "reverse" not in each}
    with pytest.raises(error, match=why):
        graph.trace("bct" if name == "circular" else "btc", make(graph), random(shapes))
