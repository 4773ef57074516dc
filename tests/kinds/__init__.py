"""What tests know of each kind of layer, a file each, and the table of them all.

A new kind is one file here and one line in the table: `test_kinds` then walks it through all storeys, and
`random_models` draws it, so that it keeps the promises too.
"""

from kinds.activate import Activate
from kinds.add import Add
from kinds.concatenate import Concatenate
from kinds.convolution import Convolution
from kinds.dense import Dense
from kinds.embedding import Embedding
from kinds.gru import Gru
from kinds.kind import Example, Kind
from kinds.lru import Lru
from kinds.lstm import Lstm
from kinds.mean import Mean
from kinds.min_gru import MinGru
from kinds.min_lstm import MinLstm
from kinds.multiply import Multiply
from kinds.one_hot import OneHot
from kinds.pooling import MaxPool, MeanPool, Stack
from kinds.rnn import Rnn
from kinds.softmax import Softmax
from kinds.sru import Sru
from kinds.transposed_convolution import TransposedConvolution

KINDS: dict[str, Kind] = {
    kind.layer.kind: kind
    for kind in (
        Rnn(), Gru(), Lstm(),
        MinGru(),
        MinLstm(),
        Sru(),
        Lru(),
        Dense(), Embedding(), OneHot(), Softmax(),
        Activate(), Add(), Multiply(), Mean(), Concatenate(),
        Convolution(), TransposedConvolution(), MaxPool(), MeanPool(), Stack(),
    )
}  # fmt: skip
"""By their name in model files."""

__all__ = ["KINDS", "Example", "Kind"]
