"""The one product: rows times packed weights, register tiles chosen for the host.

Packed weights: outputs in vectors of 16, vectors in panels of 4, a panel as [inputs][4 vectors][16]; if the number of
vectors is no multiple of 4, the last panel is narrower. The layout is the same on every host.

A *tile* of R rows and V vectors keeps its R * V sums in registers while it goes through the inputs: ``_tR_V`` below.
Which tiles cover a product depends on the rows and on the host's registers:

    rows            32 registers of 16 floats (WIDE)          16 shorter registers
    one             3 panels, 2 panels, then 1, at once       a panel at once
                    (_t1_12, _t1_8, _t1_4)                    (_t1_4)
    two or more     4 x 4, of panels beyond L1 6 x 4;         6 x 1, the last 5 x 1, …, 2 x 2, 2 x 1
                    the last 5 x 4, …, 1 x 4
                    (_rows_wide, a panel)                     (_rows_narrow, a panel of any width)
    one, far        a panel, the next one fetched meanwhile (_t1_far, `far_row`: what `kernels.far` says)
    … last panel    8 x 1 or 8 x 2, then 4 x 1, 4 x 2 or 4 x 3, then row by row
                    (_rows_last)
"""

from __future__ import annotations

import numpy as np
import numpy.typing as npt
from numba.core import config
from numba.core.codegen import get_host_cpu_features

from ostinato.kernels.compiler import part, routine
from ostinato.kernels.simd import BYTES
from ostinato.kernels.tile import make_tile
from ostinato.lanes import LANES

PANEL = 4
_FORCED: str | None = vars(config)["CPU_FEATURES"]
FEATURES = (get_host_cpu_features() if _FORCED is None else _FORCED).split(",")
WIDE = "+avx512f" in FEATURES  # 32 registers of 16 floats; otherwise a vector is several registers, 16 in all

# One row: enough panels for the additions not to wait for each other. Several: as many sums as registers allow, less
# those for weights and inputs: on AVX2 six rows of one vector are 12 sums, 2 weights and 1 input, 15 registers of 16.
# Six rows of a panel read each vector of weights for six multiply-adds instead of four, which counts where the panel
# comes from L2: up to so many inputs it stays in L1 (32 KB), and four rows are as fast, and sooner done.
IN_L1 = 128
_t1 = make_tile(1, 1)
_t1_2, _t1_3, _t1_4 = make_tile(1, 2), make_tile(1, 3), make_tile(1, 4)
_t1_8, _t1_12 = make_tile(1, 4, 2), make_tile(1, 4, 3)
_t1_far = make_tile(1, 4, ahead=2048)
_t2_4, _t3_4, _t4_4, _t5_4, _t6_4 = (make_tile(R, 4) for R in (2, 3, 4, 5, 6))
_t4_1, _t4_2, _t4_3 = make_tile(4, 1), make_tile(4, 2), make_tile(4, 3)
_t8_1, _t8_2 = make_tile(8, 1), make_tile(8, 2)
_t2_1, _t2_2, _t3_1, _t5_1, _t6_1 = (
    make_tile(2, 1),
    make_tile(2, 2),
    make_tile(3, 1),
    make_tile(5, 1),
    make_tile(6, 1),
)


def vectors_of(outputs: int) -> int:
    """Vectors that hold so many outputs."""
    return -(-outputs // LANES)


def pack(matrix: npt.NDArray[np.float32]) -> npt.NDArray[np.float32]:
    """A matrix [outputs, inputs], outputs a multiple of 16, as packed weights [outputs * inputs]."""
    outputs = len(matrix)
    panels = []
    for start in range(0, outputs, PANEL * LANES):
        panels.append(np.ascontiguousarray(matrix[start : start + PANEL * LANES].T, np.float32).ravel())
    return np.concatenate(panels) if panels else np.empty(0, np.float32)


@part
def _one_row_narrow(table: int, offset: int, K: int, weights: int, vectors: int, initial: int, out: int) -> None:
    if vectors == 1:
        _t1(table, offset, K, weights, BYTES, 0, initial, 0, out, 0)
    elif vectors == 2:
        _t1_2(table, offset, K, weights, 2 * BYTES, 0, initial, 0, out, 0)
    elif vectors == 3:
        _t1_3(table, offset, K, weights, 3 * BYTES, 0, initial, 0, out, 0)


@routine("void(int64, int64, int64, int64, int64, int64, int64)")
def _one_row(table: int, offset: int, K: int, weights: int, vectors: int, initial: int, out: int) -> None:
    """`product` for one row."""
    step = PANEL * BYTES
    panel = K * step
    left = vectors
    while WIDE and left >= 12 and left // PANEL != 4:
        _t1_12(table, offset, K, weights, step, panel, initial, 0, out, 0)
        weights += 3 * panel
        initial += 12 * BYTES
        out += 12 * BYTES
        left -= 12
    while WIDE and left >= 8:
        _t1_8(table, offset, K, weights, step, panel, initial, 0, out, 0)
        weights += 2 * panel
        initial += 8 * BYTES
        out += 8 * BYTES
        left -= 8
    while left >= 4:
        _t1_4(table, offset, K, weights, step, panel, initial, 0, out, 0)
        weights += panel
        initial += 4 * BYTES
        out += 4 * BYTES
        left -= 4
    _one_row_narrow(table, offset, K, weights, left, initial, out)


@routine("void(int64, int64, int64, int64, int64, int64, int64)")
def far_row(table: int, offset: int, K: int, weights: int, vectors: int, initial: int, out: int) -> None:
    """`product` for one row, with weights from afar (`kernels.far`): read in one piece, as they lie, and fetched
    ahead, because the processor's own fetching follows several places at once less well."""
    left = vectors
    while left >= PANEL:
        _t1_far(table, offset, K, weights, PANEL * BYTES, 0, initial, 0, out, 0)
        weights += K * PANEL * BYTES
        initial += PANEL * BYTES
        out += PANEL * BYTES
        left -= PANEL
    _one_row_narrow(table, offset, K, weights, left, initial, out)


@routine("void(int64, int64, int64, int64, int64, int64, int64, int64, int64)")
def _rows_wide(
    table: int, offset: int, rows: int, K: int, weights: int, initial: int, initial_step: int, out: int, out_step: int
) -> None:
    """A full panel for several rows, AVX-512.

    Rows by themselves, or two, wait for weights: so the last five begin with three, or, where six go at a time, the
    last seven and eight with four.
    """
    step = PANEL * BYTES
    left = rows
    while left > 0:
        if K <= IN_L1:
            R = left if left < 4 else 3 if left == 5 else 4
        else:
            R = left if left <= 6 else 4 if left <= 8 else 6
        if R == 6:
            _t6_4(table, offset, K, weights, step, 0, initial, initial_step, out, out_step)
        elif R == 5:
            _t5_4(table, offset, K, weights, step, 0, initial, initial_step, out, out_step)
        elif R == 4:
            _t4_4(table, offset, K, weights, step, 0, initial, initial_step, out, out_step)
        elif R == 3:
            _t3_4(table, offset, K, weights, step, 0, initial, initial_step, out, out_step)
        elif R == 2:
            _t2_4(table, offset, K, weights, step, 0, initial, initial_step, out, out_step)
        else:
            _t1_4(table, offset, K, weights, step, 0, initial, 0, out, 0)
        table += 8 * R
        initial += R * initial_step
        out += R * out_step
        left -= R


@routine("void(int64, int64, int64, int64, int64, int64, int64, int64, int64, int64)")
def _rows_narrow(
    table: int,
    offset: int,
    rows: int,
    K: int,
    weights: int,
    vectors: int,
    initial: int,
    initial_step: int,
    out: int,
    out_step: int,
) -> None:
    """A panel of ``vectors`` for two rows or more, sixteen shorter registers.

    Six rows at a time. Fewer use fewer sums, and four take as long as five: so the last seven, nine and ten begin
    with five.
    """
    step = vectors * BYTES
    left = rows
    while left > 0:
        R = left if left < 6 else 6 if left > 10 or left == 6 or left == 8 else 5
        at = 0
        while at < step:
            w = weights + at
            start = initial + at
            end = out + at
            at += BYTES
            if R == 6:
                _t6_1(table, offset, K, w, step, 0, start, initial_step, end, out_step)
            elif R == 5:
                _t5_1(table, offset, K, w, step, 0, start, initial_step, end, out_step)
            elif R == 4:
                _t4_1(table, offset, K, w, step, 0, start, initial_step, end, out_step)
            elif R == 3:
                _t3_1(table, offset, K, w, step, 0, start, initial_step, end, out_step)
            elif at < step:
                _t2_2(table, offset, K, w, step, 0, start, initial_step, end, out_step)
                at += BYTES
            else:
                _t2_1(table, offset, K, w, step, 0, start, initial_step, end, out_step)
        table += 8 * R
        initial += R * initial_step
        out += R * out_step
        left -= R


@routine("void(int64, int64, int64, int64, int64, int64, int64, int64, int64, int64)")
def _rows_last(
    table: int,
    offset: int,
    rows: int,
    K: int,
    weights: int,
    vectors: int,
    initial: int,
    initial_step: int,
    out: int,
    out_step: int,
) -> None:
    """The last, narrower panel for several rows, AVX-512."""
    left = rows
    while left >= 8 and vectors < 3:
        if vectors == 1:
            _t8_1(table, offset, K, weights, BYTES, 0, initial, initial_step, out, out_step)
        else:
            _t8_2(table, offset, K, weights, 2 * BYTES, 0, initial, initial_step, out, out_step)
        table += 64
        initial += 8 * initial_step
        out += 8 * out_step
        left -= 8
    while left >= 4:
        if vectors == 1:
            _t4_1(table, offset, K, weights, BYTES, 0, initial, initial_step, out, out_step)
        elif vectors == 2:
            _t4_2(table, offset, K, weights, 2 * BYTES, 0, initial, initial_step, out, out_step)
        else:
            _t4_3(table, offset, K, weights, 3 * BYTES, 0, initial, initial_step, out, out_step)
        table += 32
        initial += 4 * initial_step
        out += 4 * out_step
        left -= 4
    while left > 0:
        _one_row_narrow(table, offset, K, weights, vectors, initial, out)
        table += 8
        initial += initial_step
        out += out_step
        left -= 1


@routine("void(int64, int64, int64, int64, int64, int64, int64, int64, int64, int64)")
def _rows(
    table: int,
    offset: int,
    rows: int,
    K: int,
    weights: int,
    vectors: int,
    initial: int,
    initial_step: int,
    out: int,
    out_step: int,
) -> None:
    """`product` for two rows or more."""
    for first in range(0, vectors, PANEL):
        at = first * BYTES
        width = min(PANEL, vectors - first)
        if not WIDE:
            _rows_narrow(
                table, offset, rows, K, weights + K * at, width, initial + at, initial_step, out + at, out_step
            )
        elif width == PANEL:
            _rows_wide(table, offset, rows, K, weights + K * at, initial + at, initial_step, out + at, out_step)
        else:
            _rows_last(
                table, offset, rows, K, weights + K * at, width, initial + at, initial_step, out + at, out_step
            )


@routine("void(int64, int64, int64, int64, int64, int64, int64, int64, int64, int64)")
def product(
    table: int,
    offset: int,
    rows: int,
    K: int,
    weights: int,
    vectors: int,
    initial: int,
    initial_step: int,
    out: int,
    out_step: int,
) -> None:
    """Computes out = initial + x W for all rows; each sum over k in order, fused.

    All arguments are int64, addresses and steps in bytes. ``table`` holds the addresses of the ``rows`` rows, whose
    K inputs are at ``offset`` from there. ``initial`` and ``out``: ``vectors`` vectors per row; an ``initial_step``
    of 0 starts every row from the same values (a bias); they may be the same memory.
    """
    if rows == 1:
        _one_row(table, offset, K, weights, vectors, initial, out)
    else:
        _rows(table, offset, rows, K, weights, vectors, initial, initial_step, out, out_step)
