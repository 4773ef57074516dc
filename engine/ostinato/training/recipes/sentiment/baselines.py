"""What the models have to be better than: bags of words, and VADER."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Hashable, Iterable, Iterator, Mapping, Sequence
from itertools import pairwise
from typing import Any, NamedTuple

import numpy as np
import numpy.typing as npt

from ostinato.training.recipes.sentiment import figures
from ostinato.training.recipes.sentiment.examples import LABELLED, Example
from ostinato.training.recipes.sentiment.vocabulary import words

F64 = npt.NDArray[np.float64]
PENALTIES = (1e-2, 3e-3, 1e-3, 3e-4, 1e-4, 3e-5)
"""Of the squares of weights; which one is chosen by the sentences that choose."""
_LEAST = 2
"""A word that is there less often is none."""
VADER_NEUTRAL = 0.05
"""Less than so far from 0, VADER's authors call its score neutral."""


class Baseline(NamedTuple):
    """``figures`` as `figures` has them, and in which test sentences it is right (those with a sign, of scores)."""

    figures: dict[str, Any]
    right: npt.NDArray[np.bool_]


def logistic(
    learn: Sequence[Example], choose: Sequence[Example], test: Sequence[Example], pairs: bool = False
) -> Baseline:
    """Multinomial logistic regression of which words a sentence has (``pairs``: and which words follow each other),
    learnt from sentences of the same set alone; of scores, of their sign."""
    learn, choose, test = _classified(learn), _classified(choose), _classified(test)
    bags = _Bags(learn, pairs)
    X, seen, held = bags.matrix(learn), bags.matrix(choose), bags.matrix(test)
    y, chosen, wanted = _classes(learn), _classes(choose), _classes(test)
    fitted = list(fits(X, y))
    best = max(fitted, key=lambda W: float((logits(seen, W).argmax(axis=1) == chosen).mean()))
    right = logits(held, best).argmax(axis=1) == wanted
    return Baseline(figures.of_classes(test, right), right)


def vader(test: Sequence[Example]) -> Baseline | None:
    """VADER (Hutto and Gilbert 2014), which looks words up and knows some grammar; None where it is not installed."""
    try:
        from vaderSentiment.vaderSentiment import SentimentIntensityAnalyzer
    except ImportError:
        return None
    analyser = SentimentIntensityAnalyzer()
    given = np.array([analyser.polarity_scores(example.text)["compound"] for example in test])
    if test[0].source == LABELLED:
        classes = 1 + (given >= VADER_NEUTRAL) - (given <= -VADER_NEUTRAL)
        right = classes == _classes(test)
        return Baseline(figures.of_classes(test, right), right)
    return Baseline(figures.of_scores(test, given, scaled=False), figures.signs(test, given)[1])


BASELINES: Mapping[str, Callable[..., Baseline | None]] = {
    "logistic regression": logistic,
    "with pairs of words": lambda learn, choose, test: logistic(learn, choose, test, pairs=True),
    "VADER": lambda learn, choose, test: vader(test),
}
"""By name: of the sentences of a set to learn from, to choose by, and to be tested on."""


def _classified(examples: Sequence[Example]) -> list[Example]:
    """Those with a class: of scores, that are not 0."""
    return [example for example in examples if example.score != 0]


def _classes(examples: Sequence[Example]) -> npt.NDArray[np.int64]:
    """A label, or the sign of a score as 0 or 1."""
    return np.array([each.label if each.label >= 0 else int(each.score > 0) for each in examples])


class _Bags:
    """Which words, or pairs of them, sentences have."""

    def __init__(self, examples: Iterable[Example], pairs: bool) -> None:
        self._pairs = pairs
        counts = Counter(each for example in examples for each in self._bag(example))
        self._known = {each: i for i, each in enumerate(e for e, count in counts.items() if count >= _LEAST)}

    def matrix(self, examples: Sequence[Example]) -> Any:
        """[n, words], 1 where one is there; sparse."""
        from scipy.sparse import csr_matrix

        rows = [[self._known[each] for each in self._bag(example) if each in self._known] for example in examples]
        ends = np.cumsum([0, *map(len, rows)])
        columns = np.array([column for row in rows for column in row], np.int64)
        return csr_matrix((np.ones(len(columns)), columns, ends), (len(rows), len(self._known)))

    def _bag(self, example: Example) -> list[Hashable]:
        found = words(example.text)
        return list(dict.fromkeys([*found, *pairwise(found)] if self._pairs else found))


def fits(X: Any, y: npt.NDArray[np.int64]) -> Iterator[F64]:
    """Weights [words + 1, classes], the bias last, of the least mean cross-entropy plus a penalty / 2 times the
    squares of the weights, for each of the `PENALTIES`; each search begins where the one before ended."""
    from scipy.optimize import minimize

    count, classes = X.shape[0], max(2, int(y.max()) + 1)
    wanted = np.eye(classes)[y]

    def loss(flat: F64, penalty: float) -> tuple[float, F64]:
        W = flat.reshape(-1, classes)
        given = logits(X, W)
        logs = given - given.max(axis=1, keepdims=True)
        logs -= np.log(np.exp(logs).sum(axis=1, keepdims=True))
        error = (np.exp(logs) - wanted) / count
        gradient = np.concatenate([X.T @ error + penalty * W[:-1], error.sum(axis=0)[None]])
        return -(logs * wanted).sum() / count + penalty / 2 * float((W[:-1] ** 2).sum()), gradient.ravel()

    flat = np.zeros((X.shape[1] + 1) * classes)
    for penalty in PENALTIES:
        flat = minimize(loss, flat, (penalty,), jac=True, method="L-BFGS-B", options={"maxiter": 200}).x
        yield np.asarray(flat).reshape(-1, classes)


def logits(X: Any, W: F64) -> F64:
    """What weights of `fits` make of bags of words [n, words]."""
    return np.asarray(X @ W[:-1] + W[-1])
