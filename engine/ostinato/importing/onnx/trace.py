"""A graph is gone through once, with elements in the place of values: branches whose condition is constant are taken,
loops are run, what is constant is computed."""

from __future__ import annotations

from collections import ChainMap
from collections.abc import Callable, Mapping, Sequence
from typing import Any

import numpy as np

from ostinato.errors import ForeignModelError
from ostinato.importing.onnx.call import Call
from ostinato.importing.onnx.elements import (
    Array,
    Ids,
    Tensor,
    Traced,
    elements,
    frame_of,
    shifted,
    term_of,
    value,
)
from ostinato.importing.onnx.evaluation import Evaluator
from ostinato.importing.onnx.operators import OPERATORS
from ostinato.importing.onnx.reading import array_of
from ostinato.importing.onnx.terms import State, Terms, state_term
from ostinato.importing.onnx.unrolled import Unrolled

MAX_ROUNDS = 4096
"""Of a loop."""
MAX_STEPS = 200_000
"""Nodes that are gone through, those of loops as often as they run."""
MOST_TRACED = 1 << 21
"""Values of a tensor that depends on the input."""
_RANDOM = ("RandomNormal", "RandomUniform", "RandomNormalLike", "RandomUniformLike", "Bernoulli", "Multinomial")
_BY_VALUE = ("Equal", "Less", "Greater", "LessOrEqual", "GreaterOrEqual", "Not", "And", "Or", "Xor", "IsNaN", "Sign")
Scope = ChainMap[str, Tensor]
Step = Callable[[int, Sequence[Tensor]], tuple[Sequence[Tensor], Sequence[Tensor], bool]]
"""Of a loop: a step's number and what comes in; what goes on, what it gives beside that, whether it is the last."""


class Trace:
    """One way through a model's graph. ``closings``: of each element of a state at its first frame, the element that
    it holds a frame later, counted likewise."""

    def __init__(self, model: Any, terms: Terms, length: int) -> None:
        self.terms, self._length = terms, length
        self.notes: dict[str, list[str]] = {}
        self.closings: dict[int, int] = {}
        self._unrolled = Unrolled(terms, self.closings, length)
        self._opsets = {each.domain if each.domain != "ai.onnx" else "": each.version for each in model.opset_import}
        self._evaluator = Evaluator(self._opsets)
        self._steps = 0

    def run(self, graph: Any, given: Mapping[str, Tensor], outer: Scope | None = None) -> list[Tensor]:
        """The outputs of a graph, whose inputs are ``given``."""
        scope: Scope = ChainMap({}, *(outer.maps if outer is not None else ()))
        for initializer in graph.initializer:
            if initializer.name not in given:
                scope[initializer.name] = array_of(initializer)
        scope.update(given)
        for node in graph.node:
            self._steps += 1
            if self._steps > MAX_STEPS:
                raise ForeignModelError(f"its loops run over {MAX_STEPS} nodes: export a smaller graph")
            made = self._node(node, scope)
            for name, tensor in zip(node.output, made, strict=False):
                if name:
                    scope[name] = self._settled(node, tensor)
        missing = next((each.name for each in graph.output if each.name not in scope), None)
        if missing is not None:
            raise ForeignModelError(f"output {missing!r} is made by no node: export it again")
        outputs = [scope[each.name] for each in graph.output]
        return [
            Traced(self._unrolled.replaced(each.ids), each.token) if isinstance(each, Traced) else each
            for each in outputs
        ]

    def _node(self, node: Any, scope: Scope) -> Sequence[Tensor]:
        inputs = [self._input(node, name, scope) if name else None for name in node.input]
        domain = "" if node.domain == "ai.onnx" else node.domain
        call = Call(node, inputs, self.terms, self._evaluator, self._opsets.get(domain, 1), self.notes)
        if node.op_type == "If":
            return self._branch(call, scope)
        if node.op_type == "Loop":
            return self._loop(call, scope)
        if node.op_type == "Scan":
            return self._scan(call, scope)
        traced = any(isinstance(each, Traced) for each in inputs)
        if node.op_type in _RANDOM:
            raise call.refuse("gives random values: no two streams would have the same numbers")
        if not traced and (domain != "com.microsoft" or node.op_type not in OPERATORS):
            return call.run([None if each is None else np.asarray(each) for each in inputs])
        if node.op_type == "Shape":
            start, end = call.attributes.get("start", 0), call.attributes.get("end")
            return [np.array(call.traced(0).shape, np.int64)[start:end]]
        if node.op_type == "Size":
            return [np.array(call.traced(0).size, np.int64)]
        if (never := _below_zero(call)) is not None:
            return [never]
        convert = OPERATORS.get(node.op_type) if domain in ("", "com.microsoft") else None
        if convert is None:
            raise call.refuse(self._why_not(node, domain))
        try:
            return convert(call)
        except (ValueError, IndexError, KeyError, TypeError) as error:  # of inputs that ONNX would not allow either
            raise call.refuse(f"has inputs or attributes that do not fit each other: {error}") from error

    @staticmethod
    def _why_not(node: Any, domain: str) -> str:
        if node.op_type in _BY_VALUE:
            return (
                "decides by the values that come (a mask, say), so that each frame is computed in another way: "
                "not supported; export the model without masking"
            )
        if domain:
            return f"is an operator of {domain!r}, and no code of a file's maker is run: export standard operators"
        return "is an operator that is not known here: export the model without it, or cut the graph before it"

    def _settled(self, node: Any, tensor: Tensor) -> Tensor:
        """A constant again, if nothing in it is traced any more; loops that were written out, rolled up."""
        if not isinstance(tensor, Traced) or not tensor.ids.size:
            return tensor
        if tensor.ids.size > MOST_TRACED:
            raise ForeignModelError(
                f"node {node.name or node.output[0]!r} ({node.op_type}): gives {tensor.ids.size} values that depend "
                f"on the input: at most {MOST_TRACED} can be followed while a graph is read"
            )
        if (tensor.ids < 0).all():
            return value(tensor.ids)
        return Traced(self._unrolled.seen(tensor.ids), tensor.token) if node.op_type == "Concat" else tensor

    def _input(self, node: Any, name: str, scope: Scope) -> Tensor:
        if name not in scope:
            raise ForeignModelError(
                f"node {node.name or node.output[0]!r} ({node.op_type}): input {name!r} is nowhere: export it again"
            )
        return scope[name]

    def _branch(self, call: Call, scope: Scope) -> Sequence[Tensor]:
        """The one whose condition is true."""
        if isinstance(call.input(0), Traced):
            raise call.refuse("takes one of two ways by the values that come: not supported")
        taken = "then_branch" if bool(np.asarray(call.input(0)).reshape(-1)[0]) else "else_branch"
        self.notes.setdefault("if", []).append(call.name)
        return self.run(call.attributes[taken], {}, scope)

    def _loop(self, call: Call, scope: Scope) -> Sequence[Tensor]:
        """As often as its constants say; values that go round are states."""
        body, limit, condition = call.attributes["body"], call.optional(0), call.optional(1)
        most = (
            MAX_ROUNDS + 1 if limit is None else int(np.asarray(call.constant(0, "how often it runs")).reshape(-1)[0])
        )
        goes_on = condition is None or bool(np.asarray(call.constant(1, "its condition")).reshape(-1)[0])
        values = [call.input(2 + k) for k in range(len(call.inputs) - 2)]

        def step(number: int, carried: Sequence[Tensor]) -> tuple[Sequence[Tensor], Sequence[Tensor], bool]:
            names = [each.name for each in body.input]
            own = [np.array(number, np.int64), np.array(True), *carried]
            made = self.run(body, dict(zip(names, own, strict=True)), scope)
            if isinstance(made[0], Traced):
                raise call.refuse("ends by the values that come: not supported")
            ends = number + 1 >= most or not bool(np.asarray(made[0]).reshape(-1)[0])
            return made[1 : 1 + len(values)], made[1 + len(values) :], ends

        if not goes_on or most < 1:
            raise call.refuse("never runs with as many frames as it was traced with")
        carried, collected = self._rounds(call, body.input[2:], body.output[1:], body, values, step)
        return [*carried, *(_stacked([each[k] for each in collected], 0) for k in range(len(collected[0])))]

    def _scan(self, call: Call, scope: Scope) -> Sequence[Tensor]:
        """Along its inputs' axes."""
        attributes, body = call.attributes, call.attributes["body"]
        if call.opset < 9:
            raise call.refuse("is of opset 8: export opset 9 or later")
        count = int(attributes["num_scan_inputs"])
        states = len(call.inputs) - count
        outputs = len(body.output) - states
        axes = list(attributes.get("scan_input_axes") or [0] * count)
        ways = list(attributes.get("scan_input_directions") or [0] * count)
        out_axes = list(attributes.get("scan_output_axes") or [0] * outputs)
        out_ways = list(attributes.get("scan_output_directions") or [0] * outputs)
        values = [call.input(each) for each in range(states)]
        scanned = [
            np.moveaxis(_raw(call.input(states + k)), axes[k], 0)[:: -1 if ways[k] else 1] for k in range(count)
        ]
        kinds = [call.input(states + k) for k in range(count)]

        def step(number: int, carried: Sequence[Tensor]) -> tuple[Sequence[Tensor], Sequence[Tensor], bool]:
            pieces = [
                Traced(x[number], kind.token) if isinstance(kind, Traced) else x[number]
                for kind, x in zip(kinds, scanned, strict=True)
            ]
            names = [each.name for each in body.input]
            made = self.run(body, dict(zip(names, [*carried, *pieces], strict=True)), scope)
            return made[:states], made[states:], number + 1 >= len(scanned[0])

        carried, collected = self._rounds(call, body.input[:states], body.output, body, values, step)
        scans = [
            _stacked([each[k] for each in collected][:: -1 if out_ways[k] else 1], out_axes[k])
            for k in range(outputs)
        ]
        return [*carried, *scans]

    def _rounds(
        self, call: Call, inputs: Any, outputs: Any, body: Any, values: Sequence[Tensor], step: Step
    ) -> tuple[Sequence[Tensor], list[Sequence[Tensor]]]:
        """What is carried out of a loop in the end, and what each step gives beside it. It may run over frames from
        the last to the first: then a state is what it becomes a frame later."""
        carried, collected = self._one_way(call, inputs, outputs, body, values, step, 0)
        if not carried.same:
            carried, collected = self._one_way(call, inputs, outputs, body, values, step, len(collected))
        if not carried.same:
            raise call.refuse("computes something else at each step: not supported")
        self.closings.update(carried.closings)
        return carried.now, collected

    @staticmethod
    def _one_way(
        call: Call, inputs: Any, outputs: Any, body: Any, values: Sequence[Tensor], step: Step, backward: int
    ) -> tuple[_Carried, list[Sequence[Tensor]]]:
        carried = _Carried(call, inputs, outputs, body, values, backward)
        collected: list[Sequence[Tensor]] = []
        for number in range(MAX_ROUNDS):
            made, beside, ends = step(number, carried.at(number))
            carried.take(number, made)
            collected.append(beside)
            if ends:
                return carried, collected
        raise call.refuse(f"runs over {MAX_ROUNDS} times with as many frames as it was traced with")


def _below_zero(call: Call) -> Array | None:
    """Whether token ids are below zero, as is asked where such ones would count from the end: none is."""
    if call.node.op_type != "Less":
        return None
    first, bound = call.input(0), call.input(1)
    if not (isinstance(first, Traced) and first.token) or isinstance(bound, Traced) or (np.asarray(bound) > 0).any():
        return None
    return np.zeros(np.broadcast_shapes(first.shape, bound.shape), np.bool_)


class _Carried:
    """What goes round in a loop. Numbers that count are what they are; values are states, which begin from what is
    carried in; what is handed on unchanged stays constant. ``backward``: of a loop over frames from the last on, how
    many there are; else 0."""

    def __init__(
        self, call: Call, inputs: Any, outputs: Any, body: Any, values: Sequence[Tensor], backward: int
    ) -> None:
        self._call, self._backward = call, backward
        self.now = list(values)
        self.same, self.closings = True, dict[int, int]()
        self._states: list[Ids | None] = [
            self._state(own.name, given, _source(body, made.name))
            for own, given, made in zip(inputs, values, outputs, strict=False)
        ]
        self._first: list[Ids | None] = [None] * len(values)

    def _state(self, name: str, given: Tensor, made: str) -> Ids | None:
        if made == name:
            return None
        terms = self._call.terms
        if isinstance(given, Traced):
            states = given.ids[given.ids >= 0]
            kinds = {type(terms[int(n)].operation) for n in np.unique(term_of(states))}
            if kinds - {State} or frame_of(states).any() or len(states) < given.ids.size or self._backward:
                raise self._call.refuse(f"begins {name!r} from what is computed: only constants or states can be")
            return given.ids
        if given.dtype.kind != "f":
            return None
        term = state_term(terms, f"{self._call.name} {name}", np.asarray(given), bool(self._backward))
        return term.at(0).reshape(given.shape)

    def _frame(self, step: int) -> int:
        return self._backward - 1 - step if self._backward else step

    def at(self, step: int) -> list[Tensor]:
        """What comes in."""
        return [
            now if state is None else Traced(shifted(state, self._frame(step)))
            for now, state in zip(self.now, self._states, strict=True)
        ]

    def take(self, step: int, made: Sequence[Tensor]) -> None:
        """What comes out of a step."""
        for k, (state, out) in enumerate(zip(self._states, made, strict=True)):
            if state is not None:
                ids = shifted(elements(out), -self._frame(step))
                if ids.shape != state.shape:
                    raise self._call.refuse("changes the sizes of what goes round")
                before = self._first[k]
                if before is None:
                    self._first[k] = ids
                    self.closings.update(zip(state.ravel().tolist(), ids.ravel().tolist(), strict=True))
                elif (before != ids).any():
                    self.same = False
            self.now[k] = out


def _source(body: Any, name: str) -> str:
    """What an output of a loop's body is, seen through Identity."""
    same = {node.output[0]: node.input[0] for node in body.node if node.op_type == "Identity"}
    while name in same:
        name = same[name]
    return name


def _raw(tensor: Tensor) -> Array:
    return tensor.ids if isinstance(tensor, Traced) else np.asarray(tensor)


def _stacked(tensors: Sequence[Tensor], axis: int) -> Tensor:
    if any(isinstance(each, Traced) for each in tensors):
        return Traced(np.stack([elements(each) for each in tensors], axis))
    return np.stack([np.asarray(each) for each in tensors], axis)
