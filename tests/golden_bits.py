"""Prints digests of kernel results on fixed inputs, float32 and int8; run for several targets by
test_kernels_compilation."""

from __future__ import annotations

import hashlib

import numpy as np

from ostinato.kernels import arrays
from ostinato.kernels.activations import NAMES
from ostinato.kernels.program import Workspace, advance
from ostinato.model import Network
from ostinato.model.compile import compile_network
from ostinato.model.quantization import quantize
from ostinato.model.specification import (
    Dense,
    Frames,
    Gru,
    Lstm,
    Outputs,
    Rnn,
    Softmax,
    Specification,
    weight_shapes,
)


def main() -> None:
    rng = np.random.default_rng(0)
    digest = hashlib.sha256()
    odd = [0.0, -0.0, np.inf, -np.inf, 1e-40, -1e-42, 3e38]
    x = np.concatenate([rng.uniform(-20, 20, 1000), rng.uniform(-1e-3, 1e-3, 1000), odd]).astype(np.float32)
    for name in NAMES:
        digest.update(arrays.activate(name, x).tobytes())
    digest.update(arrays.exp(x).tobytes() + arrays.log(np.abs(x)).tobytes())
    digest.update(
        arrays.multiply(arrays.pack_matrix(rng.uniform(-1, 1, (33, 50))), x[:330].reshape(10, 33)).tobytes()
    )
    for hidden in (7, 64, 100):
        layers = (
            Gru(13, hidden),
            Gru(hidden, hidden, reset="before"),
            Lstm(hidden, hidden, direction="bidirectional", peepholes=True),
            Rnn(2 * hidden, hidden),
            Dense(hidden, 11),
            Softmax(11),
        )
        specification = Specification("golden", Frames(13), layers, Outputs())
        weights = {
            name: rng.uniform(-0.3, 0.3, shape).astype(np.float32)
            for name, shape in weight_shapes(specification).items()
        }
        program = compile_network(specification, weights)
        rows, state = program.new_rows(50), program.new_states(9)
        rows[:, program.input.slice] = rng.uniform(-1, 1, (50, 13))
        sizes = np.array([9] * 5 + [1] * 5, np.int64)
        advance(program, state, np.arange(9), sizes, rows, Workspace())
        digest.update(rows[:, program.output.slice].tobytes() + state.tobytes())
    print(digest.hexdigest())
    print(int8())


def int8() -> str:
    """The digest of int8 networks of all kinds of cells, on batches of several sizes."""
    rng = np.random.default_rng(1)
    digest = hashlib.sha256()
    for hidden in (7, 64, 100):
        layers = (
            Dense(13, 33),
            Gru(33, hidden),
            Gru(hidden, hidden, reset="before"),
            Lstm(hidden, hidden, direction="bidirectional", peepholes=True),
            Rnn(2 * hidden, 11),
        )
        specification = Specification("golden", Frames(13), layers, Outputs())
        weights = {
            name: rng.uniform(-0.3, 0.3, shape).astype(np.float32)
            for name, shape in weight_shapes(specification).items()
        }
        network = Network(specification, weights)
        frames = rng.uniform(-1, 1, (50, 13)).astype(np.float32)
        program = quantize(network, [frames]).program
        rows, state = program.new_rows(50), program.new_states(9)
        rows[:, program.input.slice] = frames
        advance(program, state, np.arange(9), np.array([9] * 4 + [3] * 3 + [1] * 5, np.int64), rows, Workspace())
        digest.update(rows[:, program.output.slice].tobytes() + state.tobytes())
    return digest.hexdigest()


if __name__ == "__main__":
    main()
