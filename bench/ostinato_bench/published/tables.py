"""What was measured of published models, as tables: for the terminal, and as Markdown."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import Any

from ostinato_bench.tables import markdown, times, us
from ostinato_bench.terminal import Table

Row = dict[str, Any]
_ANSWERS = {
    "ostinato": "engine, at once",
    "ostinato-gathering": "engine, every {gather_ms:g} ms",
    "onnxruntime": "ONNX Runtime in a loop",
}
_FILES = (
    "file", "chunk", "largest difference", "of values up to", "Stream.push", "kernels", "ONNX Runtime", "bound",
    "push", "kernels alone", "multiply-adds", "weights",
)  # fmt: skip
_PACED = ("answered by", "p50", "p90", "p99", "slowest", "of a core")


def terminal(result: dict[str, Any]) -> Iterable[Table]:
    """A result of `measurement.run`."""
    if result["files"]:
        yield _table("A frame of published files, times in µs", _FILES, map(_file, result["files"]))
    if result["paced"]:
        found = result["paced"]
        title = f"{found['streams']} streams of {found['model']}, a chunk every {found['chunk_ms']:g} ms"
        yield _table(title, _PACED, _answers(found))
    if result["denoising"]:
        yield _table("SI-SDR of noisy speech, denoised, dB", *_denoising(result["denoising"]))
        yield _table("Denoising", *_smoothness(result["denoising"]))


LEGEND = (
    "One thread, medians. Stream.push: a frame, as a library's user has it; kernels: without what a stream does; "
    "bound: ONNX Runtime with IOBinding; push and kernels alone: how many times faster they are than the faster of "
    "ONNX Runtime's two calls; *: the file gives no states back, so ONNX Runtime cannot go on from frame to frame. "
    "Streams: from when a chunk was due to its result."
)


def files(result: dict[str, Any]) -> str:
    """Parity and times of each file, as Markdown."""
    return markdown(_FILES, map(_file, result["files"]))


def paced(result: dict[str, Any]) -> str:
    """Streams in real time, as Markdown."""
    return markdown(_PACED, _answers(result["paced"])) if result["paced"] else "Not measured."


def denoising(result: dict[str, Any]) -> str:
    """SI-SDR before and after, as Markdown."""
    return markdown(*_denoising(result["denoising"]))


def smoothness(result: dict[str, Any]) -> str:
    """What denoising takes, and how smooth it is, as Markdown."""
    return markdown(*_smoothness(result["denoising"]))


def source(result: dict[str, Any]) -> str:
    """What was spoken, and where and when it was measured."""
    machine = result["machine"]
    versions = ", ".join(f"{name} {version}" for name, version in result["versions"].items())
    load = machine.get("load", 0.0)
    others = f", with others at work on them (load {load:g})" if load > 1 else ""
    return (
        f"{result['date'][:10]}, {machine['processor']} ({', '.join(machine['instructions'])}), {machine['cores']} "
        f"cores{others}; {versions}. Speech: {result['speech']}."
    )


def _file(row: Row) -> Sequence[str]:
    best = min(row["peers"].values())
    return (
        row["file"] + ("" if row["carries_states"] else " *"),
        f"{row['chunk_ms']:.3g} ms",
        f"{row['largest_difference']:.1e}",
        f"{row['largest_value']:.3g}",
        us(row["push_us"]),
        us(row["kernel_us"]),
        us(row["peers"]["onnxruntime"]),
        us(row["peers"]["onnxruntime-bound"]),
        times(best, row["push_us"]),
        times(best, row["kernel_us"]),
        f"{row['multiply_adds'] / 1e6:.2f} M",
        f"{row['weight_bytes'] / 1e6:.1f} MB",
    )


def _answers(found: dict[str, Any]) -> list[Sequence[str]]:
    return [
        (
            _ANSWERS[name].format(**found),
            *(f"{one['latency_ms'][key]:.2f} ms" for key in ("p50", "p90", "p99", "max")),
            f"{one['core_share']:.0%}",
        )
        for name, one in found["answers"].items()
    ]


def _denoising(rows: Sequence[Row]) -> tuple[Sequence[str], list[tuple[str, ...]]]:
    """A line for each noise and ratio, a column for each model."""
    names = list(dict.fromkeys(row["model"] for row in rows))
    after = {(row["noise"], row["snr_db"], row["model"]): row["si_sdr_after_db"] for row in rows}
    lines: list[tuple[str, ...]] = [
        (noise, f"{round(before, 1) + 0.0:.1f}", *(f"{after[noise, snr_db, name]:.1f}" for name in names))
        for noise, snr_db, before in dict.fromkeys(
            (row["noise"], row["snr_db"], row["si_sdr_before_db"]) for row in rows
        )
    ]
    return ("noise", "before", *names), lines


def _smoothness(rows: Sequence[Row]) -> tuple[Sequence[str], list[tuple[str, ...]]]:
    """A line for each model, over all noises."""
    lines: list[tuple[str, ...]] = []
    for name in dict.fromkeys(row["model"] for row in rows):
        own = [row for row in rows if row["model"] == name]
        gained = [row["si_sdr_after_db"] - row["si_sdr_before_db"] for row in own]
        factors = sorted(row["real_time_factor"] for row in own)
        lines.append(
            (
                name,
                f"{sum(gained) / len(gained):.1f} dB",
                f"{own[0]['delay_ms']:g} ms",
                f"{factors[len(factors) // 2]:.2%}",
                f"{max(row['border_step'] for row in own):.2f}",
            )
        )
    return (
        "model",
        "gained on average",
        "delay",
        "of a core",
        "largest step at block borders, of that within",
    ), lines


def _table(title: str, headings: Sequence[str], lines: Iterable[Sequence[str]]) -> Table:
    made = Table(*headings, title=title, right=headings[1:])
    for line in lines:
        made.add_row(*line)
    return made
