"""Models whose answers one can foresee, for tests of users' own models and data: each label or number is the frame's
own, without any memory."""

from __future__ import annotations

import csv
from pathlib import Path

import numpy as np
import numpy.typing as npt

from ostinato.model import Network, Sequential
from ostinato.model.decoders import Decoder, Labels, Outputs
from ostinato.model.front_ends import Frames, FrontEnd, Tokens
from ostinato.model.layers import Dense, Embedding, Gru, Layer, Softmax, Stack

LABELS = ("low", "mid", "high")


def echo(name: str, decoder: Decoder, front_end: FrontEnd | None = None, stack: int = 1) -> Network:
    """A model of three values that gives them back, or their softmax: of ``stack`` frames those of the last."""
    front_end = front_end or Frames(3, frame_ms=20.0)
    first: list[Layer] = [Embedding(3)] if isinstance(front_end, Tokens) else []
    if stack > 1:
        first.append(Stack(stack, stride=stack, left=0))
    last: list[Layer] = [] if isinstance(decoder, Outputs) else [Softmax()]
    specification = Sequential(name, front_end, [*first, Dense(3), *last], decoder)
    weights = {key: np.zeros(weight.shape, np.float32) for key, weight in specification.weights().items()}
    for key, matrix in weights.items():
        if key.endswith(".E"):
            matrix[:] = np.eye(3)
        elif key.endswith(".W"):
            matrix[:, -3:] = (1.0 if isinstance(decoder, Outputs) else 20.0) * np.eye(3)
    return Network(specification, weights)


def random(name: str, direction: str = "forward", decoder: Decoder | None = None) -> Network:
    """A recurrent one of the same sizes."""
    decoder = decoder or Labels(LABELS)
    last: list[Layer] = [] if isinstance(decoder, Outputs) else [Softmax()]
    layers = [Gru(6, direction=direction), Dense(3), *last]
    return Network.random(Sequential(name, Frames(3, frame_ms=20.0), layers, decoder))


def one_hot(indices: list[int]) -> npt.NDArray[np.float32]:
    """Frames [T, 3] for which `echo` gives these labels."""
    return np.eye(3, dtype=np.float32)[indices]


def write_csv(path: Path, given: list[int], right: list[int | None]) -> None:
    """A table for which `echo` says ``given`` where ``right`` is so; None: no label."""
    with path.open("w", newline="") as file:
        table = csv.writer(file)
        table.writerow(["time", "a", "b", "c", "label", "target_a", "target_b", "target_c"])
        for row, (frame, label) in enumerate(zip(one_hot(given), right, strict=True)):
            called = "" if label is None else LABELS[label]
            table.writerow([f"{0.02 * row:.2f}", *frame, called, *(frame + row % 2)])
