"""The front ends for text and for ready frames."""

from __future__ import annotations

from itertools import pairwise

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from ostinato.errors import (
    DivergedError,
    DtypeError,
    InputError,
    NotFiniteError,
    ShapeError,
    SnapshotError,
    UnknownTokenError,
)
from ostinato.model import Network, Sequential
from ostinato.model import front_ends as specified
from ostinato.model.decoders import Outputs
from ostinato.model.layers import Dense
from ostinato.pipeline import pack
from ostinato.pipeline.front_ends.frames import FramesFrontEnd
from ostinato.pipeline.front_ends.tokens import MAX_WORD, TokensFrontEnd, TokensState
from ostinato.streaming import Model

WORDS = ("<unk>", "good", "bad", "déjà", "film", "ὀδυσσεύς")


def characters(**changes: object) -> TokensFrontEnd:
    return TokensFrontEnd(specified.Tokens(("a", "b", "é", "σ", " "), **changes), {})  # type: ignore[arg-type]


def words(**changes: object) -> TokensFrontEnd:
    return TokensFrontEnd(specified.Tokens(WORDS, unit="word", unknown=0, **changes), {})  # type: ignore[arg-type]


def pieces(**changes: object) -> TokensFrontEnd:
    entries = ("<unk>", "un", "good", "go", "ness", "o", "!", "!!", "déjà", ":-)")
    return TokensFrontEnd(specified.Tokens(entries, unit="piece", unknown=0, **changes), {})  # type: ignore[arg-type]


def ids(front: TokensFrontEnd, *pushes: str) -> list[int]:
    state = front.start()
    got: list[int] = []
    for push in pushes:
        frames = front.step(state, front.check(push))
        assert frames.dtype == np.float32 and frames.shape == (len(frames), 1)
        got += frames[:, 0].astype(int).tolist()
    got += front.flush(state)[:, 0].astype(int).tolist()
    return got


def test_characters() -> None:
    assert ids(characters(), "ab é", "", "b") == [0, 1, 4, 2, 1]
    assert ids(characters(unknown=3), "axb\n") == [0, 3, 1, 3]
    assert ids(characters(lowercase=True), "ABÉΣΣ") == [0, 1, 2, 3, 3]  # no final sigma: it would depend on chunks


def test_words() -> None:
    assert ids(words(), "good film") == [1, 4]
    assert ids(words(), "go", "od", " ba", "d\n", "  ") == [1, 2]
    assert ids(words(), "good", " ", "x", "y") == [1, 0]
    assert ids(words(), "\t \n") == []
    assert ids(words(), "GOOD") == [0]
    assert ids(words(lowercase=True), "GOOD ὈΔΥΣΣΕΎΣ") == [1, 5]


def test_pieces_of_words_are_the_longest_first() -> None:
    assert ids(pieces(), "goodness!!! go") == [2, 4, 7, 6, 3]
    assert ids(pieces(), "un", "good good") == [1, 2, 2]
    assert ids(pieces(), ":-) :-(o") == [9, 0, 5]  # unknown characters beside each other are one
    assert ids(pieces(), "xyz", "goxo") == [0, 3, 0, 5]
    assert ids(pieces(), "GOOD!") == [0, 6]
    assert ids(pieces(lowercase=True), "GOOD! De\u0301ja\u0300") == [2, 6, 8]
    assert ids(pieces(), "good" * 257 + " go") == [0, 3]  # longer than words are: unknown as a whole


def marked(**changes: object) -> TokensFrontEnd:
    entries = ("<unk>", " ", " go", "od", "go", "o", "d", " !")
    return TokensFrontEnd(specified.Tokens(entries, unit="piece", unknown=0, mark=" ", **changes), {})  # type: ignore[arg-type]


def test_a_mark_stands_before_each_word() -> None:
    """A piece that begins a word is another one than within it."""
    assert ids(marked(), "good", "go  od !x\n") == [2, 3, 4, 1, 3, 7, 0]
    assert ids(marked(), "xo") == [1, 0, 5] and ids(marked(), "", " \t") == []
    assert ids(marked(), "good" * 257 + " go") == [0, 2]


def test_a_word_is_composed_however_it_was_typed() -> None:
    assert ids(words(), "de\u0301", "ja\u0300") == [3]
    assert ids(words(), "de", "\u0301ja\u0300 film") == [3, 4]


def test_a_word_is_given_once_it_is_complete_and_not_before() -> None:
    front = words()
    state = front.start()
    assert len(front.step(state, "good")) == 0
    assert state.pending == "good"
    assert front.step(state, " f").tolist() == [[1]]
    assert state.pending == "f"


def test_a_text_begins_and_ends_with_tokens_of_its_own() -> None:
    assert ids(characters(begin=3, end=4), "", "ab", "a") == [3, 0, 1, 0, 4]
    assert ids(characters(begin=3), "ab") == [3, 0, 1]
    assert ids(words(end=2), "good fi", "lm") == [1, 4, 2]
    assert ids(words(begin=3, end=2), "good") == [3, 1, 2]
    assert ids(words(begin=3, end=2), " ", "") == ids(characters(begin=3, end=4)) == []
    front = characters(begin=3, end=4)
    state = front.start()
    made = [
        front.step(state, "a"),
        front.flush(state),
        front.flush(state),
        front.step(state, "b"),
        front.step(state, "b"),
    ]
    assert [each[:, 0].tolist() for each in made] == [[3, 0], [4], [], [3, 1], [1]]


def test_an_endless_word_is_unknown_and_bounded() -> None:
    front = words()
    state = front.start()
    for _ in range(5):
        front.step(state, "x" * MAX_WORD)
    assert len(state.pending) == MAX_WORD + 1
    assert front.step(state, "x good ").tolist() == [[0], [1]]


@settings(deadline=None, max_examples=150)
@given(
    st.sampled_from(
        [
            words(),
            words(lowercase=True),
            words(begin=3, end=2),
            pieces(),
            pieces(lowercase=True),
            marked(),
            characters(unknown=1, lowercase=True),
        ]
    ),
    st.text(alphabet="good bad\n\u0301eΣσ\x1f\u2003İ", max_size=40),
    st.data(),
)
def test_chunking_does_not_matter(front: TokensFrontEnd, text: str, data: st.DataObject) -> None:
    cuts = sorted(data.draw(st.lists(st.integers(0, len(text)), max_size=6)))
    state, got = front.start(), []
    for start, end in pairwise([0, *cuts, len(text)]):
        got.append(front.step(state, front.check(text[start:end])))
        state = front.restore(pack(state))
    got.append(front.flush(state))
    assert np.concatenate(got)[:, 0].astype(int).tolist() == ids(front, text)


def test_step_many() -> None:
    front = words()
    states = [front.start() for _ in range(2)]
    ids, counts = front.step_many(states, ["good ba", "film "])
    assert ids.tolist() == [[1], [4]] and counts == [1, 1]
    assert [state.pending for state in states] == ["ba", ""]


def test_what_text_is_refused() -> None:
    with pytest.raises(DtypeError, match="UTF-8"):
        characters().check(b"ab")
    with pytest.raises(InputError, match="surrogate"):
        characters(unknown=0).check("a\ud800")
    with pytest.raises(UnknownTokenError, match="'x'"):
        characters().check("abx")
    with pytest.raises(UnknownTokenError):
        characters().check("A")
    assert characters(lowercase=True).check("A") == "A"
    with pytest.raises(InputError, match="sample rate"):
        characters().start(16000)


@pytest.mark.parametrize("pending", ["two words", "x" * (MAX_WORD + 2)])
def test_a_forged_state_is_refused(pending: str) -> None:
    with pytest.raises(SnapshotError, match="pending"):
        words().restore(pack(TokensState(pending)))
    with pytest.raises(SnapshotError, match="pending"):
        characters().restore({"pending": "a", "begun": False})
    with pytest.raises(SnapshotError, match="begun"):
        characters().restore({"pending": "", "begun": True})


# --- ready frames ---------------------------------------------------------------------------------------------------


def test_frames_pass() -> None:
    front = FramesFrontEnd(specified.Frames(3), {})
    frames = np.arange(6, dtype=np.float32).reshape(2, 3)
    state = front.restore(pack(front.start()))
    assert front.step(state, front.check(frames)).tolist() == frames.tolist()
    assert front.check(frames[0]).shape == (1, 3)
    assert front.check(np.asfortranarray(frames)).flags.c_contiguous
    assert front.check(frames[:0]).shape == (0, 3)
    assert front.units(frames) == 2 and front.flush(state).shape == (0, 3)


@pytest.mark.parametrize(
    ("data", "error"),
    [
        (np.zeros((2, 3)), DtypeError),
        ([[0.0] * 3], DtypeError),
        (np.zeros((2, 4), np.float32), ShapeError),
        (np.zeros((1, 2, 3), np.float32), ShapeError),
        (np.array([[0, np.nan, 0]], np.float32), NotFiniteError),
        (np.array([[0, np.inf, 0]], np.float32), NotFiniteError),
    ],
)
def test_bad_frames_are_refused(data: object, error: type[InputError]) -> None:
    with pytest.raises(error):
        FramesFrontEnd(specified.Frames(3), {}).check(data)


def test_frames_have_no_sample_rate() -> None:
    with pytest.raises(InputError, match="sample rate"):
        FramesFrontEnd(specified.Frames(3), {}).start(16000)


def test_frames_are_normalised() -> None:
    rng = np.random.default_rng(0)
    frames, mean, scale = (rng.standard_normal(size).astype(np.float32) for size in ((7, 3), 3, 3))
    front = FramesFrontEnd(specified.Frames(3, normalise=True), {"front_end.mean": mean, "front_end.scale": scale})
    got = front.step(front.start(), frames)
    assert np.allclose(got, (frames.astype(float) - mean) * scale, atol=1e-6)
    together, counts = front.step_many([front.start()] * 2, [frames], [3, 4])
    assert together.tobytes() == got.tobytes() and counts == [3, 4]


def test_frames_that_overflow_as_they_are_normalised_lose_their_utterance() -> None:
    """And no warning is raised."""
    specification = Sequential("loud", specified.Frames(1, normalise=True), (Dense(1),), Outputs())
    weights = {name: np.full_like(array, 9) for name, array in Network.random(specification).weights.items()}
    stream = Model(Network(specification, weights)).stream()
    with pytest.raises(DivergedError):
        stream.push(np.full((1, 1), 3e38, np.float32))
