"""Numba kernels: arrays in, arrays out. Knows nothing of models, streams or sockets.

- `program`: Program, Workspace, advance, advance_slice, bind
- `arrays`: log, exp, activate, pack_matrix, multiply
- `float_mode`: denormals are zeros in all of them
- `prepare`: compile, or load from the cache, kernels that are to be called; `warm_up`: all; `ready`: whether all are
"""

from __future__ import annotations

import importlib
import pkgutil
from collections.abc import Callable

from ostinato.kernels.compiler import load_registered, prepare, ready

__all__ = ["prepare", "ready", "warm_up"]


def warm_up(report: Callable[[str], None] | None = None) -> None:
    """Load all kernels from the cache, or compile them: what any model needs, before there is one.

    Later calls return at once. ``report`` and what is raised as of `compiler.load_registered`.
    """
    for module in pkgutil.walk_packages(__path__, f"{__name__}."):  # each registers its own
        importlib.import_module(module.name)
    load_registered(report)
