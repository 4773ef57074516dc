"""Downloads by the clients that people have, pip and apt-get: watched as they run, and ended with us."""

from __future__ import annotations

import os
import shutil
import signal
import subprocess
import tempfile
import time
from collections.abc import Callable, Sequence
from contextlib import suppress
from pathlib import Path

from ostinato.errors import PackageError

MAX_BYTES = 1 << 30
"""Of what a client may have written."""
STALLED_S = 300.0
"""After so many seconds without a byte a download is given up."""
_TURN_S = 0.25


def download(
    command: Sequence[str], folder: Path, what: str, size: int, cure: str, progress: Callable[[str, int, int], None]
) -> None:
    """Run ``command``, which puts ``what`` (a package, and some ``size`` bytes) into a folder and works there.

    Raises PackageError, with ``cure``, if it fails, if there is no room, and if nothing comes any more.
    """
    free = shutil.disk_usage(folder).free
    if free < size:
        raise PackageError(
            f"{what} has {size:,} bytes, and there are {free:,} left for {folder.parent}: make room, or set "
            "XDG_CACHE_HOME to a folder that has it"
        )
    with tempfile.TemporaryFile() as said:
        try:
            process = subprocess.Popen(
                command, cwd=folder, stdin=subprocess.DEVNULL, stdout=said, stderr=subprocess.STDOUT,
                env=os.environ | {"TMPDIR": str(folder), "LC_ALL": "C.UTF-8"}, start_new_session=True,
            )  # fmt: skip
        except OSError as error:
            raise PackageError(f"{command[0]} cannot be run ({error.strerror}): {cure}") from error
        try:
            _watch(process, folder, what, size, progress)
        finally:
            if process.poll() is None:
                with suppress(ProcessLookupError):
                    os.killpg(process.pid, signal.SIGKILL)
                process.wait()
        if process.returncode:
            said.seek(max(0, said.tell() - 8192))
            raise PackageError(f"{what} cannot be downloaded ({_reason(said.read())}): {cure}")


def _watch(
    process: subprocess.Popen[bytes], folder: Path, what: str, size: int, progress: Callable[[str, int, int], None]
) -> None:
    before, since = -1, time.monotonic()
    while process.poll() is None:
        there = _bytes(folder)
        progress(f"downloading {what}", min(there, size), size)
        if there > MAX_BYTES:
            raise PackageError(f"over {MAX_BYTES:,} bytes came for {what}: it is no such package; try another source")
        if there != before:
            before, since = there, time.monotonic()
        elif time.monotonic() - since > STALLED_S:
            raise PackageError(f"{what}: nothing came for {STALLED_S:.0f} s; try again when the network is there")
        with suppress(subprocess.TimeoutExpired):
            process.wait(_TURN_S)


def _bytes(folder: Path) -> int:
    """Of what is in it; files and folders come and go meanwhile, whose are passed over, as `Path.rglob` would not."""
    total = 0
    for root, _, names in os.walk(folder):
        for name in names:
            with suppress(OSError):
                total += Path(root, name).lstat().st_size
    return total


def _reason(said: bytes) -> str:
    """The last line that is an error, else the last one."""
    lines = [line.strip() for line in said.decode(errors="replace").splitlines() if line.strip()]
    errors = [line for line in lines if line.startswith(("ERROR:", "E:"))]
    return (errors or lines or ["it says nothing"])[-1][:300]
