"""How a model's graph is shown: drawn in text, with what each node costs, as a picture, and as JSON."""

from __future__ import annotations

import dataclasses
import io
import json
import os
from collections.abc import Callable, Mapping, Sequence
from fractions import Fraction
from pathlib import Path
from subprocess import CompletedProcess
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from ostinato import model
from ostinato.cli import graph, graph_picture
from ostinato.cli.graph import Vertex, drawn, vertices
from ostinato.errors import InputError
from ostinato.model import Network, Sequential, Specification
from ostinato.model.activation import Activation
from ostinato.model.decoders import Audio, Ctc, InverseSpectrum, Outputs
from ostinato.model.front_ends import Frames, LogMel, Samples, Spectrum, Tokens
from ostinato.model.layers import (
    Convolution,
    Dense,
    Each,
    Embedding,
    Gather,
    Gru,
    Layer,
    Lstm,
    MaxPool,
    Mean,
    OneHot,
    Rnn,
    Softmax,
    TransposedConvolution,
    Within,
)
from ostinato.model.specification import FRAMES, Head, Node
from ostinato_bench.terminal import Console

Run = Callable[..., CompletedProcess[str]]


def made(reads: Mapping[str, str], heads: Sequence[str] = ()) -> list[Vertex]:
    """Vertices that read those named; heads of those named."""
    found = [Vertex(FRAMES, "frames", "frames, every 10 ms", (), 3)]
    found += [
        Vertex(name, "dense", "dense 3", tuple(of.split()), 3, False, 9, 9, 900.0) for name, of in reads.items()
    ]
    return found + [Vertex(f"head {node}", "outputs", "", (node,)) for node in heads]


RESIDUAL = made({"a": FRAMES, "b": "a", "c": "a b", "d": "c", "e": "c d"}, ["e"])
ENSEMBLE = made({**{f"branch-{i}": FRAMES for i in range(8)}, "mean": " ".join(f"branch-{i}" for i in range(8))})


def lines(found: Sequence[Vertex]) -> list[str]:
    return [line.rstrip() for line, _ in drawn(found)]


# --- the drawing ----------------------------------------------------------------------------------------------------


def test_a_chain_is_a_list() -> None:
    assert lines(made({"a": FRAMES, "b": "a"}, ["b"])) == ["●", "●", "●", "◆"]


def test_what_is_wanted_later_goes_on_beside() -> None:
    assert lines(RESIDUAL) == ["●", "●", "├─●", "●─╯", "├─●", "●─╯", "◆"]


def test_branches_end_where_they_are_joined() -> None:
    found = lines(ENSEMBLE)
    assert found[1:4] == ["├─●", "├─│─●", "├─│─│─●"]
    assert found[-2:] == ["● │ │ │ │ │ │ │", "●─┴─┴─┴─┴─┴─┴─╯"]


@st.composite
def graphs(draw: st.DrawFn) -> list[Vertex]:
    names = [FRAMES]
    reads: dict[str, str] = {}
    for number in range(draw(st.integers(0, 12))):
        inputs = draw(st.lists(st.sampled_from(names), min_size=1, max_size=4))
        reads[f"n{number}"] = " ".join(inputs)
        names.append(f"n{number}")
    return made(reads, draw(st.lists(st.sampled_from(names), max_size=3, unique=True)))


@given(graphs())
def test_whoever_follows_the_lines_finds_the_graph(found: list[Vertex]) -> None:
    """The drawing is read back: who is connected to whom, and whose wire goes down where."""
    down: dict[int, str] = {}
    for vertex, (line, below) in zip(found, drawn(found), strict=True):
        (mine,) = (column for column, sign in enumerate(line) if sign in "●◆")
        connected = set()
        for step in (-1, 1):
            column = mine + step
            while 0 <= column < len(line) and line[column] not in " ":
                sign = line[column]
                if sign in "├┤┼┴╰╯":
                    connected.add(down[column])
                    if sign in "┴╰╯":
                        del down[column]
                    if sign in ("├╰" if step < 0 else "┤╯"):
                        break
                column += step
            assert column == mine + step or 0 <= column < len(line) or step > 0
        above = down.get(mine)
        if vertex.reads:
            assert connected | ({above} - {None} if above in vertex.reads else set()) == set(vertex.reads)
            assert connected or above in vertex.reads
        down.pop(mine, None)
        assert all(line[column] in "│├┤┼" for column in down)
        if below[mine : mine + 1] == "│":
            down[mine] = vertex.name
        assert {column for column, sign in enumerate(below) if sign == "│"} == set(down)
        later = {name for other in found[found.index(vertex) + 1 :] for name in other.reads}
        assert set(down.values()) == later & {each.name for each in found[: found.index(vertex) + 1]}


# --- what stands beside it ------------------------------------------------------------------------------------------


def test_a_branch_is_not_torn_apart() -> None:
    nodes = [Node(f"{kind}-{i}", Dense(3), (FRAMES if kind == "a" else f"a-{i}",)) for kind in "ab" for i in (1, 2)]
    heads = tuple(Head(f"h{i}", f"b-{i}", Outputs()) for i in (1, 2))
    found = vertices(Specification("x", Frames(3), tuple(nodes), heads))
    assert [vertex.name for vertex in found] == [FRAMES, "a-1", "b-1", "head h1", "a-2", "b-2", "head h2"]


@pytest.mark.parametrize(
    ("layer", "text"),
    [
        (Gru(104), "gru 104"),
        (Gru(104, direction="bidirectional", reset="before"), "gru 104, bidirectional, reset before"),
        (Lstm(5, peepholes=True, precision="int8"), "lstm 5, int8, peepholes"),
        (Rnn(5, activation=Activation("leaky-relu", 0.2)), "rnn 5, leaky-relu 0.2"),
        (Dense(11), "dense 11"),
        (Dense(11, Activation("relu")), "dense 11, relu"),
        (Softmax(), "softmax"),
        (Within(33, Gru(8, "bidirectional")), "within 33: gru 8, bidirectional"),
        (Each(33, Gru(8)), "each 33: gru 8"),
        (Gather((2, -1)), "gather, indices 2 -1"),
        (Gather(tuple(range(60))), "gather, 60 indices"),
    ],
)
def test_settings_are_told_where_they_are_not_the_usual(layer: Layer, text: str) -> None:
    assert graph.settings(layer) == text


@pytest.mark.parametrize(
    ("front", "layers", "wanted"),
    [
        (Frames(7), (Dense(5),), [35]),
        (Frames(7), (Gru(10, direction="bidirectional"), Softmax()), [2 * 3 * 10 * (7 + 10), 0]),
        (Frames(7), (Lstm(10, peepholes=True), Rnn(4)), [4 * 10 * 17, 4 * 14]),
        (Frames(7), (Convolution(8, taps=3, groups=1), Convolution(8, taps=3, groups=8)), [3 * 7 * 8, 3 * 8]),
        (Tokens(tuple("abc")), (OneHot(), Gru(10)), [0, 3 * 10 * 10]),
        (Tokens(tuple("abc")), (OneHot(), Dense(10)), [0, 0]),
        (Tokens(tuple("abc")), (Embedding(6), Dense(10)), [0, 60]),
    ],
)
def test_multiply_adds_are_counted(front: Any, layers: tuple[Layer, ...], wanted: list[int]) -> None:
    """What is looked up costs none."""
    specification = Sequential("x", front, layers, Outputs())
    found = graph.described(specification)["nodes"]
    assert [node["multiply_adds"] for node in found] == wanted
    seconds = [None if isinstance(front, Tokens) else 100.0 * each for each in wanted]
    assert [node["multiply_adds_per_second"] for node in found] == seconds
    network = Network.random(specification)
    assert sum(node["weights"] for node in found) == network.size


def shown(found: Sequence[Vertex], width: int) -> list[str]:
    text = io.StringIO()
    console = Console(file=text, width=width, force_terminal=True, color_system=None)
    console.print(graph.table(found), style=None)
    return text.getvalue().splitlines()


SPEECH = Specification(
    "speech",
    LogMel(),
    (
        Node("gru", Gru(128, direction="bidirectional"), (FRAMES,)),
        Node("phones", Dense(40, Activation("sigmoid")), ("gru",)),
        Node("loudness", Dense(1), (FRAMES,)),
        Node("softmax", Softmax(), ("phones",)),
    ),
    (Head("main", "softmax", Ctc(tuple(map(str, range(40))))), Head("loudness", "loudness", Outputs())),
)


@pytest.mark.parametrize("width", [160, 80, 60, 40])
def test_nothing_is_lost_however_narrow_the_terminal_is(width: int, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("TERM", "xterm")
    found = shown(vertices(SPEECH), width)
    assert max(map(len, found)) <= width
    text = " ".join(" ".join(found).replace("│", " ").split())
    for word in ("gru 128, bidirectional", "dense 40, sigmoid", "head loudness", "log-mel, 16 kHz", "all"):
        assert word in text
    # From the front end on, the line that "loudness" is read by goes through every line of the others.
    start = next(i for i, line in enumerate(found) if " gru" in line)
    end = next(i for i, line in enumerate(found) if " loudness" in line)
    assert all(line[0] in "│├" for line in found[start:end])


def test_delays_and_rates_are_told_where_there_are_any() -> None:
    chain = Sequential("x", Frames(3), (Gru(4), Dense(2)), Outputs())
    assert "delay" not in shown(vertices(chain), 160)[0]
    heading, _, *lines = shown(vertices(SPEECH), 160)
    assert "delay" in heading.split()
    assert [word in line for line in lines for word in ("utterance",)][:7] == [False, *[True] * 3, *[False] * 3]
    nodes = {node["name"]: node for node in graph.described(SPEECH)["nodes"]}
    assert [nodes[name]["delay_frames"] for name in ("gru", "softmax", "loudness")] == [None, None, 0]
    assert nodes["gru"]["frame_ms"] == 10

    twice = Sequential("x", Frames(3), (TransposedConvolution(4, taps=6, stride=2),), Outputs())
    (node,) = graph.described(twice)["nodes"]
    assert (node["frame_ms"], node["multiply_adds"]) == (5, 4 * 3 * 3), "3 of the 6 taps meet an output frame"
    half = Sequential("x", Frames(3), (Convolution(4, taps=5, stride=2, right=3), MaxPool(2), Gru(3)), Outputs())
    nodes = graph.described(half)["nodes"]
    assert [node["frame_ms"] for node in nodes] == [20, 20, 20]
    assert [node["delay_frames"] for node in nodes] == [half.staging.delay(half.staging.of["convolution"])] * 3
    assert [node["multiply_adds_per_second"] for node in nodes] == [50 * 4 * 5 * 3, 0, 50 * 9 * 7]

    frames, node = made({"a": FRAMES})
    frames = dataclasses.replace(frames, frame_ms=10.0)
    node = dataclasses.replace(node, rate=Fraction(1, 2), frame_ms=20.0, ahead=3)
    heading, below, _, line = shown([frames, node], 160)
    assert heading.split()[2:6] == ["size", "a", "frame", "delay"] and below.split()[0] == "every"
    assert line.split()[4:9] == ["3", "20", "ms", "30", "ms"]
    frames, node = (dataclasses.replace(vertex, frame_ms=None, per_second=None) for vertex in (frames, node))
    assert shown([frames, node], 160)[-1].split()[4:9] == ["3", "2", "tokens", "3", "tokens"]


def test_a_graph_too_wide_to_be_drawn_is_told_in_words() -> None:
    branches = [Node(f"d{i}", Dense(2), (FRAMES,)) for i in range(40)]
    joined = Node("mean", Mean(), tuple(node.name for node in branches))
    specification = Specification("x", Frames(3), (*branches, joined), (Head("main", "mean", Outputs()),))
    found = shown(vertices(specification), 160)
    assert not any(sign in line for line in found for sign in "│├●")
    (line,) = (line for line in found if line.startswith("mean"))
    assert "d0, d1, d2, d3, d4, d5 and 34 more" in line
    assert "frames" in next(line for line in found if line.startswith("d17"))


# --- the picture ----------------------------------------------------------------------------------------------------


@settings(deadline=None, max_examples=30)
@given(graphs())
def test_boxes_and_lines_of_the_picture_keep_their_distance(found: list[Vertex]) -> None:
    layout = graph_picture.Layout(found)
    at = layout.coordinates()
    for one, (x, y) in at.items():
        for other, (other_x, other_y) in at.items():
            if one < other and y == other_y:
                boxes = (one[0] < len(found)) + (other[0] < len(found))
                assert abs(x - other_x) > (0.3, 0.5 * graph_picture.WIDTH + 0.3, graph_picture.WIDTH)[boxes]
    for edge in layout.edges:
        rows = [row for _, row in edge]
        assert rows == list(range(rows[0], rows[0] + len(rows))), "lines go down, a row at a time"


def test_chains_are_straight_and_branches_side_by_side() -> None:
    def column(found: list[Vertex], name: str) -> float:
        layout = graph_picture.Layout(found)
        number = [vertex.name for vertex in found].index(name)
        return layout.coordinates()[number, layout.rows[number]][0]

    chain = made({f"n{i}": f"n{i - 1}" if i else FRAMES for i in range(20)}, ["n19"])
    assert len({round(x, 9) for x, _ in graph_picture.Layout(chain).coordinates().values()}) == 1
    assert all(abs(column(RESIDUAL, name) - column(RESIDUAL, "e")) < 0.1 for name in "abcd")
    columns = sorted(column(ENSEMBLE, f"branch-{i}") for i in range(8))
    assert columns[-1] - columns[0] == pytest.approx(7 * (columns[1] - columns[0]))
    assert column(ENSEMBLE, FRAMES) == pytest.approx(sum(columns) / 8) == column(ENSEMBLE, "mean")


def test_the_picture_is_written(tmp_path: Path) -> None:
    for name in ("graph.png", "graph.svg"):
        graph_picture.draw(SPEECH, tmp_path / name)
        assert (tmp_path / name).stat().st_size > 5000
    assert "head loudness" not in (tmp_path / "graph.png").read_text(errors="ignore")
    many = Sequential("many", Frames(1), [Dense(1)] * 301, Outputs())
    with pytest.raises(InputError, match="301 nodes could not be read: at most 300"):
        graph_picture.draw(many, tmp_path / "many.png")


# --- the command ----------------------------------------------------------------------------------------------------


def test_the_command_tells_it_all_three_ways(ostinato: Run, tmp_path: Path) -> None:
    path = tmp_path / "speech.safetensors"
    model.write(path, Network.random(SPEECH))
    signs = {"utf-8": "├─● gru", "ascii": "+-o gru"}
    for encoding, drawing in signs.items():
        env = os.environ | {"PYTHONIOENCODING": encoding}
        done = ostinato("inspect", path, "--plot", tmp_path / "speech.png", env=env, encoding="utf-8")
        assert done.returncode == 0, done.stderr
        assert drawing in done.stdout
    assert (tmp_path / "speech.png").read_bytes().startswith(b"\x89PNG")
    found = json.loads(ostinato("inspect", path, "--json").stdout)
    assert [node["name"] for node in found["nodes"]] == ["gru", "phones", "softmax", "loudness"]
    assert found["nodes"][0]["about"] == "gru 128, bidirectional"
    assert found["nodes"][0]["inputs"] == [FRAMES] and found["nodes"][0]["size"] == 256
    main, loudness = found["heads"]
    assert (main["name"], main["node"], main["decoder"], main["size"]) == ("main", "softmax", "ctc", 40)
    assert len(main["symbols"]) == 40 and main["delay_ms"] is None and main["delay_cause"] == "gru"
    assert loudness == {
        "name": "loudness", "node": "loudness", "decoder": "outputs", "size": 1, "delay_ms": 0, "delay_cause": None,
        "sample_rate": None, "symbols": [],
    }  # fmt: skip
    refused = ostinato("inspect", path, "--plot", tmp_path / "speech.txt")
    assert refused.returncode == 2 and "should end in .png" in refused.stderr and not refused.stdout


def test_front_ends_and_decoders_of_sound_say_how_they_are_set(ostinato: Run, tmp_path: Path) -> None:
    path = tmp_path / "amplifier.safetensors"
    model.write(path, Network.random(Sequential("amplifier", Samples(48000, 1, 1), (Dense(1),), Audio())))
    told = ostinato("inspect", path).stdout
    assert "samples, size 1, hop 1" in told and "1 value, 48,000 a second" in told
    assert "audio, 48 kHz, 64 samples an event" in told
    assert json.loads(ostinato("inspect", path, "--json").stdout)["heads"][0]["sample_rate"] == 48000
    front_end = Spectrum(16000, 512, 256, window="sqrt-hann")
    model.write(path, Network.random(Sequential("identity", front_end, (), InverseSpectrum(512, 256))))
    told = ostinato("inspect", path).stdout
    assert "spectrum, size 512, hop 256, window sqrt-hann" in told and "514 values, every 16 ms" in told
    assert "inverse-spectrum 512, hop 256, 16 kHz, 256 samples an event" in told
