"""Finite automata over symbols: what a symbol is worth in each state, and which state follows. A language model is
one, and hotwords are."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from ostinato.kernels.arrays import exp


@dataclass(frozen=True, eq=False)
class Automaton:
    """``factors`` [states, symbols]: what a symbol's chance is multiplied with; ``following`` [states, symbols]: the
    next state; ``start``: the first."""

    factors: npt.NDArray[np.float32]
    following: npt.NDArray[np.uint16]
    start: int = 0

    @property
    def nbytes(self) -> int:
        """Bytes of its tables."""
        return self.factors.nbytes + self.following.nbytes


def hotwords(phrases: Sequence[Sequence[int]], symbols: int, boost: float, space: int | None) -> Automaton:
    """What has said a phrase, as symbols, is e^``boost`` times as likely; what has said a part of one, by that part
    of the boost, as long as it goes on with it. If there is a ``space``, phrases begin behind one, or at the start.

    An automaton of Aho and Corasick (1975), "Efficient string matching". Of two phrases of which one begins with the
    other, both count as they end.
    """
    border = () if space is None else (space,)
    children: list[dict[int, int]] = [{}]
    worth, ends = [0.0], [False]
    for phrase in phrases:
        node = 0
        for said, symbol in enumerate((*border, *phrase), 1 - len(border)):
            if symbol not in children[node]:
                children[node][symbol] = len(children)
                children.append({})
                worth.append(0.0)
                ends.append(False)
            node = children[node][symbol]
            worth[node] = max(worth[node], boost * said / len(phrase))
        ends[node] = True
    following = np.zeros((len(children), symbols), np.uint16)
    fallback, order = [0] * len(children), [0]
    for node in order:  # which grows: nodes come behind all that are less deep
        following[node] = following[fallback[node]]
        for symbol, child in children[node].items():
            fallback[child] = int(following[node, symbol])
            following[node, symbol] = child
            order.append(child)
    kept = np.where(ends, 0.0, worth)
    change = kept[following] + np.where(ends, boost, 0.0)[following] - kept[:, None]
    return Automaton(exp(change), following, children[0].get(border[0], 0) if border else 0)
