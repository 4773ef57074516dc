"""An ONNX file as its users run it in ONNX Runtime: a frame a call, its states carried by hand."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

from ostinato_bench.peers import onnx_runtime

F32 = npt.NDArray[np.float32]


@dataclass(frozen=True)
class Signature:
    """The input that takes a frame, with its sizes in one call; the output that answers; by the name of each state's
    input the output that it becomes, zeros at first; and inputs that are always the same.

    ``sequence``: the axis of time of a file that begins from zero states in each call and gives none back: it cannot
    be run frame by frame, only as a whole. ``sizes``: of states that leave their own open."""

    frames: str
    shape: tuple[int, ...]
    output: str
    states: Mapping[str, str] = field(default_factory=dict)
    fixed: Mapping[str, Any] = field(default_factory=dict)
    sequence: int | None = None
    sizes: Mapping[str, tuple[int, ...]] = field(default_factory=dict)


class OnnxFile:
    """A session of a file, on one thread. Raises ImportError without onnxruntime."""

    def __init__(self, path: Path, signature: Signature) -> None:
        session = onnx_runtime.new_session(path.read_bytes(), 1)
        if session is None:
            raise ImportError("onnxruntime is not installed: pip install onnxruntime")
        self._session, self._signature = session, signature
        self._names = [signature.output, *signature.states.values()]

    def outputs(self, frames: F32) -> F32:
        """What it gives for an utterance's frames [frames, size]: [frames, outputs]."""
        use = self._signature
        if use.sequence is None:
            step = self.steps(frames)
            return np.array([np.ravel(step()) for _ in range(len(frames))], np.float32)
        whole = np.moveaxis(frames.reshape(-1, *np.delete(use.shape, use.sequence)), 0, use.sequence)
        (made,) = self._session.run([use.output], {use.frames: np.ascontiguousarray(whole)} | dict(use.fixed))
        return np.moveaxis(np.asarray(made), use.sequence, 0).reshape(len(frames), -1)

    def steps(self, frames: F32) -> Callable[[], Any]:
        """A call takes the next of the frames, over and over, and gives its output; states go on from call to
        call."""
        turns, step = _turns(frames.reshape(-1, *self._signature.shape)), self.stream()
        return lambda: step(next(turns))

    def stream(self) -> Callable[[F32], Any]:
        """A new stream: a function of a frame, of the signature's sizes, that gives its output."""
        use, run = self._signature, self._session.run
        feed = dict(use.fixed) | self._initial()

        def step(frame: F32) -> Any:
            feed[use.frames] = frame
            made = run(self._names, feed)
            for name, state in zip(use.states, made[1:], strict=True):
                feed[name] = state
            return made[0]

        return step

    def bound_steps(self, frames: F32) -> Callable[[], Any]:
        """The same by IOBinding: inputs and outputs are memory that is bound once. There are two sets of
        it for states: an output in one is an input in the other. The output is the same array each time."""
        use = self._signature
        turns = _turns(frames.reshape(-1, *use.shape))
        x = np.zeros(use.shape, np.float32)
        fixed = {name: np.asarray(value) for name, value in use.fixed.items()}
        first = self._session.run(self._names, {use.frames: x} | fixed | self._initial())
        y = np.empty_like(first[0])
        here, there = self._initial(), {name: np.empty_like(each) for name, each in self._initial().items()}
        bindings = []
        for given, made in ((here, there), (there, here)):
            binding = self._session.io_binding()
            for name, array in ({use.frames: x} | fixed | given).items():
                binding.bind_input(name, "cpu", 0, array.dtype.type, array.shape, array.ctypes.data)
            for name, array in ((use.output, y), *((use.states[name], each) for name, each in made.items())):
                binding.bind_output(name, "cpu", 0, array.dtype.type, array.shape, array.ctypes.data)
            bindings.append(binding)
        ways = _turns(bindings)

        def call(_keeps_alive: object = (fixed, here, there)) -> Any:
            x[...] = next(turns)
            self._session.run_with_iobinding(next(ways))
            return y

        return call

    def _initial(self) -> dict[str, Any]:
        """States of a new stream. A size that the file leaves open is a batch's."""
        found = {each.name: each for each in self._session.get_inputs()}
        return {
            name: np.zeros(
                self._signature.sizes.get(name, [size if isinstance(size, int) else 1 for size in found[name].shape]),
                np.float32,
            )
            for name in self._signature.states
        }


def _turns(things: Any) -> Any:
    """The things one after the other, for ever."""
    from itertools import cycle

    return cycle(list(things))
