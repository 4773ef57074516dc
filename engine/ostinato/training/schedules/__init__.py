"""Learning-rate schedules, a file each, and the table of them all."""

from collections.abc import Mapping

from ostinato.training.schedules.constant import Constant
from ostinato.training.schedules.cosine import Cosine
from ostinato.training.schedules.linear import Linear
from ostinato.training.schedules.plateau import Plateau
from ostinato.training.schedules.schedule import Schedule
from ostinato.training.schedules.step_decay import StepDecay
from ostinato.training.schedules.trapezoid import Trapezoid
from ostinato.training.schedules.warmup import Warmup

SCHEDULES: Mapping[str, type[Schedule]] = {
    each.kind: each for each in (Constant, Linear, Cosine, Trapezoid, StepDecay, Plateau, Warmup)
}
"""By the kind's name in configurations."""

__all__ = ["SCHEDULES", "Constant", "Cosine", "Linear", "Plateau", "Schedule", "StepDecay", "Trapezoid", "Warmup"]
