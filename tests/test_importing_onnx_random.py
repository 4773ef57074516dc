"""Random graphs (`onnx_graphs`) stream with the numbers of ONNX Runtime, however they are cut. More of them:
python tests/fuzz_import.py."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

import numpy as np
import onnx
import onnx_graphs
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from ostinato.importing import import_model


@pytest.mark.parametrize("make", [onnx_graphs.sequence, onnx_graphs.step])
@settings(max_examples=25, deadline=None, derandomize=True, suppress_health_check=list(HealthCheck))
@given(seed=st.integers(0, 2**32), blocks=st.integers(1, 8))
def test_a_random_graph_streams_as_it_runs(make: Callable[..., Any], seed: int, blocks: int) -> None:
    with TemporaryDirectory() as folder:
        path = Path(folder) / "graph.onnx"
        onnx.save(make(np.random.default_rng(seed), blocks), path)
        parity = import_model(path).parity
        assert parity.largest < 1e-5 * max(1.0, parity.scale)
