"""Sums of several inputs."""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar

from ostinato.model.layers.elementwise import Elementwise


@dataclass(frozen=True)
class Add(Elementwise):
    """y = x1 + x2 + …, value by value: a skip, for one. ONNX Add, Sum."""

    kind: ClassVar[str] = "add"
    operation: ClassVar[str] = "add"
