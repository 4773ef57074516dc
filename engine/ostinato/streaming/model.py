"""Models ready to stream: a network with its front end, its heads and the states of its open streams."""

from __future__ import annotations

import os
from collections.abc import Iterable
from typing import Literal

from ostinato import model as files
from ostinato.options import DEFAULT, UTTERANCE_S, Options, phrases
from ostinato.sampling import Sampling
from ostinato.streaming.options import Delay, delay
from ostinato.streaming.pipeline import MAX_STREAMS, Pipeline
from ostinato.streaming.record import Record
from ostinato.streaming.stream import Stream


class Model(Pipeline):
    """An immutable network, its front end and heads, and at most ``max_streams`` streams through it.

    Streams of one model may be used from several threads, each stream from one at a time; they take turns computing.
    """

    @property
    def delay(self) -> Delay:
        """How much of the future an output of the first head needs, unless a stream asks for bounded wait."""
        return self.delay_of(None)

    def delay_of(self, head: str | None) -> Delay:
        """The same of the head of that name; None is the first. Raises UnknownHeadError."""
        return delay(self, self.heads.find(head, None), None)

    def stream(
        self,
        *,
        head: str | None = None,
        decoder: Literal["outputs"] | None = None,
        sample_rate: int | None = None,
        end_of_speech_ms: float | None = None,
        trailing_blanks_ms: float | None = None,
        max_utterance_s: float = UTTERANCE_S,
        block_ms: float | None = None,
        lookahead_ms: float | None = None,
        wait_k: int | None = None,
        sampling: Sampling | None = None,
        hotwords: Iterable[str] | None = None,
        hotword_boost: float | None = None,
    ) -> Stream:
        """A new stream.

        ``head`` names which of the model's heads it has, None the first; ``decoder`` "outputs" gives each frame's raw
        outputs instead of what the head decodes. ``sample_rate`` (Hz) is that of the audio to come, None the model's
        own. ``end_of_speech_ms`` (audio) emits an ``end-of-speech`` event after so much silence; a bidirectional
        stream ends its utterance there and starts the next. Speech is 0.1 s or more that is 4.5 dB above the
        background, the quietest moment of the last 3 s; in the first 3 s, also of the moments to come. So audio may
        begin in the middle of a word, if something quieter follows within 3 s, or `Stream.flush`; before that nothing
        tells speech from noise. A noise that sets in counts as speech for up to 3 s. A bidirectional stream keeps at
        most ``max_utterance_s`` of input.

        ``trailing_blanks_ms`` (CTC heads of causal streams, and of bidirectional ones in blocks) hears the end of
        speech by what the model says instead: an ``end-of-speech`` event comes once a symbol was heard and then
        nothing but the blank for so long, which a noise does not keep up (`TrailingBlanksDecoder`). The utterance
        goes on: `Stream.flush` where it is to end.

        A stream is bidirectional if its head is: if outputs depend on layers that look back from the utterance's end.

        ``block_ms`` and ``lookahead_ms`` (bidirectional streams) ask for bounded wait: the utterance is answered in
        blocks of that length while it goes on, each once so much right context is there, at some cost in accuracy
        (see `BoundedWait`). Both are rounded up to whole frames; no ``lookahead_ms`` means none. Such a stream keeps
        a block and its context, however long the utterance; `Stream.delay` is its delay.

        A model with an encoder makes a text of what is pushed, its source, of at most ``max_utterance_s`` and
        MAX_SOURCE frames (`Stream.generate`). With ``wait_k`` (Ma et al. 2019, "STACL: Simultaneous Translation with
        Implicit Anticipation and Controllable Latency using Prefix-to-Prefix Framework") that begins while the source
        goes on: the first token is drawn once there are so many frames, then one with each further frame, by the
        ``sampling``, and `Stream.push` gives them. The text ends with `generate` at the earliest, as no source is
        known to have ended before; with beams that searches for what depends on the whole source ("tail beam search",
        ibid.), and nothing that was said is taken back. The encoder must run forward.

        ``hotwords`` are words and phrases to expect (heads of prefix beam search, `CtcBeam`), in place of the head's
        own: a text that says one counts e^``hotword_boost`` times as likely. Streams with the same ones share them.

        Raises InputError for options that do not fit the model (UnknownHeadError), CapacityError if too many streams
        are open.
        """
        return self.open(
            Options(
                head=head,
                decoder=decoder,
                sample_rate=sample_rate,
                end_of_speech_ms=end_of_speech_ms,
                trailing_blanks_ms=trailing_blanks_ms,
                max_utterance_s=max_utterance_s,
                block_ms=block_ms,
                lookahead_ms=lookahead_ms,
                wait_k=wait_k,
                sampling=sampling,
                hotwords=phrases(hotwords),
                hotword_boost=hotword_boost,
            )
        )

    def open(self, options: Options) -> Stream:
        """`stream`, of options that come as one."""
        return Stream(Record(self, options))

    def restore(self, snapshot: bytes, options: Options = DEFAULT) -> Stream:
        """A new stream that goes on where the snapshot was taken, with the same bits and options.

        Raises SnapshotError; InputError for ``options`` that are not the stream's."""
        return Stream.restore(self, snapshot, options)


def load(
    name_or_path: str | os.PathLike[str],
    *,
    folders: Iterable[str | os.PathLike[str]] = (),
    max_streams: int = MAX_STREAMS,
) -> Model:
    """The model of that name (bundled, or in ``folders``), or in the model file at that path.

    Raises UnknownModelError, BadModelFileError.
    """
    return Model(files.read(files.resolve(name_or_path, folders)), max_streams=max_streams)
