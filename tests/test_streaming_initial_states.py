"""Streams whose recurrent states begin from weights, not from zeros: wherever a stream begins anew."""

from __future__ import annotations

import numpy as np
import numpy.typing as npt
import pytest
import reference
from random_models import network, signal

from ostinato.events import Event
from ostinato.model import Sequential
from ostinato.model.decoders import Outputs
from ostinato.model.front_ends import Frames
from ostinato.model.layers import Dense, Gru, Lstm, Rnn
from ostinato.model.specification import Specification
from ostinato.streaming import Model

CAUSAL = Sequential(
    "causal", Frames(5), (Gru(7, initial=True), Lstm(17, initial=True, projection=4), Rnn(6), Dense(3)), Outputs()
)
BOTH = Sequential(
    "both",
    Frames(5),
    (Gru(7, "bidirectional", initial=True), Lstm(9, "backward", initial=True), Rnn(6, initial=True), Dense(3)),
    Outputs(),
)


def values(events: list[Event]) -> npt.NDArray[np.float32]:
    return np.array([event.values for event in events])


@pytest.mark.parametrize("specification", [CAUSAL, BOTH], ids=lambda each: each.name)
def test_each_utterance_begins_so(specification: Specification) -> None:
    model = Model(network(specification), max_streams=2)
    frames = signal(specification, 23, 3)
    wanted = reference.run(specification, model.network.weights, frames)
    zeros = {name: array * ("initial" not in name) for name, array in model.network.weights.items()}
    assert np.abs(reference.run(specification, zeros, frames)[[0, -1]] - wanted[[0, -1]]).max() > 0.01
    for _ in range(3):  # later streams get the slots of earlier ones
        with model.stream() as stream:
            for _ in range(2):
                found = values(stream.push(frames[:9]) + stream.push(frames[9:]) + stream.flush())
                np.testing.assert_allclose(found, wanted, rtol=0, atol=3e-6)
            stream.push(frames[:5])
            stream.reset()
            again = stream.fork()
            for each in (stream, again):
                np.testing.assert_allclose(values(each.push(frames) + each.flush()), wanted, rtol=0, atol=3e-6)
            again.close()


@pytest.mark.parametrize(("block", "lookahead"), [(1, 3), (6, 0), (6, 4), (50, 1)])
def test_backward_directions_begin_so_at_the_end_of_each_block(block: int, lookahead: int) -> None:
    model = Model(network(BOTH))
    frames = signal(BOTH, 23, 3)
    wanted = reference.run_blocks(BOTH, model.network.weights, frames, block, lookahead)
    frame_ms = model.front_end.frame_ms
    with model.stream(block_ms=block * frame_ms, lookahead_ms=lookahead * frame_ms) as stream:
        for _ in range(2):
            found = values(stream.push(frames) + stream.flush())
            np.testing.assert_allclose(found, wanted, rtol=0, atol=3e-6)
