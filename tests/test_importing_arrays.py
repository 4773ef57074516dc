"""Arrays by a settings file: however they are stored, the same weights come out; what does not fit is named."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
import pytest
from imported import streamed

from ostinato.errors import ForeignModelError
from ostinato.importing import Draft, Settings, draft_settings, import_model
from ostinato.importing.arrays import npz
from ostinato.model import Network, Sequential
from ostinato.model.decoders import Outputs
from ostinato.model.front_ends import Frames
from ostinato.model.layers import Gru, Layer, Lstm, MinGru, MinLstm, Rnn, Sru

Array = npt.NDArray[Any]
FRAMES_OF_3 = 'front_end = {kind = "frames", size = 3}\n'
LSTM = """
[[nodes]]
name = "lstm"
kind = "lstm"
hidden = 4
gates = "ifgo"
weights = {W = "w_x", R = {from = "w_h", transpose = true}, b = "bias"}
"""
DENSE = """
[[nodes]]
name = "scores"
kind = "dense"
size = 2
activation = "tanh"
weights = {W = "w_o", b = 0}
"""
HEADS = """
[[heads]]
name = "states"
node = "lstm"

[[heads]]
name = "gesture"
node = "scores"
decoder = {kind = "labels", labels = ["rest", "wave"]}
"""


def arrays(dtype: str = "f4") -> dict[str, Array]:
    generator = np.random.default_rng(0)
    shapes = {"w_x": (16, 3), "w_h": (4, 16), "bias": (16,), "w_o": (2, 4)}
    return {name: generator.normal(size=shape).astype(dtype) for name, shape in shapes.items()}


def settings(tmp_path: Path, text: str) -> Settings:
    (tmp_path / "spec.toml").write_text(text)
    return Settings.of(tmp_path / "spec.toml")


def drafted(tmp_path: Path, text: str, given: Mapping[str, Array] | None = None) -> Draft:
    """What the text makes of the arrays, unless it is refused."""
    np.savez(tmp_path / "arrays.npz", **(arrays() if given is None else given))
    return npz.draft(tmp_path / "arrays.npz", settings(tmp_path, text))


# --- one way of storing arrays is as good as another ---------------------------------------------------------------


def one_layer(layer: Layer) -> Network:
    return Network.random(Sequential("x", Frames(3), [layer], Outputs()), seed=1)


def stored(array: Array, ours: str, theirs: str) -> Array:
    """Gates in another order."""
    return np.concatenate([np.split(array, len(ours))[ours.index(gate)] for gate in theirs])


@pytest.mark.parametrize(
    ("layer", "said", "ours", "theirs", "letters"),
    [
        (Lstm(4, peepholes=True), "hidden = 4\npeepholes = true", "iofc", "ifco", "ifgo"),
        (Lstm(4), "hidden = 4", "iofc", "ifco", "ifco"),
        (Lstm(4), "hidden = 4", "iofc", "iofc", "iofc"),
        (Lstm(4, projection=2), "hidden = 4\nprojection = 2", "iofc", "icfo", "icfo"),
        (Gru(4), "hidden = 4", "zrn", "rzn", "rzn"),
        (Gru(4, reset="before"), 'hidden = 4\nreset = "before"', "zrn", "zrn", "zrh"),
        (MinGru(4), "hidden = 4", "zn", "nz", "hz"),
        (MinLstm(4), "hidden = 4", "fin", "ifn", "ifn"),
        (Sru(4, highway="projected"), 'hidden = 4\nhighway = "projected"', "wfrs", "rwsf", "rwsf"),
        (Rnn(4), "hidden = 4", "h", "h", ""),
    ],
    ids=str,
)
@pytest.mark.parametrize("transposed", [False, True])
def test_gates_of_all_orders_become_ours(
    tmp_path: Path, layer: Layer, said: str, ours: str, theirs: str, letters: str, transposed: bool
) -> None:
    network = one_layer(layer)
    given, weights = {}, []
    for name, array in network.weights.items():
        part = name.rpartition(".")[2]
        if part in ("P", "v"):
            some = {"P": "iof", "v": "fr"}[part]
            array = stored(array, some, "".join(gate for gate in theirs if gate in some))
        elif part != "H":
            array = stored(array, ours, theirs)
        given[part] = array.T if transposed else array
        weights.append(f'{part} = "{part}"')
    text = f"""{FRAMES_OF_3}
[[nodes]]
name = "{layer.kind}"
kind = "{layer.kind}"
{said}
gates = "{letters}"
transpose = {str(transposed).lower()}
weights = {{{", ".join(weights)}}}
"""
    made = drafted(tmp_path, text, given).network
    assert made.specification.nodes == network.specification.nodes
    for name, array in network.weights.items():
        np.testing.assert_array_equal(made.weights[name], array)


@pytest.mark.parametrize("form", ["one", "two", "rows", "ONNX", "halves", "number"])
def test_a_bias_may_be_one_or_two(tmp_path: Path, form: str) -> None:
    network = one_layer(Gru(4))
    generator = np.random.default_rng(2)
    one, other = generator.normal(size=(2, 12)).astype("f4")
    keras_one, keras_other = (stored(each, "zrn", "zrn") for each in (one, other))
    given: dict[str, Array] = {part: network.weights[f"gru.forward.{part}"] for part in "WR"}
    expected: tuple[Any, Any] = (one, other)
    said = {
        "one": 'b = "bias"',
        "two": 'Wb = "bias", Rb = "other"',
        "rows": 'b = "bias"',
        "ONNX": 'b = "bias"',
        "halves": 'Wb = {from = "bias", rows = 0}, Rb = {from = "bias", rows = 1}',
        "number": "Wb = 0.5, Rb = 0",
    }[form]
    if form == "one":
        given["bias"], expected = one[:, None], (one, np.zeros(12))
    elif form == "two":
        given |= {"bias": one, "other": other}
    elif form == "ONNX":
        given["bias"] = np.concatenate([one, other])
    elif form == "number":
        expected = np.full(12, 0.5), np.zeros(12)
    else:
        given["bias"] = np.stack([keras_one, keras_other])
    text = f"""{FRAMES_OF_3}
[[nodes]]
name = "gru"
kind = "gru"
hidden = 4
gates = "zrh"
weights = {{W = "W", R = "R", {said}}}
"""
    made = drafted(tmp_path, text, given).network
    np.testing.assert_array_equal(made.weights["gru.forward.Wb"], expected[0])
    np.testing.assert_array_equal(made.weights["gru.forward.Rb"], expected[1])


def test_directions_parts_of_arrays_and_gates_by_themselves(tmp_path: Path) -> None:
    """Forward, one kernel for input and state, as TensorFlow's cells have it; backward, an array for each gate; as
    ONNX has it, a leading axis."""
    network = one_layer(Lstm(4, "bidirectional"))
    W, R, Wb = (network.weights[f"lstm.forward.{part}"] for part in ("W", "R", "Wb"))
    gates = dict(zip("iofc", np.split(network.weights["lstm.backward.R"], 4), strict=True))
    given = {
        "kernel": np.concatenate([W, R], axis=1).T,
        "bias": Wb,
        "onnx": network.weights["lstm.backward.W"][None],
        **{f"R_{gate}": array.T for gate, array in gates.items()},
    }
    text = f"""{FRAMES_OF_3}
[[nodes]]
name = "lstm"
kind = "lstm"
hidden = 4
direction = "bidirectional"
gates = "iofc"

[nodes.weights]
forward.W = {{from = "kernel", rows = [0, 3], transpose = true}}
forward.R = {{from = "kernel", rows = [3, 7], transpose = true}}
forward.b = "bias"
backward.W = {{from = "onnx", rows = 0}}
backward.R = {{from = ["R_i", "R_f", {{from = "R_c", columns = [0, 4]}}, "R_o"], transpose = true, gates = "ifco"}}
"backward.Wb" = {{from = ["bias"], gates = "iofc"}}
"backward.Rb" = 0
"""
    made = drafted(tmp_path, text, given).network
    for part in ("forward.W", "forward.R", "forward.Wb", "backward.W", "backward.R"):
        np.testing.assert_array_equal(made.weights[f"lstm.{part}"], network.weights[f"lstm.{part}"])
    np.testing.assert_array_equal(made.weights["lstm.backward.Wb"], Wb)


@pytest.mark.parametrize("axes", ["oit", "tio", "oti", "ito"])
def test_kernels_of_convolutions_by_their_axes(tmp_path: Path, axes: str) -> None:
    generator = np.random.default_rng(3)
    ours = generator.normal(size=(2, 5, 3)).astype("f4")  # outputs, taps, inputs
    text = f"""{FRAMES_OF_3}
[[nodes]]
name = "conv"
kind = "convolution"
size = 2
taps = 5
weights = {{W = {{from = "kernel", axes = "{axes}"}}, b = 0}}
"""
    given = {"kernel": np.transpose(ours, ["oti".index(axis) for axis in axes])}
    np.testing.assert_array_equal(drafted(tmp_path, text, given).network.weights["conv.W"], ours.reshape(2, 15))


def test_a_bend_a_join_and_heads_of_their_own(tmp_path: Path) -> None:
    """A node reads the one before it, unless it says what; heads without a decoder give raw outputs, logits get the
    softmax that labels need; the formula, once more, gives the same numbers."""
    text = f"""{FRAMES_OF_3}{LSTM}{DENSE}
[[nodes]]
name = "both"
kind = "concatenate"
inputs = ["lstm", "scores"]

[[heads]]
name = "all"
node = "both"

[[heads]]
name = "gesture"
node = "scores"
decoder = {{kind = "labels", labels = ["rest", "wave"]}}
"""
    np.savez(tmp_path / "arrays.npz", **arrays())
    imported = import_model(tmp_path / "arrays.npz", settings(tmp_path, text))
    heads = imported.network.specification.heads
    assert [(head.name, head.node, head.decoder.kind) for head in heads] == [
        ("all", "both", "outputs"),
        ("gesture", "gesture-softmax", "labels"),
    ]
    x = np.random.default_rng(4).normal(size=(20, 3)).astype("f4")
    w, h, c = arrays("f8"), np.zeros(4), np.zeros(4)
    expected = []
    for frame in x:
        i, f, g, o = np.split(w["w_x"] @ frame + h @ w["w_h"] + w["bias"], 4)
        c = c / (1 + np.exp(-f)) + np.tanh(g) / (1 + np.exp(-i))
        h = np.tanh(c) / (1 + np.exp(-o))
        expected.append(np.concatenate([h, np.tanh(w["w_o"] @ h)]))
    np.testing.assert_allclose(streamed(imported.network, x), expected, atol=2e-6)
    assert imported.parity.largest < 1e-5 and imported.parity.source.startswith("float64")
    assert "--expect" in dict(imported.decisions)["compared with"]
    np.savez(tmp_path / "expect.npz", inputs=x, outputs=expected)
    told = import_model(tmp_path / "arrays.npz", settings(tmp_path, text), expect=tmp_path / "expect.npz")
    assert told.parity.source == "recorded outputs" and "compared with" not in dict(told.decisions)
    np.savez(tmp_path / "expect.npz", inputs=x, outputs=np.array(expected)[:, ::-1])
    with pytest.raises(ForeignModelError, match="not those of the source"):
        import_model(tmp_path / "arrays.npz", settings(tmp_path, text), expect=tmp_path / "expect.npz")


def test_a_decoder_may_have_weights(tmp_path: Path) -> None:
    given = arrays() | {"transitions": np.eye(2), "start": np.array([1.0, 2.0])}
    text = f"""{FRAMES_OF_3}{LSTM}{DENSE}
[[heads]]
name = "tags"
decoder = {{kind = "crf", labels = ["a", "b"]}}
weights = {{transitions = "transitions", start = "start", end = 0}}
"""
    np.savez(tmp_path / "arrays.npz", **given)  # type: ignore[arg-type]
    network = import_model(tmp_path / "arrays.npz", settings(tmp_path, text)).network
    np.testing.assert_array_equal(network.weights["head.tags.transitions"], np.eye(2))
    np.testing.assert_array_equal(network.weights["head.tags.start"], [1, 2])
    for old, new, said in (
        ("end = 0", "stop = 0", "weight 'end' .* is not given"),
        ('"transitions"', '"w_o"', r"transitions is \[2, 4\], made of w_o"),
        ("weights = {trans", "wights = {trans", "'wights' says nothing here; did you mean 'weights'"),
    ):
        with pytest.raises(ForeignModelError, match=f"head 'tags': .*{said}"):
            drafted(tmp_path, text.replace(old, new), given)


def test_names_that_cannot_be_printed_are_refused(tmp_path: Path) -> None:
    """They would go to terminals, and into drafts."""
    np.savez(tmp_path / "arrays.npz", **{"fc\x1b[2Jx.weight": np.zeros((2, 2))})
    with pytest.raises(ForeignModelError, match=r"is called 'fc\\x1b"):
        draft_settings(tmp_path / "arrays.npz")
    np.savez(tmp_path / "arrays.npz", **{'fc"\\n.weight': np.zeros((2, 3))})
    import_model(tmp_path / "arrays.npz", settings(tmp_path, draft_settings(tmp_path / "arrays.npz")))


def test_a_front_end_may_have_weights(tmp_path: Path) -> None:
    text = """
front_end = {kind = "log-mel", mels = 3, normalise = true}
front_end_weights = {mean = "mu", scale = 1}
[[nodes]]
name = "out"
kind = "dense"
size = 2
weights = {W = "W", b = 0}
"""
    given = {"mu": np.arange(3.0), "W": np.ones((2, 3))}
    made = drafted(tmp_path, text, given).network
    np.testing.assert_array_equal(made.weights["front_end.mean"], [0, 1, 2])
    np.testing.assert_array_equal(made.weights["front_end.scale"], [1, 1, 1])
    for cut, said in (('mean = "mu", ', "'mean' .* is not given"), (", scale = 1", "'scale' .* is not given")):
        with pytest.raises(ForeignModelError, match=f"front_end_weights: weight {said}"):
            drafted(tmp_path, text.replace(cut, ""), given)
    with pytest.raises(ForeignModelError, match="'mu' is none that it has"):
        drafted(tmp_path, text.replace("scale = 1", "scale = 1, mu = 2"), given)


# --- what does not fit ----------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("old", "new", "said"),
    [
        ('"w_x"', '"w_y"', r"node 'lstm': W: there is no array 'w_y': the file has w_x .*did you mean 'w_"),
        ('W = "w_x", ', "", r"weight W \[16, 3\] is not given: name its array \(w_x \[16, 3\] could be it\), or say"),
        ("transpose = true", "transpose = false", r"R is \[4, 16\], made of w_h \[4, 16\], and .* is needed; trans"),
        ("hidden = 4", "hidden = 5", r"b is \[16\], made of bias \[16\]: one bias has 20 values, two have 40"),
        ("hidden = 4", "hiden = 4", "node 'lstm': unknown field 'hiden'; did you mean 'hidden'"),
        ('"ifgo"', '"ifo"', "gates = 'ifo' is not the order .* by the letters of 'iofc' .PyTorch 'ifgo', Keras"),
        ('gates = "ifgo"', "", "gates has to say the order .* letters of 'iofc'"),
        ('gates = "ifgo"', "gates = 4", "gates is 4, not letters"),
        ('b = "bias"', 'b = "bias", P = 0', "'P' is no weight of it|'forward.P' is no weight of it"),
        ('b = "bias"', 'b = "w_x"', r"b is \[16, 3\], made of w_x \[16, 3\]: one bias has 16"),
        ('"bias"', "{rows = 1}", "b is {'rows': 1}: name an array, or say {from"),
        ('"bias"', "true", "b is True"),
        ('"bias"', "[]", "an empty list"),
        ('"bias"', '["bias", "w_x"]', "cannot be stacked"),
        ('"bias"', '{from = "bias", row = 1}', "'row' says nothing here; did you mean 'rows'"),
        ('"bias"', '{from = "bias", rows = [3, 99]}', r"rows is \[3, 99\]: say \[start, end\], .* within the 16"),
        ('"bias"', '{from = "bias", columns = 0}', "columns: the array is"),
        ('"bias"', '{from = "bias", transpose = true}', "transpose is for matrices"),
        ('"bias"', '{from = ["bias"], rows = 0}', "rows and columns belong to"),
        ('kind = "dense"', 'kind = "dens"', "kind 'dens' is not one of .*did you mean 'dense'"),
        ('kind = "dense"', 'inputs = ["lstn"]\nkind = "dense"', "'scores' reads 'lstn', .*mean 'lstm'"),
        ('kind = "dense"', 'inputs = "lstm"\nkind = "dense"', "inputs is 'lstm', not a list"),
        ('kind = "dense"', 'inputs = []\nkind = "dense"', "node 'scores' takes one input, not 0"),
        ('"scores"\nkind', '"lstm"\nkind', "'lstm' is no name for a"),
        ('"scores"\nkind', '"a b"\nkind', "'a b' is no name for a node"),
        ('name = "scores"\nkind', "kind", "None is no name"),
        ('W = "w_o"', 'W = "w_o", X = 1', "'X' is no weight of it: kind dense has W, b"),
        ('activation = "tanh"', 'activation = "tan"', "activation 'tan' is unknown"),
        ('node = "lstm"', 'node = "lstmm"', "head 'states'.*'lstmm' is not; did you mean 'lstm'"),
        ('node = "lstm"', 'decode = 1', "head 'states': 'decode' says nothing here"),
        ('node = "lstm"', 'decoder = {kind = "label"}', "head 'states': decoder: kind 'label' .*mean 'labels'"),
        ('"states"', '"my states"', "'my states' is no name for a head"),
        ('["rest", "wave"]', '["rest"]', "the decoder does not fit"),
        ("[[heads]]", "decoder = {kind = 'outputs'}\n[[heads]]", "'decoder'"),
        ("front_end", "frontend", "'frontend' says nothing here"),
        ("front_end", "nodes = 3\nfront_end", "Cannot overwrite"),
        ("front_end", "unused = ['w_x']\nfront_end", "unused names 'w_x', but node 'lstm': W uses it"),
        ("front_end", "unused = ['nobody*']\nfront_end", "no array is called so"),
        ("front_end", "unused = 3\nfront_end", "unused is 3"),
        ("front_end", "fixed = {sr = 1}\nfront_end", "fixed inputs are for graphs"),
        ("front_end = ", "name = ", "name is"),
    ],
)  # fmt: skip
def test_what_does_not_fit_is_named(tmp_path: Path, old: str, new: str, said: str) -> None:
    text = FRAMES_OF_3 + LSTM + DENSE + HEADS
    np.savez(tmp_path / "arrays.npz", **arrays())
    assert old in text
    with pytest.raises(ForeignModelError, match=said):
        import_model(tmp_path / "arrays.npz", settings(tmp_path, text.replace(old, new, 1)))


def test_every_array_is_used_or_said_to_be_unused(tmp_path: Path) -> None:
    text = FRAMES_OF_3 + LSTM + DENSE
    more = {"adam.m": np.zeros(3), "adam.v": np.zeros(3)}
    with pytest.raises(ForeignModelError, match=r"nothing uses adam.m \[3\], adam.v \[3\]: .* unused = \[\"adam.m\""):
        drafted(tmp_path, text, arrays() | more)
    made = drafted(tmp_path, 'unused = ["adam.*"]\n' + text, arrays() | more)
    assert dict(made.decisions)["set aside"] == "adam.m [3], adam.v [3]"
    idle = text + '[[nodes]]\nname = "idle"\nkind = "softmax"\n[[heads]]\nname = "main"\nnode = "scores"\n'
    with pytest.raises(ForeignModelError, match="'idle' is read by no other"):
        drafted(tmp_path, idle)
    with pytest.raises(
        ForeignModelError, match=r"do not say what is computed: `ostinato import .*arrays\.npz --draft"
    ):
        drafted(tmp_path, FRAMES_OF_3)
    with pytest.raises(ForeignModelError, match="front_end is missing"):
        drafted(tmp_path, LSTM)
    with pytest.raises(ForeignModelError, match="at the heads or once for all"):
        drafted(tmp_path, "decoder = {kind = 'outputs'}\n" + FRAMES_OF_3 + LSTM + DENSE + HEADS)


def test_what_is_no_float32_is_converted_and_told(tmp_path: Path) -> None:
    text, given = FRAMES_OF_3 + LSTM + DENSE, arrays()
    given["w_x"], given["w_h"] = given["w_x"].astype("f8"), given["w_h"].astype("f2")
    given["w_o"] = np.asfortranarray(np.round(given["w_o"] * 10).astype(">i4"))
    made = drafted(tmp_path, text, given)
    assert dict(made.decisions)["converted"] == "to float32: 1 of float16, 1 of float64, 1 of int32"
    np.testing.assert_array_equal(made.network.weights["scores.W"], given["w_o"])
    for value, said in ((np.nan, "NaN or infinite"), (1e39, "beyond what float32 holds"), (1j, "weights are real")):
        with pytest.raises(ForeignModelError, match=said):
            drafted(tmp_path, text, given | {"w_x": given["w_x"] + value})
