"""Copies of whole vectors."""

from ostinato.kernels.compiler import part
from ostinato.kernels.simd import BYTES, load, store


@part
def copy(source: int, target: int, count: int) -> None:
    """``count`` vectors."""
    for i in range(count):
        store(target + i * BYTES, load(source + i * BYTES))
