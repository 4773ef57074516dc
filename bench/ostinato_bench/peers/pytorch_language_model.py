"""A language model of embeddings, GRUs and a dense layer in PyTorch, called a token at a time."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
import numpy.typing as npt

from ostinato.model import Network
from ostinato.model.layers import Gru

Floats = npt.NDArray[np.float32]
Int64 = npt.NDArray[np.int64]


class TorchSteps:
    """Texts that nn.Embedding, nn.GRU and nn.Linear go on with, a row each."""

    def __init__(self, parts: tuple[Any, Any, Any], batch: int) -> None:
        self._embedding, self._gru, self._dense = parts
        self._batch = batch
        self.begin()

    def begin(self) -> None:
        """All texts are new."""
        import torch

        self._h = torch.zeros(self._gru.num_layers, self._batch, self._gru.hidden_size)

    def step(self, tokens: Int64) -> Floats:
        """The logits [batch, vocabulary] behind one more token of each."""
        import torch

        with torch.inference_mode():
            x, self._h = self._gru(self._embedding(torch.from_numpy(tokens))[None], self._h)
            logits: Floats = self._dense(x[0]).numpy()
        return logits

    def choose(self, rows: Int64) -> None:
        """Text i goes on from the states of text rows[i]."""
        import torch

        with torch.inference_mode():
            self._h = self._h.index_select(1, torch.from_numpy(rows))


def steps(network: Network, threads: int = 1) -> Callable[[int], TorchSteps] | None:
    """As `onnx_language_model.steps`. None if torch is not installed. Sets the number of threads that PyTorch uses in
    this process."""
    try:
        import torch
    except ImportError:
        return None
    torch.set_num_threads(threads)
    embedding, *layers, dense = network.specification.nodes
    first = layers[0].layer
    assert isinstance(first, Gru) and first.reset == "after"
    weights = {name: torch.from_numpy(np.array(array)) for name, array in network.weights.items()}
    E = weights[f"{embedding.name}.E"]
    gru = torch.nn.GRU(E.shape[1], first.hidden, len(layers))
    out = torch.nn.Linear(first.hidden, weights[f"{dense.name}.b"].shape[0])
    with torch.no_grad():
        for index, node in enumerate(layers):
            for ours, theirs in (("W", "weight_ih"), ("R", "weight_hh"), ("Wb", "bias_ih"), ("Rb", "bias_hh")):
                z, r, n = weights[f"{node.name}.forward.{ours}"].chunk(3)
                getattr(gru, f"{theirs}_l{index}").copy_(torch.cat([r, z, n]))
        out.weight.copy_(weights[f"{dense.name}.W"])
        out.bias.copy_(weights[f"{dense.name}.b"])
    parts = torch.nn.Embedding.from_pretrained(E), gru.eval(), out.eval()
    return lambda batch: TorchSteps(parts, batch)
