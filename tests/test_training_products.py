"""Products while learning: float32 on register tiles against float64, whatever the sizes; and a whole network's
gradients in both."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
import numpy.typing as npt
import pytest

from ostinato.model.decoders import Outputs
from ostinato.model.front_ends import Frames
from ostinato.model.layers import Dense, Gru, Layer, Lstm, Rnn
from ostinato.model.specification import Sequential
from ostinato.training import Learning, TrainableNetwork
from ostinato.training.products import input_gradient, project, weight_gradients

SIZES = (1, 3, 15, 16, 17, 40, 64, 70, 130)
LENGTHS = np.array([7, 30, 0, 19, 1, 30, 12])


@pytest.mark.parametrize("rows", [0, 1, 15, 128, 150, 300])
def test_float32_beside_float64(rows: int) -> None:
    """Nothing beyond the arrays is written, and what is behind the last row does not matter."""
    random = np.random.default_rng(rows)
    for K in SIZES:
        O = int(random.choice(SIZES))  # noqa: E741  outputs
        x, dy, W = (random.normal(size=shape).astype(np.float32) for shape in ((rows, K), (rows, O), (O, K)))
        b = random.normal(size=O).astype(np.float32)
        x64, dy64, W64 = (each.astype(np.float64) for each in (x, dy, W))
        room = np.full((rows + 2, O), np.nan, np.float32)
        project(x, W, b, room[1:-1])
        np.testing.assert_allclose(room[1:-1], x64 @ W64.T + b, rtol=0, atol=1e-4)
        assert np.isnan(room[[0, -1]]).all()
        dx = input_gradient(dy, W, np.empty_like(x))
        np.testing.assert_allclose(dx, dy64 @ W64, rtol=0, atol=1e-4)
        dW, db = weight_gradients(x, dy, W)
        assert dW.dtype == db.dtype == np.float32 and dW.flags.c_contiguous
        np.testing.assert_allclose(dW, dy64.T @ x64, rtol=0, atol=3e-4)
        np.testing.assert_allclose(db, dy64.sum(axis=0), rtol=0, atol=1e-4)


def test_sums_are_in_order() -> None:
    """Whatever the function that sums was compiled into, and so in the process that compiles it as in all others."""
    dy = np.random.default_rng(0).normal(size=(300, 24)).astype(np.float32)  # a vector, and what is left over
    _, db = weight_gradients(np.ones((300, 3), np.float32), dy, np.zeros((24, 3), np.float32))
    np.testing.assert_array_equal(db, np.add.accumulate(dy, axis=0)[-1])


LAYERS: dict[str, Callable[[int], Layer]] = {
    "rnn": lambda n: Rnn(n, direction="bidirectional"),
    "gru-after": lambda n: Gru(n, direction="bidirectional"),
    "gru-before": lambda n: Gru(n, direction="bidirectional", reset="before"),
    "lstm": lambda n: Lstm(n, direction="bidirectional", peepholes=True),
}


@pytest.mark.parametrize("hidden", [5, 16, 40])
@pytest.mark.parametrize("kind", list(LAYERS))
def test_gradients_of_float32_and_of_float64(kind: str, hidden: int) -> None:
    """The kernels that learn, and those that are checked against central differences, are compiled from one source;
    their products are not."""
    layers = (LAYERS[kind](hidden), LAYERS[kind](hidden), Dense(3))
    specification = Sequential("t", Frames(9), layers, Outputs())
    random = np.random.default_rng(3)
    x = random.normal(size=(len(LENGTHS), LENGTHS.max(), 9)).astype(np.float32)
    weighting = random.normal(size=(*x.shape[:2], 3)).astype(np.float32)
    found: list[dict[str, npt.NDArray[Any]]] = []
    for dtype in (np.float32, np.float64):
        net = TrainableNetwork(specification, dtype, recurrent_dropout=0.3)
        outputs = net.forward(x, LENGTHS, Learning(np.random.default_rng(0)))
        found.append(outputs | net.backward({"main": weighting.astype(dtype)}))
    for name, exact in found[1].items():
        error = np.linalg.norm(found[0][name] - exact) / np.linalg.norm(exact)
        assert error < 2e-6, name
