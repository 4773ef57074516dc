"""Whole graphs: the kernels, the formulas in float64 and ONNX Runtime say the same."""

from __future__ import annotations

import numpy as np
import onnx_peer
import pytest
import random_models
import reference
from hypothesis import assume, given, settings
from hypothesis import strategies as st
from kinds import KINDS, Example
from kinds.onnx_graph import RECURRENT as ONNX_FUNCTIONS
from test_kernels_cells import random_weights
from test_kinds import EXAMPLES, frames_for, network_around

from ostinato.model import Network
from ostinato.model.front_ends import Tokens
from ostinato.model.specification import Specification
from ostinato.model.whole_sequence import whole_sequence


@pytest.mark.parametrize("example", EXAMPLES)
def test_each_kind_is_what_onnx_says(example: Example) -> None:
    specification = network_around(example)
    if specification.encoder is not None:
        assert any(wire.memory for wire in example.inputs)
        return  # what an encoder has made is no tensor of ONNX's graph; `test_kinds` has the formula
    weights, frames = random_weights(specification, 3), frames_for(specification, 20)
    peer = onnx_peer.run(specification, weights, frames)
    if peer is None:
        layer = example.layer
        functions = [value.name for value in vars(layer).values() if hasattr(value, "alpha")]
        assert KINDS[layer.kind].onnx_lacks or any(name not in ONNX_FUNCTIONS for name in functions), layer
        return
    np.testing.assert_allclose(whole_sequence(Network(specification, weights), frames)[0], peer, atol=1e-5, rtol=0)


@settings(deadline=None, max_examples=60)
@given(random_models.specifications(("frames", "tokens")), st.integers(1, 40), st.integers(0, 99))
def test_graphs_are_what_onnx_says(specification: Specification, length: int, seed: int) -> None:
    weights = random_models.network(specification, seed).weights
    signal = np.random.default_rng(seed)
    front = specification.front_end
    if isinstance(front, Tokens):
        frames = signal.integers(0, len(front.vocabulary), (length, 1)).astype(np.float32)
    else:
        frames = signal.normal(size=(length, front.frame_size)).astype(np.float32)
    peer = onnx_peer.run(specification, weights, frames)
    assume(peer is not None)
    values = reference.run_all(specification, weights, frames)
    exact = values[specification.heads[0].node]
    largest = max([1.0, *(float(np.abs(value).max()) for value in values.values())])
    found = whole_sequence(Network(specification, weights), frames)[0]
    for other in (exact, peer):
        np.testing.assert_allclose(found, other, rtol=0, atol=1e-5 * largest)
