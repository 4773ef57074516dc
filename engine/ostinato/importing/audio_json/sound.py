"""What the formats of the audio world share: how samples come in and go out, and what is said of a network."""

from __future__ import annotations

import itertools
from collections.abc import Iterable
from pathlib import Path

from ostinato.errors import ForeignModelError
from ostinato.importing.audio_json.document import Document
from ostinato.importing.builder import Builder
from ostinato.importing.draft import Decision, Draft
from ostinato.importing.parity import LENGTHS
from ostinato.importing.settings import Settings
from ostinato.importing.source import Float64
from ostinato.model.decoders import Audio, Outputs
from ostinato.model.front_ends import Frames, FrontEnd, Samples
from ostinato.model.front_ends.audio import MAX_RATE

USUAL_RATE = 48000.0
"""Samples a second, where a file does not say it: what amplifiers are modelled at."""
MOST_COMPARED = 5000
"""Samples of an utterance that is compared: more than the usual WaveNet looks back."""
_MOST, _LONGEST = 32, 200
"""Lines of a card, and signs of one."""


def front_end(settings: Settings, channels: int, rate: float) -> FrontEnd:
    """What gives a network its samples: audio, one by one; of several ``channels``, such as a knob beside the signal,
    ready frames."""
    if not 1 <= rate <= MAX_RATE:
        raise ForeignModelError(f"a sample rate of {rate:g} is not from 1 to {MAX_RATE} samples a second")
    if settings.front_end is not None:
        return settings.front_end
    return Samples(round(rate), 1, 1) if channels == 1 else Frames(channels, 1000 / rate)


def card(metadata: Document) -> dict[str, str]:
    """What a file says of itself in words and numbers, as a model's card has it."""
    found = {}
    for name in itertools.islice(metadata, _MOST):
        value = metadata.value(name)
        if isinstance(value, str | int | float) and not isinstance(value, bool):
            found[name.replace("_", " ")] = str(value)[:_LONGEST]
    return found


def draft(
    builder: Builder, settings: Settings, node: str, path: Path, said: dict[str, str], decisions: Iterable[Decision]
) -> Draft:
    """The network whose outputs ``node`` gives. ``said``: its card, which may hold its name and licence."""
    said = dict(said)
    licence = said.pop("license", "") or said.pop("licence", "")
    name = said.pop("name", "") or path.stem
    heard = isinstance(builder.front_end, Samples) and builder.wires[node].size == 1
    heads = [("main", node, Audio() if heard else Outputs())]
    network = builder.network(settings, heads, name=name, licence=licence, card=said)
    looks_back = sum(framing.span for each in network.specification.nodes for framing in each.layer.framings)
    lengths = LENGTHS if looks_back < max(LENGTHS) else (*LENGTHS, min(looks_back + 1, MOST_COMPARED))
    return Draft(network, Float64(network), tuple(decisions), lengths=lengths, unseen=Float64.unseen)
