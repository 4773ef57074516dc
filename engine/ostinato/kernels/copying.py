"""Copies of values."""

from ostinato.kernels.compiler import part
from ostinato.kernels.simd import BYTES, first_lanes, load, load_float, splat, store, store_float
from ostinato.lanes import LANES


@part
def copy(source: int, target: int, count: int) -> None:
    """``count`` vectors."""
    for i in range(count):
        store(target + i * BYTES, load(source + i * BYTES))


@part
def copy_cleared(source: int, target: int, size: int) -> None:
    """``size`` values, and zeros behind them up to a whole vector."""
    left = size
    while left > 0:
        store(target, first_lanes(left, load(source), splat(0.0)))
        source += BYTES
        target += BYTES
        left -= LANES


@part
def copy_values(source: int, target: int, size: int) -> None:
    """Exactly ``size`` values."""
    left = size
    while left >= LANES:
        store(target, load(source))
        source += BYTES
        target += BYTES
        left -= LANES
    for k in range(left):
        store_float(target + 4 * k, load_float(source + 4 * k))
