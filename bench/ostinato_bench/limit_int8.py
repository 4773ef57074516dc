"""The most multiply-accumulates of int8 that the instructions of our kernels can do on this processor."""

from __future__ import annotations

from functools import cache
from typing import Any

import numba
import numpy as np
from llvmlite import ir
from numba.core import types
from numba.extending import intrinsic

from ostinato.kernels.integer_tile import GROUP, HOST
from ostinato.kernels.product import FEATURES, WIDE
from ostinato.kernels.program import zeros
from ostinato.kernels.simd import BYTES, I32, I64, POINTER, address
from ostinato_bench.probe import Probe

_CHAINS = 12 if WIDE else 9 if "+avxvnni" in FEATURES else 5
"""Sums at once, each with an input of its own; two registers more are for weights, and what is between."""
_STEPS, _TIMES = 32, 400  # weights that stay in L1, and how often they are gone over


def _emit(b: Any, data: Any, out: Any) -> None:
    """IR: sums, from and to ``out``, of `_CHAINS` inputs times `_STEPS` pairs of registers of weights."""
    register, size = ir.VectorType(I32, HOST.lanes), 4 * HOST.lanes

    def load(base: Any, offset: Any) -> Any:
        return b.load(b.inttoptr(b.add(base, offset), POINTER), typ=register, align=4)

    x = [load(data, I64(size * chain)) for chain in range(_CHAINS)]
    start = [load(out, I64(size * chain)) for chain in range(_CHAINS)]
    before, loop, done = b.block, b.append_basic_block("step"), b.append_basic_block("done")
    b.branch(loop)
    b.position_at_end(loop)
    at, sums = b.phi(I64), [b.phi(register) for _ in range(_CHAINS)]
    weights = [load(data, at), load(data, b.add(at, I64(size)))]
    after = [HOST.dot(b, sums_, [x_, x_], weights) for sums_, x_ in zip(sums, x, strict=True)]
    following = b.add(at, I64(2 * size))
    for phi, first, again in zip([at, *sums], [I64(0), *start], [following, *after], strict=True):
        phi.add_incoming(first, before)
        phi.add_incoming(again, loop)
    b.cbranch(b.icmp_signed("<", following, I64(2 * size * _STEPS)), loop, done)
    b.position_at_end(done)
    for chain, value in enumerate(after):
        b.store(value, b.inttoptr(b.add(out, I64(size * chain)), POINTER), align=4)


def _typed(typingctx: Any, data: Any, out: Any) -> Any:
    def generate(context: Any, builder: Any, _signature: Any, values: list[Any]) -> Any:
        _emit(builder, *values)
        return context.get_dummy_value()

    return types.void(types.int64, types.int64), generate


_dots: Any = intrinsic(_typed)


@numba.njit(nogil=True)
def _repeat(data: Any, out: Any) -> None:
    for _ in range(_TIMES):
        _dots(address(data), address(out))


@cache
def arithmetic() -> Probe:
    """Multiply-accumulates of int8 in registers, as the tiles of `kernels.integer_tile` make them."""
    data = zeros(BYTES // 4 * 2 * _STEPS)
    data.view(np.uint8)[:] = 1
    out = zeros(BYTES // 4 * _CHAINS)
    return Probe(lambda: _repeat(data, out), _CHAINS * HOST.lanes * GROUP * _STEPS * _TIMES / 1e3)
