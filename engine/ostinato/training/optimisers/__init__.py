"""Optimisers, a file each, and the table of them all."""

from collections.abc import Callable, Mapping

from ostinato.training.optimisers.adam import Adam, AdamW
from ostinato.training.optimisers.optimiser import Optimiser
from ostinato.training.optimisers.rmsprop import RmsProp
from ostinato.training.optimisers.sgd import Sgd

OPTIMISERS: Mapping[str, Callable[..., Optimiser]] = {each.kind: each for each in (Sgd, RmsProp, Adam, AdamW)}
"""By the kind's name in configurations."""

__all__ = ["OPTIMISERS", "Adam", "AdamW", "Optimiser", "RmsProp", "Sgd"]
