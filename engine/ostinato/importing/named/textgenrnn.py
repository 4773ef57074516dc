"""textgenrnn (Woolf 2020): texts, a character at a time, by a network that sees the last 40 characters anew for each.

    [40] characters ── embedding 100 ─┬─ LSTM 128 ─┬─ LSTM 128 ─┬─ side by side ──────────────┬─ weighted mean ── 465
                                      │            └────────────┤                              │  over the 40
                                      └─────────────────────────┘   └─ 1, softmax: weights ────┘

A window begins with placeholders, for which the network has learnt a vector. Here vectors are counted from that one,
so that nothing stands for it; what it adds goes into biases. The placeholder is never drawn, as in the package, which
draws again.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
import numpy.typing as npt

from ostinato.importing.builder import Builder
from ostinato.importing.draft import Decision, Draft
from ostinato.importing.gates import reordered
from ostinato.importing.keras import hdf5
from ostinato.importing.named.named import Named
from ostinato.importing.settings import Settings
from ostinato.model.decoders import Generation, Outputs
from ostinato.model.front_ends import Tokens
from ostinato.model.layers import Concatenate, Dense, Embedding, Lstm, MeanPool, Multiply, Softmax, Stack, Within
from ostinato.model.specification import FRAMES
from ostinato.packages import Sdist

Array = npt.NDArray[Any]
F64 = npt.NDArray[np.float64]

PACKAGE = Sdist(
    "textgenrnn", "2.0.0", "MIT", 1_739_569, sha256="c2b6f1c201c76d5a6021079e95a8db499bbe15d9f3448d33cb51c0cd496c86f8"
)
WINDOW = 40
LONGEST = 300
"""Characters of a text that asks for no other bound, as in the package."""
META, PLACEHOLDER = "<s>", "<placeholder>"
_NEVER = -1000.0
"""A score that nothing is drawn by."""


class Cell(NamedTuple):
    """An LSTM's weights: W [4 * hidden, inputs], R [4 * hidden, hidden], b, gates i f c o."""

    W: F64
    R: F64
    b: F64

    @staticmethod
    def of(arrays: Mapping[str, Array], name: str) -> Cell:
        """Of the file, which cuDNN's layer wrote: gate by gate, its kernels lie in Fortran's order, and transposed;
        of its two biases the cell sees the sum."""
        kernel, recurrent, bias = (
            arrays[f"{name}/{name}/{part}:0"] for part in ("kernel", "recurrent_kernel", "bias")
        )
        kernels = (gate.T.reshape(gate.shape, order="F").T for gate in np.split(kernel, 4, axis=1))
        W, R = np.concatenate([*kernels]), np.concatenate(np.split(recurrent, 4, axis=1))
        return Cell(W.astype(np.float64), R.astype(np.float64), np.sum(np.split(bias.astype(np.float64), 2), axis=0))

    def states(self, x: F64) -> F64:
        """[windows, positions, hidden] of as many inputs, from zeros."""
        h = c = np.zeros((len(x), self.R.shape[1]), x.dtype)
        found = []
        for t in range(x.shape[1]):
            i, f, g, o = np.split(x[:, t] @ self.W.T + h @ self.R.T + self.b, 4, axis=1)
            c = _sigmoid(f) * c + _sigmoid(i) * np.tanh(g)
            h = _sigmoid(o) * np.tanh(c)
            found.append(h)
        return np.stack(found, axis=1)


def _sigmoid(x: F64) -> F64:
    made: F64 = 1 / (1 + np.exp(-x))
    return made


class Network(NamedTuple):
    """What the file holds. ``E`` [characters, size], ``attention`` [values], ``W`` [values, characters], ``b``."""

    E: F64
    cells: tuple[Cell, Cell]
    attention: F64
    W: F64
    b: F64

    @staticmethod
    def of(arrays: Mapping[str, Array]) -> Network:
        """Of its arrays, by their paths."""
        E, attention, W, b = (
            arrays[path].astype(np.float64)
            for path in (
                "embedding/embedding/embeddings:0", "attention/attention/attention_W:0", "output/output/kernel:0",
                "output/output/bias:0",
            )
        )  # fmt: skip
        return Network(E, (Cell.of(arrays, "rnn_1"), Cell.of(arrays, "rnn_2")), attention[:, 0], W, b)


def draft(files: Mapping[str, Path], settings: Settings) -> Draft:
    """Its weights, and the vocabulary, whose numbers are from 1."""
    weights, vocabulary = files.values()
    own = Network.of(hdf5.read(weights).arrays)
    numbers: dict[str, int] = json.loads(vocabulary.read_bytes())
    characters = [PLACEHOLDER] * len(own.E)
    for character, number in numbers.items():
        characters[number] = character
    meta, placeholder, size = numbers[META], own.E[0], own.E.shape[1]
    builder = Builder(Tokens(tuple(characters), unknown=0, begin=meta))
    vector = builder.add(Embedding(size), [FRAMES], {"E": own.E - placeholder}, name="embedding")
    seen = [builder.add(Stack(WINDOW), [vector], name="window")]
    for number, cell in enumerate(own.cells, 1):
        Wb = cell.b + cell.W @ placeholder if number == 1 else cell.b
        parts = {"W": cell.W, "R": cell.R, "Wb": Wb, "Rb": np.zeros_like(Wb)}
        gates = {f"forward.{part}": reordered(array, "ifco", "iofc") for part, array in parts.items()}
        layer = Lstm(cell.R.shape[1])
        seen.append(builder.add(Within(WINDOW, layer), [seen[-1]], gates, name=f"lstm-{number}"))
    values = builder.add(Within(WINDOW, Concatenate()), seen, name="values")
    attention = {"W": own.attention[None], "b": np.zeros(1)}
    scores = builder.add(Within(WINDOW, Dense(1)), [values], attention, name="scores")
    shares = builder.add(Softmax(), [scores], name="shares")
    weighted = builder.add(Within(WINDOW, Multiply()), [shares, values], name="weighted")
    mean = builder.add(Within(WINDOW, MeanPool(WINDOW, left=0)), [weighted], name="mean")
    W, b = WINDOW * own.W.T, own.b + placeholder @ own.W[:size]
    W[0], b[0] = 0, _NEVER
    next_ = builder.add(Dense(len(W)), [mean], {"W": W, "b": b}, name="next")
    chances = builder.add(Softmax(), [next_], name="chances")
    network = builder.network(settings, [("main", chances, Outputs())], name="textgenrnn", licence=PACKAGE.licence)
    decisions = (
        Decision("window", f"the last {WINDOW} characters, anew for each; placeholders before the text begins"),
        Decision("begin and end", f"a text begins and ends with {META}"),
        Decision("others", "unknown characters are the placeholder, which is never drawn"),
    )
    decoder = settings.decoder or Generation(start=meta, end=meta, longest=LONGEST)
    return Draft(network, _Package(own, numbers), decisions, {"main": decoder}, lengths=(1, 29, 83))


class _Package:
    """What the package computes, in float64."""

    name = f"the package's formulas in float64, by NumPy {np.__version__}"

    def __init__(self, own: Network, numbers: Mapping[str, int]) -> None:
        self._own, self._numbers = own, numbers

    def inputs(self, generator: np.random.Generator, count: int) -> Array:
        """A text as it comes to the network: its sign for a beginning, then prose from any place on. (Characters at
        random make it so unsure that float32 alone is up to 1e-3 from float64.)"""
        prose = np.array([self._numbers.get(character, 0) for character in __doc__ or ""])
        return np.append(self._numbers[META], np.roll(prose, -generator.integers(len(prose))))[:count]

    def outputs(self, inputs: Array) -> Mapping[str, Array]:
        """As `Source.outputs`."""
        padded = np.append(np.zeros(WINDOW - 1, np.int64), inputs)
        embedded = self._own.E[np.lib.stride_tricks.sliding_window_view(padded, WINDOW)]
        first, second = self._own.cells
        below = first.states(embedded)
        values = np.concatenate([embedded, below, second.states(below)], axis=2)
        shares = _softmax(values @ self._own.attention)
        chances = _softmax(np.einsum("tw,twv->tv", shares, values) @ self._own.W + self._own.b)
        chances[:, 0] = 0
        return {"main": chances / chances.sum(axis=1, keepdims=True)}


def _softmax(x: F64) -> F64:
    e = np.exp(x - x.max(axis=1, keepdims=True))
    made: F64 = e / e.sum(axis=1, keepdims=True)
    return made


MODELS = {
    "textgenrnn": Named(
        "texts, character by character",
        PACKAGE,
        ("textgenrnn/textgenrnn_weights.hdf5", "textgenrnn/textgenrnn_vocab.json"),
        "909c6465883f5318096bd1613a842da2f9df5d44b9d06ac122f565a6de51ef25",
        draft,
    )
}
