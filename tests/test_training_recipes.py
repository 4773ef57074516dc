"""The digits recipe: what it does to voices, what it learns from, how it tests, and the models that came of it."""

from __future__ import annotations

import dataclasses
import os
import shutil
import signal
import subprocess
import sys
import time
from collections import Counter
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import soundfile
from hypothesis import given, settings
from hypothesis import strategies as st

import ostinato
from ostinato.errors import InputError, TrainingError
from ostinato.model import file as model_file
from ostinato.model.bundled import BUNDLED
from ostinato.model.decoders import Ctc
from ostinato.pipeline.score import Errors
from ostinato.training.losses import CtcLoss
from ostinato.training.network import TrainableNetwork
from ostinato.training.recipes import augment, cards, compose, digits, evaluation, learn, real, voices, words

RECORDINGS = Path(ostinato.__file__).parent / "recordings"
CHANGES = ["throat", "room", "colour", "telephone", "loudness"]


def tone(seconds: float, hz: float = 220.0, rate: int = 16000) -> augment.Samples:
    time = np.arange(int(seconds * rate)) / rate
    wave = sum(np.sin(2 * np.pi * hz * n * time) / n for n in range(1, 8))
    return np.asarray(0.2 * wave * np.hanning(len(time)), np.float32)


def pitch(samples: augment.Samples, rate: int = 16000) -> float:
    spectrum = np.abs(np.fft.rfft(samples * np.hanning(len(samples))))
    return float(np.argmax(spectrum) * rate / len(samples))


# --- augmentation


@pytest.mark.parametrize("name", CHANGES)
@given(seconds=st.floats(0.05, 1.5), seed=st.integers(0, 2**32 - 1))
@settings(deadline=None, max_examples=15)
def test_changes_draw_from_their_seed_alone(name: str, seconds: float, seed: int) -> None:
    samples = tone(seconds)
    kept = samples.copy()
    change = getattr(augment, name)
    first, second = (change(samples, np.random.default_rng(seed)) for _ in range(2))
    assert first.dtype == np.float32
    assert np.isfinite(first).all()
    np.testing.assert_array_equal(first, second)
    np.testing.assert_array_equal(samples, kept)
    if name != "throat":
        assert len(first) == len(samples)


@pytest.mark.parametrize("name", CHANGES)
def test_changes_change_and_differ_by_seed(name: str) -> None:
    samples, change = tone(0.8), getattr(augment, name)
    one, other = change(samples, np.random.default_rng(1)), change(samples, np.random.default_rng(2))
    assert len(one) != len(other) or np.abs(one - other).max() > 1e-4


@given(factor=st.floats(0.7, 1.4))
@settings(deadline=None, max_examples=15)
def test_stretch_keeps_the_pitch_and_warp_moves_it(factor: float) -> None:
    samples = tone(1.0)
    longer = augment.stretch(samples, factor)
    assert len(longer) == pytest.approx(factor * len(samples), abs=600)
    assert pitch(longer) == pytest.approx(220, abs=8)
    faster = augment.warp(samples, factor)
    assert len(faster) == pytest.approx(len(samples) / factor, rel=0.01)
    assert pitch(faster) == pytest.approx(220 * factor, rel=0.03)


def test_trim_cuts_silence_and_only_that() -> None:
    spoken = tone(0.5) + np.float32(0.05)
    quiet = np.zeros(8000, np.float32)
    trimmed = augment.trim(np.concatenate([quiet, spoken, quiet]), margin_ms=20)
    assert len(trimmed) == pytest.approx(len(spoken) + 640, abs=320)
    assert len(augment.trim(quiet)) == 0
    assert len(augment.trim(quiet[:10])) == 0


def test_telephone_keeps_its_band() -> None:
    def through(hz: float) -> float:
        wave = np.asarray(0.2 * np.sin(2 * np.pi * hz * np.arange(16000) / 16000), np.float32)
        heard = augment.telephone(wave, np.random.default_rng(3))[4000:12000]
        return float(np.sqrt(np.mean(np.square(heard))))

    assert through(1000) > 0.1
    assert through(6000) < 0.01 * through(1000)
    assert through(20) < 0.05 * through(1000)


@given(snr=st.floats(0, 40), seed=st.integers(0, 1000))
@settings(deadline=None, max_examples=15)
def test_noise_is_as_loud_as_asked(snr: float, seed: int) -> None:
    rng = np.random.default_rng(seed)
    steady = np.asarray(0.1 * np.sin(np.arange(16000) * 0.3), np.float32)
    noise = augment.noise(16000, rng)
    assert np.mean(np.square(noise)) == pytest.approx(1, rel=0.01)
    added = augment.add_noise(steady, noise, snr) - steady
    ratio = 10 * np.log10(np.mean(np.square(steady)) / np.mean(np.square(added)))
    assert ratio == pytest.approx(snr, abs=0.5)


# --- utterances


def speaker(name: str = "kokoro-test") -> compose.Speaker:
    def clip(digits_: tuple[int, ...], hz: float) -> voices.Clip:
        return voices.Clip(tone(0.3 * max(1, len(digits_)), hz), digits_)

    return compose.Speaker(
        name,
        [clip((d,), 150 + 30 * d) for d in range(10)],
        [clip((1, 2, 3), 200), clip((0, 0), 300)],
        [clip((), 400)],
    )


def test_examples_hold_what_was_said_and_repeat_by_seed() -> None:
    for seed in range(12):
        one, other = (compose.example(speaker(), [speaker()], np.random.default_rng(seed)) for _ in range(2))
        np.testing.assert_array_equal(one.features, other.features)
        assert one.digits == other.digits
        assert one.features.shape[1] == 40
        assert len(one.features) >= 0.2 * 100 * len(one.digits)


def test_some_examples_hold_no_digits_and_some_end_with_speech() -> None:
    rng = np.random.default_rng(0)
    said = [compose.say(speaker(), rng) for _ in range(300)]
    counts = Counter(len([d for clip in clips for d in clip.digits]) for clips in said)
    assert counts[0] > 10
    assert counts[1] > 10
    assert max(counts) >= 5
    clips = [voices.Clip(np.ones(8000, np.float32), (1,))]
    ends = [np.flatnonzero(compose.join(clips, rng))[-1] - len(compose.join(clips, rng)) for _ in range(60)]
    assert max(ends) > -1000


def test_clips_and_examples_survive_their_files(tmp_path: Path) -> None:
    clips = [voices.Clip(tone(0.2), (4, 0)), voices.Clip(tone(0.1), ())]
    voices.save(tmp_path / "v.npz", clips)
    for wanted, got in zip(clips, voices.load(tmp_path / "v.npz"), strict=True):
        assert wanted.digits == got.digits
        np.testing.assert_allclose(wanted.samples, got.samples, atol=1e-4)
    example = compose.example(speaker(), [speaker()], np.random.default_rng(1))
    compose.save(tmp_path / "e.npz", [example, example])
    for got in compose.load(tmp_path / "e.npz"):
        assert got.digits == example.digits
        np.testing.assert_allclose(got.features.astype(np.float32), example.features, atol=0.01)


def test_sentences_ask_for_every_digit_alone_then_strings_then_other_words() -> None:
    asked = list(voices.sentences(np.random.default_rng(0)))
    assert [d for _, d in asked[:10]] == [(d,) for d in range(10)]
    for spoken, digits_ in asked:
        assert words.digits_of(" ".join(spoken)) == list(digits_)
    assert not {d for d in words.DIGITS} & set(words.FILLERS)
    assert asked[-1][1] == ()
    assert all(len(spelling.split()) == 10 for spelling in words.SPELLINGS.values())


# --- learning


def test_labels_and_transcripts() -> None:
    assert words.labels([0, 9]) == [1, 10]
    assert words.transcript([0, 9]) == "zero nine"
    assert words.digits_of("Zero oh well nine") == [0, 0, 9]


def test_stacking_is_the_front_ends() -> None:
    samples = tone(0.7) + np.random.default_rng(0).normal(0, 0.01, int(0.7 * 16000)).astype(np.float32)
    settings_ = dataclasses.replace(compose.FRONT_END, normalise=False)
    served = compose.front_end(settings_, {})
    state = served.start()
    frames = np.concatenate([served.step(state, samples), served.flush(state)])
    np.testing.assert_allclose(learn.stack(compose.features(samples)), frames, atol=1e-5)


def test_warp_of_one_changes_nothing() -> None:
    np.testing.assert_allclose(learn.warp_matrix(1.0), np.eye(40), atol=1e-6)
    for factor in (0.85, 1.15):
        np.testing.assert_allclose(learn.warp_matrix(factor).sum(axis=0), 1, atol=1e-5)


def test_batches_repeat_by_epoch_and_hold_every_example_once() -> None:
    rng = np.random.default_rng(0)
    examples = [
        compose.Example(rng.normal(size=(int(n), 40)).astype(np.float32), (int(n) % 10,))
        for n in rng.integers(60, 300, 25)
    ]
    mean, scale = learn.normalisation(examples)
    batches = learn.Batches(examples, mean, scale, 4, seed=1)
    first, again, later = list(batches(0)), list(batches(0)), list(batches(1))
    assert Counter(t[0] for b in first for t in b.targets) == Counter(e.digits[0] + 1 for e in examples)
    for one, other in zip(first, again, strict=True):
        np.testing.assert_array_equal(one.inputs, other.inputs)
    assert any(
        a.inputs.shape != b.inputs.shape or (a.inputs != b.inputs).any() for a, b in zip(first, later, strict=True)
    )


@pytest.mark.parametrize("direction", ["uni", "bi"])
def test_networks_are_of_about_equal_size_and_fit_their_loss(direction: learn.Direction) -> None:
    network = TrainableNetwork(learn.specification(direction), np.float32, 1)
    assert 330_000 < sum(w.size for w in network.parameters.values()) < 350_000
    assert network.left_to_loss == CtcLoss().left_to_loss
    found = learn.errors(network, [np.zeros((20, 120), np.float32)] * 3, [(1,), (2, 3), ()])
    assert found.symbols == 3 and found.total >= 0


def test_best_path_drops_repeats_and_blanks() -> None:
    path = [0, 3, 3, 0, 3, 1, 1, 0, 0, 10]
    assert learn.best_path(np.eye(11, dtype=np.float32)[path]) == [2, 2, 0, 9]


def test_training_without_a_synthesiser_says_how_to_get_one(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    none = tuple(dataclasses.replace(s, found=lambda: False) for s in voices.SYNTHESISERS)
    monkeypatch.setattr(voices, "SYNTHESISERS", none)
    with pytest.raises(TrainingError, match="apt-get install espeak-ng"):
        digits.train(digits.Options(output=tmp_path, data=tmp_path))


def test_the_whole_recipe_in_small(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A stand-in for a synthesiser: tones for digits. Everything else is the recipe."""

    def speak(voice: voices.Voice, said: list[str], rng: np.random.Generator) -> tuple[voices.Samples, int]:
        tones = [tone(0.15, 150 + 90 * words.DIGITS.index(w) if w in words.DIGITS else 60.0) for w in said]
        return np.concatenate(tones), 16000

    fake = voices.Synthesiser(
        "pico", "none", "", lambda: True, lambda rng: [voices.Voice("pico", f"pico-{n}") for n in range(2)], speak
    )
    monkeypatch.setattr(voices, "SYNTHESISERS", (fake,))
    for voice in fake.voices(np.random.default_rng(0)):
        voices.save(tmp_path / "voices" / f"{voice.name}.npz", voices.speak(voice, 1))
    seen: list[str] = []
    options = digits.Options(
        output=tmp_path,
        data=tmp_path,
        directions=("uni",),
        shards=2,
        examples_per_shard=8,
        steps=3,
        batch=4,
        workers=1,
    )
    compose._make_shard(tmp_path / "utterances" / "0000.npz", tmp_path / "voices", 8, 1)
    compose._make_shard(tmp_path / "utterances" / "0001.npz", tmp_path / "voices", 8, 1)
    monkeypatch.setattr(real, "recordings", lambda *_, **__: [])
    (tmp_path / "digits-old.safetensors").write_bytes(b"no model")
    left_out: list[str] = []
    (path,), interrupted = digits.train(
        options, lambda what, done, total: seen.append(what), lambda path, error: left_out.append(path.name)
    )
    assert left_out == ["digits-old.safetensors"] and "digits-uni" in (tmp_path / "MODELS.md").read_text()
    assert not interrupted
    model = ostinato.load(path)
    card = model.network.specification.card
    assert card["training data"].startswith("8 utterances") and card["training data"].endswith("learning: 3.")
    assert "letting voices speak" in seen
    held_out = [e for e in compose.load(tmp_path / "utterances" / "0000.npz")]
    spoken = sum(len(e.digits) for e in held_out)
    assert "on real voices: not tested." in card["accuracy"] and f"of {spoken} digits" in card["accuracy"]
    assert "Fair test voices" not in card["accuracy"]
    for voice in real.VOICES:
        assert f"{voice} (" in card["how it was tested"]
    assert "0.3 s of quiet" not in card["how it was tested"] and "not tested" in card["limits"]


NOBODY = evaluation.Report("model", [])
SOME = (learn.specification("uni"), [compose.Example(np.zeros((100, 40), np.float16), (1,))])


def making(**changes: Any) -> cards.Making:
    made = cards.Making(SOME[1], voices.SYNTHESISERS[4:5], voices.SYNTHESISERS[:2], 9, 9, Errors(20, 3))
    return dataclasses.replace(made, **changes)


def test_a_card_says_only_what_was_done() -> None:
    """Each sentence is there if, and only if, what it tells of is."""
    spoke = {
        name: evaluation.VoiceResult(name, "string", 1, 5.0, Errors(20, 1))
        for name in ("dhd", "fsdd-jackson", "fsdd-lucas")
    }
    other = evaluation.VoiceResult("librivox", "other", 1, 30.0, Errors(0, 0, 2))

    def card(*results: evaluation.VoiceResult, **changes: Any) -> dict[str, str]:
        report = evaluation.Report("model", list(results))
        return cards.with_card(ostinato.load("digits-uni").network, report, making(**changes)).specification.card

    nobody = card()
    assert "0.0%" not in nobody["accuracy"] and "other speech" not in nobody["accuracy"]
    assert "Synthetic voices, utterances held out: 15.0% of 20 digits." in nobody["accuracy"]
    assert "Synthetic voices" not in card(held_out=Errors())["accuracy"]
    assert "held out chose the checkpoint" in nobody["how it was tested"]
    assert "loss in learning chose" in card(held_out=Errors())["how it was tested"]
    assert "No checkpoint was chosen" in card(chosen=False)["how it was tested"]
    assert "kokoro, piper" in nobody["training data"] and "missing" not in card(missing=[])["training data"]
    assert "stopped by hand (of 9)" in card(steps=4)["training data"]
    assert "--quick" in card(quick=True)["what it does"] and "--quick" not in nobody["what it does"]

    chooser = card(spoke["fsdd-jackson"])
    assert (
        "fsdd-jackson string: 5.0%" in chooser["accuracy"] and "Fair test voices: not tested" in chooser["accuracy"]
    )
    assert "fsdd-jackson chose the checkpoint" in chooser["how it was tested"]
    assert "fsdd-theo" not in chooser["how it was tested"] and "fsdd (" not in chooser["how it was tested"]
    assert "dhd:" not in chooser["how it was tested"] and "others did not" not in chooser["how it was tested"]

    fair = card(*spoke.values(), other)
    assert "Fair test voices together: 5.0%" in fair["accuracy"] and "tested on few people" in fair["limits"]
    assert "In 30 s of other speech 4 digits per minute" in fair["accuracy"]
    assert "dhd: one string" in fair["how it was tested"] and "The others did not" in fair["how it was tested"]
    assert "allison (" in fair["how it was tested"] and "librivox (" not in fair["how it was tested"]


def test_no_results_are_no_rate() -> None:
    """An empty mean is none, and not the best there can be."""
    assert NOBODY.error_rate() is None and NOBODY.false_per_minute() is None and NOBODY.interval() is None
    assert evaluation.VoiceResult("someone", "other").error_rate is None


def test_what_is_held_out_is_not_learnt() -> None:
    with pytest.raises(TrainingError, match="held out"):
        digits.Options(shards=1)


def test_a_quick_run_is_small_named_so_and_apart_from_the_others(tmp_path: Path) -> None:
    quick, whole = digits.Options.small(tmp_path, steps=7), digits.Options(data=tmp_path)
    assert quick.data.parent == whole.data and quick.steps == 7 and quick.quick
    assert quick.shards * quick.examples_per_shard < whole.shards * whole.examples_per_shard / 50
    assert digits.Options.small().steps < whole.steps / 50


@pytest.mark.skipif(shutil.which("espeak-ng") is None, reason="needs espeak-ng")
def test_ctrl_c_while_voices_speak_ends_it_at_once_and_leaves_no_part(tmp_path: Path) -> None:
    spoken = tmp_path / "data" / "voices"
    program = Path(sys.executable).with_name("ostinato")
    process = subprocess.Popen(
        [program, "train", "digits", "--data", spoken.parent, "--output", tmp_path / "models"],
        stderr=subprocess.PIPE, text=True, start_new_session=True,
    )  # fmt: skip
    try:
        end = time.monotonic() + 60
        while not any(spoken.glob("*.npz")) and process.poll() is None and time.monotonic() < end:
            time.sleep(0.02)
        os.killpg(process.pid, signal.SIGINT)  # as a terminal does
        _, rest = process.communicate(timeout=20)
        assert process.returncode == 130 and "Traceback" not in rest, rest
    finally:
        process.kill()
        process.communicate()
    whole = [path for path in spoken.glob("*.npz") if ".partial" not in path.name]
    assert all(voices.load(path) for path in whole) and not list((tmp_path / "models").iterdir())


def test_ctrl_c_while_learning_writes_what_was_learnt_and_says_so(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(voices, "speak_all", lambda *_: [])
    monkeypatch.setattr(real, "recordings", lambda *_, **__: [])
    rng = np.random.default_rng(0)
    for name in ("0000", "0001"):
        examples = [compose.Example(rng.normal(size=(60, 40)).astype(np.float16), (1, 2)) for _ in range(8)]
        compose.save(tmp_path / "utterances" / f"{name}.npz", examples)
    steps = learn.Batches.__call__

    def interrupted(self: learn.Batches, epoch: int) -> Iterator[Any]:
        for number, batch in enumerate(steps(self, epoch)):
            if number == 1:
                raise KeyboardInterrupt
            yield batch

    monkeypatch.setattr(learn.Batches, "__call__", interrupted)
    options = digits.Options(output=tmp_path, data=tmp_path, shards=2, steps=50, batch=4, workers=1)
    (path,), ended = digits.train(options)
    assert ended
    card = model_file.read(path).specification.card
    assert "Steps of learning: 1, stopped by hand (of 50)." in card["training data"]
    assert "No checkpoint was chosen" in card["how it was tested"]


# --- testing on real voices


def recordings() -> list[real.Recording]:
    rng = np.random.default_rng(5)
    noise = rng.normal(0, 1e-4, 3200).astype(np.float32)
    return [real.Recording("someone", (d,), tone(0.4, 200 + 20 * d, 8000) + noise, 8000) for d in range(10)]


def test_items_are_single_digits_and_strings_with_known_ends() -> None:
    made = real.items(recordings(), strings=5)
    assert [len(i.digits) for i in made[:10]] == [1] * 10
    assert all(3 <= len(i.digits) <= 7 for i in made[10:])
    for item, again in zip(made, real.items(recordings(), strings=5), strict=True):
        np.testing.assert_array_equal(item.samples, again.samples)
        assert len(item.ends_ms) == len(item.digits)
        assert list(item.ends_ms) == sorted(item.ends_ms)
        assert item.ends_ms[-1] < 1000 * len(item.samples) / item.rate


def test_other_speech_is_tested_for_false_digits() -> None:
    made = real.items([*recordings(), real.Recording("someone", (), tone(0.5, 300, 8000), 8000)], strings=3)
    assert [item.kind for item in made].count("other") == 1
    report = evaluation.evaluate(ostinato.load("digits-uni"), made)
    other = next(r for r in report.results if r.kind == "other")
    assert other.digits == 0
    assert report.false_per_minute() == pytest.approx(60 * other.errors / other.seconds)
    spoken = [r for r in report.results if r.kind != "other"]
    assert report.error_rate() == pytest.approx(sum(r.errors for r in spoken) / sum(r.digits for r in spoken))
    assert "someone" in report.table()
    assert report.interval() is None, "one voice cannot tell how voices differ"
    voices_apart = [evaluation.VoiceResult(f"voice {i}", "string", counted=Errors(20, i)) for i in range(4)]
    low, high = evaluation.Report("model", [*report.results, *voices_apart]).interval() or (1, 0)
    assert low < (report.error_rate() or 0) < 1 and high > low
    assert "95 % interval for such voices" in cards.accuracy(evaluation.Report("model", voices_apart), Errors(), True)


def test_one_bad_recording_is_left_out_before_learning_begins(tmp_path: Path) -> None:
    folder = tmp_path / "package" / "data"
    for digit in range(10):
        (folder / str(digit)).mkdir(parents=True)
        soundfile.write(folder / str(digit) / "default.wav", tone(0.3, 300, 8000), 8000)
    soundfile.write(folder / "7" / "default.wav", np.zeros(0, np.float32), 8000)
    (folder / "3" / "default.wav").write_bytes(b"no audio")
    told: dict[str, str] = {}
    (tmp_path / "recordings").mkdir()
    for name in ("4_ann_lee_0", "4_bob_x", "4_bob_9"):
        soundfile.write(tmp_path / "recordings" / f"{name}.wav", tone(0.3, 300, 8000), 8000)
    assert [r.voice for r in real.recordings((), tmp_path) if r.voice.startswith("fsdd")] == ["fsdd-ann_lee"]
    found = real.recordings([tmp_path], left_out=lambda path, error: told.update({path.parent.name: str(error)}))
    assert sorted(r.digits[0] for r in found if r.voice == "captcha") == [0, 1, 2, 4, 5, 6, 8, 9]
    assert "cannot be read as audio" in told["3"] and "is empty" in told["7"] and len(told) == 2
    options = digits.Options(output=tmp_path, data=tmp_path / "data", real=(tmp_path,))
    with pytest.raises(InputError, match=r"3/default.wav' cannot be read"):
        digits.train(options)
    assert not (tmp_path / "data").exists(), "nothing was spoken or learnt yet"


def test_a_damaged_part_of_the_training_set_is_named_with_the_cure(tmp_path: Path) -> None:
    path = tmp_path / "0000.npz"
    compose.save(path, [compose.Example(np.ones((5, 40), np.float16), (1, 2))])
    assert [e.digits for e in compose.load(path)] == [(1, 2)]
    whole = path.read_bytes()
    for raw in (whole[:100], b"", whole[:60] + bytes(40) + whole[100:]):
        path.write_bytes(raw)
        for load in (compose.load, voices.load):
            with pytest.raises(TrainingError, match=r"0000.npz is damaged .* delete it"):
                load(path)


def bundled_item(name: str) -> real.Item:
    samples, rate = soundfile.read(RECORDINGS / f"{name}.wav", dtype="float32")
    said = words.digits_of((RECORDINGS / f"{name}.txt").read_text(encoding="utf-8"))
    return real.Item(name, "string", tuple(said), samples, rate)


@pytest.mark.parametrize("name", ["digits-uni", "digits-bi"])
def test_bundled_models_hear_the_bundled_recordings(name: str) -> None:
    items = [bundled_item("phone-number"), bundled_item("two-nine-three-four-zero")]
    report = evaluation.evaluate(ostinato.load(name), items)
    assert [r.items for r in report.results] == [1, 1]
    rate = report.error_rate()
    assert rate is not None and rate <= 0.1, report.table()


@pytest.mark.parametrize("name", ["digits-uni", "digits-bi"])
def test_bundled_models_are_small_complete_and_carded(name: str) -> None:
    path = BUNDLED / f"{name}.safetensors"
    assert path.stat().st_size <= 1_500_000
    specification = model_file.read(path).specification
    assert specification.direction == ("unidirectional" if name.endswith("uni") else "bidirectional")
    assert specification.licence == cards.LICENCE
    decoder = specification.heads[0].decoder
    assert isinstance(decoder, Ctc) and decoder.symbols == words.SYMBOLS
    assert {"training data", "accuracy", "how it was tested", "limits"} <= specification.card.keys()
    for voice in ("allison", "captcha", "dhd"):
        assert voice in specification.card["accuracy"]
    assert name in (BUNDLED / "MODELS.md").read_text(encoding="utf-8")


@pytest.mark.parametrize("name", ["digits-uni", "digits-bi"])
def test_bundled_models_are_silent_in_silence_and_noise(name: str) -> None:
    model = ostinato.load(name)
    rng = np.random.default_rng(0)
    for level in (0.0, 1e-3, 0.05):
        quiet = (level * rng.standard_normal(3 * 16000)).astype(np.float32)
        assert evaluation.recognise(model, real.Item("nobody", "string", (), quiet, 16000)) == ([], [])


def test_recordings_have_transcript_and_attribution() -> None:
    attribution = (RECORDINGS / "ATTRIBUTION.md").read_text(encoding="utf-8")
    found = sorted(RECORDINGS.glob("*.wav"))
    assert found
    for path in found:
        assert path.name in attribution
        assert words.digits_of(path.with_suffix(".txt").read_text(encoding="utf-8"))
        assert soundfile.info(path).subtype == "PCM_16"
