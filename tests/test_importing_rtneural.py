"""RTNeural's and AIDA-X's JSON, against the formulas of Keras, whose weights they hold; and state dictionaries."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
import pytest
from imported import sigmoid, streamed

from ostinato.errors import ForeignModelError
from ostinato.importing import import_model
from ostinato.model.front_ends import Samples

Array = npt.NDArray[Any]
RNG = np.random.default_rng(1)
X = RNG.normal(size=(30, 1)).astype(np.float32)
SHAPES = {
    "dense": [(1, 6), (6,)],
    "conv1d": [(3, 6, 4), (4,)],
    "gru": [(4, 15), (5, 15), (2, 15)],
    "lstm": [(5, 24), (6, 24), (24,)],
    "prelu": [(1, 6)],
    "batchnorm": [(6,), (6,), (6,), (6,)],
    "time-distributed-dense": [(6, 3), (3,)],
}
WEIGHTS = {kind: [np.abs(RNG.normal(size=shape)) * 0.6 - 0.2 for shape in shapes] for kind, shapes in SHAPES.items()}
WEIGHTS["batchnorm"][3] = np.abs(WEIGHTS["batchnorm"][3]) + 0.1


def layer(kind: str, size: int, activation: str = "", **more: Any) -> dict[str, Any]:
    weights = [array.tolist() for array in WEIGHTS.get(kind, [])]
    return {"type": kind, "activation": activation, "shape": [None, None, size], "weights": weights} | more


def network() -> dict[str, Any]:
    """All types of layers, one behind the other."""
    return {
        "in_shape": [None, None, 1],
        "layers": [
            layer("dense", 6, "elu"),
            layer("conv1d", 4, "tanh", kernel_size=[3], dilation=[2]),
            layer("gru", 5, "tanh"),
            layer("lstm", 6),
            layer("prelu", 6),
            layer("batchnorm", 6, epsilon=0.01),
            layer("activation", 6, "sigmoid"),
            layer("time-distributed-dense", 3, "softmax"),
        ],
    }


def expected(x: Array) -> Array:
    W, b = WEIGHTS["dense"]
    y = x @ W + b
    y = np.where(y > 0, y, np.exp(y) - 1)
    W, b = WEIGHTS["conv1d"]
    padded = np.vstack([np.zeros((4, 6)), y])
    y = np.tanh(sum(padded[2 * k : 2 * k + len(x)] @ W[k] for k in range(3)) + b)
    W, R, b = WEIGHTS["gru"]
    h, out = np.zeros(5), []
    for frame in y:
        (z, r, n), (hz, hr, hn) = np.split(frame @ W + b[0], 3), np.split(h @ R + b[1], 3)
        z, r = sigmoid(z + hz), sigmoid(r + hr)
        h = z * h + (1 - z) * np.tanh(n + r * hn)
        out.append(h)
    W, R, b = WEIGHTS["lstm"]
    h, c, y, out = np.zeros(6), np.zeros(6), np.array(out), []
    for frame in y:
        i, f, g, o = np.split(frame @ W + h @ R + b, 4)
        c = sigmoid(f) * c + sigmoid(i) * np.tanh(g)
        h = sigmoid(o) * np.tanh(c)
        out.append(h)
    y = np.array(out)
    y = np.where(y > 0, y, WEIGHTS["prelu"][0] * y)
    gamma, beta, mean, variance = WEIGHTS["batchnorm"]
    y = sigmoid(gamma * (y - mean) / np.sqrt(variance + 0.01) + beta)
    W, b = WEIGHTS["time-distributed-dense"]
    y = np.exp(y @ W + b)
    return np.asarray(y / y.sum(axis=1, keepdims=True))


def written(folder: Path, file: Any) -> Path:
    path = folder / "pedal.json"
    path.write_text(json.dumps(file))
    return path


def test_all_types_of_layers(tmp_path: Path) -> None:
    imported = import_model(written(tmp_path, network()))
    np.testing.assert_allclose(streamed(imported.network, X), expected(X), atol=2e-6)
    assert "(RTNeural JSON)" in imported.network.specification.card["source"]


AMP = {
    "in_shape": [None, None, 1],
    "layers": [{"type": "dense", "activation": "", "shape": [None, None, 1], "weights": [[[0.5]], [0.25]]}],
}


def test_skip_and_gains_are_as_aida_x_has_them(tmp_path: Path) -> None:
    for more, slope, offset in (
        ({}, 0.5, 0.25),
        ({"in_skip": 1}, 1.5, 0.25),
        ({"in_gain": 20.0, "out_gain": -20.0}, 0.5, 0.025),
        ({"in_gain": 20.0, "in_skip": 1}, 15.0, 0.25),
        ({"in_skip": 1, "out_gain": 40}, 1.5, 0.25),
    ):
        imported = import_model(written(tmp_path, AMP | more))
        np.testing.assert_allclose(streamed(imported.network, X), slope * X + offset, atol=1e-5)


def test_what_the_trainer_recorded_is_compared_with(tmp_path: Path) -> None:
    heard = [0.5, -1.0, 2.0]
    said = {"samplerate": "44100", "author": "me", "license": "CC0"}
    file = AMP | {"input_batch": heard, "metadata": said}
    imported = import_model(written(tmp_path, file | {"output_batch": [0.5 * x + 0.25 for x in heard]}))
    assert imported.parity.source == "recorded outputs" and imported.parity.largest < 1e-6
    assert imported.network.specification.licence == "CC0"
    assert imported.network.specification.front_end == Samples(44100, 1, 1)
    with pytest.raises(ForeignModelError, match="outputs are not those of the source"):
        import_model(written(tmp_path, file | {"output_batch": [0.6 * x + 0.25 for x in heard]}))


def changed(change: Callable[[dict[str, Any]], Any]) -> dict[str, Any]:
    file = json.loads(json.dumps(network()))
    change(file)
    return file


def part(number: int, **fields: Any) -> dict[str, Any]:
    return changed(lambda file: file["layers"][number].update(fields))


REFUSED = {
    "an unknown type": (part(0, type="unknown"), r"layer 1 \(unknown\) is not read here, and the network is another"),
    "two dimensions": (part(1, type="conv2d"), r"layer 2 \(conv2d\)"),
    "an unknown activation": (part(0, activation="gelu"), "'gelu': only tanh, relu, sigmoid, elu, softmax"),
    "another recurrence": (part(2, activation="relu"), "'relu': recurrent layers here have tanh"),
    "a missing array": (part(0, weights=[]), r"has weights none, and needs \[1, 6\]"),
    "an array too many": (part(3, weights=network()["layers"][3]["weights"] + [[0.0]]), r"\[24\], \[1\], and needs"),
    "another shape": (part(2, weights=network()["layers"][3]["weights"]), r"and needs \[4, 15\]"),
    "rows of different lengths": (part(0, weights=[[[1, 2], [3]], [0]]), r"weights\[0\] is no array of numbers"),
    "weights of an activation": (part(6, weights=[[1.0]]), "has weights, and needs none"),
    "no activation": (part(6, activation=""), "has no activation"),
    "a slope a frame": (part(4, weights=[[[1.0] * 7]]), "one slope, or one for each of 6"),
    "another size": (part(6, shape=[None, None, 7]), "makes 6 values, and its shape says 7"),
    "no size": (part(6, shape=[None, None, None]), "only .batch, time, values."),
    "strides": (part(1, strides=[2]), "has strides"),
    "a setting that is not read": (part(2, go_backwards=True), "'layers.2..go_backwards' is not read"),
    "an epsilon of nothing": (part(5, epsilon=0.0), "epsilon = 0.0 is not above 0"),
    "an epsilon of too much": (part(5, epsilon=1e308), "has epsilon 1e.308"),
    "a layer that is none": (changed(lambda file: file["layers"].append(3)), r"layers\[8\] is no JSON object"),
    "no layers": (network() | {"layers": []}, "layers is empty"),
    "more than one skip": (network() | {"in_skip": 2}, "in_skip is 2"),
    "skip of other sizes": (network() | {"in_skip": 1, "in_shape": [None, None, 2]}, "layer 1 "),
    "a rate that is none": (network() | {"samplerate": "fast"}, "samplerate is 'fast'"),
    "something more": (network() | {"cabinet": [1.0]}, "'cabinet' is not read here"),
    "an infinite weight": (part(0, weights=[[[1e39] * 6], [0.0] * 6]), "NaN or infinite"),
}


@pytest.mark.parametrize("case", REFUSED)
def test_what_cannot_be_is_refused_by_name(case: str, tmp_path: Path) -> None:
    file, message = REFUSED[case]
    with pytest.raises(ForeignModelError, match=message):
        import_model(written(tmp_path, file))


# --- state dictionaries ---------------------------------------------------------------------------------------------


def state(kind: str, gates: int, bias: bool = True) -> dict[str, Any]:
    """Two recurrent layers of 4 units, and a linear one."""
    arrays: dict[str, Array] = {}
    for number, size in enumerate((1, 4)):
        for name, shape in (("ih", (4 * gates, size)), ("hh", (4 * gates, 4))):
            arrays[f"rec.weight_{name}_l{number}"] = RNG.normal(size=shape) * 0.6
            if bias:
                arrays[f"rec.bias_{name}_l{number}"] = RNG.normal(size=4 * gates) * 0.6
    arrays |= {"lin.weight": RNG.normal(size=(1, 4)), "lin.bias": RNG.normal(size=1)}
    return {name: array.tolist() for name, array in arrays.items()}


def computed(arrays: dict[str, Any], gates: int, x: Array) -> Array:
    """As torch.nn.RNN, GRU and LSTM document it."""
    for number in range(2):
        W, R = (np.array(arrays[f"rec.weight_{name}_l{number}"]) for name in ("ih", "hh"))
        b, d = (np.array(arrays.get(f"rec.bias_{name}_l{number}", np.zeros(len(W)))) for name in ("ih", "hh"))
        h, c, out = np.zeros(4), np.zeros(4), []
        for frame in x:
            a, u = W @ frame + b, R @ h + d
            if gates == 1:
                h = np.tanh(a + u)
            elif gates == 3:
                r, z = (sigmoid(a[4 * k : 4 * k + 4] + u[4 * k : 4 * k + 4]) for k in range(2))
                h = (1 - z) * np.tanh(a[8:] + r * u[8:]) + z * h
            else:
                i, f, g, o = np.split(a + u, 4)
                c = sigmoid(f) * c + sigmoid(i) * np.tanh(g)
                h = sigmoid(o) * np.tanh(c)
            out.append(h)
        x = np.array(out)
    return np.asarray(x @ np.array(arrays["lin.weight"]).T + arrays["lin.bias"])


MODEL = {"model": "SimpleRNN", "input_size": 1, "output_size": 1, "hidden_size": 4, "num_layers": 2, "bias_fl": True}


@pytest.mark.parametrize(("kind", "gates"), [("RNN", 1), ("GRU", 3), ("LSTM", 4)])
def test_state_dictionaries(kind: str, gates: int, tmp_path: Path) -> None:
    arrays = state(kind, gates)
    bare = import_model(written(tmp_path, arrays))
    np.testing.assert_allclose(streamed(bare.network, X), computed(arrays, gates, X), atol=2e-6)
    assert [decision.subject for decision in bare.decisions] == ["sample rate", "rec", "lin", "compared with"]
    told = import_model(
        written(tmp_path, {"model_data": MODEL | {"unit_type": kind, "skip": 1}, "state_dict": arrays})
    )
    np.testing.assert_allclose(streamed(told.network, X), computed(arrays, gates, X) + X, atol=2e-6)
    arrays = state(kind, gates, bias=False)
    bare = import_model(written(tmp_path, arrays))
    np.testing.assert_allclose(streamed(bare.network, X), computed(arrays, gates, X), atol=2e-6)


LSTM = state("LSTM", 4)
STATES_REFUSED = {
    "a convolution": ({"conv.weight": [[[1.0]]]}, "do not begin with a recurrent module"),
    "nothing": ({}, "do not begin with a recurrent module"),
    "something else": ({"a": "b"}, "field 'a' is 'b', not of type list"),
    "a convolution above": (LSTM | {"conv.weight": [[[1.0]]]}, "module 'conv' is a Conv1d: modules of a chain"),
    "a projection": (LSTM | {"rec.weight_hr_l0": [[1.0] * 4]}, "rec.*weight 'forward.R' has shape"),
    "a missing array": (
        {k: v for k, v in LSTM.items() if k != "rec.weight_ih_l1"},
        "rec also has .*_l1",
    ),
    "no recurrence": (LSTM | {"rec.weight_hh_l0": [[1.0] * 4] * 5}, "module 'rec' has not the arrays of LSTM"),
    "another unit": (
        {"model_data": MODEL | {"unit_type": "GRU"}, "state_dict": LSTM},
        "unit_type is GRU, and its recurrent module is of LSTM",
    ),
    "another size": (
        {"model_data": MODEL | {"unit_type": "LSTM", "hidden_size": 8}, "state_dict": LSTM},
        "hidden_size is 8, and the arrays are of 4",
    ),
    "skip of three": ({"model_data": MODEL | {"unit_type": "LSTM", "skip": 3}, "state_dict": LSTM}, "skip is 3"),
}


@pytest.mark.parametrize("case", STATES_REFUSED)
def test_state_dictionaries_that_are_refused(case: str, tmp_path: Path) -> None:
    file, message = STATES_REFUSED[case]
    with pytest.raises(ForeignModelError, match=message):
        import_model(written(tmp_path, file))
