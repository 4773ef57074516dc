"""What a network learns for: a loss for each of its heads, with its weight."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np
import numpy.typing as npt

from ostinato.errors import TrainingError, did_you_mean
from ostinato.training.links import taken
from ostinato.training.losses import Judgement, Loss
from ostinato.training.network import TrainableNetwork
from ostinato.training.packing import Array


class Objective:
    """The sum over heads of weight times mean loss. A head without a loss learns nothing."""

    def __init__(
        self, network: TrainableNetwork, loss: Loss | Mapping[str, Loss], weights: Mapping[str, float] | None = None
    ) -> None:
        """``loss``: of the network's only head, whose targets are then a batch's; or by the names of heads, as a
        batch's targets then are. ``weights``: 1 for those that have none. Raises TrainingError if they do not fit
        the network's heads."""
        heads = [head.name for head in network.specification.heads]
        self.single = heads[0] if isinstance(loss, Loss) else None
        if isinstance(loss, Loss) and len(heads) > 1:
            raise TrainingError(f"the network has heads {', '.join(heads)}: give a loss for each, by its name")
        self.losses: Mapping[str, Loss] = {heads[0]: loss} if isinstance(loss, Loss) else dict(loss)
        self.weights = {name: 1.0 for name in self.losses} | dict(weights or {})
        for name in self.weights:
            if name not in heads or name not in self.losses:
                raise TrainingError(f"a loss is for head {name!r}: there is none{did_you_mean(name, heads)}")
        if not self.losses or not all(0 <= w < np.inf for w in self.weights.values()):
            raise TrainingError("losses must be one at least, their weights at least 0 and finite")
        self._links = network.left_to_loss

    def by_head(self, targets: Any) -> Mapping[str, Any]:
        """A batch's targets by head. Raises TrainingError if those of a head are missing."""
        if self.single is not None:
            return {self.single: targets}
        for name in self.losses:
            if not isinstance(targets, Mapping) or name not in targets:
                raise TrainingError(f"a batch has no targets for head {name!r}")
        return dict(targets)

    def __call__(
        self, outputs: Mapping[str, Array], lengths: Mapping[str, npt.ArrayLike], targets: Mapping[str, Any]
    ) -> dict[str, Judgement]:
        """Each head's loss, its gradient by what `TrainableNetwork.forward` gave; all by head."""
        judged = {}
        for name, loss in self.losses.items():
            values, back = taken(outputs[name], lengths[name], self._links[name], loss.link)
            sums, counts, gradient = loss(values, lengths[name], targets[name])
            judged[name] = Judgement(sums, counts, back(gradient))
        return judged

    def gradients(self, judged: Mapping[str, Judgement], counts: Mapping[str, float]) -> dict[str, Array]:
        """Those of the objective, of which ``judged`` may be a part: ``counts`` are all that is counted."""
        found = {}
        for name, (_, _, gradient) in judged.items():
            scale = self.weights[name] / counts[name] if counts[name] else 0.0
            found[name] = gradient * gradient.dtype.type(scale)
        return found

    def mean(self, sums: Mapping[str, float], counts: Mapping[str, float]) -> float:
        """The objective: infinite if nothing was counted."""
        if not any(counts.values()):
            return np.inf
        return sum(self.weights[name] * sums[name] / counts[name] for name in self.losses if counts[name])
