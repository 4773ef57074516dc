"""Well-known models of text: files like their packages', of small networks, become what the packages compute."""

from __future__ import annotations

import json
import pickle
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
import pytest

from ostinato.importing.finishing import finished
from ostinato.importing.named.g2p_en import LETTERS, PHONEMES
from ostinato.importing.named.g2p_en import MODELS as G2P_EN
from ostinato.importing.named.g2pm import MODELS as G2PM
from ostinato.importing.named.textgenrnn import MODELS as TEXTGENRNN
from ostinato.importing.parity import compare
from ostinato.importing.settings import Settings
from ostinato.sampling import Sampling
from ostinato.streaming import Model

Array = npt.NDArray[Any]
RANDOM = np.random.default_rng(11)


def sigmoid(x: Array) -> Array:
    return 1 / (1 + np.exp(-x))


def array(*shape: int, scale: float = 0.5) -> Array:
    return RANDOM.normal(0, scale, shape).astype(np.float32)


def pickled(folder: Path, names: tuple[str, ...], *objects: object) -> dict[str, Path]:
    """The files of a package, by their paths in it."""
    found = {}
    for name, value in zip(names, objects, strict=True):
        found[name] = folder / Path(name).name
        found[name].write_bytes(pickle.dumps(value, 3))
    return found


# --- g2pM -----------------------------------------------------------------------------------------------------------

ROWS = {"<PAD>": 0, "<UNK>": 1, "시": 2, "끝": 3, "，": 4, "行": 5, "长": 6, "大": 7, "高": 8, "a": 9}
CLASSES = {"xing2": 0, "hang2": 1, "chang2": 2, "zhang3": 3, "da4": 4}
DICTIONARY = {"行": ["hang2", "xing2"], "长": ["chang2", "zhang3"], "重": ["chong2", "zhong4"], "大": ["da4"],
              "高": ["gao1"], "瓩": ["qian1 wa3"]}  # fmt: skip


def g2pm_readings(weights: dict[str, Array], sentence: str) -> list[str]:
    """As the package's program has them: a network for whoever has several readings, signs around the sentence."""
    ids = [ROWS["시"], *(ROWS.get(each, 1) for each in sentence), ROWS["끝"]]

    def direction(ids: list[int], suffix: str) -> Array:
        h = c = np.zeros(3)
        rows = []
        for each in ids:
            x = weights["embedding.weight"][each]
            gates = weights[f"lstm.weight_ih_l0{suffix}"] @ x + weights[f"lstm.bias_ih_l0{suffix}"]
            i, f, g, o = np.split(
                gates + weights[f"lstm.weight_hh_l0{suffix}"] @ h + weights[f"lstm.bias_hh_l0{suffix}"], 4
            )
            c = sigmoid(f) * c + sigmoid(i) * np.tanh(g)
            h = sigmoid(o) * np.tanh(c)
            rows.append(h)
        return np.array(rows)

    hidden = np.hstack([direction(ids, ""), direction(ids[::-1], "_reverse")[::-1]])[1:-1]
    hidden = np.maximum(hidden @ weights["logit_layer.0.weight"].T + weights["logit_layer.0.bias"], 0)
    scores = hidden @ weights["logit_layer.2.weight"].T + weights["logit_layer.2.bias"]
    names = list(CLASSES)
    found = []
    for each, row in zip(sentence, scores, strict=True):
        readings = DICTIONARY.get(each, [each])
        found.append(readings[0] if len(readings) == 1 else names[int(row.argmax())])
    return found


def test_g2pm_reads_each_character_as_its_package_does(tmp_path: Path) -> None:
    weights = {"embedding.weight": array(len(ROWS), 4, scale=2)}
    for suffix in ("", "_reverse"):
        weights |= {f"lstm.weight_ih_l0{suffix}": array(12, 4, scale=2), f"lstm.weight_hh_l0{suffix}": array(12, 3)}
        weights |= {f"lstm.bias_{part}_l0{suffix}": array(12) for part in ("ih", "hh")}
    weights |= {"logit_layer.0.weight": array(6, 6, scale=2), "logit_layer.0.bias": array(6)}
    weights |= {"logit_layer.2.weight": array(5, 6, scale=2), "logit_layer.2.bias": array(5, scale=0.1)}
    named = G2PM["g2pm"]
    draft = named.draft(pickled(tmp_path, named.files, ROWS, CLASSES, DICTIONARY, weights), Settings())
    made = finished(draft, Settings())
    assert compare(made.network, made.source).largest < 1e-5
    stream = Model(made.network).stream()
    wanted, found = [], []
    for _ in range(20):
        sentence = "".join(RANDOM.choice([*"行长行长大高重瓩a，X"], 30))
        wanted += g2pm_readings(weights, sentence)
        found += [event.text for event in (*stream.push(sentence[:7]), *stream.push(sentence[7:]), *stream.flush())]
    assert len({each for each in found if each in CLASSES}) > 2
    assert found == wanted
    stream.push("€")  # nowhere in the package
    assert [event.text for event in stream.flush()] == ["<UNK>"]


# --- textgenrnn -----------------------------------------------------------------------------------------------------

CHARACTERS = {"<s>": 1, "a": 2, "b": 3, "c": 4, " ": 5}
SIZES = (4, 3)
"""Of a vector, of a state."""


def lstm(W: Array, R: Array, b: Array, frames: Array) -> Array:
    """As Keras has them: rows times W and R, gates i f c o."""
    h = c = np.zeros(len(R))
    rows = []
    for x in frames:
        i, f, g, o = np.split(x @ W + h @ R + b, 4)
        c = sigmoid(f) * c + sigmoid(i) * np.tanh(g)
        h = sigmoid(o) * np.tanh(c)
        rows.append(h)
    return np.array(rows)


def as_cudnn(W: Array, R: Array, b: Array) -> tuple[Array, Array, Array]:
    """What Keras writes of the same layer if it ran by cuDNN."""
    kernels = [gate.T.reshape(gate.shape) for gate in np.split(W, 4, axis=1)]
    part = array(len(b))
    return np.hstack(kernels), np.hstack([gate.T for gate in np.split(R, 4, axis=1)]), np.append(part, b - part)


def test_textgenrnn_writes_as_its_package_does(tmp_path: Path) -> None:
    h5py = pytest.importorskip("h5py")
    size, hidden = SIZES
    E, attention, count = array(6, size), array(size + 2 * hidden, 1, scale=1), len(CHARACTERS) + 1
    W, b = array(size + 2 * hidden, count, scale=2), array(count)
    layers = [(array(below, 4 * hidden), array(hidden, 4 * hidden), array(4 * hidden)) for below in (size, hidden)]
    named = TEXTGENRNN["textgenrnn"]
    files = {path: tmp_path / Path(path).name for path in named.files}
    weights, vocabulary = files.values()
    with h5py.File(weights, "w") as file:
        file["embedding/embedding/embeddings:0"], file["attention/attention/attention_W:0"] = E, attention
        file["output/output/kernel:0"], file["output/output/bias:0"] = W, b
        for number, layer in enumerate(layers, 1):
            for part, values in zip(("kernel", "recurrent_kernel", "bias"), as_cudnn(*layer), strict=True):
                file[f"rnn_{number}/rnn_{number}/{part}:0"] = values
    vocabulary.write_text(json.dumps(CHARACTERS))
    made = finished(named.draft(files, Settings()), Settings())
    assert compare(made.network, made.source, lengths=made.lengths).largest < 1e-5

    text = "".join(RANDOM.choice([*"abc ?"], 60))
    ids = [1, *(CHARACTERS.get(each, 0) for each in text)]
    wanted = []
    for last in range(len(ids)):
        window = E[([0] * 39 + ids[: last + 1])[-40:]]
        first = lstm(*layers[0], window)
        values = np.hstack([window, first, lstm(*layers[1], first)])
        shares = np.exp(values @ attention)
        chances = np.exp((shares * values).sum(axis=0) / shares.sum() @ W + b)
        chances[0] = 0  # the placeholder, which is drawn again
        wanted.append(chances / chances.sum())
    model = Model(made.network)
    events = model.stream(decoder="outputs").push(text)
    np.testing.assert_allclose([event.values for event in events], wanted, rtol=0, atol=1e-5)
    stream = model.stream()
    stream.push(text)
    assert next(iter(stream.generate(Sampling(temperature=0)))).index == int(np.argmax(wanted[-1]))
    fresh = next(iter(model.stream().generate(Sampling(temperature=0))))  # of nothing but its beginning
    assert fresh.index == int(np.argmax(wanted[0]))


# --- g2p_en ---------------------------------------------------------------------------------------------------------


def g2p_en_phonemes(own: dict[str, Array], word: str) -> list[str]:
    """As the package's program has them, the likeliest each time."""

    def gru(side: str, number: int, h: Array) -> Array:
        x = own[f"{side}_emb"][number]
        of_x, of_h = (
            own[f"{side}_w_{part}"] @ each + own[f"{side}_b_{part}"] for part, each in (("ih", x), ("hh", h))
        )
        (r, z, n), (hr, hz, hn) = np.split(of_x, 3), np.split(of_h, 3)
        z = sigmoid(z + hz)
        made: Array = (1 - z) * np.tanh(n + sigmoid(r + hr) * hn) + z * h
        return made

    h = np.zeros(6)
    for letter in [*word.lower(), "</s>"]:
        h = gru("enc", LETTERS.index(letter) if letter in LETTERS else 1, h)
    found, number = list[str](), 2
    while len(found) < 20:
        h = gru("dec", number, h)
        number = int(np.argmax(own["fc_w"] @ h + own["fc_b"]))
        if number == 3:
            break
        found.append(PHONEMES[number])
    return found


def test_g2p_en_says_words_as_its_package_does(tmp_path: Path) -> None:
    own = {"fc_w": array(len(PHONEMES), 6, scale=2), "fc_b": array(len(PHONEMES), scale=0.1)}
    for side, table in (("enc", LETTERS), ("dec", PHONEMES)):
        own[f"{side}_emb"] = array(len(table), 5, scale=2)
        own |= {f"{side}_w_ih": array(18, 5), f"{side}_w_hh": array(18, 6)}
        own |= {f"{side}_b_{part}": array(18) for part in ("ih", "hh")}
    own["fc_b"][3] = 5.0  # words end
    np.savez(tmp_path / "checkpoint.npz", **own)
    draft = G2P_EN["g2p-en"].draft({"checkpoint": tmp_path / "checkpoint.npz"}, Settings())
    parity = compare(draft.network, draft.source)
    assert parity.largest < 1e-5 and str(parity).endswith("113 frames")
    stream = Model(draft.network).stream()
    ends = 0
    for _ in range(20):
        word = "".join(RANDOM.choice([*"abcXYZ'"], RANDOM.integers(1, 9)))
        stream.push(word[:2])
        stream.push(word[2:])
        *tokens, end = stream.generate(Sampling(temperature=0))
        assert [event.text for event in tokens] == g2p_en_phonemes(own, word)
        ends += end.index == 3
        stream.flush()
    assert ends > 0
