"""Causal convolutions in `ostinato bench kernels`, small: what is measured, and that a wrong peer is not timed."""

from __future__ import annotations

import itertools
import json
from collections.abc import Callable

import numpy as np
import pytest

from ostinato.model import Network
from ostinato.model.decoders import Outputs
from ostinato.model.front_ends import Frames
from ostinato.model.layers import Convolution, Dense
from ostinato.model.layers.layer import Layer
from ostinato.model.specification import Sequential
from ostinato_bench import convolutions, peers
from ostinato_bench.convolutions import CONVOLUTIONS, QUICK, Causal, measure
from ostinato_bench.kernels import run
from ostinato_bench.ours import Ours
from ostinato_bench.peers import onnx_runtime_convolution as peer

SEVERAL = [
    Causal(input, size, taps, groups, batch)
    for (input, size, groups), taps, batch in itertools.product(
        ((7, 5, 1), (6, 4, 2), (20, 20, 20), (4, 8, 4)), (1, 2, 5), (1, 3)
    )
]


def test_what_is_measured() -> None:
    assert {(each.input, each.size, each.taps, each.groups) for each in CONVOLUTIONS} == {
        (64, 64, 3, 1),
        (64, 64, 5, 64),
    }
    assert {each.batch for each in CONVOLUTIONS} == {1, 8, 128}
    assert [each.name for each in QUICK] == ["convolution 64 → 64, k = 3", "depthwise 64, k = 5"]
    assert {each.batch for each in QUICK} == {1}


@pytest.mark.parametrize("causal", SEVERAL, ids=str)
def test_onnx_runtime_a_frame_at_a_time_computes_what_we_do(causal: Causal) -> None:
    network, frames = causal.network(), causal.input_frames(9)
    assert causal.weights == network.weights["convolution.W"].size
    ours = Ours(network, frames).outputs
    for steps in (peer.steps, peer.bound_steps, peer.bound_steps_without_conv):
        made = steps(network, causal.batch)
        if steps is peer.bound_steps_without_conv and causal.groups not in (1, causal.size):
            assert made is None
            continue
        assert made is not None
        halves = made.over(frames[:4]), made.over(frames[4:])  # the cache goes on
        np.testing.assert_allclose(np.concatenate(halves), ours, rtol=0, atol=1e-5)


@pytest.mark.parametrize("steps", [peer.steps, peer.bound_steps, peer.bound_steps_without_conv])
@pytest.mark.parametrize("wrong", ["cache", "bias", "taps"])
def test_a_peer_that_computes_something_else_is_not_timed(
    wrong: str, steps: Callable[[Network, int], peer.Steps | None], monkeypatch: pytest.MonkeyPatch
) -> None:
    def wrongly(network: Network, batch: int) -> peer.Steps | None:
        weights = dict(network.weights)
        if wrong == "bias":
            weights["convolution.b"] = np.zeros_like(weights["convolution.b"])
        elif wrong == "taps":
            weights["convolution.W"] = np.roll(weights["convolution.W"], 6, axis=1)
        made = steps(Network(network.specification, weights), batch)
        if wrong != "cache" or made is None:
            return made
        # Its cache is not handed on: each frame is a stream's first.
        right = made.x

        def forgetful() -> object:
            again = steps(network, batch)
            assert again is not None
            again.x[:] = right
            return again.call()

        return peer.Steps(right, forgetful)

    monkeypatch.setattr(convolutions, "_PEERS", {"onnxruntime": wrongly})
    with pytest.raises(RuntimeError, match="away from ours"):
        measure(Causal(6, 8, 3, batch=2), seconds=0.01)


@pytest.mark.parametrize(
    "layer",
    [Convolution(4, 3, dilation=2), Convolution(4, 3, stride=2), Convolution(4, 3, left=1, right=1), Dense(4)],
)
def test_other_layers_are_refused(layer: Layer) -> None:
    network = Network.random(Sequential("other", Frames(4), [layer], Outputs()))
    with pytest.raises(ValueError, match="is not a causal convolution"):
        peer.build(network, 1)
    with pytest.raises(ValueError, match="is not a causal convolution"):
        peer.build_without_conv(network, 1)


def test_a_small_run() -> None:
    causal = [Causal(8, 8, 3), Causal(8, 8, 3, 8, batch=4)]
    said: list[tuple[int, int, str]] = []
    found = run([], 0.05, lambda *news: said.append(news), causal=causal)
    assert [each[:2] for each in said] == [(0, 2), (0, 2), (1, 2), (2, 2)]
    json.dumps(found)
    assert found["rows"] == []
    one, several = found["convolutions"]
    for row in found["convolutions"]:
        assert set(row["peers"]) == {"onnxruntime", "onnxruntime-bound", "onnxruntime-bound-no-conv"}
        assert min(row["ours_us"], row["gmacs"], *row["peers"].values()) > 0
        low, high = row["ours_quartiles_us"]
        assert low <= row["ours_us"] <= high
    assert one["step_us"] > 0
    assert "step_us" not in several
    alone = measure(causal[0], 0.01, wanted=set(peers.NAMES) - {"onnxruntime"})
    assert set(alone["peers"]) == {"onnxruntime-bound", "onnxruntime-bound-no-conv"}
