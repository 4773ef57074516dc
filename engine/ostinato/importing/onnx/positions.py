"""Products that do the same at several positions of a frame become layers within frames.

A trace sees a convolution along frequencies, or a dense layer at each of them, as one product, whose matrix has the
same block again and again, a few columns further each time. Written once, the block is read from memory once a
frame, and zeros are not multiplied. Matrices that only turn a frame, channels and positions, become transpositions.
"""

from __future__ import annotations

import math
from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from itertools import product
from typing import Any

import numpy as np
import numpy.typing as npt

from ostinato.errors import ForeignModelError
from ostinato.importing.builder import Builder
from ostinato.importing.settings import Settings
from ostinato.model import Network
from ostinato.model.layers import Concatenate, Convolution, Dense, Layer, Slice, Stack, Transpose, Within
from ostinato.model.specification import FRAMES, FRONT_END, Node

Array = npt.NDArray[Any]

_LEAST, _MOST = 4096, 1 << 23
"""Weights of a product: from which on a search is worth while, and until where it is quick."""
_ENDS = (0, 0), (0, 1), (1, 0), (1, 1)
"""Places at the begin and the end of a frame that may do something else."""
_MOST_SEEN = 0.75
"""Share of a matrix that is not zero; a fuller one repeats nothing that could be left out."""


def along_positions(network: Network) -> Network:
    """The network with such products as layers within frames; what it computes is the same but for the order of
    sums."""
    old = network.specification
    rewriting = _Rewriting(Builder(old.front_end), network)
    for node in old.nodes:
        rewriting.add(node)
    heads = [(head.name, rewriting.names[head.node], head.decoder) for head in old.heads]
    own = {part: network.weights[f"{FRONT_END}.{part}"] for part in old.front_end.weights()}
    settings = Settings(old.name, old.description, old.licence, front_end_weights=own)
    return rewriting.builder.network(settings, heads, name=old.name, card=old.card)


@dataclass(frozen=True)
class _Pattern:
    """A product as a layer within frames of ``positions``. ``turned``: whether each node that it reads is [channels,
    positions], and not the other way round. ``begin``, ``end``: the product's outputs that it gives; those before and
    behind are others, as where padding reflects what is there."""

    positions: int
    turned: tuple[bool, ...]
    layer: Layer
    weights: Mapping[str, Array]
    begin: int
    end: int
    out_turned: int


class _Rewriting:
    """Nodes of a network, one after the other, into a new one; ``names``: what each is called there."""

    def __init__(self, builder: Builder, network: Network) -> None:
        self.builder, self._network = builder, network
        self.names: dict[str, str] = {FRAMES: FRAMES}
        self._parts: dict[str, tuple[str, ...]] = {}
        self._made: dict[tuple[str, Layer], str] = {}

    def add(self, node: Node) -> None:
        """What a node becomes."""
        inputs = [self.names[each] for each in node.inputs]
        wires = [self.builder.wires[each] for each in inputs]
        weights = {part: self._network.weights[f"{node.name}.{part}"] for part in node.layer.weights(wires)}
        try:
            made = self._rewritten(node, inputs[0], weights)
        except ForeignModelError:  # too large for a layer within frames
            made = None
        self.names[node.name] = made or self.builder.add(node.layer, inputs, weights, name=node.name)
        if isinstance(node.layer, Concatenate):
            self._parts[self.names[node.name]] = tuple(inputs)

    def _rewritten(self, node: Node, below: str, weights: Mapping[str, Array]) -> str | None:
        layer = node.layer
        if isinstance(layer, Dense):
            taps = 1
        elif isinstance(layer, Convolution) and layer.stride == layer.groups == 1 and not layer.right:
            taps = layer.taps
        else:
            return None
        W, b = weights["W"], weights["b"]
        if not _LEAST <= W.size <= _MOST or np.count_nonzero(W) > _MOST_SEEN * W.size:
            return None
        if taps == 1 and not b.any() and layer.activation.name == "identity" and (rows := _rows_turned(W)):
            return self._once(below, Transpose(rows))
        pattern = None
        for sources in dict.fromkeys((self._parts.get(below, (below,)), (below,))):
            sizes = [self.builder.wires[each].size for each in sources]
            pattern = _pattern(W.reshape(len(W), taps, -1), b, sizes, layer)
            if pattern is not None:
                break
        if pattern is None:
            return None
        inputs = []
        for source, turned in zip(sources, pattern.turned, strict=True):
            size = self.builder.wires[source].size
            if turned:
                source = self._once(source, Transpose(size // pattern.positions))
            inputs.append(source)
        if isinstance(layer, Convolution):
            inputs = self._delayed(inputs, layer)
        if len(inputs) > 1:
            inputs = [self.builder.add(Within(pattern.positions, Concatenate()), inputs)]
        found = self.builder.add(Within(pattern.positions, pattern.layer), inputs, pattern.weights, name=node.name)
        if pattern.out_turned:
            return self._once(found, Transpose(pattern.out_turned))
        ends = [
            self._end(below, layer, W[rows], b[rows]) for rows in (slice(pattern.begin), slice(pattern.end, None))
        ]
        if not any(ends):
            return found
        return self.builder.add(Concatenate(), [each for each in (ends[0], found, ends[1]) if each])

    def _end(self, below: str, layer: Dense | Convolution, W: Array, b: Array) -> str | None:
        """A product of some outputs alone, of what they depend on."""
        if not len(W):
            return None
        (seen,) = np.nonzero(W.any(axis=0))
        first, last = int(seen.min()), int(seen.max()) + 1
        weights = {"W": W[:, first:last], "b": b}
        return self.builder.add(
            Dense(len(W), layer.activation), [self._once(below, Slice(first, last - first))], weights
        )

    def _delayed(self, sources: Sequence[str], layer: Convolution) -> list[str]:
        """The frames that a convolution over time sees, each by itself: of each tap all sources."""
        (framing,) = layer.framings
        span = (layer.taps - 1) * layer.dilation + 1
        stacks = [self._once(source, Stack(span, 1, framing.left, 0)) for source in sources]
        sizes = [self.builder.wires[source].size for source in sources]
        return [
            self._once(stack, Slice(tap * layer.dilation * size, size))
            for tap in range(layer.taps)
            for stack, size in zip(stacks, sizes, strict=True)
        ]

    def _once(self, below: str, layer: Layer) -> str:
        """A node of that layer; the one that is there, if there is one."""
        if (below, layer) not in self._made:
            self._made[below, layer] = self.builder.add(layer, [below])
        return self._made[below, layer]


def _rows_turned(W: Array) -> int:
    """Of a matrix that only turns a frame, how many rows the frame is of; else 0."""
    size = len(W)
    if W.shape[0] != W.shape[1] or np.count_nonzero(W) != size or not (W.max(axis=1) == 1).all():
        return 0
    order = W.argmax(axis=1)
    for rows in _divisors(size):
        if rows < size and (order == np.arange(size).reshape(rows, -1).T.reshape(-1)).all():
            return rows
    return 0


def _pattern(W: Array, b: Array, sizes: Sequence[int], layer: Dense | Convolution) -> _Pattern | None:
    """The layer within frames that ``W`` [outputs, taps of time, inputs] is, with the fewest weights. ``sizes``: of
    the nodes that are its inputs, one behind the other."""
    best: _Pattern | None = None
    least = W.size // 2 + 1
    for layout in _layouts(W, b, sizes):
        rows, size = layout.rows, len(W) // layout.places
        kernels = []
        for part, seen in zip(layout.parts(W, sizes), layout.seen, strict=True):
            kernel = _kernel(part[rows], seen, layout)
            if kernel is None:
                break
            kernels.append(kernel)
        if len(kernels) < len(sizes) or (joined := _joined(kernels, layout)) is None:
            continue
        left, right, taken = joined
        begin, end = rows.start * size, rows.stop * size
        count = taken.size + int(np.count_nonzero(W[:begin]) + np.count_nonzero(W[end:]))
        if count >= least:
            continue
        least = count
        inner: Layer = Convolution(size, taken.shape[1], layout.stride, 1, 1, left, right, layer.activation)
        if taken.shape[1] == layout.stride == 1 and not left and not right:
            inner = Dense(size, layer.activation)
        weights = {"W": taken.reshape(size, -1), "b": _turned_or_not(b, layout)[0]}
        ways = tuple(kernel.turned for kernel in kernels)
        best = _Pattern(layout.positions, ways, inner, weights, begin, end, layout.places if layout.out_turned else 0)
    return best


@dataclass(frozen=True)
class _Layout:
    """How a product could be read: outputs at ``places``, [places, values], or the other way round if ``out_turned``;
    inputs at ``positions``, of which a place sees those ``stride`` further than the place before. ``rows``: places
    that do the same. ``seen``: of each source."""

    places: int
    out_turned: bool
    positions: int
    stride: int
    rows: slice
    seen: tuple[_Seen, ...]

    @property
    def count(self) -> int:
        """Places that do the same."""
        return int(self.rows.stop - self.rows.start)

    def parts(self, W: Array, sizes: Sequence[int]) -> list[Array]:
        """W by its sources: [places, outputs, taps, inputs] each."""
        return np.split(_turned_or_not(W, self), np.cumsum(sizes)[:-1], axis=3)


def _turned_or_not(array: Array, layout: _Layout) -> Array:
    """[places, values, …] of an array whose first axis is the outputs."""
    if layout.out_turned:
        return array.reshape(-1, layout.places, *array.shape[1:]).swapaxes(0, 1)
    return array.reshape(layout.places, -1, *array.shape[1:])


def _layouts(W: Array, b: Array, sizes: Sequence[int]) -> Iterator[_Layout]:
    """Those in which each place depends on a band of positions, by which weights are zero, and all have one bias."""
    nonzero = (W != 0).any(axis=1)
    for places, out_turned in product(_divisors(len(W)), (False, True)):
        whole = _Layout(places, out_turned, 1, 1, slice(0, places), ())
        bias = _turned_or_not(b, whole)
        if (bias != bias[0]).any():
            continue
        sources = np.split(_turned_or_not(nonzero, whole).any(axis=1), np.cumsum(sizes)[:-1], axis=1)
        for positions in _divisors(math.gcd(*sizes)):
            seen = tuple(_Seen.of(each, positions) for each in sources)
            for stride, (before, behind) in product(_strides(seen), _ENDS):
                if (W.shape[1] > 1 or out_turned) and (before or behind):
                    continue
                rows = slice(before, places - behind)
                if rows.stop - rows.start < 2 or any(each.ways(rows, stride) == [] for each in seen):
                    continue
                yield _Layout(places, out_turned, positions, stride, rows, seen)


@dataclass(frozen=True)
class _Seen:
    """Which positions of a source each place depends on, [places, positions]: of a source of [positions, channels],
    and of one that is turned."""

    straight: Array
    turned: Array

    @staticmethod
    def of(values: Array, positions: int) -> _Seen:
        """Of the ``values`` [places, values] that each place depends on."""
        straight = values.reshape(len(values), positions, -1)
        turned = values.reshape(len(values), -1, positions)
        return _Seen(np.asarray(straight.any(axis=2)), np.asarray(turned.any(axis=1)))

    def ways(self, rows: slice, stride: int) -> list[tuple[bool, int, int]]:
        """Whether the source is turned, and from which position to which each place looks, counted from stride times
        its number: of those ways in which that is less than all positions."""
        found = []
        for turned, seen in ((False, self.straight[rows]), (True, self.turned[rows])):
            places, positions = seen.shape
            offsets = (np.arange(positions) - stride * np.arange(places)[:, None])[seen]
            first, last = (int(offsets.min()), int(offsets.max())) if len(offsets) else (0, 0)
            if last - first < positions - 1:
                found.append((turned, first, last))
        return found


@dataclass(frozen=True)
class _Kernel:
    """What a part of a product does at each place: ``blocks`` [offsets, outputs, taps of time, channels], the first
    of the position ``first`` after stride times the place's number."""

    turned: bool
    first: int
    blocks: Array


def _kernel(part: Array, seen: _Seen, layout: _Layout) -> _Kernel | None:
    """Of ``part`` [places, outputs, taps, inputs], if it does the same at each place."""
    positions, at = layout.positions, layout.stride * np.arange(layout.count)
    for turned, first, last in seen.ways(layout.rows, layout.stride):
        if turned:
            blocks = part.reshape(*part.shape[:3], -1, positions).transpose(0, 4, 1, 2, 3)
        else:
            blocks = part.reshape(*part.shape[:3], positions, -1).transpose(0, 3, 1, 2, 4)
        kernel = np.zeros((last - first + 1, *blocks.shape[2:]), np.float32)
        for number, offset in enumerate(range(first, last + 1)):
            inside = np.flatnonzero((at + offset >= 0) & (at + offset < positions))
            own = blocks[inside, at[inside] + offset]
            if (own != own[:1]).any():
                break
            kernel[number] = own[0] if len(own) else 0
        else:
            return _Kernel(turned, first, kernel)
    return None


def _joined(kernels: Sequence[_Kernel], layout: _Layout) -> tuple[int, int, Array] | None:
    """Padding on both sides, and weights [outputs, offsets, channels] of all sources, of each tap of time all of
    them; None if no padding gives as many places."""
    first = min(0, *(kernel.first for kernel in kernels))
    span = max(kernel.first + len(kernel.blocks) for kernel in kernels) - first
    right = max(0, layout.stride * (layout.count - 1) + span + first - layout.positions)
    if (layout.positions - first + right - span) // layout.stride + 1 != layout.count:
        return None
    padded = []
    for kernel in kernels:
        before = kernel.first - first
        padded.append(np.pad(kernel.blocks, [(before, span - before - len(kernel.blocks)), (0, 0), (0, 0), (0, 0)]))
    joined = np.concatenate(padded, axis=3)
    return -first, right, joined.reshape(span, joined.shape[1], -1).transpose(1, 0, 2)


def _strides(sources: Sequence[_Seen]) -> list[int]:
    """How far on the next place may look: as its first or its last position that is seen is."""
    found = Counter[int]()
    for source in sources:
        for seen in (source.straight, source.turned):
            some = seen[seen.any(axis=1)]
            if len(some) > 1:
                for edge in (some.argmax(axis=1), -some[:, ::-1].argmax(axis=1)):
                    found.update(each for each in np.diff(edge).tolist() if each > 0)
    return [stride for stride, _ in found.most_common(2)]


def _divisors(number: int) -> list[int]:
    """Those above 1."""
    return [each for each in range(2, number + 1) if number % each == 0]
