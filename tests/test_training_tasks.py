"""Each recurrent cell and each loss learns a small task to the end: to be right on every sequence not seen before."""

from __future__ import annotations

import io
from collections.abc import Iterator
from typing import Any

import numpy as np
import numpy.typing as npt
import pytest
from kinds import KINDS
from rich.console import Console

from ostinato.model.activation import Activation
from ostinato.model.decoders import Ctc, Decoder, Outputs
from ostinato.model.front_ends import Frames
from ostinato.model.layers import Dense, Gru, Layer, Recurrent, Softmax
from ostinato.model.specification import Sequential
from ostinato.training import Adam, Batch, Cosine, TrainableNetwork, Warmup, fit
from ostinato.training.losses import LOSSES, CrossEntropy, Loss

Array = npt.NDArray[Any]
FRAMES_MOST = 12


def seen(count: int, seed: int) -> tuple[Array, Array, Array]:
    """Noise in which a mark may come: frames [B, T, 2], lengths, and from which frame on it was seen [B, T]."""
    random = np.random.default_rng(seed)
    lengths = random.integers(4, FRAMES_MOST + 1, count)
    marks = random.random((count, FRAMES_MOST)) < 0.1
    frames = np.stack([marks, random.normal(0, 0.5, marks.shape)], axis=2).astype(np.float32)
    return frames, lengths, np.maximum.accumulate(marks, axis=1).astype(np.int64)


def learnt(layers: tuple[Layer, ...], loss: Loss, targets: Any, decoder: Decoder | None = None) -> tuple[Array, ...]:
    """After some steps: outputs for sequences not seen before, whether frames are within them, what is right."""
    network = TrainableNetwork(Sequential("t", Frames(2), layers, decoder or Outputs()), seed=1)

    def batches(epoch: int) -> Iterator[Batch]:
        for number in range(50):
            frames, lengths, right = seen(32, 1000 * epoch + number)
            yield Batch(frames, lengths, targets(right, lengths))

    optimiser = Adam(Warmup(Cosine(3e-2, 240), 10), clip_norm=1)
    fit(network, batches, loss, optimiser, steps=250, console=Console(file=io.StringIO()))
    frames, lengths, right = seen(200, 10**6)
    outputs = network.activate(network.forward(frames, lengths))["main"]
    return outputs, np.arange(FRAMES_MOST) < lengths[:, None], right


CELLS = [
    pytest.param(type(kind.examples[0].layer), id=name)
    for name, kind in KINDS.items()
    if isinstance(kind.examples[0].layer, Recurrent)
]


SETTINGS: dict[str, dict[str, Any]] = {"sru": {"highway": "projected"}, "lru": {"size": 12}}


@pytest.mark.parametrize("layer", CELLS)
def test_each_cell_learns(layer: type[Recurrent]) -> None:
    layers = (layer(12, **SETTINGS.get(layer.kind, {})), Dense(2), Softmax())
    outputs, within, right = learnt(layers, CrossEntropy(), lambda right, lengths: right)
    assert np.array_equal(outputs.argmax(axis=2)[within], right[within])


def one_number(right: Array, lengths: Array) -> Array:
    return right[..., None].astype(float)


def last(right: Array, lengths: Array) -> Array:
    return right[np.arange(len(lengths)), lengths - 1]


SIGMOID = Dense(1, activation=Activation("sigmoid"))
TASKS = {
    "cross-entropy": ((Gru(8), Dense(2), Softmax()), lambda right, lengths: right),
    "binary-cross-entropy": ((Gru(8), SIGMOID), one_number),
    "mean-squared-error": ((Gru(8), Dense(1)), one_number),
    "mean-absolute-error": ((Gru(8), Dense(1)), one_number),
    "huber": ((Gru(8), Dense(1)), one_number),
    "ctc": ((Gru(8), Dense(2), Softmax()), lambda right, lengths: [[1] * n for n in last(right, lengths)]),
}


@pytest.mark.parametrize("kind", LOSSES)
def test_each_loss_teaches(kind: str) -> None:
    layers, targets = TASKS[kind]
    ctc = kind == "ctc"
    outputs, within, right = learnt(layers, LOSSES[kind](), targets, Ctc(("", "seen")) if ctc else None)
    found = outputs[..., -1] > 0.5
    if ctc:
        assert np.array_equal((found & within).any(axis=1), (right * within).any(axis=1))
    else:
        assert np.array_equal(found[within], right[within])


def test_a_class_of_the_whole_sequence() -> None:
    outputs, within, right = learnt((Gru(8), Dense(2), Softmax()), CrossEntropy(), last)
    lengths = within.sum(axis=1)
    assert np.array_equal(last(outputs.argmax(axis=2), lengths), last(right, lengths))
