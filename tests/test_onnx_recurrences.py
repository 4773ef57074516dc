"""GRU and LSTM with all activations that ONNX's operators have (opset 22), against ONNX Runtime."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import numpy as np
import onnx_peer
import pytest
from kinds.onnx_graph import RECURRENT
from test_kernels_cells import random_weights, whole

from ostinato.model.activation import Activation
from ostinato.model.compile import compile_network
from ostinato.model.decoders import Outputs
from ostinato.model.front_ends import Frames
from ostinato.model.layers import Gru, Lstm
from ostinato.model.specification import Sequential

WITH_ALPHA = {"affine", "leaky-relu", "thresholded-relu", "scaled-tanh", "hard-sigmoid", "elu"}
WITH_BETA = {"affine", "scaled-tanh", "hard-sigmoid"}


def layers() -> Iterator[Any]:
    """Each activation that ONNX has for them in each place."""
    for name in RECURRENT:
        alpha = 0.1 if name == "thresholded-relu" else 0.6
        f = Activation(name, alpha if name in WITH_ALPHA else None, 0.25 if name in WITH_BETA else None)
        yield pytest.param(Gru(9, gate_activation=f, clip=0.7), id=f"gru f {name}")
        yield pytest.param(Gru(9, activation=f), id=f"gru g {name}")
        yield pytest.param(Lstm(9, gate_activation=f, clip=0.7), id=f"lstm f {name}")
        yield pytest.param(Lstm(9, activation=f, direction="bidirectional"), id=f"lstm g {name}")
        yield pytest.param(Lstm(9, output_activation=f, clip=0.5), id=f"lstm h {name}")


@pytest.mark.parametrize("layer", list(layers()))
def test_attributes_mean_what_onnx_runtime_makes_of_them(layer: Any) -> None:
    specification = Sequential("x", Frames(7), (layer,), Outputs())
    weights = random_weights(specification, 1)
    frames = np.random.default_rng(2).standard_normal((25, 7)).astype(np.float32)
    found = whole(compile_network(specification, weights).program, frames)
    peer = onnx_peer.run(specification, weights, frames)
    assert peer is not None
    assert np.abs(peer).max() > 0.005, "the comparison must mean something"
    np.testing.assert_allclose(found, peer, atol=1e-5, rtol=1e-5)
