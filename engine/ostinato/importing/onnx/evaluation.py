"""What follows from constants alone is computed at once, by ONNX's own reference implementation, within bounds."""

from __future__ import annotations

import math
import warnings
from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
import onnx
from onnx import defs, helper, numpy_helper, shape_inference
from onnx.reference import ReferenceEvaluator

from ostinato.importing.onnx.elements import Array

MOST = 1 << 26
"""Elements of a tensor that is computed here, of 32 bits: 256 MiB."""


class Evaluator:
    """Runs single nodes. Those of a loop are prepared once."""

    def __init__(self, opsets: Mapping[str, int]) -> None:
        self._opsets = dict(opsets)
        self._prepared: dict[bytes, ReferenceEvaluator] = {}

    def run(self, node: onnx.NodeProto, inputs: Sequence[Array | None]) -> list[Array]:
        """The outputs of a node. Raises ValueError, in words that go behind "node 'x' (Operator): ", where they
        cannot be computed or are too large."""
        given = {name: array for name, array in zip(node.input, inputs, strict=True) if name and array is not None}
        self._check(node, given)
        key = node.SerializeToString(deterministic=True)
        if key not in self._prepared:
            self._prepared[key] = ReferenceEvaluator(self._model(node, given))
        try:
            with np.errstate(all="ignore"), warnings.catch_warnings():
                warnings.simplefilter("ignore")
                made = self._prepared[key].run(None, given)
        except Exception as error:  # whatever the reference raises for arguments that do not fit
            reason = str(error).strip().splitlines() or [type(error).__name__]
            raise ValueError(f"cannot be computed: {reason[0]}") from error
        return [np.asarray(each) for each in made]

    def _model(self, node: onnx.NodeProto, given: Mapping[str, Array]) -> onnx.ModelProto:
        own = onnx.NodeProto()
        own.CopyFrom(node)
        inputs = [
            helper.make_tensor_value_info(name, helper.np_dtype_to_tensor_dtype(array.dtype), None)
            for name, array in given.items()
        ]
        outputs = [onnx.ValueInfoProto(name=name) for name in node.output if name]
        opsets = [helper.make_opsetid(domain, version) for domain, version in self._opsets.items()]
        return helper.make_model(helper.make_graph([own], "node", inputs, outputs), opset_imports=opsets)

    def _check(self, node: onnx.NodeProto, given: Mapping[str, Array]) -> None:
        """Raise ValueError if an output is known to be too large, before it is made."""
        try:
            schema = defs.get_schema(node.op_type, self._opsets.get(node.domain, 1), node.domain)
            types = {
                name: helper.make_tensor_type_proto(helper.np_dtype_to_tensor_dtype(array.dtype), array.shape)
                for name, array in given.items()
            }
            data = {name: numpy_helper.from_array(array) for name, array in given.items() if array.size <= 64}
            opsets = [helper.make_opsetid(domain, version) for domain, version in self._opsets.items()]
            made = shape_inference.infer_node_outputs(schema, node, types, data, opset_imports=opsets, ir_version=10)
        except Exception as error:  # the C++ side raises several kinds
            reason = str(error).strip().splitlines() or [type(error).__name__]
            raise ValueError(f"does not fit its inputs: {reason[-1]}") from error
        for each in made.values():
            dimensions: list[Any] = [one.dim_value for one in each.tensor_type.shape.dim]
            wide = each.tensor_type.elem_type in (onnx.TensorProto.INT64, onnx.TensorProto.DOUBLE)
            most = MOST // 2 if wide else MOST
            if math.prod(dimensions) > most:
                raise ValueError(f"gives {dimensions}: at most {most} values can be computed while a graph is read")
