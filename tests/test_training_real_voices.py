"""The digits recipe: what it makes of recordings of people, and what the bundled models make of them."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
import soundfile
from recipe_sounds import tone

import ostinato
from ostinato.errors import InputError
from ostinato.model import file as model_file
from ostinato.model.bundled import BUNDLED
from ostinato.model.decoders import Ctc
from ostinato.pipeline.score import Errors
from ostinato.training.recipes.digits import cards, evaluation, real, words
from ostinato.training.recipes.digits import recipe as digits
from ostinato.training.recipes.recipe import Telling

RECORDINGS = Path(ostinato.__file__).parent / "recordings"


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
        digits.train(options, Telling())
    assert not (tmp_path / "data").exists(), "nothing was spoken or learnt yet"


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
    assert path.stat().st_size <= 5_000_000
    specification = model_file.read(path).specification
    assert specification.direction == ("unidirectional" if name.endswith("uni") else "bidirectional")
    assert specification.licence == cards.LICENCE
    decoder = specification.heads[0].decoder
    assert isinstance(decoder, Ctc) and decoder.symbols[:11] == words.SYMBOLS[:11]
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
