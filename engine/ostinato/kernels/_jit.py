"""How this project compiles: three decorators, one private cache, one place that says what is going on.

- `kernel`: Python calls it.
- `routine`: kernels and routines call it, by its symbol; so it is compiled once, not again into each caller.
- `part`: a few lines that kernels and routines call; compiled into them.

Kernels and routines have fixed signatures and are compiled, or loaded from the cache, by `warm_up` alone.
Nothing reassociates or contracts floating point, holds the GIL while it computes, or raises.

The cache is ours alone (XDG_CACHE_HOME/ostinato, 0700), because a compiled file that somebody else could write would
run in our process. Its name holds a digest of all kernel sources and of the versions, so a stale one is never loaded;
Numba itself keys by CPU.
"""

from __future__ import annotations

import contextlib
import hashlib
import os
import stat
import sys
import threading
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any, cast

os.environ.setdefault("NUMBA_DISABLE_INTEL_SVML", "1")  # its results depend on the CPU

import llvmlite
import llvmlite.binding
import numba
from numba.core import sigutils, types
from numba.core.caching import CompileResultCacheImpl, FunctionCache
from numba.core.ccallback import CFunc
from numba.core.runtime.nrt import rtsys

_OPTIONS: dict[str, Any] = {"error_model": "numpy", "fastmath": False, "boundscheck": False}
_KEPT_CACHES = 3
_PATIENCE = 1.0  # seconds of compiling before anything is said about it
_PRINT_EVERY = 2.0  # seconds between lines where there is no terminal to rewrite one on

_routines: list[tuple[Any, str]] = []
_kernels: list[tuple[Any, str]] = []
_lock = threading.Lock()
_ready = False


def part(function: Callable[..., Any]) -> Any:
    """A function for kernels, routines and other parts, compiled into each of them."""
    return numba.njit(nogil=True, **_OPTIONS)(function)


def routine(signature: str) -> Callable[[Callable[..., Any]], Any]:
    """A function for kernels and other routines, with exactly this signature, compiled once."""

    def decorate(function: Callable[..., Any]) -> Any:
        symbol = f"{function.__module__}.{function.__qualname__}"
        parsed = sigutils.normalize_signature(signature)
        _routines.append((CFunc(function, parsed, {}, {"nopython": True, **_OPTIONS}), symbol))
        arguments, result = parsed
        return types.ExternalFunction(symbol, result(*arguments))

    return decorate


def kernel(signature: str) -> Callable[[Callable[..., Any]], Any]:
    """A function for Python, with exactly this signature, to be called after `warm_up`."""

    def decorate(function: Callable[..., Any]) -> Any:
        dispatcher = numba.njit(nogil=True, **_OPTIONS)(function)
        _kernels.append((dispatcher, signature))
        return dispatcher

    return decorate


def entry(kernel: Any) -> Callable[..., Any]:
    """A warm kernel without Numba's search for the types of its arguments, which takes longer than a small step.

    It must be called with exactly the kernel's types.
    """
    (compiled,) = kernel.overloads.values()
    return cast(Callable[..., Any], compiled.entry_point)


def ready() -> bool:
    """Whether all kernels are compiled or loaded."""
    return _ready


def warm_up(report: Callable[[str], None] | None = None) -> None:
    """Load all kernels from the cache, or compile them: once in a process, later calls return at once.

    Compiling takes several seconds, the first time on a machine; after a moment of it ``report`` (by default: a line
    on stderr) is told how far it is. Safe to call from any thread.
    """
    global _ready
    if _ready:
        return
    from ostinato.kernels import _all  # noqa: F401  every module with kernels

    with _lock:
        if _ready:
            return
        directory = _cache_directory()
        progress = _Progress(len(_routines) + len(_kernels), report, kept=directory is not None)
        for routine_, symbol in _routines:  # in order of definition: before their callers
            if directory is not None:
                routine_._cache = _Cache(routine_._pyfunc, directory)
            routine_.compile()
            llvmlite.binding.add_symbol(symbol, routine_.address)
            progress.step()
        for dispatcher, signature in _kernels:
            if directory is not None:
                dispatcher._cache = _Cache(dispatcher.py_func, directory)
            dispatcher.compile(signature)
            dispatcher.disable_compile()
            progress.step()
        progress.finish()
        _ready = True


class _Progress:
    """Counts compiled functions and, if it takes long, says so."""

    def __init__(self, count: int, report: Callable[[str], None] | None, *, kept: bool) -> None:
        self.count, self.done = count, 0
        self.once = ", only this once" if kept else ""
        self.started = time.monotonic()
        self.said_at = 0.0
        self.terminal = report is None and sys.stderr.isatty()
        self.pause = _PRINT_EVERY if report is None and not self.terminal else 0.0
        self.report = report or self._print

    def step(self) -> None:
        self.done += 1
        now = time.monotonic()
        if now - self.started > _PATIENCE and now - self.said_at > self.pause:
            self.said_at = now
            self.report(f"ostinato: compiling for this CPU{self.once}: {self.done} of {self.count} functions")

    def finish(self) -> None:
        if self.said_at:
            self.report(f"ostinato: compiled {self.count} functions in {time.monotonic() - self.started:.0f} s")
            if self.terminal:
                sys.stderr.write("\n")

    def _print(self, message: str) -> None:
        sys.stderr.write(f"\r\x1b[K{message}" if self.terminal else f"{message}\n")
        sys.stderr.flush()


# --- the cache ------------------------------------------------------------------------------------------------------


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


class _Cache(FunctionCache):
    """Numba's cache of compiled functions, in a directory of ours."""

    def __init__(self, function: Callable[..., Any], directory: Path) -> None:
        class Finder:
            @staticmethod
            def from_function(*_: Any) -> _Locator:
                return _Locator(directory)

        class Located(CompileResultCacheImpl):
            _locator_classes: list[Any] = [Finder]  # noqa: RUF012

        self._impl_class = Located
        super().__init__(function)

    def load_overload(self, sig: Any, target_context: Any) -> Any:
        """What was compiled, without Numba's refreshing of all it knows of types, which takes longer than loading."""
        try:
            rtsys.initialize(target_context)  # compiled code may allocate
            return self._load_overload(sig, target_context)
        except Exception:  # a damaged file, whatever it makes of unpickling, is no file: compile and write it again
            return None

    def save_overload(self, sig: Any, data: Any) -> None:
        with contextlib.suppress(OSError):  # a full disk only costs the next start's time
            self.flush_if_damaged()
            super().save_overload(sig, data)

    def flush_if_damaged(self) -> None:
        """Start the index anew if it cannot be read."""
        try:
            self._cache_file._load_index()
        except Exception:
            self.flush()


def _digest() -> str:
    """Of everything but the CPU that compiled code depends on."""
    digest = hashlib.sha256(f"{numba.__version__} {llvmlite.__version__} {sys.version}".encode())
    for source in sorted(Path(__file__).parent.glob("*.py")):
        digest.update(source.name.encode() + source.read_bytes())
    return digest.hexdigest()[:16]


def _cache_directory() -> Path | None:
    """A directory that only we can write, or None; if it looks dangerous, a line on stderr says so."""
    try:
        base = Path(os.environ.get("XDG_CACHE_HOME") or Path("~/.cache").expanduser()) / "ostinato"
        directory = base / f"kernels-{_digest()}"
        base.mkdir(mode=0o700, parents=True, exist_ok=True)
        directory.mkdir(mode=0o700, exist_ok=True)
        for place in (base, directory):
            found = place.lstat()
            ours = stat.S_ISDIR(found.st_mode) and found.st_uid == os.geteuid()
            if not ours or found.st_mode & (stat.S_IWGRP | stat.S_IWOTH):
                sys.stderr.write(
                    f"ostinato: {place} is not a directory of ours that nobody else can write, so compiled kernels "
                    f"are not cached there. Cure: remove it or chmod 700, or set XDG_CACHE_HOME.\n"
                )
                return None
        if not os.access(directory, os.W_OK):
            raise PermissionError(f"no permission to write {directory}")
        os.utime(directory)
    except (OSError, RuntimeError) as error:  # read-only disk, no home: then each process compiles
        sys.stderr.write(
            f"ostinato: compiled kernels cannot be kept ({error}), so every start compiles. "
            f"Cure: set XDG_CACHE_HOME to a folder that you can write.\n"
        )
        return None
    _forget_old(base)
    return directory


def _forget_old(base: Path) -> None:
    """Keep the caches used last, so that upgrades do not fill the disk."""
    with contextlib.suppress(OSError):  # another process is at it too
        caches = sorted(base.glob("kernels-*"), key=lambda path: path.stat().st_mtime, reverse=True)
        for old in caches[_KEPT_CACHES:]:
            for file in old.iterdir():
                file.unlink()
            old.rmdir()
