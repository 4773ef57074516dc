"""Which head of a model a command needs, and what is said of those that it has no use for."""

from __future__ import annotations

from collections.abc import Mapping

from ostinato.errors import InputError
from ostinato.model.decoders import Generation


def generating_head(model: str, kinds: Mapping[str, str]) -> str:
    """The name of the first head that generates, of decoders by the heads' names. Raises InputError."""
    for name, kind in kinds.items():
        if kind == Generation.kind:
            return name
    raise InputError(
        f"{model!r} does not generate: only a language model does, one of whose heads has the decoder "
        f"{Generation.kind!r}; it has {', '.join(kinds.values())}"
    )


def check_reading(model: str, kind: str) -> None:
    """Raise InputError if a head with such a decoder says nothing of what it reads, as those do that generate."""
    if kind == Generation.kind:
        raise InputError(
            f"{model!r} writes, and says nothing of what it reads: ostinato generate lets it go on with a text, "
            "ostinato translate, if it has an encoder, make one of each line"
        )
