"""Lines of text from standard input, as they come, within bounds."""

from __future__ import annotations

import sys
from collections.abc import Iterator

from ostinato.cli.console import note
from ostinato.errors import InputError

LONGEST = 1 << 16
"""Bytes of a line."""


def lines_in() -> Iterator[str]:
    """Those of standard input, without their ends; who is to type them is told so. Raises InputError naming the line
    that is too long or no UTF-8."""
    if sys.stdin.isatty():
        note("a line at a time from the keyboard; Ctrl-D ends")
    source, number = sys.stdin.buffer, 0
    while line := source.readline(LONGEST + 2):
        number += 1
        if len(line.rstrip(b"\r\n")) > LONGEST:
            raise InputError(f"line {number} of standard input is longer than {LONGEST} bytes: divide it")
        try:
            yield line.decode("utf-8").rstrip("\r\n")
        except UnicodeDecodeError as error:
            raise InputError(f"line {number} of standard input is no UTF-8: convert it first") from error
