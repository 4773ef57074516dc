"""The register tile: R rows times P panels of C vectors of packed weights, all R * P * C sums in registers.

Written as LLVM IR, because only so is the order of the sums, and that they are fused, in our hands: each output is
its initial value, then + x[k] * w[k] for k = 0, 1, … in order. Lanes run over outputs, so nothing is reduced or
reassociated, and the bits depend neither on R, P and C nor on the host.

For each k the fewer of its inputs and its vectors of weights are held in registers beside the sums, and the others
come one at a time: 6 x 4 sums, 4 vectors and one input are 29 registers of 32. With all six inputs held first LLVM
runs out of registers.
"""

from __future__ import annotations

from typing import Any

from llvmlite import ir
from numba.core import types
from numba.extending import intrinsic

from ostinato.kernels.simd import (
    BYTES,
    FLOAT,
    FLOATS,
    I64,
    POINTER,
    emit_fma,
    emit_load,
    emit_prefetch,
    emit_splat,
    emit_store,
)


def make_tile(R: int, C: int, P: int = 1, ahead: int = 0) -> Any:
    """A tile as an intrinsic of int64 addresses and byte counts:

    ``tile(table, offset, K, weights, weights_step, panel_step, initial, initial_step, out, out_step)``

    Row r's inputs are K consecutive float32 at table[r] + offset (``table``: R addresses). Vector c of panel p has
    its weights for input k at weights + p * panel_step + k * weights_step + 64 c. Its sum starts from initial +
    r * initial_step + p * 64 C + 64 c, and goes to the same place of ``out``. K >= 1. With each vector of weights
    that is read, the one ``ahead`` bytes behind it is fetched, if that is not 0.
    """

    def emit(b: Any, values: list[Any]) -> None:
        table, offset, K, weights, weights_step, panel_step, initial, initial_step, out, out_step = values

        def place(base: Any, step: Any, r: int, p: int, c: int) -> Any:
            return b.add(b.add(base, b.mul(I64(r), step)), I64((p * C + c) * BYTES))

        cells = [(r, p, c) for r in range(R) for p in range(P) for c in range(C)]
        rows = [b.inttoptr(b.add(emit_load(b, b.add(table, I64(8 * r)), I64), offset), POINTER) for r in range(R)]
        panels = [b.inttoptr(b.add(weights, b.mul(I64(p), panel_step)), POINTER) for p in range(P)]
        start = {(r, p, c): emit_load(b, place(initial, initial_step, r, p, c), FLOATS) for r, p, c in cells}

        before, loop, done = b.block, b.append_basic_block("k"), b.append_basic_block("done")
        b.branch(loop)
        b.position_at_end(loop)
        k, at = b.phi(I64), b.phi(I64)
        k.add_incoming(I64(0), before)
        at.add_incoming(I64(0), before)
        sums = {cell: b.phi(FLOATS) for cell in cells}
        for cell in cells:
            sums[cell].add_incoming(start[cell], before)
        byte = ir.IntType(8)

        def input_of(r: int) -> Any:
            return emit_splat(b, b.load(b.gep(rows[r], [k], source_etype=FLOAT), typ=FLOAT, align=4))

        def weights_of(p: int, c: int) -> Any:
            line = b.gep(panels[p], [at], source_etype=byte)
            return b.load(b.gep(line, [I64(c * BYTES)], source_etype=byte), typ=FLOATS, align=4)

        vectors = [(p, c) for p in range(P) for c in range(C)]
        for p, c in vectors if ahead else ():
            line = b.gep(panels[p], [at], source_etype=byte)
            emit_prefetch(b, b.gep(line, [I64(c * BYTES + ahead)], source_etype=byte), 3)
        after = {}
        if len(vectors) < R:
            held = {vector: weights_of(*vector) for vector in vectors}
            for r in range(R):
                x = input_of(r)
                for p, c in vectors:
                    after[r, p, c] = emit_fma(b, x, held[p, c], sums[r, p, c])
        else:
            inputs = [input_of(r) for r in range(R)]
            for p, c in vectors:
                w = weights_of(p, c)
                for r in range(R):
                    after[r, p, c] = emit_fma(b, inputs[r], w, sums[r, p, c])
        k_next, at_next = b.add(k, I64(1)), b.add(at, weights_step)
        k.add_incoming(k_next, loop)
        at.add_incoming(at_next, loop)
        for cell in cells:
            sums[cell].add_incoming(after[cell], loop)
        b.cbranch(b.icmp_signed("<", k_next, K), loop, done)

        b.position_at_end(done)
        for r, p, c in cells:
            emit_store(b, after[r, p, c], place(out, out_step, r, p, c))

    @intrinsic
    def tile(
        typingctx: Any, table: Any, offset: Any, K: Any, weights: Any, weights_step: Any, panel_step: Any,
        initial: Any, initial_step: Any, out: Any, out_step: Any,
    ) -> Any:  # fmt: skip
        def generate(context: Any, builder: Any, _signature: Any, values: list[Any]) -> Any:
            emit(builder, values)
            return context.get_dummy_value()

        return types.void(*[types.int64] * 10), generate

    return tile
