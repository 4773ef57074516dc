"""``ostinato train``: the recipes, with progress."""

from __future__ import annotations

import os
from pathlib import Path

from ostinato.cli.console import err, note
from ostinato.cli.recordings import LeftOut
from ostinato.training.recipes.digits import Options, train
from ostinato.training.recipes.voices import synthesisers


def digits(output: Path, data: Path, steps: int, resume: bool, real: list[Path], fsdd: Path | None) -> None:
    """Train digits-uni and digits-bi and write them, with their cards, to ``output``."""
    options = Options(output=output, data=data, steps=steps, resume=resume, real=tuple(real), fsdd=fsdd,
                      workers=os.cpu_count() or 1)  # fmt: skip
    for missing in synthesisers()[1]:
        note(f"{missing.name} is not installed, so its voices will be missing: {missing.install}")
    with err.status("[dim]preparing[/]") as status:

        def report(what: str, done: int, total: int) -> None:
            status.update(f"[dim]{what}: {done} of {total}[/]")
            if done < total:
                status.start()
            else:
                status.stop()  # learning, which may come next, has a display of its own

        left_out = LeftOut()
        written = train(options, report, left_out.add)
    for path in written:
        note(f"written: {path}")
    left_out.finish()
