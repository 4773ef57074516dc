"""Networks to measure, made by today's specification or by that of an older commit (`ostinato_bench.revisions`)."""

from __future__ import annotations

from typing import Any

from ostinato.model import Network


def recurrent(name: str, kind: str, size: int, hidden: int, layers: int, direction: str) -> Network:
    """A stack of recurrent layers over frames of ``size`` values and nothing else, with random weights."""
    try:
        from ostinato.model.decoders import Outputs
        from ostinato.model.front_ends import Frames
        from ostinato.model.layers import LAYERS
        from ostinato.model.specification import Sequential
    except ImportError:
        return _before_graphs(name, kind, size, hidden, layers, direction)
    make: Any = LAYERS[kind]
    chain = [make(hidden, direction) for _ in range(layers)]
    return Network.random(Sequential(name, Frames(size), chain, Outputs()))


def _before_graphs(name: str, kind: str, size: int, hidden: int, layers: int, direction: str) -> Network:
    """The same by a specification of version 1, in which layers repeated the sizes of their inputs."""
    from ostinato.model import specification as old

    made: Any = old
    cell = {"rnn": "Rnn", "gru": "Gru", "lstm": "Lstm"}[kind]
    above = hidden * (2 if direction == "bidirectional" else 1)
    sizes = [size] + [above] * (layers - 1)
    chain = tuple(getattr(made, cell)(below, hidden, direction=direction) for below in sizes)
    return Network.random(made.Specification(name, made.Frames(size), chain, made.Outputs()))
