"""The ``ostinato`` command. Each command loads what it needs when it runs, so that ``--help`` is quick."""

from __future__ import annotations

import _thread
import signal
import sys
import threading
from typing import Any


def main() -> None:
    """Run the command line, and exit with one of the codes that `cli.usage` names."""
    sys.exit(_run())


def _run() -> int:
    """Whatever goes wrong, loading included, is told in one line; only our own faults are tracebacks."""
    try:
        from ostinato import stdio

        sys.unraisablehook = _keep_interrupts
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
        elif _interrupted(error):
            return 130
        else:
            raise
        return 1


def _keep_interrupts(unraisable: Any) -> None:
    """Ctrl-C while compiled code called ours (the compiler does) cannot be raised there: it comes again soon."""
    if issubclass(unraisable.exc_type, KeyboardInterrupt):
        again = threading.Timer(0.02, _interrupt)
        again.daemon = True
        again.start()
    else:
        sys.__unraisablehook__(unraisable)


def _interrupt() -> None:
    if sys.platform == "win32":
        _thread.interrupt_main()
    else:
        signal.pthread_kill(threading.main_thread().ident or 0, signal.SIGINT)  # ends what it waits for, too


def _interrupted(error: BaseException | None) -> bool:
    """Whether Ctrl-C is behind an error: Python wraps what is raised while a class is made."""
    while error is not None:
        if isinstance(error, KeyboardInterrupt):
            return True
        error = error.__cause__
    return False
