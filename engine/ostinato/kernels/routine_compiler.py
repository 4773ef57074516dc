"""How routines are compiled: the code stands right under the symbol that others call.

Numba's C callbacks are a wrapper that calls the code by a convention of Numba's own. That is a second call each time,
and worse: what was passed in memory the wrapper copies by vectors, which have to wait until all stores before them
are done, so that no two calls' arithmetic overlapped.
"""

from __future__ import annotations

from typing import Any

from llvmlite import ir
from numba.core import lowering
from numba.core.compiler import CompilerBase, DefaultPassBuilder
from numba.core.compiler_machinery import register_pass
from numba.core.typed_passes import BaseNativeLowering, NativeLowering


class _Lower(lowering.Lower):
    """Numba's way from typed code to IR, but what others call takes the code in."""

    def setup_function(self, fndesc: Any) -> None:
        super().setup_function(fndesc)
        self.function.linkage = "linkonce_odr"  # nobody else needs it
        self.function.attributes.add("alwaysinline")
        arguments = [self.context.get_value_type(each) for each in fndesc.argtypes]
        kind = ir.FunctionType(self.context.get_value_type(fndesc.restype), arguments)
        entry = ir.Function(self.module, kind, fndesc.llvm_cfunc_wrapper_name)
        b = ir.IRBuilder(entry.append_basic_block("entry"))
        _, result = self.call_conv.call_function(b, self.function, fndesc.restype, fndesc.argtypes, entry.args)
        b.ret(result)

    def create_cfunc_wrapper(self) -> None:
        """It is there already."""


@register_pass(mutates_CFG=True, analysis_only=False)
class _Lowering(BaseNativeLowering):
    _name: Any = "ostinato_routine_lowering"

    @property
    def lowering_class(self) -> type[lowering.Lower]:
        return _Lower


class RoutineCompiler(CompilerBase):
    """A pipeline of Numba's, for `CFunc`. Routines raise nothing, so what would tell of an error is left out."""

    def define_pipelines(self) -> list[Any]:
        """Numba's own, but for the lowering."""
        pipeline = DefaultPassBuilder.define_nopython_pipeline(self.state)
        pipeline.passes = [
            (_Lowering, what) if one is NativeLowering else (one, what) for one, what in pipeline.passes
        ]
        assert any(one is _Lowering for one, _ in pipeline.passes)
        pipeline.finalize()
        return [pipeline]
