"""How `ostinato listen` shows what comes: a live line on a terminal, plain lines into a pipe, JSON for programs."""

from __future__ import annotations

import math
from collections import deque
from dataclasses import dataclass, field
from typing import Protocol

import numpy as np
import numpy.typing as npt
from rich.cells import cell_len
from rich.console import Group, RenderableType
from rich.live import Live
from rich.text import Text

from ostinato.cli.console import duration, out, plural
from ostinato.cli.output_files import print_json
from ostinato.events import Event
from ostinato.protocol import Unit

NEW_LINE_MS = 2000.0
"""A pause between two words that begins a new line on a terminal."""
METER_FLOOR_DB = -60.0
METER_WIDTH = 16
RECENT = 200
"""Results that the live line's median is over."""


@dataclass
class Progress:
    """What is known of the stream so far."""

    waits: bool
    """For the end of the utterance, before it answers."""
    verb: str = "heard"
    """What is done with the input."""
    seconds: float = 0.0
    level_db: float = -math.inf
    buffered_s: float = 0.0
    overruns: int = 0
    results: int = 0
    late_ms: deque[float] = field(default_factory=lambda: deque(maxlen=RECENT))
    played_s: float | None = None
    """Audio that the model made; None if it goes nowhere."""
    underruns: int = 0
    round_trip_ms: deque[float] = field(default_factory=lambda: deque(maxlen=RECENT))
    """From the microphone to the loudspeaker, of audio that is heard."""

    def heard(self, event: Event, late_ms: float | None) -> None:
        """Count a result."""
        self.results += event.kind != "end-of-speech"
        if late_ms is not None and event.kind != "end-of-speech":
            self.late_ms.append(late_ms)

    @property
    def median_ms(self) -> float | None:
        """How much later than decided the recent results were shown, the median."""
        return float(np.median(self.late_ms)) if self.late_ms else None

    @property
    def median_round_trip_ms(self) -> float | None:
        """The median of the recent ones."""
        return float(np.median(self.round_trip_ms)) if self.round_trip_ms else None

    def summary(self) -> str:
        """One line at the end."""
        parts = [f"{self.seconds:.1f} s {self.verb}"] if self.seconds else []
        if self.played_s is None or self.results:
            parts.append(plural(self.results, "result"))
        if self.played_s is not None:
            parts.append(f"{self.played_s:.1f} s made")
        if self.median_round_trip_ms is not None:
            trip = duration(self.median_round_trip_ms)
            parts.append(f"round trip {trip} in the median, {plural(self.underruns, 'underrun')}")
        if self.median_ms is not None:
            parts.append(f"shown {duration(self.median_ms)} after the decision, in the median")
        if self.overruns:
            parts.append(f"{plural(self.overruns, 'overrun')}: audio was lost, the machine is too busy")
        return ", ".join(parts)


class Display(Protocol):
    """Where results are shown."""

    def event(self, event: Event, at_ms: float, late_ms: float | None) -> None:
        """A result: ``at_ms`` since the stream began is where in the audio it was decided, ``late_ms`` how much later
        it is shown, None where that means nothing. Where words end nobody knows while they are spoken."""

    def end_of_utterance(self) -> None:
        """The results so far belong together; those to come are of the next utterance."""

    def progress(self, progress: Progress) -> None:
        """Called a few times a second."""

    def close(self) -> None:
        """No more will come."""


class Plain:
    """One line per result, at once; of labels one for each change, unless they are of text, of audio one a second.
    Places are seconds, or of ``unit`` character numbers of tokens."""

    def __init__(self, unit: Unit) -> None:
        self.paced = unit != "character"
        self._label: tuple[int, str] | None = None
        self._audio: list[npt.NDArray[np.float32]] = []
        self._audio_ms = 0.0

    def event(self, event: Event, at_ms: float, late_ms: float | None) -> None:
        """When it was said, what, and how much later it is shown."""
        if event.kind == "audio" and event.values is not None:
            full = self._audio_ms // 1e3 < at_ms // 1e3
            self._audio.append(event.values)
            self._audio_ms = at_ms
            if full:
                self._end_audio()
            return
        if event.kind == "label" and self.paced:
            if self._label == (event.utterance, event.text):
                return
            self._label = event.utterance, event.text
        late = "" if late_ms is None else f"  shown {duration(late_ms)} later"
        print(f"{place(at_ms, self.paced)}  {told(event, self.paced)}{late}", flush=True)

    def end_of_utterance(self) -> None:
        """What audio there is has its line; others have theirs."""
        self._end_audio()

    def progress(self, progress: Progress) -> None:
        """Nothing: a log wants no meter."""

    def close(self) -> None:
        """The last part of a second of audio."""
        self._end_audio()

    def _end_audio(self) -> None:
        """A line for the audio since the last one."""
        if self._audio:
            whole = np.concatenate(self._audio)
            self._audio = []
            db = max(level_db(whole), -99.0)
            print(f"{place(self._audio_ms, self.paced)}  {len(whole)} samples, {db:.0f} dBFS", flush=True)


class Json:
    """One JSON object per result, at once."""

    def event(self, event: Event, at_ms: float, late_ms: float | None) -> None:
        """The event's fields that matter for its kind."""
        shown: dict[str, object] = {"kind": event.kind, "time_ms": round(at_ms, 2), "utterance": event.utterance}
        if event.kind in ("label", "symbol", "class", "peak", "beat"):
            shown |= {"text": event.text, "index": event.index, "probability": round(event.probability, 4)}
        if event.values is not None:
            shown["values"] = [float(f"{value:.6g}") for value in event.values]
        if late_ms is not None:
            shown["after_decided_ms"] = round(late_ms, 2)
        print_json(shown)

    def end_of_utterance(self) -> None:
        """``utterance`` says it."""

    def progress(self, progress: Progress) -> None:
        """Nothing: only results."""

    def close(self) -> None:
        """Nothing is left to show."""


class OnTerminal:
    """What is shown live, and below it one line with level, time, how late results are and what is buffered: the base
    of what suits each kind of result. ``paced``: whether input has its time, as all but text."""

    def __init__(self, unit: Unit) -> None:
        self.unit = unit
        self.paced = unit != "character"
        self._status = Text("listening")
        self._live = Live(console=out, auto_refresh=False, transient=True)
        self._live.start()

    def shown(self) -> RenderableType:
        """What stands above the status now."""
        raise NotImplementedError

    def event(self, event: Event, at_ms: float, late_ms: float | None) -> None:
        """As `Display`: by itself a line that stays, with its time."""
        self.keep(Text(f"{place(at_ms, self.paced)}  {told(event, self.paced)}"))

    def end_of_utterance(self) -> None:
        """As `Display`."""

    def progress(self, progress: Progress) -> None:
        """Redraw."""
        status = Text()
        if self.unit == "sample":
            status.append(meter(progress.level_db, METER_WIDTH if out.width >= 80 else 4))
        status.append(f"  {progress.seconds:6.1f} s")
        if progress.waits:
            status.append(f"  holds {progress.buffered_s:.1f} s until a pause", style="yellow")
        if progress.median_ms is not None:
            status.append(f"  shown +{duration(progress.median_ms)}", style="dim")
        if progress.median_round_trip_ms is not None:
            status.append(f"  round trip {duration(progress.median_round_trip_ms)}", style="dim")
        if progress.underruns:
            status.append(f"  {plural(progress.underruns, 'underrun')}", style="bold red")
        if progress.overruns:
            status.append(f"  {plural(progress.overruns, 'overrun')}: audio is lost", style="bold red")
        self._status = status
        self.refresh()

    def keep(self, line: Text) -> None:
        """A line that goes up and stays."""
        self._live.console.print(line)

    def refresh(self) -> None:
        """Draw what is shown now."""
        self._live.update(Group(self.shown(), self._status), refresh=True)

    def close(self) -> None:
        """Take the live lines away."""
        self._live.stop()


class TextOnTerminal(OnTerminal):
    """The text as it grows. Speech flows on over short pauses, whether a model's utterance ends there or not; a long
    one begins a new line."""

    def __init__(self, separator: str, unit: Unit) -> None:
        self._separator = separator
        self._text = ""
        self._said_ms = 0.0
        super().__init__(unit)

    def shown(self) -> Text:
        """The line that grows."""
        return Text(self._text or "…", style="bold" if self._text else "dim")

    def event(self, event: Event, at_ms: float, late_ms: float | None) -> None:
        """Append what was said; a full line goes up and stays."""
        if event.kind in SPEECH:
            return
        said = said_by(event)
        longer = self._text + (self._separator if self._text else "") + said
        paused = self.paced and at_ms - self._said_ms >= NEW_LINE_MS
        if cell_len(longer) >= out.width or paused:
            self._end_line()
            longer = said
        self._text, self._said_ms = longer, at_ms
        self.refresh()

    def end_of_utterance(self) -> None:
        """Of text, the line goes up and stays."""
        if not self.paced:
            self._end_line()

    def _end_line(self) -> None:
        if self._text:
            self.keep(Text(self._text, style="bold"))
            self._text = ""
            self.refresh()

    def close(self) -> None:
        """Leave the text."""
        self._end_line()
        super().close()


def place(at_ms: float, paced: bool) -> str:
    """Where a result is, for people."""
    return f"{at_ms / 1e3:8.2f} s" if paced else f"{at_ms:8.0f}"


def told(event: Event, paced: bool = True) -> str:
    """A result by itself, for people: labels and peaks with how sure they are."""
    if event.kind in ("label", "peak") and paced and event.probability:
        return f"{event.text}  {event.probability:.0%}"
    return said_by(event)


SPEECH = {"end-of-speech": "(end of speech)", "speech-start": "(speech starts)", "speech-end": "(speech ends)"}
"""Kinds of event that say nothing but where speech is."""


def said_by(event: Event) -> str:
    """A result as text."""
    if event.kind in SPEECH:
        return SPEECH[event.kind]
    if event.kind == "audio" and event.values is not None:
        return f"{len(event.values)} samples, {max(level_db(event.values), -99.0):.0f} dBFS"
    if event.kind == "beat" and event.values is not None:
        return f"{event.text} ({event.values[0]:.0f} bpm)"
    if event.kind == "output" and event.values is not None:
        return " ".join(f"{value:.3f}" for value in event.values[:8]) + (" …" if len(event.values) > 8 else "")
    return f"{event.text} ({event.probability:.0%})" if event.kind == "class" else event.text


def level_db(samples: npt.NDArray[np.generic]) -> float:
    """Root mean square of int16 or float32 audio, in dB relative to full scale; -inf for silence."""
    if not len(samples):
        return -math.inf
    scale = 32768.0 if samples.dtype == np.int16 else 1.0
    rms = math.sqrt(float(np.mean(np.square(samples, dtype=np.float64)))) / scale
    return 20 * math.log10(rms) if rms > 0 else -math.inf


def meter(db: float, width: int = METER_WIDTH) -> Text:
    """A bar from -60 dBFS to 0, and the number."""
    share = min(max(1 - db / METER_FLOOR_DB, 0.0), 1.0)
    full = round(share * width)
    colour = "red" if db > -3 else "green"
    number = f"{db:4.0f} dBFS" if db > -99 else "silent   "
    return Text.assemble(("█" * full, colour), ("─" * (width - full), "dim"), f" {number}")
