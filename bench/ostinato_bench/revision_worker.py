"""One commit's side of `ostinato_bench.revisions`: times its kernels whenever it is asked to.

Standard input has one request a line, {"cell": {…}, "seconds": s}; standard output one answer a line, {"us": …} or
{"error": …}. The first line says that it is ready, and which sources it runs. Ends with its standard input.
"""

from __future__ import annotations

import json
import sys
from pathlib import Path
from typing import Any

import ostinato
from ostinato.kernels import warm_up
from ostinato_bench.cells import Cell
from ostinato_bench.ours import Ours
from ostinato_bench.timing import Timed, alternate


def main() -> None:
    """Serve requests until there are no more."""
    warm_up()
    _say({"ready": str(Path(ostinato.__file__).parent)})
    ours: dict[Cell, Ours] = {}
    for line in sys.stdin:
        request = json.loads(line)
        cell = Cell(**request["cell"])
        try:
            if cell not in ours:
                network = cell.network()
                network = cell.in_int8(network) if cell.precision == "int8" else network
                ours = {cell: Ours(network, cell.input_frames())}
            timed = alternate({"ours": Timed(ours[cell].call)}, request["seconds"], rounds=2)
            _say({"us": timed["ours"].median})
        except Exception as error:  # the commit may lack what the cell needs: said, and the next one tried
            _say({"error": f"{type(error).__name__}: {error}"})


def _say(answer: dict[str, Any]) -> None:
    print(json.dumps(answer), flush=True)


if __name__ == "__main__":
    main()
