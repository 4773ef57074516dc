"""How this project compiles: one decorator, one private cache, one place that says what is going on.

`kernel` marks a function that Python calls: its signature is fixed, it is compiled (or loaded from the cache) by
`warm_up` and never again. `part` marks a function that only kernels call: it is compiled into them.
Neither reassociates nor contracts floating point, neither holds the GIL or raises.

The cache is ours alone (XDG_CACHE_HOME/ostinato, 0700), because a compiled file that somebody else could write would
run in our process. Its name holds a digest of all kernel sources and of the versions, so a stale one is never loaded;
Numba itself keys by CPU.
"""

from __future__ import annotations

import hashlib
import os
import stat
import sys
import threading
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

os.environ.setdefault("NUMBA_DISABLE_INTEL_SVML", "1")  # its results depend on the CPU

import llvmlite
import numba
from numba.core import event
from numba.core.caching import CompileResultCacheImpl, FunctionCache

_OPTIONS: dict[str, Any] = {"nogil": True, "error_model": "numpy", "fastmath": False, "boundscheck": False}
_KEPT_CACHES = 3
_PATIENCE = 1.5  # seconds of compiling before anything is said about it

_kernels: list[tuple[Any, str]] = []
_parts: list[Any] = []
_lock = threading.Lock()
_ready = False


def part(function: Callable[..., Any]) -> Any:
    """A function that kernels call; compiled into them for the types they call it with."""
    dispatcher = numba.njit(**_OPTIONS)(function)
    _parts.append(dispatcher)
    return dispatcher


def kernel(signature: str) -> Callable[[Callable[..., Any]], Any]:
    """A function that Python calls with exactly these types, after `warm_up`."""

    def decorate(function: Callable[..., Any]) -> Any:
        dispatcher = numba.njit(**_OPTIONS)(function)
        _kernels.append((dispatcher, signature))
        return dispatcher

    return decorate


def ready() -> bool:
    """Whether all kernels are compiled or loaded."""
    return _ready


def warm_up(report: Callable[[str], None] | None = None) -> None:
    """Load all kernels from the cache, or compile them: once in a process, later calls return at once.

    Compiling takes several seconds the first time on a machine; after a moment of it, ``report`` (by default: a
    line on stderr) is told how far it is. Safe to call from any thread.
    """
    global _ready
    if _ready:
        return
    from ostinato.kernels import _all  # noqa: F401  every module with kernels

    with _lock:
        if _ready:
            return
        directory = _cache_directory()
        progress = _Progress(len(_kernels) + len(_parts), report)
        with event.install_listener("numba:compile", progress):
            for dispatcher, signature in _kernels:
                if directory is not None:
                    dispatcher._cache = _Cache(dispatcher.py_func, directory)
                dispatcher.compile(signature)
                dispatcher.disable_compile()
        progress.finish()
        _ready = True


class _Progress(event.Listener):  # type: ignore[misc]
    """Counts compiled functions and, if it takes long, says so."""

    def __init__(self, count: int, report: Callable[[str], None] | None) -> None:
        self.count, self.done, self.said = count, 0, False
        self.started = time.monotonic()
        self.to_terminal = report is None
        self.report = report or self._print

    def on_start(self, event: Any) -> None:
        pass

    def on_end(self, event: Any) -> None:
        self.done += 1
        if time.monotonic() - self.started > _PATIENCE:
            self.said = True
            done = min(self.done, self.count)
            self.report(f"ostinato: compiling for this CPU, once: {done} of {self.count} functions")

    def finish(self) -> None:
        if self.said:
            self.report(f"ostinato: compiled in {time.monotonic() - self.started:.0f} s")
            if self.to_terminal and sys.stderr.isatty():
                sys.stderr.write("\n")

    @staticmethod
    def _print(message: str) -> None:
        start, end = ("\r", "") if sys.stderr.isatty() else ("", "\n")
        sys.stderr.write(f"{start}{message}{end}")
        sys.stderr.flush()


# --- the cache --------------------------------------------------------------------------------------------------------


class _Locator:
    """Tells Numba's cache where files go; freshness is in the directory's name."""

    def __init__(self, directory: Path) -> None:
        self.directory = directory

    def ensure_cache_path(self) -> None:
        pass

    def get_cache_path(self) -> str:
        return str(self.directory)

    def get_source_stamp(self) -> str:
        return self.directory.name

    def get_disambiguator(self) -> str:
        return "ostinato"


class _Cache(FunctionCache):  # type: ignore[misc]
    """Numba's cache of compiled functions, in a directory of ours."""

    def __init__(self, function: Callable[..., Any], directory: Path) -> None:
        class Located(CompileResultCacheImpl):  # type: ignore[misc]
            _locator_classes = [type("Locator", (), {"from_function": lambda *_: _Locator(directory)})]

        self._impl_class = Located
        super().__init__(function)


def _digest() -> str:
    digest = hashlib.sha256(f"{numba.__version__} {llvmlite.__version__} {sys.version}".encode())
    for source in sorted(Path(__file__).parent.glob("*.py")):
        digest.update(source.name.encode() + source.read_bytes())
    return digest.hexdigest()[:16]


def _cache_directory() -> Path | None:
    """A directory that only we can write; None (and a line on stderr if it is dangerous) if there is none."""
    base = Path(os.environ.get("XDG_CACHE_HOME") or Path("~/.cache").expanduser()) / "ostinato"
    directory = base / f"kernels-{_digest()}"
    try:
        directory.mkdir(mode=0o700, parents=True, exist_ok=True)
        base = base.resolve(strict=True)
        directory = directory.resolve(strict=True)
        for place in (directory, base):
            found = place.lstat()
            if found.st_uid != os.geteuid() or found.st_mode & (stat.S_IWGRP | stat.S_IWOTH):
                sys.stderr.write(
                    f"ostinato: {place} belongs to another user or can be written by others: not used as a cache, "
                    f"kernels are compiled at each start. Cure: chmod 700 {place}, or set XDG_CACHE_HOME.\n"
                )
                return None
        os.utime(directory)
        _forget_old(base)
    except OSError:
        return None
    return directory if os.access(directory, os.W_OK) else None


def _forget_old(base: Path) -> None:
    """Keep the caches used last, so that upgrades do not fill the disk."""
    caches = sorted(base.glob("kernels-*"), key=lambda path: path.stat().st_mtime, reverse=True)
    for old in caches[_KEPT_CACHES:]:
        for file in old.iterdir():
            file.unlink()
        old.rmdir()
