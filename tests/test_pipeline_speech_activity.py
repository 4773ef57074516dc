"""Where speech starts and ends: against a plain transcription of Silero VAD's VADIterator (6.2.3, utils_vad.py)."""

from __future__ import annotations

from itertools import pairwise
from typing import Any

import numpy as np
import numpy.typing as npt
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from ostinato.errors import BadModelFileError, SnapshotError
from ostinato.events import Event
from ostinato.model.decoders import SpeechActivity
from ostinato.model.wire import Wire
from ostinato.pipeline import decoder, pack

F32 = npt.NDArray[np.float32]
RATE, WINDOW = 16000, 512
FRAME_MS = WINDOW / RATE * 1000


class VADIterator:
    """The algorithm; the probability is given instead of the model that computes it."""

    def __init__(
        self, threshold: float = 0.5, min_silence_duration_ms: float = 100, speech_pad_ms: float = 30
    ) -> None:
        self.threshold = threshold
        self.min_silence_samples = RATE * min_silence_duration_ms / 1000
        self.speech_pad_samples = RATE * speech_pad_ms / 1000
        self.triggered = False
        self.temp_end = 0
        self.current_sample = 0

    def __call__(self, probability: float) -> dict[str, int] | None:
        self.current_sample += WINDOW
        if probability >= self.threshold and self.temp_end:
            self.temp_end = 0
        if probability >= self.threshold and not self.triggered:
            self.triggered = True
            return {"start": int(max(0, self.current_sample - self.speech_pad_samples - WINDOW))}
        if probability < self.threshold - 0.15 and self.triggered:
            if not self.temp_end:
                self.temp_end = self.current_sample
            if self.current_sample - self.temp_end < self.min_silence_samples:
                return None
            speech_end = self.temp_end + self.speech_pad_samples - WINDOW
            self.temp_end = 0
            self.triggered = False
            return {"end": int(speech_end)}
        return None


def silero(probabilities: F32, **settings: float) -> list[tuple[str, int, int]]:
    """Kind, deciding frame and sample of what it finds."""
    iterator, found = VADIterator(**settings), []
    for frame, probability in enumerate(probabilities.tolist()):
        if told := iterator(probability):
            ((kind, sample),) = told.items()
            found.append((f"speech-{kind}", frame, sample))
    return found


def run(chosen: SpeechActivity, probabilities: F32, *cuts: int) -> tuple[list[Event], list[Event]]:
    """The events before the end, and those at it."""
    made = decoder(chosen, FRAME_MS, 0.0)
    rows = np.asarray(probabilities, np.float32)[:, None]
    state, events = made.start(), []
    for start, end in pairwise([0, *sorted(cuts), len(rows)]):
        events += made.step(state, rows[start:end])
        state = made.restore(pack(state))
    return events, made.flush(state)


def told(events: list[Event]) -> list[tuple[str, int, int]]:
    return [(event.kind, event.frame, int(event.time_ms * RATE / 1000 + 1e-6)) for event in events]


def talk(seed: int, count: int = 400) -> F32:
    """Probabilities that wander as those of speech do: runs near 0 and near 1, doubtful ones between."""
    rng = np.random.default_rng(seed)
    runs = [np.full(rng.integers(1, 20), level) for level in rng.choice([0.02, 0.3, 0.42, 0.6, 0.97], count)]
    return np.clip(np.concatenate(runs)[:count] + rng.normal(0, 0.08, count), 0, 1).astype(np.float32)


@pytest.mark.parametrize("seed", range(8))
@pytest.mark.parametrize(
    "chosen",
    [{}, {"threshold": 0.35, "min_silence_duration_ms": 0}, {"speech_pad_ms": 400, "min_silence_duration_ms": 320}],
)
def test_as_silero_has_it(seed: int, chosen: dict[str, float]) -> None:
    names = {"min_silence_duration_ms": "min_silence_ms"}
    ours = SpeechActivity(**{names.get(name, name): float(value) for name, value in chosen.items()})  # type: ignore[arg-type]
    probabilities = talk(seed)
    wanted = silero(probabilities, **chosen)
    assert len(wanted) > 4
    assert told(run(ours, probabilities)[0]) == wanted


@settings(deadline=None, max_examples=60)
@given(st.integers(0, 99), st.lists(st.integers(0, 400), max_size=8), st.sampled_from((0.0, 100.0, 250.0)))
def test_chunking_does_not_matter(seed: int, cuts: list[int], min_speech_ms: float) -> None:
    chosen = SpeechActivity(min_speech_ms=min_speech_ms)
    assert run(chosen, talk(seed), *cuts) == run(chosen, talk(seed))


def marks(pattern: str) -> F32:
    """'#' is speech, '.' silence, '-' neither."""
    return np.array([{"#": 0.9, ".": 0.1, "-": 0.4}[mark] for mark in pattern], np.float32)


def test_the_end_ends_what_goes_on() -> None:
    goes_on = {"..###": 5.0, "..###-": 6.0, "..###.": 5.0}
    for pattern, end in (goes_on | {"..###.....": None, "....": None, "": None}).items():
        events, last = run(SpeechActivity(speech_pad_ms=0.0), marks(pattern))
        assert [e.time_ms / FRAME_MS for e in last] == ([] if end is None else [end])
        assert [e.kind for e in events + last] == (["speech-start", "speech-end"] if "#" in pattern else [])
    _, (last_one,) = run(SpeechActivity(speech_pad_ms=1000.0), marks("..###."))
    assert last_one.time_ms == 6 * FRAME_MS  # the pad does not lead beyond the end


def test_speech_that_is_too_short_is_none() -> None:
    chosen = SpeechActivity(min_speech_ms=3 * FRAME_MS, min_silence_ms=2 * FRAME_MS, speech_pad_ms=0.0)
    events, last = run(chosen, marks("##....###.#....#"))
    assert [(e.kind, e.frame, e.time_ms / FRAME_MS) for e in events] == [
        ("speech-start", 8, 6.0),
        ("speech-end", 13, 11.0),
    ]
    assert last == []
    assert run(chosen, marks("##"))[1] == []  # nor at the end
    events, _ = run(chosen, marks("##.#"))  # a pause that was too short to end it counts
    assert [(e.kind, e.frame) for e in events] == [("speech-start", 3)]


def test_negative_threshold_and_index() -> None:
    chosen = SpeechActivity(index=1, negative_threshold=0.05)
    made = decoder(chosen, FRAME_MS, 0.0)
    rows = np.stack([np.zeros(50), np.r_[np.full(10, 0.9), np.full(40, 0.1)]], 1).astype(np.float32)
    state = made.start()
    assert [e.kind for e in made.step(state, rows)] == ["speech-start"] and state.silence == -1


@pytest.mark.parametrize(
    "wrong",
    [
        {"threshold": 0.0},
        {"threshold": 1.1},
        {"negative_threshold": 0.6},
        {"min_silence_ms": -1.0},
        {"min_speech_ms": -1.0},
        {"speech_pad_ms": -1.0},
    ],
)
def test_settings_that_cannot_be(wrong: dict[str, Any]) -> None:
    with pytest.raises(BadModelFileError, match=next(iter(wrong))):
        SpeechActivity(**wrong)


def test_an_output_that_is_not_there() -> None:
    with pytest.raises(BadModelFileError, match="index = 2"):
        SpeechActivity(index=2).check_outputs(Wire(2, probabilities=True))
    with pytest.raises(BadModelFileError, match="probabilities"):
        SpeechActivity().check_outputs(Wire(2))


@pytest.mark.parametrize(
    "wrong",
    [{"start": -2}, {"start": 0}, {"silence": 0}, {"told": True}, {"frames": -1}, {"frames": 5, "silence": 2}],
)
def test_a_forged_state_is_refused(wrong: dict[str, Any]) -> None:
    made = decoder(SpeechActivity(), FRAME_MS, 0.0)
    with pytest.raises(SnapshotError):
        made.restore(pack(made.start()) | wrong)
