"""What a format makes of a file."""

from __future__ import annotations

from dataclasses import dataclass
from typing import NamedTuple

from ostinato.importing.source import Source
from ostinato.model import Network


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
