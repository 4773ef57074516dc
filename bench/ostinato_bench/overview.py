"""What waiting buys for models of any task, in one table: when each answers, how long an answer waits, what is right.

Speech is what `compare` has measured; texts are followed piece by piece (`following`); tunes are made.
"""

from __future__ import annotations

import statistics
from collections.abc import Callable, Mapping, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

from ostinato.data import read_text
from ostinato.errors import InputError
from ostinato.sampling import Sampling
from ostinato.streaming import Model
from ostinato_bench.comparison import Comparison, Wait
from ostinato_bench.following import Followed, scored, scoring, waits_for_all, written
from ostinato_bench.recognition import Way

LOOKAHEADS = (1, 3, 6)
"""Words, or pieces of them, that a bidirectional model of sentences is let wait for."""
WAITS = (1, 3, 5, 7)
"""Letters that writing is let stay behind."""
TUNES = 12
MOST_BYTES = 1 << 20


@dataclass(frozen=True)
class Row:
    """A model and how it waits.

    ``first``: input that had come, in ``unit`` (of speech: ms), when the first answer was there, in the mean;
    ``waits``: from what an answer is of to the answer, in the mean (of speech the median; of writing, average
    lagging). ``early``: the share of answers that came before the input's end. ``right`` of ``count``
    ``counted``. None where there is nothing to say.
    """

    task: str
    model: str
    how: str
    unit: str
    first: float | None
    waits: float | None
    early: float | None
    right: int | None
    count: int
    counted: str

    def as_dict(self) -> dict[str, Any]:
        """One entry of ``rows`` in the JSON."""
        return {key: round(value, 4) if isinstance(value, float) else value for key, value in asdict(self).items()}


def pairs(path: Path) -> list[tuple[str, str]]:
    """The lines of a table with two columns, a tab between them. Raises InputError for another."""
    found = []
    for number, line in enumerate(read_text(path, MOST_BYTES).splitlines(), 1):
        first, tab, second = line.partition("\t")
        if not (tab and first.strip() and second.strip()):
            raise InputError(f"{path.name}, line {number}: two texts with a tab between them are wanted")
        found.append((first, second))
    return found


def of_speech(found: Comparison) -> list[Row]:
    """What was measured at the pace of speech."""
    said = (found.recording.transcript or "").split()
    rows = []
    for run in found.models:
        how = "at the end" if run.delay_ms is None else "as it is spoken"
        if run.wait is not None:
            how = f"in blocks, {run.wait}"
        early = [shown.shown_at_ms < 1e3 * found.recording.seconds for shown in run.shown]
        right = None if run.error_rate is None else max(0, len(said) - round(run.error_rate * len(said)))
        rows.append(
            Row("speech", run.name, how, "ms", run.first_result_ms, run.latency_ms["p50"],
                statistics.fmean(early) if early else None, right, len(said), "words")
        )  # fmt: skip
    return rows


def ways_of_scores(model: Model) -> list[tuple[str, Way]]:
    """How a model of sentences may answer: a causal one after each word; another in blocks, and at the end."""
    head = scoring(model)
    if model.delay_of(head).ms is not None:
        return [("after each word", Way(model.name, model, None, head))]
    waits = [(f"{ahead} ahead", Way(model.name, model, Wait(1, ahead), head)) for ahead in LOOKAHEADS]
    return [*waits, ("at the end", Way(model.name, model, None, head))]


def of_scores(model: Model, sentences: Sequence[tuple[str, str]], report: Callable[[str], None]) -> list[Row]:
    """Sentences with what they are, "positive" or "negative"."""
    rows = []
    for how, way in ways_of_scores(model):
        report(f"{model.name}, {how}")
        followed = [scored(way, text) for _, text in sentences]
        right = sum((each.answer > 0) == (sign == "positive")  # type: ignore[operator]
                    for each, (sign, _) in zip(followed, sentences, strict=True))  # fmt: skip
        waits = [told.read - 1 - told.of for each in followed for told in each.told if told.of is not None]
        rows.append(_row("sentiment", model, how, "words", followed, statistics.fmean(waits), right, "sentences"))
    return rows


def ways_of_writing(model: Model) -> list[tuple[str, int | None]]:
    """How a model that writes may wait."""
    behind = [] if waits_for_all(model) else [(f"{wait} behind", wait) for wait in WAITS]
    return [*behind, ("at the end", None)]


def of_writing(model: Model, words: Sequence[tuple[str, str]], report: Callable[[str], None]) -> list[Row]:
    """Words with how they are spoken, in phonemes; several ways with | between them are all right."""
    from ostinato.training.recipes.simultaneous import average_lagging

    rows = []
    for how, wait in ways_of_writing(model):
        report(f"{model.name}, {how}")
        followed = [written(model, wait, word) for word, _ in words]
        right = sum(" ".join(each.answer) in (one.strip() for one in said.split("|"))  # type: ignore[arg-type]
                    for each, (_, said) in zip(followed, words, strict=True))  # fmt: skip
        lags = [
            average_lagging([told.read for told in each.told], len(each.pieces), len(each.told)) for each in followed
        ]
        rows.append(_row("phonemes", model, how, "letters", followed, statistics.fmean(lags), right, "words"))
    return rows


def of_tunes(model: Model, report: Callable[[str], None]) -> list[Row]:
    """Tunes that it makes: each token is there before the next one is computed, as it is what that is made of."""
    from ostinato.training.recipes.tunes.judging import generated, tunes_among

    report(f"{model.name}: {TUNES} tunes")
    made = tunes_among(generated(model, TUNES, Sampling(seed=1, temperature=0.5, top_p=0.8)))
    return [Row("tunes", model.name, "token by token", "tokens", 0.0, 0.0, 1.0, made.right, made.texts, "tunes")]


def _row(
    task: str, model: Model, how: str, unit: str, followed: Sequence[Followed], waits: float, right: int, counted: str
) -> Row:
    first = statistics.fmean(each.told[0].read for each in followed)
    early = statistics.fmean(not told.at_end for each in followed for told in each.told if told.text)
    return Row(task, model.name, how, unit, first, waits, early, right, len(followed), counted)


def side_by_side(followed: Mapping[str, Followed]) -> list[tuple[str, list[str]]]:
    """Of one text, by way: for each piece what was told when that much had been read; and at the text's end, of those
    that had waited for it, what it came to."""
    pieces = next(iter(followed.values())).pieces
    rows = []
    for number, piece in enumerate(pieces, 1):
        if piece.strip():
            cells = [[told.text for told in each.told if told.read == number and not told.at_end]
                     for each in followed.values()]  # fmt: skip
            rows.append((piece, [" ".join(texts) for texts in cells]))
    return [*rows, ("(the end)", [_at_end(each) for each in followed.values()])]


def _at_end(followed: Followed) -> str:
    late = [told.text for told in followed.told if told.at_end]
    if isinstance(followed.answer, float) and late:
        return f"{followed.answer:+.2f}"
    return " ".join(late).strip()
