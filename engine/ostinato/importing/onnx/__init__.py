"""ONNX: a graph is traced with elements in the place of values, and what it computes is read off.

file ── reading ──> graph ── plan, trace ──> terms ── states, cells, emission ──> network
"""

from __future__ import annotations

from pathlib import Path

from ostinato.errors import ForeignModelError
from ostinato.importing.draft import Draft
from ostinato.importing.settings import Settings


def draft(path: Path, settings: Settings) -> Draft:
    """The network of an ONNX file. Raises ForeignModelError, naming node and cure."""
    try:
        from ostinato.importing.onnx.drafting import drafted  # needs onnx, which not everybody has
    except ModuleNotFoundError as error:
        raise ForeignModelError(
            f"reading ONNX needs the package {error.name}: pip install onnx onnxruntime"
        ) from error
    return drafted(path, settings)


__all__ = ["draft"]
