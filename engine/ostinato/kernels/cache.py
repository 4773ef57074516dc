"""Compiled functions in files, one a function and kind of CPU, each with the checksum of what it holds.

Folders are ours alone (in XDG_CACHE_HOME/ostinato, 0700), because a compiled file that somebody else could write
would run in our process. There is one for each package that compiles; its name holds a digest of all of the package's
sources and of the versions, so what is stale is never loaded. A process whose sources have changed since it read them
neither loads nor keeps anything: what it compiles is not of the sources that are there.
A file whose checksum is wrong, for whatever reason, is no file: its function is compiled and written again.
"""

from __future__ import annotations

import contextlib
import functools
import hashlib
import os
import pickle
import stat
import sys
import tempfile
import time
from collections.abc import Callable, Iterable
from pathlib import Path
from typing import Any

import llvmlite
import numba
from numba.core.compiler import CompileResult
from numba.core.runtime.nrt import rtsys
from numba.core.serialize import dumps

from ostinato.begun import BEGUN_NS
from ostinato.kernels.progress import tell

KEPT = 3
"""Folders of other versions are removed but for those used last."""
_CHECKSUM = 32  # bytes, at a file's beginning
_LARGEST = 64 << 20  # bytes of a file: a function has some ten thousand
_ABANDONED_S = 3600.0  # from when on a half-written file is nobody's


class Folder:
    """Where compiled functions are kept. ``failure``: why the latest one could not be; None if all were."""

    def __init__(self, path: Path) -> None:
        self.path = path
        self.writable = os.access(path, os.W_OK)
        self.failure: OSError | None = None

    def read(self, key: bytes, name: str) -> bytes | None:
        """What was written for ``key``; None if there is nothing, or not exactly that."""
        try:
            descriptor = os.open(self._file(key, name), os.O_RDONLY | os.O_NOFOLLOW | os.O_NONBLOCK)
            with os.fdopen(descriptor, "rb") as file:
                found = os.fstat(descriptor)
                if not stat.S_ISREG(found.st_mode) or not _safe(found) or found.st_size > _LARGEST:
                    return None
                content = file.read()
        except OSError:
            return None
        data = content[_CHECKSUM:]
        return data if content[:_CHECKSUM] == _checksum(key, data) else None

    def write(self, key: bytes, name: str, data: bytes) -> None:
        """Keep ``data`` for ``key``, at once or not at all; a disk that is full only costs the next start's time."""
        temporary = None
        try:
            descriptor, temporary = tempfile.mkstemp(suffix=".tmp", dir=self.path)
            with os.fdopen(descriptor, "wb") as file:
                file.write(_checksum(key, data) + data)
            Path(temporary).replace(self._file(key, name))
        except OSError as error:
            self.failure = error
            if temporary is not None:
                with contextlib.suppress(OSError):
                    Path(temporary).unlink()

    def _file(self, key: bytes, name: str) -> Path:
        return self.path / f"{name}-{hashlib.blake2b(key, digest_size=8).hexdigest()}.compiled"


class FunctionCache:
    """One function's place in a folder, as Numba's dispatchers and CFuncs ask for it: instead of Numba's own cache,
    which believes whatever it reads. ``open_``: gives the folder, when it is first needed, or None."""

    def __init__(self, open_: Callable[[], Folder | None], symbol: str) -> None:
        self._open, self.symbol = open_, symbol

    @property
    def cache_path(self) -> str:
        """The folder; Numba's statistics have it."""
        folder = self._open()
        return str(folder.path) if folder else ""

    def load_overload(self, signature: Any, target: Any) -> Any:
        """What was compiled; without Numba's refreshing of all it knows of types, which takes longer than loading."""
        folder = self._open()
        data = folder.read(self._key(signature, target), self.symbol) if folder else None
        if data is None:
            return None
        rtsys.initialize(target)  # compiled code may allocate
        try:
            return CompileResult._rebuild(target, *pickle.loads(data))
        except Exception:  # whole, but nothing that this Numba makes sense of: compile and write it again
            return None

    def save_overload(self, signature: Any, compiled: Any) -> None:
        """Keep what was compiled."""
        assert not compiled.library.has_dynamic_globals, "addresses of this process must not be kept"
        if folder := self._open():
            key = self._key(signature, compiled.target_context)
            folder.write(key, self.symbol, dumps(compiled._reduce()))

    def _key(self, signature: Any, target: Any) -> bytes:
        return repr((self.symbol, str(signature), target.codegen().magic_tuple())).encode()


def keep(function: Any, folder: Callable[[], Folder | None]) -> None:
    """Have a function of Numba's, a dispatcher or a CFunc, kept once it is compiled, and loaded from then on."""
    source = getattr(function, "py_func", None) or function.__wrapped__
    function._cache = FunctionCache(folder, f"{source.__module__}.{source.__qualname__}")


@functools.cache
def folder_of(package: Path) -> Folder | None:
    """`open_folder`, once in a process."""
    return open_folder(package)


def open_folder(package: Path = Path(__file__).parent) -> Folder | None:
    """The folder of a package's functions, made if it is not there, or None, and a line on stderr that says why: if
    others could write there, if it cannot be made, or if sources have changed since this process began. One that is
    only readable is read."""
    try:
        base = Path(os.environ.get("XDG_CACHE_HOME") or Path("~/.cache").expanduser()) / "ostinato"
        sources = _sources(package)
        path = base / f"{package.name}-{_digest(sources)}"
        if changed := [source for source in sources if source.stat().st_ctime_ns >= BEGUN_NS]:
            tell(
                f"ostinato: {changed[0]} has changed since this process began, so what it compiles is not kept. "
                f"Cure: start it again.\n"
            )
            return None
        base.mkdir(mode=0o700, parents=True, exist_ok=True)
        path.mkdir(mode=0o700, exist_ok=True)
        for place in (base, path):
            found = place.lstat()
            if not stat.S_ISDIR(found.st_mode) or not _safe(found):
                tell(
                    f"ostinato: {place} is not a directory of ours that nobody else can write, so compiled kernels "
                    f"are not cached there. Cure: remove it or chmod 700, or set XDG_CACHE_HOME.\n"
                )
                return None
    except (OSError, RuntimeError) as error:  # read-only disk, no home: then each process compiles
        tell_not_kept(error)
        return None
    with contextlib.suppress(OSError):
        os.utime(path)
    _tidy(base, path, package.name)
    return Folder(path)


def tell_not_kept(error: Exception) -> None:
    """Say on stderr that every start compiles, and why."""
    tell(
        f"ostinato: compiled kernels cannot be kept ({error}), so every start compiles. "
        f"Cure: set XDG_CACHE_HOME to a folder that you can write.\n"
    )


def _safe(found: os.stat_result) -> bool:
    """Whether only we, or the superuser, can have written it."""
    return found.st_uid in (os.geteuid(), 0) and not found.st_mode & (stat.S_IWGRP | stat.S_IWOTH)


def _checksum(key: bytes, data: bytes) -> bytes:
    """Of a function's code, and of which function it is."""
    return hashlib.blake2b(key + b"\0" + data, digest_size=_CHECKSUM).digest()


def _sources(package: Path) -> list[Path]:
    """All that a package's compiled code may hold parts of: its own sources, and ours."""
    ours = Path(__file__).parent
    agreed = [ours.parent / name for name in ("lanes.py", "activations.py")]
    return [*sorted({source for folder in (package, ours) for source in folder.rglob("*.py")}), *agreed]


def _digest(sources: Iterable[Path]) -> str:
    """Of everything but the CPU that code compiled of these depends on."""
    digest = hashlib.sha256(f"{numba.__version__} {llvmlite.__version__} {sys.version}".encode())
    for source in sources:
        digest.update(source.name.encode() + source.read_bytes())
    return digest.hexdigest()[:16]


def _tidy(base: Path, path: Path, package: str) -> None:
    """Keep the folders used last, so that upgrades do not fill the disk, and remove what killed processes left."""
    with contextlib.suppress(OSError):  # another process is at it too
        for file in path.glob("*.tmp"):
            if time.time() - file.stat().st_mtime > _ABANDONED_S:
                file.unlink()
        folders = sorted(base.glob(f"{package}-*"), key=lambda each: each.stat().st_mtime, reverse=True)
        for old in folders[KEPT:]:
            for file in old.iterdir():
                file.unlink()
            old.rmdir()
