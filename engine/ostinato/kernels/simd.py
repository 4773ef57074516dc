"""A vector of 16 float32 for Numba: kernels are written as vector code and do not hope for the auto-vectoriser.

LLVM splits a vector into what the host has (one AVX-512, two AVX, four SSE or NEON registers), so the layouts and the
bits are the same everywhere. Nothing here may be reassociated or contracted: `fma` is fused, everything else is not.

Memory is addressed by int64 addresses in bytes; no alignment is needed, nothing is checked.
"""

from __future__ import annotations

import operator
from collections.abc import Callable
from typing import Any, ClassVar, TypeAlias

from llvmlite import ir
from numba.core import cgutils, types
from numba.core.datamodel.models import PrimitiveModel
from numba.core.datamodel.registry import register_default
from numba.core.typing.templates import ConcreteTemplate, infer_global, signature
from numba.extending import intrinsic, lower_builtin

from ostinato.lanes import LANES

BYTES = 4 * LANES

Lanes: TypeAlias = Any
"""In annotations: 16 float32, a value of type `vector` in compiled code."""

FLOAT, I32, I64, POINTER = ir.FloatType(), ir.IntType(32), ir.IntType(64), ir.PointerType()
FLOATS, INTS = ir.VectorType(FLOAT, LANES), ir.VectorType(I32, LANES)


class Vector(types.Type):
    """Numba's type of 16 float32."""

    def __init__(self) -> None:
        super().__init__(name=f"float32x{LANES}")


vector = Vector()


@register_default(Vector)
class VectorModel(PrimitiveModel):
    """A vector is an LLVM vector: it lives in registers."""

    def __init__(self, manager: Any, type_: Any) -> None:
        super().__init__(manager, type_, FLOATS)


def emit_load(b: Any, address: Any, type_: Any) -> Any:
    """IR: the value of LLVM type ``type_`` at an address."""
    return b.load(b.inttoptr(address, POINTER), typ=type_, align=4)


def emit_store(b: Any, value: Any, address: Any) -> None:
    """IR: a value to an address."""
    b.store(value, b.inttoptr(address, POINTER), align=4)


def emit_splat(b: Any, x: Any) -> Any:
    """IR: a scalar in all lanes."""
    undefined = ir.Constant(FLOATS, ir.Undefined)
    return b.shuffle_vector(b.insert_element(undefined, x, I32(0)), undefined, ir.Constant(INTS, [0] * LANES))


def emit_fma(b: Any, x: Any, y: Any, z: Any) -> Any:
    """IR: x * y + z, rounded once."""
    kind = ir.FunctionType(FLOATS, [FLOATS] * 3)
    return b.call(cgutils.get_or_insert_function(b.module, kind, f"llvm.fma.v{LANES}f32"), [x, y, z])


def emit_prefetch(b: Any, pointer: Any, locality: int) -> None:
    """IR: have the cache line at a pointer brought into the first level (``locality`` 3) or the second (2)."""
    kind = ir.FunctionType(ir.VoidType(), [POINTER, I32, I32, I32])
    function = cgutils.get_or_insert_function(b.module, kind, "llvm.prefetch.p0")
    b.call(function, [pointer, I32(0), I32(locality), I32(1)])


def _ints(value: int) -> Any:
    return ir.Constant(INTS, [value] * LANES)


def _define(result: Any, *arguments: Any) -> Callable[[Callable[..., Any]], Any]:
    """An intrinsic of these Numba types whose IR the decorated function(builder, *values) emits."""

    def decorate(emit: Callable[..., Any]) -> Any:
        def generate(context: Any, builder: Any, _signature: Any, values: Any) -> Any:
            value = emit(builder, *values)
            return context.get_dummy_value() if value is None else value

        # numba.extending.intrinsic counts the parameters, so there is one typing function per number of them.
        typing: dict[int, Callable[..., Any]] = {
            1: lambda typingctx, a: (signature(result, *arguments), generate),
            2: lambda typingctx, a, b: (signature(result, *arguments), generate),
            3: lambda typingctx, a, b, c: (signature(result, *arguments), generate),
            4: lambda typingctx, a, b, c, d: (signature(result, *arguments), generate),
            6: lambda typingctx, a, b, c, d, e, f: (signature(result, *arguments), generate),
        }
        function = typing[len(arguments)]
        function.__name__ = emit.__name__.lstrip("_")
        function.__doc__ = emit.__doc__
        return intrinsic(function)

    return decorate


def _address(typingctx: Any, array: Any) -> Any:
    """Where an array's values begin."""

    def generate(context: Any, builder: Any, sig: Any, values: Any) -> Any:
        data = context.make_array(sig.args[0])(context, builder, values[0]).data
        return builder.ptrtoint(data, I64)

    return types.int64(array), generate


address: Any = intrinsic(_address)


@_define(vector, types.int64)
def load(b: Any, address: Any) -> Any:
    """16 float32 from an address on."""
    return emit_load(b, address, FLOATS)


@_define(types.void, types.int64, vector)
def store(b: Any, address: Any, x: Any) -> None:
    """A vector to an address."""
    emit_store(b, x, address)


@_define(types.void, types.int64)
def prefetch(b: Any, address: Any) -> Any:
    """Have the cache line at an address brought near; there need be no memory."""
    emit_prefetch(b, b.inttoptr(address, POINTER), 2)


@_define(types.void, types.int64, vector)
def store_bytes(b: Any, address: Any, x: Any) -> None:
    """The lowest byte of each lane's bits to an address."""
    b.store(b.trunc(b.bitcast(x, INTS), ir.VectorType(ir.IntType(8), LANES)), b.inttoptr(address, POINTER), align=1)


@_define(types.float32, types.int64)
def load_float(b: Any, address: Any) -> Any:
    """The float32 at an address."""
    return emit_load(b, address, FLOAT)


@_define(types.void, types.int64, types.float32)
def store_float(b: Any, address: Any, x: Any) -> None:
    """A float32 to an address."""
    emit_store(b, x, address)


@_define(types.int64, types.int64)
def load_int(b: Any, address: Any) -> Any:
    """The int64 at an address."""
    return emit_load(b, address, I64)


@_define(types.int64, types.float64)
def bits_of(b: Any, x: Any) -> Any:
    """A float64's bits."""
    return b.bitcast(x, I64)


@_define(types.float64, types.int64)
def from_bits(b: Any, x: Any) -> Any:
    """The float64 of these bits."""
    return b.bitcast(x, ir.DoubleType())


@_define(types.int64, types.int64, types.int64)
def field(b: Any, record: Any, index: Any) -> Any:
    """Number ``index`` of the int64 from an address on."""
    return emit_load(b, b.add(record, b.mul(index, I64(8))), I64)


@_define(types.CPointer(types.float32), types.int64)
def floats_at(b: Any, address: Any) -> Any:
    """The float32 from an address on, for `numba.carray`."""
    return b.inttoptr(address, POINTER)


@_define(types.CPointer(types.float64), types.int64)
def doubles_at(b: Any, address: Any) -> Any:
    """The same of float64."""
    return b.inttoptr(address, POINTER)


@_define(types.CPointer(types.int64), types.int64)
def ints_at(b: Any, address: Any) -> Any:
    """The same of int64."""
    return b.inttoptr(address, POINTER)


@_define(types.void, types.int64, types.int64)
def store_int(b: Any, address: Any, x: Any) -> None:
    """An int64 to an address."""
    emit_store(b, x, address)


def _call(b: Any, function: Any, *arguments: Any) -> None:
    kind = ir.FunctionType(ir.VoidType(), [I64] * len(arguments))
    b.call(b.inttoptr(function, kind.as_pointer()), arguments)


@_define(types.void, types.int64, types.int64, types.int64)
def invoke(b: Any, routine: Any, x: Any, y: Any) -> None:
    """Call the routine at an address with two int64."""
    _call(b, routine, x, y)


@_define(types.void, types.int64, types.int64, types.int64, types.int64, types.int64, types.int64)
def invoke_cell(b: Any, routine: Any, op: Any, call: Any, rows: Any, gates: Any, out: Any) -> None:
    """Call the routine at an address with five int64."""
    _call(b, routine, op, call, rows, gates, out)


@_define(vector, types.float64)
def splat(b: Any, x: Any) -> Any:
    """A number, rounded to float32, in all lanes."""
    return emit_splat(b, b.fptrunc(x, FLOAT))


@_define(vector, vector, vector, vector)
def fma(b: Any, x: Any, y: Any, z: Any) -> Any:
    """The vector x * y + z, rounded once."""
    return emit_fma(b, x, y, z)


@_define(vector, vector)
def sqrt(b: Any, x: Any) -> Any:
    """The square root, correctly rounded; of negative numbers NaN."""
    function = cgutils.get_or_insert_function(b.module, ir.FunctionType(FLOATS, [FLOATS]), f"llvm.sqrt.v{LANES}f32")
    return b.call(function, [x])


@_define(vector, vector, vector, vector, vector)
def where_less(b: Any, x: Any, y: Any, then: Any, otherwise: Any) -> Any:
    """``then`` in the lanes where x < y, else ``otherwise`` (also where x or y is NaN)."""
    return b.select(b.fcmp_ordered("<", x, y), then, otherwise)


@_define(vector, types.int64, vector, vector)
def first_lanes(b: Any, n: Any, then: Any, otherwise: Any) -> Any:
    """``then`` in the lanes below n, else ``otherwise``."""
    undefined = ir.Constant(INTS, ir.Undefined)
    zeros = ir.Constant(INTS, [0] * LANES)
    limit = b.shuffle_vector(b.insert_element(undefined, b.trunc(n, I32), I32(0)), undefined, zeros)
    return b.select(b.icmp_signed("<", ir.Constant(INTS, list(range(LANES))), limit), then, otherwise)


@_define(types.void, types.int64, types.int64, types.int64)
def transpose(b: Any, table: Any, offset: Any, out: Any) -> None:
    """16 rows of 16 float32, at the addresses at ``table`` plus ``offset``, to 16 columns from ``out`` on.

    First within quarters of four lanes, which all hosts' registers hold whole, then quarters among each other.
    """

    def merged(rows: list[Any], far: int, lanes: int) -> list[Any]:
        """Of rows r and r + far the even, then the odd runs of ``lanes`` lanes, in turns one of r, one of r + far."""
        runs = [[lane + other for other in (0, LANES) for lane in range(first, first + lanes)]
                for first in range(0, LANES, lanes)]  # fmt: skip
        made = list(rows)
        for r in (r for r in range(LANES) if not r & far):
            for part, target in ((0, r), (1, r + far)):
                mask = ir.Constant(INTS, [lane for run in runs[part::2] for lane in run])
                made[target] = b.shuffle_vector(rows[r], rows[r + far], mask)
        return made

    rows = [emit_load(b, b.add(emit_load(b, b.add(table, I64(8 * r)), I64), offset), FLOATS) for r in range(LANES)]
    for distance in (1, 2, 4, 8):
        rows = merged(rows, distance, distance)
    for r, row in enumerate(rows):
        emit_store(b, row, b.add(out, I64(r * BYTES)))


def _fold(b: Any, x: Any, combine: Callable[[Any, Any], Any]) -> Any:
    """Lane 0 of: upper half with lower half, halving until one is left. The order is fixed, hence the bits."""
    half = LANES // 2
    while half:
        upper = b.shuffle_vector(x, ir.Constant(FLOATS, ir.Undefined), ir.Constant(INTS, [
            lane + half if lane < half else lane for lane in range(LANES)
        ]))  # fmt: skip
        x = combine(x, upper)
        half //= 2
    return b.extract_element(x, I32(0))


@_define(types.float32, vector)
def total(b: Any, x: Any) -> Any:
    """The sum of the lanes."""
    return _fold(b, x, b.fadd)


@_define(types.float32, vector)
def largest(b: Any, x: Any) -> Any:
    """The greatest lane; NaN if lane 0's side of some comparison is NaN."""
    return _fold(b, x, lambda x, y: b.select(b.fcmp_ordered("<", x, y), y, x))


# --- bits: enough of the float32 format for exp and log -------------------------------------------------------------

_ROUNDER = 0x4B400000  # bits of 1.5 * 2**23: x + ROUNDER has the integer nearest to x in its lowest bits
ROUNDER = 12582912.0
_ROOT_HALF = 0x3F3504F3  # bits of sqrt(1/2)


@_define(vector, vector, vector)
def scale(b: Any, x: Any, power: Any) -> Any:
    """The vector x * 2**n where ``power`` is n + ROUNDER, |n| <= 252; in two factors, as 2**n may be too large."""
    n = b.sub(b.bitcast(power, INTS), _ints(_ROUNDER))
    half = b.ashr(n, _ints(1))
    for part in (half, b.sub(n, half)):
        factor = b.bitcast(b.shl(b.add(part, _ints(127)), _ints(23)), FLOATS)
        x = b.fmul(x, factor)
    return x


@_define(vector, vector)
def exponent(b: Any, x: Any) -> Any:
    """The n of x = m * 2**n with sqrt(1/2) <= m < sqrt(2), for normal positive x."""
    return b.sitofp(b.ashr(b.sub(b.bitcast(x, INTS), _ints(_ROOT_HALF)), _ints(23)), FLOATS)


@_define(vector, vector)
def flushed(b: Any, x: Any) -> Any:
    """The vector x, denormals as zeros of their sign. What is computed is flushed already (`float_mode`), what only
    passes through a selection may or may not be: processors' minimum and maximum flush, their blends do not."""
    bits = b.bitcast(x, INTS)
    denormal = b.icmp_signed("==", b.and_(bits, _ints(0x7F800000)), _ints(0))
    return b.bitcast(b.select(denormal, b.and_(bits, _ints(-(2**31))), bits), FLOATS)


@_define(vector, vector)
def mantissa(b: Any, x: Any) -> Any:
    """The m of x = m * 2**n with sqrt(1/2) <= m < sqrt(2), for normal positive x."""
    bits = b.and_(b.sub(b.bitcast(x, INTS), _ints(_ROOT_HALF)), _ints(0x007FFFFF))
    return b.bitcast(b.add(bits, _ints(_ROOT_HALF)), FLOATS)


# --- operators ------------------------------------------------------------------------------------------------------


def _operator(symbol: Any, instruction: str) -> None:
    class Typing(ConcreteTemplate):
        cases: ClassVar[list[Any]] = [signature(vector, vector, vector)]

    infer_global(symbol)(Typing)

    @lower_builtin(symbol, vector, vector)
    def lower(context: Any, builder: Any, sig: Any, values: Any) -> Any:
        return getattr(builder, instruction)(*values)


for _symbol, _instruction in (
    (operator.add, "fadd"),
    (operator.sub, "fsub"),
    (operator.mul, "fmul"),
    (operator.truediv, "fdiv"),
):
    _operator(_symbol, _instruction)
