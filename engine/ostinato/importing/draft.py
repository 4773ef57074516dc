"""What a format makes of a file."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any, NamedTuple

import numpy.typing as npt

from ostinato.importing.parity import LENGTHS
from ostinato.importing.source import Source
from ostinato.model import Network
from ostinato.model.decoders import Decoder


class Decision(NamedTuple):
    """What an importer decided that the file does not say outright: ``subject`` ("time axis", "states", "folded"),
    and what of it, in words that a person can check."""

    subject: str
    text: str


@dataclass(frozen=True)
class Draft:
    """A network whose equality with its source was not seen yet. ``decisions`` in the order in which a reader wants
    them."""

    network: Network
    source: Source
    decisions: tuple[Decision, ...] = ()
    decoders: Mapping[str, Decoder] = field(default_factory=dict)
    """Of heads that have one of their own, by name: it comes once the outputs are seen to be equal."""
    decoder_weights: Mapping[str, npt.NDArray[Any]] = field(default_factory=dict)
    """By their names in a model file."""
    lengths: tuple[int, ...] = LENGTHS
    """Frames of the utterances that are compared: longer ones for networks that look far back."""
    unseen: str = ""
    """What a comparison with ``source`` cannot see, if that is not the origin itself."""
