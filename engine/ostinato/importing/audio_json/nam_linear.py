"""Neural Amp Modeler's Linear: an impulse response, and a bias."""

from __future__ import annotations

import numpy as np

from ostinato.errors import ForeignModelError
from ostinato.importing.audio_json.document import Document
from ostinato.importing.audio_json.weight_list import WeightList
from ostinato.importing.builder import Builder
from ostinato.importing.draft import Decision
from ostinato.model.layers import Convolution


def build(config: Document, weights: WeightList, builder: Builder, node: str) -> tuple[str, list[Decision]]:
    """As `nam.ARCHITECTURES` has it."""
    taps, bias = config.size("receptive_field"), config.take("bias", bool)
    if config.size("out_channels", 1) != 1 or builder.wires[node].size != 1:
        raise ForeignModelError("a Linear of several channels is not read here: import one channel each")
    config.drop("implementation")  # how the player computes it, not what
    W = weights.take("the impulse response", 1, taps)[:, ::-1]  # the latest sample's tap is our last
    b = weights.take("the bias", 1) if bias else np.zeros(1, np.float32)
    return builder.add(Convolution(1, taps), [node], {"W": W, "b": b}, name="response"), []
