"""float32 networks to int8 ones, calibrated on frames that the network is to meet."""

from __future__ import annotations

import dataclasses
from collections.abc import Iterable, Iterator, Mapping
from typing import Any

import numpy as np
import numpy.typing as npt

from ostinato.errors import BadModelFileError, InputError
from ostinato.model.compile import matrix_inputs
from ostinato.model.integers import input_scale, to_integers
from ostinato.model.network import Network
from ostinato.model.specification import Node, Specification
from ostinato.model.whole_sequence import whole_sequence_rows

Float32 = npt.NDArray[np.float32]

KEPT = 4096
"""Values of one matrix's inputs that are kept of each utterance."""


def quantize(network: Network, utterances: Iterable[Float32]) -> Network:
    """The network with int8 weights and inputs in its recurrent layers, and in dense ones below its last.

    ``utterances``: frames [T, frame_size] each, or token ids [T, 1]: what the front end makes of typical input. The
    scales of all inputs are chosen by what flows through the float32 network then. The last layer, small as a rule,
    stays float32, and so does the W of a layer that token ids come to. Raises BadModelFileError if the network is
    int8 already or has nothing that can be, InputError if there are no frames.
    """
    quantized(network.specification)  # before anything is computed for it
    return quantize_for(network, observe(network, utterances))


def quantize_for(network: Network, observed: Mapping[str, Float32]) -> Network:
    """`quantize` for inputs such as those that `observe` saw."""
    specification = quantized(network.specification)
    wanted = specification.weights()
    weights: dict[str, npt.NDArray[Any]] = {}
    for name, array in network.weights.items():
        weights[name] = array
        if wanted[name].int8:
            weights[name], weights[f"{name}_scale"] = to_integers(array)
            weights[f"{name}_input_scale"] = np.array([input_scale(observed[name])], np.float32)
    return Network(specification, weights)


def quantized(specification: Specification) -> Specification:
    """The specification of a network that `quantize` makes. Raises BadModelFileError, see there."""
    name = specification.name
    if specification.precision == "int8":
        raise BadModelFileError(f"{name} is int8 already: quantize the float32 model that it was made from")
    if specification.encoder is not None:
        raise BadModelFileError(f"{name} has an encoder: only models of one graph are quantized")
    made = dataclasses.replace(specification, name=f"{name}-int8", nodes=tuple(_nodes(specification)))
    if made.precision == "float32":
        raise BadModelFileError(f"{name} has no layer to quantize: no recurrent one, no dense one below the last")
    return made


def _nodes(specification: Specification) -> Iterator[Node]:
    """The nodes, their layers in int8 where it pays."""
    inner: set[str] = set()  # nodes from which another with matrices can be reached
    for node in reversed(specification.nodes):
        if node.name in inner or _has_matrices(specification, node):
            inner.update(node.inputs)
    for node in specification.nodes:
        layer = node.layer.in_int8(specification.inputs(node), last=node.name not in inner)
        yield dataclasses.replace(node, layer=layer)


def _has_matrices(specification: Specification, node: Node) -> bool:
    return "W" in {name.rsplit(".")[-1] for name in node.layer.weights(specification.inputs(node))}


def observe(network: Network, utterances: Iterable[Float32]) -> dict[str, Float32]:
    """For each matrix of a float32 network, by name, values that are multiplied by it when ``utterances`` run.

    At most `KEPT` of each utterance, drawn at random. Raises InputError if there are no frames.
    """
    inputs = matrix_inputs(network.specification, network.weights)
    seen: dict[str, list[Float32]] = {name: [] for name in inputs}
    generator = np.random.default_rng(0)
    frames = 0
    for utterance in utterances:
        if not len(utterance):
            continue
        frames += len(utterance)
        rows = whole_sequence_rows(network, utterance)
        for name, (stage, region) in inputs.items():
            values = rows[stage][:, region].ravel()
            seen[name].append(values if values.size <= KEPT else generator.choice(values, KEPT))
    if not frames:
        raise InputError("there are no frames to calibrate on: give recordings that are longer than one frame")
    return {name: np.concatenate(values) for name, values in seen.items()}
