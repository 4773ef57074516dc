"""States carried from part to part of long sequences, and states dropped before the recurrent product."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
import numpy.typing as npt
import pytest
from kinds import KINDS

from ostinato.errors import TrainingError
from ostinato.model.decoders import Outputs
from ostinato.model.front_ends import Frames
from ostinato.model.layers import Dense, Gru, Layer, Lstm, MeanPool, Recurrent, Rnn
from ostinato.model.specification import Sequential
from ostinato.training import Learning, TrainableNetwork

Array = npt.NDArray[Any]
LENGTHS, FIRST = np.array([3, 9, 0, 7, 4]), 4
"""Of sequences and of their first parts; one ends in it, one with it, one has no frame."""
LAYERS = [
    pytest.param(example.layer, id=f"{name}-{number}")
    for name, kind in KINDS.items()
    for number, example in enumerate(kind.examples)
    if isinstance(example.layer, Recurrent) and example.layer.precision == "float32"
]


def network(layer: Layer, size: int = 6, **settings: Any) -> TrainableNetwork:
    made = TrainableNetwork(Sequential("t", Frames(size), (layer, Dense(2)), Outputs()), np.float64, **settings)
    random = np.random.default_rng(5)
    for w in made.parameters.values():
        w[:] = random.normal(scale=0.4, size=w.shape)
    return made


def numeric(value: Callable[[], float], w: Array) -> Array:
    flat, found = w.reshape(-1), np.empty(w.size)
    for i in range(w.size):
        saved, sides = flat[i], []
        for step in (1e-5, -1e-5):
            flat[i] = saved + step
            sides.append(value())
        flat[i] = saved
        found[i] = (sides[0] - sides[1]) / 2e-5
    return found.reshape(w.shape)


def assert_gradients(net: TrainableNetwork, gradients: dict[str, Array], value: Callable[[], float]) -> None:
    for name, gradient in gradients.items():
        expected = numeric(value, net.parameters[name])
        np.testing.assert_allclose(gradient, expected, rtol=0, atol=1e-6 * max(1.0, float(np.abs(expected).max())))


@pytest.mark.parametrize("layer", LAYERS)
def test_parts_with_carried_states_give_what_the_whole_gives(layer: Recurrent) -> None:
    """Their gradients are those of the part alone, and the states that streams begin from learn from the first."""
    size = layer.hidden if layer.kind == "sru" else 6
    net = network(layer, size)
    x = np.random.default_rng(1).normal(size=(len(LENGTHS), LENGTHS.max(), size))
    if layer.backward:
        with pytest.raises(TrainingError, match="reads from the end"):
            net.forward(x, LENGTHS, Learning(np.random.default_rng(0), states={}))
        return
    whole = net.forward(x, LENGTHS)["main"]
    learning = Learning(np.random.default_rng(0), states={})
    parts = [net.forward(x[:, :FIRST], LENGTHS.clip(0, FIRST), learning)["main"]]
    assert learning.states
    kept = dict(learning.states)
    rest, lengths = x[:, FIRST:], (LENGTHS - FIRST).clip(0)

    def second() -> Array:
        return net.forward(rest, lengths, Learning(np.random.default_rng(0), states=dict(kept)))["main"]

    parts.append(second())
    np.testing.assert_allclose(np.concatenate(parts, axis=1), whole, rtol=0, atol=1e-12)
    weighting = np.random.default_rng(2).normal(size=parts[1].shape)
    gradients = net.backward({"main": weighting})
    assert not any(gradient.any() for name, gradient in gradients.items() if "initial" in name)
    assert_gradients(net, gradients, lambda: float((second() * weighting).sum()))


@pytest.mark.parametrize(
    "layer",
    [
        Rnn(5),
        Gru(5, "bidirectional"),
        Gru(5, reset="before"),
        Gru(5, clip=0.8),
        Gru(5, "backward", reset="before", clip=0.8),
        Lstm(5, "bidirectional", peepholes=True),
        Lstm(5, projection=3),
    ],
    ids=str,
)
def test_recurrent_dropout(layer: Recurrent) -> None:
    """The same values of the state are dropped at each step of a sequence, others in another; gradients say so."""
    net = network(layer, recurrent_dropout=0.5)
    x = np.random.default_rng(1).normal(size=(len(LENGTHS), LENGTHS.max(), 6))

    def forward(seed: int = 3) -> Array:
        return net.forward(x, LENGTHS, Learning(np.random.default_rng(seed)))["main"]

    weighting = np.random.default_rng(2).normal(size=forward().shape)
    gradients = (forward(), net.backward({"main": weighting}))[1]
    assert_gradients(net, gradients, lambda: float((forward() * weighting).sum()))
    assert not np.array_equal(forward(), forward(4)) and not np.array_equal(
        forward(), net.forward(x, LENGTHS)["main"]
    )


def test_a_sequence_s_mask_goes_on_with_its_states() -> None:
    net = network(Rnn(400), 1, recurrent_dropout=0.25)
    learning = Learning(np.random.default_rng(0), states={})
    net.forward(np.ones((2, 3, 1)), [3, 3], learning)
    assert learning.states
    mask = learning.states["rnn.forward.mask"].copy()
    assert set(np.unique(mask)) == {0, 1 / 0.75} and not np.array_equal(mask[0], mask[1])
    assert 0.65 < (mask > 0).mean() < 0.85
    net.forward(np.ones((2, 3, 1)), [3, 3], learning)
    assert np.array_equal(learning.states["rnn.forward.mask"], mask)


def test_layers_that_need_frames_before_are_refused() -> None:
    net = network(MeanPool(3))
    with pytest.raises(TrainingError, match=r"'mean-pool' .* reads several frames"):
        net.forward(np.zeros((1, 4, 6)), [4], Learning(np.random.default_rng(0), states={}))
    with pytest.raises(TrainingError, match="recurrent_dropout = 1"):
        network(Rnn(2), recurrent_dropout=1)
