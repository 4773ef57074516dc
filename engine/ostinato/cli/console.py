"""How the commands speak: results on standard output, everything else on standard error."""

from __future__ import annotations

from collections.abc import Sequence
from contextlib import suppress

from rich.markup import escape

from ostinato_bench.terminal import Console

out = Console(highlight=False)
err = Console(stderr=True, highlight=False)


class _Line:
    """Whether a line of standard output is begun."""

    begun = False


def say(text: str) -> None:
    """Write on, on standard output, but no control characters: what a model says must not steer the terminal."""
    shown = "".join(c if c.isprintable() or c in "\n\t" else "\N{REPLACEMENT CHARACTER}" for c in text)
    print(shown, end="", flush=True)
    _Line.begun = _Line.begun if not shown else not shown.endswith("\n")


def complain(message: str) -> None:
    """An error, in red, on standard error."""
    _tell(f"[bold red]error:[/] {escape(message)}")


def note(message: str) -> None:
    """What a user may want to know but did not ask for, on standard error."""
    _tell(f"[dim]{escape(message)}[/]")


def _tell(markup: str) -> None:
    with suppress(OSError):  # whoever read it may have gone: no reason to stop
        if _Line.begun:
            say("\n")
        err.print(markup)


def size(count: int) -> str:
    """Bytes for people: 512 B, 1.5 KB, 12 MB."""
    if count < 1000:
        return f"{count} B"
    return f"{count / 1e3:.3g} KB" if count < 1e6 else f"{count / 1e6:.3g} MB"


def count(number: float) -> str:
    """A large number for people: 0, 37, 1.36 k, 141 k, 4.7 M, 1.2 G."""
    for unit, sign in ((1e9, " G"), (1e6, " M"), (1e3, " k")):
        if number >= 0.9995 * unit:
            return f"{number / unit:.3g}{sign}" if number < 999.5 * unit else f"{number / unit:.0f}{sign}"
    return f"{number:.3g}"


def duration(ms: float | None) -> str:
    """Milliseconds for people: 4.2 ms, 85 ms, -220 ms, 1.3 s; a dash for None."""
    if ms is None:
        return "–"
    return f"{ms / 1e3:.1f} s" if abs(ms) >= 1000 else f"{ms:.0f} ms" if abs(ms) >= 10 else f"{ms:.1f} ms"


def delay(ms: float | None, tokens: bool = False) -> str:
    """A model's delay for people; None is the whole utterance. A ms may stand for a token."""
    if ms is None:
        return "the utterance"
    return plural(round(ms), "token") if tokens else f"{ms:.0f} ms"


def plural(count: int, word: str) -> str:
    """How many of something: no words, 1 word, 1,200 words."""
    return f"{f'{count:,}' if count else 'no'} {word}{'' if count == 1 else 's'}"


def percent(bounds: Sequence[float] | None) -> str:
    """A range of shares for people: 1.5 to 24.3 %; a dash for None."""
    return "–" if bounds is None else "{:.1f} to {:.1f} %".format(*(100 * bound for bound in bounds))
