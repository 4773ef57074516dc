"""NumPy's files: ``.npy``, frames alone, and ``.npz``, with what is right for them. Nothing is unpickled, and no more
memory is taken than what a file holds and `MOST_VALUES` allows, whatever its headers claim."""

from __future__ import annotations

import math
import os
import warnings
import zipfile
import zlib
from pathlib import Path
from typing import IO, Any

import numpy as np
import numpy.typing as npt

from ostinato.data.utterance import MOST_VALUES, Float32, Labels, Utterance, as_frames
from ostinato.errors import InputError, did_you_mean

Array = npt.NDArray[Any]
ARRAYS = ("frames", "labels", "targets", "lengths", "frame_ms")
"""The names of a .npz's arrays; also followed by a dot and the name of an utterance."""
PIECE = 1 << 20
"""Bytes that are read at a time: memory is taken for what comes, not for what is claimed."""
LONGEST_TEXT = 1024
"""Characters of one label."""


def read_npy(path: Path) -> list[Utterance]:
    """One utterance: numbers [T, size]. Raises InputError, OSError."""
    with path.open("rb") as file:
        left = os.fstat(file.fileno()).st_size
        return [Utterance(path.name, as_frames(_array(file, left, path.name), path.name))]


def read_npz(path: Path) -> list[Utterance]:
    """Utterances: ``frames`` [T, size], or [N, T, size] with ``lengths`` [N] where they differ; ``labels`` and
    ``targets`` as `Utterance` has them, of N with one dimension more; ``frame_ms``. Several of different kinds have
    names: ``frames.walk``, ``labels.walk``, … Raises InputError, OSError."""
    try:
        with zipfile.ZipFile(path) as archive:
            found = {info.filename.removesuffix(".npy"): info for info in archive.infolist()}
            by_name: dict[str, dict[str, Array]] = {}
            for key, info in found.items():
                kind, _, name = key.partition(".")
                if kind not in ARRAYS:
                    hint = did_you_mean(kind, ARRAYS) or f"; those known are {', '.join(ARRAYS)}"
                    raise InputError(f"{path.name} has an array {key!r}, which nothing reads{hint}")
                with archive.open(info) as member:
                    array = _array(member, info.file_size, f"{path.name}, {key}")
                by_name.setdefault(name, {})[kind] = array
    except (zipfile.BadZipFile, zlib.error, EOFError, NotImplementedError, RuntimeError) as error:
        raise InputError(f"{path.name} is no .npz ({error}): save it with numpy.savez") from error
    except OSError as error:
        if error.filename is not None:  # the file cannot be opened
            raise
        raise InputError(f"{path.name} is damaged ({error.strerror}): save it again") from error
    everywhere = by_name[""]["frame_ms"] if by_name.get("", {}).keys() == {"frame_ms"} else None
    if everywhere is not None:
        del by_name[""]
    if not by_name:
        raise InputError(f"{path.name} has no array 'frames': save them as numpy.savez(file, frames=…, labels=…)")
    utterances = []
    for name, arrays in by_name.items():
        if everywhere is not None:
            arrays.setdefault("frame_ms", everywhere)
        utterances += _utterances(f"{path.name}, {name}" if name else path.name, arrays)
    return utterances


def _array(file: IO[bytes], left: int, name: str) -> Array:
    """The array that begins here, of a file or member with ``left`` bytes. Raises InputError."""
    try:
        version = np.lib.format.read_magic(file)
        if version != (1, 0):  # later ones are for headers longer than any that is read
            raise ValueError(f"version {version} of the format")
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")  # of Python 2's files, which are read
            shape, by_columns, dtype = np.lib.format.read_array_header_1_0(file)
    except (OSError, EOFError, zipfile.BadZipFile, zlib.error):
        raise
    except Exception as error:  # whatever NumPy's tokenizer and types make of a damaged header
        raise InputError(f"{name}: no array can be read from it ({error}): save it with numpy.save") from error
    if dtype.hasobject or dtype.kind not in "fiubUS":
        raise InputError(f"{name}: holds {dtype}, which is not read: save plain numbers, or texts as numpy's str")
    if dtype.kind in "US" and dtype.itemsize > 4 * LONGEST_TEXT:
        raise InputError(f"{name}: has texts of over {LONGEST_TEXT} characters: labels are names")
    count = math.prod(shape)
    if min(shape, default=0) < 0 or count > MOST_VALUES or count * dtype.itemsize > 8 * MOST_VALUES:
        raise InputError(f"{name}: claims {list(shape)} values, more than the {MOST_VALUES:,} that are read: cut it")
    if count * dtype.itemsize > left:
        raise InputError(f"{name}: is cut off: {list(shape)} values of {dtype} do not fit into {left:,} bytes")
    raw, wanted = bytearray(), count * dtype.itemsize
    while len(raw) < wanted:  # a zip's directory may lie about its length, too
        if not (piece := file.read(min(wanted - len(raw), PIECE))):
            raise InputError(f"{name}: is cut off: save it again")
        raw += piece
    return np.frombuffer(raw, dtype, count).reshape(shape, order="F" if by_columns else "C")


def _utterances(name: str, arrays: dict[str, Array]) -> list[Utterance]:
    """Those of one set of arrays."""
    if "frames" not in arrays:
        raise InputError(f"{name} has {', '.join(sorted(arrays))} without frames: save both")
    frames = arrays["frames"]
    frame_ms = _number(arrays.get("frame_ms"), f"{name}, frame_ms")
    labels, targets, lengths = (arrays.get(kind) for kind in ("labels", "targets", "lengths"))
    if frames.ndim != 3:
        if lengths is not None:
            raise InputError(f"{name}: lengths belong to frames [N, T, size], and these are {list(frames.shape)}")
        return [_utterance(name, frames, labels, targets, frame_ms)]
    count = len(frames)
    for kind, array in (("labels", labels), ("targets", targets), ("lengths", lengths)):
        if array is not None and (not array.ndim or len(array) != count):
            raise InputError(f"{name}: {kind} {list(array.shape)} are not one for each of the {count} utterances")
    if lengths is None:
        lengths = np.full(count, frames.shape[1])
    if lengths.ndim != 1 or lengths.dtype.kind not in "iu" or not all(0 < n <= frames.shape[1] for n in lengths):
        raise InputError(f"{name}: lengths are not {count} integers from 1 to {frames.shape[1]}")
    return [
        _utterance(
            f"{name}[{i}]",
            frames[i, :n],
            None if labels is None else labels[i][:n] if labels.ndim > 1 else labels[i],
            None if targets is None else targets[i, :n] if targets.ndim > 1 else targets[i],
            frame_ms,
        )
        for i, n in enumerate(lengths.tolist())
    ]


def _utterance(
    name: str, frames: Array, labels: Array | None, targets: Array | None, frame_ms: float | None
) -> Utterance:
    made = as_frames(frames, name)
    return Utterance(
        name,
        made,
        None if labels is None else _labels(np.asarray(labels), len(made), name),
        None if targets is None else _targets(np.asarray(targets), len(made), name),
        frame_ms,
    )


def _labels(labels: Array, frames: int, name: str) -> Labels:
    if labels.dtype.kind == "b":
        labels = labels.astype(np.int64)
    if labels.dtype.kind == "S":
        try:
            labels = np.char.decode(labels, "utf-8")
        except UnicodeDecodeError:
            raise InputError(f"{name}: labels are bytes that are not UTF-8: save numpy's str") from None
    if labels.dtype.kind not in "iuU":
        raise InputError(f"{name}: labels of {labels.dtype}: save integers (indices) or texts (names)")
    if labels.shape not in ((), (frames,)):
        raise InputError(f"{name}: labels {list(labels.shape)} are neither [{frames}], one for each frame, nor one")
    return labels if labels.dtype.kind == "U" else labels.astype(np.int64)


def _targets(targets: Array, frames: int, name: str) -> Float32:
    if targets.ndim == 1:
        targets = targets[:, None]
    if targets.dtype.kind not in "fiu" or targets.ndim != 2 or len(targets) != frames:
        raise InputError(f"{name}: targets {targets.dtype} {list(targets.shape)} are not numbers [{frames}, outputs]")
    with np.errstate(over="ignore"):
        made: Float32 = targets.astype(np.float32)
    if np.isinf(made).any():
        raise InputError(f"{name}: targets have infinite or too large values: NaN says that there is none")
    return made


def _number(array: Array | None, name: str) -> float | None:
    if array is None:
        return None
    if array.size != 1 or array.dtype.kind not in "fiu" or not 0 < (number := float(array.reshape(()))) < math.inf:
        raise InputError(f"{name} is not a number of ms above 0")
    return number
