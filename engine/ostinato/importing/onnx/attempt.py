"""A plan tried out: the graph traced with so many frames, and what its outputs then are."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, NamedTuple

import numpy as np

from ostinato.errors import ForeignModelError
from ostinato.importing.onnx.call import UnclearError, WrongAxisError
from ostinato.importing.onnx.elements import Ids, Tensor, Traced, element, elements, frame_of, shifted, term_of
from ostinato.importing.onnx.plan import MAX_INPUT, Given, Plan
from ostinato.importing.onnx.rows import along, time_axis
from ostinato.importing.onnx.states import pairings
from ostinato.importing.onnx.terms import Applied, Input, Recurrence, Term, Terms, View, state_term
from ostinato.importing.onnx.trace import Trace
from ostinato.importing.onnx.unstacking import unstacked
from ostinato.model.layers import Stack


class Head(NamedTuple):
    """An output: what its frames are, and which axis of it is time's; None: it is one frame a run."""

    name: str
    number: int
    view: View
    axis: int | None


@dataclass(frozen=True)
class Attempt:
    """``length``: frames of the trace. ``states``: inputs, with the elements that they hold at first; ``hop``: of a
    window."""

    plan: Plan
    length: int
    hop: int
    names: Sequence[str]
    trace: Trace
    source: Term
    states: Sequence[tuple[Given, Ids]]
    outputs: Sequence[Tensor]

    @property
    def terms(self) -> Terms:
        """What the graph computes."""
        return self.trace.terms

    @property
    def open(self) -> bool:
        """Whether the file can be run with any number of frames."""
        return self.plan.kind == "sequence" and len(self.plan.lengths) > 1 and self.length in self.plan.lengths

    def pairings(self) -> Sequence[Sequence[int]]:
        """Ways in which the states can be outputs, by their numbers."""
        shapes = [elements(each).shape for each in self.outputs]
        return list(pairings([(given.name, ids.shape) for given, ids in self.states], shapes))

    def closings(self, pairing: Sequence[int]) -> Mapping[int, int]:
        """Of the elements of all states, what they hold a frame later."""
        found = dict(self.trace.closings)
        last = self.length - 1 if self.plan.kind == "sequence" else 0
        for (_, ids), number in zip(self.states, pairing, strict=True):
            if number >= 0:
                after = shifted(elements(self.outputs[number]), -last)
                found.update(zip(ids.ravel().tolist(), after.ravel().tolist(), strict=True))
        return found

    def _moves(self) -> bool:
        """Whether anything goes from frame to frame."""
        return bool(self.trace.closings) or any(
            isinstance(term.operation, Recurrence) or any(view.reframed for view in term.views)
            for term in self.terms.all
        )

    def heads(self, pairing: Sequence[int]) -> list[Head]:
        """All outputs that are no states. Raises WrongAxisError if the plan's axis is not time's."""
        sizes = self.plan.frames.sizes
        fixed = self.plan.axis is not None and sizes[self.plan.axis] > 0
        doubtful = self.plan.kind == "sequence" and (
            fixed or sizes.count(0) != 1 or (len(sizes) > 2 and self.plan.axis == 0)
        )
        if doubtful and not self._moves():
            raise WrongAxisError(f"nothing runs over axis {self.plan.axis} of input {self.plan.frames.name!r}")
        found = [
            self._head(number, tensor.ids)
            for number, tensor in enumerate(self.outputs)
            if number not in pairing and isinstance(tensor, Traced) and tensor.ids.size
        ]
        if not found:
            raise ForeignModelError("no output depends on the frames: there is nothing to stream")
        return found

    def _head(self, number: int, ids: Ids) -> Head:
        name, frames = self.names[number], np.unique(frame_of(ids[ids >= 0]))
        if self.plan.kind != "sequence":
            return Head(name, number, View(ids.reshape(-1), 1, 1, True), None)
        if len(frames) > 1:
            ids = unstacked(ids, self.terms, name)
            found = time_axis(ids, self.terms)
            rows = None if found is None else along(*found, self.terms)
            if found is None or rows is None or rows.stride < 1:
                how = "mixes frames"
                if len(frames) < self.length and ids.ndim > 1:
                    how = "computes each frame in a way of its own, as a loop does that its exporter unrolled"
                raise UnclearError(f"output {name!r} {how}: it has no time axis that can be followed")
            return Head(name, number, View(rows.ids, rows.stride, rows.length, True), found[1])
        last = min(self.terms[int(each)].frames for each in np.unique(term_of(ids[ids >= 0]))) - 1
        if frames[0] != last:
            raise ForeignModelError(
                f"output {name!r} reads frame {frames[0]} of the utterance alone: only the last can be"
            )
        if len(self.plan.lengths) == 1:
            raise ForeignModelError(f"output {name!r} is there once for {self.length} frames: it is a window's")
        return Head(name, number, View(shifted(ids, -last).reshape(-1), 1, last + 1, True), None)


def attempt(model: Any, plan: Plan, length: int, hop: int, terms: Terms) -> Attempt:
    """Trace a graph by a plan, into ``terms`` without any. Raises ForeignModelError, naming the node that cannot be
    followed; UnclearError if it may be with more frames."""
    if (size := plan.size) * length > MAX_INPUT:
        raise ForeignModelError(
            f"input {plan.frames.name!r} of sizes {list(plan.parts[0].shape(length))} has more than the {MAX_INPUT} "
            "values that a graph can be read with: export smaller frames"
        )
    source = terms.add(Input(size, plan.frames.token), (), size, length, plan.frames.name)
    frames = source.at(np.arange(length))
    if plan.kind == "window":
        view = View(element(source.number, 0, np.arange(size)), 1, length, True)
        stacked = terms.add(Applied(Stack(length, hop, 0, 0)), [view], length * size, 1, plan.frames.name)
        frames = stacked.at(0).reshape(length, size)
    token = plan.frames.token
    given: dict[str, Tensor] = dict(plan.fixed)
    given |= {name: Traced(ids, token) for name, ids in plan.split(frames).items()}
    states = []
    for each in plan.states:
        sizes = tuple(one or 1 for one in each.sizes)
        own = state_term(terms, each.name, np.zeros(sizes, np.float32)).at(0).reshape(sizes)
        states.append((each, own))
        given[each.name] = Traced(own, each.token)
    trace = Trace(model, terms, length if plan.kind == "sequence" else 0)
    names = [each.name for each in model.graph.output]
    return Attempt(plan, length, hop, names, trace, source, states, trace.run(model.graph, given))
