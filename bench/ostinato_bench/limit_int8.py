"""The most multiply-accumulates of int8 that the instructions of our kernels can do on this processor."""

from __future__ import annotations

from functools import cache
from typing import Any

import numba
import numpy as np
from llvmlite import ir
from numba.core import types
from numba.extending import intrinsic

from ostinato.kernels.aligned import zeros
from ostinato.kernels.integer_tile import GROUP, HOST, QUADS
from ostinato.kernels.product import WIDE
from ostinato.kernels.simd import I32, I64, POINTER, address
from ostinato_bench.probe import Probe

_CHAINS = 12 if WIDE else 8
"""Registers that are multiplied at once, each what it was multiplied to: enough to keep the multipliers busy."""
_STEPS = 5000


def _emit(b: Any, data: Any) -> None:
    """IR: the multiplications of `_STEPS` groups of inputs for `_CHAINS` registers of outputs, and nothing else."""
    register, size = ir.VectorType(I32, HOST.lanes), 4 * HOST.lanes

    def place(number: int) -> Any:
        return b.inttoptr(b.add(data, I64(size * number)), POINTER)

    first = [b.load(place(number), typ=register, align=4) for number in range(_CHAINS + 1)]
    weights = first.pop()
    before, loop, done = b.block, b.append_basic_block("step"), b.append_basic_block("done")
    b.branch(loop)
    b.position_at_end(loop)
    step, chains = b.phi(I64), [b.phi(register) for _ in range(_CHAINS)]
    after = chains
    for _ in range(QUADS):
        after = [HOST.multiply(b, None if HOST.widen else each, each, weights) for each in after]
    if HOST.widen:
        after = [HOST.widen(b, ir.Constant(register, None), each) for each in after]
    following = b.add(step, I64(1))
    for phi, start, again in zip([step, *chains], [I64(0), *first], [following, *after], strict=True):
        phi.add_incoming(start, before)
        phi.add_incoming(again, loop)
    b.cbranch(b.icmp_signed("<", following, I64(_STEPS)), loop, done)
    b.position_at_end(done)
    for number, value in enumerate(after):
        b.store(value, place(number), align=4)


def _typed(typingctx: Any, data: Any) -> Any:
    def generate(context: Any, builder: Any, _signature: Any, values: list[Any]) -> Any:
        _emit(builder, *values)
        return context.get_dummy_value()

    return types.void(types.int64), generate


_multiplications: Any = intrinsic(_typed)


@numba.njit(nogil=True)
def _multiply(data: Any) -> None:
    _multiplications(address(data))


@cache
def arithmetic() -> Probe:
    """Multiply-accumulates of int8, by the multiplications that the tiles of `kernels.integer_tile` need for them:
    without additions, in registers."""
    data = zeros((_CHAINS + 1) * HOST.lanes)
    data.view(np.uint8)[:] = 1
    return Probe(lambda: _multiply(data), _CHAINS * HOST.lanes * GROUP * _STEPS / 1e3)
