"""What suits labels, numbers and moments on a terminal, for `ostinato listen`."""

from __future__ import annotations

import math
import sys
from collections import deque
from collections.abc import Mapping, Sequence

import numpy as np
from rich.table import Table
from rich.text import Text

from ostinato.cli.console import out
from ostinato.cli.display import Display, Json, OnTerminal, Plain, TextOnTerminal, level_db, meter, place, told
from ostinato.events import Event
from ostinato.protocol import HeadInfo, Unit

RECENT_MS = 2000.0
"""Labels' bars are over so much."""
RECENT = 2000
"""Frames, at most, that they are over."""
BAR, SPARKS = 24, 40
"""Characters of a bar, and values of a line of blocks."""
MOST = 12
"""Labels, or outputs, that are shown."""
BLOCKS = "▁▂▃▄▅▆▇█"


class LabelsOnTerminal(OnTerminal):
    """A line that stays for each change of the label; live a bar for each label: its probability where it was given,
    on the average of the last two seconds."""

    def __init__(self, unit: Unit) -> None:
        self._recent: deque[tuple[float, str, float]] = deque(maxlen=RECENT)
        self._seen: dict[str, None] = {}
        self._label: str | None = None
        super().__init__(unit)

    def event(self, event: Event, at_ms: float, late_ms: float | None) -> None:
        """Count a label; whatever else comes is a line."""
        if event.kind != "label":
            super().event(event, at_ms, late_ms)
            return
        self._recent.append((at_ms, event.text, event.probability or 1.0))  # some decoders give none
        while self._recent[0][0] <= at_ms - RECENT_MS:
            self._recent.popleft()
        self._seen[event.text] = None
        if event.text != self._label:
            self._label = event.text
            super().event(event, at_ms, late_ms)

    def shown(self) -> Table:
        """The bars; the label of the moment is bold."""
        shares = dict.fromkeys(self._seen, 0.0)
        for _, label, probability in self._recent:
            shares[label] += probability / len(self._recent)
        names = list(shares)
        if len(names) > MOST:
            names = sorted(sorted(names, key=lambda name: -shares[name])[:MOST], key=names.index)
        grid = Table.grid(padding=(0, 1))
        for name in names:
            now = name == self._label
            grid.add_row(
                Text(name, style="bold" if now else ""),
                bar(shares[name], "green" if now else "cyan"),
                Text(f"{shares[name]:4.0%}", style="" if now else "dim"),
            )
        if len(shares) > len(names):
            grid.add_row(Text(f"and {len(shares) - len(names)} more", style="dim"))
        return grid


class NumbersOnTerminal(OnTerminal):
    """A row for each output: its number, its value now, the last ones as a line of blocks between their least and
    their greatest."""

    def __init__(self, unit: Unit) -> None:
        self._values: deque[Sequence[float]] = deque(maxlen=SPARKS)
        super().__init__(unit)

    def event(self, event: Event, at_ms: float, late_ms: float | None) -> None:
        """Keep the numbers."""
        if event.values is None:
            super().event(event, at_ms, late_ms)
        else:
            self._values.append(event.values.tolist())

    def close(self) -> None:
        """The last rows stay."""
        super().close()
        if self._values:
            out.print(self.shown())

    def shown(self) -> Table:
        """The rows."""
        grid = Table.grid(padding=(0, 1))
        columns = np.array(self._values).T.tolist() if self._values else []
        wide = out.width >= SPARKS + 40
        for index, values in enumerate(columns[:MOST]):
            low, high = min(values), max(values)
            cells = [Text(f"{index}", style="dim"), Text(f"{values[-1]:.4g}", style="bold", justify="right")]
            cells.append(Text(sparkline(values if wide else values[-10:]), style="cyan"))
            grid.add_row(*cells, Text(f"{low:.3g} to {high:.3g}", style="dim"))
        if len(columns) > MOST:
            grid.add_row(Text(""), Text(f"and {len(columns) - MOST} more", style="dim"))
        return grid


class SoundOnTerminal(OnTerminal):
    """How loud the sound is that a model gives."""

    def __init__(self, unit: Unit) -> None:
        self._level_db = -math.inf
        super().__init__(unit)

    def event(self, event: Event, at_ms: float, late_ms: float | None) -> None:
        """Measure it."""
        if event.values is None:
            super().event(event, at_ms, late_ms)
        else:
            self._level_db = level_db(event.values)

    def shown(self) -> Text:
        """A bar, as for what comes in."""
        return Text.assemble(meter(self._level_db), "  given")


class MomentsOnTerminal(OnTerminal):
    """A line that stays for each: ends of speech, onsets, classes of utterances."""

    def __init__(self, unit: Unit) -> None:
        self._latest = Text("…", style="dim")
        super().__init__(unit)

    def event(self, event: Event, at_ms: float, late_ms: float | None) -> None:
        """Keep it."""
        super().event(event, at_ms, late_ms)
        self._latest = Text(f"{' '.join(told(event).split())} at {place(at_ms, self.paced).strip()}", style="bold")

    def shown(self) -> Text:
        """The latest."""
        return self._latest


def bar(share: float, colour: str, width: int = BAR) -> Text:
    """A bar of a share from 0 to 1."""
    full = round(min(max(share, 0.0), 1.0) * width)
    return Text.assemble(("█" * full, colour), ("─" * (width - full), "dim"))


def sparkline(values: Sequence[float]) -> str:
    """A block for each value, as high as it lies between the least and the greatest; of equal ones the lowest."""
    low, high = min(values), max(values)
    scale = (len(BLOCKS) - 1) / (high - low) if high > low else 0.0
    return "".join(BLOCKS[round((value - low) * scale)] for value in values)


VIEWS: Mapping[str, type[OnTerminal]] = {
    "outputs": NumbersOnTerminal,
    "labels": LabelsOnTerminal,
    "crf": LabelsOnTerminal,
    "audio": SoundOnTerminal,
    "inverse-spectrum": SoundOnTerminal,
    "overlap-add": SoundOnTerminal,
    "rnnoise-synthesis": SoundOnTerminal,
}
"""By the decoder; all others give moments."""


SYMBOLS = ("ctc", "ctc-beam")
"""Decoders whose symbols are written as text."""


def display(as_json: bool, head: HeadInfo, unit: Unit) -> Display:
    """What suits standard output, and what the head says: of text, labels are written as text too."""
    if as_json:
        return Json()
    if not sys.stdout.isatty():
        return Plain(unit)
    view = VIEWS.get(head.decoder, MomentsOnTerminal)
    if head.decoder in SYMBOLS or (unit == "character" and view is not NumbersOnTerminal):
        return TextOnTerminal(head.separator, unit)
    return view(unit)
