"""Batches learnt from in shares, side by side, and in parts of time."""

from __future__ import annotations

import os
import sys
import threading
from typing import Any

import numpy as np
import numpy.typing as npt
import pytest

from ostinato.errors import ShapeError, TrainingError
from ostinato.model.decoders import Ctc, Outputs
from ostinato.model.front_ends import Frames
from ostinato.model.layers import BatchNorm, Convolution, Dense, Gru, Lstm, MaxPool, Softmax
from ostinato.model.specification import Head, Node, Specification
from ostinato.training import Adam, Batch, CrossEntropy, CtcLoss, Huber, Learning, Objective, Sgd, TrainableNetwork
from ostinato.training.learner import Learner
from ostinato.training.side_by_side import SideBySide

Array = npt.NDArray[Any]
LENGTHS = np.array([3, 9, 0, 7, 4, 9, 1, 6])


def network(dtype: type = np.float32, **settings: Any) -> TrainableNetwork:
    """Heads of each kind of target, two of which have fewer frames than there are inputs."""
    nodes = (
        Node("norm", BatchNorm(), ("frames",)),
        Node("ahead", Convolution(5, taps=3, left=0), ("norm",)),
        Node("gru", Gru(8), ("ahead",)),
        Node("classes", Dense(3), ("gru",)),
        Node("p", Softmax(), ("classes",)),
        Node("most", MaxPool(2, left=0), ("gru",)),
        Node("numbers", Dense(2), ("most",)),
    )
    heads = (
        Head("labels", "p", Ctc(("", "a", "b"))),
        Head("classes", "p", Outputs()),
        Head("numbers", "numbers", Outputs()),
    )
    return TrainableNetwork(Specification("t", Frames(4), nodes, heads), dtype, 2, **settings)


LOSSES = {"labels": CtcLoss(), "classes": CrossEntropy(), "numbers": Huber()}


def batch(seed: int = 0) -> Batch:
    random = np.random.default_rng(seed)
    x = random.normal(size=(len(LENGTHS), LENGTHS.max(), 4)).astype(np.float32)
    labels = [[1], [2, 1], [], [2], [1, 1], [], [], [2]]
    targets = {
        "labels": labels,
        "classes": random.integers(-1, 3, (len(LENGTHS), LENGTHS.max() - 2)),
        "numbers": random.normal(size=(len(LENGTHS), LENGTHS.max() - 3, 2)),
    }
    return Batch(x, LENGTHS, targets)


def learnt(share: int | None, workers: int, dtype: type = np.float32, steps: int = 3, **settings: Any) -> Any:
    net = network(dtype, **settings)
    learner = Learner(net, Objective(net, LOSSES), Sgd(0.1), share, workers)
    with learner.threads():
        outcomes = [learner.learn(batch(step), (7, step)) for step in range(steps)]
    return net.parameters, outcomes


def test_numbers_do_not_depend_on_workers() -> None:
    """To the bit: dropout, statistics and all."""
    one, outcomes = learnt(3, 1, dropout=0.2, recurrent_dropout=0.3)
    for workers in (2, 3, 5):
        other, again = learnt(3, workers, dropout=0.2, recurrent_dropout=0.3)
        assert again == outcomes
        assert all(np.array_equal(other[name], w) for name, w in one.items())


def test_pieces_side_by_side() -> None:
    """In their order, on more than one thread, and an error of a thread that helps is raised, when all has ended."""
    crew, both, seen = SideBySide(2), threading.Barrier(2), []

    def piece(number: int, wrong: bool) -> int:
        seen.append(threading.get_ident())
        both.wait(60)
        if wrong and threading.current_thread() is not threading.main_thread():
            raise TrainingError("no")
        return 10 * number

    with crew.threads():
        assert crew.map(piece, range(4), [False] * 4) == [0, 10, 20, 30]
        assert len(set(seen)) == 2
        with pytest.raises(TrainingError, match="no"):
            crew.map(piece, range(2), [True] * 2)
    assert SideBySide(1).map(int, ["1", "2"]) == [1, 2]


@pytest.mark.skipif(
    sys.platform != "linux" or len(os.sched_getaffinity(0)) < 2, reason="needs Linux and two processors"
)
def test_a_thread_that_helps_uses_another_processor() -> None:
    crew, both, whole = SideBySide(2), threading.Barrier(2), os.sched_getaffinity(0)

    def piece(_: int) -> tuple[bool, set[int]]:
        both.wait(60)
        return threading.current_thread() is threading.main_thread(), os.sched_getaffinity(0)

    with crew.threads():
        for _ in range(2):  # the first time there is no such thread yet
            found = dict(crew.map(piece, range(2)))
    assert found[True] == whole and len(found[False]) == len(whole) - 1


def test_shares_add_up_to_the_batch() -> None:
    """But for what each has its own of: statistics of normalisation, which here reach nothing above it."""
    start = network(np.float64)
    start.parameters["norm.gamma"][:] = 0
    start.parameters["norm.beta"][:] = [0.5, -1, 2, 1]

    def learnt_once(share: int | None) -> tuple[dict[str, Array], Any]:
        net = network(np.float64, weights=start.weights())
        learner = Learner(net, Objective(net, LOSSES, {"numbers": 0.5}), Sgd(1.0, momentum=0), share)
        return net.parameters, learner.learn(batch(), (0,))

    (whole, outcome), (shared, again) = learnt_once(None), learnt_once(3)
    assert outcome.counts == again.counts == {"labels": 7.0, "classes": outcome.counts["classes"], "numbers": 40.0}
    assert outcome.skipped == again.skipped == 1, "one has too few frames for its labels"
    assert outcome.sums == pytest.approx(again.sums, rel=1e-12)
    for name in whole.keys() - {"norm.gamma", "norm.mean", "norm.variance"}:
        np.testing.assert_allclose(shared[name], whole[name], rtol=0, atol=1e-12)
        assert np.abs(whole[name] - start.parameters[name]).max() > 1e-4


def chain(*layers: Any, **settings: Any) -> TrainableNetwork:
    nodes = [Node(f"n{k}", layer, (f"n{k - 1}" if k else "frames",)) for k, layer in enumerate(layers)]
    heads = (Head("main", nodes[-1].name, Outputs()),)
    return TrainableNetwork(Specification("t", Frames(4), tuple(nodes), heads), np.float64, 2, **settings)


@pytest.mark.parametrize("share", [None, 3])
def test_a_step_for_each_part_of_time(share: int | None) -> None:
    """As if done by hand: forward from the states before, the part's own mean, a step."""
    layers = (Lstm(6), Gru(5), Dense(3), Softmax())
    net, hand = chain(*layers), chain(*layers)
    one = batch()
    frames = np.random.default_rng(1).integers(-1, 3, one.inputs.shape[:2])
    learner = Learner(net, Objective(net, CrossEntropy()), Adam(0.1), share, truncate=4)
    outcome = learner.learn(Batch(one.inputs, LENGTHS, frames), (0,))
    optimiser, learning = Adam(0.1), Learning(np.random.default_rng(0), states={})
    total = 0.0
    for start in (0, 4, 8):
        lengths = (LENGTHS - start).clip(0, 4)
        outputs = hand.forward(one.inputs[:, start : start + 4], lengths, learning)["main"]
        sums, counts, gradient = CrossEntropy()(outputs, lengths, frames[:, start : start + 4])
        total += sums.sum()
        optimiser.step(hand.parameters, hand.backward({"main": gradient / counts.sum()}))
    assert outcome.sums["main"] == pytest.approx(total, rel=1e-9)
    for name, w in hand.parameters.items():
        np.testing.assert_allclose(net.parameters[name], w, rtol=0, atol=1e-9)


def test_a_class_of_the_whole_sequence_is_asked_for_in_its_last_part() -> None:
    net = chain(Gru(5), Dense(3), Softmax())
    learner = Learner(net, Objective(net, CrossEntropy()), Sgd(0.1), truncate=4)
    outcome = learner.learn(Batch(batch().inputs, LENGTHS, np.arange(8) % 3), (0,))
    assert outcome.counts == {"main": 7.0}, "one of each sequence that has a frame"


def test_errors_name_what_is_wrong() -> None:
    net = network()
    for wrong, message in (
        ({"truncate": 4}, "ctc judges whole sequences"), ({"share": 0}, "share = 0"), ({"workers": 0}, "workers = 0"),
    ):  # fmt: skip
        with pytest.raises(TrainingError, match=message):
            Learner(net, Objective(net, LOSSES), Sgd(), **wrong)
    one = batch()
    for head, targets in (("labels", [[1]]), ("classes", np.zeros((8, 3), int)), ("numbers", np.zeros((8, 7, 2)))):
        with pytest.raises(ShapeError):
            Learner(net, Objective(net, LOSSES), Sgd()).learn(
                Batch(one.inputs, LENGTHS, one.targets | {head: targets}), (0,)
            )
