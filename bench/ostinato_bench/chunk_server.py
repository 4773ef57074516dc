"""``python -m ostinato_bench.chunk_server FILE …``: `ostinato.server` with timers around its parts (`spending`)."""

from __future__ import annotations

import sys
from pathlib import Path

import zmq

from ostinato import protocol
from ostinato.engine import Engine, ticks
from ostinato.kernels.alone import Alone
from ostinato.pipeline.front_ends import FRONT_ENDS
from ostinato.server import __main__ as served
from ostinato.server.clients import Clients
from ostinato.server.dialogue import Dialogue
from ostinato.server.pushes import Reader
from ostinato.streaming import Columns, packed
from ostinato_bench.chunk_tables import PARTS
from ostinato_bench.spending import Spending


def main() -> None:
    """Serve as the arguments after the first say."""
    spending = Spending(Path(sys.argv.pop(1)), PARTS)
    spending.between_turns(zmq.Poller, "poll")
    for owner, name, part in (
        (zmq.Socket, "recv", "receive"),
        (protocol, "decode_request", "decode"),
        (Reader, "read", "decode"),
        (Dialogue, "take", "numbers and credit"),
        (Dialogue, "deliver", "numbers and credit"),
        (Engine, "tick_columns", "choose a batch, count"),
        (packed.ProgramRunner, "run", "pack and unpack"),
        (packed.ProgramRunner, "run_alone", "pack and unpack"),
        (packed.ProgramRunner, "run_together", "pack and unpack"),
        (packed, "advance_slice", "network"),
        (packed, "advance_together", "network"),
        (Alone, "run", "network"),
        (Columns, "push", "events"),
        (ticks, "push", "events"),
        (ticks, "advance", "events"),
        (Dialogue, "answer", "results"),
        (Clients, "send", "send"),
        (zmq.Socket, "send", "send"),
    ):
        spending.around(owner, name, part)
    for front_end in dict.fromkeys(FRONT_ENDS.values()):
        for step in ("step_many", "step_places"):
            if hasattr(front_end, step):
                spending.around(front_end, step, "front end")
    served.main()


if __name__ == "__main__":
    main()
