"""What people have of PyTorch: checkpoints with more than weights, normalised weights, recorded outputs in the place
of settings. Files as torch.save writes them, without PyTorch; the formulas are NumPy's."""

from __future__ import annotations

import tomllib
import zipfile
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from safetensors.numpy import save_file
from torch_archive import Tensor, fake, save, state_dict
from torch_formulas import linear, parameters, recurrent

from ostinato.errors import ForeignModelError
from ostinato.importing import Settings, draft_settings, import_model
from ostinato.importing.pytorch import file

RNG = np.random.default_rng(3)
SHAPES: dict[str, tuple[int, ...]] = {
    "rnn.weight_ih_l0": (15, 4), "rnn.weight_hh_l0": (15, 5), "rnn.bias_ih_l0": (15,), "rnn.bias_hh_l0": (15,),
    "fc.weight": (2, 5), "fc.bias": (2,),
}  # fmt: skip


def random(shapes: Mapping[str, tuple[int, ...]]) -> dict[str, Any]:
    return {name: RNG.normal(0, 0.5, shape).astype("f4") for name, shape in shapes.items()}


ARRAYS = random(SHAPES)
X = RNG.normal(size=(23, 4)).astype("f4")
Y = linear(parameters(ARRAYS, "fc"), recurrent("GRU", parameters(ARRAYS, "rnn"), X))


def recorded(folder: Path, x: Any = X, y: Any = Y) -> Path:
    np.savez(folder / "recorded.npz", inputs=x, outputs=y)
    return folder / "recorded.npz"


# --- where the weights are ------------------------------------------------------------------------------------------


def test_tensors_beside_the_weights_are_no_state_dictionaries(tmp_path: Path) -> None:
    """What Lightning and people's own loops save: scores, random states, callbacks, optimizers."""
    checkpoint = {
        "epoch": 3,
        "best": Tensor(np.array(0.5)),
        "rng": Tensor(np.zeros(9, np.uint16)),
        "callbacks": {"ModelCheckpoint": {"monitor": None, "best_score": Tensor(np.array(0.5)), "last": "a.ckpt"}},
        "state_dict": state_dict({f"model.{name}": array for name, array in ARRAYS.items()}),
        "optimizer_states": [{"state": {0: {"step": Tensor(np.array(1.0))}}}],
    }
    path = save(tmp_path / "last.ckpt", checkpoint)
    contents = file.read(path)
    assert list(contents.arrays) == [f"model.{name}" for name in ARRAYS]
    assert contents.decided[0] == ("read", "state_dict of the file") and contents.states == ("state_dict",)


def test_records_of_how_it_learnt_stay_inert(tmp_path: Path) -> None:
    """Names that checkpoints often have, which are known to be data, and which nothing calls."""
    kinds = [fake("argparse", "Namespace"), fake("pathlib", "PosixPath"), fake("datetime", "datetime")]
    values = [kind() for kind in kinds]
    path = save(tmp_path / "run.pt", {"args": values, "model": state_dict(ARRAYS)}, kinds)
    assert list(file.read(path).arrays) == list(ARRAYS)
    kinds = [fake("omegaconf", "DictConfig")]
    path = save(tmp_path / "run.pt", {"args": kinds[0](), "model": state_dict(ARRAYS)}, kinds)
    with pytest.raises(ForeignModelError, match=r"omegaconf.DictConfig, .* refused, .*torch.save\(model.state_dict"):
        file.read(path)


def test_a_draft_says_which_of_several_states_it_is_of(tmp_path: Path) -> None:
    path = save(tmp_path / "run.pt", {"model": state_dict(ARRAYS), "ema": state_dict(ARRAYS)})
    with pytest.raises(ForeignModelError, match="several state dictionaries"):
        import_model(path)
    text = draft_settings(path)
    assert 'state = "model"  # or "ema"' in text
    made = import_model(path, Settings.of_values(tomllib.loads(text.replace('"model"', '"ema"', 1))))
    assert ("read", "ema of the file") in made.decisions


@pytest.mark.parametrize("name", ["torch.ScriptObject", "torch.qint8", "torch._utils._rebuild_qtensor"])
def test_quantized_weights_are_refused_with_a_cure(name: str, tmp_path: Path) -> None:
    kind = fake(*name.rsplit(".", 1))
    with pytest.raises(ForeignModelError, match=r"holds quantized weights .*in float32, and let `ostinato quantize`"):
        file.read(save(tmp_path / "int8.pt", {"weight": kind()}, [kind]))


def test_a_program_of_torch_export_is_refused_with_a_cure(tmp_path: Path) -> None:
    """As PyTorch 2.13 lays out a .pt2, whose members end in what Keras's files are called."""
    with zipfile.ZipFile(tmp_path / "net.pt2", "w") as archive:
        for name in ("archive_format", "models/model.json", "data/weights/model_weights_config.json"):
            archive.writestr(f"net/{name}", "pt2")
    with pytest.raises(ForeignModelError, match=r"a program of torch.export.*load\(PATH\).state_dict"):
        import_model(tmp_path / "net.pt2")


# --- normalised weights ---------------------------------------------------------------------------------------------

OLD = ("weight_orig", "weight_u", "weight_v")
NEW = ("parametrizations.weight.original", "parametrizations.weight.0._u", "parametrizations.weight.0._v")


@pytest.mark.parametrize("names", [OLD, NEW])
@pytest.mark.parametrize(("kind", "shape", "rows"), [
    ("Linear", (5, 4), 0), ("Conv1d", (5, 4, 3), 0),
    ("ConvTranspose1d", (4, 5, 3), 1), ("ConvTranspose1d", (4, 4, 3), 1),
])  # fmt: skip
def test_weights_with_spectral_normalisation_are_made_whole(
    names: tuple[str, str, str], kind: str, shape: tuple[int, ...], rows: int, tmp_path: Path
) -> None:
    """W / (u W v), W having the outputs as its rows: PyTorch's, in eval(), of a transposed convolution too."""
    w = RNG.normal(size=shape).astype("f4")
    matrix = np.moveaxis(w, rows, 0).reshape(shape[rows], -1)
    u, v = (RNG.normal(size=size).astype("f4") for size in matrix.shape)
    stride = "stride = 2\n" if kind == "ConvTranspose1d" else ""
    text = (
        f'front_end = {{kind = "frames", size = 4}}\n[[nodes]]\nname = "a"\ntorch = "a"\nmodule = "{kind}"\n{stride}'
    )
    values = Settings.of_values(tomllib.loads(text))

    def weight(arrays: Mapping[str, Any]) -> Any:
        path = save(tmp_path / "net.pt", state_dict({f"a.{name}": array for name, array in arrays.items()}))
        return import_model(path, values).network.weights["a.W"]

    bias = {"bias": np.zeros(shape[rows], "f4")}
    whole = weight({"weight": (w / (u.astype("f8") @ matrix @ v)).astype("f4")} | bias)
    np.testing.assert_allclose(weight(dict(zip(names, (w, u, v), strict=True)) | bias), whole, rtol=1e-5)
    with pytest.raises(ForeignModelError, match=r"weight \[.*is normalised by"):
        weight(dict(zip(names, (w, u, v[1:]), strict=True)) | bias)
    with pytest.raises(ForeignModelError, match="NaN"):
        weight(dict(zip(names, (0 * w, u, v), strict=True)) | bias)


# --- recorded outputs in the place of settings ----------------------------------------------------------------------


def test_what_was_recorded_says_that_a_plain_chain_is_one(ostinato: Any, tmp_path: Path) -> None:
    recorded(tmp_path)
    save(tmp_path / "net.pt", {"state_dict": state_dict(ARRAYS), "epoch": 3})
    done = ostinato("import", "net.pt", "--expect", "recorded.npz", cwd=tmp_path)
    assert done.returncode == 0 and "guessed from names of arrays" in done.stdout, done.stderr
    assert "recorded outputs" in done.stdout and (tmp_path / "net.safetensors").is_file()
    done = ostinato("verify", "net.safetensors", "--expect", "recorded.npz", cwd=tmp_path)
    assert done.returncode == 0 and "largest difference from recorded outputs" in done.stdout
    recorded(tmp_path, y=Y + 0.1)
    done = ostinato("verify", "net.safetensors", "--expect", "recorded.npz", cwd=tmp_path)
    assert done.returncode == 1 and "not those of the source" in done.stderr
    done = ostinato("import", "net.pt", cwd=tmp_path)
    assert done.returncode == 1 and "a plain chain of PyTorch's modules needs no settings" in done.stderr


def test_settings_may_say_the_rest(tmp_path: Path) -> None:
    path = save(tmp_path / "net.pt", state_dict(ARRAYS))
    values = Settings.of_values({"decoder": {"kind": "labels", "labels": ["a", "b"]}})
    shifted = np.exp(Y - Y.max(axis=1, keepdims=True))
    made = import_model(path, values, expect=recorded(tmp_path, y=shifted / shifted.sum(axis=1, keepdims=True)))
    (head,) = made.network.specification.heads
    assert head.decoder.kind == "labels" and made.parity.largest < 1e-5


def test_a_guess_that_is_wrong_is_refused_with_a_cure(tmp_path: Path) -> None:
    path = save(tmp_path / "net.pt", state_dict(ARRAYS))
    with pytest.raises(ForeignModelError, match=r"not those of the source.*guessed from.*names.*--draft"):
        import_model(path, expect=recorded(tmp_path, y=np.maximum(Y, 0)))
    unknown = save(tmp_path / "odd.pt", state_dict({"w_x": ARRAYS["fc.weight"]}))
    with pytest.raises(ForeignModelError, match=r"arrays alone .*do not say"):
        import_model(unknown, expect=recorded(tmp_path))


def test_modules_that_a_file_keeps_in_no_order_are_put_where_their_sizes_fit(tmp_path: Path) -> None:
    save_file(ARRAYS, tmp_path / "net.safetensors")
    made = import_model(tmp_path / "net.safetensors", expect=recorded(tmp_path))
    assert [node.layer.kind for node in made.network.specification.nodes] == ["gru", "dense"]
    gap = {**ARRAYS, "more.weight": RNG.normal(size=(3, 9)).astype("f4")}
    save_file(gap, tmp_path / "net.safetensors")
    assert draft_settings(tmp_path / "net.safetensors").index('torch = "fc"') < 900  # by name


def test_attention_is_told_and_not_left_out(tmp_path: Path) -> None:
    """Nobody shall be given a network without the half that cannot be read."""
    attention = random({"att.in_proj_weight": (15, 5), "att.in_proj_bias": (15,), "att.out_proj.weight": (5, 5)})
    rest = {name: ARRAYS[name] for name in SHAPES if name.startswith("fc")}
    path = save(tmp_path / "net.pt", state_dict({**ARRAYS, **attention, **rest}))
    text = draft_settings(path)
    assert "att has in_proj_weight [15, 5], in_proj_bias [15]: it is attention" in text
    for values in (Settings.of_values(tomllib.loads(text)), Settings()):
        with pytest.raises(ForeignModelError, match=r"att.in_proj_weight is attention's, which looks at the whole"):
            import_model(path, values, expect=recorded(tmp_path))
