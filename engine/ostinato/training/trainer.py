"""The training loop: batches in, a better network out."""

from __future__ import annotations

import dataclasses
import hashlib
import math
import time
from collections.abc import Callable, Iterable, Mapping
from contextlib import AbstractContextManager, nullcontext
from dataclasses import dataclass, field
from itertools import islice
from pathlib import Path

from rich.console import Console
from rich.progress import (
    BarColumn,
    MofNCompleteColumn,
    Progress,
    ProgressColumn,
    Task,
    TextColumn,
    TimeElapsedColumn,
    TimeRemainingColumn,
)
from rich.table import Column
from rich.text import Text
from threadpoolctl import threadpool_limits

from ostinato.errors import TrainingError
from ostinato.model.network import Network
from ostinato.training.averaging import WeightAverage, put
from ostinato.training.batching import Batch
from ostinato.training.checkpoint import Checkpoint
from ostinato.training.interrupt import Interrupt
from ostinato.training.learner import Learner
from ostinato.training.losses import Loss
from ostinato.training.network import TrainableNetwork
from ostinato.training.objective import Objective
from ostinato.training.optimisers import Optimiser
from ostinato.training.packing import Array

Epochs = Callable[[int], Iterable[Batch]]
Evaluate = Callable[[TrainableNetwork], Mapping[str, float]]
BAR_WIDTH = 12


@dataclass
class History:
    """How learning went.

    ``evaluations``: for each, "step", "loss" (mean training loss since the one before; infeasible sequences not
    counted), "loss <head>" of each of several heads, and what the evaluation gave. ``best_step``, ``best_score``: the
    one kept, and ``waited``: evaluations since then. ``skipped``: sequences whose loss was infinite
    (too short for their labels), each time they came.
    """

    evaluations: list[dict[str, float]] = field(default_factory=list)
    best_step: int = -1
    best_score: float = math.inf
    steps: int = 0
    skipped: int = 0
    waited: int = 0
    interrupted: bool = False


def fit(
    network: TrainableNetwork,
    batches: Epochs,
    loss: Loss | Mapping[str, Loss],
    optimiser: Optimiser,
    *,
    loss_weights: Mapping[str, float] | None = None,
    steps: int,
    seed: int = 0,
    evaluate: Evaluate | None = None,
    evaluate_every: int = 500,
    patience: int | None = None,
    truncate: int | None = None,
    own_tokens: float = 0.0,
    average: float | None = None,
    share: int | None = None,
    workers: int | None = None,
    checkpoint: Path | None = None,
    resume: bool = False,
    console: Console | None = None,
    on_evaluation: Callable[[History], None] | None = None,
) -> History:
    """Learn from ``steps`` batches by their mean loss, and leave ``network`` with its best weights.

    ``loss`` is of the only head, or of each by its name, as a batch's targets then are; ``loss_weights`` says how
    much each counts (`objective.Objective`).
    ``batches(epoch)`` gives the batches of an epoch (0-based), the same ones each time it is asked; epochs follow
    each other until the steps are done. Every ``evaluate_every`` steps and at the end, ``evaluate(network)`` gives
    numbers by name, of which the first is the score: the weights with the lowest are the best, of equal ones those
    with the lowest mean training loss since the evaluation before (None: that loss is the score). Learning ends early
    after ``patience`` evaluations in a row without a lower score.
    ``truncate``, ``share`` and ``workers`` are as `Learner` has them: numbers do not depend on ``workers``; so is
    ``own_tokens``, which grows evenly from none at the first step to that at the last.
    ``average``: the weights that are evaluated, and kept, are a running mean of those that learn, with this decay
    after each batch (`averaging.WeightAverage`).
    ``checkpoint`` is written at each evaluation, and read first if ``resume`` and it exists: the steps that follow
    are the same as without the pause; an average that its run had not begins there. Dropout is drawn from ``seed``
    and the number of the step alone. Progress goes to ``console`` (None: standard error). Ctrl-C ends learning early
    (``History.interrupted``) after the step that runs, writes the checkpoint, and leaves the best weights so far; a
    second one ends it at once.
    ``on_evaluation`` is told after each evaluation.

    Raises TrainingError if losses and heads do not match, an epoch is empty, the loss is not finite, nothing has
    counted until an evaluation, or the checkpoint is another network's or cannot be written. What it held before
    stays then.
    """
    learner = Learner(network, Objective(network, loss, loss_weights), optimiser, share, workers, truncate)
    run = _Run(learner, seed, checkpoint, patience, steps, own_tokens, average)
    if resume and checkpoint is not None and checkpoint.exists():
        run.read()
    # The products of one step are too small to share: a second thread makes learning several times slower.
    with threadpool_limits(1), learner.threads(), _progress(console) as progress, Interrupt() as interrupt:
        task = progress.add_task("training", total=steps, completed=run.history.steps, note="")
        try:
            for batch in run.remaining(batches, steps):
                run.step(batch)
                progress.update(task, advance=1, note=run.note)
                if run.history.steps % evaluate_every == 0 or run.history.steps == steps:
                    run.evaluate(evaluate)
                    progress.console.print(run.summary, highlight=False)
                    if on_evaluation is not None:
                        on_evaluation(run.history)
                interrupt.check()
        except KeyboardInterrupt:
            run.history.interrupted = True
            if checkpoint is not None and run.whole:
                run.write(checkpoint)
    run.keep_best()
    return run.history


class _Run:
    """One call of `fit`: what changes from step to step."""

    def __init__(
        self,
        learner: Learner,
        seed: int,
        checkpoint: Path | None,
        patience: int | None,
        planned: int,
        own_tokens: float,
        average: float | None,
    ) -> None:
        self.learner, self.seed, self.path, self.patience = learner, seed, checkpoint, patience
        self.planned, self.own_tokens = planned, own_tokens
        self.network, self.optimiser, self.objective = learner.network, learner.optimiser, learner.objective
        self.average = None if average is None else WeightAverage(average, self.network.parameters)
        self.history = History()
        self.best: dict[str, Array] = {}
        self.epoch, self.position = 0, 0
        self.sums, self.counts = (dict.fromkeys(self.objective.losses, 0.0) for _ in range(2))
        self.recent = math.nan
        """A running mean of the loss; NaN until something has counted."""
        self.speed = 0.0
        self.written: int | None = None
        """The step that the checkpoint is of."""
        self.whole = True
        """Whether all that `write` writes is of the same step."""

    def remaining(self, batches: Epochs, steps: int) -> Iterable[Batch]:
        """Batches until ``steps`` steps are done, or it makes no sense to go on, from where this run is."""
        while not self._done(steps):
            start = self.position
            for batch in islice(batches(self.epoch), start, None):
                self.position += 1
                yield batch
                if self._done(steps):
                    return
            if self.position == 0:
                raise TrainingError(f"epoch {self.epoch} has no batches")
            self.epoch, self.position = self.epoch + 1, 0

    def _done(self, steps: int) -> bool:
        return self.history.steps >= steps or self.history.waited >= (
            math.inf if self.patience is None else self.patience
        )

    def step(self, batch: Batch) -> None:
        """Learn from a batch."""
        self.whole, start = False, time.perf_counter()
        own_tokens = self.own_tokens * self.history.steps / self.planned
        try:
            sums, counts, skipped = self.learner.learn(batch, (self.seed, self.history.steps), own_tokens)
        except TrainingError as error:
            kept = "" if self.written is None else f"; {self.path} keeps what was learnt until step {self.written}"
            raise TrainingError(f"{error}{kept}") from error
        if self.average is not None:
            self.average.update(self.network.parameters)
        self.history.steps += 1
        self.history.skipped += skipped
        for total, new in ((self.sums, sums), (self.counts, counts)):
            total |= {name: total[name] + value for name, value in new.items()}
        mean = self.objective.mean(sums, counts)
        if math.isfinite(mean):
            self.recent = mean if math.isnan(self.recent) else 0.95 * self.recent + 0.05 * mean
        speed = sum(map(int, batch.lengths)) / (time.perf_counter() - start)
        self.speed = 0.9 * self.speed + 0.1 * speed if self.speed else speed
        self.whole = True

    def evaluate(self, evaluate: Evaluate | None) -> None:
        """Note how good the network is now, keep it if it is the best, and write the checkpoint."""
        self.whole = False
        if math.isnan(self.recent):
            raise TrainingError(
                f"nothing has counted in {self.history.steps} steps: no sequence has a target, or all are too short "
                f"for theirs ({self.history.skipped} were)"
            )
        with self._averaged():
            self._judge(evaluate)
        self.whole = True
        if self.path is not None:
            self.write(self.path)

    def _judge(self, evaluate: Evaluate | None) -> None:
        numbers = {"loss": self.objective.mean(self.sums, self.counts)}
        if len(self.objective.losses) > 1:
            numbers |= {f"loss {name}": self.sums[name] / (self.counts[name] or math.nan) for name in self.sums}
        scores = {k: float(v) for k, v in evaluate(self.network).items()} if evaluate else numbers
        self.sums, self.counts = (dict.fromkeys(self.sums, 0.0) for _ in range(2))
        score = next(iter(scores.values()))
        score = math.inf if math.isnan(score) else score  # no number is less than NaN
        better = not self.best or score < self.history.best_score
        self.history.waited = 0 if better else self.history.waited + 1
        if better or self._as_good(score, numbers["loss"]):
            self.history.best_step, self.history.best_score = self.history.steps, score
            self.best = {name: w.copy() for name, w in self.network.parameters.items()}
        self.optimiser.schedule.observe(score)
        self.history.evaluations.append({"step": self.history.steps} | numbers | scores)

    def _as_good(self, score: float, loss: float) -> bool:
        """Whether the score is the best one's, at a lower training loss: error rates of few sequences are often
        equal."""
        best = next(each for each in self.history.evaluations if each["step"] == self.history.best_step)
        return score == self.history.best_score < math.inf and loss < best["loss"]

    def _averaged(self) -> AbstractContextManager[None]:
        """Meanwhile the network has the weights that are evaluated and kept."""
        return nullcontext() if self.average is None else self.average.within(self.network.parameters)

    def keep_best(self) -> None:
        """The best weights so far into the network; if it was never evaluated, those of now."""
        now = {} if self.average is None else self.average.weights
        put(self.best or now, self.network.parameters)

    @property
    def note(self) -> str:
        """The progress line's text."""
        return (
            f"loss {self.recent:.4g}  {self.speed:,.0f} frames/s  epoch {self.epoch}  rate {self.optimiser.rate:.2g}"
        )

    @property
    def summary(self) -> str:
        """One line about the last evaluation."""
        *_, last = self.history.evaluations
        numbers = "  ".join(f"{name} {value:.5g}" for name, value in last.items() if name != "step")
        skipped = f"  {self.history.skipped} skipped" if self.history.skipped else ""
        best = "  best" if self.history.best_step == last["step"] else ""
        return f"step {last['step']:>6}  {numbers}{skipped}{best}"

    def write(self, path: Path) -> None:
        """All that `read` needs to go on alike."""
        numbers = {
            "network": _fingerprint(self.network),
            "seed": self.seed,
            "epoch": self.epoch,
            "position": self.position,
            "recent": self.recent,
            "sums": self.sums,
            "counts": self.counts,
            "history": vars(self.history),
        }
        groups = {"parameters": self.network.parameters, "best": self.best, "optimiser": self.optimiser.state()}
        if self.average is not None:
            groups["average"], numbers["averaged"] = self.average.weights, self.average.count
        Checkpoint(groups, numbers).write(path)
        self.written = self.history.steps

    def read(self) -> None:
        """Go on from the checkpoint."""
        assert self.path is not None
        saved = Checkpoint.read(self.path)
        numbers = saved.numbers
        if numbers["network"] != _fingerprint(self.network) or numbers["seed"] != self.seed:
            raise TrainingError(f"{self.path} is of another network or seed: start anew without it")
        put(saved.groups["parameters"], self.network.parameters)
        if self.average is not None:
            mean = saved.groups.get("average", self.network.parameters)
            self.average.restore(mean, numbers.get("averaged", 0))
        self.best = dict(saved.groups.get("best", {}))
        self.optimiser.restore(saved.groups["optimiser"])
        self.epoch, self.position, self.recent = numbers["epoch"], numbers["position"], numbers["recent"]
        self.sums, self.counts = dict(numbers["sums"]), dict(numbers["counts"])
        self.history = History(**numbers["history"] | {"interrupted": False})
        self.written = self.history.steps


def _fingerprint(network: TrainableNetwork) -> str:
    text = f"{network.dtype} {network.specification.to_json()}"
    return hashlib.sha256(text.encode()).hexdigest()


def _progress(console: Console | None) -> Progress:
    return Progress(
        TextColumn("{task.description}"),
        BarColumn(BAR_WIDTH),
        MofNCompleteColumn(table_column=Column(no_wrap=True)),
        TimeElapsedColumn(table_column=Column(no_wrap=True)),
        _TimeLeft(table_column=Column(no_wrap=True)),
        _Note(),
        console=console or Console(stderr=True),
    )


class _TimeLeft(TimeRemainingColumn):
    """Beside the time that has passed, this one says which it is."""

    def render(self, task: Task) -> Text:
        return Text.assemble("left ", super().render(task))


class _Note(ProgressColumn):
    """What a narrow terminal has no room for is cut off here: only this column and the bar may become narrower."""

    def render(self, task: Task) -> Text:
        return Text(task.fields["note"], no_wrap=True, overflow="ellipsis")


def export(network: TrainableNetwork, name: str | None = None) -> Network:
    """The network, under its name or another, as a `ostinato.model.network.Network`, to run or to write
    (`ostinato.model.file.write`)."""
    specification = network.specification
    return Network(dataclasses.replace(specification, name=name or specification.name), network.weights())
