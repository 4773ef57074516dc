"""``ostinato listen``: input goes to a server as it comes, and what is recognised is shown as it comes back.

A thread of its own sends, so that a result is shown when it arrives, not when the next chunk is due.
"""

from __future__ import annotations

import contextlib
import threading
import time
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np
import numpy.typing as npt
from rich.markup import escape

from ostinato.cli.console import note, out
from ostinato.cli.display import Display, OnTerminal, Progress, level_db
from ostinato.cli.display_kinds import display
from ostinato.cli.heads import check_reading
from ostinato.cli.playing import CHUNK_MS, Playback, check_audio
from ostinato.cli.serving import serving
from ostinato.data import check_pace
from ostinato.errors import InputError, OstinatoError, UnknownModelError, did_you_mean
from ostinato.model import read, resolve
from ostinato.model.decoders.audio_output import AudioOutput
from ostinato.options import Options
from ostinato.protocol import Unit
from ostinato_bench.terminal import Table
from ostinato_client import (
    Client,
    FileSource,
    FramesSource,
    MicrophoneSource,
    RawFormat,
    Result,
    Source,
    Stream,
    TextSource,
    microphones,
)

END_OF_SPEECH_MS = 600.0
"""Silence that ends a bidirectional model's utterance."""
REFRESH_S = 0.1
TIMEOUT_S = 10.0


@dataclass(frozen=True)
class Wanted:
    """Where the input is to come from: a recording or pipe (0: standard input), text, or (neither) a microphone; and
    whether audio that the model makes is to be played, and into which WAV it goes."""

    file: str | int | None = None
    raw: RawFormat | None = None
    fast: bool = False
    text: bool = False
    device: str | None = None
    play: bool = False
    output: Path | None = None

    @property
    def playback(self) -> bool:
        """Whether audio that the model makes goes anywhere."""
        return self.play or self.output is not None


def show_devices() -> None:
    """The microphones that PortAudio sees."""
    listing = Table("number", "name", "channels", "rate", "", right=("number", "channels", "rate"))
    for one in microphones():
        default = "the default" if one.default else ""
        listing.add_row(str(one.number), escape(one.name), str(one.channels), f"{one.sample_rate} Hz", default)
    if listing.row_count:
        out.print(listing)
    else:
        out.print("There is no microphone: plug one in and see that the sound server runs.")


def listen(
    model: str,
    wanted: Wanted,
    connect: str | None,
    folder: Path | None,
    seconds: float | None,
    as_json: bool,
    options: Options,
) -> None:
    """Send the input to ``model``, opened with ``options``, and show its results until it ends, ``seconds`` of it are
    over, or Ctrl-C.

    Raises OstinatoError for what is wrong with model, file, microphone or server.
    """
    with contextlib.ExitStack() as opened:
        source: Source | None = None
        if connect is None:  # what is wrong with the input is said before a server is started
            specification = read(resolve(model, [] if folder is None else [folder])).specification
            front_end = specification.front_end
            for head in specification.heads:
                if head.name == (options.head or specification.heads[0].name):
                    check_reading(model, head.decoder.kind)
                    if wanted.playback:
                        check_audio(head.name, head.decoder.kind, isinstance(head.decoder, AudioOutput))
            _check(wanted, model, front_end.counted_in)
            if wanted.file is not None:
                source = opened.enter_context(_source(wanted, front_end.counted_in, front_end.frame_ms))
                if isinstance(source, FramesSource):
                    check_pace(source.name, source.said_ms, front_end.frame_ms, model)
        endpoint, (name,) = opened.enter_context(serving([model], connect, folder))
        client = opened.enter_context(Client(endpoint, timeout=TIMEOUT_S))
        served = {one.name: one for one in client.models()}
        if (info := served.get(name)) is None:
            has = f"it has {', '.join(sorted(served))}{did_you_mean(name, served)}"
            raise UnknownModelError(f"the server at {endpoint} has no model {name!r}: {has}")
        _check(wanted, info.name, info.unit)
        if source is None:
            source = opened.enter_context(_source(wanted, info.unit, info.frame_ms, info.sample_rate))
        if isinstance(source, FramesSource) and source.size != info.frame_size:
            raise InputError(
                f"{source.name} has {source.size} values in a frame, {info.name} takes {info.frame_size}"
            )
        audio = info.unit == "sample"
        delays = {head.name: head.delay_ms for head in info.heads}
        # What waits for the end was made for utterances. (A head that is not there is refused by the server.)
        utterances = audio and delays.get(options.head or info.heads[0].name, 0.0) is None
        utterances = utterances and options.trailing_blanks_ms is None
        options = replace(options, sample_rate=source.sample_rate)
        stream, pauses = _open(client, name, options, utterances)
        opened.enter_context(stream)
        check_reading(name, stream.head.decoder)
        note(_introduction(source, stream, endpoint if connect else None, pauses))
        live = not (wanted.fast or wanted.text)
        playback = None
        if wanted.playback:
            playback = opened.enter_context(Playback(stream.head, wanted.play, wanted.output))
        _Listening(stream, source, seconds, live, display(as_json, stream.head, info.unit), playback).run()


def _open(client: Client, name: str, options: Options, utterances: bool) -> tuple[Stream, bool]:
    """A stream, and whether it hears pauses: of ``utterances`` it answers after each, if its model hears them. One
    that re-frames, or has a front end of music, does not, and answers when the input ends."""
    if utterances:
        with contextlib.suppress(InputError):
            return client.open(name, **replace(options, end_of_speech_ms=END_OF_SPEECH_MS).given), True
    return client.open(name, **options.given), False


def _source(wanted: Wanted, unit: Unit, frame_ms: float, sample_rate: int | None = None) -> Source:
    """Where the input comes from; a file is opened, and its frames, if it has such, are ``frame_ms`` apart. What is
    to be heard again soon comes in small chunks, at the model's own ``sample_rate``."""
    if wanted.file is None and wanted.text:
        return TextSource()
    if wanted.file is None:
        heard_again = (sample_rate, CHUNK_MS) if wanted.play else ()
        return MicrophoneSource(wanted.device, *heard_again)
    if unit == "frame":
        return FramesSource(wanted.file, frame_ms=frame_ms, realtime=not wanted.fast)
    recording = FileSource(wanted.file, realtime=not wanted.fast, raw=wanted.raw)
    if recording.seconds == 0:
        recording.__exit__()
        raise InputError(f"{recording.name} is empty: there is nothing to listen to")
    return recording


def _check(wanted: Wanted, name: str, unit: Unit) -> None:
    """Refuse input that the model does not take."""
    if unit == "frame":
        if wanted.file is None or wanted.raw is not None:
            raise InputError(
                f"{name} takes ready frames, which no microphone gives: --file FILE (.npy, .npz, .csv), or --file - "
                "for a table that comes through a pipe"
            )
    elif (unit == "character") != wanted.text:
        raise InputError(
            f"{name} reads text: ostinato listen {name} --text < FILE"
            if unit == "character"
            else f"{name} hears audio: leave --text out"
        )


def _introduction(source: Source, stream: Stream, endpoint: str | None, pauses: bool) -> str:
    if isinstance(source, MicrophoneSource):
        what = f"microphone {source.microphone.name!r} at {source.sample_rate} Hz, Ctrl-C ends"
    elif isinstance(source, FileSource | FramesSource):
        length = f"{source.seconds:.1f} s" if source.seconds is not None else "until it ends"
        what = f"{source.name}, {length}"
    else:
        what = "standard input"
    waits = (
        f", which answers {'after each pause' if pauses else 'at its end'}" if stream.delay_ms is None
        else f", which answers within {stream.delay_ms:g} ms" if stream.delay_ms
        else ""
    )  # fmt: skip
    whose = f", head {stream.head.name!r}" if len(stream.model.heads) > 1 else ""
    return f"{what}  ->  {stream.model.name}{whose}{waits} ({endpoint or 'private server'})"


class _Listening:
    """One run: a thread pushes the source, this one shows what comes."""

    def __init__(
        self,
        stream: Stream,
        source: Source,
        seconds: float | None,
        live: bool,
        display: Display,
        playback: Playback | None,
    ) -> None:
        self._stream, self._source, self._live, self._display = stream, source, live, display
        self._playback = playback
        self._drawn = -REFRESH_S
        self._rate = 1e3 / source.frame_ms if isinstance(source, FramesSource) else source.sample_rate
        self._most = None if seconds is None or self._rate is None else int(seconds * self._rate)
        self._deadline = None if seconds is None or self._rate is not None else time.monotonic() + seconds
        self._progress = Progress(stream.delay_ms is None, "heard" if stream.model.unit == "sample" else "read")
        self._sent = 0
        self._ended_at = 0  # unit after which the last finished utterance ended
        self._origin = float("inf")  # when the first sample was spoken, as well as it is known
        self._failure: BaseException | None = None
        self._pushing = threading.Thread(target=self._push_all, name="ostinato-source", daemon=True)

    def run(self) -> None:
        """Until the source has ended, or Ctrl-C; then what is left is computed and shown.

        So it is too if the source or the server fails: what was spoken before is shown, then the error is raised.
        """
        try:
            self._pushing.start()
            with contextlib.suppress(KeyboardInterrupt):
                self._show_what_comes()
            self._source.close()
            self._pushing.join(1.0)  # a source that waits for standard input may not hear that it is closed
            self._show_what_is_left()
            if self._playback is not None:
                with contextlib.suppress(KeyboardInterrupt):
                    self._playback.finish()
        finally:
            self._display.close()
        note(self._progress.summary())
        if self._failure is not None:
            raise self._failure

    def _show_what_comes(self) -> None:
        while self._pushing.is_alive():
            try:
                self._show(self._stream.results(wait=REFRESH_S))
            except OstinatoError as error:
                self._failure = self._failure or error
                return

    def _show_what_is_left(self) -> None:
        try:
            self._show(self._stream.flush())
        except OstinatoError as error:
            self._failure = self._failure or error
            with contextlib.suppress(OstinatoError):
                self._show(self._stream.results())

    def _push_all(self) -> None:
        try:
            for chunk in self._source:
                if self._rate is not None:
                    if self._most is not None:
                        chunk = chunk[: self._most - self._sent]
                    self._sent += len(chunk)
                    self._origin = min(self._origin, time.monotonic() - self._sent / self._rate)
                    if chunk.ndim == 1:
                        self._progress.level_db = level_db(chunk)
                    self._progress.seconds = self._sent / self._rate
                self._stream.push(chunk)
                if self._most is not None and self._sent >= self._most:
                    return
                if self._deadline is not None and time.monotonic() >= self._deadline:
                    return
        except BaseException as error:
            self._failure = self._failure or error

    def _show(self, results: list[Result]) -> None:
        for result in results:
            for event in result.events:
                at_ms = event.utterance_ms + event.time_ms
                if self._playback is not None and event.kind == "audio" and event.values is not None:
                    self._play(self._playback, event.values, at_ms)
                    if isinstance(self._display, OnTerminal):  # it has a meter; others would list what is heard
                        self._display.event(event, at_ms, None)
                    continue
                late_ms = None
                if self._live and self._rate is not None:
                    late_ms = 1e3 * (result.received - self._origin) - at_ms
                self._progress.heard(event, late_ms)
                self._display.event(event, at_ms, late_ms)
            if result.final:
                self._ended_at = result.processed
                self._display.end_of_utterance()
        if self._playback is not None:
            self._progress.played_s = self._playback.samples / self._playback.sample_rate
            self._progress.underruns = self._playback.underruns
        self._progress.overruns = self._source.lost
        if self._rate is not None:
            self._progress.buffered_s = max(0, self._sent - self._ended_at) / self._rate
        now = time.monotonic()
        if now - self._drawn >= REFRESH_S or not self._pushing.is_alive():
            self._drawn = now  # a terminal takes longer to draw than ten milliseconds of sound last
            self._display.progress(self._progress)

    def _play(self, playback: Playback, samples: npt.NDArray[np.float32], at_ms: float) -> None:
        """Audio that was made of the input up to ``at_ms``; the round trip ends when its last sample is heard."""
        playback.take(samples)
        if self._live and (delay_s := playback.delay_s) is not None:
            heard = time.monotonic() + delay_s
            spoken = self._origin - getattr(self._source, "latency_s", 0.0) + at_ms / 1e3
            self._progress.round_trip_ms.append(1e3 * (heard - spoken))
