"""How this project compiles: three decorators, and one function that compiles what they have registered.

- `kernel`: Python calls it. It runs in the mode of `float_mode`, and with it all that it calls.
- `routine`: kernels and routines call it, by its symbol; so it is compiled once, not again into each caller.
- `part`: a few lines that kernels and routines call; compiled into them.

Kernels and routines have fixed signatures. Importing their module registers them; they are compiled, or loaded from
the `cache`, by `prepare` alone, which whoever calls a kernel calls before, or by `load_registered`, which loads all.
Nothing reassociates or contracts floating point, holds the GIL while it computes, or raises.
"""

from __future__ import annotations

import os
import sys
import threading
from collections.abc import Callable, Iterable
from functools import partial
from pathlib import Path
from types import ModuleType
from typing import Any, cast

os.environ.setdefault("NUMBA_DISABLE_INTEL_SVML", "1")  # its results depend on the CPU

import llvmlite.binding
import numba
from numba.core import config, sigutils, types
from numba.core.ccallback import CFunc
from numba.core.dispatcher import Dispatcher

from ostinato.errors import InputError
from ostinato.kernels import cache
from ostinato.kernels.float_mode import KernelCompiler
from ostinato.kernels.progress import Progress
from ostinato.kernels.routine_compiler import RoutineCompiler

OPTIONS: dict[str, Any] = {"error_model": "numpy", "fastmath": False, "boundscheck": False}
"""Numba's, of all that is compiled here."""

routines: dict[str, Any] = {}
"""All routines that are registered, by their symbols."""

kernels: dict[str, Any] = {}
"""All kernels that are registered, by module and name."""

_PACKAGE = Path(__file__).parent
_waiting: dict[str, Callable[[cache.Folder | None], bool]] = {}
"""Loads of what is registered and not loaded yet, by module and name; in order of definition, so that what is called
comes first."""
_loaded: set[str] = set()
"""Modules all whose kernels and routines are loaded, and all that these may call."""
_addresses: dict[str, int] = {}
_lock = threading.Lock()


def part(function: Callable[..., Any]) -> Any:
    """A function for kernels, routines and other parts, compiled into each of them."""
    return numba.njit(nogil=True, **OPTIONS)(function)


def routine(signature: str) -> Callable[[Callable[..., Any]], Any]:
    """A function for kernels and other routines, with exactly this signature, compiled once."""

    def decorate(function: Callable[..., Any]) -> Any:
        symbol = _name(function)
        parsed = sigutils.normalize_signature(signature)
        pipeline: Any = RoutineCompiler
        routines[symbol] = CFunc(function, parsed, {}, {"nopython": True, **OPTIONS}, pipeline)
        _waiting[symbol] = partial(_load_routine, symbol)
        arguments, result = parsed
        return types.ExternalFunction(symbol, result(*arguments))

    return decorate


def kernel(signature: str) -> Callable[[Callable[..., Any]], Any]:
    """A function for Python, with exactly this signature, to be called after `prepare`."""

    def decorate(function: Callable[..., Any]) -> Any:
        name = _name(function)
        kernels[name] = numba.njit(nogil=True, pipeline_class=KernelCompiler, **OPTIONS)(function)
        _waiting[name] = partial(_load_kernel, name, signature)
        return kernels[name]

    return decorate


def _name(function: Callable[..., Any]) -> str:
    return f"{function.__module__}.{function.__qualname__}"


def _load_routine(symbol: str, folder: cache.Folder | None) -> bool:
    """Whether it had to be compiled."""
    function = routines[symbol]
    cache.keep(function, lambda: folder)
    function.compile()
    llvmlite.binding.add_symbol(symbol, function.address)
    _addresses[symbol] = function.address
    return not function.cache_hits


def _load_kernel(name: str, signature: str, folder: cache.Folder | None) -> bool:
    """Whether it had to be compiled."""
    dispatcher = kernels[name]
    cache.keep(dispatcher, lambda: folder)
    dispatcher.compile(signature)
    dispatcher.disable_compile()
    return not dispatcher.stats.cache_hits


def address(routine: Any) -> int:
    """Where a loaded routine is in this process, for `simd.invoke`."""
    return _addresses[routine.symbol]


def _modules(values: Iterable[Any]) -> Iterable[str]:
    """Where those of the values that compiled code may call, or find it in, are defined."""
    for value in values:
        if isinstance(value, types.ExternalFunction):
            yield value.symbol.rpartition(".")[0]
        elif isinstance(value, Dispatcher):
            yield value.py_func.__module__
        elif isinstance(value, ModuleType) and value.__name__.startswith(f"{__package__}."):
            yield value.__name__


def reached(modules: Iterable[str]) -> set[str]:
    """The modules, and those in which is all that functions of theirs can name."""
    found, waiting = set[str](), list(modules)
    while waiting:
        if (name := waiting.pop()) not in found:
            found.add(name)
            waiting += _modules(vars(sys.modules[name]).values())
    return found


def entry(kernel: Any) -> Callable[..., Any]:
    """A loaded kernel without Numba's search for the types of its arguments, which takes longer than a small step.

    It must be called with exactly the kernel's types.
    """
    (compiled,) = kernel.overloads.values()
    return cast(Callable[..., Any], compiled.entry_point)


def ready() -> bool:
    """Whether everything that is registered is compiled or loaded."""
    return not _waiting


def prepare(*functions: Any) -> None:
    """Load these kernels and routines, what stands beside them, and all that they may call; as `load_registered`
    does."""
    wanted = set(_modules(functions))
    if not wanted <= _loaded:
        modules = reached(wanted)
        _load(lambda name: name.rpartition(".")[0] in modules, None)
        _loaded.update(modules)


def load_registered(report: Callable[[str], None] | None = None) -> None:
    """Load what is registered from the cache, or compile it: each function once in a process.

    Compiling takes several seconds, the first time on a machine; after a moment of it ``report`` (by default: a line
    on stderr) is told how far it is. Safe to call from any thread, and again: with nothing new it returns at once.
    Raises InputError where Numba may not compile.
    """
    _load(lambda name: True, report)


def _load(wanted: Callable[[str], bool], report: Callable[[str], None] | None) -> None:
    if not _waiting:
        return
    if vars(config)["DISABLE_JIT"]:
        raise InputError("NUMBA_DISABLE_JIT is set, but kernels exist only compiled: unset it")
    with _lock:
        names = [name for name in _waiting if wanted(name)]
        folder = cache.folder_of(_PACKAGE)
        progress = Progress(len(names), report, kept=folder is not None and folder.writable)
        for name in names:
            compiled = _waiting[name](folder)
            del _waiting[name]  # not before: whoever sees none waiting calls them
            progress.step(compiled)
        progress.finish()
        if folder is not None and folder.failure is not None:
            cache.tell_not_kept(folder.failure)
            folder.failure = None
