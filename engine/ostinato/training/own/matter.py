"""What a user's data ask for: a model, and what it learns from and is judged by.

`frames`, `texts` and `speech` make it.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field
from typing import NamedTuple, Protocol

from ostinato.model.network import Network
from ostinato.model.specification import Specification
from ostinato.training.batching import Batch
from ostinato.training.losses import Loss
from ostinato.training.network import TrainableNetwork
from ostinato.training.packing import Array


class Examples(Protocol):
    """Sequences to learn from, or to judge by."""

    @property
    def lengths(self) -> list[int]:
        """Of each, in frames or tokens."""

    def batches(self, size: int, seed: int, epoch: int | None) -> Iterator[Batch]:
        """All of them, of about equal lengths, in an order of the epoch's own; None: the longest first."""

    def digest(self) -> str:
        """Of all that is in them."""


class Tested(NamedTuple):
    """What data that nothing was learnt or chosen from say: a number, of how many answers, and what it is."""

    value: float
    answers: int
    what: str


@dataclass(frozen=True)
class Matter:
    """``about``: which answers the data have; ``amount``: how much is learnt from. ``labelled``: whether an answer is
    right or wrong. ``test``: of a finished model, through its own stream; None without test data. ``constants``: of
    the front end. ``error_rate``: of a network in training, on ``held``, where answers are no labels of frames: it
    chooses the weights, where else the loss does."""

    specification: Specification
    loss: Loss
    seen: Examples
    held: Examples
    about: str
    amount: str
    labelled: bool
    test: Callable[[Network], Tested] | None
    constants: Mapping[str, Array] = field(default_factory=dict)
    error_rate: Callable[[TrainableNetwork], float] | None = None
