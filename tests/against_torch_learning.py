"""Learning beside PyTorch itself: ten steps from the same weights on the same ragged batch, then all are compared.

Every recurrent layer that PyTorch has, in one direction and both, every loss and optimiser; in float64, and in
float32, which learns on other kernels. A command, as PyTorch is no package that tests need:
``python tests/against_torch_learning.py`` where it is installed."""

from __future__ import annotations

import sys
from collections.abc import Callable, Iterator
from typing import Any

import numpy as np
import numpy.typing as npt
import torch
from torch import nn
from torch.nn import functional as F  # noqa: N812
from torch.nn.utils.rnn import pack_padded_sequence, pad_packed_sequence

from ostinato.model import Network
from ostinato.model.activation import Activation
from ostinato.model.decoders import Outputs
from ostinato.model.front_ends import Frames
from ostinato.model.layers import Dense, Gru, Layer, Lstm, Rnn, Softmax
from ostinato.model.specification import Sequential
from ostinato.training import Adam, AdamW, Batch, Loss, Objective, Optimiser, RmsProp, Sgd, TrainableNetwork, losses
from ostinato.training.learner import Learner
from ostinato_bench.peers import pytorch

STEPS, RATE, INPUT, HIDDEN, CLASSES = 10, 5e-3, 9, 24, 5
LENGTHS = np.array([12, 7, 12, 4, 9, 1])
CLOSE = {np.float64: 1e-7, np.float32: 2e-4}
"""The largest difference of a weight, of weights that have gone some hundredths; ours are compared in float32."""

Floats = npt.NDArray[Any]
Judge = Callable[[torch.Tensor, Any, torch.Tensor], torch.Tensor]
"""The mean loss of logits [B, T, K], the targets, and which frames there are [B, T]."""

LAYERS: dict[str, Callable[[], list[Layer]]] = {
    "rnn": lambda: [Rnn(HIDDEN)],
    "gru": lambda: [Gru(HIDDEN)],
    "lstm": lambda: [Lstm(HIDDEN)],
    "rnn, bidirectional, 2 layers": lambda: [Rnn(HIDDEN, "bidirectional")] * 2,
    "gru, bidirectional, 2 layers": lambda: [Gru(HIDDEN, "bidirectional")] * 2,
    "lstm, bidirectional, 2 layers": lambda: [Lstm(HIDDEN, "bidirectional")] * 2,
}
OPTIMISERS: dict[str, tuple[Callable[[], Optimiser], Callable[[Any], torch.optim.Optimizer]]] = {
    "sgd": (lambda: Sgd(RATE, momentum=0.9), lambda p: torch.optim.SGD(p, RATE, momentum=0.9)),
    "sgd, Nesterov's": (
        lambda: Sgd(RATE, momentum=0.9, nesterov=True),
        lambda p: torch.optim.SGD(p, RATE, momentum=0.9, nesterov=True),
    ),
    "rmsprop": (lambda: RmsProp(RATE, momentum=0.5), lambda p: torch.optim.RMSprop(p, RATE, momentum=0.5)),
    "adam": (lambda: Adam(RATE), lambda p: torch.optim.Adam(p, RATE)),
    "adam, clipped": (lambda: Adam(RATE, clip_norm=0.05), lambda p: torch.optim.Adam(p, RATE)),
}
"""AdamW is beside Adam below: PyTorch's also lets biases decay unless they are in a group of their own."""


def elementwise(judge: Callable[[torch.Tensor, torch.Tensor], torch.Tensor]) -> Judge:
    """Of frames that there are."""
    return lambda y, targets, there: judge(y[there], torch.from_numpy(targets).to(y.dtype)[there])


def classes(y: torch.Tensor, targets: Any, there: torch.Tensor) -> torch.Tensor:
    """Cross-entropy with label smoothing."""
    return F.cross_entropy(y[there], torch.from_numpy(targets)[there], label_smoothing=0.1)


def labels(y: torch.Tensor, targets: Any, there: torch.Tensor) -> torch.Tensor:
    """Connectionist temporal classification."""
    sizes, flat = (
        torch.tensor([len(each) for each in targets]),
        torch.tensor(np.concatenate(targets).astype(np.int64)),
    )
    log_p = F.log_softmax(y, 2).transpose(0, 1)
    return F.ctc_loss(log_p, flat, torch.from_numpy(LENGTHS), sizes, reduction="none").mean()


random = np.random.default_rng(0)
FRAMES = random.normal(size=(len(LENGTHS), LENGTHS.max(), INPUT)).astype(np.float32)
NUMBERS = random.normal(size=(*FRAMES.shape[:2], CLASSES)).astype(np.float32)
LABELS = [[int(label) for label in random.integers(1, CLASSES, max(1, length // 3))] for length in LENGTHS]
LOSSES: dict[str, tuple[Loss, Any, Judge]] = {
    "cross-entropy": (losses.CrossEntropy(smoothing=0.1), random.integers(0, CLASSES, FRAMES.shape[:2]), classes),
    "binary cross-entropy": (
        losses.BinaryCrossEntropy(),
        (NUMBERS > 0).astype(np.float32),
        elementwise(F.binary_cross_entropy_with_logits),
    ),
    "squared error": (losses.MeanSquaredError(), NUMBERS, elementwise(F.mse_loss)),
    "absolute error": (losses.MeanAbsoluteError(), NUMBERS, elementwise(F.l1_loss)),
    "huber": (losses.Huber(0.5), NUMBERS, elementwise(lambda v, y: F.huber_loss(v, y, delta=0.5))),
    "ctc": (losses.CtcLoss(), LABELS, labels),
}


class Theirs(nn.Module):
    """The recurrent layers and a dense one, from our weights."""

    def __init__(self, layers: Network, W: Floats, b: Floats) -> None:
        super().__init__()
        self.recurrent = pytorch.module(layers)
        self.recurrent.batch_first = True
        self.dense = nn.Linear(W.shape[1], W.shape[0])
        with torch.no_grad():
            self.dense.weight.copy_(torch.tensor(W))
            self.dense.bias.copy_(torch.tensor(b))

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        """Logits [B, T, K]."""
        packed = pack_padded_sequence(x, torch.from_numpy(LENGTHS), batch_first=True, enforce_sorted=False)
        y, _ = pad_packed_sequence(self.recurrent(packed)[0], batch_first=True)
        return self.dense(y)


def whole(layers: list[Layer], link: str | None) -> Network:
    """With a dense layer above, and what the loss computes itself."""
    above = Dense(CLASSES, activation=Activation("sigmoid")) if link == "sigmoid" else Dense(CLASSES)
    softmax = [Softmax()] if link == "softmax" else []
    start = Network.random(Sequential("t", Frames(INPUT), [*layers, above, *softmax], Outputs()), seed=1)
    noise = np.random.default_rng(2)
    weights = {
        name: array if array.ndim > 1 else noise.uniform(-0.3, 0.3, array.shape).astype(np.float32)
        for name, array in start.weights.items()
    }
    return Network(start.specification, weights)


def theirs(network: Network, layers: list[Layer]) -> Theirs:
    """PyTorch's, from the weights of ours."""
    alone = Sequential("t", Frames(INPUT), layers, Outputs())
    weights = {name: network.weights[name] for name in alone.weights()}
    return Theirs(Network(alone, weights), network.weights["dense.W"], network.weights["dense.b"])


def difference(
    layers: list[Layer], loss: str, ours: Optimiser, make: Callable[[Any], torch.optim.Optimizer], dtype: Any
) -> float:
    """The largest of any weight after the steps. Initial states, which PyTorch's layers do not learn, stay zero."""
    criterion, targets, judge = LOSSES[loss]
    network = whole(layers, criterion.link)
    net = TrainableNetwork(network.specification, dtype, weights=network.weights)
    learner = Learner(net, Objective(net, criterion), ours)
    module = theirs(network, layers).to(torch.float64 if dtype == np.float64 else torch.float32)
    optimiser = make(module.parameters())
    x, there = (
        torch.from_numpy(FRAMES.astype(dtype)),
        torch.arange(LENGTHS.max()) < torch.from_numpy(LENGTHS)[:, None],
    )
    for step in range(STEPS):
        learner.learn(Batch(FRAMES.astype(dtype), LENGTHS, targets), (0, step))
        optimiser.zero_grad()
        judge(module(x), targets, there).backward()  # type: ignore[no-untyped-call]
        if ours.clip_norm is not None:
            nn.utils.clip_grad_norm_(module.parameters(), ours.clip_norm)
        optimiser.step()
    learnt = theirs(Network(network.specification, net.weights()), layers).state_dict()
    found = {name: (learnt[name] - after).abs().max().item() for name, after in module.state_dict().items()}
    begun = theirs(network, layers).state_dict()
    assert all((learnt[name] - before).abs().max() > 1e-3 for name, before in begun.items()), "nothing was learnt"
    return max(found.values())


def compared(dtype: Any) -> Iterator[tuple[str, float]]:
    """Each kind of layer, then each loss, then each optimiser, with the others as they mostly are."""
    for name, layers in LAYERS.items():
        yield name, difference(layers(), "cross-entropy", Adam(RATE), OPTIMISERS["adam"][1], dtype)
    for name in LOSSES:
        yield name, difference([Gru(HIDDEN)], name, Adam(RATE), OPTIMISERS["adam"][1], dtype)
    for name, (ours, make) in OPTIMISERS.items():
        yield name, difference([Lstm(HIDDEN)], "cross-entropy", ours(), make, dtype)

    def adamw(parameters: Any) -> torch.optim.Optimizer:
        every = list(parameters)
        biases = {"params": [p for p in every if p.ndim == 1], "weight_decay": 0}
        return torch.optim.AdamW([{"params": [p for p in every if p.ndim > 1]}, biases], RATE, weight_decay=0.1)

    yield "adamw", difference([Lstm(HIDDEN)], "cross-entropy", AdamW(RATE, weight_decay=0.1), adamw, dtype)


def main() -> int:
    """All of it; 1 if anything is too far off."""
    print(f"PyTorch {torch.__version__}: the largest difference of a weight after {STEPS} steps")
    torch.set_num_threads(1)
    wrong = 0
    for dtype, close in CLOSE.items():
        for what, largest in compared(dtype):
            equal = largest < close
            wrong += not equal
            print(f"{largest:8.1e}  {np.dtype(dtype).name}  {what}{'' if equal else '  NOT EQUAL'}", flush=True)
    print("all equal" if not wrong else f"{wrong} NOT EQUAL")
    return int(wrong > 0)


if __name__ == "__main__":
    sys.exit(main())
