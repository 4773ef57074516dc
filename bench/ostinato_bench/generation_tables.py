"""What `bench generation` found, as a table: for the terminal, and as Markdown for docs/performance.md."""

from __future__ import annotations

from typing import Any

from ostinato_bench import tables, training_tables
from ostinato_bench.terminal import Table

LEGEND = (
    "Thousands of tokens a second of processor time, on one thread; medians. Stream by stream: a call of the engine "
    "for each stream's token; by hand: one call for all, and a loop in NumPy around it. Under times how many times "
    "faster we are, in float32, than the faster of those that are called stream by stream; of limit: what the "
    "processor needs at least for the float32 network (to read its weights once a token, or to multiply), as a share "
    "of what we take."
)
_PEERS = {"onnxruntime": "ONNX Runtime", "pytorch": "PyTorch"}

source = training_tables.source


def terminal(result: dict[str, Any]) -> Table:
    """A result of `generation.run`."""
    headings, lines = _table(result)
    made = Table(*headings, title="Tokens a second, thousands", right=headings[3:])
    for line in lines:
        made.add_row(*line)
    return made


def generating(result: dict[str, Any]) -> str:
    """The same in Markdown."""
    return tables.markdown(*_table(result, "**"))


def _table(result: dict[str, Any], strong: str = "") -> tuple[list[str], list[list[str]]]:
    rows = result["rows"]
    peers = [name for name in _PEERS if any(name in row["contenders"] for row in rows)]
    int8 = any("ours-int8" in row["contenders"] for row in rows)
    headings = ["vocabulary", "streams", "", "ours", *["ours, int8"] * int8]
    headings += [f"{_PEERS[name]}{how}" for how in (", stream by stream", ", by hand") for name in peers]
    headings += ["times"] * bool(peers)
    limits = any("limit_tokens_s" in row for row in rows)
    headings += ["of limit"] * limits
    lines = []
    for row in rows:
        found = row["contenders"]
        line = [f"{row['vocabulary']:,}", f"{row['streams']}", row["way"], _thousands(found, "ours")]
        line += [_thousands(found, "ours-int8")] * int8
        line += [_thousands(found, name) for name in peers]
        line += [_thousands(found, f"{name}-batched") for name in peers]
        if peers:
            best = max(found[name]["tokens_s"] for name in peers if name in found)
            line.append(f"{strong}{found['ours']['tokens_s'] / best:.2f} ×{strong}")
        if limits:
            line.append(f"{found['ours']['tokens_s'] / row['limit_tokens_s']:.0%}" if "limit_tokens_s" in row else "")
        lines.append(line)
    return headings, lines


def _thousands(found: dict[str, Any], name: str) -> str:
    return f"{found[name]['tokens_s'] / 1e3:.1f}" if name in found else ""
