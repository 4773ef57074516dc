"""What the bench of the kernels found, as tables: for the terminal, and as Markdown for docs/performance.md."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from itertools import groupby
from typing import Any

from ostinato_bench.terminal import Table

Row = dict[str, Any]
_LARGE = 128  # hidden units from which on products should reach the processor's peak
_SHORT = {
    "onnxruntime": "ONNX RT", "onnxruntime-bound": "bound", "openvino": "OpenVINO", "pytorch": "PyTorch",
    "onnxruntime-int8": "ONNX RT int8", "pytorch-int8": "PyTorch int8", "onnxruntime-2-threads": "2 threads",
    "onnxruntime-bound-no-conv": "bound, no Conv",
}  # fmt: skip


def terminal(result: dict[str, Any]) -> Iterable[Table]:
    """A result of `kernels.run`: steps and utterances in one table for each precision, one of convolutions, one of
    layers within a frame."""
    for precision in ("float32", "int8"):
        rows = [row for row in result["rows"] if row["precision"] == precision]
        steps = [row for row in rows if row["direction"] == "forward"]
        if steps:
            yield _terminal(f"One call in {precision}, µs", steps)
        if len(rows) > len(steps):
            whole = [row for row in rows if row not in steps]
            yield _terminal(f"From the last of an utterance's {whole[0]['frames']} frames, {precision}, µs", whole)
    if result.get("convolutions"):  # older results do not have them
        yield _terminal("One frame through a causal convolution in float32, µs", result["convolutions"])
    if result.get("positions"):
        yield _terminal("Over the positions of one frame in float32, µs", result["positions"])


def legend(result: dict[str, Any]) -> str:
    """What a reader of `terminal` wants to know."""
    found = result["limits"]
    return (
        "One thread, medians; ± half the distance of the quartiles; bare: without the Python call; under peers how "
        "many times faster we are (bound: ONNX Runtime with IOBinding; 2 threads: ONNX Runtime's); limit: our share "
        f"of the possible. A core does at most {found['fma_gmacs']:.0f} GMAC/s in float32, "
        f"{found['int8_gmacs']:.0f} in int8, and reads "
        f"{found['l1_gbs']:.0f} / {found['l2_gbs']:.0f} / {found['l3_gbs']:.0f} GB/s from L1 / L2 / L3."
    )


def _terminal(title: str, rows: Sequence[Row]) -> Table:
    peers = list(dict.fromkeys(name for row in rows for name in row["peers"]))
    steps, small = (any(key in row for row in rows) for key in ("step_us", "float32_us"))
    headings = ["network", "B", "ours", "±", *["bare"] * steps, *["float32"] * small]
    limit = any("share_of_limit" in row for row in rows)
    headings += [*(_SHORT[name] for name in peers), *["limit"] * limit]
    made = Table(*headings, title=title, right=headings[1:])
    for row in rows:
        low, high = row["ours_quartiles_us"]
        made.add_row(
            network_of(row).removesuffix(", bidirectional"),
            str(row["batch"]),
            us(row["ours_us"]),
            f"{50 * (high - low) / row['ours_us']:.0f} %",
            *[us(row["step_us"]) if "step_us" in row else ""] * steps,
            *[times(row.get("float32_us"), row["ours_us"])] * small,
            *(times(row["peers"].get(name), row["ours_us"]) for name in peers),
            *[f"{row['share_of_limit']:.0%}" for _ in range(limit)],
        )
    return made


# --- Markdown -------------------------------------------------------------------------------------------------------


def steps(result: dict[str, Any]) -> str:
    """One stream, one step: ours, without Python, the peers, and the share of the limit."""
    return _detailed([row for row in result["rows"] if _is_step(row, "float32") and row["batch"] == 1])


def batches(result: dict[str, Any]) -> str:
    """How many times faster than ONNX Runtime, and the share of the limit, by network and batch."""
    return _by_batch([row for row in result["rows"] if _is_step(row, "float32")], "onnxruntime")


def int8(result: dict[str, Any]) -> str:
    """int8 against our float32 and against ONNX Runtime's int8, by network and batch."""
    return _by_batch([row for row in result["rows"] if _is_step(row, "int8")], "onnxruntime-int8")


def convolutions(result: dict[str, Any]) -> str:
    """Causal convolutions, a frame of each stream a call: ours, without Python, and the peers."""
    return _beside_peers(result.get("convolutions", []))


def positions(result: dict[str, Any]) -> str:
    """Layers over the positions of a frame likewise."""
    return _beside_peers(result.get("positions", []))


def _beside_peers(rows: Sequence[Row]) -> str:
    if not rows:
        return "Not measured."
    peers = list(dict.fromkeys(name for row in rows for name in row["peers"]))
    lines = [
        [
            network_of(row),
            str(row["batch"]),
            us(row["ours_us"]),
            us(row["step_us"]) if "step_us" in row else "",
            *(_beside(row["peers"].get(name), row["ours_us"]) for name in peers),
        ]
        for row in rows
    ]
    return markdown(["network", "B", "ours, µs", "without Python", *(_SHORT[name] for name in peers)], lines)


def products(result: dict[str, Any]) -> str:
    """The product with R alone, and the whole step: GMAC/s and shares of what arithmetic allows, by network."""
    rows = [row for row in result["rows"] if "product_gmacs" in row]
    lines = [
        [
            network_of(row) + (", int8" if row["precision"] == "int8" else ""),
            str(row["batch"]),
            f"{row['product_gmacs']:.1f}",
            f"{row['product_share']:.0%}",
            f"{row['gmacs']:.1f}",
            f"{row['gmacs'] / row['arithmetic_gmacs']:.0%}",
        ]
        for row in rows
        if row["hidden"] >= _LARGE
    ]
    return markdown(["network", "B", "product, GMAC/s", "of the peak", "step, GMAC/s", "of the peak"], lines)


def bidirectional(result: dict[str, Any]) -> str:
    """From the last frame of an utterance to its complete result."""
    return _detailed([row for row in result["rows"] if row["direction"] == "bidirectional"])


def limits(result: dict[str, Any]) -> str:
    """What one core can do at most."""
    found, caches = result["limits"], result["machine"]["caches"]
    names = {"fma_gmacs": "multiply-adds, float32", "int8_gmacs": "multiply-adds, int8"}
    lines = [[names[key], f"{found[key]:.0f} GMAC/s"] for key in names if key in found]
    for level in ("l1", "l2", "l3"):
        lines.append([f"reading {level.upper()} ({_bytes(caches[level])})", f"{found[f'{level}_gbs']:.0f} GB/s"])
    return markdown(["one core", "at most"], lines)


def processors(*results: dict[str, Any]) -> str:
    """Results of several processors side by side, a column each: what a core can do, then the steps in float32 that
    all of them have, from `_LARGE` units on: times as fast as ONNX Runtime and OpenVINO (– where that was not
    measured), and the share of the limit."""
    steps = [{_place(row): row for row in result["rows"] if _is_step(row, "float32")} for result in results]
    lines = [
        ["multiply-adds a core", *(f"{result['limits']['fma_gmacs']:.0f} GMAC/s" for result in results)],
        ["reading L1, L2, L3", *(f"{_bandwidths(result['limits'])} GB/s" for result in results)],
    ]
    shared = [place for place in steps[0] if all(place in found for found in steps)]
    lines += [
        [f"{network}, B = {batch}", *(_against(found[network, batch]) for found in steps)]
        for network, batch in shared
        if steps[0][network, batch]["hidden"] >= _LARGE
    ]
    return markdown(["", *(_processor(result) for result in results)], lines)


def _place(row: Row) -> tuple[str, int]:
    return network_of(row), int(row["batch"])


def _processor(result: dict[str, Any]) -> str:
    machine = result["machine"]
    widest = [name for name in machine["instructions"] if name in ("avx2", "avx512f", "neon")][-1:]
    return ", ".join([machine["processor"], *widest, result["date"][:10]])


def _bandwidths(found: dict[str, float]) -> str:
    return " / ".join(f"{found[f'{level}_gbs']:.0f}" for level in ("l1", "l2", "l3"))


def _against(row: Row) -> str:
    peers = (times(row["peers"].get(name), row["ours_us"]) or "–" for name in ("onnxruntime", "openvino"))
    return f"{', '.join(peers)}, {row['share_of_limit']:.0%}"


def source(result: dict[str, Any]) -> str:
    """Where and when a result was measured, and with what."""
    machine = result["machine"]
    versions = ", ".join(f"{name} {version}" for name, version in result["versions"].items())
    processor = f"{machine['processor']} ({', '.join(machine['instructions'])})"
    return f"{result['date'][:10]}, {processor}, {machine['cores']} cores; {versions}."


def markdown(headings: Sequence[str], lines: Iterable[Sequence[str]]) -> str:
    """A table in Markdown; the first column is aligned left, the others right."""
    rule = ["---", *["--:"] * (len(headings) - 1)]
    return "\n".join("| " + " | ".join(line) + " |" for line in (headings, rule, *lines))


def _detailed(rows: Sequence[Row]) -> str:
    """A line for each row, a column for each peer: microseconds and how many times faster we are."""
    if not rows:
        return "Not measured."
    peers = list(dict.fromkeys(name for row in rows for name in row["peers"]))
    whole, bare, small = (any(key in row for row in rows) for key in ("whole_us", "step_us", "float32_us"))
    precise = len({row["precision"] for row in rows}) > 1
    lines = []
    for row in rows:
        line = [network_of(row) + (f", {row['precision']}" if precise else ""), us(row["ours_us"])]
        line += [us(row["step_us"]) if "step_us" in row else ""] * bare
        line += [us(row["whole_us"]) if "whole_us" in row else ""] * whole
        line += [_beside(row.get("float32_us"), row["ours_us"])] * small
        line += [_beside(row["peers"].get(name), row["ours_us"]) for name in peers]
        lines.append([*line, f"{row['share_of_limit']:.0%}"])
    unit = "µs" if not whole else "µs, from the last frame"
    headings = ["network", f"ours, {unit}", *["without Python"] * bare, *["whole utterance"] * whole]
    headings += [*["our float32"] * small, *(_SHORT[name] for name in peers), "of limit"]
    return markdown(headings, lines)


def _by_batch(rows: Sequence[Row], peer: str) -> str:
    """A line for each network, a column for each batch: microseconds, how many times faster, share of the limit."""
    if not rows:
        return "Not measured."
    sizes = sorted({row["batch"] for row in rows})
    lines = []
    for network, group in groupby(sorted(rows, key=lambda row: rows.index(_first(rows, row))), key=network_of):
        by_batch = {row["batch"]: row for row in group}
        lines.append([network, *(_cell(by_batch[size], peer) if size in by_batch else "" for size in sizes)])
    return markdown(["network", *(f"B = {size}" for size in sizes)], lines)


def _first(rows: Sequence[Row], row: Row) -> Row:
    return next(other for other in rows if network_of(other) == network_of(row))


def _cell(row: Row, peer: str) -> str:
    parts = [f"{us(row['ours_us'])} µs"]
    if "float32_us" in row:
        parts.append(f"{times(row['float32_us'], row['ours_us'])} float32")
    if peer in row["peers"]:
        parts.append(f"**{times(row['peers'][peer], row['ours_us'])}**")
    return ", ".join([*parts, f"{row['share_of_limit']:.0%}"])


def _is_step(row: Row, precision: str) -> bool:
    return bool(row["direction"] == "forward" and row["frames"] == 1 and row["precision"] == precision)


def _beside(theirs: float | None, ours: float) -> str:
    return "" if theirs is None else f"{us(theirs)}, **{times(theirs, ours)}**"


def network_of(row: Row) -> str:
    """``GRU 80 → 256 × 2, bidirectional``; of a row with faint frames ``GRU 40 → 128, near silence``; of a
    convolution, and of a layer within a frame, its name."""
    if "name" in row:
        return str(row["name"])
    layers = f" × {row['layers']}" if row["layers"] > 1 else ""
    way = "" if row["direction"] == "forward" else f", {row['direction']}"
    silence = ", near silence" * row.get("near_silence", False)  # older results do not have it
    return f"{row['cell'].upper()} {row['input']} → {row['hidden']}{layers}{way}{silence}"


def us(value: float) -> str:
    """Microseconds with three digits: 0.74, 24.4, 1,340."""
    return f"{value:.2f}" if value < 10 else f"{value:.1f}" if value < 100 else f"{value:,.0f}"


def times(theirs: float | None, ours: float) -> str:
    """How many times faster ours is; nothing if they were not measured."""
    return "" if theirs is None else f"{theirs / ours:.1f} ×" if theirs >= ours else f"{theirs / ours:.2f} ×"


def _bytes(size: int) -> str:
    return f"{size >> 20} MB" if size >= 1 << 20 else f"{size >> 10} KB"
