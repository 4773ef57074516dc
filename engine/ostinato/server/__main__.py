"""``python -m ostinato.server``: what `spawn_server` starts. People use ``ostinato serve``."""

from __future__ import annotations

import argparse
import sys

from ostinato import stdio
from ostinato.errors import OstinatoError
from ostinato.server.process import DEFAULT_BIND, LOG_LEVELS, serve
from ostinato.server.settings import Settings


def main() -> None:
    """Serve as the arguments say."""
    parser = argparse.ArgumentParser(prog="python -m ostinato.server")
    parser.add_argument("--bind", default=DEFAULT_BIND)
    parser.add_argument("--models", action="append", default=[], help="a folder of model files")
    parser.add_argument("--model", action="append", help="only this model, by name or path")
    parser.add_argument("--with-parent", action="store_true", help="end when standard input ends")
    parser.add_argument("--drain", type=float, default=Settings().drain_s, help="seconds that open streams may go on")
    parser.add_argument("--idle", type=float, default=Settings().idle_s, help="seconds of a client's silence")
    parser.add_argument("--max-clients", type=int, default=Settings().max_clients, help="connections at once")
    parser.add_argument("--max-memory-mb", type=int, help="memory above which no stream is opened")
    parser.add_argument("--log-level", choices=LOG_LEVELS, help="what is logged")
    parser.add_argument("--workers", type=int, default=1, help="processes that share the streams")
    parser.add_argument("--max-utterance", type=float, help="seconds of the longest bidirectional utterance")
    stdio.prepare()
    arguments = parser.parse_args()
    try:
        limits = None
        if arguments.max_utterance is not None:
            from ostinato.engine import Limits

            limits = Limits(max_utterance_s=arguments.max_utterance)
        serve(
            arguments.bind,
            models=arguments.model,
            folders=arguments.models,
            settings=Settings(
                drain_s=arguments.drain,
                idle_s=arguments.idle,
                max_clients=arguments.max_clients,
                max_memory_mb=arguments.max_memory_mb,
            ),
            limits=limits,
            parent=sys.stdin.fileno() if arguments.with_parent else None,
            workers=arguments.workers,
            log_level=arguments.log_level,
        )
    except OstinatoError as error:
        sys.exit(f"ostinato: {error}")
    except KeyboardInterrupt:
        sys.exit(130)


if __name__ == "__main__":
    main()
