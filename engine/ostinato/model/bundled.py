"""Finding models by name: those in the package, and those in the folders that the user names."""

from __future__ import annotations

import os
from collections.abc import Callable, Iterable
from pathlib import Path

from ostinato.errors import UnknownModelError, did_you_mean
from ostinato.model.file import SUFFIX

BUNDLED = Path(__file__).parent.parent / "models"
"""The folder of the models that ship in the package."""


def available(
    folders: Iterable[str | os.PathLike[str]] = (), told: Callable[[str], None] = lambda _: None
) -> dict[str, Path]:
    """Name -> path of the model files in ``folders`` and the package; the first folder that has a name wins.

    A model's name is its file's, without the suffix. ``told`` hears of what is passed over, as it is no file (a
    folder, a pipe, a link to nothing), and which file hides another. Raises UnknownModelError for a folder that does
    not exist.
    """
    found: dict[str, Path] = {}
    for folder in (*map(Path, folders), BUNDLED):
        if folder != BUNDLED and not folder.is_dir():
            raise UnknownModelError(f"{folder}: there is no such folder of models")
        for path in sorted(folder.glob(f"*{SUFFIX}")):
            name = path.name.removesuffix(SUFFIX)
            if path.name.startswith("."):
                continue
            if not _is_file(path):
                told(f"{path} is passed over: it is {_kind(path)}, not a model file")
            elif name in found:
                whose = "the bundled model of that name" if folder == BUNDLED else path
                told(f"{found[name]} is used for {name!r}, and hides {whose}")
            else:
                found[name] = path
    return found


def _is_file(path: Path) -> bool:
    try:
        return path.is_file()
    except OSError:  # where one may not look
        return False


def _kind(path: Path) -> str:
    try:
        if path.is_dir():
            return "a folder"
        return "a pipe or a device" if path.exists() else "a link to nothing"
    except OSError as error:
        return f"not to be read ({error.strerror})"


def resolve(name_or_path: str | os.PathLike[str], folders: Iterable[str | os.PathLike[str]] = ()) -> Path:
    """The model file of that name, or at that path: a text with a folder or the suffix, and anything but a text, such
    as a `Path` (which has forgotten whether it was written with ``./``).

    The path is absolute, so it means the same file when it is resolved again, whatever its name. Raises
    UnknownModelError, listing the models there are.
    """
    text = os.fspath(name_or_path)
    if isinstance(name_or_path, os.PathLike) or text.endswith(SUFFIX) or Path(text).name != text:
        path = Path(text)
        if path.is_file():
            return path.absolute()
        if isinstance(name_or_path, os.PathLike):
            raise UnknownModelError(f"there is no file {text!r}: a model's name, and not a path, is given as a str")
    models = available(folders)
    if text in models:
        return models[text].absolute()
    names = ", ".join(sorted(models)) or "none"
    raise UnknownModelError(
        f"there is no model {text!r}: the models are {names}, or give the path of a {SUFFIX} file"
        f"{did_you_mean(text, models)}"
    )
