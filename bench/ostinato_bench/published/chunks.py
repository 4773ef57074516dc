"""A published file frame by frame: does it give what ONNX Runtime gives, and what does a frame cost?"""

from __future__ import annotations

from collections.abc import Callable
from itertools import cycle
from typing import Any

import numpy as np

from ostinato.importing import import_model
from ostinato.streaming import Model
from ostinato_bench.ours import Ours
from ostinato_bench.peers.onnx_file import OnnxFile
from ostinato_bench.published.catalogue import F32, PublishedFile
from ostinato_bench.timing import Timed, alternate


def measure(file: PublishedFile, speech_s: float, seconds: float) -> dict[str, Any]:
    """A row: over ``speech_s`` of speech, whose state is carried from the first frame to the last, the largest
    difference from ONNX Runtime and the largest value; then microseconds a frame, medians with their quartiles, timed
    in turns for ``seconds`` in all:

    - "push_us": `Stream.push` of a frame, as a library's user has it;
    - "kernel_us": the kernels alone, called from Python with the same frame each time;
    - "peers": ONNX Runtime's run of a frame, its states handed on; "onnxruntime-bound" with IOBinding.

    Raises ForeignModelError for a file that cannot be had or imported, ImportError without onnxruntime.
    """
    path = file.fetch()
    network = import_model(path, file.settings).network
    frames = file.frames(speech_s)
    theirs = OnnxFile(path, file.signature)
    expected = theirs.outputs(frames)
    model = Model(network)
    ours = _outputs(model, frames)
    if ours.shape != expected.shape:
        raise RuntimeError(f"{file.name} gives outputs of shape {ours.shape}, ONNX Runtime {expected.shape}")
    program = network.program
    kernels = Ours(network, frames[None, :1].reshape(1, 1, -1))
    spent = alternate(
        {
            "push": Timed(_pushes(model, frames)),
            "kernel": Timed(kernels.call),
            "onnxruntime": Timed(theirs.steps(frames)),
            "onnxruntime-bound": Timed(theirs.bound_steps(frames)),
        },
        seconds,
    )
    row: dict[str, Any] = {
        "file": file.name,
        "model": file.model,
        "package": file.package.requirement,
        "chunk_ms": round(file.chunk_ms, 3),
        "frames": len(frames),
        "seconds": speech_s,
        "largest_difference": float(np.abs(ours - expected).max()),
        "largest_value": float(np.abs(expected).max()),
        "carries_states": bool(file.signature.states),
        "file_bytes": path.stat().st_size,
        "weight_bytes": _weight_bytes(program),
        "multiply_adds": _multiply_adds(network),
        "operations": len(program.operations),
    }
    for name in ("push", "kernel"):
        row |= {f"{name}_us": round(spent[name].median, 3), f"{name}_quartiles_us": spent[name].quartiles}
    others = [name for name in spent if name.startswith("onnxruntime")]
    return row | {
        "peers": {name: round(spent[name].median, 3) for name in others},
        "peers_quartiles_us": {name: spent[name].quartiles for name in others},
    }


def _outputs(model: Model, frames: F32) -> F32:
    """A stream's raw outputs [frames, size]."""
    with model.stream(decoder="outputs") as stream:
        events = [*stream.push(frames), *stream.flush()]
    return np.array([event.values for event in events], np.float32)


def _pushes(model: Model, frames: F32) -> Callable[[], object]:
    stream = model.stream(decoder="outputs")
    turns = cycle([frame[None] for frame in frames])
    return lambda: stream.push(next(turns))


def _weight_bytes(program: Any) -> int:
    """Of its operations, and of those that run within frames."""
    inner = [each for positions in program.positions for each in getattr(positions, "programs", ())]
    inner += [positions.program for positions in program.positions if hasattr(positions, "program")]
    return int(program.weights.nbytes) + sum(map(_weight_bytes, inner))


def _multiply_adds(network: Any) -> int:
    """Of a frame."""
    specification = network.specification
    return int(sum(node.layer.multiply_adds(specification.inputs(node)) for node in specification.nodes))
