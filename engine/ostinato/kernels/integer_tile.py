"""The register tile for int8: R rows times P vectors of 16 outputs, exact int32 sums, one multiply-add to float32.

Inputs are unsigned bytes of at most 127. Weights are signed bytes, packed as
[vector of 16][inputs / 4][16 outputs][4]: four inputs make a quad, and a tile takes four quads at a time, a group.

VNNI sums a quad's products in int32. A host without it gets them as int16, two by two, and adds those of a group
before it widens them. That saturates or wraps nowhere, because of the eight weights that meet in one int16 the
positive ones add up to at most `LIMIT`, and so do the negative ones (`largest_sums`): no input is negative, so their
products pull in opposite directions, and 127 * 258 < 2**15. So all hosts compute the same integers, whichever
instructions they have.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable
from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt
from llvmlite import ir
from numba.core import cgutils, types
from numba.extending import intrinsic

from ostinato.kernels.product import FEATURES
from ostinato.kernels.simd import BYTES, FLOAT, I32, I64, POINTER
from ostinato.lanes import LANES

QUADS = 4
"""Quads in a group."""
GROUP = 4 * QUADS
"""Inputs that a tile takes at a time: rows and weights are padded to a multiple of it."""
HIGHEST = 127
"""The greatest input byte."""
LIMIT = (2**15 - 1) // HIGHEST
"""What weights of one sign that meet in an int16 may add up to in magnitude."""

I8, I16 = ir.IntType(8), ir.IntType(16)
Multiply = Callable[[Any, Any, Any, Any], Any]
"""IR: ``multiply(builder, sums, x, w)``: the sums plus a quad's products; without sums, None, the products."""
Widen = Callable[[Any, Any, Any], Any]
"""IR: ``widen(builder, sums, products)``: int32 sums plus a group's products in int16."""
Tiles = tuple[int, int, int]
"""``rows``, ``vectors`` and ``alone`` of `Instructions`."""


def largest_sums(weights: npt.NDArray[Any]) -> npt.NDArray[np.float64]:
    """For each output of weights [outputs, inputs], of any dtype: the most that weights of one sign that meet in an
    int16 add up to in magnitude, [outputs]."""
    wide = np.pad(weights.astype(np.float64), ((0, 0), (0, -weights.shape[1] % GROUP)))
    pairs = wide.reshape(len(wide), -1, QUADS, 2, 2)  # [outputs, groups, quad, pair, of the pair]
    signs = np.stack((pairs.clip(min=0), -pairs.clip(max=0)))
    largest: npt.NDArray[np.float64] = signs.sum(axis=(3, 5)).max(axis=(0, 2, 3), initial=0)
    return largest


@dataclass(frozen=True)
class Instructions:
    """How a host multiplies bytes: registers of ``lanes`` int32, what it does with them, and its best tiles.

    Without ``widen``, ``multiply`` adds to int32 sums at once. Tiles have ``rows`` rows and ``vectors`` vectors of
    outputs, or ``alone`` vectors of one row: enough sums to keep the multipliers busy, few enough for the registers.
    """

    lanes: int
    rows: int
    vectors: int
    alone: int
    multiply: Multiply
    widen: Widen | None = None

    def group(self, b: Any, sums: list[Any], quads: Iterable[list[tuple[Any, Any]]]) -> list[Any]:
        """IR: ``sums`` plus a group's products; each of ``quads`` gives the inputs and weights for all sums."""
        products = [None] * len(sums) if self.widen else sums
        for quad in quads:
            products = [self.multiply(b, each, x, w) for each, (x, w) in zip(products, quad, strict=True)]
        if self.widen is None:
            return products
        return [self.widen(b, each, product) for each, product in zip(sums, products, strict=True)]


def _vector(type_: Any, count: int) -> Any:
    return ir.VectorType(type_, count)


def _constant(type_: Any, count: int, value: int) -> Any:
    return ir.Constant(_vector(type_, count), [value] * count)


def _call(b: Any, name: str, result: Any, *arguments: Any) -> Any:
    kind = ir.FunctionType(result, [each.type for each in arguments])
    return b.call(cgutils.get_or_insert_function(b.module, kind, name), arguments)


def _quads(name: str, lanes: int, tiles: Tiles, operand: Any = I32) -> Instructions:
    """VNNI, or dot products of NEON: four products into an int32 at once.

    The bytes of inputs are at most `HIGHEST`, so it is no matter whether an instruction takes them as signed.
    """

    def multiply(b: Any, sums: Any, x: Any, w: Any) -> Any:
        kind = _vector(operand, lanes * 32 // operand.width)
        return _call(b, name, sums.type, sums, b.bitcast(x, kind), b.bitcast(w, kind))

    return Instructions(lanes, *tiles, multiply)


def _pairs(multiply_pairs: str, widen_pairs: str, lanes: int, tiles: Tiles) -> Instructions:
    """Two products into an int16, a group's int16 added, two int16 into an int32."""

    def multiply(b: Any, sums: Any, x: Any, w: Any) -> Any:
        bytes_ = _vector(I8, 4 * lanes)
        pairs = _call(b, multiply_pairs, _vector(I16, 2 * lanes), b.bitcast(x, bytes_), b.bitcast(w, bytes_))
        return pairs if sums is None else b.add(sums, pairs)

    def widen(b: Any, sums: Any, products: Any) -> Any:
        return b.add(sums, _call(b, widen_pairs, sums.type, products, _constant(I16, 2 * lanes, 1)))

    return Instructions(lanes, *tiles, multiply, widen)


def _plain(lanes: int, tiles: Tiles) -> Instructions:
    """The same with nothing but additions and multiplications, for LLVM to find instructions for."""

    def halves(b: Any, x: Any) -> Any:
        count = x.type.count
        undefined = ir.Constant(x.type, ir.Undefined)
        return [
            b.shuffle_vector(x, undefined, ir.Constant(_vector(I32, count // 2), list(range(odd, count, 2))))
            for odd in (0, 1)
        ]

    def multiply(b: Any, sums: Any, x: Any, w: Any) -> Any:
        bytes_, words = _vector(I8, 4 * lanes), _vector(I16, 4 * lanes)
        pairs = b.add(*halves(b, b.mul(b.zext(b.bitcast(x, bytes_), words), b.sext(b.bitcast(w, bytes_), words))))
        return pairs if sums is None else b.add(sums, pairs)

    def widen(b: Any, sums: Any, products: Any) -> Any:
        even, odd = halves(b, products)
        return b.add(sums, b.add(b.sext(even, sums.type), b.sext(odd, sums.type)))

    return Instructions(lanes, *tiles, multiply, widen)


def instructions_of(features: list[str]) -> Instructions:
    """The best that a host with these LLVM features has."""
    if "+avx512vnni" in features:
        return _quads("llvm.x86.avx512.vpdpbusd.512", 16, (4, 4, 8))
    if "+avx512bw" in features:
        return _pairs("llvm.x86.avx512.pmaddubs.w.512", "llvm.x86.avx512.pmaddw.d.512", 16, (2, 4, 8))
    if "+avxvnni" in features:
        return _quads("llvm.x86.avx512.vpdpbusd.256", 8, (2, 2, 4))
    if "+avx2" in features:
        return _pairs("llvm.x86.avx2.pmadd.ub.sw", "llvm.x86.avx2.pmadd.wd", 8, (1, 2, 2))
    if "+dotprod" in features:
        return _quads("llvm.aarch64.neon.sdot.v4i32.v16i8", 4, (2, 2, 4), I8)
    return _plain(4, (1, 1, 1))


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

    def quad(number: int) -> list[tuple[Any, Any]]:
        x = [inputs(row, number) for row in rows]
        place = b.add(at, I64(BYTES * number))
        w = [b.load(b.gep(line, [place], source_etype=byte), typ=ints, align=4) for line in lines]
        return [(x[r], w[c]) for r, c in cells]

    after = dict(zip(cells, host.group(b, list(sums.values()), map(quad, range(QUADS))), strict=True))
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
