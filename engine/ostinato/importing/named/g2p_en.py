"""g2p_en (Park and Kim 2019): English words to phonemes of ARPAbet.

    letters, </s> ── embedding 256 ── GRU 256 ── its last state ─┐
    phonemes so far ── embedding 256 ── GRU 256, which begins with it ── 74 scores of the next phoneme

This is the network of the package, which its program asks about words that its dictionaries lack.
"""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

from ostinato.importing.arrays import npz
from ostinato.importing.builder import Builder
from ostinato.importing.draft import Decision, Draft
from ostinato.importing.gates import reordered
from ostinato.importing.named.named import Named
from ostinato.importing.settings import Settings
from ostinato.importing.source import Pair
from ostinato.model.decoders import Generation, Outputs
from ostinato.model.front_ends import Tokens
from ostinato.model.layers import Dense, Embedding, Gru
from ostinato.model.specification import ENCODER, FRAMES
from ostinato.packages import Wheel

Array = npt.NDArray[Any]
F64 = npt.NDArray[np.float64]

PACKAGE = Wheel("g2p_en", "2.1.0", "Apache-2.0", 3_117_464)
LETTERS = ("<pad>", "<unk>", "</s>", *"abcdefghijklmnopqrstuvwxyz")
_ARPABET = """
    AA0 AA1 AA2 AE0 AE1 AE2 AH0 AH1 AH2 AO0 AO1 AO2 AW0 AW1 AW2 AY0 AY1 AY2 B CH D DH EH0 EH1 EH2 ER0 ER1 ER2 EY0 EY1
    EY2 F G HH IH0 IH1 IH2 IY0 IY1 IY2 JH K L M N NG OW0 OW1 OW2 OY0 OY1 OY2 P R S SH T TH UH0 UH1 UH2 UW UW0 UW1 UW2
    V W Y Z ZH
"""
PHONEMES = ("<pad>", "<unk>", "<s>", "</s>", *_ARPABET.split())
UNKNOWN, END_OF_WORD, BEGIN, END = 1, 2, 2, 3
LONGEST = 20
"""Phonemes of a word at most, as in the package."""


def draft(files: Mapping[str, Path], settings: Settings) -> Draft:
    """Its arrays, in one .npz."""
    (path,) = files.values()
    own = {name: stored.float32(name) for name, stored in npz.read(path).arrays.items()}
    letters = Tokens(LETTERS, unknown=UNKNOWN, lowercase=True, end=END_OF_WORD)
    encoder = Builder(letters)
    states, hidden = _recurrence(encoder, own, "enc", []), own["enc_w_hh"].shape[1]
    encoding = encoder.network(settings, [("state", states, Outputs())], name="letters")
    builder = Builder(Tokens(PHONEMES), encoding)
    states = _recurrence(builder, own, "dec", [f"{ENCODER}.state"])
    weights = {"W": own["fc_w"], "b": own["fc_b"]}
    scores = builder.add(Dense(len(PHONEMES)), [states], weights, name="phonemes")
    decoder = Generation(start=BEGIN, end=END, longest=LONGEST, separator=" ")
    network = builder.network(settings, [("main", scores, decoder)], name="g2p-en", licence=PACKAGE.licence)
    text = f"the network alone, {hidden} units: the package looks words up first, and writes numbers out"
    decisions = (
        Decision("words", text),
        Decision("letters", "a to z, capitals as small ones; others are <unk>"),
    )
    return Draft(network, _Package(own), decisions)


def _recurrence(builder: Builder, own: Mapping[str, Array], side: str, begins: list[str]) -> str:
    """Embedding and GRU (gates r z n, as PyTorch has them) of a side."""
    E, hidden = own[f"{side}_emb"], own[f"{side}_w_hh"].shape[1]
    vectors = builder.add(Embedding(E.shape[1]), [FRAMES], {"E": E}, name="embedding")
    theirs = {"W": "w_ih", "R": "w_hh", "Wb": "b_ih", "Rb": "b_hh"}
    weights = {f"forward.{part}": reordered(own[f"{side}_{name}"], "rzn", "zrn") for part, name in theirs.items()}
    return builder.add(Gru(hidden), [vectors, *begins], weights, name="gru")


class _Package:
    """What the package computes, in float64."""

    name = f"the package's formulas in float64, by NumPy {np.__version__}"

    def __init__(self, own: Mapping[str, Array]) -> None:
        self._own = {name: array.astype(np.float64) for name, array in own.items()}

    def inputs(self, generator: np.random.Generator, count: int) -> Pair:
        """A word, and phonemes that are said of it, from the sign that begins them."""
        letters = np.append(generator.integers(3, len(LETTERS), 1 + count // 2), END_OF_WORD)
        return Pair(letters, np.append(BEGIN, generator.integers(4, len(PHONEMES), count - 1)))

    def outputs(self, inputs: Pair) -> Mapping[str, Array]:
        """Scores of what comes after each phoneme."""
        own, last = self._own, np.zeros(self._own["enc_w_hh"].shape[1])
        last = self._states("enc", inputs.source, last)[-1]
        return {"main": self._states("dec", inputs.tokens, last) @ own["fc_w"].T + own["fc_b"]}

    def _states(self, side: str, ids: Array, h: F64) -> F64:
        W, R, Wb, Rb = (self._own[f"{side}_{name}"] for name in ("w_ih", "w_hh", "b_ih", "b_hh"))
        rows = []
        for x in self._own[f"{side}_emb"][ids]:
            (r, z, n), (hr, hz, hn) = np.split(W @ x + Wb, 3), np.split(R @ h + Rb, 3)
            z = _sigmoid(z + hz)
            h = (1 - z) * np.tanh(n + _sigmoid(r + hr) * hn) + z * h
            rows.append(h)
        return np.array(rows)


def _sigmoid(x: F64) -> F64:
    made: F64 = 1 / (1 + np.exp(-x))
    return made


MODELS = {
    "g2p-en": Named(
        "how English words are pronounced, in phonemes of ARPAbet",
        PACKAGE,
        ("g2p_en/checkpoint20.npz",),
        "b8af35e4596d8dd5836dfd3fe9b2ba4f97b9c311efe8879544cbcfcbd566d8c6",
        draft,
    )
}
