"""Specification and weights -> Program.

Weights arrive as `weight_shapes` names them, gates in ONNX order; here they are laid out as the kernels read them:
hidden units in blocks of 16, gate after gate within a block, then packed into panels.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import Any

import numpy as np
import numpy.typing as npt

from ostinato.kernels import activations, integer
from ostinato.kernels import interpreter as i
from ostinato.kernels.product import pack
from ostinato.kernels.program import Program, Region, apart, early_operations, padded
from ostinato.kernels.simd import LANES
from ostinato.model.specification import (
    Activation,
    Dense,
    Embedding,
    Gru,
    Lstm,
    OneHot,
    Recurrent,
    Rnn,
    Softmax,
    Specification,
    Tokens,
    directions,
    output_size,
)

Array = npt.NDArray[Any]
Weights = Mapping[str, Array]
Floats = npt.NDArray[np.float32]


def compile_network(specification: Specification, weights: Weights) -> Program:
    """The program of a network. ``weights``: exactly those of `weight_shapes` (not checked here).

    Layers read and write regions of one row; a bidirectional layer's directions write theirs side by side.
    """
    return _built(specification, weights)[0]


def matrix_inputs(specification: Specification, weights: Weights) -> dict[str, slice]:
    """Which values of a row the network's matrices multiply, by name; a recurrent one's are its layer's outputs."""
    return _built(specification, weights)[1]


def _built(specification: Specification, weights: Weights) -> tuple[Program, dict[str, slice]]:
    builder = _Builder()
    front = specification.front_end
    below = inputs = builder.region(front.frame_size)
    tokens = isinstance(front, Tokens)
    vocabulary = len(front.vocabulary) if isinstance(front, Tokens) else 0
    for index, layer in enumerate(specification.layers):
        name = f"layers.{index}"
        if isinstance(layer, OneHot):
            continue  # the layer above looks its column up
        out = builder.region(output_size(layer))
        source = Region(below.offset, vocabulary) if tokens else below
        if isinstance(layer, Rnn | Gru | Lstm):
            for number, direction in enumerate(directions(layer)):
                target = Region(out.offset + number * layer.hidden, layer.hidden)
                _recurrent(
                    builder, layer, direction == "backward", tokens, source, target, weights, f"{name}.{direction}"
                )
        elif isinstance(layer, Dense):
            wide = padded(layer.output)
            builder.places[f"{name}.W"] = source.slice
            builder.add(
                i.DENSE, source, out, tokens=tokens, W=builder.matrix(weights, f"{name}.W", _interleaved, 1),
                bias=builder.values(_widened(weights[f"{name}.b"], wide)), vectors=wide // LANES,
                activation=layer.activation, W_int8=f"{name}.W_scale" in weights,
            )  # fmt: skip
        elif isinstance(layer, Embedding):
            table = np.zeros((layer.size, padded(layer.output)), np.float32)
            table[:, : layer.output] = weights[f"{name}.E"]
            builder.add(i.EMBEDDING, source, out, W=builder.values(table), vectors=padded(layer.output) // LANES)
        else:
            assert isinstance(layer, Softmax)
            builder.add(i.SOFTMAX, source, out)
        tokens, below = False, out
    return builder.program(inputs, below), builder.places


def _recurrent(
    builder: _Builder,
    layer: Recurrent,
    backward: bool,
    tokens: bool,
    source: Region,
    target: Region,
    weights: Weights,
    name: str,
) -> None:
    """One direction of a recurrent layer, whose weights' names begin with ``name``.

    What it can project while frames arrive although it must run later (it runs backward, or reads layers that do) is
    an operation of its own, so that less is left when the utterance ends. The sums, and so the bits, are the same;
    that is why a product in int8, whose sums are rounded once, is not divided.
    """
    hidden, gates, W, R = layer.hidden, layer.gates, f"{name}.W", f"{name}.R"
    Wb, Rb = _gates(weights[f"{name}.Wb"], gates), _gates(weights[f"{name}.Rb"], gates)
    bias, recurrent_bias, second = [w + r for w, r in zip(Wb, Rb, strict=True)], -1, -1
    activation, cell, peepholes = Activation("identity"), -1, -1
    first = slice(gates)  # of the gates, those that R multiplies at first
    if isinstance(layer, Gru) and layer.reset == "after":
        kind = i.GRU_AFTER
        bias[2] = Wb[2]
        recurrent_bias = builder.values(Rb[2])
        order = _interleaved
    elif isinstance(layer, Gru):
        kind = i.GRU_BEFORE
        first, second = slice(2), builder.matrix(weights, R, _interleaved, gates, slice(2, 3))
        order = _candidate_last
    elif isinstance(layer, Lstm):
        kind = i.LSTM
        cell = builder.state(hidden)
        order = _interleaved
        if layer.peepholes:
            peepholes = builder.values(_interleaved(_gates(weights[f"{name}.P"], 3)))
    else:
        kind = i.RNN
        activation = layer.activation
        order = _interleaved
    builder.places |= {W: source.slice, R: target.slice}
    vectors = gates * padded(hidden) // LANES
    start, projection = builder.values(order(bias)), -1
    whole = f"{W}_scale" in weights
    early = source.size if tokens else builder.early(source)
    if early and (backward or early < source.size) and not (whole and early < source.size):
        sums = builder.region(LANES * vectors)
        for begin, size in ((0, early), (early, source.size - early)):
            if size:
                part = builder.matrix(weights, W, order, gates, columns=slice(begin, begin + size))
                builder.add(
                    i.DENSE, Region(source.offset + begin, size), sums, tokens=tokens, vectors=vectors, W=part,
                    bias=-1 if begin else start, W_int8=whole,
                )  # fmt: skip
        source, tokens, start = sums, False, -1
    else:
        projection = builder.matrix(weights, W, order, gates)
    builder.add(
        kind, source, target, backward=backward, tokens=tokens, vectors=vectors,
        state_h=builder.state(hidden), state_c=cell, W=projection, bias=start,
        R=builder.matrix(weights, R, _interleaved, gates, first), recurrent_bias=recurrent_bias, R2=second,
        peepholes=peepholes, activation=activation, W_int8=whole and projection >= 0, R_int8=f"{R}_scale" in weights,
    )  # fmt: skip


def _widened(array: Array, size: int) -> Array:
    """Zeros appended along the first axis up to ``size``."""
    return np.concatenate([array, np.zeros((size - len(array), *array.shape[1:]), array.dtype)])


def _gates(stacked: Array, gates: int) -> list[Array]:
    """[gates * hidden, …] as one array [hidden padded to 16, …] per gate."""
    return [_widened(gate, padded(len(gate))) for gate in np.split(stacked, gates)]


def _interleaved(gates: Sequence[Array]) -> Array:
    """Gates [padded hidden, …] each, as blocks of 16 units, gate after gate within a block."""
    blocks = [gate.reshape(-1, LANES, *gate.shape[1:]) for gate in gates]
    return np.stack(blocks, axis=1).reshape(-1, *gates[0].shape[1:])


def _candidate_last(gates: Sequence[Array]) -> Array:
    """Gates z and r interleaved, then all of n: a GRU that resets before the product needs n's sums later."""
    return np.concatenate([_interleaved(gates[:2]), gates[2]])


class _Builder:
    """Lays out rows, states and weights, and collects operations."""

    def __init__(self) -> None:
        self.operations: list[list[int]] = []
        self.buffers: list[Floats] = []
        self.places: dict[str, slice] = {}
        self.weight_size = self.row_size = self.state_size = 0

    def region(self, size: int) -> Region:
        """Values of a row, with room for a last vector that begins at any of them."""
        region = Region(self.row_size, size)
        self.row_size += padded(size + LANES - 1)
        return region

    def state(self, size: int) -> int:
        """Place of ``size`` values in a state row."""
        offset = self.state_size
        self.state_size += padded(size)
        return offset

    def values(self, array: Floats) -> int:
        """Place of an array in the weight buffer, at a cache line."""
        offset = self.weight_size
        flat = np.ascontiguousarray(array, np.float32).ravel()
        flat = _widened(flat, padded(flat.size))
        self.buffers.append(flat)
        self.weight_size += flat.size
        return offset

    def matrix(
        self, weights: Weights, name: str, order: Callable[[Sequence[Array]], Array], gates: int,
        which: slice = slice(None), columns: slice = slice(None),
    ) -> int:  # fmt: skip
        """Place of a matrix [gates * outputs, inputs] in the weight buffer: float32 or, if ``weights`` have its
        scales, int8; its gates put in ``order``, then packed. Only ``which`` of its gates, and the inputs
        ``columns``."""

        def ordered(array: Array) -> Array:
            return order(_gates(array, gates)[which])

        if f"{name}_scale" not in weights:
            return self.values(pack(ordered(weights[name])[:, columns]))
        scales, inputs = ordered(weights[f"{name}_scale"]), float(weights[f"{name}_input_scale"][0])
        return self.values(integer.pack(ordered(weights[name])[:, columns], scales, inputs))

    def early(self, source: Region) -> int:
        """How many values at the start of a region are known as soon as their frame is."""
        late = [op for op, early in zip(self.operations, early_operations(self.operations), strict=True) if not early]
        starts = [op[i.OUTPUT] - source.offset for op in late if op[i.OUTPUT] + op[i.OUTPUT_SIZE] > source.offset]
        return max(0, min([source.size, *starts]))

    def add(
        self, kind: int, source: Region, target: Region, *, backward: bool = False, tokens: bool = False,
        vectors: int = 0, state_h: int = -1, state_c: int = -1, W: int = -1, bias: int = -1, R: int = -1,
        recurrent_bias: int = -1, R2: int = -1, peepholes: int = -1, activation: Activation | None = None,
        W_int8: bool = False, R_int8: bool = False,
    ) -> None:  # fmt: skip
        """Append an operation."""
        chosen = activation or Activation("identity")
        number, alpha, beta = activations.parameters(chosen.name, chosen.alpha, chosen.beta)
        record = [0] * i.FIELDS
        record[i.KIND], record[i.BACKWARD], record[i.TOKENS] = kind, int(backward), int(tokens)
        record[i.INPUT], record[i.INPUT_SIZE] = source
        record[i.OUTPUT], record[i.OUTPUT_SIZE] = target
        record[i.VECTORS], record[i.STATE_H], record[i.STATE_C] = vectors, state_h, state_c
        record[i.W], record[i.BIAS], record[i.R], record[i.RECURRENT_BIAS] = W, bias, R, recurrent_bias
        record[i.R2], record[i.PEEPHOLES] = R2, peepholes
        record[i.W_INT8], record[i.R_INT8] = int(W_int8), int(R_int8)
        record[i.ACTIVATION], record[i.PARAMETERS] = number, self.values(np.array([alpha, beta], np.float32))
        self.operations.append(record)

    def program(self, inputs: Region, output: Region) -> Program:
        """What was built. Operations that can run while frames arrive come first."""
        early = early_operations(self.operations)
        order = sorted(range(len(early)), key=lambda index: not early[index])
        return Program(
            operations=np.array([self.operations[index] for index in order], np.int64).reshape(-1, i.FIELDS),
            weights=np.concatenate(self.buffers) if self.buffers else np.zeros(0, np.float32),
            row_size=LANES * apart(self.row_size // LANES),
            state_size=LANES * apart(self.state_size // LANES),
            input=inputs,
            output=output,
        )
