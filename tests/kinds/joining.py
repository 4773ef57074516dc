"""What kinds share that join several vectors."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from hypothesis import strategies as st

from kinds.kind import Floats, Kind
from ostinato.model.layers import Direction, Layer
from ostinato.model.wire import Wire


class JoiningKind(Kind):
    def drawn(
        self, draw: st.DrawFn, wires: Mapping[str, Wire], directions: Sequence[Direction]
    ) -> tuple[Layer, tuple[str, ...]] | None:
        """Two to four different inputs, if there are that many which fit each other; else one of them twice."""
        layer = self.layer()
        vectors = [name for name, wire in wires.items() if not wire.token]
        if not vectors:
            return None
        fitting = {
            first: [name for name in vectors if name != first and self.takes(layer, [wires[first], wires[name]])]
            for first in vectors
        }
        several = [first for first, others in fitting.items() if others]
        first = draw(st.sampled_from(several or vectors))
        others = fitting[first] or [first]
        chosen = draw(st.permutations(others))[: draw(st.integers(1, 3))]
        inputs = tuple(draw(st.permutations([first, *chosen])))
        return (layer, inputs) if self.takes(layer, [wires[name] for name in inputs]) else (layer, (first, first))


def in_order(inputs: Sequence[Floats]) -> list[Floats]:
    """The order that values are joined in: those of a single one come last."""
    return sorted(inputs, key=lambda x: x.shape[1] == 1)
