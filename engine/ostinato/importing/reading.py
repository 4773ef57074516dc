"""From a file to a network that is equal to its source."""

from __future__ import annotations

import dataclasses
import importlib
import os
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from ostinato.errors import ForeignModelError
from ostinato.importing.draft import Decision, Draft
from ostinato.importing.formats import format_of
from ostinato.importing.parity import Parity, compare
from ostinato.importing.settings import Settings
from ostinato.importing.source import Recorded, Source
from ostinato.model import Network
from ostinato.model.file import MAX_FILE_BYTES

_NONE = Settings()


@dataclass(frozen=True)
class Imported:
    """A network that was compared with its source: its card says how. ``format``: what the file was."""

    network: Network
    format: str
    decisions: tuple[Decision, ...]
    parity: Parity


def import_model(
    path: str | os.PathLike[str], settings: Settings = _NONE, *, expect: str | os.PathLike[str] | None = None
) -> Imported:
    """The network of a foreign file. ``expect``: an .npz of recorded ``inputs`` [frames, size] (or token ids
    [frames]) and ``outputs`` [frames, size], compared with instead of the source's own computation.

    Raises ForeignModelError, naming what cannot be read and the cure, and if the numbers are not the source's.
    """
    path = Path(path)
    kind, draft = _draft(path, settings)
    source = draft.source if expect is None else _recorded(Path(expect), draft.network)
    parity = compare(draft.network, source)
    card = {"source": f"{path.name} ({kind})", "parity": str(parity)}
    specification = draft.network.specification
    specification = dataclasses.replace(specification, card=specification.card | card)
    return Imported(Network(specification, draft.network.weights), kind, draft.decisions, parity)


def verify(network: Network, path: str | os.PathLike[str], settings: Settings = _NONE) -> Parity:
    """Compare a network that was imported with the file that it came from, anew. Raises ForeignModelError if it is
    not equal to it."""
    return compare(network, _draft(Path(path), settings)[1].source)


def _draft(path: Path, settings: Settings) -> tuple[str, Draft]:
    found = format_of(path)
    try:
        made: Draft = importlib.import_module(found.module).draft(path, settings)
    except ForeignModelError as error:
        raise ForeignModelError(f"{path}: {error}".removeprefix(f"{path}: " * 2)) from error.__cause__
    return found.name, made


def _recorded(path: Path, network: Network) -> Source:
    """What was recorded, for the first head."""
    try:
        if path.stat().st_size > MAX_FILE_BYTES:
            raise ForeignModelError(f"{path}: is too large: record a minute")
        with np.load(path, allow_pickle=False) as arrays:
            inputs, outputs = arrays["inputs"], arrays["outputs"]
    except KeyError as error:
        raise ForeignModelError(f"{path}: has no array {error}: save inputs and outputs with numpy.savez") from error
    except (OSError, ValueError) as error:
        raise ForeignModelError(f"{path}: no arrays can be read from it ({error}): use numpy.savez") from error
    wire = network.specification.front_end.wire
    fits = inputs.ndim == 1 and inputs.dtype.kind in "iu" if wire.token else inputs.shape[1:] == (wire.size,)
    if not fits:
        wanted = "token ids [frames]" if wire.token else f"[frames, {wire.size}]"
        raise ForeignModelError(f"{path}: inputs are {list(inputs.shape)}, and the model takes {wanted}")
    return Recorded(
        inputs if wire.token else inputs.astype(np.float32), {network.specification.heads[0].name: outputs}
    )
