"""Keras's files: real ones against what Keras made of them, and layers that are refused by name."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import h5py
import numpy as np
import pytest
from against_keras import MOST, differences
from imported import streamed
from keras_files import ARRAYS, BIAS, DENSE, KERNEL, RNG, SAVED, Array, X, archive, chain, layer, listed

from ostinato.errors import ForeignModelError
from ostinato.importing import import_model
from ostinato.importing.keras import extract, hdf5
from ostinato.importing.settings import Settings
from ostinato.model.decoders import Labels, SequenceClass


@pytest.fixture(autouse=True)
def in_this_process(monkeypatch: pytest.MonkeyPatch) -> None:
    """HDF5 is read here, to be quick; `test_importing_keras_files` does it as users do."""

    def read(path: Path) -> hdf5.Contents:
        with h5py.File(path, "r") as file:
            arrays, about = extract.extract(file)
        return hdf5.Contents(arrays, **{key: json.loads(value) for key, value in about.items()})

    monkeypatch.setattr(hdf5, "read", read)


@pytest.mark.parametrize("path", SAVED, ids=lambda path: path.name)
def test_what_keras_saved_computes_what_keras_computed(path: Path) -> None:
    assert max(differences(path)) < MOST


def test_files_of_both_versions_are_there() -> None:
    assert {(path.name[:6], path.suffix) for path in SAVED} == {
        ("keras2", ".keras"), ("keras2", ".h5"), ("keras3", ".keras"), ("keras3", ".h5"),
    }  # fmt: skip


def test_a_dense_layer_by_hand_in_both_files(tmp_path: Path) -> None:
    expected = X @ KERNEL + BIAS
    seeds = {"layers/dropout/seed_generator/vars/0": np.zeros(2, np.uint32), "optimizer/vars/0": np.int64(3)}
    model = chain(layer("Dropout", rate=0.5), DENSE)
    imported = import_model(archive(tmp_path, model, ARRAYS | seeds))
    np.testing.assert_allclose(streamed(imported.network, X), expected, atol=1e-6)
    assert ("left out", "Dropout, which does something only while a network learns") in imported.decisions
    imported = import_model(listed(tmp_path, model, {"dense|dense/kernel:0": KERNEL, "dense|dense/bias:0": BIAS}))
    np.testing.assert_allclose(streamed(imported.network, X), expected, atol=1e-6)
    assert imported.network.specification.name == "model"


def test_a_class_for_the_utterance_is_named_by_settings(tmp_path: Path) -> None:
    recurrent = layer("SimpleRNN", units=3, return_sequences=False)
    softmax = layer("Activation", activation="softmax")
    cell = "layers/simple_rnn/cell/vars/"
    arrays = {f"{cell}0": KERNEL, f"{cell}1": np.eye(3, dtype=np.float32), f"{cell}2": BIAS}
    path = archive(tmp_path, chain(recurrent, softmax), arrays)
    imported = import_model(path)
    assert imported.network.specification.heads[0].decoder == SequenceClass(("0", "1", "2"), "last")
    decoder = Labels(("yes", "no", "silence"))
    told = import_model(path, Settings(name="words", decoder=decoder))
    named = told.network.specification
    assert named.heads[0].decoder == decoder and named.name == "words"
    assert "output main" in dict(imported.decisions) and "output main" not in dict(told.decisions)


@pytest.mark.parametrize(("merge", "same"), [("concat", True), ("sum", True), ("concat", False)])
def test_both_ends_of_two_directions_are_one_frame(merge: str, same: bool, tmp_path: Path) -> None:
    """Bidirectional without return_sequences: forward's last frame, backward's first."""
    ways = [inner("SimpleRNN", units=3, return_sequences=False, go_backwards=back) for back in (False, True)]
    ways[1]["config"]["activation"] = "tanh" if same else "relu"
    two = layer("Bidirectional", merge_mode=merge, layer=ways[0], backward_layer=ways[1])
    cells = [f"layers/bidirectional/{way}_layer/cell/vars/" for way in ("forward", "backward")]
    R = 0.5 * np.eye(3, dtype=np.float32)
    arrays = {f"{each}{k}": array for each in cells for k, array in enumerate((KERNEL, R, BIAS))}
    imported = import_model(archive(tmp_path, chain(two), arrays))
    functions = [np.tanh, np.tanh if same else lambda x: np.maximum(x, 0)]
    ends = []
    for function, frames in zip(functions, (X, X[::-1]), strict=True):
        h = np.zeros(3)
        for frame in frames:
            h = function(frame @ KERNEL + h @ R + BIAS)
        ends.append(h)
    expected = np.concatenate(ends) if merge == "concat" else sum(ends)
    np.testing.assert_allclose(streamed(imported.network, X)[-1], expected, atol=1e-6)
    assert "known at the utterance's end" in dict(imported.decisions)["last frame of bidirectional"]


def test_hard_sigmoid_is_the_version_s(tmp_path: Path) -> None:
    model = chain(layer("Activation", activation="hard_sigmoid"))
    for version, slope in (("2.15.0", 0.2), ("3.0.5", 1 / 6), ("", 0.2)):
        imported = import_model(archive(tmp_path, model, {}, version))
        np.testing.assert_allclose(streamed(imported.network, X), np.clip(slope * X + 0.5, 0, 1), atol=1e-6)


# --- along the positions of each frame -----------------------------------------------------------------------------


def convolved(x: Array, W: Array, b: Array, stride: int, left: int, right: int) -> Array:
    """Of each frame [positions, channels], by W [taps, channels, filters], in float64."""
    x = np.pad(x.astype(np.float64), [(0, 0), (left, right), (0, 0)])
    starts = range(0, x.shape[1] - len(W) + 1, stride)
    return np.stack([np.einsum("tkc,kcf->tf", x[:, s : s + len(W)], W) for s in starts], 1) + b


POSITIONS = layer("InputLayer", batch_shape=[None, None, 7, 2])
FRAMES = RNG.normal(size=(5, 14)).astype(np.float32)
KERNELS = RNG.normal(size=(3, 2, 4)).astype(np.float32)


def each(kind: str, name: str = "", **config: Any) -> dict[str, Any]:
    return layer("TimeDistributed", name=name or f"td_{kind}".lower(), layer=inner(kind, **config))


@pytest.mark.parametrize(
    ("config", "stride", "ends"),
    [
        ({"padding": "same", "strides": 2}, 2, (1, 1)),
        ({"padding": "causal"}, 1, (2, 0)),
        ({"strides": 3}, 3, (0, 0)),
    ],
)
def test_a_convolution_and_pools_within_each_frame(
    config: dict[str, Any], stride: int, ends: tuple[int, int], tmp_path: Path
) -> None:
    layers = [
        each("Conv1D", filters=4, kernel_size=3, activation="relu", **config),
        layer("Dropout", rate=0.1), each("MaxPooling1D", pool_size=2, strides=1), each("Flatten"),
        layer("Dense", units=1),
    ]  # fmt: skip
    x = FRAMES.reshape(5, 7, 2)
    y = np.maximum(convolved(x, KERNELS, np.arange(4), stride, *ends), 0)
    y = np.maximum(y[:, 1:], y[:, :-1]).reshape(5, -1)
    V = RNG.normal(size=(y.shape[1], 1)).astype(np.float32)
    below = "layers/time_distributed/layer/vars/"
    arrays = {f"{below}0": KERNELS, f"{below}1": np.arange(4, dtype=np.float32)}
    arrays |= {"layers/dense/vars/0": V, "layers/dense/vars/1": np.zeros(1, np.float32)}
    imported = import_model(archive(tmp_path, chain(*layers, first=POSITIONS), arrays))
    np.testing.assert_allclose(streamed(imported.network, FRAMES), y @ V, rtol=1e-5, atol=1e-5)


def test_values_become_positions_and_a_mean_over_them(tmp_path: Path) -> None:
    layers = [
        layer("Reshape", target_shape=[-1, 7, 2]), layer("Dense", units=3, activation="tanh"),
        each("SimpleRNN", units=3, return_sequences=True), each("GlobalAveragePooling1D"),
    ]  # fmt: skip
    R = 0.5 * np.eye(3, dtype=np.float32)
    cell = "layers/time_distributed/layer/cell/vars/"
    arrays = ARRAYS | {f"{cell}0": R, f"{cell}1": R, f"{cell}2": BIAS}
    first = layer("InputLayer", batch_shape=[None, None, 14])
    imported = import_model(archive(tmp_path, chain(*layers, first=first), arrays))
    y, h, states = np.tanh(FRAMES.reshape(5, 7, 2) @ KERNEL + BIAS), np.zeros((5, 3)), []
    for k in range(7):
        states.append(h := np.tanh(y[:, k] @ R + h @ R + BIAS))
    np.testing.assert_allclose(streamed(imported.network, FRAMES), np.mean(states, axis=0), atol=1e-6)
    layers[2:] = [each("SimpleRNN", units=3)]
    imported = import_model(archive(tmp_path, chain(*layers, first=first), arrays))
    np.testing.assert_allclose(streamed(imported.network, FRAMES), states[-1], atol=1e-6)


# --- layers for GPUs ------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(("kind", "gates"), [("LSTM", 4), ("GRU", 3)])
def test_a_layer_for_gpus_is_the_layer_that_keras_makes_of_it(kind: str, gates: int, tmp_path: Path) -> None:
    """Its arrays as Keras 2 writes them, of a plain layer's: each gate's kernels turned, both biases in a row."""
    units = 3
    W, R = (RNG.normal(size=(n, gates * units)).astype(np.float32) for n in (2, units))
    both = RNG.normal(size=(2, gates * units)).astype(np.float32)
    turned = np.hstack([k.T.reshape(k.shape) for k in np.hsplit(W, gates)])
    arrays = {"kernel:0": turned, "recurrent_kernel:0": np.hstack([k.T for k in np.hsplit(R, gates)])}
    arrays["bias:0"] = both.ravel()
    model = chain(layer(f"CuDNN{kind}", name="rnn", units=units, return_sequences=True))
    found = import_model(listed(tmp_path, model, {f"rnn|rnn/{name}": array for name, array in arrays.items()}))
    plain = layer(kind, units=units, return_sequences=True, **({"reset_after": True} if kind == "GRU" else {}))
    b = both if kind == "GRU" else both.sum(axis=0)
    cell = f"layers/{kind.lower()}/cell/vars/"
    wanted = import_model(archive(tmp_path, chain(plain), {f"{cell}{n}": a for n, a in enumerate((W, R, b))}))
    np.testing.assert_allclose(streamed(found.network, X), streamed(wanted.network, X), atol=1e-6)


# --- what is refused ------------------------------------------------------------------------------------------------


def inner(kind: str, **config: Any) -> dict[str, Any]:
    return {"class_name": kind, "config": config}


REFUSED: dict[str, tuple[dict[str, Any], str]] = {
    "code": (layer("Lambda", function="os.system"), "'lambda' .Lambda. is code, which is not run"),
    "a class of one's own": (
        layer("Dense", units=3) | {"registered_name": "mine>Dense"},
        "'mine>Dense', which is code",
    ),
    "an unknown class": (layer("Capsule"), r"'capsule' .Capsule. is not read here: read are Act"),
    "attention": (layer("MultiHeadAttention"), "needs the whole utterance"),
    "two axes": (layer("Conv2D", filters=1), "works over two axes"),
    "an unknown activation": (layer("Dense", units=3, activation="mish"), "'mish': read here are linear"),
    "an activation that is code": (
        layer("Dense", units=3, activation={"class_name": "function", "module": "builtins", "config": "f"}),
        "has activat",
    ),
    "half a bidirectional": (
        layer(
            "Bidirectional",
            merge_mode="concat",
            layer=inner("LSTM", units=2, return_sequences=False),
            backward_layer=inner("LSTM", units=2, return_sequences=True, go_backwards=True),
        ),
        "all frames of one direction, and one of the other",
    ),
    "no merging": (layer("Bidirectional", layer=inner("LSTM", units=2)), "merge_mode 'none'"),
    "a wrapped convolution": (
        layer("TimeDistributed", layer=inner("Conv1D")),
        "'timedistributed' .Conv1D. works within each frame, over frames without positions",
    ),
    "a model with an axis of time for each frame": (
        layer(
            "TimeDistributed", layer=chain(layer("GRU", units=2), first=layer("InputLayer", batch_shape=[None, 2]))
        ),
        "'gru' .GRU. works within each frame, over frames without positions",
    ),
    "a model for each frame of each frame": (
        layer("TimeDistributed", layer=chain(layer("TimeDistributed", layer=chain(layer("Dense", units=1))))),
        "'timedistributed' .TimeDistributed. is within another",
    ),
    "a model of no layers for each frame": (
        layer("TimeDistributed", layer=inner("Sequential", layers=[])),
        "model .* has no layers",
    ),
    "a cell of one's own": (
        layer("RNN", cell=inner("Mine", units=2)),
        "runs a cell of class 'Mine': SimpleRNNCell, G",
    ),
    "no cell": (layer("RNN", units=2), "runs 0 cells"),
    "cells in both directions": (
        layer(
            "Bidirectional",
            merge_mode="concat",
            layer=inner("RNN", cell=inner("StackedRNNCells", cells=[inner("LSTMCell"), inner("LSTMCell")])),
        ),
        "runs 2 cells: one is read within Bidirectional",
    ),
    "a convolution in a cell": (layer("ConvLSTM1D", filters=2), "has a convolution in its recurrence"),
    "statistics of all frames": (layer("GroupNormalization"), "needs the whole utterance"),
    "backwards": (layer("GRU", units=2, go_backwards=True), "goes backwards"),
    "frames side by side": (layer("Flatten"), "puts all frames"),
    "time as values": (layer("Permute", dims=[2, 1]), "exchanges time and values"),
    "another shape": (layer("Reshape", target_shape=[-1, 1]), "makes .-1, 1. of frames of 2 values"),
    "a shape that is none": (layer("Reshape", target_shape=3.5), "makes 3.5 of frames"),
    "strided same": (
        layer("Conv1D", filters=1, kernel_size=3, strides=2, padding="same"),
        "depends on the utterance",
    ),
    "a mean of the same": (
        layer("AveragePooling1D", pool_size=3, strides=1, padding="same"),
        "leaves out of the mean",
    ),
    "columns": (layer("MaxPooling1D", data_format="channels_first"), "channels first"),
    "along time": (layer("BatchNormalization", axis=1), "along axis 1"),
    "a slope a frame": (layer("PReLU"), "a slope for each frame"),
    "a mean of no probabilities": (layer("GlobalAveragePooling1D"), "no probabilities"),
    "padding that nobody reads": (layer("ZeroPadding1D", padding=1), "ends in padding"),
    "a size that is text": (layer("Dense", units="3"), "units '3'"),
    "a size of nothing": (layer("Dense", units=0), "units '0', not a whole number from 1"),
    "a flag that is a number": (layer("Dense", units=3, use_bias=1), "use_bias 1, not true or false"),
    "a huge size": (layer("Dense", units=10**12), "need .2, 1000000000000."),
    "two kinds of relu": (layer("ReLU", max_value=1.0, threshold=0.5), "one is read here"),
}


@pytest.mark.parametrize("case", REFUSED)
def test_a_layer_that_cannot_be_is_refused_by_name(case: str, tmp_path: Path) -> None:
    wrong, message = REFUSED[case]
    kernel, bias = np.zeros((3, 2, 1), np.float32), np.zeros(1, np.float32)
    arrays = {"layers/conv1d/vars/0": kernel, "layers/conv1d/vars/1": bias} if wrong["class_name"] == "Conv1D" else {}
    with pytest.raises(ForeignModelError, match=message):
        import_model(archive(tmp_path, chain(wrong), arrays))


def test_weights_that_are_not_those_of_the_layers_are_refused(tmp_path: Path) -> None:
    some = {"layers/dense/vars/0": KERNEL}
    for arrays, message in (
        ({}, r"'dense' .Dense. has weights none, and its settings need \[2, 3\], \[3\]"),
        (some, r"has weights \[2, 3\], and"),
        (ARRAYS | {"layers/dense/vars/0": KERNEL.T}, r"has weights \[3, 2\]"),
        (ARRAYS | {"layers/dense/vars/2": BIAS}, r"\[3\], \[3\], and"),
        (ARRAYS | {"layers/dense_1/vars/0": KERNEL}, "'layers/dense_1/vars/0' is used by no layer"),
        (ARRAYS | {"layers/dense/vars/1": BIAS * np.nan}, "'b' has NaN"),
        (ARRAYS | {"layers/dense/vars/1": np.array([b"abc"] * 3)}, "is not of numbers"),
    ):
        with pytest.raises(ForeignModelError, match=message):
            import_model(archive(tmp_path, chain(DENSE), arrays))
    with pytest.raises(ForeignModelError, match="'model_weights/other/kernel:0' is used by no layer"):
        import_model(listed(tmp_path, chain(DENSE), {"dense|k": KERNEL, "dense|b": BIAS, "other|kernel:0": KERNEL}))


def functional(layers: list[Any], outputs: Any) -> dict[str, Any]:
    config = {"name": "model", "layers": layers, "input_layers": [["x", 0, 0]], "output_layers": outputs}
    return {"class_name": "Functional", "config": config}


def called(raw: dict[str, Any], *inputs: Any, **options: Any) -> dict[str, Any]:
    return raw | {"inbound_nodes": [[[*each, options] for each in inputs]]}


START = layer("InputLayer", batch_shape=[None, None, 2]) | {"name": "x", "inbound_nodes": []}
ADD, GRU = layer("Add"), layer("GRU", units=2, return_state=True)


def test_graphs_that_cannot_be_are_refused(tmp_path: Path) -> None:
    circle = [START, called(ADD, ["relu", 0, 0], ["x", 0, 0]), called(layer("ReLU"), ["add", 0, 0])]
    no_inputs = functional([START], [["x", 0, 0]])
    no_inputs["config"]["input_layers"] = []
    for model, message in (
        (functional(circle, [["add", 0, 0]]), "read each other in a circle"),
        (
            functional([START, called(ADD, ["x", 0, 0], ["y", 0, 0])], [["add", 0, 0]]),
            "add reads layer 'y', which is",
        ),
        (functional([START, called(ADD, ["x", 0, 0])], [["add", 0, 0]]), "is called with one tensor"),
        (functional([START, START], [["x", 0, 0]]), "two layers of one name"),
        (functional([START, called(layer("ReLU"), ["x", 0, 0])], [["relu", 0]]), "names no layer's output"),
        (
            functional([START, called(layer("ReLU"), ["x", 0, 0], initial_state=1)], [["relu", 0, 0]]),
            "'initial_state'",
        ),
        (functional([START, called(GRU, ["x", 0, 0])], [["gru", 0, 1]]), "weights none"),
        (no_inputs, "the model has no inputs"),
        ({"class_name": "MyModel", "config": {}}, "of class 'MyModel', which is code"),
        ({"class_name": "Sequential", "config": {"layers": []}}, "has no layers"),
        ({"class_name": "Sequential", "config": {"layers": [{"class_name": "Dense"}]}}, "not an object"),
        (chain(DENSE, first=layer("InputLayer", batch_shape=[None, 3, 4, None])), "has shape"),
        (chain(DENSE, first=layer("InputLayer", batch_shape=[None, None, None])), "has shape"),
    ):
        with pytest.raises(ForeignModelError, match=message):
            import_model(archive(tmp_path, model, {}))


PARTS: dict[str, tuple[str, list[Any], str]] = {
    "divided by values": ("TrueDivide", [2, "x"], "divides by what is no number other than 0"),
    "divided by nothing": ("TrueDivide", ["x", 0], "divides by what is no number other than 0"),
    "a number that is none": ("Add", ["x", float("inf")], "is called with inf"),
    "two numbers": ("Add", ["x", 1, 2], "is called with one tensor"),
    "the first frame": ("GetItem", ["x", [{}, 0]], "a part of a tensor other than the last frame"),
    "some frames": ("GetItem", ["x", [{}, {"start": 1}]], "a part of a tensor other than the last frame"),
    "one value": ("GetItem", ["x", [{}, {}, 1]], "a part of a tensor other than the last frame"),
    "every second value": ("GetItem", ["x", [{}, {}, {"step": 2}]], "a part of a tensor other than the last frame"),
    "no values": ("GetItem", ["x", [{}, {}, {"start": 1, "stop": 1}]], "takes none of a frame's values"),
    "too many axes": ("GetItem", ["x", [{}, {}, {}, {}]], "a part of a tensor other than the last frame"),
    "a name": ("GetItem", ["x", ["first"]], "by first, which is not read here"),
}  # fmt: skip


@pytest.mark.parametrize("case", PARTS)
def test_operations_that_cannot_be_are_refused_by_name(case: str, tmp_path: Path) -> None:
    kind, arguments, message = PARTS[case]
    tensor = {"class_name": "__keras_tensor__", "config": {"keras_history": ["x", 0, 0]}}

    def said(each: Any) -> Any:
        if isinstance(each, dict):
            return {"class_name": "__slice__", "config": each}
        return tensor if each == "x" else [said(one) for one in each] if isinstance(each, list) else each

    operation = layer(kind) | {"inbound_nodes": [{"args": [said(each) for each in arguments], "kwargs": {}}]}
    with pytest.raises(ForeignModelError, match=f"{kind}. .*{message}"):
        import_model(archive(tmp_path, functional([START, operation], [kind.lower(), 0, 0])))


def test_models_within_models_are_bounded(tmp_path: Path) -> None:
    model = functional([START, called(layer("ReLU"), ["x", 0, 0])], [["relu", 0, 0]])
    for _ in range(14):  # each calls the one before twice: 2 ^ 14 layers in a small file
        inner_model = model | {"config": model["config"] | {"name": "inner"}}
        twice = {"inbound_nodes": [[["x", 0, 0, {}]], [["x", 0, 0, {}]]]}
        both = called(ADD, ["inner", 1, 0], ["inner", 2, 0])
        model = functional([START, inner_model | twice, both], [["add", 0, 0]])
    with pytest.raises(ForeignModelError, match="calls over 4096 layers"):
        import_model(archive(tmp_path, model, {}))
    wide = chain(*[layer("ReLU", name=f"r{number}") for number in range(5000)])
    with pytest.raises(ForeignModelError, match="has 5001 layers, over the limit of 4096"):
        import_model(archive(tmp_path, wide, {}))
