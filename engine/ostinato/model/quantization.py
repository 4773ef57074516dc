"""float32 networks to int8 ones, calibrated on frames that the network is to meet."""

from __future__ import annotations

import dataclasses
from collections.abc import Collection, Iterable, Iterator, Mapping
from typing import Any, NamedTuple, TypeAlias

import numpy as np
import numpy.typing as npt

from ostinato.errors import BadModelFileError, InputError
from ostinato.model.compile import compile_observable
from ostinato.model.integers import input_scale, to_integers
from ostinato.model.network import Network
from ostinato.model.specification import ENCODER, Node, Specification
from ostinato.model.whole_sequence import whole_sequence_rows

Float32 = npt.NDArray[np.float32]

KEPT = 4096
"""Values of one matrix's inputs that are kept of each utterance."""


class Written(NamedTuple):
    """A source, as the encoder's front end makes it, and what is read while a text is made of it: token ids [T, 1],
    the start token and those behind it."""

    source: Float32
    tokens: Float32


Utterance: TypeAlias = Float32 | Written
"""Of a model with an encoder, `Written`."""


def quantize(network: Network, utterances: Iterable[Utterance], keep: Collection[str] = ()) -> Network:
    """The network with int8 weights and inputs in its recurrent layers, and in dense ones below its last; so are its
    encoder's, whose last ones, which are looked up, stay float32. Nodes to ``keep`` (``encoder.…`` of an encoder)
    stay as they are.

    ``utterances``: frames [T, frame_size] each, or token ids [T, 1]: what the front end makes of typical input; of a
    model with an encoder, `Written`. The scales of all inputs are chosen by what flows through the float32 network
    then. The last layer, small as a rule, stays float32, and so does the W of a layer that token ids come to. Raises
    BadModelFileError if the network is int8 already, has nothing that can be, or no such node; InputError if there
    are no frames, or utterances are not what the model reads.
    """
    quantized(network.specification, keep)  # before anything is computed for it
    return quantize_for(network, observe(network, utterances), keep)


def quantize_for(network: Network, observed: Mapping[str, Float32], keep: Collection[str] = ()) -> Network:
    """`quantize` for inputs such as those that `observe` saw."""
    specification = quantized(network.specification, keep)
    wanted = specification.weights()
    weights: dict[str, npt.NDArray[Any]] = {}
    for name, array in network.weights.items():
        weights[name] = array
        if wanted[name].int8:
            weights[name], weights[f"{name}_scale"] = to_integers(array)
            weights[f"{name}_input_scale"] = np.array([input_scale(observed[name])], np.float32)
    return Network(specification, weights)


def quantized(specification: Specification, keep: Collection[str] = ()) -> Specification:
    """The specification of a network that `quantize` makes. Raises BadModelFileError, see there."""
    name = specification.name
    if specification.precision == "int8":
        raise BadModelFileError(f"{name} is int8 already: quantize the float32 model that it was made from")
    encoder = specification.encoder
    names = [node.name for node in specification.nodes]
    names += [f"{ENCODER}.{node.name}" for node in encoder.nodes] if encoder else []
    if missing := [each for each in keep if each not in names]:
        raise BadModelFileError(f"{name} has no node {missing[0]!r} to keep: it has {', '.join(names)}")
    if encoder is not None:
        encoder = dataclasses.replace(encoder, nodes=tuple(_nodes(encoder, keep, f"{ENCODER}.")))
    made = dataclasses.replace(
        specification, name=f"{name}-int8", nodes=tuple(_nodes(specification, keep)), encoder=encoder
    )
    if made.precision == "float32":
        raise BadModelFileError(f"{name} has no layer to quantize: no recurrent one, no dense one below the last")
    return made


def _nodes(specification: Specification, keep: Collection[str], prefix: str = "") -> Iterator[Node]:
    """The nodes, their layers in int8 where it pays."""
    inner: set[str] = set()  # nodes from which another with matrices can be reached
    for node in reversed(specification.nodes):
        if node.name in inner or _has_matrices(specification, node):
            inner.update(node.inputs)
    for node in specification.nodes:
        if f"{prefix}{node.name}" in keep:
            yield node
            continue
        layer = node.layer.in_int8(specification.inputs(node), last=node.name not in inner)
        yield dataclasses.replace(node, layer=layer)


def _has_matrices(specification: Specification, node: Node) -> bool:
    return "W" in {name.rsplit(".")[-1] for name in node.layer.weights(specification.inputs(node))}


def observe(network: Network, utterances: Iterable[Utterance]) -> dict[str, Float32]:
    """For each matrix of a float32 network, by name, values that are multiplied by it when ``utterances`` run.

    At most `KEPT` of each utterance, drawn at random. Raises InputError as `quantize` does.
    """
    seen, name = _Seen(network), network.specification.name
    if network.encoder is None:
        for utterance in utterances:
            if isinstance(utterance, Written):
                raise InputError(f"{name} has no encoder, which would read a source: give frames alone")
            seen.add(utterance)
        return seen.values()
    encoded, staging = _Seen(network.encoder), network.encoder.specification.staging
    for utterance in utterances:
        if not isinstance(utterance, Written):
            raise InputError(f"{name} has an encoder: give a source and the tokens of its text (Written) of each")
        encoded.add(utterance.source)
        if staging.length(np.array(len(utterance.source)))[-1] > 0:  # else there is nothing to look up
            seen.add(utterance.tokens, utterance.source)
    return seen.values() | {f"{ENCODER}.{name}": values for name, values in encoded.values().items()}


class _Seen:
    """What a network's matrices have multiplied."""

    def __init__(self, network: Network) -> None:
        self._network, self._random = network, np.random.default_rng(0)
        self._compiled, self._inputs = compile_observable(network.specification, network.weights)
        self._seen: dict[str, list[Float32]] = {name: [] for name in self._inputs}
        self._frames = 0

    def add(self, frames: Float32, source: Float32 | None = None) -> None:
        """As the network runs over so many more."""
        if not len(frames):
            return
        self._frames += len(frames)
        rows = whole_sequence_rows(self._network, self._compiled, frames, source)
        for name, (stage, region) in self._inputs.items():
            values = rows[stage][:, region].ravel()
            self._seen[name].append(values if values.size <= KEPT else self._random.choice(values, KEPT))

    def values(self) -> dict[str, Float32]:
        """All, by the matrix. Raises InputError if there are none."""
        if not self._frames:
            raise InputError("there are no frames to calibrate on: give recordings that are longer than one frame")
        return {name: np.concatenate(values) for name, values in self._seen.items()}
