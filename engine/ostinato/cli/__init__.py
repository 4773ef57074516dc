"""The ``ostinato`` command. Each command loads what it needs when it runs, so that ``--help`` is quick."""

from __future__ import annotations

import sys


def main() -> None:
    """Run the command line, and exit with one of the codes that `cli.usage` names."""
    sys.exit(_run())


def _run() -> int:
    """Whatever goes wrong, loading included, is told in one line; only our own faults are tracebacks."""
    try:
        from ostinato import stdio

        stdio.prepare()
        from ostinato.cli.app import app
        from ostinato.cli.usage import run

        status = run(app)
        sys.stdout.flush()  # here, where it is known what to do if that fails
        return status
    except KeyboardInterrupt:
        return 130
    except BrokenPipeError:
        return 141  # `ostinato ... | head`: files are written, and nobody is left to read the rest
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
        return 1
