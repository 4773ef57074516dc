"""Nodes and weights, collected by whoever reads a foreign file, become a network."""

from __future__ import annotations

import dataclasses
import re
from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
import numpy.typing as npt

from ostinato.errors import BadModelFileError, ForeignModelError
from ostinato.importing.settings import Settings
from ostinato.importing.unread import without_unread
from ostinato.model import Head, Network, Node, Specification
from ostinato.model.decoders import Decoder
from ostinato.model.front_ends import FrontEnd
from ostinato.model.layers import Layer
from ostinato.model.specification import ENCODER, FRAMES, FRONT_END
from ostinato.model.wire import Wire

Array = npt.NDArray[Any]
_LONGEST = 64


class Builder:
    """A graph in the making, above a front end; nodes may read the heads of an ``encoder``, as ``encoder.<head>``."""

    def __init__(self, front_end: FrontEnd, encoder: Network | None = None) -> None:
        self.front_end = front_end
        self.wires: dict[str, Wire] = {FRAMES: front_end.wire}
        """What each node gives, by its name."""
        self._encoder = encoder
        if encoder is not None:
            wires = encoder.specification.wires
            for head in encoder.specification.heads:
                self.wires[f"{ENCODER}.{head.name}"] = dataclasses.replace(wires[head.node], memory=True)
        self._nodes: list[Node] = []
        self._weights: dict[str, Array] = {}

    def add(
        self,
        layer: Layer,
        inputs: Sequence[str],
        weights: Mapping[str, Array] | None = None,
        *,
        name: str = "",
        origin: str = "",
    ) -> str:
        """Append a node that reads the nodes ``inputs``; its name, which is ``name`` as far as names may be so, and
        made different from all others. ``weights``: exactly those of the layer, by the last part of their names.

        Raises ForeignModelError, which names ``origin`` (what the file calls it; None: ``name``), for a layer that
        cannot take those inputs, and for weights that are missing, unused, of another shape, or not finite.
        """
        what = f"{origin or name or layer.kind!r}: "
        wires = [self.wires[each] for each in inputs]
        label = self._free(name or layer.kind)
        try:
            wire = layer.output(wires)
            wanted = layer.weights(wires)
        except BadModelFileError as error:
            raise ForeignModelError(f"{what}{error}") from error
        have = dict(weights or {})
        for part in sorted(set(wanted) ^ set(have)):
            raise ForeignModelError(f"{what}weight {part!r} is {'missing' if part in wanted else 'not used by it'}")
        for part, weight in wanted.items():
            array = np.asarray(have[part], np.float32)
            if array.shape != weight.shape:
                raise ForeignModelError(
                    f"{what}weight {part!r} has shape {list(array.shape)}, and {list(weight.shape)} is needed"
                )
            if not np.isfinite(array).all():
                raise ForeignModelError(f"{what}weight {part!r} has NaN or infinite values: the training diverged")
            self._weights[f"{label}.{part}"] = array
        self._nodes.append(Node(label, layer, tuple(inputs)))
        self.wires[label] = wire
        return label

    def graft(self, network: Network, below: str, name: str) -> dict[str, str]:
        """Append another network, which reads node ``below`` in the place of its frames; nodes are called ``name``
        and theirs. Gives the node of each of its heads, by the head's name."""
        renamed = {FRAMES: below}
        for node in network.specification.nodes:
            inputs = [renamed[each] for each in node.inputs]
            parts = node.layer.weights([self.wires[each] for each in inputs])
            weights = {part: network.weights[f"{node.name}.{part}"] for part in parts}
            renamed[node.name] = self.add(node.layer, inputs, weights, name=f"{name}-{node.name}")
        return {head.name: renamed[head.node] for head in network.specification.heads}

    def network(
        self,
        settings: Settings,
        heads: Sequence[tuple[str, str, Decoder]],
        *,
        name: str,
        licence: str = "",
        card: Mapping[str, str] | None = None,
    ) -> Network:
        """The network of ``heads`` (name, node, decoder), without nodes that none of them needs. ``name``,
        ``licence`` and ``card`` are the file's; what the settings say goes first, but for their decoder, which comes
        when the outputs have been compared.

        Raises ForeignModelError if it cannot be one."""
        made = tuple(Head(self._shaped(head), node, decoder) for head, node, decoder in heads)
        needed, nodes = {head.node for head in made}, []
        for node in reversed(self._nodes):
            if node.name in needed:
                needed.update(node.inputs)
                nodes.append(node)
        sizes = {each: wire.size for each, wire in self.wires.items()}
        nodes = list(without_unread(nodes[::-1], {head.node for head in made}, sizes, self._free))
        try:
            specification = Specification(
                settings.name or self._shaped(name), self.front_end, tuple(nodes), made,
                settings.description, settings.licence or licence, dict(card or {}),
                encoder=self._encoder.specification if self._encoder else None,
            )  # fmt: skip
            weights = {key: self._weights[key] for key in specification.weights() if key in self._weights}
            if self._encoder is not None:
                weights |= {f"{ENCODER}.{name}": array for name, array in self._encoder.weights.items()}
            weights |= {
                f"{FRONT_END}.{part}": np.asarray(settings.front_end_weights[part], np.float32)
                for part in self.front_end.weights()
                if part in settings.front_end_weights
            }
            return Network(specification, weights)
        except BadModelFileError as error:
            raise ForeignModelError(f"what was read makes no model: {error}") from error

    def _free(self, name: str) -> str:
        """A name like it that no node has."""
        shaped = self._shaped(name)
        label, number = shaped, 1
        while label in self.wires or label in (FRAMES, FRONT_END):
            number += 1
            label = f"{shaped[: _LONGEST - 1 - len(str(number))]}-{number}"
        return label

    @staticmethod
    def _shaped(name: str) -> str:
        """A foreign name ("/encoder/Conv_output_0") in the signs that names may have ("encoder-Conv")."""
        plain = re.sub(r"[^A-Za-z0-9_]+", "-", name.removesuffix("_output_0")).strip("-_")
        return plain[-_LONGEST:].strip("-_") or "node"
