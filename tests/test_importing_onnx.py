"""Graphs that exporters wrote, in tests/data/onnx: what is imported has their numbers, what is refused says why."""

from __future__ import annotations

from pathlib import Path

import pytest

from ostinato.errors import ForeignModelError
from ostinato.importing import import_model
from ostinato.model.layers import Gru, Lstm, Rnn

FILES = Path(__file__).parent / "data" / "onnx"
IMPORTED = (
    "dynamo_embed_lstm", "dynamo_gru_zero", "dynamo_lstm_cell", "dynamo_rnn_bi2", "dynamo_rnn_relu",
    "script_crnn_causal", "script_crnn_same", "script_gru_bi2", "script_loop_cell", "script_rnn_states2",
    "tf_bigru_stack", "tf_crnn_causal", "tf_gru_resetbefore", "tf_gru_seq", "tf_lstm_hardsigmoid", "tf_lstm_last",
    "tf_lstm_states", "tf_lstm_unroll", "tf_rnn_seq",
)  # fmt: skip
REFUSED = {
    "dynamo_lstm_proj": "begins from states of sizes",
    "dynamo_lstm_states2": "begins its h from 'c'",  # so it does: the exporter took the one for the other
    "script_lstm_packed": r"\(TopK\)",
    "tf_lstm_masked": "mask",
    "tf_timedistributed": "reads frame 0",  # so it does: Keras' TimeDistributed is lost on the way
}


@pytest.mark.parametrize("name", IMPORTED)
def test_what_streams_is_what_the_file_says(name: str) -> None:
    imported = import_model(FILES / f"{name}.onnx")
    assert imported.origin == f"{name}.onnx (ONNX)"
    assert imported.parity.largest < 1e-5
    assert imported.parity.scale > 0.05, "the comparison must mean something"


@pytest.mark.parametrize("name", REFUSED)
def test_what_cannot_be_streamed_is_told_why(name: str) -> None:
    with pytest.raises(ForeignModelError, match=REFUSED[name]):
        import_model(FILES / f"{name}.onnx")


@pytest.mark.parametrize(
    ("name", "kind", "count"),
    [
        ("dynamo_lstm_cell", Lstm, 1),
        ("dynamo_rnn_bi2", Rnn, 4),  # two layers in both directions, each step written out
        ("dynamo_rnn_relu", Rnn, 1),
        ("script_loop_cell", Lstm, 1),
        ("tf_gru_resetbefore", Gru, 1),
        ("tf_gru_seq", Gru, 1),
        ("tf_lstm_hardsigmoid", Lstm, 1),
        ("tf_lstm_unroll", Lstm, 1),
        ("tf_rnn_seq", Rnn, 1),
    ],
)
def test_a_cell_that_is_written_out_becomes_its_layer(name: str, kind: type, count: int) -> None:
    nodes = import_model(FILES / f"{name}.onnx").network.specification.nodes
    assert sum(isinstance(node.layer, kind) for node in nodes) == count
    assert len(nodes) <= count + 2
