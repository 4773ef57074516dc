"""What recurrent layers share: a kind says how it goes forward from its first frame, in one direction; backward is
the same from the last one."""

from __future__ import annotations

import abc
from collections.abc import Callable, Sequence
from typing import Any

import numpy as np

from kinds.kind import Doubles, Floats, Kind, Weights, Wires


class RecurrentKind(Kind):
    @abc.abstractmethod
    def recur(self, layer: Any, weights: Weights, x: Doubles) -> Doubles:
        """Outputs [T, size] of one direction, forward from its start; ``weights`` of that direction."""

    def recur_rounded(self, layer: Any, weights: Weights, x: Floats, one_hot: bool) -> Floats:
        """`recur` in float32, rounded where the kernels round; ``one_hot``: x are token ids [T]."""
        raise NotImplementedError(f"{layer.kind}: how it is rounded is not written down")

    def reference(self, layer: Any, weights: Weights, inputs: Sequence[Doubles], wires: Wires) -> Doubles:
        if len(inputs) > 1:
            weights = {**weights, **begun(layer, inputs[1][-1])}
        return side_by_side(layer, weights, inputs[0], lambda w, x: self.recur(layer, w, x))

    def rounded(self, layer: Any, weights: Weights, inputs: Sequence[Floats], wires: Wires) -> Floats:
        token = wires[0].token
        return side_by_side(layer, weights, inputs[0], lambda w, x: self.recur_rounded(layer, w, x, token))

    def block(
        self, layer: Any, weights: Weights, past: Sequence[Doubles], inputs: Sequence[Doubles], wires: Wires
    ) -> Doubles:
        """Forward states are carried from block to block, backward ones start anew at its end."""
        outputs = []
        for way in layer.directions:
            before = past[0] if way == "forward" else past[0][:0]
            x = np.concatenate([before, inputs[0]])[:: 1 if way == "forward" else -1]
            y = self.recur(layer, direction(weights, way), x)
            outputs.append(y[len(before) :] if way == "forward" else y[::-1])
        return np.concatenate(outputs, axis=1)


def side_by_side(layer: Any, weights: Weights, x: Any, recur: Callable[[Weights, Any], Any]) -> Any:
    """The outputs of all directions of a layer."""
    turns = {"forward": 1, "backward": -1}
    ways = [(direction(weights, way), turns[way]) for way in layer.directions]
    return np.concatenate([recur(own, x[::turn])[::turn] for own, turn in ways], axis=1)


def begun(layer: Any, values: Doubles) -> Weights:
    """What a layer that runs forward begins from, as the weights that would say so: h, then what else there is."""
    found = {}
    for state in sorted(layer.states, key=lambda state: state != "h"):
        own, values = np.split(values, [layer.states[state]])
        if len(own):
            found[f"forward.initial_{state}"] = own
    return found


def start(layer: Any, weights: Weights, state: str) -> Any:
    """What a direction's state is before its first frame, in the weights' precision."""
    zeros = np.zeros(layer.states[state], weights["Rb" if "Rb" in weights else "b"].dtype)
    return weights.get(f"initial_{state}", zeros)


def direction(weights: Weights, way: str) -> Weights:
    """Those of one direction."""
    return {name.removeprefix(f"{way}."): array for name, array in weights.items() if name.startswith(f"{way}.")}
