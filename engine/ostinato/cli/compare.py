"""``ostinato compare``: measured, then shown as tables, as JSON and as a picture."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from difflib import get_close_matches
from pathlib import Path

import typer
from rich.markup import escape

from ostinato.cli.compare_data import compare_data
from ostinato.cli.compare_tables import show
from ostinato.cli.compare_tasks import compare_tasks, compare_texts, played, takes_texts
from ostinato.cli.console import err, note
from ostinato.cli.files import RECORDINGS, bundled_recording, read_audio
from ostinato.cli.output_files import check_picture, check_writable, write_json, write_picture
from ostinato.cli.own_data import all_take_data
from ostinato.cli.recordings import LeftOut, tell_unknown, transcribed
from ostinato.cli.serving import serving
from ostinato.data.recordings import transcript_beside
from ostinato.errors import InputError
from ostinato.streaming import Model, load
from ostinato_bench.comparison import DelayRow, Recording, Wait
from ostinato_bench.overview import Row
from ostinato_bench.recognition import Spoken, Way, transcribes, vocabulary
from ostinato_bench.word_times import read_word_times

DEFAULT_MODELS = ("digits-uni", "digits-bi")
BLOCK_MS, LOOKAHEAD_MS = 120.0, 300.0
"""Of speech, where nothing else is asked for."""


@dataclass(frozen=True)
class Wanted:
    """What to compare: ``transcript`` None is what the .txt beside the recording says.

    ``block_ms`` and ``lookahead_ms`` are the bounded wait that bidirectional models are shown with; ``data`` a folder
    of transcribed recordings for errors against delay, by look-aheads of ``sweep_ms``, or data of frames or tokens.
    The recording that is played is ``file``, or else that of ``data`` which ``show`` names, or its first one, or else
    the bundled one. ``head`` is that of each model which is compared.
    ``task`` is compared by bundled models on what is bundled; ``texts`` are read by models of text.
    """

    models: Sequence[str]
    file: Path | None
    transcript: str | None
    block_ms: float | None
    lookahead_ms: float | None
    data: Path | None
    sweep_ms: Sequence[float] | None
    show: str | None = None
    head: str | None = None
    task: str | None = None
    texts: Sequence[str] = ()

    @property
    def wait(self) -> Wait:
        """With which speech is heard in blocks."""
        return Wait(
            BLOCK_MS if self.block_ms is None else self.block_ms,
            LOOKAHEAD_MS if self.lookahead_ms is None else self.lookahead_ms,
        )

    @property
    def lookaheads_ms(self) -> list[float] | None:
        """Those that are asked for, to be tried; None: none are."""
        asked = [*(self.sweep_ms or ()), *([] if self.lookahead_ms is None else [self.lookahead_ms])]
        return asked or None


def compare(wanted: Wanted, json: Path | None, plot: Path | None, connect: str | None, folder: Path | None) -> None:
    """Measure the models on the recording; print tables, and write what was asked for. Ends with 1 if recordings were
    left out."""
    from ostinato_bench.compare import measure, utterance_s
    from ostinato_bench.comparison_picture import draw

    check_writable(json)
    check_picture(plot)
    if wanted.task is not None:
        compare_tasks(wanted.task, json, plot, lambda report: _of_speech(wanted, report))
        return
    models = wanted.models or DEFAULT_MODELS
    loaded = [] if connect else [load(name, folders=[] if folder is None else [folder]) for name in models]
    if loaded and wanted.data is None and takes_texts(loaded):
        _only_texts(wanted)
        compare_texts(loaded, wanted.texts, json, plot)
        return
    if wanted.texts:
        raise typer.BadParameter("--text is for models of text", param_hint="--text")
    if loaded and all_take_data([Way(each.name, each, None, wanted.head) for each in loaded]):
        compare_data(loaded, _data(wanted), wanted.head, wanted.block_ms, wanted.lookaheads_ms, json, plot)
        return
    left_out = LeftOut(wanted.data or RECORDINGS)
    spoken = transcribed(wanted.data or RECORDINGS, left_out)
    file, played = _played(wanted, spoken, left_out)
    if wanted.data is None and (wanted.file, wanted.transcript) != (None, None):
        spoken = {file: played.transcript} if played.transcript else {}
    heard = [each for each in loaded if transcribes(each, wanted.head)]
    vocabularies = {each.name: vocabulary(each, wanted.head) for each in heard}
    unknown = tell_unknown(vocabularies, spoken, left_out)
    with err.status("…") as status:

        def report(doing: str) -> None:
            status.update(f"[dim]{escape(doing)}[/]")

        by_delay = _errors_by_delay(wanted, loaded, spoken, left_out, report) if loaded else ()
        status.stop()
        with serving(models, connect, folder, utterance_s(played.seconds)) as (endpoint, names):
            status.start()
            called = zip(names, loaded, strict=False)
            known = {name: vocabulary(each, wanted.head) for name, each in called if each in heard}
            found = measure(
                endpoint,
                names,
                played,
                report,
                wait=wanted.wait,
                head=wanted.head,
                error_by_delay=by_delay,
                vocabularies=known,
            )
    write_json(json, found.as_dict() | {"unknown_words": unknown, "left_out": left_out.as_dict()})
    write_picture(plot, lambda path: draw(found, path))
    show(found)
    left_out.finish(len({*map(left_out.name, spoken), *left_out.reasons}))


def _only_texts(wanted: Wanted) -> None:
    """Refuse, as wrong usage, what models that are followed through texts do not heed."""
    asked = {
        "--file": wanted.file, "--transcript": wanted.transcript, "--head": wanted.head,
        "--block-ms": wanted.block_ms, "--lookahead-ms": wanted.lookahead_ms, "--sweep-ms": wanted.sweep_ms,
    }  # fmt: skip
    if named := [name for name, value in asked.items() if value is not None]:
        raise typer.BadParameter(
            f"{named[0]} is for speech, or for your own --data: of texts all ways to wait are shown"
        )


def _of_speech(wanted: Wanted, report: Callable[[str], None]) -> list[Row]:
    """The bundled models on the bundled recording."""
    read = recording(bundled_recording(), None)
    with serving(DEFAULT_MODELS, None, None) as (endpoint, names):
        return played(endpoint, names, read, wanted.wait, report)


def _data(wanted: Wanted) -> Path:
    """What models of frames or tokens are compared on. Refuses, as wrong usage, what is for speech."""
    if wanted.file is not None or wanted.transcript is not None or wanted.show is not None:
        raise typer.BadParameter("--file, --transcript and --show are for models of speech: give --data")
    if wanted.data is None:
        raise typer.BadParameter(
            "these models take frames or text: name a file or folder of them, with labels or targets",
            param_hint="--data",
        )
    return wanted.data


def _played(wanted: Wanted, spoken: Mapping[Path, str], left_out: LeftOut) -> tuple[Path, Recording]:
    """The recording that is played, and its file; of ``data`` the one that is named, else the first that is fit."""
    if wanted.file is not None or wanted.data is None:
        file = wanted.file or bundled_recording()
        return file, recording(file, wanted.transcript)
    if wanted.show is not None:
        file = named(wanted.show, spoken, wanted.data)
        return file, recording(file, wanted.transcript)
    for file in spoken:
        with left_out.trying(file):
            read = recording(file, wanted.transcript)
            if len(spoken) > 1:
                note(
                    f"played and drawn: {left_out.name(file)} of {len(spoken)} recordings; --show NAME takes another"
                )
            return file, read
    raise InputError(f"none of the recordings in {wanted.data} can be read")


def named(name: str, spoken: Iterable[Path], folder: Path) -> Path:
    """The recording of a folder that is called so: by its path below the folder, its name, or its name without the
    ending. Refuses, as wrong usage, a name that none of them has, or more than one."""
    names = {path.relative_to(folder).as_posix(): path for path in spoken}
    found = [each for each, path in names.items() if name in (each, path.name, path.stem)]
    if len(found) == 1:
        return names[found[0]]
    stems = get_close_matches(Path(name).stem, [path.stem for path in names.values()], 3)
    near = found or [each for each, path in names.items() if path.stem in stems] or list(names)[:3]
    what = f"{len(found)} of the recordings are" if found else "no transcribed recording is"
    raise typer.BadParameter(f"{what} called {name!r} in {folder}: there is {', '.join(near)}", param_hint="--show")


def recording(file: Path, transcript: str | None) -> Recording:
    """The recording with its transcript and its words' times, as far as they are given."""
    samples, rate = read_audio(file)
    said = transcript_beside(file) if transcript is None else " ".join(transcript.split())
    words = read_word_times(file, len(samples) / rate, said)
    if said is None and words is not None:
        said = " ".join(word.text for word in words)
    return Recording(file.name, samples, rate, said, words)


def _errors_by_delay(
    wanted: Wanted,
    models: Sequence[Model],
    spoken: Mapping[Path, str],
    left_out: LeftOut,
    report: Callable[[str], None],
) -> tuple[DelayRow, ...]:
    """Errors against delay over the recordings."""
    from ostinato_bench.tradeoff import LOOKAHEADS_MS, errors_by_delay

    recordings = [Spoken(path, text, read_audio) for path, text in spoken.items()]
    lookaheads = {*(wanted.sweep_ms or LOOKAHEADS_MS), wanted.wait.lookahead_ms}
    return errors_by_delay(
        [(model.name, model) for model in models],
        [one for one in recordings if left_out.name(one.path) not in left_out.reasons],
        wanted.wait.block_ms,
        sorted(lookaheads),
        left_out.add,
        report,
        wanted.head,
    )
