"""Neural Amp Modeler's LSTM. For each layer W [4 hidden, inputs + hidden] with gates i f g o, a bias [4 hidden], and
the states h and c that a stream begins with; then a head W [channels, hidden] and its bias."""

from __future__ import annotations

import numpy as np

from ostinato.importing.audio_json.document import Document
from ostinato.importing.audio_json.weight_list import WeightList
from ostinato.importing.builder import Builder
from ostinato.importing.draft import Decision
from ostinato.importing.gates import reordered
from ostinato.model.layers import Dense, Lstm


def build(config: Document, weights: WeightList, builder: Builder, node: str) -> tuple[str, list[Decision]]:
    """As `nam.ARCHITECTURES` has it."""
    size, hidden, layers = config.size("input_size"), config.size("hidden_size"), config.size("num_layers")
    outputs = config.size("out_channels", 1)
    for number in range(1, layers + 1):
        origin = f"layer {number}"
        both = reordered(weights.take(f"W of {origin}", 4 * hidden, size + hidden), "ifco", "iofc")
        bias = reordered(weights.take(f"bias of {origin}", 4 * hidden), "ifco", "iofc")
        h, c = (weights.take(f"first {state} of {origin}", hidden) for state in "hc")
        parts = {"W": both[:, :size], "R": both[:, size:], "Wb": bias, "Rb": np.zeros_like(bias)}
        parts |= {"initial_h": h, "initial_c": c}
        node = builder.add(
            Lstm(hidden, initial=True), [node], {f"forward.{part}": value for part, value in parts.items()},
            name=f"lstm-{number}" if layers > 1 else "lstm", origin=origin,
        )  # fmt: skip
        size = hidden
    head = {"W": weights.take("W of the head", outputs, hidden), "b": weights.take("bias of the head", outputs)}
    node = builder.add(Dense(outputs), [node], head, name="head")
    text = "streams begin from the file's h and c; the player hears half a second of silence before the first sample"
    return node, [Decision("states", text)]
