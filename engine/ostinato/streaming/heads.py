"""A model's heads as streams have them: where the outputs of each are, and what makes events of them."""

from __future__ import annotations

import dataclasses
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, Literal, cast
from weakref import WeakValueDictionary

from ostinato.errors import InputError, UnknownHeadError, did_you_mean
from ostinato.kernels.operations import Region
from ostinato.model.decoders import CtcBeam, CtcSymbols, Decoder, Outputs
from ostinato.model.network import Network
from ostinato.model.specification import head_owner
from ostinato.options import Options
from ostinato.pipeline import decoder
from ostinato.pipeline.decoders.memory import MemoryDecoder
from ostinato.pipeline.decoders.trailing_blanks import TrailingBlanksDecoder


@dataclass(frozen=True, eq=False, slots=True, weakref_slot=True)
class Head:
    """A way out of a model: the ``region`` of each row with its outputs, and its ``decoder``, of these ``settings``.
    A bidirectional model may have unidirectional heads, which read nothing of what looks back from the end.

    Streams that have the same one are decoded together, so there is only one of each (`Heads`)."""

    name: str
    direction: Literal["unidirectional", "bidirectional"]
    settings: Decoder
    decoder: Any
    region: Region
    probabilities: bool
    """Whether its outputs are in [0, 1], as a softmax makes them."""

    @property
    def state_bytes(self) -> int:
        """Bytes of arrays that a stream's decoder state may come to hold."""
        kept = 4 * self.region.size if self.settings.feeds_back else 0
        return cast(int, self.decoder.state_bytes) + kept


class Heads:
    """The heads of a network, whose front end makes frames of ``frame_ms`` and ``latency_ms``."""

    def __init__(self, network: Network, frame_ms: float, latency_ms: float) -> None:
        self._model = network.specification.name
        self.all: dict[str, Head] = {}
        """By their names, in the model's order."""
        self._raw: dict[str, Head] = {}
        self._changed: WeakValueDictionary[tuple[Any, ...], Head] = WeakValueDictionary()
        """Those of streams that asked for another decoder, as long as there are such."""
        for head, region in zip(network.specification.heads, network.program.outputs, strict=True):
            direction = network.specification.direction_of(head)
            probabilities = network.specification.wires[head.node].probabilities
            of = f"{head_owner(head.name)}."
            weights = {name.removeprefix(of): x for name, x in network.weights.items() if name.startswith(of)}
            for made, settings, own in ((self.all, head.decoder, weights), (self._raw, Outputs(), {})):
                what = decoder(settings, frame_ms, latency_ms, own)
                made[head.name] = Head(head.name, direction, settings, what, region, probabilities)

        self.memory = self._memory(network, frame_ms, latency_ms)
        """Where what the encoder makes goes, if there is one."""

    @staticmethod
    def _memory(network: Network, frame_ms: float, latency_ms: float) -> Head | None:
        if (encoder := network.encoder) is None:
            return None
        head, region = encoder.specification.heads[0], encoder.program.output
        what = MemoryDecoder(frame_ms, latency_ms, network.program.memory_size)
        return Head(head.name, encoder.specification.direction, what.settings, what, region, False)

    def asked(self, options: Options) -> Head:
        """The one that a stream of these options has: of those that ask for the same the same.

        Raises as `find`, and InputError for hotwords that it cannot expect, or blanks that it does not hear in time.
        """
        head = self.find(options.head, options.decoder)
        if options.hotwords is not None:
            head = self._listening_for(head, options.hotwords, options.hotword_boost)
        if options.trailing_blanks_ms is not None:
            head = self._ending_after(head, options.trailing_blanks_ms, options.block_ms is not None)
        return head

    def _listening_for(self, head: Head, words: tuple[str, ...], boost: float | None) -> Head:
        if not isinstance(head.settings, CtcBeam):
            able = [each.name for each in self.all.values() if isinstance(each.settings, CtcBeam)]
            raise InputError(
                f"hotwords are for prefix beam search, and head {head.name!r} of {self._model} is decoded by "
                f"{head.settings.kind!r}: " + (f"ask for head {able[0]!r}" if able else "leave them out")
            )
        boost = head.settings.hotword_boost if boost is None else boost
        return self._with(head, (head, words, boost), lambda: head.decoder.listening_for(words, boost))

    def _ending_after(self, head: Head, blanks_ms: float, in_blocks: bool) -> Head:
        if not isinstance(head.settings, CtcSymbols):
            raise InputError(
                f"trailing_blanks_ms is for heads that have a blank, and head {head.name!r} of {self._model} is "
                f"decoded by {head.settings.kind!r}: leave it out"
            )
        if head.direction == "bidirectional" and not in_blocks:
            raise InputError(
                f"head {head.name!r} of {self._model} says nothing before the utterance has ended, so its blanks "
                "cannot end it: give block_ms too, or end_of_speech_ms instead"
            )
        return self._with(head, (head, blanks_ms), lambda: TrailingBlanksDecoder(head.decoder, blanks_ms))

    def _with(self, head: Head, key: tuple[Any, ...], decoder: Callable[[], Any]) -> Head:
        """The head with another decoder: one as long as there are streams that have it."""
        if (known := self._changed.get(key)) is None:
            known = self._changed[key] = dataclasses.replace(head, decoder=decoder())
        return known

    def find(self, name: str | None, override: str | None) -> Head:
        """The head of that name, or the first; if ``override`` is "outputs", the one that gives its raw outputs.

        Raises UnknownHeadError; InputError for another decoder."""
        if override not in (None, "outputs"):
            raise InputError(f"there is no decoder {override!r}: ask for 'outputs', or leave the head its own")
        if override and self.memory:
            raise InputError(
                f"{self._model} generates from what is pushed, so its heads have their own decoder alone"
            )
        if name is None:
            name = next(iter(self.all))
        if name not in self.all:
            raise UnknownHeadError(
                f"{self._model} has no head {name!r}: it has {', '.join(self.all)}{did_you_mean(name, self.all)}"
            )
        return (self._raw if override else self.all)[name]
