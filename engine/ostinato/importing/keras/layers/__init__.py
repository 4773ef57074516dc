"""Keras's layers by class: a file a family, and the table of them all."""

from ostinato.importing.keras.layers import (
    activation,
    convolution,
    dense,
    merging,
    normalization,
    passing,
    pooling,
    recurrent,
    reshaping,
    wrapping,
)
from ostinato.importing.keras.place import Converter

CONVERTERS: dict[str, Converter] = {
    **recurrent.CONVERTERS,
    **dense.CONVERTERS,
    **convolution.CONVERTERS,
    **pooling.CONVERTERS,
    **normalization.CONVERTERS,
    **activation.CONVERTERS,
    **merging.CONVERTERS,
    **reshaping.CONVERTERS,
    **passing.CONVERTERS,
    **wrapping.CONVERTERS,
}
"""What makes nodes of a layer, by its class."""

WHOLE = "needs the whole utterance before it says anything: "
REASONS = {
    "Lambda": "is code, which is not run: build it of Keras's own layers, and save it again",
    "RepeatVector": f"{WHOLE}a decoder that begins when the utterance ends is not read here",
    "Attention": f"{WHOLE}attention over time is not read here",
    "AdditiveAttention": f"{WHOLE}attention over time is not read here",
    "MultiHeadAttention": f"{WHOLE}attention over time is not read here",
    "TextVectorization": "holds words: import the layers above it, and give words as front_end in --settings",
    "StringLookup": "holds words: import the layers above it, and give words as front_end in --settings",
    "Conv2D": "works over two axes: only what works over time is read here",
    "ConvLSTM1D": "has a convolution in its recurrence, which is not read here",
}
"""Of classes that are not read, why, and what to do instead."""

__all__ = ["CONVERTERS", "REASONS"]
