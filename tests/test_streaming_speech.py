"""The end of speech in streams: heard however the input is cut; for a bidirectional model, the utterance's end."""

from __future__ import annotations

import io
import shutil
import subprocess
from functools import cache
from importlib.resources import files
from itertools import product
from typing import Any

import numpy as np
import numpy.typing as npt
import pytest
import soundfile
from hypothesis import given, settings
from hypothesis import strategies as st
from random_models import Case, bits, network

from ostinato.events import Event
from ostinato.model.decoders import Outputs
from ostinato.model.front_ends import LogMel
from ostinato.model.layers import Direction, Gru
from ostinato.model.specification import Sequential
from ostinato.pipeline.speech import BACKGROUND_MS
from ostinato.streaming import FinishedUtterance, Model, advance, load
from ostinato.streaming.speech import PREROLL_MS

RATE = 8000
SILENCE_MS = 300.0
BURSTS = ((0.9, 1.5), (2.4, 2.8), (3.4, 4.3))
"""Where there is something like speech, in s; the last end comes with the flush."""
AT_ONCE = ((0.0, 0.5), (1.3, 1.6), (2.4, 4.3))
"""The same, beginning with speech: there is no background before it."""


@cache
def model(direction: Direction, stack: int = 1) -> Model:
    front_end = LogMel(sample_rate=RATE, mels=13, high_hz=3900.0, stack=stack, stride=stack)
    layers = (Gru(5, direction=direction),)
    return Model(network(Sequential(direction, front_end, layers, Outputs())))


def sound(bursts: tuple[tuple[float, float], ...] = BURSTS, seconds: float = 4.4) -> npt.NDArray[np.float32]:
    """Bursts of loud noise over a quiet one."""
    generator = np.random.default_rng(5)
    samples = generator.normal(size=int(seconds * RATE)) * 0.001
    for start, end in bursts:
        samples[int(start * RATE) : int(end * RATE)] += (
            generator.normal(size=int(end * RATE) - int(start * RATE)) * 0.1
        )
    return samples.astype(np.float32)


def listen(which: Model, pieces: list[Any], **options: Any) -> list[Event]:
    with which.stream(end_of_speech_ms=SILENCE_MS, **options) as stream:
        return [event for piece in pieces for event in stream.push(piece)] + stream.flush()


def ends(events: list[Event]) -> list[Event]:
    return [event for event in events if event.kind == "end-of-speech"]


def words(events: list[Event]) -> list[str]:
    return [event.text for event in events if event.kind == "symbol"]


@pytest.mark.parametrize("bursts", [BURSTS, AT_ONCE])
@pytest.mark.parametrize("stack", [1, 3])
@pytest.mark.parametrize("direction", ["forward", "bidirectional"])
def test_each_end_of_speech_is_heard_where_it_was(
    direction: Direction, stack: int, bursts: tuple[tuple[float, float], ...]
) -> None:
    found = ends(listen(model(direction, stack), [sound(bursts)]))
    times = [event.utterance_ms + event.time_ms for event in found]
    assert len(times) == len(bursts)
    for time_ms, (_, end) in zip(times, bursts, strict=True):
        assert abs(time_ms - 1000 * end) < 100


@pytest.mark.parametrize("snr", [None, 30, 15])
@pytest.mark.parametrize("peak", [0.9, 0.01])
@pytest.mark.parametrize("cut_db", [-30, -10])
def test_no_word_is_lost_where_a_recording_begins_with_it(cut_db: float, peak: float, snr: float | None) -> None:
    """A real voice, cut where its first word has come up to ``cut_db`` of its peak: a model that waits for the end of
    speech, which comes by itself, hears the first words as one that is given all up to there, and when they were."""
    bundled = load("digits-bi")
    samples, rate = soundfile.read(str(files("ostinato") / "recordings" / "phone-number.wav"))
    first = int(np.flatnonzero(np.abs(samples) > np.abs(samples).max() * 10 ** (cut_db / 20))[0])
    samples = np.concatenate((samples[first:], np.zeros(rate)))
    if snr is not None:
        rms = np.sqrt(np.mean(samples**2))
        samples += np.random.default_rng(1).normal(size=len(samples)) * rms * 10 ** (-snr / 20)
    samples = (samples * peak / np.abs(samples).max()).astype(np.float32)
    with bundled.stream(sample_rate=rate, end_of_speech_ms=600) as stream:
        pushed, events = 0, list[Event]()
        while not ends(events) and pushed < len(samples):
            events += stream.push(samples[pushed : pushed + 320])
            pushed += 320
    assert ends(events) and events[0].utterance_ms == 0.0
    with bundled.stream(sample_rate=rate) as stream:
        whole = stream.push(samples[:pushed]) + stream.flush()
    said, all_of_it = ([(e.text, e.time_ms) for e in some if e.kind == "symbol"] for some in (events, whole))
    assert said == all_of_it and len(said) >= 3 and "five" in words(events)[:3]
    with bundled.stream(sample_rate=rate) as stream:
        assert words(events)[:3] == words(stream.push(samples) + stream.flush())[:3]


@pytest.mark.skipif(shutil.which("espeak-ng") is None, reason="needs espeak-ng")
@pytest.mark.parametrize("word", ["three", "four", "eight", "nine", "open"])
@pytest.mark.parametrize("snr", [60, 20])
def test_a_single_word_from_its_onset_on(word: str, snr: float) -> None:
    spoken = subprocess.run(["espeak-ng", "--stdout", word], capture_output=True, check=True, timeout=30).stdout
    voice, rate = soundfile.read(io.BytesIO(spoken))
    loud = np.flatnonzero(np.abs(voice) > 0.1 * np.abs(voice).max())
    voice = voice[loud[0] :]
    samples = np.concatenate((voice, np.zeros(rate)))
    samples += np.random.default_rng(2).normal(size=len(samples)) * np.std(voice) * 10 ** (-snr / 20)
    for direction in ("forward", "bidirectional"):
        with model(direction).stream(sample_rate=rate, end_of_speech_ms=SILENCE_MS) as stream:
            events = stream.push(samples.astype(np.float32))
            (end,) = ends(events)
            assert abs(end.utterance_ms + end.time_ms - 1000 * (loud[-1] - loud[0]) / rate) < 150
            assert events[0].kind == "output" and events[0].utterance_ms == 0.0 and events[0].frame == 0


@pytest.mark.parametrize("direction", ["forward", "bidirectional"])
def test_noise_from_the_first_sample_on_is_not_speech(direction: Direction) -> None:
    for seed in range(5):
        noise = np.random.default_rng(seed).normal(size=8 * RATE).astype(np.float32) * 0.05
        with model(direction).stream(end_of_speech_ms=SILENCE_MS) as stream:
            assert ends(stream.push(noise) + stream.flush()) == []


@settings(deadline=None, max_examples=25)
@given(
    cuts=st.lists(st.integers(0, 1 << 20), max_size=30),
    direction=st.sampled_from(("forward", "bidirectional")),
    bursts=st.sampled_from((BURSTS, AT_ONCE)),
)
def test_chunking_does_not_matter_to_the_end_of_speech(
    cuts: list[int], direction: Direction, bursts: tuple[tuple[float, float], ...]
) -> None:
    which, samples = model(direction), sound(bursts)
    whole = listen(which, [samples])
    assert bits(listen(which, Case(which.network, samples).pieces(cuts))) == bits(whole)


def test_a_causal_stream_goes_on_and_only_says_so() -> None:
    which, samples = model("forward"), sound()
    events = listen(which, [samples])
    with which.stream() as stream:
        plain = stream.push(samples) + stream.flush()
    assert bits([event for event in events if event.kind == "output"]) == bits(plain)
    assert [event.frame for event in events] == sorted(event.frame for event in events)
    assert {event.utterance for event in events} == {0}


def test_a_bidirectional_stream_answers_at_each_end_of_speech_without_a_flush() -> None:
    which, samples = model("bidirectional"), sound()
    answered: dict[int, float] = {}
    with which.stream(end_of_speech_ms=SILENCE_MS) as stream:
        for start in range(0, len(samples), 400):
            for event in stream.push(samples[start : start + 400]):
                answered.setdefault(event.utterance, (start + 400) / RATE)
        assert stream.utterance == 2
        last = stream.flush()
    assert {event.utterance for event in last} == {2} and ends(last) == last[-1:]
    assert set(answered) == {0, 1}
    for number, when in answered.items():
        assert SILENCE_MS / 1000 <= when - BURSTS[number][1] < SILENCE_MS / 1000 + 0.15


def test_an_utterance_is_computed_as_if_its_frames_had_been_pushed_alone() -> None:
    """All that listening does to a bidirectional stream is to cut it: each piece has the outputs it has alone."""
    which, samples = model("bidirectional"), sound()
    frame_ms = which.front_end.frame_ms
    frames = which.front_end.step(which.front_end.start(), samples)
    events = listen(which, [samples])
    numbers = sorted({event.utterance for event in events})
    assert numbers == [0, 1, 2]
    after = 0
    for number in numbers:
        mine = [event for event in events if event.utterance == number]
        outputs, (end,) = mine[:-1], mine[-1:]
        first = round(outputs[0].utterance_ms / frame_ms)
        assert end.kind == "end-of-speech" and first >= after
        after = first + len(outputs)
        run = run_of(which, frames[first:after])
        assert [o.values.tobytes() for o in outputs if o.values is not None] == run
        assert [o.frame for o in outputs] == list(range(len(outputs)))


def run_of(which: Model, frames: npt.NDArray[np.float32]) -> list[bytes]:
    """The outputs of an utterance of these very frames."""
    run = FinishedUtterance(which, which.heads.find(None, None), frames, 0, 0.0, [])
    while not run.step():
        pass
    return [event.values.tobytes() for event in run.events if event.values is not None]


def test_silence_before_speech_is_forgotten_but_for_a_little() -> None:
    """Once the background is known: before, all is kept that the utterance has room for."""
    which = model("bidirectional")
    frame_ms = which.front_end.frame_ms
    with which.stream(end_of_speech_ms=SILENCE_MS, max_utterance_s=2.0) as stream:
        for start in range(0, 30 * RATE, RATE):  # far over the bound, were it kept
            assert stream.push(sound((), 30.0)[start : start + RATE]) == []
            known = start + RATE > BACKGROUND_MS * RATE / 1000
            assert stream.waiting <= (PREROLL_MS / frame_ms + 10 if known else 2000 / frame_ms - 1)
        assert stream.utterance == 0
        events = stream.push(sound(((0.5, 1.1),), 2.0))
    (end,) = ends(events)
    assert end.utterance == 0 and end.utterance_ms + end.time_ms == pytest.approx(31_100, abs=100)
    assert end.utterance_ms == pytest.approx(30_500 - PREROLL_MS, abs=100)


def test_speech_without_a_pause_is_cut_at_the_bound_and_nothing_is_lost() -> None:
    which = model("bidirectional")
    samples = sound(((0.5, 4.4),))
    events = listen(which, [samples], max_utterance_s=1.0)
    outputs = [event for event in events if event.kind == "output"]
    places = [round((event.utterance_ms + event.time_ms) / which.front_end.frame_ms, 3) for event in outputs]
    steps = np.diff(places)
    assert np.allclose(steps, 1) and len(ends(events)) == 4 and max(event.frame for event in outputs) == 99


def test_a_snapshot_in_the_middle_of_speech_goes_on() -> None:
    for direction, bursts in product(("forward", "bidirectional"), (BURSTS, AT_ONCE)):
        which, samples = model(direction), sound(bursts)
        whole = listen(which, [samples])
        for at in (0, int(0.45 * RATE), int(0.6 * RATE), int(1.2 * RATE), int(1.6 * RATE), int(3.9 * RATE)):
            with which.stream(end_of_speech_ms=SILENCE_MS) as stream:
                events = stream.push(samples[:at])
                with which.restore(stream.snapshot()) as restored:
                    events += restored.push(samples[at:]) + restored.flush()
            assert bits(events) == bits(whole)


def test_company_does_not_matter_to_the_end_of_speech() -> None:
    which, samples = model("forward"), sound(AT_ONCE)
    streams = [which.stream(end_of_speech_ms=SILENCE_MS) for _ in range(5)]
    for number, stream in enumerate(streams):
        stream.record.accept(samples[number * 1000 :])
    for number, (stream, events) in enumerate(
        zip(streams, advance([stream.record for stream in streams], 10**6), strict=True)
    ):
        assert bits(events + stream.flush()) == bits(listen(which, [samples[number * 1000 :]]))
        stream.close()


def test_after_a_flush_nothing_of_the_background_is_remembered() -> None:
    which, samples = model("bidirectional"), sound()
    with which.stream(end_of_speech_ms=SILENCE_MS) as stream:
        stream.push(sound(((0.0, 2.0),), 2.0))
        stream.flush()
        again = stream.push(samples) + stream.flush()
    fresh = listen(which, [samples])
    assert [each[:6] + each[8:] for each in bits(again)] == [each[:6] + each[8:] for each in bits(fresh)]


@settings(deadline=None, max_examples=25)
@given(
    cuts=st.lists(st.integers(0, 1 << 20), max_size=30),
    at=st.integers(0, 30),
    bursts=st.sampled_from((BURSTS, AT_ONCE)),
)
def test_bounded_wait_ends_utterances_at_the_same_frames_and_does_not_wait_for_them(
    cuts: list[int], at: int, bursts: tuple[tuple[float, float], ...]
) -> None:
    """The utterances are those of a stream that waits for their ends; all of a stretch of speech but its last block
    is answered before its end is heard, however the input is cut, with a snapshot anywhere."""
    which, samples = model("bidirectional"), sound(bursts)
    options = {"block_ms": 50.0, "lookahead_ms": 30.0}
    events = listen(which, [samples], **options)
    whole = listen(which, [samples])
    assert [(e.kind, e.frame, e.utterance, e.utterance_ms) for e in events] == [
        (e.kind, e.frame, e.utterance, e.utterance_ms) for e in whole
    ]
    assert bits(ends(events)) == bits(ends(whole))
    pieces = Case(which.network, samples).pieces(cuts)
    at %= len(pieces)
    with which.stream(end_of_speech_ms=SILENCE_MS, **options) as stream:
        found = [event for piece in pieces[:at] for event in stream.push(piece)]
        with which.restore(stream.snapshot()) as restored:
            found += [event for piece in pieces[at:] for event in restored.push(piece)] + restored.flush()
    assert bits(found) == bits(events)


def test_bounded_wait_answers_while_somebody_speaks() -> None:
    which, samples = model("bidirectional"), sound()
    latest = 0.0
    with which.stream(end_of_speech_ms=SILENCE_MS, block_ms=50.0, lookahead_ms=30.0, max_utterance_s=0.5) as stream:
        for start in range(0, len(samples), 80):
            for event in stream.push(samples[start : start + 80]):
                spoken = event.utterance_ms + event.time_ms
                if event.kind == "output" and event.time_ms > 2 * PREROLL_MS:
                    latest = max(latest, (start + 80) / RATE * 1000 - spoken)
        assert stream.utterance == 2, "max_utterance_s cuts nothing: no more than a block is kept"
        assert stream.delay.ms is not None
        assert 0 < latest <= stream.delay.ms + 10
