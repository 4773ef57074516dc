"""RNNoise out of a shared library: a small one is written here, byte by byte, and its network is what the formulas
say, in silence too."""

from __future__ import annotations

import dataclasses
import struct
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
import pytest

from ostinato.errors import ForeignModelError
from ostinato.importing.elf import Library
from ostinato.importing.finishing import finished
from ostinato.importing.named.rnnoise import draft
from ostinato.importing.parity import compare
from ostinato.importing.settings import Settings
from ostinato.model import Network
from ostinato.model.decoders import Outputs, RnnoiseSynthesis, SpeechActivity
from ostinato.model.front_ends import Frames
from ostinato.streaming import Model

Array = npt.NDArray[Any]
F32 = npt.NDArray[np.float32]
BASE = 0x10000
"""Where in memory the file's bytes are."""
X86_64, RELATIVE = 62, 8


def library(arrays: dict[str, Array], machine: int = X86_64, relocation: int = RELATIVE) -> bytes:
    """A shared library that exports them as RNNoise does: one segment, a table of symbols, one of relocations."""
    body, places = bytearray(64 + 56 + 4 * 64), {}

    def put(data: bytes) -> int:
        body.extend(b"\0" * (-len(body) % 8))
        body.extend(data)
        return len(body) - len(data)

    for name, array in arrays.items():
        places[name] = put(name.encode() + b"\0"), put(array.tobytes())
    table = put(bytes(24 * (len(arrays) + 1)))
    relocations = b""
    for at, (name, array) in zip(range(table, 1 << 30, 24), arrays.items(), strict=False):
        struct.pack_into("<ii", body, at + 8, 0, array.nbytes)
        for place, target in zip((at, at + 16), places[name], strict=True):
            relocations += struct.pack("<QQQ", BASE + place, relocation, BASE + target)
    names = b"\0other\0rnnoise_arrays\0"
    symbols = [(1, 0, 0), (7, BASE + table, 24 * (len(arrays) + 1))]
    strings = put(names)
    listed = put(b"".join(struct.pack("<IBBHQQ", name, 0x11, 0, 1, value, size) for name, value, size in symbols))
    moved = put(relocations)
    sections = [(0, 0, 0, 0, 0), (3, strings, len(names), 0, 0), (11, listed, 48, 1, 24),
                (4, moved, len(relocations), 2, 24)]  # fmt: skip
    head = b"\x7fELF\x02\x01\x01".ljust(16, b"\0") + struct.pack("<HHIQQQIHHHHHH", 3, machine, 1, 0, 64, 120, 0, 64, 56, 1, 64, 4, 1)  # fmt: skip  # noqa: E501
    body[:64] = head
    body[64:120] = struct.pack("<IIQQQQQQ", 1, 6, 0, BASE, BASE, len(body), len(body), 4096)
    for number, (kind, offset, size, linked, each) in enumerate(sections):
        body[120 + 64 * number : 184 + 64 * number] = struct.pack(
            "<IIQQQQIIQQ", 0, kind, 0, 0, offset, size, linked, 0, 8, each
        )
    return bytes(body)


def sparse(random: np.random.Generator, inputs: int, outputs: int) -> tuple[Array, Array, F32]:
    """Blocks of 4 inputs by 8 outputs, half of which are there; where they are; and the matrix [inputs, outputs]."""
    matrix, index, blocks = np.zeros((inputs, outputs), np.float32), [], []
    for row in range(0, outputs, 8):
        starts = [start for start in range(0, inputs, 4) if random.random() < 0.5]
        index += [len(starts), *starts]
        for start in starts:
            block = random.normal(size=(4, 8)).astype(np.float32) / 4
            matrix[start : start + 4, row : row + 8] = block
            blocks.append(block.ravel())
    return np.concatenate(blocks), np.array(index, np.int32), matrix


CONV1, CONV2, HIDDEN = 4, 8, 16


def made(seed: int = 0) -> tuple[dict[str, Array], dict[str, F32]]:
    """Arrays of a small network as the library has them, and its matrices [inputs, outputs]."""
    random = np.random.default_rng(seed)
    arrays: dict[str, Array] = {}
    matrices: dict[str, F32] = {}

    def dense(name: str, inputs: int, outputs: int) -> None:
        matrices[name] = (random.normal(size=(inputs, outputs)) / np.sqrt(inputs)).astype(np.float32)
        arrays[f"{name}_weights_float"] = matrices[name].ravel()
        arrays[f"{name}_bias"] = random.normal(size=outputs).astype(np.float32) / 2

    dense("conv1", 3 * 65, CONV1)
    dense("conv2", 3 * CONV1, CONV2)
    arrays["conv2_weights_int8"] = np.ones(7, np.int8)  # is not read
    for number, inputs in enumerate((CONV2, HIDDEN, HIDDEN), 1):
        for part, size in (("input", inputs), ("recurrent", HIDDEN)):
            name = f"gru{number}_{part}"
            values, index, matrices[name] = sparse(random, size, 3 * HIDDEN)
            arrays |= {f"{name}_weights_float": values, f"{name}_weights_idx": index}
            arrays[f"{name}_bias"] = random.normal(size=3 * HIDDEN).astype(np.float32) / 2
        arrays[f"gru{number}_recurrent_weights_diag"] = random.normal(size=3 * HIDDEN).astype(np.float32) / 2
    dense("dense_out", CONV2 + 3 * HIDDEN, 32)
    dense("vad_dense", CONV2 + 3 * HIDDEN, 1)
    return arrays, matrices


def sigmoid(x: Array) -> Array:
    return 1 / (1 + np.exp(-x))


def formulas(arrays: dict[str, Array], matrices: dict[str, F32], features: Array, silent: Array) -> list[Any]:
    """Gains and voice activity of each frame as the library has them; none in silence, when nothing moves."""
    one, two, found = np.zeros((3, 65)), np.zeros((3, CONV1)), list[Any]()
    states = [np.zeros(HIDDEN) for _ in range(3)]
    for frame, rests in zip(features, silent, strict=True):
        if rests:
            found.append(None)
            continue
        one = np.vstack([one[1:], frame])
        two = np.vstack([two[1:], np.tanh(one.ravel() @ matrices["conv1"] + arrays["conv1_bias"])])
        y = np.tanh(two.ravel() @ matrices["conv2"] + arrays["conv2_bias"])
        skips = [y]
        for number in range(3):
            h, name = states[number], f"gru{number + 1}"
            a = y @ matrices[f"{name}_input"] + arrays[f"{name}_input_bias"]
            r = h @ matrices[f"{name}_recurrent"] + arrays[f"{name}_recurrent_bias"]
            r += arrays[f"{name}_recurrent_weights_diag"] * np.tile(h, 3)
            update, reset = np.split(sigmoid((a + r)[: 2 * HIDDEN]), 2)
            candidate = np.tanh(a[2 * HIDDEN :] + reset * r[2 * HIDDEN :])
            states[number] = y = update * h + (1 - update) * candidate
            skips.append(y)
        joined = np.concatenate(skips)
        found.append([sigmoid(joined @ matrices[n] + arrays[f"{n}_bias"]) for n in ("dense_out", "vad_dense")])
    return found


def with_frames(network: Network) -> Model:
    """The network above ready frames."""
    specification = dataclasses.replace(network.specification, front_end=Frames(1924))
    return Model(Network(specification, network.weights))


@pytest.mark.parametrize(("machine", "relocation"), [(X86_64, RELATIVE), (183, 1027)])
def test_the_network_is_what_the_formulas_say(machine: int, relocation: int, tmp_path: Path) -> None:
    arrays, matrices = made()
    path = tmp_path / "librnnoise.so"
    path.write_bytes(library(arrays, machine, relocation))
    drafted = draft({"x": path}, Settings())
    compare(drafted.network, drafted.source, lengths=(9,), cuttings=1)
    random = np.random.default_rng(1)
    frames = random.normal(size=(60, 1924)).astype(np.float32)
    silent = np.isin(np.arange(60), [0, 1, 7, 20, 21, 22, 23, 24, 40, 59])
    frames[:, 65] = silent
    frames[silent, :65] = 0
    wanted = formulas(arrays, matrices, frames[:, :65].astype(float), silent)
    model = with_frames(drafted.network)
    for number, head in enumerate(("main", "voice")):
        stream = model.stream(head=head, decoder="outputs")
        events = stream.push(frames[:33]) + stream.push(frames[33:])
        assert len(events) == 60
        for event, expected, frame, rests in zip(events, wanted, frames, silent, strict=True):
            assert event.values is not None
            if head == "main":
                assert event.values[32:].tobytes() == frame[65:].tobytes()
            if not rests:
                np.testing.assert_allclose(event.values[: 32 if head == "main" else 1], expected[number], atol=2e-6)
            elif head == "voice":
                assert event.values[0] < 1e-9


def test_its_heads_have_decoders_of_their_own(tmp_path: Path) -> None:
    path = tmp_path / "librnnoise.so"
    path.write_bytes(library(made()[0]))
    heads = finished(draft({"x": path}, Settings()), Settings()).network.specification.heads
    assert [(head.name, type(head.decoder)) for head in heads] == [
        ("main", RnnoiseSynthesis), ("voice", SpeechActivity),
    ]  # fmt: skip
    raw = Settings(decoder=Outputs())
    assert finished(draft({"x": path}, raw), raw).network.specification.heads[0].decoder == Outputs()


def test_sound_comes_out_of_the_whole(tmp_path: Path) -> None:
    path = tmp_path / "librnnoise.so"
    path.write_bytes(library(made()[0]))
    stream = Model(finished(draft({"x": path}, Settings()), Settings()).network).stream(sample_rate=16000)
    noise = np.random.default_rng(2).normal(size=8000).astype(np.float32) / 10
    events = stream.push(noise) + stream.flush()
    sound = np.concatenate([event.values for event in events if event.values is not None])
    assert stream.record.head.decoder.sample_rate == 48000
    assert 24000 <= len(sound) <= 24000 + 480 and 0.001 < np.abs(sound).max() < 1


def changed(name: str, array: Array | None) -> dict[str, Array]:
    """The small network's arrays, one of them another, or none."""
    arrays = made()[0]
    if array is None:
        del arrays[name]
    else:
        arrays[name] = array
    return arrays


@pytest.mark.parametrize(
    ("arrays", "told"),
    [
        (changed("conv1_bias", None), "no array conv1_bias"),
        (changed("conv1_weights_float", np.zeros(11, np.float32)), "conv1 has 11 weights"),
        (changed("dense_out_bias", np.zeros(31, np.float32)), "weight 'b' has shape"),
        (changed("gru1_input_weights_idx", np.array([1, 6], np.int32)), "gru1_input has blocks that lie outside"),
        (changed("gru1_input_weights_idx", np.array([-5, 0], np.int32)), "gru1_input has"),
        (changed("gru1_input_weights_idx", np.array([9], np.int32)), "gru1_input has blocks that lie outside"),
        (changed("gru2_input_weights_float", np.zeros(64, np.float32)), "gru2_input has blocks"),
        (changed("gru1_recurrent_weights_diag", np.zeros(5, np.float32)), "a diagonal of 5"),
        (changed("vad_dense_weights_float", np.full(56, np.nan, np.float32)), "NaN or infinite"),
        (changed("vad_dense_bias", np.zeros(3, np.int8)), "3 bytes, no multiple of 4"),
    ],
)
def test_what_is_no_rnnoise_is_refused(arrays: dict[str, Array], told: str, tmp_path: Path) -> None:
    path = tmp_path / "librnnoise.so"
    path.write_bytes(library(arrays))
    with pytest.raises(ForeignModelError, match=told):
        draft({"x": path}, Settings())


# --- shared libraries -----------------------------------------------------------------------------------------------


def test_a_library_is_read_as_data(tmp_path: Path) -> None:
    path = tmp_path / "lib.so"
    path.write_bytes(library({"numbers": np.array([-3, 5], np.int32)}))
    read = Library(path)
    table, size = read.symbol("rnnoise_arrays")
    assert size == 48 and read.text_at(read.pointer_at(table)) == "numbers"
    assert read.int_at(read.pointer_at(table + 16)) == -3 and read.pointer_at(table + 24) == 0
    with pytest.raises(ForeignModelError, match="exports no thing"):
        read.symbol("thing")
    for address, count in ((0, 1), (BASE - 1, 1), (BASE, 1 << 40), (BASE, -1)):
        with pytest.raises(ForeignModelError, match="holds no"):
            read.bytes_at(address, count)


def test_a_damaged_library_is_refused(tmp_path: Path) -> None:
    """Cut anywhere, or with any of its tables' bytes changed, it is read as what it then is, or refused by name."""
    whole = library({"numbers": np.array([-3, 5], np.int32)})
    path, random, refused = tmp_path / "lib.so", np.random.default_rng(0), 0
    damaged = [whole[:length] for length in range(0, len(whole), 7)]
    for place in [*range(376), *range(len(whole) - 200, len(whole))]:
        changed = bytearray(whole)
        changed[place] = int(random.integers(256))
        damaged.append(bytes(changed))
    for data in damaged:
        path.write_bytes(data)
        try:
            draft({"x": path}, Settings())
        except ForeignModelError:
            refused += 1
    assert refused == len(damaged)  # what is not damaged is no RNNoise
    path.write_bytes(b"MZ" + whole)
    with pytest.raises(ForeignModelError, match=r"lib.so is no shared library"):
        Library(path)
