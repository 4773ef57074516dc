"""The kinds of layers, a file each, and the table of them all."""

from ostinato.model.layers.activate import Activate
from ostinato.model.layers.add import Add
from ostinato.model.layers.attention import Attention
from ostinato.model.layers.batch_norm import BatchNorm
from ostinato.model.layers.concatenate import Concatenate
from ostinato.model.layers.convolution import Convolution
from ostinato.model.layers.dense import Dense
from ostinato.model.layers.each import Each
from ostinato.model.layers.embedding import Embedding
from ostinato.model.layers.first import First
from ostinato.model.layers.gather import Gather
from ostinato.model.layers.gru import Gru
from ostinato.model.layers.last import Last
from ostinato.model.layers.layer import Layer, Precision
from ostinato.model.layers.layer_norm import LayerNorm
from ostinato.model.layers.lru import Lru
from ostinato.model.layers.lstm import Lstm
from ostinato.model.layers.mean import Mean
from ostinato.model.layers.min_gru import MinGru
from ostinato.model.layers.min_lstm import MinLstm
from ostinato.model.layers.multiply import Multiply
from ostinato.model.layers.one_hot import OneHot
from ostinato.model.layers.pooling import MaxPool, MeanPool, Stack
from ostinato.model.layers.prelu import PRelu
from ostinato.model.layers.recurrent import Direction, Recurrent
from ostinato.model.layers.rnn import Rnn
from ostinato.model.layers.scale import Scale
from ostinato.model.layers.slice import Slice
from ostinato.model.layers.softmax import Softmax
from ostinato.model.layers.sru import Sru
from ostinato.model.layers.transpose import Transpose
from ostinato.model.layers.transposed_convolution import TransposedConvolution
from ostinato.model.layers.within import Within

LAYERS: dict[str, type[Layer]] = {
    layer.kind: layer
    for layer in (
        Rnn, Gru, Lstm,
        MinGru,
        MinLstm,
        Sru,
        Lru,
        Dense, Embedding, OneHot, Softmax,
        Activate, Add, Multiply, Mean, Concatenate,
        Convolution, TransposedConvolution, MaxPool, MeanPool, Stack,
        Slice, Scale, BatchNorm, LayerNorm, PRelu,
        Transpose,
        Gather,
        Within,
        Each,
        First, Attention, Last,
    )
}  # fmt: skip
"""All kinds, by their name in model files."""

__all__ = [
    "LAYERS", "Layer", "Recurrent", "Direction", "Precision",
    "MinGru",
    "MinLstm",
    "Sru",
    "Lru",
    "Rnn", "Gru", "Lstm", "Dense", "Embedding", "OneHot", "Softmax",
    "Activate", "Add", "Multiply", "Mean", "Concatenate",
    "Convolution", "TransposedConvolution", "MaxPool", "MeanPool", "Stack",
    "Slice", "Scale", "BatchNorm", "LayerNorm", "PRelu",
    "Transpose",
    "Gather",
    "Within",
    "Each",
    "First", "Attention", "Last",
]  # fmt: skip
