"""Neural Amp Modeler's files, against what its player does, written down in the plainest way."""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
import pytest
from imported import sigmoid, streamed

from ostinato.errors import ForeignModelError
from ostinato.importing import import_model
from ostinato.model.decoders import Audio
from ostinato.model.front_ends import Samples

Array = npt.NDArray[Any]
RNG = np.random.default_rng(0)
X = RNG.normal(size=(40, 1)).astype(np.float32)


def numbers(count: int) -> list[float]:
    return [float(each) for each in RNG.normal(size=count) * 0.6]


def written(folder: Path, architecture: str, config: Any, weights: Any, **more: Any) -> Path:
    path = folder / "amp.nam"
    file = {"version": "0.5.4", "architecture": architecture, "config": config, "weights": weights}
    path.write_text(json.dumps(file | {"sample_rate": 48000} | more))
    return path


def taken(weights: list[float]) -> Any:
    """Weights in the order of a file, as the player takes them."""
    left: Iterator[float] = iter(weights)

    def take(*shape: int) -> Array:
        return np.array([next(left) for _ in range(int(np.prod(shape)))]).reshape(shape)

    return take


# --- LSTM -----------------------------------------------------------------------------------------------------------

LSTM = {"input_size": 1, "hidden_size": 5, "num_layers": 2}
LSTM_WEIGHTS = numbers(20 * 6 + 20 + 10 + 20 * 10 + 20 + 10 + 5 + 1)


def played_lstm(weights: list[float], layers: int, hidden: int, x: Array) -> Array:
    take, sizes, cells = taken(weights), [1, *[hidden] * (layers - 1)], []
    for size in sizes:
        cells.append([take(4 * hidden, size + hidden), take(4 * hidden), take(hidden), take(hidden)])
    head, bias = take(1, hidden), take(1)
    heard = []
    for value in x:
        for cell in cells:
            W, b, h, c = cell
            i, f, g, o = np.split(W @ np.concatenate([value, h]) + b, 4)
            cell[3] = c = sigmoid(f) * c + sigmoid(i) * np.tanh(g)
            cell[2] = value = sigmoid(o) * np.tanh(c)
        heard.append(head @ value + bias)
    return np.array(heard)


def test_lstm_from_the_states_of_the_file(tmp_path: Path) -> None:
    said = {"name": "Twin Clean", "modeled_by": "me", "date": {"year": 2024}}
    imported = import_model(written(tmp_path, "LSTM", LSTM, LSTM_WEIGHTS, metadata=said))
    expected = played_lstm(LSTM_WEIGHTS, 2, 5, X)
    np.testing.assert_allclose(streamed(imported.network, X), expected, atol=2e-6)
    specification = imported.network.specification
    assert specification.name == "Twin-Clean"
    assert specification.card["modeled by"] == "me" and "date" not in specification.card
    assert specification.front_end == Samples(48000, 1, 1)
    assert specification.heads[0].decoder == Audio()
    assert any("48000 Hz, as the file says" in decision.text for decision in imported.decisions)
    without = [*LSTM_WEIGHTS[:140], *[0.0] * 10, *LSTM_WEIGHTS[150:]]
    assert not np.allclose(expected[:5], played_lstm(without, 2, 5, X)[:5], atol=1e-3), "states matter at first"


# --- WaveNet --------------------------------------------------------------------------------------------------------


def block(**more: Any) -> dict[str, Any]:
    usual = {
        "input_size": 1, "condition_size": 1, "head_size": 2, "channels": 3, "kernel_size": 3, "dilations": [1, 2, 4],
        "activation": "Tanh", "gated": False, "head_bias": False,
    }  # fmt: skip
    return usual | more


def wave_net(**more: Any) -> dict[str, Any]:
    last = block(input_size=3, head_size=1, channels=2, dilations=[3], head_bias=True) | more
    return {"layers": [block(**more), last], "head": None, "head_scale": 0.02}


def sizes(config: dict[str, Any]) -> int:
    total = 1
    for each in config["layers"]:
        channels, taps = each["channels"], each["kernel_size"]
        wide = channels * (2 if each["gated"] else 1)
        layer = wide * channels * taps + wide + wide * each["condition_size"] + channels * channels + channels
        total += channels * each["input_size"] + layer * len(each["dilations"])
        total += each["head_size"] * channels + (each["head_size"] if each["head_bias"] else 0)
    return total


def convolved(x: Array, W: Array, dilation: int) -> Array:
    """``x`` [frames, inputs], W [outputs, inputs, taps], with zeros before."""
    taps, made = W.shape[2], np.zeros((len(x), len(W)))
    for n in range(len(x)):
        for k in range(taps):
            if (at := n - (taps - 1 - k) * dilation) >= 0:
                made[n] += W[:, :, k] @ x[at]
    return made


def played_wave_net(config: dict[str, Any], weights: list[float], x: Array) -> Array:
    take, signal, summed = taken(weights), x, np.zeros(())
    for each in config["layers"]:
        channels, gated = each["channels"], each["gated"]
        wide = 2 * channels if gated else channels
        signal = signal @ take(channels, each["input_size"]).T
        for dilation in each["dilations"]:
            W, b = take(wide, channels, each["kernel_size"]), take(wide)
            sums = convolved(signal, W, dilation) + b + x @ take(wide, 1).T
            active = np.tanh(sums[:, :channels]) * (sigmoid(sums[:, channels:]) if gated else 1)
            summed = summed + active
            W, b = take(channels, channels), take(channels)
            signal = signal + active @ W.T + b
        summed = summed @ take(each["head_size"], channels).T
        if each["head_bias"]:
            summed = summed + take(each["head_size"])
    return summed * take(1)


@pytest.mark.parametrize("gated", [False, True])
def test_wave_net(gated: bool, tmp_path: Path) -> None:
    config = wave_net(gated=gated)
    weights = numbers(sizes(config))
    imported = import_model(written(tmp_path, "WaveNet", config, weights))
    np.testing.assert_allclose(streamed(imported.network, X), played_wave_net(config, weights, X), atol=2e-6)


def test_newer_wave_nets_say_what_is_not_active(tmp_path: Path) -> None:
    config = wave_net()
    weights = numbers(sizes(config))
    newer = json.loads(json.dumps(config))
    for each in newer["layers"]:
        del each["gated"], each["kernel_size"]
        count = len(each["dilations"])
        each |= {"kernel_sizes": [3] * count, "activation": [{"type": "Tanh"}] * count, "slimmable": None}
        each |= {
            "gating_mode": ["none"] * count,
            "secondary_activation": [None] * count,
            "bottleneck": each["channels"],
        }
        each["head"] = {"out_channels": each.pop("head_size"), "kernel_size": 1, "bias": each.pop("head_bias")}
        each |= {"conv_pre_film": {"active": False}, "layer1x1": {"active": True, "groups": 1}, "groups_input": 1}
    imported = import_model(written(tmp_path, "WaveNet", newer, weights))
    np.testing.assert_allclose(streamed(imported.network, X), played_wave_net(config, weights, X), atol=2e-6)


def test_linear_is_an_impulse_response(tmp_path: Path) -> None:
    weights = numbers(8)
    imported = import_model(written(tmp_path, "Linear", {"receptive_field": 7, "bias": True}, weights))
    expected = np.convolve(X[:, 0], weights[:7])[: len(X), None] + weights[7]
    np.testing.assert_allclose(streamed(imported.network, X), expected, atol=2e-6)


def test_what_looks_far_back_is_compared_for_longer(tmp_path: Path) -> None:
    short, long = (
        import_model(written(tmp_path, "Linear", {"receptive_field": taps, "bias": False}, numbers(taps)))
        for taps in (20, 400)
    )
    assert short.parity.frames == 3 * (1 + 29 + 83) and long.parity.frames == short.parity.frames + 3 * 400


# --- what is refused ------------------------------------------------------------------------------------------------

REFUSED = {
    "a weight too few": ("LSTM", LSTM, LSTM_WEIGHTS[:-1], "bias of the head needs weights 385 to 385, .* has 385"),
    "a weight too many": ("LSTM", LSTM, [*LSTM_WEIGHTS, 0.0], "needs 386 weights, and the file has 387"),
    "not a number": ("LSTM", LSTM, [*LSTM_WEIGHTS[:-1], float("nan")], "'head': weight 'b' has NaN"),
    "text for numbers": ("LSTM", LSTM, ["1.0"] * 386, "weights is no array of numbers"),
    "nested weights": ("LSTM", LSTM, [LSTM_WEIGHTS], "array of 2 dimensions"),
    "no size": ("LSTM", {"input_size": 1, "num_layers": 1}, [], "'config.hidden_size' is missing"),
    "size of zero": ("LSTM", LSTM | {"hidden_size": 0}, [], "'config.hidden_size' is 0"),
    "size that is true": ("LSTM", LSTM | {"hidden_size": True}, [], "'config.hidden_size' is True"),
    "huge size": ("LSTM", LSTM | {"hidden_size": 10**9}, [], "W of layer 1 needs"),
    "many layers": ("LSTM", LSTM | {"num_layers": 10**9}, LSTM_WEIGHTS, "layer 3 needs"),
    "unknown setting": ("LSTM", LSTM | {"bidirectional": True}, LSTM_WEIGHTS, "'config.bidirectional' is not read"),
    "two channels": ("LSTM", LSTM | {"in_channels": 2}, LSTM_WEIGHTS, "weight"),
    "another architecture": ("ConvNet", {}, [], "'ConvNet' is not read here: export"),
    "several networks": ("SlimmableContainer", {}, [], "save one"),
    "an unknown one": ("Transformer", {}, [], "those that are read are LSTM, WaveNet, Linear"),
    "a condition network": ("WaveNet", {"condition_dsp": {"a": 1}}, [], "config.condition_dsp is a network"),
    "no block": ("WaveNet", {"layers": [], "head_scale": 1.0}, [], "config.layers is empty"),
    "an active part": ("WaveNet", wave_net(conv_pre_film={"active": True}), [], "conv_pre_film is active"),
    "an unknown activation": ("WaveNet", wave_net(activation="Mish"), [], "'Mish' is not read here"),
    "blended": ("WaveNet", wave_net(gating_mode="blended"), [], "only 'none' or 'gated'"),
    "dilations of text": ("WaveNet", wave_net(dilations=["1"]), [], "no list of whole numbers"),
    "another input": ("WaveNet", wave_net(input_size=2), [1.0] * 9, "input_size is 2, and 1 come"),
}


@pytest.mark.parametrize("case", REFUSED)
def test_what_cannot_be_is_refused_by_name(case: str, tmp_path: Path) -> None:
    architecture, config, weights, message = REFUSED[case]
    with pytest.raises(ForeignModelError, match=message):
        import_model(written(tmp_path, architecture, config, weights))


def test_a_rate_that_cannot_be_is_refused(tmp_path: Path) -> None:
    with pytest.raises(ForeignModelError, match="sample rate of -1"):
        import_model(written(tmp_path, "LSTM", LSTM, LSTM_WEIGHTS, sample_rate=-1))
    with pytest.raises(ForeignModelError, match="'tail' is not read here, so its part would be lost"):
        import_model(written(tmp_path, "LSTM", LSTM, LSTM_WEIGHTS, tail=[1, 2]))


def test_json_is_bounded_before_it_is_decoded(tmp_path: Path) -> None:
    path = tmp_path / "amp.nam"
    named = '"architecture": "LSTM", "config": {}, "weights": '
    for text, message in (
        (f'{{{named}{"[" * 100_000}', "no JSON"),
        (f'{{{named}{"[" * 900_000}{"]" * 900_000}}}', "no JSON that can be read: .*recursion"),
        (f'{{{named}{"[" * (1 << 20)}}}', "more than 1048576 arrays"),
        (f'{{{named}[{"1," * (1 << 22)}1]}}', "more than 4194304 values"),
        (f'{{{named}[1, 2', "no JSON"),
        (f'{{{named}[], "config": {{}}}}', "'config' is there twice"),
        (f'{{{named}[{"9" * 5000}]}}', "no JSON"),
        (f'{{{named}[1e999]}}', "hidden_size|input_size"),
    ):  # fmt: skip
        path.write_text(text)
        with pytest.raises(ForeignModelError, match=message):
            import_model(path)
    path.write_bytes(b'{"architecture": "\xff", "config": 1, "weights": 1}')
    with pytest.raises(ForeignModelError, match="no JSON"):
        import_model(path)
