"""ONNX Runtime: what a graph's numbers are where it comes from."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import Any

import numpy as np

from ostinato.errors import ForeignModelError
from ostinato.importing.onnx.elements import Array
from ostinato.importing.onnx.plan import Plan


@dataclass(frozen=True)
class Output:
    """A head, and how a run's output ``number`` is read: ``axis`` is time's; None: one frame a run."""

    head: str
    number: int
    axis: int | None


@dataclass(frozen=True)
class Usage:
    """How a graph is run, by a ``plan``. ``length``: the only one that it can have, or None. ``states``: inputs,
    their sizes and the outputs that they become, or -1. ``hop``: of a window, frames from one to the next.
    ``least``: frames that give any output. ``waits``: whether outputs of the last frame are there when the utterance
    has ended, and not before."""

    plan: Plan
    length: int | None
    states: Sequence[tuple[str, Array, int]]
    outputs: Sequence[Output]
    hop: int = 0
    vocabulary: int = 0
    least: int = 1
    waits: bool = False


class Runtime:
    """A source (`ostinato.importing.source.Source`). ``what`` it runs, if that is not the file as it is."""

    def __init__(self, raw: bytes, usage: Usage, what: str = "") -> None:
        self.raw, self.usage, self._what = raw, usage, what

    @cached_property
    def _runtime(self) -> Any:
        try:
            import onnxruntime
        except ImportError as error:
            raise ForeignModelError(
                f"comparing with ONNX Runtime needs the package {error.name}: pip install onnx onnxruntime, "
                "or give recorded outputs (--expect)"
            ) from error
        return onnxruntime

    @cached_property
    def _session(self) -> Any:
        onnxruntime = self._runtime
        onnxruntime.set_default_logger_severity(4)
        options = onnxruntime.SessionOptions()
        options.intra_op_num_threads = options.inter_op_num_threads = 1
        options.log_severity_level = 4
        # as it is: fused by sizes that an exporter only declares, some files run at no other length
        options.graph_optimization_level = onnxruntime.GraphOptimizationLevel.ORT_DISABLE_ALL
        try:
            return onnxruntime.InferenceSession(self.raw, options, providers=["CPUExecutionProvider"])
        except Exception as error:  # it raises kinds of its own
            raise ForeignModelError(
                f"ONNX Runtime cannot load it, so give recorded outputs to compare with (--expect): {_first(error)}"
            ) from error

    @property
    def name(self) -> str:
        """As `Source.name`."""
        return f"ONNX Runtime {self._runtime.__version__}" + (f" ({self._what})" if self._what else "")

    def inputs(self, generator: np.random.Generator, count: int) -> Array:
        """As `Source.inputs`: as many as the graph can have."""
        use = self.usage
        if use.length is not None and not use.hop:
            count = use.length
        count = max(count, use.least, use.length or 0)
        if use.vocabulary:
            return generator.integers(0, use.vocabulary, count)
        return generator.normal(size=(count, use.plan.size)).astype(np.float32)

    def outputs(self, inputs: Array) -> Mapping[str, Array]:
        """As `Source.outputs`."""
        use = self.usage
        if use.hop:
            assert use.length is not None
            starts = range(0, len(inputs) - use.length + 1, use.hop)
            return self._joined([self._whole(inputs[start : start + use.length]) for start in starts])
        if use.plan.kind == "step":
            return self._steps(inputs)
        found: dict[str, Array] = {}
        timed = [each for each in use.outputs if each.axis is not None]
        if timed:
            made = self._whole(inputs)
            found |= {each.head: made[each.head] for each in timed}
        if ends := [each for each in use.outputs if each.axis is None]:
            lengths = range(len(inputs) if use.waits else use.least, len(inputs) + 1)
            made = self._joined([self._whole(inputs[:length]) for length in lengths])
            found |= {each.head: made[each.head] for each in ends}
        return found

    def _steps(self, inputs: Array) -> dict[str, Array]:
        use = self.usage
        states = {name: initial for name, initial, _ in use.states}
        made = []
        for number in range(len(inputs)):
            results = self._run(self._given(inputs[number : number + 1]) | states)
            made.append(self._read(results))
            states |= {name: results[number] for name, _, number in use.states if number >= 0}
        return self._joined(made)

    def _whole(self, inputs: Array) -> dict[str, Array]:
        """One run over these frames."""
        states = {name: initial for name, initial, _ in self.usage.states}
        return self._read(self._run(self._given(inputs) | states))

    def _given(self, frames: Array) -> dict[str, Array]:
        """What a run takes of them."""
        plan = self.usage.plan
        types = {part.given.name: part.given.dtype for part in plan.parts}
        made = plan.split(frames.reshape(len(frames), -1))
        return {name: np.ascontiguousarray(array, types[name]) for name, array in made.items()}

    def _read(self, results: Sequence[Array]) -> dict[str, Array]:
        found = {}
        for each in self.usage.outputs:
            array = np.asarray(results[each.number], np.float32)
            if each.axis is None:
                found[each.head] = array.reshape(1, -1)
            else:
                moved = np.moveaxis(array, each.axis, 0)
                found[each.head] = moved.reshape(len(moved), -1)
        return found

    def _joined(self, made: Sequence[Mapping[str, Array]]) -> dict[str, Array]:
        return {
            each.head: np.concatenate([one[each.head] for one in made]) if made else np.zeros((0, 0), np.float32)
            for each in self.usage.outputs
        }

    def _run(self, given: Mapping[str, Array]) -> list[Array]:
        try:
            made: list[Array] = self._session.run(None, dict(given) | dict(self.usage.plan.fixed))
        except Exception as error:  # it raises kinds of its own
            raise ForeignModelError(f"ONNX Runtime cannot run it: {_first(error)}") from error
        return made


def _first(error: Exception) -> str:
    return (str(error).strip().splitlines() or [type(error).__name__])[0][:300]
