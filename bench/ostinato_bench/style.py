"""What all pictures have in common: colours, and plain numbers on logarithmic axes."""

from __future__ import annotations

from typing import Any

# Okabe and Ito's palette: distinct for all common kinds of colour vision.
COLOURS = ("#0072B2", "#D55E00", "#009E73", "#CC79A7", "#E69F00", "#56B4E9")
INK, SOFT, FAINT = "#222222", "#6b6b6b", "#d9d9d9"


def plain_log(axis: Any) -> None:
    """Plain numbers (10, 100, 1000) on a logarithmic axis."""
    from matplotlib.ticker import FuncFormatter, NullFormatter

    axis.set_major_formatter(FuncFormatter(lambda value, _: f"{value:g}"))
    axis.set_minor_formatter(NullFormatter())


def short(name: str, longest: int = 16) -> str:
    """A name with its middle left out if it is long; how it answered stays."""
    tail = " in blocks" if name.endswith(" in blocks") else ""
    name = name.removesuffix(tail)
    return name + tail if len(name) <= longest else f"{name[: longest // 2]}…{name[-(longest // 2 - 1) :]}{tail}"
