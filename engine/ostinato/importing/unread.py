"""Positions within a frame that nothing reads are not computed: some graphs pad a signal and throw away the windows
of the padding."""

from __future__ import annotations

import dataclasses
from collections.abc import Callable, Collection, Mapping, Sequence

from ostinato.model import Node
from ostinato.model.layers import Convolution, Gather, Slice, Within


def without_unread(
    nodes: Sequence[Node], kept: Collection[str], sizes: Mapping[str, int], name: Callable[[str], str]
) -> tuple[Node, ...]:
    """The nodes, each behind those that it reads, with convolutions along positions that compute those alone which
    slices take of them, at either end. ``kept``: nodes whose outputs are wanted as they are; ``sizes``: what each
    node gives; ``name`` makes a name like another that is free."""
    made = list(nodes)
    for node in reversed(nodes):
        if node.name not in kept and isinstance(node.layer, Within) and isinstance(node.layer.layer, Convolution):
            _narrow(made, node, node.layer, node.layer.layer, sizes[node.inputs[0]], name)
    return tuple(made)


def _narrow(
    nodes: list[Node], node: Node, within: Within, convolution: Convolution, size: int, name: Callable[[str], str]
) -> None:
    """One of them, which reads ``size`` values."""
    readers = [(each, each.layer) for each in nodes if node.name in each.inputs]
    slices = [(each, layer) for each, layer in readers if isinstance(layer, Slice)]
    if not slices or len(slices) < len(readers):
        return
    first = min(layer.start for _, layer in slices) // convolution.size
    last = -(-max(layer.start + layer.size for _, layer in slices) // convolution.size)
    (framing,) = convolution.framings
    begin = first * framing.stride - framing.left
    end = (last - 1) * framing.stride - framing.left + framing.span + 1
    if (begin, end) == (0, within.positions) or begin < 0 or end > within.positions:
        return
    channels = size // within.positions
    source = _cut(nodes, node, begin * channels, end * channels, name)
    narrow = Within(end - begin, dataclasses.replace(convolution, left=0, right=0))
    nodes[nodes.index(node)] = Node(node.name, narrow, (source,))
    for each, layer in slices:
        start = layer.start - first * convolution.size
        nodes[nodes.index(each)] = dataclasses.replace(each, layer=Slice(start, layer.size))


def _cut(nodes: list[Node], node: Node, begin: int, end: int, name: Callable[[str], str]) -> str:
    """A node with the values from ``begin`` up to ``end`` of what a node reads."""
    (below,) = node.inputs
    alone = sum(below in each.inputs for each in nodes) == 1
    for i, each in enumerate(nodes):
        if alone and each.name == below and isinstance(each.layer, Gather):
            nodes[i] = dataclasses.replace(each, layer=Gather(each.layer.indices[begin:end]))
            return below
    made = Node(name(Slice.kind), Slice(begin, end - begin), (below,))
    nodes.insert(nodes.index(node), made)
    return made.name
