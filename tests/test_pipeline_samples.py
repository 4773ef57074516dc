"""The front end that gives samples as they are."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from sounds import F32, frames_of, in_company, noise

from ostinato.errors import BadModelFileError, SnapshotError
from ostinato.model.front_ends import Samples
from ostinato.pipeline import front_end, pack
from ostinato.pipeline.resample import resampler

VARIANTS = [
    Samples(16000, 576, 512),  # Silero
    Samples(16000, 576, 512, pad=True),
    Samples(48000, 1, 1),  # amplifiers
    Samples(8000, 40, 40, pad=True),
    Samples(8000, 33, 8, pad=True),
]


def reference(chosen: Samples, audio: F32) -> F32:
    """From the definition: frame j is what ends with sample (j + 1) * hop."""
    count = len(audio) // chosen.hop
    if chosen.pad and len(audio) % chosen.hop:
        count += 1
    padded = np.concatenate([np.zeros(chosen.size - chosen.hop), audio, np.zeros(chosen.hop)]).astype(np.float32)
    return np.array([padded[j * chosen.hop :][: chosen.size] for j in range(count)]).reshape(count, chosen.size)


@settings(deadline=None, max_examples=60)
@given(st.sampled_from(VARIANTS), st.integers(0, 3000), st.lists(st.integers(0, 3000), max_size=6))
def test_frames_are_the_samples_however_they_come(chosen: Samples, count: int, cuts: list[int]) -> None:
    audio = noise(count)
    got = frames_of(chosen, audio, [min(cut, count) for cut in cuts])
    assert got.tobytes() == reference(chosen, audio).tobytes() and got.shape[1] == chosen.size


def test_int16_and_other_rates() -> None:
    chosen = Samples(16000, 576, 512, pad=True)
    whole = (noise(5000) * 32767).astype(np.int16)
    assert frames_of(chosen, whole, [7, 700]).tobytes() == reference(chosen, whole / np.float32(32768)).tobytes()
    audio, made = noise(9000), resampler(48000, 16000)
    state = made.start()
    resampled = np.concatenate([made.step(state, audio), made.flush(state)])
    assert frames_of(chosen, audio, [1, 4444], 48000).tobytes() == reference(chosen, resampled).tobytes()


@settings(deadline=None, max_examples=30)
@given(
    st.sampled_from(VARIANTS),
    st.lists(st.tuples(st.sampled_from((None, 44100)), st.integers(0, 900)), min_size=1, max_size=7),
)
def test_company_does_not_matter(chosen: Samples, streams: list[tuple[int | None, int]]) -> None:
    assert in_company(chosen, [noise(n, i) for i, (_, n) in enumerate(streams)], [rate for rate, _ in streams])


def test_times() -> None:
    """A frame is there as soon as the last of its samples, and ends where it says."""
    front = front_end(Samples(16000, 576, 512), {})
    assert (front.frame_ms, front.latency_ms) == (32.0, 0.0)
    for count, frames in ((511, 0), (512, 1), (1023, 1), (1024, 2)):
        assert len(front.step(front.start(), noise(count))) == frames


@pytest.mark.parametrize(
    "wrong", [{"size": 0}, {"hop": 0}, {"size": 511}, {"size": 1 << 17}, {"sample_rate": 0}, {"sample_rate": 10**6}]
)
def test_settings_that_cannot_be(wrong: dict[str, int]) -> None:
    with pytest.raises(BadModelFileError, match="front_end"):
        Samples(**{"sample_rate": 16000, "size": 576, "hop": 512} | wrong)  # type: ignore[arg-type]


def test_a_forged_state_is_refused() -> None:
    front = front_end(Samples(16000, 576, 512), {})
    for wrong in ({"kept": 576}, {"kept": -1}, {"skip": 1}, {"sample_rate": 1}):
        with pytest.raises(SnapshotError):
            front.restore(pack(front.start()) | wrong)
