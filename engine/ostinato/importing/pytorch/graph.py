"""A traced PyTorch module (`torch.fx`) becomes nodes of a network.

What each value's axes mean is followed from the input: b (batch), t (frames), c (values of a frame). A convolution
wants "bct", a recurrence "btc" or "tbc"; transposing changes it, and costs nothing here. Which axes the input has is
not said anywhere: the first that all modules agree with are taken.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from dataclasses import replace
from typing import Any

import numpy as np

from ostinato.errors import ForeignModelError
from ostinato.importing.arrays.contents import Arrays, Floats
from ostinato.importing.builder import Builder
from ostinato.importing.pytorch import functions
from ostinato.importing.pytorch.modules import MODULES, RECURRENT, layers_of
from ostinato.importing.pytorch.parameters import Parameters
from ostinato.importing.pytorch.values import (
    CURE,
    REASONS,
    AxesError,
    States,
    Value,
    beginning,
    expanded,
    is_zero,
    unread,
)
from ostinato.model.activation import Activation
from ostinato.model.layers import (
    Activate,
    Add,
    Concatenate,
    Dense,
    First,
    Layer,
    MaxPool,
    MeanPool,
    Multiply,
    Scale,
    Slice,
    Softmax,
)  # fmt: skip
from ostinato.model.specification import FRAMES

_IDENTITIES = {
    "contiguous", "clone", "detach", "float", "dropout", "alpha_dropout", "Dropout", "Dropout1d", "Identity",
}  # fmt: skip
_ATTRIBUTES: dict[str, tuple[str, ...]] = {
    "RNN": ("nonlinearity",),
    "Conv1d": ("stride", "padding", "dilation"),
    "ConvTranspose1d": ("stride", "padding", "output_padding"),
    "BatchNorm1d": ("eps",),
    "LayerNorm": ("eps",),
}
"""Of modules: the arguments that their arrays do not tell."""
_CALLED = {
    "add": "add", "iadd": "add", "sub": "sub", "mul": "mul", "imul": "mul", "truediv": "div", "div": "div",
    "subtract": "sub", "multiply": "mul", "divide": "div",
}  # fmt: skip

_POWERS = {2: "square", 0.5: "sqrt"}


class Trace:
    """The nodes of a traced module, followed from an input of ``axes``."""

    def __init__(
        self, nodes: Iterable[Any], modules: Mapping[str, Any], arrays: Arrays, builder: Builder, axes: str
    ) -> None:
        self._modules, self._arrays, self._builder, self._axes = modules, arrays, builder, axes
        self._values: dict[Any, Any] = {}
        self._what = ""
        self._nodes = list(nodes)
        self._chomped: set[Any] = set()
        self.result: Any = None
        """Of the module: a value, or a tuple or dictionary of such."""
        for node in self._nodes:
            self._what = f"{node.name} ({getattr(node.target, '__name__', node.target)})"
            self._values[node] = self._follow(node)

    def _follow(self, node: Any) -> Any:
        if node.op == "placeholder":
            if FRAMES in {value.node for value in self._values.values() if isinstance(value, Value)}:
                if node.args and node.args[0] is None:
                    return None
                raise ForeignModelError(f"{self._what}: it takes a second input: only frames or tokens come in here")
            return Value(FRAMES, self._axes)
        args, kwargs = self._given(node.args), self._given(node.kwargs)
        if node.op == "output":
            self.result = args[0]
            return None
        if node.op == "call_module":
            return self._module(node, self._modules[node.target], args, kwargs)
        if node.op == "get_attr":
            return self._constant(node.target)
        name = node.target if node.op == "call_method" else getattr(node.target, "__name__", str(node.target))
        if name == "_assert_is_none":
            return None
        if name == "getitem" and node in self._chomped:
            return args[0]
        if (found := beginning(name.rstrip("_"), args)) is not None:
            return found
        return self._function(name.rstrip("_"), args, kwargs)

    def _constant(self, target: str) -> Floats:
        """A parameter or buffer that belongs to no module that is known."""
        owner, _, name = target.rpartition(".")
        if target in self._arrays:
            self._arrays.use(target, self._what)
        found: Floats = getattr(self._modules[owner], name).detach().float().numpy()
        return found

    def _given(self, raw: Any) -> Any:
        """Arguments with values in the place of nodes."""
        if isinstance(raw, tuple | list):
            return tuple(self._given(each) for each in raw)
        if isinstance(raw, dict):
            return {key: self._given(each) for key, each in raw.items()}
        return self._values[raw] if hasattr(raw, "op") else raw  # a node; slices can be no keys

    def _add(self, layer: Layer, *values: Any, weights: Mapping[str, Any] | None = None, name: str = "") -> Value:
        """A node of the network that reads values of the same axes."""
        for value in values:
            if not isinstance(value, Value):
                raise ForeignModelError(f"{self._what}: takes {value!r}, which is no value of frames: {CURE}")
            if value.pad != (0, 0):
                raise ForeignModelError(f"{self._what}: takes padded frames: only a convolution can here")
            if (value.axes, value.last) != (values[0].axes, values[0].last):
                raise AxesError(f"{self._what}: values of axes {values[0].axes!r} and {value.axes!r} come together")
        label = name or self._what.split(" ")[0]
        node = self._builder.add(layer, [value.node for value in values], weights, name=label, origin=self._what)
        first: Value = values[0]
        return replace(first, node=node)

    # --- modules ----------------------------------------------------------------------------------------------------

    def _module(self, node: Any, module: Any, args: tuple[Any, ...], kwargs: Mapping[str, Any]) -> Any:
        classes = [each.__name__ for each in type(module).__mro__ if each.__module__.startswith("torch.nn")]
        self._what = f"{node.target} ({type(module).__name__})"
        kind = next((name for name in classes if name in _KNOWN), "")
        if not kind:
            raise unread(self._what, next((name for name in classes if name in REASONS), ""), "such a module")
        value = args[0] if args else next(iter(kwargs.values()))
        if not is_zero((*args[1:], *list(kwargs.values())[not args :])):
            raise ForeignModelError(f"{self._what}: starts from states that it is given: streams begin with zeros")
        if kind in _IDENTITIES:
            return value
        if not isinstance(value, Value):
            raise ForeignModelError(f"{self._what}: takes what is no value of frames: {CURE}")
        if kind in functions.MODULES:
            name = functions.MODULES[kind]
            options = {each: getattr(module, each) for each in functions.OPTIONS[name]}
            return self._add(Activate(functions.activation(name, options, self._what)), value)
        if kind in ("Softmax", "LogSoftmax"):
            return self._function("softmax" if kind == "Softmax" else "log_softmax", (value, module.dim), {})
        if kind in ("MaxPool1d", "AvgPool1d"):
            return self._pool(kind, module, value)
        if kind == "GLU":
            return self._gated(value, module.dim)
        return self._learnt(node, kind, module, value)

    def _learnt(self, node: Any, kind: str, module: Any, value: Value) -> Any:
        """A module that has arrays."""
        self._check_axes(kind, module, value)
        arguments = {name: getattr(module, name) for name in _ATTRIBUTES.get(kind, ())}
        arguments = {name: one[0] if isinstance(one, tuple) else one for name, one in arguments.items()}
        if kind == "Conv1d":
            if arguments["padding"] == "same":
                total = module.dilation[0] * (module.kernel_size[0] - 1)
                arguments |= {"padding": 0, "left": total // 2, "right": total - total // 2}
            if arguments["padding"] == "valid":
                arguments["padding"] = 0
            arguments["left"] = arguments.get("left", 0) + value.pad[0]
            arguments["right"] = arguments.get("right", 0) + value.pad[1] - self._chomp(node, value.axes)
            value = replace(value, pad=(0, 0))
        if getattr(module, "padding_mode", "zeros") != "zeros":
            raise ForeignModelError(f"{self._what}: pads with {module.padding_mode}, and only zeros are there here")
        if kind == "ConvTranspose1d" and module.dilation[0] != 1:
            raise ForeignModelError(f"{self._what}: dilation is not there for transposed convolutions here")
        if kind == "BatchNorm1d" and not module.track_running_stats:
            raise ForeignModelError(f"{self._what}: goes by the statistics of each batch, which a stream is not")
        names = [name for name in self._arrays if name.startswith(f"{node.target}.")]
        parameters = Parameters(self._arrays, node.target, names, self._what)
        below = self._builder.wires[value.node]
        layers = layers_of(parameters, {"module": kind, **arguments}, below)[1]
        for number, (layer, weights) in enumerate(layers, 1):
            name = str(node.target) if number == len(layers) else f"{node.target}-{number}"
            value = self._add(layer, value, weights=weights, name=name)
        if kind in RECURRENT:
            return value, States(value.node, kind == "LSTM", module.bidirectional)
        return replace(value, axes=f"{value.axes}c") if kind == "Embedding" else value

    def _check_axes(self, kind: str, module: Any, value: Value) -> None:
        wanted = {"Conv1d": "bct", "ConvTranspose1d": "bct"}.get(kind, value.axes)
        if kind in RECURRENT:
            wanted = "btc" if module.batch_first else "tbc"
        if kind == "Linear" or kind == "LayerNorm":
            wanted = value.axes.replace("c", "") + "c"
        if kind == "BatchNorm1d" or (kind == "PReLU" and module.num_parameters > 1):
            wanted = "bc" if value.last else "bct"
        if kind == "Embedding":
            wanted = value.axes.replace("c", "")
        if value.axes != wanted:
            raise AxesError(f"{self._what}: takes axes {wanted!r}, and what comes has {value.axes!r}")
        if kind == "LayerNorm" and len(module.normalized_shape) != 1:
            raise ForeignModelError(f"{self._what}: normalises over more than the values of a frame")

    def _chomp(self, node: Any, axes: str) -> int:
        """Frames that are cut off its end again right away, as causal convolutions are often written."""
        users = list(node.users)
        if len(users) != 1 or getattr(users[0].target, "__name__", "") != "getitem":
            return 0
        keys = dict(zip(axes, expanded(users[0].args[1], axes), strict=True))
        cut = keys.pop("t")
        if any(each != slice(None) for each in keys.values()) or not isinstance(cut, slice):
            return 0
        if cut.start is not None or cut.step is not None or type(cut.stop) is not int or cut.stop >= 0:
            return 0
        self._chomped.add(users[0])
        return -cut.stop

    def _pool(self, kind: str, module: Any, value: Value) -> Value:
        taps, stride, padding = (
            one[0] if isinstance(one, tuple) else one for one in (module.kernel_size, module.stride, module.padding)
        )
        if value.axes != "bct":
            raise AxesError(f"{self._what}: takes axes 'bct', and what comes has {value.axes!r}")
        if module.ceil_mode or getattr(module, "dilation", 1) not in (1, (1,)):
            raise ForeignModelError(f"{self._what}: ceil_mode and dilation are not read here")
        if kind == "AvgPool1d" and padding and not module.count_include_pad:
            raise ForeignModelError(f"{self._what}: count_include_pad=False is not read here")
        layer = MaxPool if kind == "MaxPool1d" else MeanPool
        return self._add(layer(taps, stride, padding, padding), value)

    # --- functions --------------------------------------------------------------------------------------------------

    def _function(self, name: str, args: tuple[Any, ...], kwargs: Mapping[str, Any]) -> Any:
        value = args[0] if args else None
        if name in functions.OPTIONS:
            options = dict(zip(functions.OPTIONS[name], args[1:], strict=False)) | dict(kwargs)
            options.pop("inplace", None)
            return self._add(Activate(functions.activation(name, options, self._what)), value)
        if name == "pow" and args[1] in _POWERS:
            return self._function(_POWERS[args[1]], args[:1], {})
        if name in _IDENTITIES:
            return value
        if name in _CALLED:
            return self._arithmetic(_CALLED[name], *args[:2])
        if isinstance(value, tuple | States) or name in ("cat", "concat", "concatenate"):
            return self._cat(args, kwargs) if name != "getitem" else self._part(value, args[1])
        handlers: dict[str, Callable[..., Any]] = {
            "getitem": self._slice, "transpose": self._transposed, "swapaxes": self._transposed,
            "permute": self._permuted, "pad": self._padded, "softmax": self._softmax,
            "log_softmax": self._log_softmax, "squeeze": self._squeezed, "unsqueeze": self._unsqueezed,
            "chunk": self._chunked, "split": self._split, "glu": self._gated, "linear": self._linear,
            "matmul": self._multiplied,
        }  # fmt: skip
        if name not in handlers or not isinstance(value, Value):
            raise unread(self._what, name, name)
        try:
            return handlers[name](*args, **kwargs)
        except TypeError as error:
            raise ForeignModelError(f"{self._what}: {name} of {args[1:]}, {dict(kwargs)} is not read") from error

    def _arithmetic(self, name: str, one: Any, other: Any) -> Any:
        if isinstance(one, Value) and isinstance(other, Value):
            if name == "div":
                other, name = self._add(Activate(Activation("reciprocal")), other), "mul"
            if name == "sub":
                other, name = self._add(Activate(Activation("affine", -1.0, 0.0)), other), "add"
            return self._add(Add() if name == "add" else Multiply(), one, other)
        value, constant = (one, other) if isinstance(one, Value) else (other, one)
        if not isinstance(value, Value) or not isinstance(constant, int | float | np.ndarray):
            raise ForeignModelError(f"{self._what}: {name} of {one!r} and {other!r} is not read here: {CURE}")
        k = self._aligned(constant, value)
        if name == "div" and value is not one:
            value, name = self._add(Activate(Activation("reciprocal")), value), "mul"
        if name in ("mul", "div"):
            a, b = (k if name == "mul" else 1 / k), np.zeros_like(k)
        else:
            sign = -1.0 if name == "sub" else 1.0
            a, b = np.full_like(k, 1.0 if value is one else sign), k * (sign if value is one else 1.0)
        if k.ndim:
            return self._add(Scale(), value, weights={"a": a, "b": b})
        return self._add(Activate(Activation("affine", float(a), float(b))), value)

    def _aligned(self, constant: Any, value: Value) -> Floats:
        """A constant as it meets a value: one number, or one for each of a frame's values."""
        k = np.asarray(constant, np.float32)
        if k.size == 1:
            return k.reshape(())
        shape = (1,) * (len(value.axes) - k.ndim) + k.shape
        if len(shape) != len(value.axes) or any(
            n > 1 and axis != "c" for n, axis in zip(shape, value.axes, strict=True)
        ):
            raise AxesError(f"{self._what}: a constant of {list(k.shape)} meets a value of axes {value.axes!r}")
        return k.reshape(-1)

    def _cat(self, args: tuple[Any, ...], kwargs: Mapping[str, Any]) -> Value:
        values = args[0]
        axis = args[1] if len(args) > 1 else kwargs.get("dim", kwargs.get("axis", 0))
        if not isinstance(values, tuple) or not all(isinstance(each, Value) for each in values):
            raise ForeignModelError(f"{self._what}: is not read here: {CURE}")
        if values[0].axes[axis] != "c":
            raise AxesError(f"{self._what}: puts along axis {values[0].axes[axis]!r}: only values of a frame can be")
        return self._add(Concatenate(), *values) if len(values) > 1 else values[0]

    def _part(self, value: Any, number: Any) -> Any:
        """Of what a recurrence gives: its outputs, or its last states; of these those of the last layer."""
        if isinstance(value, tuple):
            return value[number]
        if value.whole and number == 0:
            return replace(value, whole=False)
        if isinstance(number, tuple) and all(each == slice(None) for each in number[1:]):
            number = number[0]
        if value.whole or number not in ((-1, -2) if value.several else (-1,)):
            raise ForeignModelError(f"{self._what}: of the last states only h of the last layer (h[-1]) is read here")
        last = Value(value.node, "bc", last=True)
        if not value.several:
            return last
        half = self._builder.wires[value.node].size // 2
        way = self._add(Slice(0 if number == -2 else half, half), last)
        return way if number == -2 else self._add(First(), way)

    def _slice(self, value: Value, key: Any) -> Value:
        """The last frame, or some values of each frame."""
        axes, made = "", value
        for axis, one in zip(value.axes, expanded(key, value.axes), strict=True):
            if axis == "t" and one == -1:
                made = replace(made, last=True)
                continue
            if axis == "c" and isinstance(one, slice) and one != slice(None):
                start, stop, step = one.indices(self._builder.wires[value.node].size)
                if step != 1:
                    raise ForeignModelError(f"{self._what}: takes every {step}th value, which is not read here")
                made = self._add(Slice(start, stop - start), made)
            elif one != slice(None):
                raise ForeignModelError(
                    f"{self._what}: [{key!r}] is not read here: the last frame is, or some values"
                )
            axes += axis
        return replace(made, axes=axes)

    def _transposed(self, value: Value, /, dim0: int, dim1: int) -> Value:
        axes = list(value.axes)
        axes[dim0], axes[dim1] = axes[dim1], axes[dim0]
        return replace(value, axes="".join(axes))

    def _permuted(self, value: Value, /, *order: Any, dims: Any = ()) -> Value:
        order = order or (dims,)
        flat = order[0] if len(order) == 1 and isinstance(order[0], tuple) else order
        return replace(value, axes="".join(value.axes[axis] for axis in flat))

    def _padded(self, it: Value, /, pad: tuple[int, ...], mode: str = "constant", value: Any = None) -> Value:
        pairs = {axis: pad[2 * at : 2 * at + 2] for at, axis in enumerate(it.axes[::-1]) if pad[2 * at : 2 * at + 2]}
        before, after = pairs.pop("t", (0, 0))
        if mode != "constant" or value not in (0, None) or any(any(pair) for pair in pairs.values()):
            raise ForeignModelError(f"{self._what}: only frames of zeros can be padded here")
        return replace(it, pad=(it.pad[0] + before, it.pad[1] + after))

    def _split(self, value: Value, /, split_size_or_sections: Any, dim: int = 0) -> tuple[Value, ...]:
        """A frame's values in parts."""
        if value.axes[dim] != "c":
            raise AxesError(f"{self._what}: divides axis {value.axes[dim]!r}: only values of a frame can be")
        total, sizes = self._builder.wires[value.node].size, split_size_or_sections
        if type(sizes) is int:
            sizes = [min(sizes, total - start) for start in range(0, total, sizes)]
        starts = np.cumsum([0, *sizes]).tolist()
        return tuple(
            self._add(Slice(start, size), value) for start, size in zip(starts, sizes, strict=False) if size > 0
        )

    def _chunked(self, value: Value, /, chunks: int, dim: int = 0) -> tuple[Value, ...]:
        return self._split(value, -(-self._builder.wires[value.node].size // chunks), dim)

    def _gated(self, value: Value, /, dim: int = -1) -> Value:
        """One half of the values times the sigmoid of the other (Dauphin et al. 2017)."""
        halves = self._chunked(value, 2, dim)
        if len(halves) != 2 or len({self._builder.wires[each.node].size for each in halves}) != 1:
            raise ForeignModelError(f"{self._what}: values that cannot be halved")
        return self._add(Multiply(), halves[0], self._add(Activate(Activation("sigmoid")), halves[1]))

    def _linear(self, value: Value, /, weight: Any, bias: Any = None) -> Value:
        """A product with a constant matrix [outputs, inputs]."""
        if not isinstance(weight, np.ndarray) or weight.ndim != 2 or not isinstance(bias, np.ndarray | None):
            raise unread(self._what, "bmm", "a product of two values")
        if value.axes[-1] != "c":
            raise AxesError(f"{self._what}: multiplies axis {value.axes[-1]!r}: only values of a frame can be")
        b = np.zeros(len(weight), np.float32) if bias is None else bias
        return self._add(Dense(len(weight)), value, weights={"W": weight, "b": b})

    def _multiplied(self, value: Value, /, other: Any) -> Value:
        return self._linear(value, other.T if isinstance(other, np.ndarray) else other)

    def _softmax(self, value: Value, /, dim: int | None = None, **_: Any) -> Value:
        if dim is None or value.axes[dim] != "c":
            raise AxesError(f"{self._what}: a softmax over axis {dim}: only over the values of a frame can it be")
        return self._add(Softmax(), value)

    def _log_softmax(self, value: Value, /, dim: int | None = None, **_: Any) -> Value:
        return self._add(Activate(Activation("log")), self._softmax(value, dim))

    def _squeezed(self, value: Value, /, dim: int = 0) -> Value:
        if value.axes[dim] != "c" or self._builder.wires[value.node].size != 1:
            raise AxesError(f"{self._what}: squeezes axis {value.axes[dim]!r}, which is not of one value")
        return replace(value, axes=value.axes.replace("c", ""))

    def _unsqueezed(self, value: Value, /, dim: int) -> Value:
        if "c" in value.axes:
            raise AxesError(f"{self._what}: an axis more than batch, frames and values is not read here")
        at = dim if dim >= 0 else len(value.axes) + 1 + dim
        return replace(value, axes=f"{value.axes[:at]}c{value.axes[at:]}")


_KNOWN = {*MODULES, *functions.MODULES, *_IDENTITIES, "Softmax", "LogSoftmax", "MaxPool1d", "AvgPool1d", "GLU"}
