"""Recurrent layers that learn in PyTorch: our weights, a dense layer above them, cross-entropy, Adam."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
import numpy.typing as npt

from ostinato.model import Network
from ostinato_bench.peers import pytorch


def learner(
    layers: Network,
    dense: tuple[npt.NDArray[np.float32], npt.NDArray[np.float32]],
    frames: npt.NDArray[np.float32],
    classes: npt.NDArray[np.int64],
    rate: float,
    threads: int,
) -> Callable[[], float] | None:
    """A step of learning that gives the mean loss before it; None if torch is not installed or has no such layers.

    ``layers`` alone, above them logits W h + b of ``dense``, W [K, H] and b [K]; ``frames`` [sequence, frame, value],
    the right ``classes`` [sequence, frame]. Each step is made on ``threads`` threads.
    """
    if (recurrent := pytorch.module(layers)) is None:
        return None
    import torch

    recurrent = recurrent.train()
    recurrent.batch_first = True
    W, b = dense
    above = torch.nn.Linear(W.shape[1], W.shape[0])
    with torch.no_grad():
        above.weight.copy_(torch.tensor(W))
        above.bias.copy_(torch.tensor(b))
    optimiser = torch.optim.Adam([*recurrent.parameters(), *above.parameters()], lr=rate)
    x, right = torch.from_numpy(frames), torch.from_numpy(classes).reshape(-1)

    def step() -> float:
        if torch.get_num_threads() != threads:
            torch.set_num_threads(threads)
        optimiser.zero_grad()
        logits: Any = above(recurrent(x)[0])
        loss = torch.nn.functional.cross_entropy(logits.reshape(-1, logits.shape[2]), right)
        loss.backward()
        optimiser.step()
        return float(loss.detach())

    return step
