"""How much memory this process has, and giving back what is free."""

from __future__ import annotations

import contextlib
import gc
import os
from pathlib import Path

_PAGE = os.sysconf("SC_PAGE_SIZE") if hasattr(os, "sysconf") else 4096
_STATM = Path("/proc/self/statm")


def resident_bytes() -> int | None:
    """Memory of this process that is in use now (resident); None where that is not known (not Linux)."""
    try:
        return int(_STATM.read_bytes().split()[1]) * _PAGE
    except OSError:
        return None


def give_back() -> None:
    """Let the system have what is free: the C library keeps it otherwise."""
    gc.collect()
    with contextlib.suppress(OSError, AttributeError):  # not glibc
        import ctypes

        ctypes.CDLL(None).malloc_trim(0)
