"""Values of nodes, brought into the order in which another reads them, by layers that only move them."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import numpy as np

from ostinato.importing.builder import Builder
from ostinato.importing.onnx.elements import ZERO, Ids, index_of, term_of, value
from ostinato.importing.onnx.orders import at_positions, runs, turned
from ostinato.importing.onnx.rows import whole
from ostinato.model.layers import Concatenate, Gather, Layer, Scale, Slice, Transpose, Within

_MOST_PIECES = 16
"""Slices that are put together; what is scattered more is gathered."""
Nodes = Mapping[int, tuple[str, int]]
"""The nodes that terms stand for, and their sizes."""


class Arranging:
    """Orders of values in one network."""

    def __init__(self, builder: Builder) -> None:
        self._builder = builder
        self._made: dict[tuple[str, Layer], str] = {}

    def once(self, below: str, layer: Layer) -> str:
        """The node of a layer without weights above another: the one that is there, if there is one."""
        if (below, layer) not in self._made:
            self._made[below, layer] = self._builder.add(layer, [below])
        return self._made[below, layer]

    def picked(self, ids: Ids, nodes: Nodes) -> str:
        """Values of nodes that are in step, in the order of ``ids``, whose terms stand for these nodes."""
        number = int(term_of(ids[ids >= 0][:1])[0])
        if len(nodes) == 1 and len(ids) == nodes[number][1] and whole(ids):
            return nodes[number][0]
        if (ids >= 0).all():
            pieces = runs(ids)
            if len(pieces) > 2:
                if (parted := self._parted(ids, nodes)) is not None:
                    return parted
                found = turned(ids)
                if found is not None and len(runs(found[1])) < min(len(pieces) - 1, _MOST_PIECES):
                    return self._builder.add(Transpose(found[0]), [self.picked(found[1], nodes)])
            if len(pieces) <= _MOST_PIECES:
                return self._beside([self._run(ids[start:end], nodes) for start, end in pieces])
        return self._gathered(ids, nodes)

    def _beside(self, names: Sequence[str], positions: int = 1) -> str:
        """Nodes side by side, at each position."""
        if len(names) == 1:
            return names[0]
        return self._builder.add(Concatenate() if positions == 1 else Within(positions, Concatenate()), names)

    def _run(self, ids: Ids, nodes: Nodes) -> str:
        """Values that follow each other."""
        node, size = nodes[int(term_of(ids[:1])[0])]
        if len(ids) == size or self._builder.wires[node].token:
            return node
        return self.once(node, Slice(int(index_of(ids[:1])[0]), len(ids)))

    def _parted(self, ids: Ids, nodes: Nodes) -> str | None:
        """Some channels of each position, of nodes that have as many positions."""
        if (found := at_positions(ids)) is None:
            return None
        positions, pieces = found
        if any(nodes[each.term][1] != positions * each.channels for each in pieces):
            return None
        if all(each.channels == 1 for each in pieces):
            return None  # a matrix that is turned
        names = []
        for each in pieces:
            node, _ = nodes[each.term]
            own = Within(positions, Slice(each.first, each.size))
            names.append(node if each.size == each.channels else self.once(node, own))
        return self._beside(names, positions)

    def _gathered(self, ids: Ids, nodes: Nodes) -> str:
        """Any values, and constants."""
        starts = dict(zip(nodes, np.cumsum([0, *(size for _, size in nodes.values())]).tolist(), strict=False))
        source = self._beside([name for name, _ in nodes.values()])
        pairs = zip(term_of(ids).tolist(), index_of(ids).tolist(), strict=True)
        made = self.once(source, Gather(tuple(starts[term] + index if term >= 0 else -1 for term, index in pairs)))
        b = np.where(ids >= 0, 0, value(np.where(ids < 0, ids, ZERO)))
        return self._builder.add(Scale(), [made], {"a": np.ones(len(b)), "b": b}) if b.any() else made
