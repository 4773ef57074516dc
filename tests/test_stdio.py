"""Standard output, whatever comes in between."""

from __future__ import annotations

import signal
import subprocess
import sys
from itertools import count

COUNTS = """
from ostinato import stdio
stdio.prepare()
try:
    for number in range(1_000_000):
        print(number, flush=True)
except KeyboardInterrupt:
    pass
"""


def test_nothing_is_written_twice_where_ctrl_c_comes_amid_writing() -> None:
    """The reader wakes while the write returns, and that is when it asks for the end."""
    for _ in range(12):
        with subprocess.Popen([sys.executable, "-c", COUNTS], stdout=subprocess.PIPE, text=True) as process:
            assert process.stdout is not None
            begun = process.stdout.readline()
            process.send_signal(signal.SIGINT)
            rest = process.stdout.read()
            process.wait(60)
        assert process.returncode == 0
        numbers = (begun + rest).split()
        assert numbers == [str(number) for number, _ in zip(count(), numbers, strict=False)]
