"""The ways out of a network of arrays: the settings' [[heads]]."""

from __future__ import annotations

from typing import Any, NamedTuple

from ostinato.errors import BadModelFileError, ForeignModelError, did_you_mean
from ostinato.importing.arrays.contents import Arrays, Floats
from ostinato.importing.arrays.expressions import Layout, Wanted, weight
from ostinato.importing.arrays.tables import tables
from ostinato.importing.builder import Builder
from ostinato.importing.settings import Settings
from ostinato.model.decoders import DECODERS, Decoder, Outputs
from ostinato.model.limits import MAX_HEADS
from ostinato.model.specification import head_owner
from ostinato.model.strict_json import decode

_KEYS = ("name", "node", "decoder", "weights")


class Heads(NamedTuple):
    """``raw``: name and node of each, whose outputs are given as they are; ``decoders``: of those that have one of
    their own, by name; ``weights``: the decoders', by their names in a model file."""

    raw: list[tuple[str, str, Decoder]]
    decoders: dict[str, Decoder]
    weights: dict[str, Floats]


def heads_of(settings: Settings, last: str, builder: Builder, arrays: Arrays) -> Heads:
    """What the settings say; without heads one, "main", of the node ``last``. Raises ForeignModelError naming the
    head."""
    found = Heads([], {}, {})
    for table in tables(settings, "heads", MAX_HEADS) or [{"name": "main"}]:
        name, node = table.get("name"), table.get("node", last)
        what = f"head {name!r}"
        for key in table:
            if key not in _KEYS:
                raise ForeignModelError(f"{what}: {key!r} says nothing here{did_you_mean(key, _KEYS)}")
        if not isinstance(name, str) or node not in builder.wires:
            near = did_you_mean(str(node), builder.wires)
            raise ForeignModelError(f"{what}: needs a name, and a node that is there, which {node!r} is not{near}")
        found.raw.append((name, node, Outputs()))
        if "decoder" in table:
            if settings.decoder is not None:
                raise ForeignModelError(f"{what}: say decoder at the heads or once for all of them, not both")
            try:
                found.decoders[name] = decode(Decoder, table["decoder"], f"{what}: decoder", {Decoder: DECODERS})
            except BadModelFileError as error:
                raise ForeignModelError(str(error)) from error
        decoder = found.decoders.get(name, Outputs())
        shapes = {part: each.shape for part, each in decoder.weights(builder.wires[node]).items()}
        for part, array in weights_of(table.get("weights", {}), shapes, arrays, what).items():
            found.weights[f"{head_owner(name)}.{part}"] = array
    return found


def weights_of(given: Any, shapes: dict[str, tuple[int, ...]], arrays: Arrays, what: str) -> dict[str, Floats]:
    """Those of what has a few weights besides a network's: a decoder, a front end. All must be given. Raises
    ForeignModelError, which begins with ``what``."""
    if not isinstance(given, dict):
        raise ForeignModelError(f"{what}: weights is {given!r}, not a table")
    for part in sorted(set(shapes) ^ set(given)):
        why = f"{list(shapes[part])} is not given: name its array" if part in shapes else "is none that it has"
        raise ForeignModelError(f"{what}: weight {part!r} {why}")
    return {
        part: weight(raw, Wanted("", "", shapes[part]), arrays, f"{what}: {part}", Layout())
        for part, raw in given.items()
    }
