"""Is what streams equal to what the source computes? Utterances in random pieces through our kernels, whole through
the source."""

from __future__ import annotations

import dataclasses
from collections.abc import Iterable
from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt

from ostinato.errors import ForeignModelError
from ostinato.importing.source import Pair, Recorded, Source
from ostinato.model import Network
from ostinato.model.decoders import SequenceClass
from ostinato.model.front_ends import Frames, Tokens
from ostinato.model.specification import FRONT_END, Head
from ostinato.model.whole_sequence import whole_sequence
from ostinato.streaming import Model

Array = npt.NDArray[Any]
TOLERANCE = 1e-3
"""Of the largest value: beyond it something was understood wrong, and no model is written."""
ROUNDING = 1e-5
"""A difference that float32 may make where all values are small."""
LENGTHS = (1, 29, 83)
"""Frames of the utterances."""


@dataclass(frozen=True)
class Parity:
    """``largest``: absolute difference of any output. ``scale``: the largest magnitude of the source's."""

    source: str
    largest: float
    scale: float
    frames: int
    cuttings: int

    def __str__(self) -> str:
        """For people and cards."""
        return (
            f"largest difference from {self.source}: {self.largest:.1e}, of values up to {self.scale:.3g}; "
            f"{self.frames} frames" + (f" at {self.cuttings} random cuttings" if self.cuttings else "")
        )


def compare(
    network: Network, source: Source, *, seed: int = 0, lengths: Iterable[int] = LENGTHS, cuttings: int = 3
) -> Parity:
    """Compare all heads. Raises ForeignModelError if frames are missing, or differ by more than `TOLERANCE`."""
    generator = np.random.default_rng(seed)
    model = Model(_without_front_end(network))
    largest = scale = 0.0
    frames = cut = 0
    for length in lengths:
        inputs = source.inputs(generator, length)
        for head, theirs in source.outputs(inputs).items():
            if not np.isfinite(theirs).all():
                raise ForeignModelError(f"head {head!r}: {source.name} itself gives NaN or infinite values")
            scale = max(scale, float(np.abs(theirs).max(initial=0.0)))
            for _ in range(1 if isinstance(inputs, Pair) else cuttings):
                ours = (
                    _of_pair(model.network, head, inputs)
                    if isinstance(inputs, Pair)
                    else _streamed(model, head, inputs, generator)
                )
                if len(theirs) == 1 and (waits(network, head) or isinstance(source, Recorded)):
                    ours = _ended(network, head, ours)
                if ours.shape != theirs.shape:
                    raise ForeignModelError(
                        f"head {head!r} gives {list(ours.shape)} (frames, values) for {len(inputs)} frames, and "
                        f"{source.name} {list(theirs.shape)}: what the file means was understood wrong"
                    )
                largest = max(largest, float(np.abs(ours - theirs).max(initial=0.0)))
                frames, cut = frames + len(ours), cut + (not isinstance(inputs, Pair))
    parity = Parity(source.name, largest, scale, frames, cut)
    if not largest <= max(ROUNDING, TOLERANCE * scale):
        raise ForeignModelError(f"the outputs are not those of the source, so no model is made: {parity}")
    return parity


def _ended(network: Network, head: str, ours: Array) -> Array:
    """What the utterance comes to, [1, size]: its last frame, or the mean that the decoder takes."""
    decoder = _head(network, head).decoder
    if isinstance(decoder, SequenceClass) and decoder.pool == "mean" and len(ours):
        ours = ours.mean(axis=0, keepdims=True)
    return ours[-1:]


def waits(network: Network, head: str) -> bool:
    """Whether a head waits for the utterance: then a source may give its last frame alone."""
    return network.specification.direction_of(_head(network, head)) == "bidirectional"


def _streamed(model: Model, head: str, inputs: Array, generator: np.random.Generator) -> Array:
    """A head's raw outputs [frames, size] of an utterance that comes in random pieces."""
    stream = model.stream(head=head, decoder="outputs")
    events = []
    cuts = np.sort(generator.integers(0, len(inputs) + 1, 4))
    for piece in np.split(inputs, cuts):
        events += stream.push(_pushed(model.network, piece))
    events += stream.flush()
    stream.close()
    size = model.network.specification.wires[_head(model.network, head).node].size
    rows = [event.values for event in events]
    return np.array(rows, np.float32).reshape(len(rows), size)


def _of_pair(network: Network, head: str, pair: Pair) -> Array:
    """A head's raw outputs for tokens that are given, of a source that is whole."""
    ids = (pair.source, pair.tokens)
    source, tokens = (np.asarray(each, np.float32).reshape(len(each), -1) for each in ids)
    number = [each.name for each in network.specification.heads].index(head)
    return whole_sequence(network, tokens, source)[number]


def _pushed(network: Network, piece: Array) -> Any:
    """An input as the front end takes it."""
    front = network.specification.front_end
    if not isinstance(front, Tokens):
        return piece
    return "".join(front.vocabulary[token] for token in piece)


def _head(network: Network, name: str) -> Head:
    return next(each for each in network.specification.heads if each.name == name)


def _without_front_end(network: Network) -> Network:
    """The network with ready frames, or with a sign for each token, in the place of its front end."""
    old = network.specification.front_end
    if old.wire.token:
        front: Any = Tokens(tuple(chr(0x4E00 + number) for number in range(old.wire.size)))
    else:
        front = Frames(old.wire.size, old.frame_ms)
    weights = {name: array for name, array in network.weights.items() if not name.startswith(f"{FRONT_END}.")}
    return Network(dataclasses.replace(network.specification, front_end=front), weights)
