"""The floating-point mode that kernels run in, whatever the thread had before: rounding to nearest, no traps, and
denormal numbers, those below 2^-126 in magnitude, are zeros (of the same sign), read or computed.

Denormals carry nothing that could be heard or seen, but processors take ten to fifty times as long over them: a state
that decays towards zero after speech would slow down all streams of its tick.

The mode is set where compiled code is entered and put back where it is left, however it is left. The code itself is a
function of its own that is never inlined, because LLVM knows nothing of modes and would move arithmetic across the
switch. Machines other than x86-64 and ARM64 keep denormals.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from llvmlite import ir
from numba.core import cgutils, lowering
from numba.core.compiler import CompilerBase, DefaultPassBuilder
from numba.core.compiler_machinery import register_pass
from numba.core.typed_passes import BaseNativeLowering, NativeLowering

MXCSR = 0x9FC0
"""x86-64: flush to zero (bit 15), all exceptions masked (12 to 7), denormals are zeros (6)."""
FPCR = 1 << 24
"""ARM64: flush to zero, of operands and of results."""

_POINTER, _I32, _I64 = ir.PointerType(), ir.IntType(32), ir.IntType(64)


def _intrinsic(b: Any, name: str, result: Any, *arguments: Any) -> Any:
    kind = ir.FunctionType(result, [each.type for each in arguments])
    return b.call(cgutils.get_or_insert_function(b.module, kind, name), arguments)


def _x86(b: Any) -> Callable[[], None]:
    before, ours = b.alloca(_I32), b.alloca(_I32)
    _intrinsic(b, "llvm.x86.sse.stmxcsr", ir.VoidType(), before)
    b.store(_I32(MXCSR), ours)
    _intrinsic(b, "llvm.x86.sse.ldmxcsr", ir.VoidType(), ours)
    return lambda: _intrinsic(b, "llvm.x86.sse.ldmxcsr", ir.VoidType(), before)


def _arm(b: Any) -> Callable[[], None]:
    before = _intrinsic(b, "llvm.aarch64.get.fpcr", _I64)
    _intrinsic(b, "llvm.aarch64.set.fpcr", ir.VoidType(), _I64(FPCR))
    return lambda: _intrinsic(b, "llvm.aarch64.set.fpcr", ir.VoidType(), before)


def _elsewhere(_b: Any) -> Callable[[], None]:
    return lambda: None


_SWITCHES = {"x86_64": _x86, "aarch64": _arm, "arm64": _arm}


def emit_entry(entry: Any, body: Any) -> None:
    """IR: the function ``entry``, of the type of ``body``, sets the mode, calls ``body`` and puts back what was."""
    body.attributes.add("noinline")
    b = ir.IRBuilder(entry.append_basic_block("entry"))
    put_back = _SWITCHES.get(entry.module.triple.partition("-")[0], _elsewhere)(b)
    result = b.call(body, entry.args)
    put_back()
    b.ret(result)


class _Lower(lowering.Lower):
    """Numba's way from typed code to IR, but the code goes into a body, and the function's name is its entry."""

    def setup_function(self, fndesc: Any) -> None:
        entry = self.context.declare_function(self.module, fndesc)
        body = ir.Function(self.module, entry.function_type, f"{entry.name}.body")
        self.call_conv.decorate_function(body, fndesc.args, fndesc.argtypes, noalias=fndesc.noalias)
        emit_entry(entry, body)
        self.function = body
        self.entry_block = body.append_basic_block("entry")
        self.builder = ir.IRBuilder(self.entry_block)
        self.call_helper = self.call_conv.init_call_helper(self.builder)


@register_pass(mutates_CFG=True, analysis_only=False)
class _Lowering(BaseNativeLowering):
    _name: Any = "ostinato_lowering"

    @property
    def lowering_class(self) -> type[lowering.Lower]:
        return _Lower


class KernelCompiler(CompilerBase):
    """A pipeline of Numba's, for ``njit(pipeline_class=…)``: whoever calls the function, compiled code too, has it
    run in the mode."""

    def define_pipelines(self) -> list[Any]:
        """Numba's own, but for the lowering."""
        pipeline = DefaultPassBuilder.define_nopython_pipeline(self.state)
        pipeline.passes = [
            (_Lowering, what) if one is NativeLowering else (one, what) for one, what in pipeline.passes
        ]
        assert any(one is _Lowering for one, _ in pipeline.passes)
        pipeline.finalize()
        return [pipeline]
