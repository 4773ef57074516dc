"""The kinds of operations, a file each, and the table of them all."""

from ostinato.kernels.operations.activate import ACTIVATE
from ostinato.kernels.operations.add import ADD
from ostinato.kernels.operations.attention import ATTENTION
from ostinato.kernels.operations.copy import COPY
from ostinato.kernels.operations.dense import DENSE
from ostinato.kernels.operations.depthwise import DEPTHWISE
from ostinato.kernels.operations.each import EACH
from ostinato.kernels.operations.embedding import EMBEDDING
from ostinato.kernels.operations.first import FIRST
from ostinato.kernels.operations.gather import GATHER
from ostinato.kernels.operations.gru import GRU_AFTER, GRU_BEFORE
from ostinato.kernels.operations.gru_general import GRU_GENERAL_AFTER, GRU_GENERAL_BEFORE
from ostinato.kernels.operations.kind import Kind, Reach, Region
from ostinato.kernels.operations.last import LAST
from ostinato.kernels.operations.layer_norm import LAYER_NORM
from ostinato.kernels.operations.lru import LRU
from ostinato.kernels.operations.lstm import LSTM
from ostinato.kernels.operations.lstm_general import LSTM_GENERAL
from ostinato.kernels.operations.min_gru import MIN_GRU
from ostinato.kernels.operations.min_lstm import MIN_LSTM
from ostinato.kernels.operations.multiply import MULTIPLY
from ostinato.kernels.operations.pool import MAX_POOL, MEAN_POOL
from ostinato.kernels.operations.prelu import PRELU
from ostinato.kernels.operations.rnn import RNN
from ostinato.kernels.operations.scale import SCALE
from ostinato.kernels.operations.softmax import SOFTMAX
from ostinato.kernels.operations.sru import SRU
from ostinato.kernels.operations.transpose import TRANSPOSE
from ostinato.kernels.operations.window import WINDOW
from ostinato.kernels.operations.within import WITHIN

KINDS: dict[str, Kind] = {
    "rnn": RNN,
    "gru-after": GRU_AFTER,
    "gru-before": GRU_BEFORE,
    "gru-general-after": GRU_GENERAL_AFTER,
    "gru-general-before": GRU_GENERAL_BEFORE,
    "lstm": LSTM,
    "lstm-general": LSTM_GENERAL,
    "min-gru": MIN_GRU,
    "min-lstm": MIN_LSTM,
    "sru": SRU,
    "lru": LRU,
    "dense": DENSE,
    "embedding": EMBEDDING,
    "softmax": SOFTMAX,
    "activate": ACTIVATE,
    "add": ADD,
    "multiply": MULTIPLY,
    "copy": COPY,
    "window": WINDOW,
    "max-pool": MAX_POOL,
    "mean-pool": MEAN_POOL,
    "depthwise": DEPTHWISE,
    "scale": SCALE,
    "layer-norm": LAYER_NORM,
    "prelu": PRELU,
    "transpose": TRANSPOSE,
    "within": WITHIN,
    "gather": GATHER,
    "each": EACH,
    "attention": ATTENTION,
    "last": LAST,
    "first": FIRST,
}
"""All kinds, as whoever makes a program names them."""

NUMBERS = {name: number for number, name in enumerate(KINDS)}
"""What stands in an operation for its kind."""

__all__ = ["KINDS", "NUMBERS", "Kind", "Reach", "Region"]
