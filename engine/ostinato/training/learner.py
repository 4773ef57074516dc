"""One batch learnt from: forward, losses, backward, and steps of the optimiser; in shares, and in parts of time.

A batch is divided into shares of sequences that are computed side by side. How many there are depends on the batch
alone, and what they give is summed in their order: so numbers do not depend on how many threads there are. NumPy's
products and the kernels release Python's lock while they compute.
"""

from __future__ import annotations

import math
import os
from collections.abc import Iterator, Mapping
from contextlib import AbstractContextManager
from itertools import repeat
from typing import Any, NamedTuple

import numpy as np
import numpy.typing as npt

from ostinato.errors import ShapeError, TrainingError
from ostinato.training.batching import Batch, Sources
from ostinato.training.losses import Judgement
from ostinato.training.network import TrainableNetwork
from ostinato.training.objective import Objective
from ostinato.training.optimisers import Optimiser
from ostinato.training.packing import Array, Learning
from ostinato.training.side_by_side import SideBySide
from ostinato.training.tape import Tape


class Outcome(NamedTuple):
    """Of a batch, by head: the sum of its losses, and how much was counted. ``skipped``: sequences that cannot be."""

    sums: dict[str, float]
    counts: dict[str, float]
    skipped: int


class _Share(NamedTuple):
    """Some sequences of a batch, what is right for them by head, and where they are computed: which of the ``inputs``
    are theirs (``rows``; None: all)."""

    tape: Tape
    learning: Learning
    inputs: Array
    rows: npt.NDArray[np.int64] | None
    lengths: npt.NDArray[np.int64]
    targets: Mapping[str, Any]
    sources: Sources | None

    def own_inputs(self) -> Array:
        """Those of its sequences, copied by the thread that asks."""
        return self.inputs if self.rows is None else self.inputs[self.rows]

    def part(self, frames: slice) -> _Share:
        """Some of its frames. Targets are one for each."""
        lengths = (self.lengths - frames.start).clip(0, frames.stop - frames.start)
        targets = {name: each[:, frames] for name, each in self.targets.items()}
        return self._replace(inputs=self.inputs[:, frames], lengths=lengths, targets=targets)


class Learner:
    """Learns from one batch after the other.

    ``share``: sequences that are computed together, None all of a batch; ``workers``: threads for them, None one for
    each processor. ``truncate``: frames of a part, None whole sequences: the optimiser takes a step for each part,
    states go on from one to the next, gradients end at its first frame (truncated back-propagation through time:
    Williams and Peng 1990). Raises TrainingError for a setting or loss that is none for that.
    """

    def __init__(
        self,
        network: TrainableNetwork,
        objective: Objective,
        optimiser: Optimiser,
        share: int | None = None,
        workers: int | None = None,
        truncate: int | None = None,
    ) -> None:
        for name, value in (("share", share), ("workers", workers), ("truncate", truncate)):
            if value is not None and value < 1:
                raise TrainingError(f"{name} = {value}: 1 at least")
        for loss in objective.losses.values():
            if truncate is not None and not loss.framewise:
                raise TrainingError(f"{loss.kind} judges whole sequences: learn without truncation")
        if truncate is not None and network.specification.encoder is not None:
            raise TrainingError("what an encoder makes is seen by all steps: learn without truncation")
        self.network, self.objective, self.optimiser = network, objective, optimiser
        self.share, self.truncate = share, truncate
        self._tapes: list[Tape] = []
        self._crew = SideBySide(1 if share is None else workers or os.cpu_count() or 1)

    def threads(self) -> AbstractContextManager[None]:
        """Within it, shares are computed side by side."""
        return self._crew.threads()

    def learn(self, batch: Batch, seed: tuple[int, ...], own_tokens: float = 0.0) -> Outcome:
        """Take the batch's steps; what is dropped is drawn from ``seed``. Raises TrainingError if a loss or gradient
        is not finite: that step is not taken.

        ``own_tokens``: the share of tokens that the network reads as it would have chosen them itself, the most
        probable ones, in place of right ones (scheduled sampling: Bengio et al. 2015), by a pass before that reads
        right ones (Mihaylova and Martins 2019, Scheduled sampling for transformers). Raises TrainingError for a
        network that does not generate.
        """
        if own_tokens and not self.network.feeds_back:
            raise TrainingError("own tokens are read by networks that generate: tokens in, decoder 'generation'")
        if not 0 <= own_tokens <= 1:
            raise TrainingError(f"own_tokens = {own_tokens} is not from 0 to 1")
        shares = list(self._shares(batch, seed))
        if own_tokens:
            shares = self._crew.map(self._mixed, shares, repeat(own_tokens, len(shares)))
        if self.truncate is None:
            return self._step(shares)
        sums, counts = (dict.fromkeys(self.objective.losses, 0.0) for _ in range(2))
        for start in range(0, int(np.max(batch.lengths, initial=1)), self.truncate):
            part = slice(start, start + self.truncate)
            found = self._step([share.part(part) for share in shares])
            for name in sums:
                sums[name] += found.sums[name]
                counts[name] += found.counts[name]
        return Outcome(sums, counts, 0)

    def _step(self, shares: list[_Share]) -> Outcome:
        judged: list[dict[str, Judgement]] = self._crew.map(self._judge, shares)
        outcome = _outcome(judged)
        if not all(map(math.isfinite, outcome.sums.values())):
            raise TrainingError(f"the loss is not finite at step {self.optimiser.steps}: lower the learning rate")

        def backward(share: _Share, found: dict[str, Judgement]) -> dict[str, Array]:
            return share.tape.backward(self.network.parameters, self.objective.gradients(found, outcome.counts))

        gradients: dict[str, Array] = {}
        for each in self._crew.map(backward, shares, judged):
            for name, gradient in each.items():
                gradients[name] = gradients[name] + gradient if name in gradients else gradient
        self.optimiser.step(self.network.parameters, gradients)
        self.network.settle([share.learning for share in shares])
        return outcome

    def _judge(self, share: _Share) -> dict[str, Judgement]:
        outputs = share.tape.forward(
            self.network.parameters, share.own_inputs(), share.lengths, share.learning, share.sources
        )
        targets = {
            name: each[:, : outputs[name].shape[1]] if isinstance(each, np.ndarray) else each
            for name, each in share.targets.items()
        }
        return self.objective(outputs, self.network.output_lengths(share.lengths), targets)

    def _mixed(self, share: _Share, own_tokens: float) -> _Share:
        """The share, some tokens of which are the network's own."""
        inputs, random = np.array(share.own_inputs()), share.learning.random
        found = share.tape.forward(self.network.parameters, inputs, share.lengths, None, share.sources)
        own = random.random(inputs.shape) < own_tokens
        own[:, 0] = False  # what a text begins with is nobody's choice
        (outputs,) = found.values()
        inputs[own] = outputs[:, :-1].argmax(axis=2)[own[:, 1:]]
        return share._replace(inputs=inputs, rows=None)

    def _shares(self, batch: Batch, seed: tuple[int, ...]) -> Iterator[_Share]:
        """The batch as a whole, or its sequences by turns, the longest first, so that shares are about as long."""
        inputs, lengths = self.network.checked(batch.inputs), np.asarray(batch.lengths, np.int64)
        targets, sources = self._targets(batch), self.network.checked_sources(batch.sources)
        count = 1 if self.share is None else max(1, -(-len(batch) // self.share))
        while len(self._tapes) < count:
            self._tapes.append(self.network.tape())
        order = np.argsort(-lengths, kind="stable")
        for number, tape in enumerate(self._tapes[:count]):
            learning = Learning(np.random.default_rng((*seed, number)), states=None if self.truncate is None else {})
            if count == 1:
                yield _Share(tape, learning, inputs, None, lengths, targets, sources)
                continue
            rows = order[number::count]
            some = {
                name: each[rows] if isinstance(each, np.ndarray) else [each[row] for row in rows]
                for name, each in targets.items()
            }
            chosen = None if sources is None else sources.some(rows)
            yield _Share(tape, learning, inputs, rows, lengths[rows], some, chosen)

    def _targets(self, batch: Batch) -> dict[str, Any]:
        """By head: arrays with one for each frame, or a list of what each whole sequence has."""
        shapes, lengths = self.network.output_shapes(batch.inputs, batch.lengths), None
        found: dict[str, Any] = {}
        for name, targets in self.objective.by_head(batch.targets).items():
            loss = self.objective.losses[name]
            if loss.framewise:
                lengths = lengths or self.network.output_lengths(batch.lengths)
                found[name] = loss.by_frame(shapes[name], lengths[name], targets)
            else:
                found[name] = list(targets)
                if len(found[name]) != len(batch):
                    raise ShapeError(f"{len(found[name])} targets for {len(batch)} sequences: one for each")
        return found


def _outcome(judged: list[dict[str, Judgement]]) -> Outcome:
    """Of shares together, summed in their order; without the sequences that do not count."""
    sums, counts, skipped = dict.fromkeys(judged[0], 0.0), dict.fromkeys(judged[0], 0.0), 0
    for share in judged:
        for name, each in share.items():
            some = each.counts > 0
            sums[name] += float(each.sums[some].sum())
            counts[name] += float(each.counts[some].sum())
            skipped += int(np.isposinf(each.sums[~some]).sum())
    return Outcome(sums, counts, skipped)
