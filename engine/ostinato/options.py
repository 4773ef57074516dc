"""How a stream is opened: one record that goes from who opens it, over the wire if there is one, to the stream itself
and into its snapshots."""

from __future__ import annotations

import dataclasses
import math
from collections.abc import Iterable
from dataclasses import dataclass
from typing import Any

from ostinato.errors import InputError, check_text
from ostinato.sampling import Sampling

UTTERANCE_S = 60.0
"""The longest utterance of a stream that says nothing else."""
MAX_UTTERANCE_S = 3600.0
MAX_HOTWORDS, MAX_HOTWORD_CHARACTERS = 256, 128
"""How many words and phrases a head of prefix beam search can be told to expect, and how long each may be."""
MAX_BOOST = 20.0
MAX_SOURCE = 4096
"""Frames of a source that a model generates from: they are all kept, and looked up again for each token."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Options:
    """What is asked of a stream; None where nothing is, so that whoever opens it chooses.

    These are the fields of OPEN (docs/protocol.md); `Model.stream` and `Client.open` say what they do.
    """

    head: str | None = None
    """Which of the model's heads; default: its first."""
    decoder: str | None = None
    """"outputs" for raw outputs; default: the head's own."""
    sample_rate: int | None = None
    """Hz of the audio to come; default: the model's own."""
    dtype: str | None = None
    """Of the arrays to come, to be refused now. Nothing of a stream depends on it, so a stream does not keep it."""
    end_of_speech_ms: float | None = None
    """Silence that ends an utterance; default: none does."""
    trailing_blanks_ms: float | None = None
    """How long nothing but blanks says that speech has ended, of CTC heads that answer as input comes; default: it
    is not said."""
    max_utterance_s: float | None = None
    """Of what a bidirectional stream keeps; default: UTTERANCE_S, or a server's bound."""
    block_ms: float | None = None
    """Bounded wait: how much is answered at a time; default: the utterance."""
    lookahead_ms: float | None = None
    """The right context of each block; default: none."""
    wait_k: int | None = None
    """Of a model with an encoder: how many frames of the source there are before its text begins; default: all."""
    sampling: Sampling | None = None
    """With ``wait_k``: how tokens are drawn while the source goes on; default: as `Sampling` has it."""
    hotwords: tuple[str, ...] | None = None
    """Words and phrases that prefix beam search expects, in place of the head's own; default: these."""
    hotword_boost: float | None = None
    """With ``hotwords``: a text that says one counts e^so much times as likely; default: the head's."""

    @property
    def given(self) -> dict[str, Any]:
        """Those that are asked for, by name."""
        values = {field.name: getattr(self, field.name) for field in dataclasses.fields(self)}
        return {name: value for name, value in values.items() if value is not None}

    @property
    def utterance_s(self) -> float:
        """The longest utterance."""
        return UTTERANCE_S if self.max_utterance_s is None else self.max_utterance_s

    def check(self) -> None:
        """Raise InputError for what is out of range, or does not fit together, whatever the model."""
        longest = 1000 * self.utterance_s
        if not 0 < self.utterance_s <= MAX_UTTERANCE_S:
            raise InputError(
                f"max_utterance_s = {self.max_utterance_s} is not above 0 and at most {MAX_UTTERANCE_S:g}"
            )
        if self.end_of_speech_ms is not None and not 0 < self.end_of_speech_ms <= 1000 * MAX_UTTERANCE_S:
            raise InputError(
                f"end_of_speech_ms = {self.end_of_speech_ms} is not above 0 and at most {1000 * MAX_UTTERANCE_S:g}: "
                "ask for some 600 ms of silence"
            )
        if self.lookahead_ms is not None and self.block_ms is None:
            raise InputError("lookahead_ms needs block_ms, how many ms are answered at a time: give both")
        if self.block_ms is not None and not 0 < self.block_ms <= longest:
            raise InputError(f"block_ms = {self.block_ms} is not above 0 and at most max_utterance_s, {longest:g} ms")
        if self.lookahead_ms is not None and not 0 <= self.lookahead_ms <= longest:
            raise InputError(f"lookahead_ms = {self.lookahead_ms} is not from 0 to max_utterance_s, {longest:g} ms")
        if self.wait_k is not None and not (type(self.wait_k) is int and 1 <= self.wait_k <= MAX_SOURCE):
            raise InputError(f"wait_k = {self.wait_k!r} is not a whole number of frames from 1 to {MAX_SOURCE}")
        if self.sampling is not None and self.wait_k is None:
            raise InputError(
                "sampling is for tokens that are drawn while a source goes on: open the stream with wait_k"
            )
        self._check_trailing_blanks()
        self._check_hotwords()

    def _check_trailing_blanks(self) -> None:
        blanks_ms, most = self.trailing_blanks_ms, 1000 * MAX_UTTERANCE_S
        if blanks_ms is None:
            return
        if not 0 < blanks_ms <= most:
            raise InputError(
                f"trailing_blanks_ms = {blanks_ms} is not above 0 and at most {most:g}: ask for some 1200 ms"
            )
        if self.end_of_speech_ms is not None:
            raise InputError(
                "end_of_speech_ms hears the end of speech by how loud it is, trailing_blanks_ms by what the model "
                "says: give one of them"
            )

    def _check_hotwords(self) -> None:
        if self.hotwords is None:
            if self.hotword_boost is not None:
                raise InputError("hotword_boost is what hotwords count: give both, or leave it out")
            return
        if len(self.hotwords) > MAX_HOTWORDS:
            raise InputError(f"{len(self.hotwords)} hotwords are more than {MAX_HOTWORDS}: give fewer")
        for word in self.hotwords:
            if not isinstance(word, str) or not 0 < len(word) <= MAX_HOTWORD_CHARACTERS:
                shown = repr(word) if not isinstance(word, str) or not word else f"{word[:20]!r}…"
                raise InputError(f"hotword {shown} is no text of 1 to {MAX_HOTWORD_CHARACTERS} characters")
            check_text(word)
        if self.hotword_boost is not None and not 0 <= self.hotword_boost <= MAX_BOOST:
            raise InputError(f"hotword_boost = {self.hotword_boost} is not from 0 to {MAX_BOOST:g}")


DEFAULT = Options()
"""Nothing is asked for."""


def phrases(words: Iterable[str] | None) -> tuple[str, ...] | None:
    """Hotwords as `Options` has them. Raises InputError for one text in the place of several."""
    if isinstance(words, str):
        raise InputError(f"hotwords = {words[:20]!r} is one text: give a list of words and phrases")
    return None if words is None else tuple(words)


def whole_frames(ms: float, frame_ms: float) -> int:
    """So long a time in frames, rounded up; a millionth of one is the rounding of floats."""
    return math.ceil(round(ms / frame_ms, 6))
