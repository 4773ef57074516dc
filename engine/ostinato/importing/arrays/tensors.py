""".safetensors of arrays that are no Ostinato model: named freely, or as PyTorch names them."""

from __future__ import annotations

import json
import math
from collections import Counter
from pathlib import Path
from typing import Any

import numpy as np
from safetensors import SafetensorError, deserialize, safe_open

from ostinato.errors import ForeignModelError
from ostinato.importing.arrays.contents import Contents, Stored
from ostinato.importing.arrays.nodes import draft_of
from ostinato.importing.arrays.sketch import sketch
from ostinato.importing.draft import Draft
from ostinato.importing.settings import Settings
from ostinato.model.file import MAX_HEADER_BYTES, METADATA_KEY

_DTYPES = {
    "F64": "<f8", "F32": "<f4", "F16": "<f2", "BF16": "<u2",
    "I64": "<i8", "I32": "<i4", "I16": "<i2", "I8": "i1", "U64": "<u8", "U32": "<u4", "U16": "<u2", "U8": "u1",
    "BOOL": "?",
}  # fmt: skip


def draft(path: Path, settings: Settings) -> Draft:
    """What becomes of the file."""
    return draft_of(read(path), settings, path)


def settings_for(path: Path) -> str:
    """Settings to begin with, as TOML."""
    return sketch(read(path), path)


def read(path: Path) -> Contents:
    """Its arrays; safetensors keep no order. Raises ForeignModelError if it is damaged, or a model already."""
    with path.open("rb") as file:
        header = int.from_bytes(file.read(8), "little")
        if header > MAX_HEADER_BYTES:
            raise ForeignModelError(f"a header of {header} bytes is over the limit of {MAX_HEADER_BYTES}")
        names = file.read(header)
    try:
        with safe_open(path, framework="numpy") as opened:
            if METADATA_KEY in (opened.metadata() or {}):
                raise ForeignModelError("is an Ostinato model already: nothing is to be imported")
        found = deserialize(path.read_bytes())  # type: ignore[no-untyped-call]
    except SafetensorError as error:
        raise ForeignModelError(f"is damaged or cut off ({error}): copy or download it again") from error
    json.loads(names, object_pairs_hook=_different)
    arrays = {name: _stored(name, tensor["dtype"], tensor["shape"], tensor["data"]) for name, tensor in found}
    return Contents(arrays, ordered=False)


def _different(pairs: list[tuple[str, Any]]) -> None:
    """Raise ForeignModelError if two names are the same: of their arrays safetensors would give one."""
    twice = [name for name, count in Counter(name for name, _ in pairs).items() if count > 1]
    if twice:
        raise ForeignModelError(f"its header has {twice[0]!r} more than once: save it again")


def _stored(name: str, dtype: str, shape: list[int], data: bytes | bytearray) -> Stored:
    if dtype not in _DTYPES:
        raise ForeignModelError(f"array {name!r} is of type {dtype}, which is not read: convert it to float32")
    array = np.frombuffer(data, _DTYPES[dtype]) if math.prod(shape) else np.zeros(0, _DTYPES[dtype])
    return Stored("bfloat16" if dtype == "BF16" else array.dtype.name, array.reshape(shape))
