"""How fast networks learn: frames a second of forward, backward and a step of Adam, beside PyTorch in the same run.

Each may use one thread or two, and is judged by what is faster for it. Calls take milliseconds, so a row needs
seconds for its medians to mean something on a machine that has other work.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Collection, Iterator, Sequence
from contextlib import ExitStack, contextmanager
from dataclasses import asdict, dataclass
from datetime import UTC, datetime
from importlib.util import find_spec
from typing import Any

import numpy as np
import numpy.typing as npt
from threadpoolctl import threadpool_limits

from ostinato.model import Network
from ostinato.model.layers import Dense, Softmax
from ostinato.model.specification import Sequential
from ostinato.training import Adam, Batch, CrossEntropy, Objective, TrainableNetwork
from ostinato.training.learner import Learner
from ostinato_bench import limits, machine
from ostinato_bench.cells import GATES, Cell, Kind, one_of
from ostinato_bench.peers import pytorch_training
from ostinato_bench.timing import Spread, Timed, alternate

THREADS = (1, 2)
RATE = 1e-3
SECONDS = 8.0
"""For a row, shared by all that is timed for it."""
_CLASSES = 10
_CHECKED, _TOLERANCE = 10, 1e-4
"""Steps whose losses are compared before anything is timed, and how far they may lie apart, relatively."""

Step = Callable[[], float]
Progress = Callable[[int, int, str], None]


@dataclass(frozen=True)
class Task:
    """A recurrent layer that learns to give classes to the frames of a batch of sequences."""

    cell: Kind
    input: int
    hidden: int
    sequences: int = 32
    frames: int = 200

    def layers(self) -> Network:
        """The recurrent layer alone, with random weights and biases."""
        return Cell(self.cell, self.input, self.hidden).network()

    def network(self) -> Network:
        """With a dense layer and a softmax above it."""
        below = self.layers()
        chain = [*(node.layer for node in below.specification.nodes), Dense(_CLASSES), Softmax()]
        front_end, (head,) = below.specification.front_end, below.specification.heads
        start = Network.random(Sequential(self.name, front_end, chain, head.decoder))
        return Network(start.specification, {**start.weights, **below.weights})

    def batch(self) -> Batch:
        """Random frames, and random classes for them."""
        random = np.random.default_rng(1)
        x = random.uniform(-1, 1, (self.sequences, self.frames, self.input)).astype(np.float32)
        classes = random.integers(0, _CLASSES, (self.sequences, self.frames))
        return Batch(x, np.full(self.sequences, self.frames), classes)

    @property
    def multiply_adds(self) -> int:
        """Of a frame's products: forward, and backward to the weights and to the states before."""
        R, W = GATES[self.cell] * self.hidden**2, GATES[self.cell] * self.hidden * self.input
        return 3 * R + 2 * W + 3 * _CLASSES * self.hidden

    @property
    def name(self) -> str:
        """``GRU 40 → 128``."""
        return f"{self.cell.upper()} {self.input} → {self.hidden}"


TASKS = tuple(Task(cell, 40, hidden) for cell in ("gru", "lstm") for hidden in (64, 128, 256))
"""What is measured unless something else is asked for."""
QUICK = (Task("gru", 40, 128), Task("lstm", 40, 128))
"""A selection for a first impression."""


def tasks(kinds: Sequence[str] | None, sizes: Sequence[int] | None) -> tuple[Task, ...]:
    """All combinations; GRU and 128 units if nothing is said. Raises InputError for a kind that is none."""
    known = [one_of(tuple(GATES), kind) for kind in kinds or ("gru",)]
    return tuple(Task(kind, 40, hidden) for kind in known for hidden in sizes or (128,))


def run(
    wanted: Sequence[Task] = TASKS, seconds: float = SECONDS, progress: Progress | None = None, beside: bool = True
) -> dict[str, Any]:
    """Measure the tasks for about ``seconds`` each, ``beside`` PyTorch if it is installed; ``progress(done, count,
    what)`` is told before each.

    Returns {"rows": [...], "missing": {peer: why}, "machine", "versions", "date"}. In a row, "ours" and "pytorch"
    have by the number of threads {"frames_s", "quartiles", "processor_ms"}: medians of rounds, their quartiles, and
    the least processor time of a step; "times" is the ratio of the better ones' frames_s, "processor_times" that of
    the processor times on one thread, which other work on the machine changes little. "gmacs" is what our better one
    multiplies and adds, 10^9 a second, of "arithmetic_gmacs" that one core could.

    Raises RuntimeError if PyTorch does not learn what we do.
    """
    report = progress or (lambda done, count, what: None)
    rows = []
    for done, task in enumerate(wanted):
        report(done, len(wanted), task.name)
        rows.append(measure(task, seconds, beside))
    report(len(wanted), len(wanted), "done")
    described = machine.describe()
    versions = {name: described.pop(name) for name in (*machine.VERSIONS, "python") if name in described}
    missing = {"pytorch": "torch is not installed: pip install torch"} if beside and not find_spec("torch") else {}
    return {
        "rows": rows,
        "missing": missing,
        "machine": described | {"instructions": limits.instructions()} | machine.busy(),
        "versions": versions,
        "date": datetime.now(UTC).isoformat(timespec="seconds"),
    }


def measure(task: Task, seconds: float, beside: bool = True, threads: Collection[int] = THREADS) -> dict[str, Any]:
    """A row of `run`."""
    with ExitStack() as held:
        held.enter_context(threadpool_limits(1, user_api="blas"))  # as `fit` has it
        steps = {("ours", n): held.enter_context(_ours(task, n)) for n in threads}
        if beside:
            made = {("pytorch", n): _pytorch(task, n) for n in threads}
            steps |= {name: step for name, step in made.items() if step is not None}
        _check(steps)
        arithmetic = limits.arithmetic("float32")
        watched = {name: _Watched(step) for name, step in steps.items()}
        timed = {f"{who} {n}": Timed(step) for (who, n), step in watched.items()}
        spent = alternate(timed | {"arithmetic": Timed(arithmetic.call)}, seconds)
    row: dict[str, Any] = asdict(task) | {"name": task.name}
    for (who, n), step in watched.items():
        rate = _rate(spent[f"{who} {n}"], task)
        row.setdefault(who, {})[str(n)] = rate | {"processor_ms": round(step.least_ns / 1e6, 3)}
    ours = best(row, "ours")
    if "pytorch" in row:
        one = str(min(threads))
        row["times"] = round(ours / best(row, "pytorch"), 3)
        row["processor_times"] = round(row["pytorch"][one]["processor_ms"] / row["ours"][one]["processor_ms"], 3)
    gmacs = arithmetic.rate(spent["arithmetic"].median)
    return row | {"gmacs": round(ours * task.multiply_adds / 1e9, 1), "arithmetic_gmacs": round(gmacs, 1)}


class _Watched:
    """A step, and the least processor time of the calls so far, that of all threads."""

    def __init__(self, step: Step) -> None:
        self._step = step
        self.least_ns = 1 << 62

    def __call__(self) -> float:
        start = time.process_time_ns()
        loss = self._step()
        self.least_ns = min(self.least_ns, time.process_time_ns() - start)
        return loss


def best(row: dict[str, Any], who: str) -> float:
    """Frames a second with as many threads as are best."""
    return max(float(found["frames_s"]) for found in row[who].values())


def _rate(spread: Spread, task: Task) -> dict[str, Any]:
    frames = 1e6 * task.sequences * task.frames
    return {
        "frames_s": round(frames / spread.median),
        "quartiles": [round(frames / spread.high), round(frames / spread.low)],
    }


@contextmanager
def _ours(task: Task, threads: int) -> Iterator[Step]:
    """The batch as a whole on one thread; on several, a share of its sequences for each."""
    network = task.network()
    made = TrainableNetwork(network.specification, weights=network.weights)
    share = None if threads == 1 else -(-task.sequences // threads)
    learner = Learner(made, Objective(made, CrossEntropy()), Adam(RATE), share, threads)
    batch, number = task.batch(), iter(range(1 << 60))

    def step() -> float:
        found = learner.learn(batch, (0, next(number)))
        return found.sums["main"] / found.counts["main"]

    with learner.threads():
        yield step


def _pytorch(task: Task, threads: int) -> Step | None:
    network, batch = task.network(), task.batch()
    dense = network.weights["dense.W"], network.weights["dense.b"]
    classes: npt.NDArray[np.int64] = np.asarray(batch.targets, np.int64)
    return pytorch_training.learner(task.layers(), dense, np.asarray(batch.inputs), classes, RATE, threads)


def _check(steps: dict[tuple[str, int], Step]) -> None:
    """Refuse to time a step that learns something else: RuntimeError unless the losses of all fall alike."""
    losses = {f"{who} {n}": [step() for _ in range(_CHECKED)] for (who, n), step in steps.items()}
    first = next(iter(losses.values()))
    if not first[-1] < first[0]:
        raise RuntimeError(f"nothing is learnt: the loss goes from {first[0]:.6g} to {first[-1]:.6g}")
    for name, each in losses.items():
        if not np.allclose(each, first, rtol=_TOLERANCE, atol=0):
            theirs, ours = (", ".join(f"{loss:.6g}" for loss in some) for some in (each, first))
            raise RuntimeError(f"{name}'s losses are {theirs}, ours {ours}: it is set up wrongly, and not timed")
