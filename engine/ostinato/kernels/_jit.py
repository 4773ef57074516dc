"""How this project compiles: three decorators, and one place where all of it is compiled.

- `kernel`: Python calls it. It runs in the mode of `float_mode`, and with it all that it calls.
- `routine`: kernels and routines call it, by its symbol; so it is compiled once, not again into each caller.
- `part`: a few lines that kernels and routines call; compiled into them.

Kernels and routines have fixed signatures and are compiled, or loaded from the `cache`, by `warm_up` alone.
Nothing reassociates or contracts floating point, holds the GIL while it computes, or raises.
"""

from __future__ import annotations

import os
import threading
from collections.abc import Callable
from typing import Any, cast

os.environ.setdefault("NUMBA_DISABLE_INTEL_SVML", "1")  # its results depend on the CPU

import llvmlite.binding
import numba
from numba.core import config, sigutils, types
from numba.core.ccallback import CFunc

from ostinato.errors import InputError
from ostinato.kernels import cache
from ostinato.kernels.float_mode import KernelCompiler
from ostinato.kernels.progress import Progress

_OPTIONS: dict[str, Any] = {"error_model": "numpy", "fastmath": False, "boundscheck": False}

_routines: list[tuple[Any, str]] = []
_kernels: list[tuple[Any, str]] = []
_addresses: dict[str, int] = {}
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
        dispatcher = numba.njit(nogil=True, pipeline_class=KernelCompiler, **_OPTIONS)(function)
        _kernels.append((dispatcher, signature))
        return dispatcher

    return decorate


def address(routine: Any) -> int:
    """Where a warm routine is in this process, for `simd.invoke`."""
    return _addresses[routine.symbol]


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
    on stderr) is told how far it is. Safe to call from any thread. Raises InputError where Numba may not compile.
    """
    global _ready
    if _ready:
        return
    from ostinato.kernels import _all  # noqa: F401  every module with kernels

    if vars(config)["DISABLE_JIT"]:
        raise InputError("NUMBA_DISABLE_JIT is set, but kernels exist only compiled: unset it")
    with _lock:
        if _ready:
            return
        folder = cache.open_folder()
        progress = Progress(len(_routines) + len(_kernels), report, kept=folder is not None and folder.writable)
        for routine_, symbol in _routines:  # in order of definition: before their callers
            cache.keep(routine_, lambda: folder)
            routine_.compile()
            llvmlite.binding.add_symbol(symbol, routine_.address)
            _addresses[symbol] = routine_.address
            progress.step()
        for dispatcher, signature in _kernels:
            cache.keep(dispatcher, lambda: folder)
            dispatcher.compile(signature)
            dispatcher.disable_compile()
            progress.step()
        progress.finish()
        if folder is not None and folder.failure is not None:
            cache.tell_not_kept(folder.failure)
        _ready = True
