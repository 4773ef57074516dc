"""How each kind of layer learns, a file each, and the table of them all."""

from collections.abc import Callable, Mapping

from ostinato.model.layers import Each, Layer, Within
from ostinato.training.layers.activate import LearningActivate
from ostinato.training.layers.add import LearningAdd
from ostinato.training.layers.attention import LearningAttention
from ostinato.training.layers.batch_norm import LearningBatchNorm
from ostinato.training.layers.concatenate import LearningConcatenate
from ostinato.training.layers.convolution import LearningConvolution
from ostinato.training.layers.dense import LearningDense
from ostinato.training.layers.each import LearningEach
from ostinato.training.layers.embedding import LearningEmbedding
from ostinato.training.layers.first import LearningFirst
from ostinato.training.layers.gather import LearningGather
from ostinato.training.layers.gru import LearningGru
from ostinato.training.layers.last import LearningLast
from ostinato.training.layers.layer import LearningLayer
from ostinato.training.layers.layer_norm import LearningLayerNorm
from ostinato.training.layers.lru import LearningLru
from ostinato.training.layers.lstm import LearningLstm
from ostinato.training.layers.mean import LearningMean
from ostinato.training.layers.min_gru import LearningMinGru
from ostinato.training.layers.min_lstm import LearningMinLstm
from ostinato.training.layers.multiply import LearningMultiply
from ostinato.training.layers.one_hot import LearningOneHot
from ostinato.training.layers.pooling import LearningMaxPool, LearningMeanPool, LearningStack
from ostinato.training.layers.prelu import LearningPRelu
from ostinato.training.layers.rnn import LearningRnn
from ostinato.training.layers.scale import LearningScale
from ostinato.training.layers.slice import LearningSlice
from ostinato.training.layers.softmax import LearningSoftmax
from ostinato.training.layers.sru import LearningSru
from ostinato.training.layers.transpose import LearningTranspose
from ostinato.training.layers.transposed_convolution import LearningTransposedConvolution
from ostinato.training.layers.within import LearningWithin

LEARNING: Mapping[str, Callable[..., LearningLayer]] = {
    "rnn": LearningRnn,
    "gru": LearningGru,
    "lstm": LearningLstm,
    "min-gru": LearningMinGru,
    "min-lstm": LearningMinLstm,
    "sru": LearningSru,
    "lru": LearningLru,
    "dense": LearningDense,
    "embedding": LearningEmbedding,
    "one-hot": LearningOneHot,
    "softmax": LearningSoftmax,
    "activate": LearningActivate,
    "add": LearningAdd,
    "multiply": LearningMultiply,
    "mean": LearningMean,
    "concatenate": LearningConcatenate,
    "convolution": LearningConvolution,
    "transposed-convolution": LearningTransposedConvolution,
    "max-pool": LearningMaxPool,
    "mean-pool": LearningMeanPool,
    "stack": LearningStack,
    "slice": LearningSlice,
    "scale": LearningScale,
    "batch-norm": LearningBatchNorm,
    "layer-norm": LearningLayerNorm,
    "prelu": LearningPRelu,
    "transpose": LearningTranspose,
    "gather": LearningGather,
    "first": LearningFirst,
    "within": LearningWithin,
    "each": LearningEach,
    "attention": LearningAttention,
    "last": LearningLast,
}
"""By the kind's name in model files: made of a node's name and its layer, and of what learns within it."""


def learning(name: str, layer: Layer) -> LearningLayer:
    """What learns in the place of a node of that name."""
    if isinstance(layer, (Within, Each)):
        return LEARNING[layer.kind](name, layer, learning(name, layer.layer))
    return LEARNING[layer.kind](name, layer)


__all__ = ["LEARNING", "LearningLayer", "learning"]
