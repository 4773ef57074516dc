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
    "Lambda": "is code, which is not run: build it of Keras's own layers or keras.ops, and save it again",
    "RepeatVector": f"{WHOLE}a decoder that begins when the utterance ends is not read here",
    "Attention": f"{WHOLE}attention over time is not read here",
    "AdditiveAttention": f"{WHOLE}attention over time is not read here",
    "MultiHeadAttention": f"{WHOLE}attention over time is not read here",
    "TextVectorization": "holds words: import the layers above it, and give words as front_end in --settings",
    "StringLookup": "holds words: import the layers above it, and give words as front_end in --settings",
    **dict.fromkeys(
        (
            "Conv2D",
            "Conv3D",
            "Conv2DTranspose",
            "DepthwiseConv2D",
            "SeparableConv2D",
            "MaxPooling2D",
            "AveragePooling2D",
            "GlobalAveragePooling2D",
            "GlobalMaxPooling2D",
            "ZeroPadding2D",
            "UpSampling2D",
        ),
        "works over two axes, which is not read here: export the model as ONNX (tf2onnx), of which it is",
    ),
    **dict.fromkeys(
        ("ConvLSTM1D", "ConvLSTM2D", "ConvLSTM3D"), "has a convolution in its recurrence, which is not read here"
    ),
    "GroupNormalization": f"{WHOLE}its statistics are of all frames; LayerNormalization is of each",
    "UnitNormalization": "is not read here: LayerNormalization is",
    "Cropping1D": "cuts frames off at an utterance's ends: take a convolution with less padding",
    "Mean": f"{WHOLE}a mean over time is read only at the end, as GlobalAveragePooling1D of probabilities",
}
"""Of classes that are not read, why, and what to do instead."""

__all__ = ["CONVERTERS", "REASONS"]
