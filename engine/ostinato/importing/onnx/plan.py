"""What kind of graph a file holds: how its inputs are frames, states or always the same.

step        states go in and out, one frame a run
sequence    a time axis; states begin inside, or are given
window      a fixed number of frames, no state, run anew every hop
"""

from __future__ import annotations

import math
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any, Literal, NamedTuple

import numpy as np

from ostinato.errors import ForeignModelError
from ostinato.importing.onnx.elements import Array

LENGTHS = (29, 101, 401, 1601)
"""Frames with which a graph is traced: more, where windows are wider."""
MAX_INPUT = 1 << 22
"""Values of an input while a graph is traced."""
Kind = Literal["step", "sequence", "window"]


@dataclass(frozen=True)
class Given:
    """An input: its sizes, 0 where they are open, and its type as NumPy's."""

    name: str
    sizes: tuple[int, ...]
    dtype: Any
    letters: tuple[str, ...] = ()
    """What the file calls each of its axes; "" where it does not."""

    @property
    def token(self) -> bool:
        """Whether it holds whole numbers."""
        return np.dtype(self.dtype).kind in "iu"


class Part(NamedTuple):
    """An input that holds frames, or some values of each. ``axis``: of time in it; None: it holds one frame."""

    given: Given
    axis: int | None

    def shape(self, length: int) -> tuple[int, ...]:
        """Of so many frames, with a batch of 1, and 1 wherever else a size is open."""
        return tuple(length if k == self.axis else size or 1 for k, size in enumerate(self.given.sizes))

    @property
    def size(self) -> int:
        """Values of a frame."""
        return math.prod(self.shape(1))

    def holding(self, frames: Array) -> Array:
        """The input of ``frames`` [frames, size], in its order of axes; of elements as of values."""
        shape = self.shape(len(frames))
        if self.axis is None:
            return frames.reshape(shape)
        rest = [size for axis, size in enumerate(shape) if axis != self.axis]
        return np.moveaxis(frames.reshape(len(frames), *rest), 0, self.axis)


@dataclass(frozen=True)
class Plan:
    """A way to read a file, which tracing it shows to be right or not. ``parts``: the inputs whose values are a
    frame, one behind the other; by the first the kind is judged. ``lengths``: numbers of frames to trace it with,
    the next where windows are wider than the one before; ``frozen``: those that are left if the graph's inside only
    works with one."""

    kind: Kind
    parts: tuple[Part, ...]
    lengths: Sequence[int]
    frozen: Sequence[int]
    states: Sequence[Given]
    fixed: Mapping[str, Array]

    @property
    def frames(self) -> Given:
        """The first input of frames."""
        return self.parts[0].given

    @property
    def axis(self) -> int | None:
        """Time's in that."""
        return self.parts[0].axis

    @property
    def size(self) -> int:
        """Values of a frame, of all inputs together."""
        return sum(part.size for part in self.parts)

    def split(self, frames: Array) -> dict[str, Array]:
        """The inputs of ``frames`` [frames, size], by name; of elements as of values."""
        ends = np.cumsum([part.size for part in self.parts])[:-1]
        pieces = np.split(frames, ends, axis=1)
        return {part.given.name: part.holding(each) for part, each in zip(self.parts, pieces, strict=True)}


def inputs_of(model: Any) -> list[Given]:
    """Those that have no initial values in the file."""
    from onnx import helper

    known = {each.name for each in model.graph.initializer}
    found = []
    for each in model.graph.input:
        if each.name in known:
            continue
        if not each.type.HasField("tensor_type"):
            raise ForeignModelError(f"input {each.name!r} is no tensor: export a graph of tensors")
        kind = each.type.tensor_type
        try:
            dtype = helper.tensor_dtype_to_np_dtype(kind.elem_type)
        except KeyError as error:
            raise ForeignModelError(f"input {each.name!r} has no known type: export it again") from error
        if not kind.HasField("shape"):
            raise ForeignModelError(f"input {each.name!r} says nothing of its sizes: export it with them")
        sizes = tuple(max(0, one.dim_value) if one.HasField("dim_value") else 0 for one in kind.shape.dim)
        found.append(Given(each.name, sizes, dtype, tuple(one.dim_param for one in kind.shape.dim)))
    return found


def outputs_of(model: Any) -> list[tuple[int, ...]]:
    """Their sizes, 0 where they are open; () where the file does not say them."""
    return [tuple(max(0, d.dim_value) for d in each.type.tensor_type.shape.dim) for each in model.graph.output]


def goes_on(given: Given, outputs: Sequence[tuple[int, ...]]) -> bool:
    """Whether an input may be a state: some output may have its sizes."""
    return any(not sizes or sizes == given.sizes for sizes in outputs)


def plans(
    model: Any, fixed: Mapping[str, Any], shapes: Mapping[str, Sequence[int]], hop: int | None
) -> Iterator[Plan]:
    """The ways to read a model, the likeliest first. ``shapes``: of inputs whose sizes are open, or 0 where they stay
    so. Raises ForeignModelError for inputs that must be fixed."""
    inputs = _sized(inputs_of(model), shapes)
    values = _fixed(inputs, fixed)
    left = [each for each in inputs if each.name not in values]
    for each in left:
        if np.dtype(each.dtype).kind == "b" or (each.token and not each.sizes):
            raise ForeignModelError(
                f"input {each.name!r} is a single {np.dtype(each.dtype)}: say what it always is "
                f"(--set {each.name}=VALUE)"
            )
    if not left:
        raise ForeignModelError("no input is left for frames: fix fewer")
    outputs = outputs_of(model)
    frames = _frames(left, outputs)
    for plan in _ways(frames, [each for each in left if each is not frames], outputs, values, hop):
        yield plan
        if beside := _beside(plan, outputs):
            if frames.token and len(frames.sizes) > 1:
                raise ForeignModelError(
                    f"input {frames.name!r} holds token ids, and {beside[0].given.name!r} frames beside them: a "
                    "stream has one input, of tokens or of frames; export what is above the embedding by itself"
                )
            if frames.token:  # how long each of a batch is, say
                continue
            names = {part.given.name for part in beside}
            states = [each for each in plan.states if each.name not in names]
            yield replace(plan, parts=(*plan.parts, *beside), states=states)


def _ways(
    frames: Given,
    states: Sequence[Given],
    outputs: Sequence[tuple[int, ...]],
    values: Mapping[str, Array],
    hop: int | None,
) -> Iterator[Plan]:
    """Those with one input of frames."""
    frozen = sorted({size for sizes in outputs for size in sizes if size > 1})

    def sequence(axis: int) -> Plan:
        size, part = frames.sizes[axis], Part(frames, axis)
        return Plan("sequence", (part,), [size] if size else LENGTHS, [] if size else frozen, states, values)

    rank = len(frames.sizes)
    usual = [axis for axis in (1, 0, *range(2, rank)) if axis < rank]
    open_ = [axis for axis in usual if not frames.sizes[axis]]
    wide = [axis for axis in range(rank) if frames.sizes[axis] > 1]
    batch = open_ == [0] and rank > 1 and (bool(states) or rank > 2) and frames.sizes[1 % rank] != 1
    if not batch:
        yield from map(sequence, open_)
    if states or _single(frames):
        yield Plan("step", (Part(frames, None),), [1], [], states, values)
    if open_ in ([], [0]):  # then one of a fixed size may be time
        yield from map(sequence, sorted(wide, key=usual.index))
    windows = hop is not None or not any(frames.sizes[axis] in sizes for sizes in outputs for axis in wide[:1])
    if len(wide) > 1 and windows:
        window = Plan("window", (Part(frames, wide[0]),), [frames.sizes[wide[0]]], [], states, values)
        if len(_beside(window, outputs)) == len(states):  # it has none, then
            yield window
    if batch:
        yield from map(sequence, open_)


def _beside(plan: Plan, outputs: Sequence[tuple[int, ...]]) -> list[Part]:
    """Inputs that are no states, but more values of each frame: with an axis that is called as time is, or as long;
    of a step, those of which no output has the sizes, if there are states besides or no axis can be time's."""
    found, axis = [], plan.axis
    values = [each for each in plan.states if np.dtype(each.dtype).kind == "f"]
    if axis is None:
        beside = [Part(each, None) for each in values if not goes_on(each, outputs)]
        return beside if len(beside) < len(plan.states) or _single(plan.frames) else []
    for each in values:
        letter, size = plan.frames.letters[axis], plan.frames.sizes[axis]
        if letter and letter in each.letters:
            found.append(Part(each, each.letters.index(letter)))
        elif len(each.sizes) == len(plan.frames.sizes) and each.sizes[axis] == size and not goes_on(each, outputs):
            found.append(Part(each, axis))
    return found


def _sized(inputs: Sequence[Given], shapes: Mapping[str, Sequence[int]]) -> list[Given]:
    """Inputs with the sizes that a user says they have."""
    by_name = {each.name: each for each in inputs}
    for name, sizes in shapes.items():
        if name not in by_name:
            raise ForeignModelError(f"no input is called {name!r}: they are {', '.join(by_name)}")
        own = by_name[name]
        fits = len(sizes) == len(own.sizes) and all(a == b or not b for a, b in zip(sizes, own.sizes, strict=True))
        if not fits or math.prod(sizes) > MAX_INPUT:
            shown = ", ".join(str(size) if size else "any" for size in own.sizes)
            raise ForeignModelError(f"input {name!r} cannot have the sizes {list(sizes)}: the file says [{shown}]")
        by_name[name] = replace(own, sizes=tuple(sizes))
    return list(by_name.values())


def _fixed(inputs: Sequence[Given], fixed: Mapping[str, Any]) -> dict[str, Array]:
    by_name = {each.name: each for each in inputs}
    found = {}
    for name, value in fixed.items():
        if name not in by_name:
            raise ForeignModelError(f"no input is called {name!r}: they are {', '.join(by_name)}")
        own = by_name[name]
        array = np.asarray(value).astype(own.dtype)
        if array.ndim == 0 and own.sizes:
            array = np.full(_sizes(own), array)
        found[name] = array
    return found


def _frames(inputs: Sequence[Given], outputs: Sequence[tuple[int, ...]]) -> Given:
    """The one that no output has the sizes of; else the first."""
    for each in inputs:
        if each.token:
            return each
    rest = [each for each in inputs if each.sizes not in outputs]
    return (rest or list(inputs))[0]


def _single(given: Given) -> bool:
    """Whether no axis of it may be time's."""
    return 0 not in given.sizes and sum(size > 1 for size in given.sizes) < 2


def _sizes(given: Given) -> tuple[int, ...]:
    """With a batch of 1, and 1 wherever else a size is open."""
    return tuple(size or 1 for size in given.sizes)
