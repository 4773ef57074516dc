"""What is looked up for a token is, to the bit, what would be computed of its vector."""

from __future__ import annotations

import numpy as np
import numpy.typing as npt
import pytest

from ostinato.kernels.operations import record
from ostinato.model import Network, Sequential, projection
from ostinato.model.compile import compile_observable
from ostinato.model.decoders import Outputs
from ostinato.model.front_ends import Tokens
from ostinato.model.layers import Dense, Embedding, Gru, Layer, Lru, Lstm, MinGru, Rnn, Sru
from ostinato.model.quantization import quantize
from ostinato.model.whole_sequence import whole_sequence_rows

Floats = npt.NDArray[np.float32]

VOCABULARY = tuple("abcdefghi")
LAYERS = (
    Gru(5), Gru(18, "bidirectional", reset="before"), Lstm(7, "backward"), Rnn(3), Lru(5, size=4), MinGru(6),
    Sru(6, highway="input"), Dense(20),
)  # fmt: skip


def all_values(network: Network, tokens: Floats) -> list[Floats]:
    """What is in the rows of each stage."""
    return whole_sequence_rows(network, compile_observable(network.specification, network.weights).compiled, tokens)


@pytest.mark.parametrize("layer", LAYERS, ids=lambda layer: layer.kind)
@pytest.mark.parametrize("int8", [False, True])
def test_sums_by_token_are_those_of_its_vector(layer: Layer, int8: bool, monkeypatch: pytest.MonkeyPatch) -> None:
    chain = Sequential("chain", Tokens(VOCABULARY), (Embedding(6), layer, Dense(4)), Outputs())
    network, generator = Network.random(chain, seed=3), np.random.default_rng(4)
    moved = {
        name: x if name.endswith((".W", ".R", ".E")) else generator.normal(0, 0.3, x.shape).astype(np.float32)
        for name, x in network.weights.items()
    }
    moved["embedding.E"] = np.where(generator.random((9, 6)) < 0.3, -0.0, moved["embedding.E"]).astype(np.float32)
    network, tokens = Network(chain, moved), generator.integers(0, 9, (40, 1)).astype(np.float32)
    if int8:
        network = quantize(network, [tokens])
    monkeypatch.setattr(projection, "MAX_TABLE", 0)
    (wanted,) = all_values(network, tokens)
    monkeypatch.undo()
    (rows,) = all_values(network, tokens)
    assert network.program.operations[:, record.TOKENS].sum() > 1  # besides the embedding
    assert rows.tobytes() == wanted.tobytes()
