"""How much memory this process has, and giving back what is free."""

from __future__ import annotations

import contextlib
import gc
import os
from pathlib import Path

_PAGE = os.sysconf("SC_PAGE_SIZE") if hasattr(os, "sysconf") else 4096
_STATM = Path("/proc/self/statm")
_M_TRIM_THRESHOLD, _M_MMAP_THRESHOLD = -1, -3
KEPT_BYTES = 8 << 20
"""What may stay free at the end of a heap."""


def resident_bytes() -> int | None:
    """Memory of this process that is in use now (resident); None where that is not known (not Linux)."""
    try:
        return int(_STATM.read_bytes().split()[1]) * _PAGE
    except OSError:
        return None


def keep_free() -> None:
    """Let the C library keep some MB that are free: by chance it gives what a message took back to the system each
    time, and the page faults of the next one take longer than all that is done with it. `give_back` is the other
    way. Nothing where it is not glibc."""
    with contextlib.suppress(OSError, AttributeError):
        import ctypes

        library = ctypes.CDLL(None)
        library.mallopt(_M_MMAP_THRESHOLD, KEPT_BYTES // 2)
        library.mallopt(_M_TRIM_THRESHOLD, KEPT_BYTES)


def give_back() -> None:
    """Let the system have what is free: the C library keeps it otherwise."""
    gc.collect()
    with contextlib.suppress(OSError, AttributeError):  # not glibc
        import ctypes

        ctypes.CDLL(None).malloc_trim(0)
