"""Model files: one .safetensors that holds a whole pipeline, read and written strictly. No pickle, no code.

Metadata ``ostinato`` is the specification as JSON (`Specification.to_json`); the tensors are the weights that
`Specification.weights` names, no more and no fewer: float32, and int8 where a layer's precision says so.
"""

from __future__ import annotations

import os
import tempfile
from pathlib import Path

import numpy as np
from safetensors import SafetensorError, safe_open
from safetensors.numpy import save_file

from ostinato.errors import BadModelFileError, UnknownModelError
from ostinato.model.network import MAX_WEIGHT_BYTES, Network, check_weights
from ostinato.model.specification import Specification

SUFFIX = ".safetensors"
METADATA_KEY = "ostinato"
MAX_HEADER_BYTES = 16 << 20
MAX_FILE_BYTES = MAX_WEIGHT_BYTES + MAX_HEADER_BYTES
"""The largest model file that is read or written: the weights' bound and 16 MiB for the header with the
specification."""

_DTYPES = {"F32": "float32", "F64": "float64", "F16": "float16", "BF16": "bfloat16", "I8": "int8"}
_REWRITE = "load it where it was made, and write the weights as a model file with ostinato.model.write"
_FOREIGN = {
    b"\x80": f"a pickle, which could run code, so it is not read: {_REWRITE}",
    b"PK\x03\x04": f"a zip archive (PyTorch, Keras or NumPy): {_REWRITE}",
    b"\x89HDF": f"an HDF5 file (Keras): {_REWRITE}",
    b"\x93NUMPY": f"a NumPy file: {_REWRITE}",
}
"""How other files that people rename begin, and what to do with them. Looked at only once reading has failed."""


def read(path: str | os.PathLike[str]) -> Network:
    """The network in the model file at ``path``.

    Raises UnknownModelError if there is no such file, BadModelFileError naming what is wrong in it.
    """
    path = Path(path)
    try:
        _check_file(path)
        with safe_open(path, framework="numpy") as file:
            metadata = file.metadata() or {}
            if METADATA_KEY not in metadata:
                raise BadModelFileError(
                    f"metadata {METADATA_KEY!r} is missing, so it is no Ostinato model: write its weights as one "
                    "with ostinato.model.write"
                )
            specification = Specification.from_json(metadata[METADATA_KEY])
            slices = {name: file.get_slice(name) for name in file.keys()}  # noqa: SIM118 (safe_open does not iterate)
            have = {
                name: (_DTYPES.get(part.get_dtype(), part.get_dtype()), tuple(part.get_shape()))
                for name, part in slices.items()
            }
            check_weights(have, specification.weights())
            return Network(specification, {name: file.get_tensor(name) for name in slices})
    except FileNotFoundError:
        raise UnknownModelError(
            f"{path}: there is no such file; `ostinato models` lists the models there are"
        ) from None
    except OSError as error:
        raise BadModelFileError(f"{path}: cannot be read: {error.strerror or error}") from error
    except SafetensorError as error:
        raise BadModelFileError(f"{path}: {_why_unreadable(path)} ({error})") from error
    except BadModelFileError as error:
        raise BadModelFileError(f"{path}: {error}") from error.__cause__


def write(path: str | os.PathLike[str], network: Network) -> None:
    """Write the network as a model file. The file appears whole or not at all; one that was there is replaced.

    Raises BadModelFileError for what `read` would refuse.
    """
    path = Path(path)
    if path.suffix != SUFFIX:
        raise BadModelFileError(f"{path}: a model file's name ends in {SUFFIX}")
    text = network.specification.to_json()
    if Specification.from_json(text) != network.specification:
        raise BadModelFileError(f"{path}: the specification does not survive JSON: its fields are of wrong types")
    # In the target's folder, so that the rename stays within one file system and is atomic.
    try:
        handle, name = tempfile.mkstemp(dir=path.parent, prefix=f".{path.name}.", suffix=".part")
    except OSError as error:
        raise BadModelFileError(f"{path}: cannot be written: {error.strerror or error}") from error
    os.close(handle)
    temporary = Path(name)
    try:
        save_file({key: np.asarray(value) for key, value in network.weights.items()}, temporary, {METADATA_KEY: text})
        if (size := temporary.stat().st_size) > MAX_FILE_BYTES:
            raise BadModelFileError(f"{path}: {size} bytes are over the limit of {MAX_FILE_BYTES}")
        with temporary.open("rb") as file:
            os.fsync(file.fileno())
        mask = os.umask(0)
        os.umask(mask)
        temporary.chmod(0o666 & ~mask)  # mkstemp makes private files
        temporary.replace(path)
    except BaseException as error:
        temporary.unlink(missing_ok=True)
        if isinstance(error, OSError | SafetensorError):
            raise BadModelFileError(f"{path}: cannot be written: {error}") from error
        raise


def _check_file(path: Path) -> None:
    """Raise BadModelFileError for what need not be opened to be refused, and name foreign formats."""
    if not path.is_file():
        if path.exists():
            raise BadModelFileError("is not a file: give the path of a model file")
        raise FileNotFoundError(path)
    if (size := path.stat().st_size) > MAX_FILE_BYTES:
        raise BadModelFileError(f"{size} bytes are over the limit of {MAX_FILE_BYTES}: use a smaller model")
    with path.open("rb") as file:  # the format's header, all of which the library decodes, begins with its length
        header = int.from_bytes(file.read(8), "little")
    if MAX_HEADER_BYTES < header <= size:
        raise BadModelFileError(f"a header of {header} bytes is over the limit of {MAX_HEADER_BYTES}: write it again")


def _why_unreadable(path: Path) -> str:
    with path.open("rb") as file:
        start = file.read(8)
    foreign = next((f"is {what}" for magic, what in _FOREIGN.items() if start.startswith(magic)), None)
    return foreign or "damaged or truncated, or no .safetensors file: copy or download it again"
