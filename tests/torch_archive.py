"""Files as torch.save writes them, without PyTorch: the same pickle, byte for byte, in the same kind of archive.
tests/against_torch.py compares them with what PyTorch writes."""

from __future__ import annotations

import io
import pickle
import sys
import types
import zipfile
from collections import OrderedDict
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Any
from unittest import mock

import numpy as np
import numpy.typing as npt

Array = npt.NDArray[Any]
STORAGES = {
    "float32": "FloatStorage",
    "float64": "DoubleStorage",
    "float16": "HalfStorage",
    "uint16": "BFloat16Storage",  # what is to be taken for bfloat16
    "int64": "LongStorage",
}


def fake(module: str, name: str) -> Any:
    """A class that pickles as what PyTorch, or anybody, calls so."""
    return type(name, (), {"__module__": module, "__qualname__": name})


CLASSES = {name: fake("torch", name) for name in STORAGES.values()}


class Storage:
    def __init__(self, array: Array) -> None:
        self.array = np.ascontiguousarray(array).reshape(-1)
        self.numbers = self.array.size
        """As the file says; another one for a file that lies."""


def _rebuild_tensor_v2() -> None:
    """Stands for PyTorch's, by name alone."""


def _rebuild_parameter() -> None:
    """Likewise."""


class Tensor:
    """A tensor of an array, or a part of a storage that others share."""

    def __init__(
        self,
        array: Array | None = None,
        storage: Storage | None = None,
        offset: int = 0,
        shape: tuple[int, ...] | None = None,
        strides: tuple[int, ...] | None = None,
        rebuild: Any = None,
    ) -> None:
        self.storage = storage or Storage(np.asarray(array))
        self.shape = np.shape(array) if shape is None else shape
        steps = np.cumprod((1, *self.shape[:0:-1]))[::-1] if self.shape else ()
        self.strides = tuple(int(step) for step in steps) if strides is None else strides
        self.offset, self.rebuild = offset, rebuild

    def __reduce_ex__(self, protocol: Any) -> Any:
        return self.rebuild or _rebuild_tensor_v2, (
            self.storage, self.offset, self.shape, self.strides, False, OrderedDict(),
        )  # fmt: skip


class Parameter:
    def __init__(self, tensor: Tensor) -> None:
        self.tensor = tensor

    def __reduce_ex__(self, protocol: Any) -> Any:
        return _rebuild_parameter, (self.tensor, True, OrderedDict())


for function in (_rebuild_tensor_v2, _rebuild_parameter):
    function.__module__ = "torch._utils"


class _Pickler(pickle.Pickler):
    def __init__(self, file: io.BytesIO) -> None:
        super().__init__(file, protocol=2)
        self.keys: dict[int, str] = {}
        self.storages: list[Storage] = []

    def persistent_id(self, obj: Any) -> Any:
        if not isinstance(obj, Storage):
            return None
        if id(obj) not in self.keys:
            self.keys[id(obj)] = str(len(self.storages))
            self.storages.append(obj)
        return "storage", CLASSES[STORAGES[obj.array.dtype.name]], self.keys[id(obj)], "cpu", obj.numbers


def state_dict(arrays: Mapping[str, Any], modules: Iterable[str] = ()) -> OrderedDict[str, Any]:
    """What model.state_dict() gives. ``modules``: names of all modules, also of those without arrays; with a mapping,
    and the version of each."""
    state: OrderedDict[str, Any] = OrderedDict()
    for name, array in arrays.items():
        state[name] = array if isinstance(array, Tensor | Parameter) else Tensor(array)
    versions = modules if isinstance(modules, Mapping) else dict.fromkeys(modules, 1)
    state._metadata = OrderedDict((name, {"version": versions[name]}) for name in versions)  # type: ignore[attr-defined]
    return state


def pickled(value: Any, classes: Iterable[Any] = ()) -> tuple[bytes, list[Storage]]:
    """The pickle that torch.save writes, and the storages that it refers to. ``classes``: other ones by `fake`."""
    modules: dict[str, Any] = {"torch": types.ModuleType("torch"), "torch._utils": types.ModuleType("torch._utils")}
    for each in (*CLASSES.values(), _rebuild_tensor_v2, _rebuild_parameter, *classes):
        module = modules.setdefault(each.__module__, types.ModuleType(each.__module__))
        setattr(module, each.__name__, each)
    file = io.BytesIO()
    with mock.patch.dict(sys.modules, modules):
        pickler = _Pickler(file)
        pickler.dump(value)
    return file.getvalue(), pickler.storages


def save(path: Path, value: Any, classes: Iterable[Any] = (), big: bool = False) -> Path:
    """As torch.save(value, path) does it; the numbers in the order of ``big`` machines, if asked."""
    data, storages = pickled(value, classes)
    with zipfile.ZipFile(path, "w") as archive:
        root = path.stem
        archive.writestr(f"{root}/data.pkl", data)
        archive.writestr(f"{root}/byteorder", "big" if big else "little")
        for number, storage in enumerate(storages):
            array = storage.array.astype(storage.array.dtype.newbyteorder(">")) if big else storage.array
            archive.writestr(f"{root}/data/{number}", array.tobytes())
        archive.writestr(f"{root}/version", "3\n")
    return path
