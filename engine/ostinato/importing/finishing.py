"""What a user wants of a model besides its outputs: the decoder of the settings, in the place of raw outputs."""

from __future__ import annotations

import dataclasses
from collections.abc import Mapping
from typing import Any

import numpy as np
import numpy.typing as npt

from ostinato.errors import BadModelFileError, ForeignModelError
from ostinato.importing.draft import Decision, Draft
from ostinato.importing.settings import Settings
from ostinato.importing.source import Source
from ostinato.model import Network, Node, Specification
from ostinato.model.layers import Softmax

Array = npt.NDArray[Any]


def finished(draft: Draft, settings: Settings) -> Draft:
    """The draft with a decoder at each head: its own, or the settings'. If that needs probabilities, and a head gives
    logits, a softmax comes between. Raises ForeignModelError for a decoder that does not fit."""
    if settings.decoder is None and not draft.decoders:
        return draft
    specification = draft.network.specification
    nodes, heads, decisions = list(specification.nodes), [], list(draft.decisions)
    for head in specification.heads:
        node, decoder = head.node, draft.decoders.get(head.name, settings.decoder) or head.decoder
        try:
            decoder.check_outputs(specification.wires[node])
        except BadModelFileError:
            node = f"{head.name}-softmax"
            nodes.append(Node(node, Softmax(), (head.node,)))
            decisions.append(Decision("softmax", f"above head {head.name!r}, whose outputs are logits"))
        heads.append(dataclasses.replace(head, node=node, decoder=decoder))
    try:
        made = dataclasses.replace(specification, nodes=tuple(nodes), heads=tuple(heads))
        network = Network(made, {**draft.network.weights, **draft.decoder_weights})
    except BadModelFileError as error:
        raise ForeignModelError(f"the decoder does not fit what was read: {error}") from error
    source = fitting(draft.source, specification, made)
    return dataclasses.replace(draft, network=network, source=source, decisions=tuple(decisions))


def fitting(source: Source, theirs: Specification, ours: Specification) -> Source:
    """The source, with a softmax above heads that are probabilities in our specification and are not in theirs."""
    heads = {
        head.name
        for head in ours.heads
        for other in theirs.heads
        if head.name == other.name
        and ours.wires[head.node].probabilities
        and not theirs.wires[other.node].probabilities
    }
    return _WithSoftmax(source, heads) if heads else source


class _WithSoftmax:
    """A source of logits, and the probabilities that they mean."""

    def __init__(self, source: Source, heads: set[str]) -> None:
        self._source, self._heads = source, heads

    @property
    def name(self) -> str:
        """As `Source.name`."""
        return self._source.name

    def inputs(self, generator: np.random.Generator, count: int) -> Any:
        """As `Source.inputs`."""
        return self._source.inputs(generator, count)

    def outputs(self, inputs: Any) -> Mapping[str, Array]:
        """As `Source.outputs`."""
        found = dict(self._source.outputs(inputs))
        for name in self._heads:
            shifted = np.exp(found[name].astype(np.float64) - found[name].max(axis=1, keepdims=True))
            found[name] = shifted / shifted.sum(axis=1, keepdims=True)
        return found
