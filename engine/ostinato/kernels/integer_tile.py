"""The register tile for int8: R rows times P vectors of 16 outputs, exact int32 sums, one multiply-add to float32.

Inputs are unsigned bytes of at most 127. Weights are signed bytes, packed as
[vector of 16][inputs / 4][16 outputs][4]: four inputs make a quad, and a tile takes two quads at a time.

VNNI sums a quad's products in int32. A host without it gets them as int16, two by two, and adds those of both quads
before it widens them. That saturates or wraps nowhere, because the four weights that meet in one int16 have
magnitudes of at most `LIMIT` together (`groups_of`): 127 * 258 < 2**15. So all hosts compute the same integers,
whichever instructions they have.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt
from llvmlite import ir
from numba.core import cgutils, types
from numba.extending import intrinsic

from ostinato.kernels.product import FEATURES
from ostinato.kernels.simd import BYTES, FLOAT, I32, I64, LANES, POINTER

GROUP = 8
"""Inputs that a tile takes at a time: rows and weights are padded to a multiple of it."""
HIGHEST = 127
"""The greatest input byte."""
LIMIT = (2**15 - 1) // HIGHEST
"""What the magnitudes of the weights of one int16 may add up to."""

I8, I16 = ir.IntType(8), ir.IntType(16)
Dot = Callable[[Any, Any, list[Any], list[Any]], Any]
"""IR: ``dot(builder, sums, x, w)``: int32 sums plus the products of two quads, each a register of bytes as int32."""


def groups_of(weights: npt.NDArray[Any]) -> npt.NDArray[Any]:
    """What weights [outputs, inputs] meet in an int16: their magnitudes as [outputs, any, 4], padded with zeros."""
    wide = np.pad(np.abs(weights.astype(np.float64)), ((0, 0), (0, -weights.shape[1] % GROUP)))
    quads = wide.reshape(len(wide), -1, 2, 2, 2)  # [outputs, groups, quad, pair, of the pair]
    return quads.swapaxes(2, 3).reshape(len(wide), -1, 4)


@dataclass(frozen=True)
class Instructions:
    """How a host multiplies bytes: registers of ``lanes`` int32, and what it does with them."""

    lanes: int
    dot: Dot


def _vector(type_: Any, count: int) -> Any:
    return ir.VectorType(type_, count)


def _constant(type_: Any, count: int, value: int) -> Any:
    return ir.Constant(_vector(type_, count), [value] * count)


def _call(b: Any, name: str, result: Any, *arguments: Any) -> Any:
    kind = ir.FunctionType(result, [each.type for each in arguments])
    return b.call(cgutils.get_or_insert_function(b.module, kind, name), arguments)


def _quads(name: str, lanes: int, operand: Any = I32) -> Instructions:
    """VNNI, or dot products of NEON: four products into an int32 at once.

    The bytes of inputs are at most `HIGHEST`, so it is no matter whether an instruction takes them as signed.
    """

    def dot(b: Any, sums: Any, x: list[Any], w: list[Any]) -> Any:
        kind = _vector(operand, lanes * 32 // operand.width)
        for each, weights in zip(x, w, strict=True):
            sums = _call(b, name, sums.type, sums, b.bitcast(each, kind), b.bitcast(weights, kind))
        return sums

    return Instructions(lanes, dot)


def _pairs(multiply: str, widen: str, lanes: int) -> Instructions:
    """Two products into an int16, both quads' int16 added, two int16 into an int32."""

    def dot(b: Any, sums: Any, x: list[Any], w: list[Any]) -> Any:
        bytes_, words = _vector(I8, 4 * lanes), _vector(I16, 2 * lanes)
        first, second = (
            _call(b, multiply, words, b.bitcast(each, bytes_), b.bitcast(weights, bytes_))
            for each, weights in zip(x, w, strict=True)
        )
        both = b.add(first, second)
        return b.add(sums, _call(b, widen, sums.type, both, _constant(I16, 2 * lanes, 1)))

    return Instructions(lanes, dot)


def _plain(lanes: int) -> Instructions:
    """The same with nothing but additions and multiplications, for LLVM to find instructions for."""

    def halves(b: Any, x: Any) -> Any:
        count = x.type.count
        undefined = ir.Constant(x.type, ir.Undefined)
        return [
            b.shuffle_vector(x, undefined, ir.Constant(_vector(I32, count // 2), list(range(odd, count, 2))))
            for odd in (0, 1)
        ]

    def dot(b: Any, sums: Any, x: list[Any], w: list[Any]) -> Any:
        bytes_, words = _vector(I8, 4 * lanes), _vector(I16, 4 * lanes)
        products = [
            b.mul(b.zext(b.bitcast(each, bytes_), words), b.sext(b.bitcast(weights, bytes_), words))
            for each, weights in zip(x, w, strict=True)
        ]
        first, second = (b.add(*halves(b, each)) for each in products)
        even, odd = halves(b, b.add(first, second))
        return b.add(sums, b.add(b.sext(even, sums.type), b.sext(odd, sums.type)))

    return Instructions(lanes, dot)


def instructions_of(features: list[str]) -> Instructions:
    """The best that a host with these LLVM features has."""
    if "+avx512vnni" in features:
        return _quads("llvm.x86.avx512.vpdpbusd.512", 16)
    if "+avx512bw" in features:
        return _pairs("llvm.x86.avx512.pmaddubs.w.512", "llvm.x86.avx512.pmaddw.d.512", 16)
    if "+avxvnni" in features:
        return _quads("llvm.x86.avx512.vpdpbusd.256", 8)
    if "+avx2" in features:
        return _pairs("llvm.x86.avx2.pmadd.ub.sw", "llvm.x86.avx2.pmadd.wd", 8)
    if "+dotprod" in features:
        return _quads("llvm.aarch64.neon.sdot.v4i32.v16i8", 4, I8)
    return _plain(4)


HOST = instructions_of(FEATURES)


def emit_tile(b: Any, values: list[Any], R: int, P: int, host: Instructions) -> None:
    """IR of a tile, see `make_integer_tile`."""
    x, x_step, K, weights, panel_step, scale, start, initial, initial_step, out, out_step = values
    n = host.lanes
    ints, floats, byte = _vector(I32, n), _vector(FLOAT, n), I8
    columns = range(P * LANES // n)
    cells = [(r, c) for r in range(R) for c in columns]

    def pointer(base: Any, step: Any, times: int, offset: int = 0) -> Any:
        return b.inttoptr(b.add(b.add(base, b.mul(I64(times), step)), I64(offset)), POINTER)

    rows = [pointer(x, x_step, r) for r in range(R)]
    lines = [pointer(weights, panel_step, c * n // LANES, 4 * (c * n % LANES)) for c in columns]
    starts = [b.load(pointer(start, I64(0), 0, 4 * c * n), typ=ints, align=4) for c in columns]
    before, loop, done = b.block, b.append_basic_block("k"), b.append_basic_block("done")
    b.branch(loop)
    b.position_at_end(loop)
    k = b.phi(I64)
    k.add_incoming(I64(0), before)
    sums = {cell: b.phi(ints) for cell in cells}
    for (_, c), phi in sums.items():
        phi.add_incoming(starts[c], before)

    def inputs(row: Any, quad: int) -> Any:
        four = b.load(b.gep(row, [b.add(k, I64(4 * quad))], source_etype=byte), typ=I32, align=4)
        undefined = ir.Constant(ints, ir.Undefined)
        return b.shuffle_vector(b.insert_element(undefined, four, I32(0)), undefined, _constant(I32, n, 0))

    at = b.mul(k, I64(LANES))
    xs = [[inputs(row, quad) for quad in (0, 1)] for row in rows]
    after = {}
    for c in columns:
        w = [
            b.load(b.gep(lines[c], [b.add(at, I64(BYTES * quad))], source_etype=byte), typ=ints, align=4)
            for quad in (0, 1)
        ]
        for r in range(R):
            after[r, c] = host.dot(b, sums[r, c], xs[r], w)
    k_next = b.add(k, I64(GROUP))
    k.add_incoming(k_next, loop)
    for cell, phi in sums.items():
        phi.add_incoming(after[cell], loop)
    b.cbranch(b.icmp_signed("<", k_next, K), loop, done)

    b.position_at_end(done)
    fma = cgutils.get_or_insert_function(b.module, ir.FunctionType(floats, [floats] * 3), f"llvm.fma.v{n}f32")
    scales = [b.load(pointer(scale, I64(0), 0, 4 * c * n), typ=floats, align=4) for c in columns]
    for r, c in cells:
        first = b.load(pointer(initial, initial_step, r, 4 * c * n), typ=floats, align=4)
        value = b.call(fma, [b.sitofp(after[r, c], floats), scales[c], first])
        b.store(value, pointer(out, out_step, r, 4 * c * n), align=4)


def make_integer_tile(R: int, P: int) -> Any:
    """A tile as an intrinsic of int64 addresses and byte counts:

    ``tile(x, x_step, K, weights, panel_step, scale, start, initial, initial_step, out, out_step)``

    Row r's inputs are K bytes, a multiple of `GROUP`, at x + r * x_step. Vector p has its weights at weights +
    p * panel_step, and, 64 p from ``scale`` and ``start``, 16 float32 and 16 int32. Its exact sums begin with
    ``start``; as float32, times ``scale``, plus the 16 float32 at initial + r * initial_step + 64 p, rounded once
    more, they go to the same place of ``out``.
    """

    @intrinsic
    def tile(
        typingctx: Any, x: Any, x_step: Any, K: Any, weights: Any, panel_step: Any, scale: Any, start: Any,
        initial: Any, initial_step: Any, out: Any, out_step: Any,
    ) -> Any:  # fmt: skip
        def generate(context: Any, builder: Any, _signature: Any, values: list[Any]) -> Any:
            emit_tile(builder, values, R, P, HOST)
            return context.get_dummy_value()

        return types.void(*[types.int64] * 11), generate

    return tile
