"""The machine that figures were measured on: figures without it mean little."""

from __future__ import annotations

import os
import platform
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path
from typing import Any

VERSIONS = ("ostinato", "numpy", "numba", "llvmlite", "pyzmq", "onnxruntime", "openvino", "torch")


def describe() -> dict[str, Any]:
    """Processor, cores that this process may use, system, and versions of what matters for speed."""
    return {
        "processor": processor(),
        "cores": len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count(),
        "system": platform.platform(terse=True),
        "python": platform.python_version(),
        **{name: found for name in VERSIONS if (found := _version(name))},
    }


def busy() -> dict[str, float]:
    """``load``: how many threads wanted to run, on the average of the last minute; nothing where it is not known."""
    return {"load": round(os.getloadavg()[0], 1)} if hasattr(os, "getloadavg") else {}


def processor() -> str:
    """The processor's name as the system gives it."""
    try:
        for line in Path("/proc/cpuinfo").read_text().splitlines():
            if line.startswith("model name"):
                return line.split(":", 1)[1].strip()
    except OSError:
        pass
    return platform.processor() or platform.machine()


def _version(name: str) -> str | None:
    try:
        return version(name)
    except PackageNotFoundError:
        return None
