"""PyTorch's state dictionaries, without PyTorch: what its modules compute, and files that are not what they say."""

from __future__ import annotations

import hashlib
import os
import pickle
import zipfile
from collections import OrderedDict
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
import pytest
from imported import streamed
from safetensors.numpy import save_file
from torch_archive import Parameter, Storage, Tensor, fake, pickled, save, state_dict
from torch_formulas import (
    batch_norm1d,
    conv1d,
    conv_transpose1d,
    layer_norm,
    linear,
    parameters,
    prelu,
    recurrent,
)

from ostinato.errors import ForeignModelError
from ostinato.importing import Settings, draft_settings, import_model, inert
from ostinato.importing.formats import format_of
from ostinato.importing.pytorch import file
from ostinato.model import Network
from ostinato.model.layers import Embedding

Array = npt.NDArray[Any]
Arrays = dict[str, Array]


def random(shapes: Mapping[str, tuple[int, ...]], seed: int = 0) -> Arrays:
    """Arrays of a module, in the order of PyTorch; variances are above 0."""
    generator = np.random.default_rng(seed)
    made = {name: generator.normal(0, 0.5, shape).astype("f4") for name, shape in shapes.items()}
    return {name: np.abs(array) + 0.5 if name.endswith("running_var") else array for name, array in made.items()}


def cell(gates: int, hidden: int, below: int, tail: str = "_l0", projection: int = 0) -> dict[str, tuple[int, ...]]:
    """Shapes of one direction of a recurrent module."""
    rows = gates * hidden
    shapes: dict[str, tuple[int, ...]] = {
        f"weight_ih{tail}": (rows, below),
        f"weight_hh{tail}": (rows, projection or hidden),
        f"bias_ih{tail}": (rows,),
        f"bias_hh{tail}": (rows,),
    }
    return shapes | ({f"weight_hr{tail}": (projection, hidden)} if projection else {})


def both(gates: int, hidden: int, below: int, layers: int, projection: int = 0) -> dict[str, tuple[int, ...]]:
    """Shapes of some layers in both directions."""
    shapes = {}
    for layer in range(layers):
        for way in ("", "_reverse"):
            size = 2 * (projection or hidden) if layer else below
            shapes |= cell(gates, hidden, size, f"_l{layer}{way}", projection)
    return shapes


def settings(tmp_path: Path, text: str) -> Settings:
    (tmp_path / "spec.toml").write_text(text)
    return Settings.of(tmp_path / "spec.toml")


def network_of(tmp_path: Path, arrays: Mapping[str, Any], nodes: str, size: int = 3) -> Network:
    """What a file of the arrays becomes above frames."""
    path = save(tmp_path / "model.pt", state_dict(arrays))
    assert format_of(path).name == "PyTorch state dictionary"
    text = f'front_end = {{kind = "frames", size = {size}}}\n{nodes}'
    return file.draft(path, settings(tmp_path, text)).network


# --- modules --------------------------------------------------------------------------------------------------------

MODULES: list[tuple[str, Mapping[str, tuple[int, ...]], str, Callable[[Arrays, Array], Array]]] = [
    ("RNN", cell(1, 5, 3), "", lambda p, x: recurrent("RNN", p, x)),
    ("RNN relu", cell(1, 5, 3), 'nonlinearity = "relu"', lambda p, x: recurrent("RNN", p, x, "relu")),
    ("GRU", cell(3, 5, 3), "", lambda p, x: recurrent("GRU", p, x)),
    ("GRU 2 layers, both ways", both(3, 4, 3, 2), "", lambda p, x: recurrent("GRU", p, x)),
    ("LSTM", cell(4, 5, 3), "", lambda p, x: recurrent("LSTM", p, x)),
    ("LSTM 2 layers, both ways, projected", both(4, 4, 3, 2, 2), "", lambda p, x: recurrent("LSTM", p, x)),
    ("Linear", {"weight": (4, 3), "bias": (4,)}, "", linear),
    ("Linear, no bias", {"weight": (4, 3)}, "", linear),
    ("Conv1d", {"weight": (4, 3, 3), "bias": (4,)}, "padding = 1", lambda p, x: conv1d(p, x, padding=1)),
    ("Conv1d, no padding", {"weight": (4, 3, 3), "bias": (4,)}, "", conv1d),
    (
        "Conv1d, dilated, strided, in groups",
        {"weight": (6, 1, 3), "bias": (6,)},
        "padding = 4\ndilation = 2\nstride = 2",
        lambda p, x: conv1d(p, x, 2, 4, 2, 3),
    ),
    (
        "Conv1d, padded before alone",
        {"weight": (4, 3, 3)},
        "left = 2",
        lambda p, x: conv1d(p, np.pad(x, ((2, 0), (0, 0)))),
    ),
    (
        "ConvTranspose1d",
        {"weight": (3, 4, 4), "bias": (4,)},
        "stride = 2\npadding = 1",
        lambda p, x: conv_transpose1d(p, x, 2, 1),
    ),
    (
        "ConvTranspose1d, padded further, in groups",
        {"weight": (3, 2, 5), "bias": (6,)},
        "stride = 3\npadding = 1\noutput_padding = 1",
        lambda p, x: conv_transpose1d(p, x, 3, 1, 1, 3),
    ),
    (
        "BatchNorm1d",
        {"weight": (3,), "bias": (3,), "running_mean": (3,), "running_var": (3,)},
        "eps = 1e-3",
        lambda p, x: batch_norm1d(p, x, 1e-3),
    ),
    ("BatchNorm1d, not affine", {"running_mean": (3,), "running_var": (3,)}, "", batch_norm1d),
    ("LayerNorm", {"weight": (3,), "bias": (3,)}, "", layer_norm),
    ("LayerNorm, no bias", {"weight": (3,)}, 'module = "LayerNorm"', layer_norm),
    ("PReLU", {"weight": (1,)}, "", prelu),
    ("PReLU for each", {"weight": (3,)}, 'module = "PReLU"', prelu),
]


@pytest.mark.parametrize(("name", "shapes", "said", "formula"), MODULES, ids=[each[0] for each in MODULES])
def test_modules_compute_what_pytorch_documents(
    tmp_path: Path,
    name: str,
    shapes: Mapping[str, tuple[int, ...]],
    said: str,
    formula: Callable[[Any, Array], Array],
) -> None:
    arrays = {f"net.part.{each}": array for each, array in random(shapes).items()}
    if "BatchNorm" in name:
        arrays["net.part.num_batches_tracked"] = np.array(7)
    text = f'[[nodes]]\nname = "it"\ntorch = "net.part"\n{said}'
    x = np.random.default_rng(1).normal(size=(17, 3)).astype("f4")
    made = streamed(network_of(tmp_path, arrays, text), x)
    expected = formula(parameters(arrays, "net.part"), x.astype("f8"))
    assert made.shape == expected.shape
    np.testing.assert_allclose(made, expected, atol=2e-6)


def test_cells_and_biases_that_are_not_there(tmp_path: Path) -> None:
    """nn.LSTMCell has the arrays of one layer, without its number."""
    arrays = random(cell(4, 5, 3))
    one = network_of(
        tmp_path, {f"a.{name}": array for name, array in arrays.items()}, '[[nodes]]\nname = "a"\ntorch = "a"'
    )
    same = {f"a.{name.removesuffix('_l0')}": array for name, array in arrays.items()}
    assert network_of(tmp_path, same, '[[nodes]]\nname = "a"\ntorch = "a"').digest == one.digest
    bare = {name: array for name, array in arrays.items() if "bias" not in name}
    made = network_of(tmp_path, bare, '[[nodes]]\nname = "a"\ntorch = ""')
    assert not made.weights["a.forward.Wb"].any() and made.weights["a.forward.W"].any()


def test_an_embedding_stands_above_tokens(tmp_path: Path) -> None:
    arrays = random({"emb.weight": (4, 3), "fc.weight": (2, 3)})
    path = save(tmp_path / "model.pt", state_dict(arrays))
    text = 'front_end = {kind = "tokens", vocabulary = ["a", "b", "c", "d"]}\n'
    text += '[[nodes]]\nname = "emb"\ntorch = "emb"\n[[nodes]]\nname = "fc"\ntorch = "fc"\n'
    made = file.draft(path, settings(tmp_path, text)).network
    assert isinstance(made.specification.nodes[0].layer, Embedding)
    np.testing.assert_array_equal(made.weights["emb.E"], arrays["emb.weight"])


@pytest.mark.parametrize(
    "names", [("weight_g", "weight_v"), ("parametrizations.weight.original0", "parametrizations.weight.original1")]
)
def test_normalised_weights_are_made_whole(tmp_path: Path, names: tuple[str, str]) -> None:
    arrays = random({f"c.{names[0]}": (4, 1, 1), f"c.{names[1]}": (4, 3, 3), "c.bias": (4,)})
    g, v = (arrays[f"c.{name}"].astype("f8") for name in names)
    made = network_of(tmp_path, arrays, '[[nodes]]\nname = "c"\ntorch = "c"').weights["c.W"]
    expected = g * v / np.sqrt((v**2).sum(axis=(1, 2), keepdims=True))
    np.testing.assert_allclose(made, expected.transpose(0, 2, 1).reshape(4, 9), rtol=1e-6)
    with pytest.raises(ForeignModelError, match="NaN"):
        network_of(
            tmp_path, arrays | {f"c.{names[1]}": 0 * arrays[f"c.{names[1]}"]}, '[[nodes]]\nname = "c"\ntorch = "c"'
        )


@pytest.mark.parametrize(
    ("arrays", "said", "why"),
    [
        ({"a.weight": (4, 3)}, 'torch = "b"', r"no array is called b\.…: there are a.weight \[4, 3\]"),
        ({"a.b.weight": (4, 3)}, 'torch = "a"', r"made of other modules \(a.b\): name each of them"),
        ({"a.weight": (4, 3), "a.extra": (1,)}, 'torch = "a"', r"a also has extra \[1\], which is not read"),
        ({"a.weight": (4, 5)}, 'torch = "a"', r"has shape \[4, 5\], and \[4, 3\] is needed"),
        ({"a.weight": (4, 3, 5, 5)}, 'torch = "a"', "a convolution over 2 axes"),
        ({"a.weight": (4, 2, 5)}, 'torch = "a"', "a takes 2 values, or groups of them, and what is below it gives 3"),
        ({"a.weight": (3,)}, 'torch = "a"', 'say whether it is module = "PReLU" or'),
        ({"a.in_proj_weight": (9, 3)}, 'torch = "a"', "it is attention"),
        ({"a.unknown": (9, 3)}, 'torch = "a"', "no module that is known here"),
        ({"a.weight": (4, 3)}, 'torch = "a"\nmodule = "Lineal"', "'Lineal' is not read here; did you mean 'Linear'"),
        ({"a.weight": (4, 3)}, 'torch = "a"\nmodule = "Conv1d"', r"weight of a is \[4, 3\], not of 3 axes"),
        ({"a.weight": (4, 3)}, 'torch = "a"\nmodule = "GRU"', "a has no weight_ih"),
        ({"a.weight": (4, 3)}, 'torch = "a"\nstride = 2', "unknown field 'stride'"),
        ({"a.weight": (4, 3, 2)}, 'torch = "a"\npaddings = 2', "unknown field 'paddings'; did you mean 'padding'"),
        ({"a.weight": (4, 3, 2)}, 'torch = "a"\nstride = "2"', "stride is '2', not of type int"),
        ({"a.weight": (4, 3)}, "torch = 3", "torch is 3, not the name"),
        (cell(4, 5, 3) | {"bias_ih_l0": (19,)}, 'torch = ""', "has not the arrays of LSTM|has shape"),
        (cell(3, 5, 3) | {"weight_hh_l0": (15, 4)}, 'torch = ""', "of no RNN, GRU or LSTM"),
        (cell(3, 5, 3) | {"weight_ih_l0": (15,)}, 'torch = ""', r"weight_ih_l0 of .* is \[15\], not of 2 axes"),
        (cell(3, 5, 3) | {"weight_ih_l1": (15, 5)}, 'torch = ""', "has no weight_hh_l1"),
    ],
)  # fmt: skip
def test_modules_that_do_not_fit_are_named(
    tmp_path: Path, arrays: dict[str, tuple[int, ...]], said: str, why: str
) -> None:
    with pytest.raises(ForeignModelError, match=why):
        network_of(tmp_path, random(arrays), f'[[nodes]]\nname = "it"\n{said}')


# --- drafts ---------------------------------------------------------------------------------------------------------


def test_a_draft_of_a_plain_chain_imports_as_it_stands(ostinato: Any, tmp_path: Path) -> None:
    """By the commands, as a user does it; the activation, which no array tells of, is a comment to be taken away."""
    arrays = {
        **{f"0.{name}": array for name, array in random({"weight": (8, 3, 3), "bias": (8,)}).items()},
        **{f"2.{name}": array for name, array in random(both(4, 4, 8, 2)).items()},
        **{f"3.{name}": array for name, array in random({"weight": (2, 8), "bias": (2,)}).items()},
    }
    save(tmp_path / "net.pt", state_dict(arrays, ["", "0", "1", "2", "3"]))
    done = ostinato("import", "net.pt", "--draft", cwd=tmp_path)
    assert done.returncode == 0, done.stderr
    (tmp_path / "spec.toml").write_text(done.stdout)
    done = ostinato("import", "net.pt", "--settings", "spec.toml", cwd=tmp_path)
    assert done.returncode == 0 and "LSTM, 2 layers, in both directions" in done.stdout, done.stderr
    assert (tmp_path / "net.safetensors").is_file()

    text = (tmp_path / "spec.toml").read_text()
    start = text.index('# [[nodes]]\n# name = "layer-1"')
    end = text.index("\n\n", start)
    text = text[:start] + text[start:end].replace("# ", "") + text[end:]
    network = import_model(tmp_path / "net.pt", settings(tmp_path, text)).network
    x = np.random.default_rng(1).normal(size=(17, 3)).astype("f4")
    y = np.maximum(conv1d(parameters(arrays, "0"), x), 0)
    y = linear(parameters(arrays, "3"), recurrent("LSTM", parameters(arrays, "2"), y))
    np.testing.assert_allclose(streamed(network, x), y, atol=2e-6)


def test_a_draft_says_what_reads_what_where_sizes_tell(tmp_path: Path) -> None:
    """Two heads above one encoder; tokens below an embedding; what has no place is a comment, or unused."""
    arrays = random({
        "emb.weight": (7, 4), **{f"rnn.{name}": shape for name, shape in cell(3, 5, 4).items()},
        "words.weight": (7, 5), "mood.weight": (3, 5), "strange.scale": (2,),
    })  # fmt: skip
    save(tmp_path / "two.pt", state_dict(arrays))
    text = draft_settings(tmp_path / "two.pt")
    with pytest.raises(ForeignModelError, match=r"nothing uses strange.scale"):
        import_model(tmp_path / "two.pt", settings(tmp_path, text))
    text = text.replace("# unused", "unused")
    assert 'inputs = ["rnn"]  # takes 5 values; words gives 7' in text and 'unused = ["strange.scale"]' in text
    specification = import_model(tmp_path / "two.pt", settings(tmp_path, text)).network.specification
    assert [(head.name, head.node) for head in specification.heads] == [("main", "words"), ("mood", "mood")]
    assert specification.front_end.wire.size == 7
    save(tmp_path / "gap.pt", state_dict(random({"a.weight": (4, 3), "b.weight": (2, 9), "c.q_weight": (2, 2)})))
    assert "It takes 9 values, which no node before it gives" in draft_settings(tmp_path / "gap.pt")
    save_file(arrays, tmp_path / "two.safetensors")
    assert 'torch = "rnn"  # GRU' in draft_settings(tmp_path / "two.safetensors")


# --- files ----------------------------------------------------------------------------------------------------------


def test_the_files_of_these_tests_are_those_of_torch_save() -> None:
    """What PyTorch 2.13 wrote for nn.Sequential(nn.Linear(2, 3), nn.ReLU())."""
    zeros = {"0.weight": np.zeros((3, 2), "f4"), "0.bias": np.zeros(3, "f4")}
    data, _ = pickled(state_dict(zeros, ["", "0", "1"]))
    assert hashlib.sha256(data).hexdigest() == "039e823d0afcd01536f71581bf9cde9b125d5360088321e9afc0f62a3a92073b"


def test_types_byte_orders_and_shared_storages(tmp_path: Path) -> None:
    array = np.random.default_rng(0).normal(size=(4, 6)).astype("f4")
    bits = (array.view(np.uint32) >> 16).astype(np.uint16)
    storage = Storage(array)
    arrays = {
        "float32": array,
        "float16": array.astype("f2"),
        "float64": array.astype("f8"),
        "bfloat16": bits,
        "int64": np.array([3, 4]),
        "scalar": np.array(5.0),
        "tied": Tensor(storage=storage, shape=(4, 6)),
        "transposed": Tensor(storage=storage, shape=(6, 4), strides=(1, 6)),
        "part": Tensor(storage=storage, offset=7, shape=(2, 2), strides=(6, 1)),
        "parameter": Parameter(Tensor(array)),
        "empty": np.zeros((0, 3), "f4"),
    }
    for big in (False, True):
        contents = file.read(save(tmp_path / "all.pt", state_dict(arrays), big=big)).arrays
        found = {name: stored.float32(name) for name, stored in contents.items()}
        assert list(found) == list(arrays) and contents["bfloat16"].dtype == "bfloat16"
        for name in ("float32", "tied", "parameter"):
            np.testing.assert_array_equal(found[name], array)
        np.testing.assert_array_equal(found["float16"], array.astype("f2"))
        np.testing.assert_array_equal(found["float64"], array)
        np.testing.assert_array_equal(found["bfloat16"], (bits.astype(np.uint32) << 16).view("f4"))
        np.testing.assert_array_equal(found["transposed"], array.T)
        np.testing.assert_array_equal(found["part"], array[1:3, 1:3])
        np.testing.assert_array_equal(found["int64"], [3, 4])
        assert found["scalar"] == 5 and found["empty"].shape == (0, 3)


def test_a_checkpoint_holds_the_state_somewhere(tmp_path: Path) -> None:
    state = state_dict(
        {f"module.{name}": array for name, array in random({"weight": (2, 3)}).items()}, ["", "module"]
    )
    adam = {
        "state": {0: {"step": Tensor(np.array(1.0)), "exp_avg": Tensor(np.ones(3))}},
        "param_groups": [{"lr": 0.1}],
    }
    optimizer = {"optimizer_state_dict": adam, "epoch": 3, "best": None, "names": ("a", 1)}
    contents = file.read(save(tmp_path / "c.pt", {"model": {"net": state}, **optimizer}))
    assert list(contents.arrays) == ["weight"]
    assert contents.decided == (("read", "model.net of the file"), ("names", "without the 'module.' before each"))
    mixed = file.read(save(tmp_path / "c.pt", {"weight": Tensor(np.ones(2)), "version": 3}))
    assert mixed.decided == (("passed over", "what is no tensor: version"),)
    two = save(tmp_path / "c.pt", {"generator": state, "ema": state})
    with pytest.raises(ForeignModelError, match=r"several .*\"generator\", \"ema\".*state = \"generator\""):
        file.read(two)
    assert list(file.read(two, settings(tmp_path, 'state = "ema"')).arrays) == ["weight"]
    with pytest.raises(ForeignModelError, match="has no 'emma'; did you mean 'ema'"):
        file.read(two, settings(tmp_path, 'state = "emma"'))
    for nothing in ({"epoch": 3}, [1, 2], {}, OrderedDict(), "text"):
        with pytest.raises(ForeignModelError, match="there is no state dictionary"):
            file.read(save(tmp_path / "c.pt", nothing))


class Runs:
    """What a pickle may do to whoever trusts it."""

    def __init__(self, function: Any, *arguments: Any) -> None:
        self.call = function, arguments

    def __reduce__(self) -> Any:
        return self.call


@pytest.mark.parametrize(
    ("value", "classes", "why"),
    [
        ({"a": Runs(os.system, "touch ran")}, (), "wants to use posix.system.*refused"),
        ({"a": Runs(eval, "open('ran', 'w')")}, (), "wants to use .*eval.*refused"),
        ({"weight": Tensor(np.ones(2), rebuild=fake("torch._utils", "_rebuild_sparse_tensor"))}, (), "another kind"),
        ({"weight": Tensor(np.ones(2), rebuild=fake("shutil", "rmtree"))}, (), "to use shutil.rmtree"),
        (fake("torch.nn.modules.rnn", "LSTM")(), (), "holds a whole module .*LSTM.*state_dict"),
        (fake("__main__", "Net")(), (), r"holds a whole module \(__main__.Net\).*torch.save\(model.state_dict"),
        (fake("torch.storage", "TypedStorage")(), (), "another kind"),
    ],
)  # fmt: skip
def test_whatever_a_file_wants_to_run_is_refused_by_name(
    tmp_path: Path, value: Any, classes: Any, why: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    made = [type(value)] if type(value).__module__ not in ("builtins", __name__) else []
    for each in value.values() if isinstance(value, dict) else ():
        made += [each.rebuild] if isinstance(each, Tensor) else []
    path = save(tmp_path / "model.pt", value, made)
    with pytest.raises(ForeignModelError, match=why):
        import_model(path)
    assert {each.name for each in tmp_path.iterdir()} == {"model.pt"}


def lying(numbers: int) -> Tensor:
    """A tensor whose storage is said to hold more than the file has."""
    storage = Storage(np.ones(4, "f4"))
    storage.numbers = numbers
    return Tensor(storage=storage, shape=(numbers,))


@pytest.mark.parametrize(
    ("tensor", "why"),
    [
        (lying(1 << 29), "said to hold 536870912 numbers .*, and the archive has 16 bytes"),
        (lying(3), "said to hold 3 numbers"),
        (Tensor(storage=Storage(np.ones(4)), shape=(5,)), "reaches outside of its storage of 4"),
        (Tensor(storage=Storage(np.ones(4)), shape=(2,), offset=3), "reaches outside"),
        (Tensor(storage=Storage(np.ones(4)), shape=(2, 2), strides=(3, 1)), "reaches outside"),
        (Tensor(storage=Storage(np.ones(4)), shape=(2,), strides=(-1,)), "reaches outside"),
        (Tensor(storage=Storage(np.ones(4)), shape=(2,), offset=-1), "reaches outside"),
        (Tensor(storage=Storage(np.ones(4)), shape=(1 << 30, 1 << 30), strides=(0, 0)), "reaches outside"),
        (Tensor(storage=Storage(np.ones(4)), shape=(2,), strides=(1, 1)), "reaches outside"),
        (Tensor(storage=Storage(np.ones(4)), shape=(1,) * 20, strides=(0,) * 20), "reaches outside"),
        (Tensor(storage=Storage(np.ones(4)), shape=("a",), strides=(1,)), "reaches outside"),
        (Tensor(storage=Storage(np.ones(4)), shape=None, strides=None, offset="a"), "not described as"),
    ],
)  # fmt: skip
def test_tensors_that_are_not_in_the_file_are_refused(tmp_path: Path, tensor: Tensor, why: str) -> None:
    with pytest.raises(ForeignModelError, match=why):
        file.read(save(tmp_path / "model.pt", {"weight": tensor}))


def test_damaged_and_foreign_files_are_refused(tmp_path: Path) -> None:
    path = save(tmp_path / "model.pt", state_dict(random({"a.weight": (4, 3)})))
    data = path.read_bytes()
    for cut in range(0, len(data), 11):
        path.write_bytes(data[:cut])
        with pytest.raises(ForeignModelError):
            import_model(path)
    with zipfile.ZipFile(path, "w", zipfile.ZIP_DEFLATED) as archive:
        archive.writestr("m/data.pkl", bytes(inert.MAX_BYTES + 1))
    with pytest.raises(ForeignModelError, match=r"data.pkl' in the archive has \d+ bytes, over the limit"):
        file.read(path)
    loop: dict[str, Any] = {"a": 1}
    loop["loop"] = loop
    wide: Any = {"w": 1}
    for _ in range(4):
        wide = {str(number): wide for number in range(60)}
    for value, why in ((loop, "no state dictionary"), (wide, "too many to look through")):
        with pytest.raises(ForeignModelError, match=why):
            file.read(save(path, value))
    legacy = pickle.dumps(0x1950A86A20F9469CFC6C, 2) + pickle.dumps(1001, 2)
    for content, why in (
        (legacy, "PyTorch's old format, before 1.6"),
        (pickle.dumps({"a": 1}), "is a pickle by itself"),
        (b"not a model", "is of no format that is read here"),
        (b"", "is of no format"),
    ):
        path.write_bytes(content)
        with pytest.raises(ForeignModelError, match=why):
            import_model(path)
    for members, why in (
        (("m/data.pkl", "m/code/m.py"), "TorchScript archive, which holds code"),
        (("m/data.pkl", "m/constants.pkl"), "TorchScript"),
        (("m/data.pkl", "n/data.pkl"), "has 2 files data.pkl"),
        (("m/data.pkl",), "the pickle is damaged"),
    ):
        with zipfile.ZipFile(path, "w") as archive:
            for name in members:
                archive.writestr(name, b"")
        with pytest.raises(ForeignModelError, match=why):
            import_model(path)
    with pytest.raises(ForeignModelError, match="NaN or infinite values"):
        network_of(tmp_path, {"a.weight": np.full((4, 3), np.nan, "f4")}, '[[nodes]]\nname = "a"\ntorch = "a"')


@pytest.mark.parametrize("seed", range(2))
def test_whatever_bytes_change_it_is_read_or_refused(tmp_path: Path, seed: int) -> None:
    """In the pickle, behind the archive's checksums; in the archive; in .safetensors and .npz."""
    generator = np.random.default_rng(seed)
    arrays = random({"rnn.weight_ih_l0": (12, 3), "rnn.weight_hh_l0": (12, 4), "fc.weight": (2, 4)})
    pt, tensors, npz = tmp_path / "m.pt", tmp_path / "m.safetensors", tmp_path / "m.npz"
    save(pt, {"state_dict": state_dict(arrays, ["", "rnn", "fc"]), "epoch": 3})
    save_file(arrays, tensors)
    np.savez(npz, **arrays)  # type: ignore[arg-type]
    with zipfile.ZipFile(pt) as archive:
        members = {name: archive.read(name) for name in archive.namelist()}
    refused = 0
    for path in (pt, tensors, npz, None):
        data = members["m/data.pkl"] if path is None else path.read_bytes()
        for _ in range(50):
            changed = bytearray(data)
            for at in generator.integers(0, min(len(data), 600), generator.integers(1, 4)):
                changed[at] = generator.integers(256)
            if path is None:
                with zipfile.ZipFile(pt, "w") as archive:
                    for name, content in (members | {"m/data.pkl": bytes(changed)}).items():
                        archive.writestr(name, content)
            else:
                path.write_bytes(changed)
            try:
                draft_settings(path or pt)
            except ForeignModelError:
                refused += 1
    assert refused > 50
