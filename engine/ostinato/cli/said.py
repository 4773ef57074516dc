"""What models say as text, on standard output, and which of their heads says it."""

from __future__ import annotations

from collections.abc import Mapping

from ostinato.errors import InputError
from ostinato.model.decoders import Generation


def say(text: str) -> None:
    """As it is, but for control characters: a vocabulary is somebody else's, and must not steer the terminal."""
    shown = "".join(c if c.isprintable() or c in "\n\t" else "\N{REPLACEMENT CHARACTER}" for c in text)
    print(shown, end="", flush=True)


def generating_head(model: str, kinds: Mapping[str, str]) -> str:
    """The name of the first head that generates, of decoders by the heads' names. Raises InputError."""
    for name, kind in kinds.items():
        if kind == Generation.kind:
            return name
    raise InputError(
        f"{model!r} does not generate: only a language model does, one of whose heads has the decoder "
        f"{Generation.kind!r}; it has {', '.join(kinds.values())}"
    )
