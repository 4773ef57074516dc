"""Where words are spoken: as given beside a recording, as found in it, and which word heard is which."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from ostinato.cli.files import RECORDINGS, read_audio
from ostinato.cli.recordings import LeftOut, transcribed
from ostinato.data.recordings import transcript_beside
from ostinato.errors import InputError
from ostinato.streaming import load
from ostinato.training.recipes.digits.recording import EDGE_MS, GROUP_PAUSE_MS, joined
from ostinato_bench.alignment import aligned
from ostinato_bench.word_times import Word, matched, read_word_times

RATE = 8000


def written(tmp_path: Path, raw: bytes | str) -> Path:
    (tmp_path / "a.words.tsv").write_bytes(raw if isinstance(raw, bytes) else raw.encode())
    return tmp_path / "a.wav"


# --- given ----------------------------------------------------------------------------------------------------------


def test_times_are_read_as_audacity_writes_them(tmp_path: Path) -> None:
    raw = "\ufeff0.100000\t0.500000\tone\r\n\\\t100.0\t4000.0\r\n0.5\t0.75\ttwo\r\n\r\n".encode()
    assert read_word_times(written(tmp_path, raw), 1.0, "One, two.") == (
        Word("one", 100.0, 500.0),
        Word("two", 500.0, 750.0),
    )
    assert read_word_times(tmp_path / "another.wav", 1.0, None) is None


@pytest.mark.parametrize(
    ("raw", "says"),
    [
        ("0.1 0.5 one", "line 1: '0.1 0.5 one' is not a start, an end and one word, with tabs"),
        ("0.1\t0.5\tone two", "is not a start, an end and one word"),
        ("0.1\t0.5\t", "is not a start, an end and one word"),
        ("0.1\thalf\tone", "'half' are not both numbers"),
        ("nan\t0.5\tone", "must start before it ends"),
        ("-0.1\t0.5\tone", "at 0 s or later"),
        ("0.5\t0.5\tone", "must start before it ends"),
        ("0.1\t0.5\tone\n0.4\t0.6\ttwo", "line 2: 'two' starts before the word above it has ended"),
        ("0.1\t1.5\tone", "'one' ends after the recording, which has 1 s"),
        ("0.1\t0.5\tone\n0.5\t0.6\tsix", "other words than the transcript: word 2 is 'six' there and 'two'"),
        ("0.1\t0.5\tone", "1 there, 2 in the transcript"),
        (b"0.1\t0.5\tcaf\xe9", "is not UTF-8"),
        (b"\n" * (1 << 20) + b"\n", "longer than 1 MB"),
    ],
)
def test_what_is_wrong_with_them_is_said(tmp_path: Path, raw: bytes | str, says: str) -> None:
    with pytest.raises(InputError) as caught:
        read_word_times(written(tmp_path, raw), 1.0, "one two")
    assert says in str(caught.value) and "a.words.tsv" in str(caught.value)


def test_the_bundled_recordings_have_their_words() -> None:
    for path, text in transcribed(RECORDINGS, LeftOut(RECORDINGS)).items():
        samples, rate = read_audio(path)
        words = read_word_times(path, len(samples) / rate, text)
        assert words is not None and [word.text for word in words] == text.split()
        level = np.sqrt(np.convolve(samples**2, np.full(rate // 50, 50 / rate), "same"))
        for word, after in zip(
            words, [*(word.start_ms for word in words[1:]), 1e3 * len(samples) / rate], strict=True
        ):
            inside = level[int(word.start_ms * rate / 1e3) : int(word.end_ms * rate / 1e3)]
            assert inside.max() > 0.2 * level.max(), word
            if after - word.end_ms > 30:  # a pause: quiet from 20 ms behind the end on
                pause = level[int((word.end_ms + 20) * rate / 1e3) : int((after - 20) * rate / 1e3)]
                assert pause.max() < 0.03 * level.max(), word


def test_joining_words_says_where_they_are() -> None:
    rng = np.random.default_rng(0)
    word = np.concatenate([np.zeros(RATE), 0.3 * rng.standard_normal(RATE // 2), np.zeros(RATE)]).astype(np.float32)
    samples, places = joined({5: word, 0: word}, RATE, ("5 5", "0"))
    assert [text for _, _, text in places] == ["five", "five", "zero"]
    assert 1e3 * (places[2][0] - places[1][1]) > GROUP_PAUSE_MS and 1e3 * places[0][0] > EDGE_MS
    inside = np.zeros(len(samples), bool)
    for start, end, _ in places:
        inside[round(start * RATE) : round(end * RATE)] = True
    assert np.array_equal(np.abs(samples).reshape(-1, 1).max(1) > 0.01, inside & (np.abs(samples) > 0.01))
    assert inside.sum() == 3 * RATE // 2


# --- found ----------------------------------------------------------------------------------------------------------


def spoken(lengths_s: list[float], pauses_s: list[float], noise: float) -> tuple[np.ndarray, list[Word]]:
    """Loud stretches with pauses before them and behind the last; and where they are."""
    rng = np.random.default_rng(1)
    pieces, words, at = [], [], 0.0
    for number, (length, pause) in enumerate(zip([*lengths_s, 0.0], pauses_s, strict=True)):
        pieces += [np.zeros(round(pause * RATE)), rng.standard_normal(round(length * RATE))]
        if length:
            words.append(Word(str(number), 1e3 * (at + pause), 1e3 * (at + pause + length)))
        at += pause + length
    sound = 0.2 * np.concatenate(pieces)
    return (sound + noise * rng.standard_normal(len(sound))).astype(np.float32), words


@pytest.mark.parametrize("noise", [1e-5, 3e-3])
@pytest.mark.parametrize("decided", [0.1, 0.5, 1.1])
def test_words_between_pauses_are_found_wherever_in_them_a_model_decides(noise: float, decided: float) -> None:
    samples, words = spoken([0.3, 0.5, 0.15, 0.4, 0.4], [0.3, 0.2, 0.3, 0.12, 0.9, 0.5], noise)
    at = [word.start_ms + decided * (word.end_ms - word.start_ms) for word in words]
    texts = [word.text for word in words]
    found = aligned(samples, RATE, texts, texts, at, inside=decided < 1)
    assert [word.text for word in found] == texts
    for given, word in zip(words, found, strict=True):
        assert word.start_ms == pytest.approx(given.start_ms, abs=25)
        assert word.end_ms == pytest.approx(given.end_ms, abs=25)


def test_missed_and_wrong_words_do_not_shift_the_others() -> None:
    samples, words = spoken([0.3] * 6, [0.3] * 7, 1e-4)
    said = ["five", "five", "five", "two", "six", "one"]
    heard = [(1, "five"), (2, "five"), (3, "four"), (4, "six"), (4, "nine"), (5, "one")]
    at = [words[number].end_ms - 50 for number, _ in heard]
    found = aligned(samples, RATE, said, [text for _, text in heard], at, inside=True)
    for given, word in zip(words, found, strict=True):
        assert word.end_ms == pytest.approx(given.end_ms, abs=25)


@pytest.mark.parametrize("model", ["digits-uni", "digits-bi"])
def test_a_minute_of_words_is_not_worse_than_a_few(model: str) -> None:
    path = RECORDINGS / "phone-number.wav"
    samples, rate = read_audio(path)
    given = read_word_times(path, len(samples) / rate, None) or ()
    ends = [1e3 * turn * len(samples) / rate + word.end_ms for turn in range(8) for word in given]
    with load(model).stream(sample_rate=rate) as stream:
        events = stream.push(np.tile(samples, 8)) + stream.flush()
    said = [word.text for word in given] * 8
    found = aligned(
        np.tile(samples, 8),
        rate,
        said,
        [event.text for event in events],
        [event.time_ms for event in events],
        inside=model == "digits-bi",
    )
    assert len(found) == len(said)
    assert max(abs(word.end_ms - end) for word, end in zip(found, ends, strict=True)) <= 20


def test_words_that_run_into_each_other_are_told_apart_only_if_all_were_heard() -> None:
    path = RECORDINGS / "two-nine-three-four-zero.wav"
    samples, rate = read_audio(path)
    given = read_word_times(path, len(samples) / rate, None) or ()
    said = [word.text for word in given]
    with load("digits-bi").stream(sample_rate=rate) as stream:
        inside = [event.time_ms for event in stream.push(samples) + stream.flush()]
    found = aligned(samples, rate, said, said, inside, True)
    assert max(abs(word.end_ms - one.end_ms) for word, one in zip(found, given, strict=True)) <= 60
    assert aligned(samples, rate, said, said[1:], inside[1:], True) == ()
    ends = [word.end_ms for word in given]
    assert aligned(samples, rate, said, said, ends, False) == (), "near the ends it is a guess which word is meant"


def test_what_cannot_be_known_is_not_made_up() -> None:
    samples, words = spoken([0.3] * 4, [0.3] * 5, 1e-4)
    texts = [word.text for word in words]
    assert aligned(samples, RATE, texts, texts[:1], [500.0], True) == ()  # a quarter of them was heard
    assert aligned(samples, RATE, [], [], [], True) == ()
    assert aligned(samples[:0], RATE, texts, texts, [0.0] * 4, True) == ()
    assert (
        aligned(samples, RATE, ["a"] * 50, ["a"] * 50, list(np.linspace(0, 2000, 50)), True) == ()
    )  # no room for so many


@pytest.mark.parametrize("model", ["digits-uni", "digits-bi"])
def test_bundled_words_are_found_where_they_are_given(model: str) -> None:
    path = RECORDINGS / "phone-number.wav"
    samples, rate = read_audio(path)
    said = (transcript_beside(path) or "").split()
    given = read_word_times(path, len(samples) / rate, None)
    with load(model).stream(sample_rate=rate) as stream:
        events = stream.push(samples) + stream.flush()
    found = aligned(
        samples,
        rate,
        said,
        [event.text for event in events],
        [event.time_ms for event in events],
        model == "digits-bi",
    )
    assert given is not None and len(found) == len(given)
    assert max(abs(one.end_ms - other.end_ms) for one, other in zip(found, given, strict=True)) <= 20


# --- which is which -------------------------------------------------------------------------------------------------


def test_of_equal_words_the_one_that_was_being_said_is_meant() -> None:
    places = [(0.0, 400.0), (500.0, 900.0), (1000.0, 1400.0)]
    said = ["five", "five", "five"]
    assert matched(said, places, ["five", "five"], [350.0, 1350.0]) == [0, 2]
    assert matched(said, places, ["five", "five"], [450.0, 850.0]) == [0, 1]
    assert matched(said, places, ["five", "six", "five"], [350.0, 700.0, 1450.0]) == [0, None, 2]
    assert matched(said, places, [], []) == [] and matched([], [], ["five"], [3.0]) == [None]
