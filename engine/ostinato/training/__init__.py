"""Learning: back-propagation through time, losses, optimisers, and a training loop; recipes build on them.

network = TrainableNetwork(specification, seed=0, dropout=0.1)
optimiser = Adam(Warmup(Cosine(3e-3, total=4800), 200), clip_norm=5.0)
fit(network, batches, CtcLoss(), optimiser, steps=5000, evaluate=error_rate)  # or a loss for each head by its name
ostinato.model.file.write(path, export(network))
"""

from ostinato.training.batching import Batch, Sources, bucketed, pad
from ostinato.training.losses import (
    BinaryCrossEntropy,
    CrossEntropy,
    CtcLoss,
    Huber,
    Judgement,
    Loss,
    MeanAbsoluteError,
    MeanSquaredError,
)
from ostinato.training.network import TrainableNetwork
from ostinato.training.objective import Objective
from ostinato.training.optimisers import Adam, AdamW, Optimiser, RmsProp, Sgd
from ostinato.training.packing import Learning
from ostinato.training.schedules import Constant, Cosine, Linear, Plateau, Schedule, StepDecay, Trapezoid, Warmup
from ostinato.training.trainer import History, export, fit

__all__ = [
    "TrainableNetwork",
    "fit",
    "History",
    "export",
    "Batch",
    "Sources",
    "bucketed",
    "pad",
    "Optimiser",
    "Sgd",
    "RmsProp",
    "Adam",
    "AdamW",
    "Schedule",
    "Constant",
    "Linear",
    "Cosine",
    "StepDecay",
    "Trapezoid",
    "Plateau",
    "Warmup",
    "Objective",
    "Learning",
    "Loss",
    "Judgement",
    "CtcLoss",
    "CrossEntropy",
    "BinaryCrossEntropy",
    "MeanSquaredError",
    "MeanAbsoluteError",
    "Huber",
]
