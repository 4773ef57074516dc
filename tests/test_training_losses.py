"""Losses by value: CTC against a sum over all paths, the others against their formulas."""

from __future__ import annotations

import itertools
from typing import Any

import numpy as np
import numpy.typing as npt
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from ostinato.errors import ShapeError, TrainingError
from ostinato.training import (
    BinaryCrossEntropy,
    CrossEntropy,
    CtcLoss,
    Huber,
    MeanAbsoluteError,
    MeanSquaredError,
)

Array = npt.NDArray[Any]


def collapse(path: tuple[int, ...], blank: int) -> list[int]:
    return [k for k, _ in itertools.groupby(path) if k != blank]


def by_all_paths(logits: Array, labels: list[int], blank: int) -> float:
    """-log of the sum over all K^T paths that collapse to the labels (Graves et al. 2006, equation 3)."""
    e = np.exp(logits - logits.max(axis=1, keepdims=True))
    p = e / e.sum(axis=1, keepdims=True)
    steps, K = p.shape
    total = sum(
        float(np.prod(p[range(steps), list(path)]))
        for path in itertools.product(range(K), repeat=steps)
        if collapse(path, blank) == labels
    )
    return float(-np.log(total)) if total else float("inf")


@settings(deadline=None, max_examples=60)
@given(st.data())
def test_ctc_is_the_sum_over_all_paths(data: st.DataObject) -> None:
    K, steps = data.draw(st.integers(2, 4)), data.draw(st.integers(0, 5))
    blank = data.draw(st.integers(0, K - 1))
    labels = data.draw(st.lists(st.sampled_from([k for k in range(K) if k != blank]), max_size=3))
    logits = np.random.default_rng(data.draw(st.integers(0, 99))).normal(scale=2, size=(1, 6, K))
    losses, _, gradient = CtcLoss(blank)(logits, [steps], [labels])
    expected = by_all_paths(logits[0, :steps], labels, blank)
    assert losses[0] == pytest.approx(expected, rel=1e-12, abs=1e-12)
    assert not np.any(gradient[:, steps:])
    if np.isfinite(expected):
        np.testing.assert_allclose(gradient[0, :steps].sum(axis=1), 0, atol=1e-12)
    else:
        assert not np.any(gradient)


@pytest.mark.parametrize("labels,frames", [([1], 0), ([1, 1], 2), ([1, 2, 2], 3)])
def test_ctc_too_short_for_its_labels_is_infinite_without_gradient(labels: list[int], frames: int) -> None:
    logits = np.random.default_rng(0).normal(size=(2, 4, 3)).astype(np.float32)
    losses, _, gradient = CtcLoss()(logits, [frames, 4], [labels, [1]])
    assert np.isposinf(losses[0]) and not np.any(gradient[0])
    assert np.isfinite(losses[1]) and np.any(gradient[1])


def test_ctc_of_a_long_and_certain_sequence_stays_finite() -> None:
    labels = np.random.default_rng(0).integers(1, 5, 300)
    logits = np.full((1, 2000, 5), -300.0, np.float32)
    logits[0, :, 0] = 300
    losses, _, gradient = CtcLoss()(logits, [2000], [labels])
    assert np.isfinite(losses[0]) and losses[0] > 1e5
    assert np.all(np.isfinite(gradient)) and np.abs(gradient).max() <= 1


def test_ctc_refuses_labels_that_cannot_be() -> None:
    logits = np.zeros((1, 3, 4))
    for wrong in ([0], [4], [-1]):
        with pytest.raises(TrainingError, match="not the blank"):
            CtcLoss()(logits, [3], [wrong])
    with pytest.raises(ShapeError):
        CtcLoss()(logits, [3], [[1], [1]])
    with pytest.raises(ShapeError):
        CtcLoss()(logits, [4], [[1]])


LENGTHS = [4, 2]
X = np.random.default_rng(3).normal(scale=2, size=(2, 4, 3))
Y = np.random.default_rng(4).normal(scale=2, size=(2, 4, 3))
FRAMES = [[(b, t) for t in range(n)] for b, n in enumerate(LENGTHS)]


def huber(e: Array) -> Array:
    return np.where(np.abs(e) <= 1.5, e**2 / 2, 1.5 * (np.abs(e) - 0.75))


@pytest.mark.parametrize(
    "loss,formula",
    [
        (MeanSquaredError(), lambda v, y: ((v - y) ** 2).sum()),
        (MeanAbsoluteError(), lambda v, y: np.abs(v - y).sum()),
        (Huber(1.5), lambda v, y: huber(v - y).sum()),
        (
            BinaryCrossEntropy(),
            lambda v, y: (-y * np.log(1 / (1 + np.exp(-v))) - (1 - y) * np.log(1 - 1 / (1 + np.exp(-v)))).sum(),
        ),
    ],
    ids=lambda v: type(v).__name__,
)
def test_sum_over_the_frames_within_the_lengths(loss: Any, formula: Any) -> None:
    y = 1 / (1 + np.exp(-Y)) if isinstance(loss, BinaryCrossEntropy) else Y
    expected = [sum(formula(X[at], y[at]) for at in frames) for frames in FRAMES]
    losses, _, gradient = loss(X, LENGTHS, y)
    np.testing.assert_allclose(losses, expected, rtol=1e-12)
    assert not np.any(gradient[1, 2:]) and np.all(gradient[1, :2])


def test_cross_entropy_ignores_negative_classes() -> None:
    y = np.array([[2, -1, 0, 1], [1, 1, -1, -1]])
    p = np.exp(X) / np.exp(X).sum(axis=2, keepdims=True)
    losses, _, gradient = CrossEntropy()(X, LENGTHS, y)
    assert losses[0] == pytest.approx(-np.log(p[0, 0, 2] * p[0, 2, 0] * p[0, 3, 1]))
    assert losses[1] == pytest.approx(-np.log(p[1, 0, 1] * p[1, 1, 1]))
    np.testing.assert_allclose(gradient[0, 0], p[0, 0] - [0, 0, 1])
    assert not np.any(gradient[0, 1])


@pytest.mark.parametrize("classes", [2, 16, 37, 64])
def test_cross_entropy_in_vectors(classes: int) -> None:
    """Float32 is computed in vectors: as float64 is; targets may lie in memory as they like, NaN stays visible."""
    random = np.random.default_rng(classes)
    x = random.normal(scale=20, size=(2, 4, classes))
    y = np.asfortranarray(random.integers(-1, classes, (2, 4)))
    loss = CrossEntropy(smoothing=0.1)
    for found, expected in zip(loss(x.astype(np.float32), LENGTHS, y), loss(x, LENGTHS, y), strict=True):
        np.testing.assert_allclose(found, expected, rtol=2e-6, atol=2e-6)
    y[:] = 0
    x[0, 1, classes // 2] = np.nan
    sums, _, gradient = loss(x.astype(np.float32), LENGTHS, y)
    assert np.isnan(sums[0]) and np.isfinite(sums[1]) and np.isnan(gradient[0, 1]).all()


def test_smoothing_moves_targets_and_class_weights_count_frames() -> None:
    y, w = np.array([[2, -1, 0, 1], [1, 1, 0, 0]]), np.array([0.5, 2.0, 3.0])
    p = np.exp(X) / np.exp(X).sum(axis=2, keepdims=True)
    sums, counts, gradient = CrossEntropy(smoothing=0.3, class_weights=(0.5, 2.0, 3.0))(X, LENGTHS, y)
    expected, counted = np.zeros(2), np.zeros(2)
    for b, t in [(0, 0), (0, 2), (0, 3), (1, 0), (1, 1)]:
        q = np.full(3, 0.1)
        q[y[b, t]] += 0.7
        expected[b] -= w[y[b, t]] * (q * np.log(p[b, t])).sum()
        counted[b] += w[y[b, t]]
        np.testing.assert_allclose(gradient[b, t], w[y[b, t]] * (p[b, t] - q))
    np.testing.assert_allclose(sums, expected)
    np.testing.assert_allclose(counts, counted)
    binary = 1 / (1 + np.exp(-Y))
    moved = BinaryCrossEntropy()(X, LENGTHS, 0.8 * binary + 0.1)
    for one, other in zip(BinaryCrossEntropy(smoothing=0.2)(X, LENGTHS, binary), moved, strict=True):
        np.testing.assert_allclose(one, other)


def test_what_has_no_target_is_not_counted() -> None:
    """So a mean is over what has one: values, frames or sequences."""
    y = Y.copy()
    y[0, 1], y[1, 0, 2] = np.nan, np.nan
    assert MeanSquaredError()(X, LENGTHS, y).counts.tolist() == [9, 5]
    assert MeanSquaredError()(X, LENGTHS, Y[:, 0]).counts.tolist() == [3, 3]
    assert CrossEntropy()(X, LENGTHS, np.array([[2, -1, 0, 1], [1, 1, -1, -1]])).counts.tolist() == [3, 2]
    assert CrossEntropy()(X, [4, 0], np.array([2, 1])).counts.tolist() == [1, 0]
    assert CtcLoss()(X, LENGTHS, [[1], [1, 1]]).counts.tolist() == [1, 0]


def test_huge_logits_stay_finite() -> None:
    x = np.array([[[1e4, -1e4]]], np.float32)
    for loss, target in ((CrossEntropy(), np.array([[1]])), (BinaryCrossEntropy(), np.array([[[0.0, 1.0]]]))):
        losses, _, gradient = loss(x, [1], target)
        assert losses[0] == pytest.approx(2e4)
        np.testing.assert_allclose(gradient[0, 0], [1, -1])


def test_wrong_targets_are_named() -> None:
    with pytest.raises(TrainingError, match="class 3 of 3"):
        CrossEntropy()(X, LENGTHS, np.full((2, 4), 3))
    with pytest.raises(ShapeError, match="one class per frame"):
        CrossEntropy()(X, LENGTHS, np.zeros((2, 3), int))
    with pytest.raises(TrainingError, match="class indices"):
        CrossEntropy()(X, LENGTHS, np.zeros((2, 4)))
    with pytest.raises(TrainingError, match="2 class_weights for 3"):
        CrossEntropy(class_weights=(1, 1))(X, LENGTHS, np.zeros((2, 4), int))
    with pytest.raises(TrainingError, match="from 0 to 1"):
        BinaryCrossEntropy()(X, LENGTHS, np.full(X.shape, 1.5))
    for wrong in (lambda: CrossEntropy(smoothing=1), lambda: Huber(0), lambda: CrossEntropy(class_weights=(-1,))):
        with pytest.raises(TrainingError):
            wrong()
    with pytest.raises(ShapeError, match="must be alike"):
        MeanSquaredError()(X, LENGTHS, Y[:, :3])
