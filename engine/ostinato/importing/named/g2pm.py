"""g2pM (Park and Lee 2020): how each character of a Chinese sentence is read, in Pinyin.

    character ── embedding 64 ── LSTM 32, both directions ── 32, relu ── 876 readings of those with several ──┐
              └─ known: the number of its reading, in binary, if it has but one ── all readings ────────────── sum

The package asks its network about characters with several readings alone, and looks up the others in a dictionary;
what is in neither stands for itself. Here all are labels of one graph: known readings are scores that nothing else
reaches. Signs for beginning and end, which the package puts around a sentence, are the states that directions begin
from.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

from ostinato.importing import inert
from ostinato.importing.builder import Builder
from ostinato.importing.draft import Decision, Draft
from ostinato.importing.gates import reordered
from ostinato.importing.named.named import Named
from ostinato.importing.settings import Settings
from ostinato.model.activation import Activation
from ostinato.model.decoders import Labels, Outputs
from ostinato.model.front_ends import Tokens
from ostinato.model.layers import Add, Dense, Embedding, Lstm
from ostinato.model.specification import FRAMES
from ostinato.packages import Wheel

Array = npt.NDArray[Any]
F64 = npt.NDArray[np.float64]

PACKAGE = Wheel("g2pM", "0.1.2.5", "Apache-2.0")
UNKNOWN, BEGIN, END = "<UNK>", "시", "끝"
_SURE = 1024.0
"""Far more than any score of the network, and a power of two: sums with it are exact."""
_PRINTABLE = "\n" + "".join(map(chr, range(0x20, 0x7F)))
_WAYS = {"forward": "", "backward": "_reverse"}


@dataclass(frozen=True)
class Readings:
    """What the package knows of characters. ``tokens``: each character, and which row of the network's embedding is
    its own. ``labels``: those of the network, then others. ``known``: the label of each token that needs no network,
    else -1."""

    tokens: Mapping[str, int]
    labels: tuple[str, ...]
    known: npt.NDArray[np.int64]

    @staticmethod
    def of(rows: Mapping[str, int], classes: Mapping[str, int], dictionary: Mapping[str, list[str]]) -> Readings:
        """Of the package's tables: rows of characters, numbers of readings, readings of characters."""
        tokens = dict(sorted(rows.items(), key=lambda pair: pair[1]))
        tokens |= {each: rows[UNKNOWN] for each in (*dictionary, *_PRINTABLE) if each not in tokens}
        labels = {label: number for label, number in sorted(classes.items(), key=lambda pair: pair[1])}
        known = []
        for token in tokens:
            (first, *others) = dictionary.get(token, [token])
            known.append(-1 if others else labels.setdefault(first, len(labels)))
        return Readings(tokens, tuple(labels), np.array(known))


def draft(files: Mapping[str, Path], settings: Settings) -> Draft:
    """Its four pickles."""
    rows, classes, dictionary, arrays = (inert.loads(path.read_bytes(), lambda _: False) for path in files.values())
    weights = {name: np.asarray(inert.array(array), np.float32) for name, array in arrays.items()}
    readings = Readings.of(rows, classes, dictionary)
    own = weights["embedding.weight"]
    E, begin, end = own[list(readings.tokens.values())], own[rows[BEGIN]], own[rows[END]]
    tokens = Tokens(tuple(readings.tokens), unknown=rows[UNKNOWN])
    builder = Builder(tokens)
    vectors = builder.add(Embedding(E.shape[1]), [FRAMES], {"E": E}, name="embedding")
    hidden = weights["lstm.weight_hh_l0"].shape[1]
    recurrent: dict[str, Array] = {}
    for way, sign in (("forward", begin), ("backward", end)):
        W, R, Wb, Rb = _direction(weights, way)
        h, c = _step(W, R, Wb, Rb, sign, np.zeros(hidden), np.zeros(hidden))
        named = {"W": W, "R": R, "Wb": Wb, "Rb": Rb}
        recurrent |= {f"{way}.{part}": reordered(array, "ifco", "iofc") for part, array in named.items()}
        recurrent |= {f"{way}.initial_h": h, f"{way}.initial_c": c}
    both = builder.add(Lstm(hidden, "bidirectional", initial=True), [vectors], recurrent, name="lstm")
    W, b = weights["logit_layer.0.weight"], weights["logit_layer.0.bias"]
    below = builder.add(Dense(len(W), Activation("relu")), [both], {"W": W, "b": b}, name="hidden")
    W, b = weights["logit_layer.2.weight"], weights["logit_layer.2.bias"]
    more = len(readings.labels) - len(W)
    W, b = np.pad(W, ((0, more), (0, 0))), np.pad(b, (0, more), constant_values=-_SURE)
    several = builder.add(Dense(len(W)), [below], {"W": W, "b": b}, name="several")
    scores = builder.add(Add(), [several, _known(builder, readings)], name="scores")
    network = builder.network(settings, [("main", scores, Outputs())], name="g2pm", licence=PACKAGE.licence)
    decisions = (
        Decision("dictionary", f"{(readings.known >= 0).sum()} of {len(E)} characters have one reading, or stand for "
                 "themselves: looked up, as the package does; others the network decides"),
        Decision("begin and end", "the package's signs around a sentence are the states that its ends begin from"),
        Decision("others", f"characters that the package does not know are {UNKNOWN}"),
    )  # fmt: skip
    source = _Package(weights, E, begin, end, readings)
    return Draft(network, source, decisions, {"main": settings.decoder or Labels(readings.labels)})


def _known(builder: Builder, readings: Readings) -> str:
    """Scores of the readings that are known: twice `_SURE` at a token's own, else nothing. A label's number has a
    value for each of its bits, 1 or -1; two numbers agree in all of them if they are the same."""
    bits = max(1, (len(readings.labels) - 1).bit_length())
    codes = 1.0 - 2.0 * (np.arange(len(readings.labels))[:, None] >> np.arange(bits) & 1)
    E = np.where(readings.known[:, None] >= 0, codes[readings.known], 0.0)
    number = builder.add(Embedding(bits), [FRAMES], {"E": E}, name="known")
    weights = {"W": 2 * _SURE * codes, "b": np.full(len(codes), -2 * _SURE * (bits - 1))}
    return builder.add(Dense(len(codes), Activation("relu")), [number], weights, name="known-scores")


def _direction(weights: Mapping[str, Array], way: str) -> tuple[Array, Array, Array, Array]:
    """W, R and their biases, gates i f c o as PyTorch has them."""
    W, R, Wb, Rb = (
        weights[f"lstm.{part}_l0{_WAYS[way]}"] for part in ("weight_ih", "weight_hh", "bias_ih", "bias_hh")
    )
    return W, R, Wb, Rb


def _step(W: Array, R: Array, Wb: Array, Rb: Array, x: Array, h: F64, c: F64) -> tuple[F64, F64]:
    """The next h and c."""
    i, f, g, o = np.split(W @ x + Wb + R @ h + Rb, 4)
    c = _sigmoid(f) * c + _sigmoid(i) * np.tanh(g)
    return _sigmoid(o) * np.tanh(c), c


def _sigmoid(x: F64) -> F64:
    made: F64 = 1 / (1 + np.exp(-x))
    return made


class _Package:
    """What the package computes, in float64, its signs around each sentence; and what it looks up."""

    name = f"the package's formulas in float64, by NumPy {np.__version__}"

    def __init__(
        self, weights: Mapping[str, Array], rows: Array, begin: Array, end: Array, readings: Readings
    ) -> None:
        self._weights = {name: array.astype(np.float64) for name, array in weights.items()}
        self._rows, self._begin, self._end, self._readings = rows, begin, end, readings

    def inputs(self, generator: np.random.Generator, count: int) -> Array:
        """Characters with several readings and others, half of each."""
        some = np.flatnonzero(self._readings.known < 0)
        some, all_ = some[generator.integers(0, len(some), count)], generator.integers(0, len(self._rows), count)
        return np.where(generator.random(count) < 0.5, some, all_)

    def outputs(self, inputs: Array) -> Mapping[str, Array]:
        """As `Source.outputs`."""
        vectors = [self._begin, *self._rows[inputs], self._end]
        hidden = np.hstack([self._states("forward", vectors), self._states("backward", vectors[::-1])[::-1]])[1:-1]
        weights = self._weights
        below = np.maximum(hidden @ weights["logit_layer.0.weight"].T + weights["logit_layer.0.bias"], 0)
        scores = below @ weights["logit_layer.2.weight"].T + weights["logit_layer.2.bias"]
        made = np.full((len(inputs), len(self._readings.labels)), -_SURE)
        made[:, : scores.shape[1]] = scores
        known = self._readings.known[inputs]
        made[known >= 0, known[known >= 0]] += 2 * _SURE
        return {"main": made}

    def _states(self, way: str, vectors: list[Array]) -> F64:
        parts = _direction(self._weights, way)
        h = c = np.zeros(parts[1].shape[1])
        rows = []
        for vector in vectors:
            h, c = _step(*parts, vector, h, c)
            rows.append(h)
        return np.array(rows)


MODELS = {
    "g2pm": Named(
        "how the characters of a Chinese sentence are read, in Pinyin",
        PACKAGE,
        ("g2pM/char2idx.pkl", "g2pM/class2idx.pkl", "g2pM/digest_cedict.pkl", "g2pM/np_ckpt.pkl"),
        "2e5c4a1d383f63b1b349cc528f8ed747de0380b49d175f8e6ebf27f138ae0398",
        draft,
    )
}
