"""What a message takes of memory is kept for the next one."""

from __future__ import annotations

import subprocess
import sys

import pytest

CYCLES = 200
FAULTS = f"""
import resource
from ostinato.server.memory import keep_free
if %s:
    keep_free()
def message():
    return [b"x" * 100_000 for _ in range(4)]
message()
before = resource.getrusage(resource.RUSAGE_SELF).ru_minflt
for _ in range({CYCLES}):
    message()
print(resource.getrusage(resource.RUSAGE_SELF).ru_minflt - before)
"""


@pytest.mark.skipif(sys.platform != "linux", reason="it is glibc that gives free memory back")
def test_free_memory_is_not_given_back_after_each_message() -> None:
    def faults(kept: bool) -> int:
        done = subprocess.run([sys.executable, "-c", FAULTS % kept], capture_output=True, text=True, check=True)
        return int(done.stdout)

    assert faults(False) > 10 * CYCLES, "else this measures nothing"
    assert faults(True) < CYCLES
