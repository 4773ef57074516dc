"""What all imports share: settings, the builder's errors, and the comparison that comes before a model is written."""

from __future__ import annotations

import zipfile
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
import pytest
from hypothesis import given
from hypothesis import settings as hypothesis_settings
from hypothesis import strategies as st
from random_models import network, specifications

from ostinato.errors import ForeignModelError, OstinatoError
from ostinato.importing import Settings, import_model
from ostinato.importing.builder import Builder
from ostinato.importing.draft import Draft
from ostinato.importing.finishing import finished, fitting
from ostinato.importing.parity import compare
from ostinato.importing.recorded import recorded
from ostinato.importing.source import Float64, Recorded
from ostinato.model import Network
from ostinato.model.decoders import Labels, Outputs
from ostinato.model.front_ends import Frames, LogMel, Tokens
from ostinato.model.layers import Dense, Gru, OneHot, Softmax
from ostinato.model.specification import FRAMES

Array = npt.NDArray[Any]


def built(settings: Settings = Settings()) -> Network:  # noqa: B008  (immutable)
    """A GRU above frames of 3, and a dense layer."""
    builder = Builder(settings.front_end or Frames(3))
    generator = np.random.default_rng(0)

    def weights(**shapes: tuple[int, ...]) -> dict[str, Array]:
        return {name.replace("_", "."): generator.normal(size=shape) for name, shape in shapes.items()}

    size = builder.front_end.wire.size
    gru = builder.add(
        Gru(4), [FRAMES], weights(forward_W=(12, size), forward_R=(12, 4), forward_Wb=(12,), forward_Rb=(12,))
    )
    dense = builder.add(Dense(2), [gru], weights(W=(2, 4), b=(2,)), name="/head/Gemm_output_0")
    builder.add(Softmax(), [dense], name="read by none")
    return builder.network(settings, [("main", dense, Outputs())], name="from elsewhere", card={"data": "none"})


def test_foreign_names_become_ours_and_what_nobody_needs_is_left_out() -> None:
    specification = built().specification
    assert [node.name for node in specification.nodes] == ["gru", "head-Gemm"]
    assert specification.name == "from-elsewhere" and specification.card == {"data": "none"}
    specification = built(Settings(name="mine", licence="MIT")).specification
    assert (specification.name, specification.licence) == ("mine", "MIT")


def test_a_decoder_that_needs_probabilities_gets_a_softmax_above_logits() -> None:
    draft = Draft(built(), Float64(built()))
    settings = Settings(decoder=Labels(("no", "yes")))
    made = finished(draft, settings)
    assert made.network.specification.heads[0].node == "main-softmax" and "logits" in made.decisions[0].text
    assert compare(made.network, made.source).scale <= 1
    with pytest.raises(ForeignModelError, match="not those of the source"):
        compare(made.network, draft.source)
    compare(made.network, fitting(draft.source, draft.network.specification, made.network.specification))
    with pytest.raises(ForeignModelError, match="the decoder does not fit"):
        finished(draft, Settings(decoder=Labels(("no", "yes", "perhaps"))))


@pytest.mark.parametrize(
    ("weights", "told"),
    [
        ({"W": np.ones((2, 3))}, r"'conv1': weight 'b' is missing"),
        ({"W": np.ones((2, 3)), "b": np.ones(2), "c": np.ones(2)}, r"'conv1': weight 'c' is not used by it"),
        ({"W": np.ones((3, 2)), "b": np.ones(2)}, r"'conv1': weight 'W' has shape \[3, 2\], and \[2, 3\] is needed"),
        ({"W": np.full((2, 3), np.nan), "b": np.ones(2)}, "'conv1': weight 'W' has NaN"),
    ],
)
def test_the_builder_names_what_is_wrong(weights: dict[str, Array], told: str) -> None:
    with pytest.raises(ForeignModelError, match=told):
        Builder(Frames(3)).add(Dense(2), [FRAMES], weights, origin="conv1")
    with pytest.raises(ForeignModelError, match="takes vectors, and what is below it gives token ids"):
        Builder(Tokens(("a", "b"))).add(Softmax(), [FRAMES], origin="softmax")


# --- parity ---------------------------------------------------------------------------------------------------------


@hypothesis_settings(max_examples=15, deadline=None)
@given(specifications(heads=2), st.integers(0, 99))
def test_streams_are_equal_to_the_formulas_in_float64(specification: Any, seed: int) -> None:
    made = network(specification, seed)
    parity = compare(made, Float64(made), seed=seed, lengths=(1, 20), cuttings=2)
    assert parity.largest <= 2e-5 * max(1.0, parity.scale)
    assert parity.cuttings == 4 * len(specification.heads) and str(parity).startswith("largest difference")


class Changed:
    """A source whose outputs are other than the network's."""

    name = "another"

    def __init__(self, network: Network, change: Any) -> None:
        self._own, self._change = Float64(network), change

    def inputs(self, generator: np.random.Generator, count: int) -> Array:
        return self._own.inputs(generator, count)

    def outputs(self, inputs: Array) -> Mapping[str, Array]:
        return {name: self._change(array) for name, array in self._own.outputs(inputs).items()}


@pytest.mark.parametrize(
    ("change", "told"),
    [
        (lambda y: y + 0.01, "outputs are not those of the source.*another: 1.0e-02"),
        (lambda y: np.concatenate([y[1:], y[:1]]), "outputs are not those of the source"),
        (lambda y: y[:-1], r"gives \[1, 2\] .frames, values. for 1 frames, and another \[0, 2\]"),
        (lambda y: y * np.nan, "another itself gives NaN"),
    ],
)
def test_what_is_not_equal_makes_no_model(change: Any, told: str) -> None:
    made = built()
    with pytest.raises(ForeignModelError, match=told):
        compare(made, Changed(made, change))


def test_small_outputs_are_compared_as_closely_as_large_ones() -> None:
    """A probability of speech may be below 0.02 all along: a hundredth more of it is another network all the same."""
    builder = Builder(Frames(3))
    dense = builder.add(Dense(2), [FRAMES], {"W": np.full((2, 3), 0.005), "b": np.full(2, 0.01)})
    made = builder.network(Settings(), [("main", dense, Outputs())], name="small")
    assert compare(made, Float64(made)).scale < 0.1
    with pytest.raises(ForeignModelError, match="outputs are not those of the source"):
        compare(made, Changed(made, lambda y: 1.01 * y))


def test_recorded_outputs_are_compared_with(tmp_path: Path) -> None:
    made = built(Settings(front_end=LogMel(mels=5, normalise=False)))
    inputs = np.random.default_rng(0).normal(size=(31, 5)).astype(np.float32)
    outputs = Float64(made).outputs(inputs)
    assert compare(made, Recorded(inputs, outputs)).largest < 1e-5
    with pytest.raises(ForeignModelError, match="not those of the source"):
        compare(made, Recorded(inputs, {"main": outputs["main"] + 1}))


def test_what_was_recorded_with_a_batch_or_at_the_end_alone_is_compared_with(tmp_path: Path) -> None:
    made, path = built(), tmp_path / "expect.npz"
    inputs = np.random.default_rng(0).normal(size=(31, 3)).astype(np.float32)
    outputs = Float64(made).outputs(inputs)["main"]
    for x, y, frames in (
        (inputs[None], outputs[None], 31), (inputs[:, :, None], outputs, 31), (inputs, outputs[-1:], 1),
        (inputs[None], outputs[-1], 1),
    ):  # fmt: skip
        np.savez(path, inputs=x, outputs=y)
        parity = compare(made, recorded(path, made), lengths=(0,))
        assert parity.largest < 1e-5 and parity.frames == 3 * frames
        np.savez(path, inputs=x, outputs=y + 0.1)
        with pytest.raises(ForeignModelError, match="not those of the source"):
            compare(made, recorded(path, made), lengths=(0,))


@pytest.mark.parametrize(
    ("arrays", "told"),
    [
        ({"inputs": np.ones((9, 3))}, "has no array 'outputs'"),
        ({"inputs": np.ones((9, 4)), "outputs": np.ones((9, 2))}, r"\[9, 4\]: the model takes frames \[frames, 3\]"),
        ({"inputs": np.ones((0, 3)), "outputs": np.ones((0, 2))}, "the model takes frames"),
        ({"inputs": np.full((9, 3), "a"), "outputs": np.ones((9, 2))}, "'inputs' is of type"),
        ({"inputs": np.ones((9, 3)), "outputs": np.full((9, 2), None)}, "'outputs' holds Python objects"),
    ],
)
def test_what_cannot_have_been_recorded_is_named(tmp_path: Path, arrays: dict[str, Array], told: str) -> None:
    path = tmp_path / "expect.npz"
    np.savez(path, **arrays)  # type: ignore[arg-type]
    with pytest.raises(ForeignModelError, match=told) as caught:
        recorded(path, built())
    assert str(path) in str(caught.value)


def test_a_recording_that_lies_about_its_size_takes_no_memory(tmp_path: Path) -> None:
    path = tmp_path / "expect.npz"
    header = b"{'descr': '<f4', 'fortran_order': False, 'shape': (1000000000, 3), }\n"
    with zipfile.ZipFile(path, "w") as archive:
        for name in ("inputs", "outputs"):
            archive.writestr(f"{name}.npy", b"\x93NUMPY\x01\x00" + len(header).to_bytes(2, "little") + header)
    with pytest.raises(ForeignModelError, match=r"expect.npz: array 'inputs' is cut off"):
        recorded(path, built())


def test_recorded_token_ids_are_of_the_vocabulary(tmp_path: Path) -> None:
    builder = Builder(Tokens(("a", "b")))
    dense = builder.add(OneHot(), [FRAMES])
    dense = builder.add(Dense(2), [dense], {"W": np.ones((2, 2)), "b": np.ones(2)})
    made = builder.network(Settings(), [("main", dense, Outputs())], name="tokens")
    for ids, fits in (([0, 1], True), ([0, 2], False), ([-1, 0], False)):
        np.savez(tmp_path / "expect.npz", inputs=np.array(ids), outputs=np.full((2, 2), 2.0))
        if fits:
            assert compare(made, recorded(tmp_path / "expect.npz", made), lengths=(0,)).largest == 0
        else:
            with pytest.raises(ForeignModelError, match=r"takes token ids \[frames\] below 2"):
                recorded(tmp_path / "expect.npz", made)


# --- settings -------------------------------------------------------------------------------------------------------


def test_settings_are_read_strictly(tmp_path: Path) -> None:
    path = tmp_path / "settings.toml"
    path.write_text(
        'name = "kws"\nframe_ms = 20\nfront_end = {kind = "log-mel", mels = 40}\n'
        'decoder = {kind = "labels", labels = ["no", "yes"]}\nfixed = {sr = 16000}\n[[nodes]]\nname = "a"\n',
        encoding="utf-8",
    )
    made = Settings.of(path)
    assert made.front_end == LogMel(mels=40) and made.decoder == Labels(("no", "yes"))
    assert (made.name, made.frame_ms, dict(made.fixed)) == ("kws", 20.0, {"sr": 16000})
    made.known("nodes")
    with pytest.raises(ForeignModelError, match="'nodes' says nothing here; known are name"):
        made.known()


@pytest.mark.parametrize(
    ("text", "told"),
    [
        ('name = "kws', "is no TOML"),
        ("name = 3", "name is 3"),
        ('front_end = {kind = "log-mell"}', "kind 'log-mell' is not one of"),
        ('front_end = {kind = "log-mel", mel = 3}', "front_end: unknown field 'mel'"),
        ('decoder = {kind = "labels", labels = [3]}', r"decoder.labels\[0\] is 3"),
        ("fixed = 3", "fixed is no table"),
        ('fixed = {sr = "16k"}', "fixed.sr is '16k', not a number"),
        ("fixed = {a = [[1], 2]}", "is no TOML|fixed.a"),
        ("a = " + "[" * 100_000, "arrays and objects"),
        ("\xff".encode("latin1").decode("latin1") * (1 << 20), "over 1048576 bytes"),
    ],
)
def test_settings_that_make_no_sense_are_named(tmp_path: Path, text: str, told: str) -> None:
    path = tmp_path / "settings.toml"
    path.write_text(text, encoding="utf-8")
    with pytest.raises(ForeignModelError, match=told) as caught:
        Settings.of(path)
    assert str(path) in str(caught.value)


@pytest.mark.parametrize(
    ("content", "told"),
    [(b"", "no format that is read here"), (b"hello", "no format that is read here"), (None, "is a folder")],
)
def test_what_is_no_model_is_refused(tmp_path: Path, content: bytes | None, told: str) -> None:
    path = tmp_path / "x.bin"
    if content is None:
        path.mkdir()
    else:
        path.write_bytes(content)
    with pytest.raises(ForeignModelError, match=told):
        import_model(path)
    with pytest.raises(OstinatoError, match="cannot be read: No such file"):
        import_model(tmp_path / "missing.onnx")
