"""Going through the operations of a call: the interpreter's loop, and that of operations that run programs within."""

from __future__ import annotations

from ostinato.kernels.compiler import part
from ostinato.kernels.operations.record import FIELDS, FIRST, LAST, OPERATIONS, RUN, together
from ostinato.kernels.simd import field, invoke, store_int


@part
def run_operations(call: int) -> None:
    """Run operations FIRST..LAST-1; those that recur together are run by the first of them."""
    number = field(call, FIRST)
    while number < field(call, LAST):
        op = field(call, OPERATIONS) + 8 * FIELDS * number
        invoke(field(op, RUN), op, call)
        number += together(op, call)


@part
def run_all(call: int, operations: int, count: int) -> None:
    """Run the ``count`` operations of a program, by a call that is otherwise prepared."""
    store_int(call + 8 * OPERATIONS, operations)
    store_int(call + 8 * FIRST, 0)
    store_int(call + 8 * LAST, count)
    run_operations(call)
