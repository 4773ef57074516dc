"""An ONNX file becomes a checked graph in memory: bounded, complete in itself, without functions."""

from __future__ import annotations

import math
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np

from ostinato.errors import ForeignModelError
from ostinato.importing.onnx.elements import Array
from ostinato.model.file import MAX_FILE_BYTES

MAX_NODES = 20_000
"""Of a graph, those of its branches, loops and functions counted."""
OLDEST = 7
MAX_DEPTH = 16
"""Of branches and loops within each other."""


def load(path: Path) -> Any:
    """The `onnx.ModelProto` of a file, without nodes that no output needs. Raises ForeignModelError for what is none,
    is too large, keeps weights elsewhere or breaks the format's rules."""
    import onnx
    from google.protobuf.message import DecodeError

    with path.open("rb") as file:
        raw = file.read(MAX_FILE_BYTES + 1)
    if len(raw) > MAX_FILE_BYTES:
        raise ForeignModelError(f"over {MAX_FILE_BYTES} bytes: use a smaller model")
    try:
        model = onnx.load_from_string(raw)
    except (DecodeError, ValueError) as error:
        raise ForeignModelError(f"is no complete ONNX file ({error}): copy or export it again") from error
    if not model.graph.node and not model.graph.output:
        raise ForeignModelError("holds no graph: copy or export it again")
    if (count := sum(1 for _ in nodes(model))) > MAX_NODES:
        raise ForeignModelError(f"{count} nodes are over the limit of {MAX_NODES}: export a smaller graph")
    for each in model.opset_import:
        if each.domain in ("", "ai.onnx") and each.version < OLDEST:
            raise ForeignModelError(
                f"opset {each.version} is older than {OLDEST}, the first whose operators broadcast: bring it up to "
                "date (onnx.version_converter.convert_version(model, 17))"
            )
    for tensor in tensors(model):
        _check_tensor(tensor)
    _check(model)
    if model.functions:
        from onnx import inliner

        model = inliner.inline_local_functions(model)
        if (count := sum(1 for _ in nodes(model))) > MAX_NODES:
            raise ForeignModelError(f"{count} nodes, functions inlined, are over the limit of {MAX_NODES}")
    for graph in reversed(list(graphs(model.graph))):  # the innermost first
        kept = _needed(graph)
        if len(kept) < len(graph.node):
            left = [onnx.NodeProto.FromString(node.SerializeToString()) for node in kept]
            del graph.node[:]
            graph.node.extend(left)
    return model


def graphs(graph: Any, depth: int = 0) -> Iterator[Any]:
    """A graph, and those of its branches and loops."""
    if depth > MAX_DEPTH:
        raise ForeignModelError(f"branches and loops stand over {MAX_DEPTH} deep within each other")
    yield graph
    for node in graph.node:
        for attribute in node.attribute:
            if attribute.HasField("g"):
                yield from graphs(attribute.g, depth + 1)
            for each in attribute.graphs:
                yield from graphs(each, depth + 1)


def nodes(model: Any) -> Iterator[Any]:
    """All nodes of a model, those of functions too."""
    for graph in graphs(model.graph):
        yield from graph.node
    for function in model.functions:
        yield from function.node


def _needed(graph: Any) -> list[Any]:
    """The nodes that its outputs need, in order."""
    wanted, found = {each.name for each in graph.output}, []
    for node in reversed(graph.node):
        if any(name in wanted for name in node.output):
            found.append(node)
            wanted.update(node.input)
            for attribute in node.attribute:
                if attribute.HasField("g"):
                    wanted.update(_captured(attribute.g))
    return found[::-1]


def _captured(graph: Any) -> Iterator[str]:
    """Names that a branch or loop may read from outside."""
    for node in graph.node:
        yield from node.input
        for attribute in node.attribute:
            if attribute.HasField("g"):
                yield from _captured(attribute.g)
    yield from (each.name for each in graph.output)


def tensors(model: Any) -> Iterator[Any]:
    """All tensors that stand in a model."""
    for graph in graphs(model.graph):
        yield from graph.initializer
        for each in graph.sparse_initializer:
            raise ForeignModelError(f"initializer {each.values.name!r} is sparse: export dense weights")
    for node in nodes(model):
        for attribute in node.attribute:
            if attribute.HasField("t"):
                yield attribute.t
            yield from attribute.tensors


def array_of(tensor: Any) -> Array:
    """Its values."""
    from onnx import numpy_helper

    made: Array = numpy_helper.to_array(tensor)
    return made


def _check_tensor(tensor: Any) -> None:
    """Raise ForeignModelError unless as many bytes are there as its sizes say."""
    from onnx import TensorProto, helper

    name = tensor.name or "of a node"
    if tensor.external_data or tensor.data_location == TensorProto.EXTERNAL:
        raise ForeignModelError(
            f"tensor {name!r} is kept in another file, and no other file is read: save the model as one file "
            "(onnx.save(onnx.load(path), one_file))"
        )
    if any(size < 0 for size in tensor.dims):
        raise ForeignModelError(f"tensor {name!r} has sizes {list(tensor.dims)}")
    if tensor.data_type == TensorProto.STRING:
        return
    try:
        dtype = np.dtype(helper.tensor_dtype_to_np_dtype(tensor.data_type))
    except (KeyError, TypeError) as error:
        raise ForeignModelError(f"tensor {name!r} is of unknown type {tensor.data_type}: export float32") from error
    count = math.prod(tensor.dims)
    packed = tensor.data_type in (TensorProto.INT4, TensorProto.UINT4, TensorProto.FLOAT4E2M1)
    wanted = (count + 1) // 2 if packed else count * dtype.itemsize
    if tensor.HasField("raw_data"):
        have = len(tensor.raw_data)
    else:
        typed = len(tensor.float_data) + len(tensor.int32_data) + len(tensor.int64_data)
        typed += len(tensor.double_data) + len(tensor.uint64_data)
        complex_parts = 2 if dtype.kind == "c" else 1
        have, wanted = typed, -(-count // 2) if packed else count * complex_parts
    if have != wanted:
        raise ForeignModelError(
            f"tensor {name!r} of sizes {list(tensor.dims)} should have {wanted} bytes or values, and the file has "
            f"{have}: copy or export it again"
        )


def _check(model: Any) -> None:
    """What the format's own checker finds. Operators of other makers are looked at when they are met."""
    from onnx import checker

    try:
        checker.check_model(model, skip_opset_compatibility_check=True)
    except Exception as error:  # the C++ side raises several kinds
        reason = " ".join(str(error).split())
        if "No Op registered" in reason or "Field 'shape' of 'type' is required" in reason:
            return  # the rest is checked where it is met; an output's sizes are not needed
        raise ForeignModelError(f"breaks ONNX's rules: {reason[:300]}") from error
