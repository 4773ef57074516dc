"""The files that commands write: checked before time is spent, written before anything is printed.

A measurement takes minutes. So a command calls `check_writable` and `check_picture` first, then measures, then calls
`write_json` and `write_picture`, and only then prints: a pipe that nobody reads any more must not lose the figures.
"""

from __future__ import annotations

import json
import os
import sys
import tempfile
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import typer

from ostinato.cli.console import note, out
from ostinato.stdio import speaks_utf8

STANDARD_OUTPUT = Path("-")
PICTURES = (".png", ".svg", ".pdf")


def check_writable(path: Path | None, suffixes: Sequence[str] = ()) -> None:
    """Refuse, as wrong usage, a file that could not be written, or whose name does not end in one of ``suffixes``."""
    if path is None or (path == STANDARD_OUTPUT and not suffixes):
        return
    if suffixes and path.suffix.lower() not in suffixes:
        raise typer.BadParameter(f"{path} should end in {' or '.join(suffixes)}")
    target = path.resolve()
    if not target.parent.is_dir():
        raise typer.BadParameter(f"there is no folder {target.parent} to write {path.name} into")
    if target.is_dir():
        raise typer.BadParameter(f"{path} is a folder: name a file")
    if target.exists() and not os.access(target, os.W_OK):
        raise typer.BadParameter(f"{path} cannot be written: check its permissions, or name another file")
    if target.exists() and not _replaceable(target):
        return  # written in place
    try:
        with tempfile.NamedTemporaryFile(dir=target.parent, prefix=f".{target.name[:100]}.", suffix=".part"):
            pass
    except OSError as error:
        raise typer.BadParameter(
            f"{path} cannot be written: {error.strerror}. Check the folder's permissions, or name another file"
        ) from error


def check_folder(path: Path) -> None:
    """Make a folder for what a command will write, if it is not there. Refuses, as wrong usage, one of no use."""
    try:
        path.mkdir(parents=True, exist_ok=True)
        with tempfile.TemporaryFile(dir=path):
            pass
    except OSError as error:
        raise typer.BadParameter(
            f"{path} cannot be written into: {error.strerror}. Check its permissions, or name another folder"
        ) from error


def check_picture(path: Path | None) -> None:
    """Refuse, as wrong usage, a picture that could not be drawn."""
    if path is None:
        return
    check_writable(path, PICTURES)
    try:
        import matplotlib.figure  # noqa: F401
    except ImportError as error:
        raise typer.BadParameter(f"a picture needs matplotlib ({error}): pip install matplotlib") from error


def write_json(path: Path | None, figures: Mapping[str, Any] | Sequence[Any]) -> None:
    """Write figures as JSON, if a file was asked for. Into standard output ("-") they go instead of tables."""
    if path == STANDARD_OUTPUT:
        print_json(figures, indent=2)
        out.quiet = True
    elif path is not None:
        with replacing(path) as part:
            # A file's name may hold what is no text: JSON's own escapes say it.
            text = json.dumps(figures, indent=2, ensure_ascii=False) + "\n"
            part.write_text(text, encoding="utf-8", errors="backslashreplace")
        note(f"figures: {path}")


def print_json(value: Any, indent: int | None = None) -> None:
    """JSON on standard output, at once; in escapes if signs could be lost."""
    print(json.dumps(value, indent=indent, ensure_ascii=not speaks_utf8(sys.stdout)), flush=True)


def write_picture(path: Path | None, draw: Callable[[Path], None]) -> None:
    """Let ``draw`` make the picture, if one was asked for."""
    if path is not None:
        with replacing(path) as part:
            draw(part)
        note(f"picture: {path}")


@contextmanager
def replacing(path: Path) -> Iterator[Path]:
    """A path to write to, of the same suffix, which takes the place of ``path`` at the end; not after an error.

    What cannot be replaced (a device, a pipe, a file in a folder where nothing can be made) is written in place.
    Errors of writing name ``path``.
    """
    target = path.resolve()
    in_place = target.exists() and not _replaceable(target)
    part = target if in_place else target.with_name(f".{target.stem[:100]}.{os.getpid()}.part{target.suffix}")
    try:
        yield part
        if not in_place:
            if target.exists():
                part.chmod(target.stat().st_mode & 0o777)
            part.replace(target)
    except OSError as error:
        if error.filename in (None, str(part)):
            error.filename, error.filename2 = str(path), None
        raise
    finally:
        if not in_place:
            part.unlink(missing_ok=True)


def _replaceable(target: Path) -> bool:
    return target.is_file() and os.access(target.parent, os.W_OK)
