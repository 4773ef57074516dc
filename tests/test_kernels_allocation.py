"""Places in a row are used again, and never while somebody still reads them: what every kind of model computes is, to
the bit, what it computes where each value has a place of its own, also when all that is not read any more is
spoiled."""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np
import numpy.typing as npt
import pytest
from hypothesis import given, settings
from kinds import Example
from random_models import Case, cases, network, quantized, signal
from small_graphs import graph
from test_kernels_program import remembered
from test_kinds import EXAMPLES, frames_for, network_around, source_for

from ostinato.kernels.operations import KINDS
from ostinato.kernels.operations import record as i
from ostinato.kernels.positions import Positions
from ostinato.kernels.program import Program, Workspace, advance, advance_slice
from ostinato.kernels.several import Several
from ostinato.model import Network
from ostinato.model.compile import compile_observable
from ostinato.model.decoders import Outputs
from ostinato.model.front_ends import Frames
from ostinato.model.layers import Add, Concatenate, Dense, Gru, Layer, Lstm, Rnn
from ostinato.model.specification import FRAMES, Head, Node, Specification
from ostinato.model.whole_sequence import whole_sequence, whole_sequence_rows
from ostinato.pipeline import front_end

Floats = npt.NDArray[np.float32]

_KINDS = tuple(KINDS.values())


def programs(network: Network) -> Iterator[Program]:
    """All that a network runs: the one of its last stage, those of the stages below, and what runs within frames."""
    found = [network.program, *(network.stages.programs if network.stages else ())]
    for program in found:
        yield program
        for inner in program.positions:
            if isinstance(inner, Positions):
                found += inner.programs
            if isinstance(inner, Several):
                found.append(inner.program)


def read_later(program: Program) -> list[npt.NDArray[np.bool_]]:
    """Behind each operation, which values of a row are still read, by another one or as frame and outputs."""
    read = np.zeros(program.row_size, bool)
    for region in (program.input, *program.outputs):
        read[region.slice] = True
    found = []
    for op in program.operations[::-1]:
        found.append(read.copy())
        reach = _KINDS[op[i.KIND]].reach(op)
        for region in reach.writes:
            read[region.slice] = False
        for region in (program.input, *reach.reads):
            read[region.slice] = True
    return found[::-1]


def run(program: Program, frames: Floats, spoiled: bool) -> list[bytes]:
    """The outputs of two streams, of whom one ends before the other, and their states; operation by operation if
    what is not read any more is ``spoiled`` behind each."""
    sizes = np.array([2] * 3 + [1] * (len(frames) - 6), np.int64)
    rows, states, workspace = program.new_rows(len(frames)), program.new_states(2), Workspace()
    memories = remembered(program, streams=2)
    rows[:] = np.nan if spoiled else 0.0
    rows[:, program.input.slice] = frames
    arrays = states, np.arange(2), sizes, rows, workspace, memories
    if not spoiled:
        advance(program, *arrays)
    for number, read in enumerate(read_later(program) if spoiled else ()):
        advance_slice(program, number, number + 1, *arrays)
        rows[:, ~read] = np.nan
    assert rows[:, program.input.slice].tobytes() == frames.tobytes()
    return [rows[:, region.slice].tobytes() for region in program.outputs] + [states.tobytes()]


def check(network: Network, frames: Floats, source: Floats | None = None) -> None:
    """Of the whole network places of their own change nothing; of each of its programs spoiling changes nothing."""
    apart = compile_observable(network.specification, network.weights).compiled
    rows = whole_sequence_rows(network, apart, frames, source)[-1]
    wanted = [rows[:, region.slice].tobytes() for region in apart.program.outputs]
    assert [each.tobytes() for each in whole_sequence(network, frames, source)] == wanted
    assert network.program.row_size <= apart.program.row_size
    assert [one[i.KIND] for one in network.program.operations] == [one[i.KIND] for one in apart.program.operations]
    assert network.program.passes == apart.program.passes and network.program.early == apart.program.early
    for program in programs(network):
        generator = np.random.default_rng(2)
        given = generator.integers(0, 3, (11, program.input.size)).astype(np.float32)  # for tokens too
        given += generator.uniform(0, 0.5, given.shape).astype(np.float32)
        assert run(program, given, spoiled=True) == run(program, given, spoiled=False)


@pytest.mark.parametrize("example", EXAMPLES)
def test_of_every_kind_of_layer_nothing_is_overwritten_that_is_read(example: Example) -> None:
    specification = network_around(example)
    made, source = network(specification, 3), source_for(specification)
    check(made, frames_for(specification, 20), source)


@given(cases())
@settings(max_examples=30, deadline=None)
def test_of_graphs_of_any_layers_nothing_is_overwritten_that_is_read(case: Case) -> None:
    made = case.network
    front = front_end(made.specification.front_end, made.weights)
    check(made, front.step(front.start(case.sample_rate), front.check(case.signal)))


@pytest.mark.parametrize("int8", [False, True])
def test_of_networks_side_by_side_nothing_is_overwritten_that_is_read(int8: bool) -> None:
    """Those that recur together, each in both directions, with a skip around all of it."""
    nodes: list[tuple[str, Layer, str]] = []
    for number, layer in enumerate((Gru(9, "bidirectional"), Lstm(9, "bidirectional"), Rnn(9, "bidirectional")) * 2):
        nodes += [(f"a{number}", layer, "frames"), (f"b{number}", layer, f"a{number}")]
        nodes.append((f"y{number}", Dense(5), f"b{number}"))
    nodes.append(("sum", Add(), "frames " + " ".join(f"y{number}" for number in range(6))))
    specification = graph(*nodes)
    made = network(specification, 4)
    check(quantized(made) if int8 else made, signal(specification, 30, 1))


def test_networks_side_by_side_recur_together_where_they_share_places_too() -> None:
    """An output of one of them is not where another, which takes turns with it, still reads."""
    nodes: list[tuple[str, Layer, str]] = []
    for number in range(8):
        below = "frames"
        for level in range(3):
            nodes.append((f"n{number}l{level}", Rnn(5, "bidirectional"), below))
            below = f"n{number}l{level}"
    made = network(graph(*nodes, ("y", Concatenate(), " ".join(f"n{number}l2" for number in range(8)))))
    apart = compile_observable(made.specification, made.weights).compiled.program
    assert made.program.row_size < apart.row_size
    np.testing.assert_array_equal(made.program.operations[:, i.TOGETHER], apart.operations[:, i.TOGETHER])
    assert list(apart.operations[:, i.TOGETHER]).count(8) == 6


def test_a_chain_of_layers_takes_the_place_of_two_beside_its_frame_and_its_outputs() -> None:
    def row(depth: int) -> int:
        layers: list[tuple[str, Layer, str]] = [("d0", Dense(64), "frames")]
        layers += [(f"d{n}", Dense(64), f"d{n - 1}") for n in range(1, depth)]
        return network(graph(*layers, ("y", Dense(5), f"d{depth - 1}"))).program.row_size

    assert row(2) == row(20) < row(1) + 2 * 64


def test_what_a_skip_brings_stays() -> None:
    """Through any number of layers beside it."""
    deep: list[tuple[str, Layer, str]] = [(f"d{n}", Dense(64), f"d{n - 1}" if n else "frames") for n in range(9)]
    program = network(graph(*deep, ("sum", Add(), "d0 d8"))).program
    kept, add = program.operations[0], program.operations[-1]
    assert add[i.INPUT] == kept[i.OUTPUT]
    assert not any(op[i.OUTPUT] == kept[i.OUTPUT] for op in program.operations[1:])


def test_what_heads_read_stays() -> None:
    """At whatever depth they are."""
    chain = tuple(Node(f"h{n}", Dense(40), (f"h{n - 1}" if n else FRAMES,)) for n in range(9))
    one, all_ = (
        Network.random(Specification("x", Frames(5), chain, tuple(Head(n.name, n.name, Outputs()) for n in heads)))
        for heads in (chain[-1:], chain)
    )
    assert one.program.row_size < all_.program.row_size
    check(all_, signal(all_.specification, 20, 1))
