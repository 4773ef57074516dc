"""Graphs of a few nodes, written short."""

from __future__ import annotations

from typing import Any

from ostinato.model.decoders import Outputs
from ostinato.model.front_ends import Frames
from ostinato.model.layers import Dense, Layer
from ostinato.model.specification import Head, Node, Specification


def graph(*nodes: tuple[str, Layer, str], front: Any = None, decoder: Any = None) -> Specification:
    """Nodes as (name, layer, the names of its inputs); the last is the head's."""
    made = tuple(Node(name, layer, tuple(inputs.split())) for name, layer, inputs in nodes)
    return Specification("x", front or Frames(5), made, (Head("main", nodes[-1][0], decoder or Outputs()),))


def joined(layer: Layer, *sizes: int) -> Specification:
    """The layer above dense ones of these sizes."""
    below = [(f"in{k}", Dense(size), "frames") for k, size in enumerate(sizes)]
    return graph(*below, ("y", layer, " ".join(name for name, _, _ in below)))
