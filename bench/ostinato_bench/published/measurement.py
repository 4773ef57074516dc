"""What `ostinato bench published` measures, all in one run."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from datetime import UTC, datetime
from importlib.util import find_spec
from typing import Any

from ostinato.errors import ForeignModelError, InputError, PackageError, did_you_mean
from ostinato_bench import limits, machine
from ostinato_bench.published import catalogue, chunks, denoising, paced
from ostinato_bench.published.sounds import speech

MODELS = tuple(dict.fromkeys((*(each.model for each in catalogue.FILES), *denoising.DENOISERS)))
"""Names of those that can be measured."""
Progress = Callable[[int, int, str], None]
TIMING_S = 3.0
"""For a file, shared by all that is timed of it."""


def run(
    models: Sequence[str] = (), seconds: float = 60.0, streams: int = 200, progress: Progress | None = None
) -> tuple[dict[str, Any], denoising.Example | None]:
    """Measure the files of ``models`` (of `MODELS`; none: all) over ``seconds`` of speech; as far as they are
    among them, ``streams`` streams of silero-vad for a third of that, and denoisers for half of it. ``progress(done,
    count, what)`` is told before each. Also returns an example of what was denoised, if anything was.

    {"files": [rows of `chunks.measure`], "paced": what `paced.measure` found or None, "denoising": [rows of
    `denoising.measure`], "missing": {name: why it was not measured}, "speech": what was spoken, and by whom,
    "machine", "versions", "date"}

    Raises InputError for a model that is not known, and where ONNX Runtime is not installed.
    """
    for package in ("onnx", "onnxruntime"):
        if find_spec(package) is None:
            raise InputError(f"{package} is not installed: pip install {package}")
    report = progress or (lambda done, count, what: None)
    for name in models:
        if name not in MODELS:
            known = ", ".join(MODELS)
            raise InputError(f"{name!r} is not measured: those that are: {known}{did_you_mean(name, MODELS)}")
    files = catalogue.chosen(models)
    denoisers = [name for name in denoising.DENOISERS if not models or name in models]
    crowd = not models or paced.NAME in models
    count = len(files) + crowd + bool(denoisers)
    missing: dict[str, str] = {}
    rows: list[dict[str, Any]] = []
    for done, file in enumerate(files):
        report(done, count, file.name)
        try:
            rows.append(chunks.measure(file, seconds, TIMING_S))
        except (ForeignModelError, PackageError) as error:
            missing[file.name] = str(error)
    in_time = None
    if crowd:
        report(len(files), count, f"{streams} streams of {paced.NAME}")
        try:
            in_time = paced.measure(streams, seconds / 3)
        except (ForeignModelError, PackageError) as error:
            missing[paced.NAME] = str(error)
    cleaned: list[dict[str, Any]] = []
    example = None
    if denoisers:
        report(count - 1, count, f"denoising by {', '.join(denoisers)}")
        cleaned, example, lacking = denoising.measure(denoisers, seconds / 2)
        missing |= lacking
    report(count, count, "done")
    described = machine.describe()
    versions = {name: described.pop(name) for name in (*machine.VERSIONS, "python") if name in described}
    return {
        "files": rows,
        "paced": in_time,
        "denoising": cleaned,
        "missing": missing,
        "speech": speech(seconds).about,
        "machine": described | machine.busy() | {"instructions": limits.instructions()},
        "versions": versions,
        "date": datetime.now(UTC).isoformat(timespec="seconds"),
    }, example
