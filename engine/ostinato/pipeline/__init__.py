"""Front ends (audio, text or frames to model frames) and decoders (outputs to events), each with a typed state, step
and flush.

front = front_end(specification.front_end, weights)
state = front.start(sample_rate=44100)
frames = front.step(state, front.check(chunk))
snapshot = pack(state)
state = front.restore(snapshot)
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Any

import numpy as np
import numpy.typing as npt

from ostinato.events import Event
from ostinato.model import decoders as specified_decoders
from ostinato.model import front_ends as specified_front_ends
from ostinato.pipeline.decoders import DECODERS, Decoder
from ostinato.pipeline.front_ends import FRONT_ENDS, FrontEnd
from ostinato.pipeline.state import pack, unpack

__all__ = ["FrontEnd", "Decoder", "front_end", "decoder", "text", "pack", "unpack"]


def front_end(
    settings: specified_front_ends.FrontEnd, weights: Mapping[str, npt.NDArray[np.float32]]
) -> FrontEnd[Any]:
    """The front end of a model."""
    return FRONT_ENDS[settings.kind](settings, weights)


def decoder(
    settings: specified_decoders.Decoder,
    frame_ms: float,
    latency_ms: float,
    weights: Mapping[str, npt.NDArray[np.float32]] | None = None,
) -> Decoder[Any, Any]:
    """The decoder of a model whose front end has these times; ``weights``, by the last part of their name, if the
    kind has any."""
    made = DECODERS[settings.kind]
    return made(settings, frame_ms, latency_ms, weights) if weights else made(settings, frame_ms, latency_ms)


def text(events: Iterable[Event], settings: specified_decoders.Decoder) -> str:
    """What the events say, symbols, labels and classes, joined as the decoder says."""
    return settings.separator.join(event.text for event in events if event.text)
