"""The ``ostinato`` command. Each command loads what it needs when it runs, so that ``--help`` is quick."""

from __future__ import annotations

import os
import sys


def main() -> None:
    """Run the command line. Exits with 0, with 1 after an error that Ostinato names, with 2 after wrong usage."""
    from ostinato.cli.app import app
    from ostinato.cli.console import complain
    from ostinato.errors import OstinatoError

    try:
        app()
    except OstinatoError as error:
        complain(str(error))
        sys.exit(1)
    except BrokenPipeError:
        # What read our output has gone (`ostinato ... | head`): nothing is left to say, nor a way to say it.
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        sys.exit(1)
    except OSError as error:
        # A user's file that cannot be read or written: no permission, no room, another thing than a file.
        if error.filename is None:
            raise
        complain(f"{error.filename}: {error.strerror}: check the path, its permissions and the room on the disk")
        sys.exit(1)
