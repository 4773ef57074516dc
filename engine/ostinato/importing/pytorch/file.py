"""What torch.save wrote: a zip archive of a pickle, data.pkl, and the tensors' bytes, data/0, data/1, …

The pickle is read as data (`ostinato.importing.inert`): names of tensors and storages become what they were given,
anything else that it names is refused. A storage must be as long as its tensors say before a byte of it is read.
"""

from __future__ import annotations

import math
import zipfile
from collections.abc import Callable, Iterable, Mapping
from pathlib import Path
from typing import Any, Literal, NamedTuple

import numpy as np

from ostinato.errors import ForeignModelError, did_you_mean
from ostinato.importing import archives, inert
from ostinato.importing.arrays.contents import MAX_ARRAYS, Array, Contents, Stored
from ostinato.importing.arrays.nodes import draft_of
from ostinato.importing.arrays.sketch import sketch
from ostinato.importing.draft import Decision, Draft
from ostinato.importing.inert import Inert
from ostinato.importing.pytorch.parameters import has_module
from ostinato.importing.settings import Settings
from ostinato.packages import zips

CURE = "torch.save(model.state_dict(), PATH)"
_LEGACY = b"\x80\x02\x8a\nl\xfc\x9cF\xf9 j\xa8P\x19."
"""The magic number that torch.save began with until PyTorch 1.6, and with _use_new_zipfile_serialization=False."""
_STORAGES = {
    "torch.DoubleStorage": "f8", "torch.FloatStorage": "f4", "torch.HalfStorage": "f2", "torch.BFloat16Storage": "u2",
    "torch.LongStorage": "i8", "torch.IntStorage": "i4", "torch.ShortStorage": "i2", "torch.CharStorage": "i1",
    "torch.ByteStorage": "u1", "torch.BoolStorage": "?",
}  # fmt: skip
_DATA = frozenset(
    {*_STORAGES, "torch.Size", "torch.device", "collections.Counter", "collections.defaultdict"}
    | {f"torch._utils._rebuild_{name}" for name in ("tensor", "tensor_v2", "parameter", "parameter_with_state")}
    | {f"torch.{dtype}" for dtype in ("float64", "float32", "float16", "bfloat16", "int64", "int32", "bool")}
)
"""Names that stand for no more than what they are given."""
_RECORDS = frozenset(
    {
        "argparse.Namespace", "types.SimpleNamespace", "collections.deque", "datetime.datetime", "datetime.date",
        "datetime.timedelta", "pytorch_lightning.utilities.parsing.AttributeDict",
        "lightning_fabric.utilities.data.AttributeDict", "lightning.fabric.utilities.data.AttributeDict",
        "torch.torch_version.TorchVersion",
    }
    | {f"{module}.{name}" for module in ("builtins", "__builtin__") for name in ("set", "frozenset", "complex")}
    | {f"pathlib.{kind}{name}" for kind in ("", "Pure") for name in ("Path", "PosixPath", "WindowsPath")}
)  # fmt: skip
"""What checkpoints have beside weights: how they were learnt. It stays inert, as all here, and is not looked at."""
_PREFIXES = ("module.", "_orig_mod.")
"""Of DataParallel and DistributedDataParallel; of torch.compile."""
_DEEPEST = 4
_NONE = Settings()
_MOST_AXES = 8


def draft(path: Path, settings: Settings) -> Draft:
    """What becomes of the file."""
    return draft_of(read(path, settings), settings, path)


def settings_for(path: Path) -> str:
    """Settings to begin with, as TOML."""
    return sketch(read(path, first=True), path)


def read(path: Path, settings: Settings = _NONE, *, first: bool = False) -> Contents:
    """The state dictionary of a file; where there are several, the one that the settings name (``state``), or the
    ``first``.

    Raises ForeignModelError if there is none, if anything is not data, or is not as long as it says.
    """
    with path.open("rb") as file:
        start = file.read(len(_LEGACY))
    if start == _LEGACY:
        raise ForeignModelError(
            "was saved in PyTorch's old format, before 1.6: save it anew, torch.save(torch.load(PATH, "
            "weights_only=True), NEW), or as .safetensors"
        )
    if not start.startswith(b"PK"):
        raise ForeignModelError(
            f"is a pickle by itself, which is not read: for PyTorch {CURE}, for arrays numpy.savez"
        )
    with archives.opened(path) as archive:
        root = _root(archive)
        order = f"{root}/byteorder"
        big = order in archive.NameToInfo and zips.read(archive, order) == b"big"
        storages = _Storages(archive, root, ">" if big else "<")
        found = inert.loads(
            zips.read(archive, f"{root}/data.pkl", inert.MAX_BYTES), _allowed, storages.declared, CURE
        )
        states = _by_name(found)
        name, state = _chosen(states, settings, first)
        entries = {key: value for key, value in _entries(state) or () if isinstance(key, str)}
        decided = [Decision("read", f"{name} of the file")] if name else []
        arrays = {key: storages.stored(key, value) for key, value in entries.items() if _is_tensor(value)}
    if others := sorted(set(entries) - set(arrays)):
        decided.append(Decision("passed over", f"what is no tensor: {', '.join(others[:8])}"))
    metadata = _entries(state.fields.get("_metadata")) if isinstance(state, Inert) else None
    modules = [key for key, _ in metadata or () if isinstance(key, str)]
    for prefix in _PREFIXES:
        if all(key.startswith(prefix) for key in arrays):
            arrays = {key.removeprefix(prefix): value for key, value in arrays.items()}
            modules = [key.removeprefix(prefix) for key in modules if key.startswith(prefix)]
            decided.append(Decision("names", f"without the {prefix!r} before each"))
    return Contents(arrays, tuple(decided), tuple(key for key in modules if key), states=tuple(states))


class _Storage(NamedTuple):
    """Bytes in the archive that are so many numbers."""

    kind: str
    key: str
    numbers: int


class _Storages:
    """The tensors' bytes; each storage is read once, when a tensor that is wanted lies in it."""

    def __init__(self, archive: zipfile.ZipFile, root: str, order: Literal["<", ">"]) -> None:
        self._archive, self._root, self._order = archive, root, order
        self._read: dict[str, Array] = {}

    def declared(self, reference: Any) -> _Storage:
        """What a pickle's reference to outside of it says. Raises ForeignModelError if the archive has not that."""
        match reference:
            case ("storage", type() as kind, str() as key, _, int() as count) if issubclass(kind, Inert):
                pass
            case _:
                raise ForeignModelError("the pickle refers to something that is no storage of a tensor")
        if kind.name not in _STORAGES:
            raise ForeignModelError(f"a tensor lies in a {kind.name}, which is not read: convert it to float32")
        name = f"{self._root}/data/{key}"
        size = self._archive.getinfo(name).file_size if name in self._archive.NameToInfo else 0
        if count * np.dtype(_STORAGES[kind.name]).itemsize != size:
            raise ForeignModelError(
                f"a storage is said to hold {count} numbers ({kind.name}), and the archive has {size} bytes for it "
                f"({name}): the file is damaged or was made up"
            )
        return _Storage(kind.name, key, count)

    def stored(self, name: str, value: Any) -> Stored:
        """The array of a tensor; a part of its storage, without a copy."""
        while isinstance(value, Inert) and "_rebuild_parameter" in value.name and value.args:
            value = value.args[0]
        match value.args if isinstance(value, Inert) else ():
            case (_Storage() as storage, int() as offset, tuple() as shape, tuple() as strides, *_):
                pass
            case _:
                raise ForeignModelError(f"tensor {name!r} is not described as PyTorch does it")
        whole = len(shape) == len(strides) <= _MOST_AXES and all(
            type(each) is int and each >= 0 for each in (offset, *shape, *strides)
        )
        size = math.prod(shape) if whole else 0
        last = offset + sum((count - 1) * stride for count, stride in zip(shape, strides, strict=True)) if size else 0
        if not whole or (size and last >= storage.numbers) or size > max(1, storage.numbers):
            raise ForeignModelError(
                f"tensor {name!r} of {list(shape)} by {list(strides)} from {offset} reaches outside of its storage "
                f"of {storage.numbers} numbers: the file is damaged or was made up"
            )
        dtype = np.dtype(_STORAGES[storage.kind]).newbyteorder(self._order)
        if storage.key not in self._read:
            data = zips.read(self._archive, f"{self._root}/data/{storage.key}")
            self._read[storage.key] = np.frombuffer(data, dtype)
        numbers = self._read[storage.key].view(dtype)
        steps = [stride * dtype.itemsize for stride in strides]
        array = (
            np.lib.stride_tricks.as_strided(numbers[offset:], shape, steps, writeable=False)
            if size
            else (np.zeros(shape, dtype))
        )
        return Stored("bfloat16" if storage.kind == "torch.BFloat16Storage" else dtype.name, array)


def _root(archive: zipfile.ZipFile) -> str:
    """The folder in the archive that all lies in."""
    names = archive.namelist()
    if any(name.endswith("/archive_format") for name in names):
        raise ForeignModelError(
            "is a program of torch.export, which is not run: torch.save(torch.export.load(PATH).state_dict, NEW), "
            "and import that; or export ONNX"
        )
    roots = [name.removesuffix("/data.pkl") for name in names if name.endswith("/data.pkl") and name.count("/") == 1]
    if len(roots) != 1:
        raise ForeignModelError(f"the archive has {len(roots)} files data.pkl, not one: torch.save did not write it")
    if f"{roots[0]}/constants.pkl" in names or any(name.startswith(f"{roots[0]}/code/") for name in names):
        raise ForeignModelError(
            "is a TorchScript archive, which holds code: torch.save(torch.jit.load(PATH).state_dict(), NEW), and "
            "import that"
        )
    return roots[0]


def _allowed(name: str) -> bool:
    """Whether a pickle may name it. Raises ForeignModelError for modules, which have a cure of their own."""
    if name.startswith(("torch.nn.", "__main__.", "torch.fx.")):
        raise ForeignModelError(
            f"holds a whole module ({name}), whose code is needed to make it: save what it has learnt, {CURE}"
        )
    if name.startswith(("torch.q", "torch.per_", "torch._utils._rebuild_q")) or name == "torch.ScriptObject":
        raise ForeignModelError(
            f"holds quantized weights ({name}): save the model as it was before, in float32, and let `ostinato "
            "quantize` make int8"
        )
    if name.startswith(("torch._utils._rebuild", "torch.storage.", "torch._tensor")) and name not in _DATA:
        raise ForeignModelError(f"holds a tensor of another kind ({name}): make it a plain one (dense, float32, cpu)")
    return name in _DATA or name in _RECORDS


def _is_tensor(value: Any) -> bool:
    return isinstance(value, Inert) and value.name.startswith("torch._utils._rebuild_") and bool(value.args)


def _entries(value: Any) -> Iterable[tuple[Any, Any]] | None:
    """Of a dictionary, ordered or not; None if it is none."""
    if isinstance(value, Inert) and value.name == "collections.OrderedDict":
        return value.entries
    return list(value.items()) if isinstance(value, dict) else None


def _by_name(found: Any) -> dict[str, Any]:
    """The state dictionaries, by where they stand in the file ("state_dict"; "" if one is the file). Raises
    ForeignModelError if there is none."""
    all_ = dict(_states(found, "", 0, _counter()))
    if states := {where: each for where, each in all_.items() if _is_state(each)} or all_:
        return states
    raise ForeignModelError(f"there is no state dictionary, of tensors by their names, in it: {CURE}")


def _is_state(value: Any) -> bool:
    """Whether most of what a dictionary with a tensor has are tensors, or names a module's: other tensors are
    counts, losses and the like."""
    entries = [(key, each) for key, each in _entries(value) or () if isinstance(key, str)]
    tensors = [key for key, each in entries if _is_tensor(each)]
    return 2 * len(tensors) > len(entries) or any(has_module(key) for key in tensors)


def _chosen(states: Mapping[str, Any], settings: Settings, first: bool) -> tuple[str, Any]:
    """The one that is wanted, and where it stands."""
    wanted = settings.more.get("state")
    if wanted is not None:
        if wanted not in states:
            near = did_you_mean(str(wanted), states)
            raise ForeignModelError(f"state: the file has no {wanted!r}{near}; it has {', '.join(map(repr, states))}")
        return wanted, states[wanted]
    if len(states) > 1 and not first:
        raise ForeignModelError(
            f"there are several state dictionaries in it ({', '.join(map(repr, states))}): say which in the "
            f"settings, state = {next(iter(states))!r}".replace("'", '"')
        )
    return next(iter(states.items()))


def _counter() -> Callable[[], None]:
    """To be called for each dictionary that is looked at: they may be in each other many times over."""
    left = MAX_ARRAYS

    def counted() -> None:
        nonlocal left
        left -= 1
        if left < 0:
            raise ForeignModelError("the file's dictionaries are too many to look through")

    return counted


def _states(value: Any, where: str, depth: int, counted: Callable[[], None]) -> Iterable[tuple[str, Any]]:
    """All dictionaries of tensors by name, but an optimizer's, in the one that is given."""
    entries = _entries(value)
    if entries is None or depth > _DEEPEST:
        return
    counted()
    texts = [(key, each) for key, each in entries if isinstance(key, str)]
    if any(_is_tensor(each) for _, each in texts):
        yield where, value
        if _is_state(value):
            return
    for key, each in texts:
        if "optim" not in key:
            yield from _states(each, f"{where}.{key}".removeprefix("."), depth + 1, counted)
