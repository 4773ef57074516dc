"""Tunes in ABC: read strictly, cleaned, counted, transposed, played."""

from __future__ import annotations

from fractions import Fraction
from pathlib import Path

import mido
import numpy as np
import pytest
import soundfile
from hypothesis import given
from hypothesis import strategies as st
from little_room import little_room

from ostinato.errors import InputError
from ostinato.notation import faults, midi, read, sound
from ostinato.notation.bars import pieces, played
from ostinato.notation.cleaning import cleaned, title_of
from ostinato.notation.keys import MODES, Key
from ostinato.notation.playing import sounding
from ostinato.notation.reader import begun, is_abc
from ostinato.notation.transposition import transposed
from ostinato.notation.tune import LONGEST, Note, beat, element, token

JIG = """X:1
T:A jig
M:6/8
L:1/8
K:D
|: A | d f d e2 c | (3 d c B A/2 G3/2 F z | D3- D2 :|
"""


def test_a_tune_is_read_and_written_alike() -> None:
    tune = read(JIG)
    assert (tune.metre, tune.unit, str(tune.key), tune.bar) == ("6/8", Fraction(1, 8), "D", 6)
    assert read(tune.abc("again", 100)) == tune and read(" ".join(tune.tokens)) == tune
    assert read("M:C\nK:Am\nA//B3/4c'd,,|^^f__g=a :|").body == (
        "A/4", "B3/4", "c'", "d,,", "|", "^^f", "__g", "=a", ":|",
    )  # fmt: skip
    assert begun("K:G") == ("M:4/4", "L:1/8", "K:G") and read("M:2/4\nK:G\nG").unit == Fraction(1, 16)
    assert read("M:6/8 L:1/8 K:A Mixolydian").key == Key.of("Amix")
    assert is_abc(["<unknown>", *tune.tokens * 10]) and not is_abc(["K:D", "word", "so", "far"])


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("M:6/8\nL:1/8\nABC", "no key"),
        ("K:H", "K:H is no key"),
        ("K:C#lyd", "8 sharps"),
        ("M:6/7\nK:D", "M:6/7 is no metre"),
        ("L:1/7\nK:D", "L:1/7 is no unit"),
        ("K:D\nA | B | &c", "bar 3: '&c' is not understood"),
        ("K:D\nA99", "'A99' is no token"),
        ("K:D\nA\nK:G\nB", "tunes that change"),
        ("K:D\nA/0", "divides by nothing"),
        ("K:D\n(5ABcde", "'(5' is no token"),
        ("K:D\nV:2\nA", "field V:"),
        ("K:D\n" + "A" * 100_001, "100000 at most"),
    ],
)
def test_what_is_no_tune_is_refused_by_its_place(text: str, message: str) -> None:
    with pytest.raises(InputError) as caught:
        read(text)
    assert message in str(caught.value)


@given(st.text("ABCabcz|:[]()123/,'^_=-MLK \n%", max_size=60))
def test_any_text_is_read_or_refused(body: str) -> None:
    for reader in (read, cleaned):
        try:
            tune = reader(f"X:1\nM:6/8\nL:1/8\nK:D\n{body}")
        except InputError:
            continue
        faults(tune)
        assert read(tune.abc()) == tune


@given(st.integers(-21, 28), st.sampled_from([None, -2, -1, 0, 1, 2]), st.fractions(Fraction(1, 16), LONGEST))
def test_a_note_is_written_in_one_way(step: int, alteration: int | None, length: Fraction) -> None:
    if length.numerator < 100 and length.denominator < 100:
        note = Note(step, alteration, length)
        assert element(token(note)) == note


def test_keys_are_named_by_signature_and_mode() -> None:
    for mode, more in MODES.items():
        for sharps in range(-7, 8):
            assert Key.of(str(Key(sharps, mode))) == Key(sharps, mode)
        assert Key.of(f"C{mode}").sharps == more
    assert [Key.of("Eb").alteration(step) for step in range(7)] == [0, 0, -1, 0, 0, -1, -1]
    assert Key.of("E minor") == Key.of("Em") == Key.of("E Aeolian") and Key.of("F#m").sharps == 3


def bad(text: str) -> list[str]:
    return faults(read(f"M:2/4 L:1/8 K:D {text}"))


def test_bars_are_counted_as_one_hears_them() -> None:
    assert not bad("A2 B2 | c4 |]")
    assert not bad("|: A | B4 | c3 :|") and not bad("A | B4 | c3 |]") and not bad("A | B4 || c4 | d3 |]")
    assert not bad("|: A | B4 | c3 :: d | e4 | f3 :|") and not bad("|: A | B4 |[1 c3 :|[2 c4 |]")
    assert not bad("(3 A B c d2 | e4 |]") and not bad("A4 | B2 || c2 | d4 |]")
    assert not faults(read(JIG))
    assert bad("A4 | B5 | c4 |]") == ["bar 2: 5 units instead of 4 units"]
    assert bad("|: A | B4 | c4 :|") == ["bar 1: 1 unit instead of 4 units"]  # heard a second time
    assert bad("|: A4 | B3 :|") == ["bar 2: 3 units instead of 4 units"]
    assert bad("A4 | B3 |]") == ["bar 2: 3 units instead of 4 units"]
    assert bad("(3 A B |") == ["bar 1: a tuplet lacks 1 of its notes"] and bad("|]") == ["there are no notes"]


def test_repeats_and_endings_are_played_out() -> None:
    def order(text: str) -> list[int]:
        return [piece.number for piece in played(pieces(read(f"M:2/4 L:1/8 K:D {text}").elements()))]

    assert order("A4 | B4 :| c4 |]") == [1, 2, 1, 2, 3]
    assert order("A4 |: B4 | c4 :: d4 :|") == [1, 2, 3, 2, 3, 4, 4]
    assert order("|: A4 | B4 |[1 c4 :|[2 d4 |: e4 :|") == [1, 2, 3, 1, 2, 4, 5, 5]
    assert order("|: A4 |[1 B4 | c4 :|[2 d4 | e4 |] f4 |]") == [1, 2, 3, 1, 4, 5, 6]


def test_a_tune_is_the_same_in_another_key() -> None:
    tune = read("M:4/4 L:1/8 K:Em |: E F ^G2 =c' _B, z (3 A B c :|")
    base = [(note.pitch, note.start) for note in sounding(tune)]
    for sharps in range(-5, 6):
        moved = transposed(tune, sharps)
        shifts = {after.pitch - before for after, (before, _) in zip(sounding(moved), base, strict=True)}
        assert len(shifts) == 1 and abs(min(shifts)) <= 6
        assert transposed(moved, 1) == tune


def test_notes_sound_when_they_should() -> None:
    notes = sounding(read(JIG))
    assert [note.pitch for note in notes[:6]] == [69, 74, 78, 74, 76, 73]
    assert notes[0].start == 0 and notes[1].start == Fraction(1, 3) and [n.on_beat for n in notes[:3]] == [0, 1, 0]
    assert notes[6].length == Fraction(2, 9)  # of a triplet of eighths, in dotted quarters
    half = len(notes) // 2
    assert notes[half - 1].length == Fraction(5, 3) and notes[half].start == 6  # tied; and again
    assert [note.pitch for note in sounding(read("K:F\nB ^c C | c B,"))] == [70, 73, 61, 72, 58]


def test_midi_has_the_notes_at_their_times(tmp_path: Path) -> None:
    tune = read(JIG)
    midi.write(tune, path := tmp_path / "jig.mid", 90)
    file, now, begun_at = mido.MidiFile(path), 0.0, []
    for message in file:
        now += message.time
        if message.type == "note_on":
            begun_at.append((message.note, now))
    wanted = [(note.pitch, float(note.start) * 60 / 90) for note in sounding(tune)]
    assert [pitch for pitch, _ in begun_at] == [pitch for pitch, _ in wanted]
    np.testing.assert_allclose([at for _, at in begun_at], [at for _, at in wanted], atol=2e-3)


def test_sound_has_the_pitches_at_their_times(tmp_path: Path) -> None:
    tune = read("M:4/4 L:1/4 K:C C e A2 |]")
    sound.write(tune, path := tmp_path / "tune.wav", 60)
    samples, rate = soundfile.read(path)
    assert rate == sound.RATE and 0.7 < np.abs(samples).max() <= 0.81
    for note in sounding(tune):
        start = round((float(note.start) + 0.1) * rate)
        spectrum = np.abs(np.fft.rfft(samples[start : start + rate // 2] * np.hanning(rate // 2)))
        assert abs(spectrum.argmax() * 2 - 440 * 2 ** ((note.pitch - 69) / 12)) < 3  # bins of 2 Hz
    with little_room(), pytest.raises(OSError, match="File too large"):
        sound.write(tune, path, 60)
    with pytest.raises(InputError, match="600 s at most"):
        sound.samples(read("M:4/4 L:1/1 K:C " + "C64 " * 200), 20)
    with pytest.raises(InputError, match="from 20 to 400"):
        sound.samples(tune, 401)


def test_what_people_write_is_cleaned() -> None:
    header = "X:1\nT:One\nM:6/8\nL:1/8\nK:D\n"
    written = header + '"D"(AB){g}c ~d>e f-|g[Ac]a-a2.b|!trill!A3 B3:|\n'
    assert title_of(written) == "One" and not title_of("X:1")
    assert " ".join(cleaned(written).body) == "|: A B c d3/2 e/2 f | g c a- a2 b | A3 B3 :|"
    header = "X:1\nM:2/4\nL:1/8\nK:G\n"
    assert " ".join(cleaned(header + "G|A4:|B4:|c4").body) == "|: G | A4 :: B4 :| c4 |]"
    assert " ".join(cleaned(header + "A4|1 B4:|2 c4||").body) == "|: A4 | [1 B4 :| [2 c4 |]"
    for wrong in ("A4 |\nK:D\nB4", "[K:D]A4", "V:1\nA4", "(3:2:4ABcd", "A4 @"):
        with pytest.raises(InputError):
            cleaned(header + wrong)


def test_a_beat_is_what_one_counts() -> None:
    assert [beat(metre) for metre in ("6/8", "3/8", "2/2", "3/4", "9/8")] == [
        Fraction(3, 8), Fraction(1, 8), Fraction(1, 2), Fraction(1, 4), Fraction(3, 8),
    ]  # fmt: skip
