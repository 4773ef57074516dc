"""``ostinato bench``: the measurements of `ostinato_bench`, with progress, as a table and as JSON."""

from __future__ import annotations

from pathlib import Path

from ostinato.cli.console import err, note, out
from ostinato.cli.files import check_writable, write_json


def kernels(json: Path | None, quick: bool) -> None:
    """Recurrent cells beside ONNX Runtime's; ``quick`` measures each for a fifth of the time."""
    from ostinato_bench.kernels import run, table

    check_writable(json)
    with err.status("…") as status:
        found = run(
            seconds=0.2 if quick else 1.0,
            progress=lambda done, count, what: status.update(f"[dim]{done} of {count}: {what}[/]"),
        )
    out.print(table(found))
    write_json(json, found)


def load(
    streams: int,
    seconds: float,
    model: str,
    workers: int | None,
    endings: int,
    search: bool,
    json: Path | None,
    plot: Path | None,
) -> None:
    """A server of ``model`` under ``streams`` streams of speech for ``seconds`` seconds."""
    from ostinato_bench.load import run, table
    from ostinato_bench.load_search import draw

    check_writable(json)
    check_writable(plot)
    with err.status("[dim]starting a server and its clients[/]") as status:
        found = run(
            streams,
            seconds,
            model=model,
            workers=workers,
            endings=endings,
            search=search,
            progress=lambda share: status.update(f"[dim]{share:.0%} of the load[/]"),
        )
    out.print(table(found))
    write_json(json, found)
    if plot is not None:
        draw(found, plot)
        note(f"picture: {plot}")
