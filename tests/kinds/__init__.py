"""What tests know of each kind of layer, a file each, and the table of them all.

A new kind is one file here and one line in the table: `test_kinds` then walks it through all storeys, and
`random_models` draws it, so that it keeps the promises too.
"""

from collections.abc import Mapping
from typing import Any

from kinds.activate import Activate
from kinds.add import Add
from kinds.attention import Attention
from kinds.batch_norm import BatchNorm
from kinds.concatenate import Concatenate
from kinds.convolution import Convolution
from kinds.dense import Dense
from kinds.each import Each
from kinds.embedding import Embedding
from kinds.first import First
from kinds.gather import Gather
from kinds.gru import Gru
from kinds.kind import Example, Kind
from kinds.last import Last
from kinds.layer_norm import LayerNorm
from kinds.lru import Lru
from kinds.lstm import Lstm
from kinds.mean import Mean
from kinds.min_gru import MinGru
from kinds.min_lstm import MinLstm
from kinds.multiply import Multiply
from kinds.one_hot import OneHot
from kinds.pooling import MaxPool, MeanPool, Stack
from kinds.prelu import PRelu
from kinds.rnn import Rnn
from kinds.scale import Scale
from kinds.slice import Slice
from kinds.softmax import Softmax
from kinds.sru import Sru
from kinds.transpose import Transpose
from kinds.transposed_convolution import TransposedConvolution
from kinds.within import Within
from ostinato.model.specification import Specification

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
        Slice(), Scale(), BatchNorm(), LayerNorm(), PRelu(),
        Transpose(),
        Gather(),
        Within(),
        Each(),
        First(), Attention(), Last(),
    )
}  # fmt: skip
"""By their name in model files."""


def sensible(specification: Specification, weights: Mapping[str, Any]) -> dict[str, Any]:
    """Random weights of a network, changed where a layer could make nothing of them."""
    made = dict(weights)
    for node in specification.nodes:
        own = {name: weights[f"{node.name}.{name}"] for name in node.layer.weights(specification.inputs(node))}
        changed = KINDS[node.layer.kind].sensible(node.layer, own)
        made |= {f"{node.name}.{name}": array for name, array in changed.items()}
    return made


__all__ = ["KINDS", "Example", "Kind", "sensible"]
