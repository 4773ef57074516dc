"""The ``ostinato`` command. Each command loads what it needs when it runs, so that ``--help`` is quick."""

from __future__ import annotations

import sys

DONE, FAILED, WRONG_USAGE, INTERRUPTED, UNREAD = 0, 1, 2, 130, 141
"""Exit codes. The last two are what shells make of SIGINT and SIGPIPE."""


def main() -> None:
    """Run the command line, and exit with one of the codes above."""
    sys.exit(_run())


def _run() -> int:
    """Whatever goes wrong, loading included, is told in one line; only our own faults are tracebacks."""
    try:
        from ostinato import stdio

        stdio.prepare()
        from ostinato.cli.app import run

        status = run()
        sys.stdout.flush()  # here, where it is known what to do if that fails
        return status
    except KeyboardInterrupt:
        return INTERRUPTED
    except BrokenPipeError:
        return UNREAD  # `ostinato ... | head`: files are written, and nobody is left to read the rest
    except Exception as error:
        from ostinato.cli.console import complain
        from ostinato.errors import OstinatoError

        if isinstance(error, OstinatoError):
            complain(str(error))
        elif isinstance(error, OSError) and error.filename is not None:
            # A user's file that cannot be read or written: no permission, no room, another thing than a file.
            cure = "check the path, its permissions and the room on the disk"
            complain(f"{error.filename}: {error.strerror or error}: {cure}")
        else:
            raise
        return FAILED
