"""Ostinato: real-time streaming inference for recurrent neural networks.

    model = ostinato.load("digits-uni")
    stream = model.stream()
    for chunk in chunks:
        for event in stream.push(chunk): ...
    events = stream.flush()

Names are loaded when first used, so that importing `ostinato.protocol` (which clients do) never loads Numba.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from ostinato import begun  # noqa: F401  before any other source is read

if TYPE_CHECKING:
    from ostinato.errors import OstinatoError
    from ostinato.events import Event
    from ostinato.model.quantization import quantize
    from ostinato.sampling import Sampling
    from ostinato.streaming import Model, Stream, load

__all__ = ["load", "quantize", "Model", "Stream", "Event", "Sampling", "OstinatoError", "__version__"]
__version__ = "0.1.0"

_HOME = {
    "load": "ostinato.streaming",
    "quantize": "ostinato.model.quantization",
    "Model": "ostinato.streaming",
    "Stream": "ostinato.streaming",
    "Event": "ostinato.events",
    "Sampling": "ostinato.sampling",
    "OstinatoError": "ostinato.errors",
}


def __getattr__(name: str) -> Any:
    if name not in _HOME:
        raise AttributeError(f"module 'ostinato' has no attribute {name!r}")
    from importlib import import_module

    return getattr(import_module(_HOME[name]), name)
