"""A language model's next token, which becomes its next input."""

from dataclasses import dataclass
from typing import ClassVar

from ostinato.errors import BadModelFileError
from ostinato.model.decoders.decoder import Decoder
from ostinato.model.wire import Wire
from ostinato.sampling import MAX_LONGEST


@dataclass(frozen=True)
class Generation(Decoder):
    """A text that the model goes on with: each frame's outputs, logits or probabilities, are for the token that comes
    next, one for each entry of the tokens front end's vocabulary. What is pushed is the prompt, and decides nothing;
    `Stream.generate` draws tokens.

    ``start`` is the token that is fed in where nothing was pushed; without one there must be a prompt. ``end`` is the
    token by which the model ends a text. ``longest``: tokens of a generation that asks for no other bound.
    ``separator`` joins tokens to a text: nothing for characters, a space for words.
    """

    start: int | None = None
    end: int | None = None
    longest: int = 1024
    separator: str = ""

    kind: ClassVar[str] = "generation"
    of_probabilities: ClassVar[bool] = False
    feeds_back: ClassVar[bool] = True

    def check_outputs(self, wire: Wire) -> None:
        """Start and end are among the outputs, the bound within its own."""
        super().check_outputs(wire)
        for name in ("start", "end"):
            token = getattr(self, name)
            if token is not None and not 0 <= token < wire.size:
                raise BadModelFileError(f"decoder: {name} = {token} is outside the {wire.size} outputs")
        if not 1 <= self.longest <= MAX_LONGEST:
            raise BadModelFileError(f"decoder: longest = {self.longest} is not from 1 to {MAX_LONGEST}")
