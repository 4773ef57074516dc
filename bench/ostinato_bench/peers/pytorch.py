"""Networks of recurrent layers in PyTorch: nn.RNN, nn.GRU and nn.LSTM with our weights, in inference mode."""

from __future__ import annotations

import warnings
from collections.abc import Callable
from typing import Any

import numpy as np
import numpy.typing as npt

from ostinato.model import Network
from ostinato.model.activation import Activation
from ostinato.model.layers import Gru, Lstm, Recurrent, Rnn

_ORDER = {"rnn": (0,), "gru": (1, 0, 2), "lstm": (0, 2, 3, 1)}
"""PyTorch's gates by their place in ours: GRU r z n from z r h, LSTM i f g o from i o f c."""


def caller(network: Network, frames: npt.NDArray[np.float32], threads: int = 1) -> Callable[[], Any] | None:
    """As `onnx_runtime.caller`. None if torch is not installed, or has no such layers. Sets the number of threads
    that PyTorch uses in this process."""
    made = module(network)
    return None if made is None else _runner(made, network, frames, threads)


def caller_int8(network: Network, frames: npt.NDArray[np.float32], threads: int = 1) -> Callable[[], Any] | None:
    """`caller` of the layers with dynamic quantization: int8 weights, a scale per output. None also for nn.RNN, which
    PyTorch does not quantize."""
    made = module(network)
    if made is None or isinstance(network.specification.nodes[0].layer, Rnn):
        return None
    import torch
    from torch.ao import quantization

    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # that torch.ao moves elsewhere some day
        small = quantization.quantize_dynamic(
            torch.nn.Sequential(made), {type(made): quantization.per_channel_dynamic_qconfig}, torch.qint8
        )[0]
        return _runner(small, network, frames, threads)


def module(network: Network) -> Any | None:
    """The network's layers as one module of PyTorch; None if there is none like it, or torch is not installed."""
    try:
        import torch
    except ImportError:
        return None
    nodes = network.specification.nodes
    layers = [node.layer for node in nodes]
    first = layers[0]
    if not isinstance(first, Rnn | Gru | Lstm) or any(type(layer) is not type(first) for layer in layers):
        return None
    if not _has_peer(first) or first.direction == "backward":
        return None
    made = {"rnn": torch.nn.RNN, "gru": torch.nn.GRU, "lstm": torch.nn.LSTM}[first.kind](
        network.specification.front_end.frame_size,
        first.hidden,
        len(layers),
        bidirectional=first.direction == "bidirectional",
    )
    order = _ORDER[first.kind]
    with torch.no_grad():
        for index, node in enumerate(nodes):
            for way in first.directions:
                for ours, theirs in (("W", "weight_ih"), ("R", "weight_hh"), ("Wb", "bias_ih"), ("Rb", "bias_hh")):
                    gates = np.split(network.weights[f"{node.name}.{way}.{ours}"], len(order))
                    values = torch.from_numpy(np.concatenate([gates[gate] for gate in order]))
                    name = f"{theirs}_l{index}{'_reverse' if way == 'backward' else ''}"
                    getattr(made, name).copy_(values)
    return made.eval()


def _has_peer(layer: Recurrent) -> bool:
    return (
        (isinstance(layer, Rnn) and layer.activation == Activation("tanh"))
        or (isinstance(layer, Gru) and layer.reset == "after")
        or (isinstance(layer, Lstm) and not layer.peepholes)
    )


def _runner(made: Any, network: Network, frames: npt.NDArray[np.float32], threads: int) -> Callable[[], Any]:
    import torch

    torch.set_num_threads(threads)
    layers = [node.layer for node in network.specification.nodes]
    first = layers[0]
    assert isinstance(first, Rnn | Gru | Lstm)
    x = torch.from_numpy(frames)
    h = torch.zeros(len(layers) * len(first.directions), frames.shape[1], first.hidden)
    state = (h, torch.zeros_like(h)) if isinstance(first, Lstm) else h

    def call() -> Any:
        with torch.inference_mode():
            return made(x, state)[0]

    return call
