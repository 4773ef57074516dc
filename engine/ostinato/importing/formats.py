"""The formats that are read, by what a file begins with, and the table of them all.

Each is a module of this package with a function ``draft(path, settings) -> Draft``, loaded when a file is of its
kind; where a file does not say what is computed, also ``settings_for(path) -> str``, which begins a settings file."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import NamedTuple

from ostinato.errors import ForeignModelError
from ostinato.importing import archives
from ostinato.importing.audio_json.document import names_of
from ostinato.model.file import MAX_FILE_BYTES

_START = 64


class Format(NamedTuple):
    """``matches(path, start)``: whether a file that begins with the bytes ``start`` is one."""

    name: str
    module: str
    matches: Callable[[Path, bytes], bool]


def _in_zip(path: Path, start: bytes, *endings: str) -> bool:
    """Whether it is a zip archive that has a member whose name ends so."""
    if not start.startswith(b"PK"):
        return False
    with archives.opened(path) as archive:
        return any(name.endswith(endings) for name in archive.namelist())


def _holds(path: Path, start: bytes, *names: str) -> bool:
    """Whether it is a zip archive that has a member of one of these names."""
    if not start.startswith(b"PK"):
        return False
    with archives.opened(path) as archive:
        return any(name in names for name in archive.namelist())


def _json(*fields: str) -> Callable[[Path, bytes], bool]:
    return lambda path, start: names_of(path, start, *fields)


def _npz(path: Path, start: bytes) -> bool:
    return _in_zip(path, start, ".npy")


def _pytorch(path: Path, start: bytes) -> bool:
    """Also every pickle by itself, and programs (torch.export): they are refused there."""
    return _in_zip(path, start, "/data.pkl", "/archive_format") or start.startswith(b"\x80")


def _safetensors(path: Path, start: bytes) -> bool:
    """The length of a header, and the header, which is JSON."""
    return start[8:9] == b"{" and 0 < int.from_bytes(start[:8], "little") <= path.stat().st_size


def _onnx(path: Path, start: bytes) -> bool:
    """By how a ModelProto begins, its version and then the producer or the graph; or by its name."""
    begins = len(start) > 2 and start[0] == 0x08 and 3 <= start[1] <= 32 and start[2] in (0x12, 0x1A, 0x3A, 0x42)
    return begins or path.suffix.lower() == ".onnx"


def _keras(path: Path, start: bytes) -> bool:
    """An archive of Keras 3's, or any HDF5."""
    return start.startswith(b"\x89HDF\r\n\x1a\n") or _holds(path, start, "config.json", "model.weights.h5")


FORMATS: tuple[Format, ...] = (
    Format("NumPy arrays", "ostinato.importing.arrays.npz", _npz),
    Format("PyTorch state dictionary", "ostinato.importing.pytorch.file", _pytorch),
    Format("safetensors", "ostinato.importing.arrays.tensors", _safetensors),
    Format("Keras", "ostinato.importing.keras.reading", _keras),
    Format("Neural Amp Modeler", "ostinato.importing.audio_json.nam", _json("architecture", "config", "weights")),
    Format("RTNeural JSON", "ostinato.importing.audio_json.rtneural", _json("in_shape", "layers")),
    Format("a state dictionary as JSON", "ostinato.importing.audio_json.state_dict", _json()),
    Format("ONNX", "ostinato.importing.onnx", _onnx),
)
"""In the order of asking."""


def format_of(path: Path) -> Format:
    """What the file is. Raises ForeignModelError if it is nothing that is read here."""
    try:
        if path.is_dir():
            raise ForeignModelError(f"{path}: is a folder: name a file in it")
        if (size := path.stat().st_size) > MAX_FILE_BYTES:
            raise ForeignModelError(
                f"{path}: {size} bytes are over the limit of {MAX_FILE_BYTES}: use a smaller model"
            )
        with path.open("rb") as file:
            start = file.read(_START)
    except OSError as error:
        raise ForeignModelError(f"{path}: cannot be read: {error.strerror or error}") from error
    try:
        for each in FORMATS:
            if each.matches(path, start):
                return each
    except ForeignModelError as error:
        raise ForeignModelError(f"{path}: {error}") from error
    names = ", ".join(each.name for each in FORMATS)
    raise ForeignModelError(f"{path}: is of no format that is read here ({names})")


__all__ = ["FORMATS", "Format", "format_of"]
