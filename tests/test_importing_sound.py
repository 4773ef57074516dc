"""Well-known models of sound: what comes before and after their networks is right, whatever these are."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
import onnx
import pytest
from onnx import TensorProto, helper, numpy_helper

from ostinato.importing import Draft, Settings
from ostinato.importing.named import dtln, gtcrn, nsnet2, silero_vad
from ostinato.importing.parity import compare
from ostinato.streaming import Model

Array = npt.NDArray[Any]


def saved(path: Path, shape: list[Any], nodes: list[Any], output: list[Any], **constants: Array) -> Path:
    """An ONNX file that makes ``y`` of ``x``."""
    graph = helper.make_graph(
        nodes,
        "made",
        [helper.make_tensor_value_info("x", TensorProto.FLOAT, shape)],
        [helper.make_tensor_value_info("y", TensorProto.FLOAT, output)],
        [numpy_helper.from_array(array, name) for name, array in constants.items()],
    )
    model = helper.make_model(graph, opset_imports=[helper.make_opsetid("", 17)], ir_version=8)
    onnx.checker.check_model(model)
    onnx.save(model, str(path))
    return path


def gains(path: Path, shape: list[Any], bins: int, gain: float) -> Path:
    """A recurrent network whose gains are the same for all bins, and depend on nothing that is heard."""
    nodes = [
        helper.make_node("Transpose", ["x"], ["t"], perm=[1, 0, 2]),
        helper.make_node("RNN", ["t", "W", "W"], ["h"], hidden_size=bins),
        helper.make_node("Squeeze", ["h", "one"], ["s"]),
        helper.make_node("Transpose", ["s"], ["u"], perm=[1, 0, 2]),
        helper.make_node("Add", ["u", "b"], ["c"]),
        helper.make_node("Sigmoid", ["c"], ["y"]),
    ]
    logit = np.full(bins, np.log(gain / (1 - gain)), np.float32)
    return saved(path, shape, nodes, shape, W=np.zeros((1, bins, bins), np.float32), b=logit, one=np.array([1]))


def heard(draft: Draft, signal: Array, piece: int) -> Array:
    """What comes out of a stream that a signal goes into, piece by piece."""
    stream = Model(draft.network).stream()
    events = [event for at in range(0, len(signal), piece) for event in stream.push(signal[at : at + piece])]
    return np.concatenate([event.values for event in events + stream.flush() if event.kind == "audio"])


def noise(count: int) -> Array:
    return np.random.default_rng(0).uniform(-0.5, 0.5, count).astype(np.float32)


@pytest.mark.parametrize("piece", [97, 5000])
def test_a_mask_that_halves_everything_halves_the_sound_and_no_more(tmp_path: Path, piece: int) -> None:
    """Nothing is lost at either end, nothing comes late, and nothing clicks."""
    x = noise(4000)
    path = gains(tmp_path / "x.onnx", ["batch", "time", nsnet2.BINS], nsnet2.BINS, 0.5)
    made = nsnet2.draft({"x": path}, Settings())
    compare(made.network, made.source)
    y = heard(made, x, piece)
    assert len(x) <= len(y) < len(x) + nsnet2.HOP
    np.testing.assert_allclose(y[: len(x)], x / 2, rtol=0, atol=1e-6)


def test_gains_of_nsnet2_are_never_below_minus_80_db(tmp_path: Path) -> None:
    path = gains(tmp_path / "x.onnx", ["batch", "time", nsnet2.BINS], nsnet2.BINS, 1e-6)
    made = nsnet2.draft({"x": path}, Settings())
    compare(made.network, made.source)
    x = noise(4000)
    np.testing.assert_allclose(heard(made, x, 160)[: len(x)], x * 1e-4, rtol=0, atol=1e-9)


def test_both_networks_of_dtln_are_passed(tmp_path: Path) -> None:
    """Four frames overlap, so a second network that quarters makes the sound of before."""
    first = gains(tmp_path / "1.onnx", [1, 1, dtln.BINS], dtln.BINS, 0.5)
    quarter = [helper.make_node("Mul", ["x", "k"], ["y"])]
    second = saved(tmp_path / "2.onnx", [1, 1, dtln.SIZE], quarter, [1, 1, dtln.SIZE], k=np.full(1, 0.25, np.float32))
    made = dtln.draft({"1": first, "2": second}, Settings())
    compare(made.network, made.source)
    x = noise(4000)
    y = heard(made, x, 160)
    assert len(x) <= len(y) < len(x) + dtln.HOP
    np.testing.assert_allclose(y[: len(x)], x / 2, rtol=0, atol=1e-6)


def test_the_inverse_transform_is_a_product() -> None:
    x = noise(dtln.SIZE)
    spectrum = np.fft.rfft(x)
    made = dtln.inverse_transform(dtln.SIZE) @ np.concatenate([spectrum.real, spectrum.imag])
    np.testing.assert_allclose(made, x, rtol=0, atol=1e-6)


def times(path: Path, pair: list[float]) -> Path:
    """A step of spectra [1, bins, 1, 2]: times a pair of numbers. It has a state, which is what makes it a step."""
    shape, state = [1, gtcrn.BINS, 1, 2], [1, 1]
    nodes = [
        helper.make_node("Mul", ["x", "k"], ["y"]),
        helper.make_node("Mul", ["h", "zero"], ["z"]),
        helper.make_node("Identity", ["z"], ["h_out"]),
    ]
    graph = helper.make_graph(
        nodes,
        "made",
        [helper.make_tensor_value_info(n, TensorProto.FLOAT, own) for n, own in (("x", shape), ("h", state))],
        [helper.make_tensor_value_info(n, TensorProto.FLOAT, own) for n, own in (("y", shape), ("h_out", state))],
        [
            numpy_helper.from_array(np.array(pair, np.float32), "k"),
            numpy_helper.from_array(np.zeros(1, np.float32), "zero"),
        ],
    )
    onnx.save(helper.make_model(graph, opset_imports=[helper.make_opsetid("", 17)], ir_version=8), str(path))
    return path


def test_spectra_of_gtcrn_are_pairs(tmp_path: Path) -> None:
    """A network that halves all of it; and one that turns the sign of the imaginary parts alone."""
    made = gtcrn.draft({"x": times(tmp_path / "x.onnx", [0.5, 0.5])}, Settings())
    compare(made.network, made.source)
    x = noise(4000)
    np.testing.assert_allclose(heard(made, x, 333)[: len(x)], x / 2, rtol=0, atol=1e-6)
    made = gtcrn.draft({"x": times(tmp_path / "x.onnx", [1, -1])}, Settings())
    compare(made.network, made.source)
    stream = Model(made.network).stream(decoder="outputs")
    (event, *_) = stream.push(x)
    window = np.sqrt(0.5 - 0.5 * np.cos(2 * np.pi * np.arange(gtcrn.SIZE) / gtcrn.SIZE))
    first = np.concatenate([np.zeros(gtcrn.SIZE - gtcrn.HOP), x[: gtcrn.HOP]]) * window
    turned = np.conj(np.fft.rfft(first))
    np.testing.assert_allclose(event.values, np.concatenate([turned.real, turned.imag]), rtol=0, atol=1e-4)


def test_silero_hears_each_chunk_with_what_came_before_it(tmp_path: Path) -> None:
    """A network that is sure of speech where a chunk and its context are loud."""
    nodes = [
        helper.make_node("Abs", ["x"], ["a"]),
        helper.make_node("ReduceMean", ["a"], ["b"], axes=[1], keepdims=1),
        helper.make_node("Mul", ["b", "k"], ["c"]),
        helper.make_node("Add", ["c", "d"], ["e"]),
        helper.make_node("Sigmoid", ["e"], ["y"]),
    ]
    path = saved(
        tmp_path / "x.onnx", [1, 576], nodes, [1, 1], k=np.full(1, 200, np.float32), d=np.full(1, -10, np.float32)
    )
    made = silero_vad.draft({"x": path}, Settings())
    compare(made.network, made.source)
    loud = noise(512 * 20)
    signal = np.concatenate([np.zeros(512 * 10, np.float32), loud, np.zeros(512 * 20, np.float32)])
    stream = Model(made.network).stream()
    events = stream.push(signal) + stream.flush()
    assert [event.kind for event in events] == ["speech-start", "speech-end"]
    # 30 ms further out on either side; a chunk is 32 ms, and the 4 ms behind the last loud one are loud too
    start, end = (event.time_ms for event in events)
    assert start == pytest.approx(10 * 32 - 30, abs=32) and end == pytest.approx(30 * 32 + 30, abs=32)
    raw = Model(made.network).stream(decoder="outputs")
    probabilities = [event.values[0] for event in raw.push(signal)]
    assert probabilities[9] < 0.01 and probabilities[10] > 0.9 and probabilities[31] < 0.5 < probabilities[29]
