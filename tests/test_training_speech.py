"""The recipe for speech, in small: its clips, what is kept apart, and the whole of it on made-up voices."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
import soundfile

from ostinato.errors import TrainingError
from ostinato.model import file as model_file
from ostinato.model.decoders import Ctc, CtcBeam
from ostinato.model.layers import Convolution, Gru
from ostinato.streaming import Model
from ostinato.training.corpora import fillets, fortunes
from ostinato.training.recipes.recipe import Telling
from ostinato.training.recipes.speech_cs import clips, learn, recipe

RATE = 22050
WORDS = ("ano", "ne", "on", "oáze", "áno")
HZ = {"a": 250, "n": 520, "o": 1080, "e": 2250, "á": 4700, "z": 6500}


def voice(text: str, rng: np.random.Generator) -> np.ndarray:
    """A tone of 120 ms for each letter, and quiet around."""
    time = np.arange(int(0.12 * RATE)) / RATE
    tones = [np.sin(2 * np.pi * HZ.get(c, 0) * time) for c in text]
    whole = np.concatenate([np.zeros(RATE // 20), *tones, np.zeros(RATE // 10)])
    return (0.3 * whole + 0.003 * rng.normal(size=len(whole))).astype(np.float32)


@pytest.fixture(scope="module")
def spoken(tmp_path_factory: pytest.TempPathFactory) -> list[fillets.Spoken]:
    folder, rng, made = tmp_path_factory.mktemp("clips"), np.random.default_rng(0), []
    for n in range(150):
        text = " ".join(rng.choice(WORDS, rng.integers(1, 4)))
        path = folder / f"clip-{n}.ogg"
        soundfile.write(path, voice(text, rng), RATE)
        made.append(fillets.Spoken(path, "level", "font_small", f"{text.capitalize()}!", ""))
    return made


def told() -> tuple[list[str], Callable[[str], None]]:
    notes: list[str] = []
    return notes, notes.append


def test_what_is_kept_apart_goes_by_names_alone(spoken: list[fillets.Spoken]) -> None:
    assert [clips.part(f"level/{n}") for n in range(20)].count("training") > 10
    shares = [clips.part(f"{n}/clip") for n in range(4000)]
    assert 350 < shares.count("test") < 450 and 160 < shares.count("validation") < 240
    data = clips.read(spoken, Telling())
    assert {clip.name for clip in data.test} == {
        f"level/{s.path.stem}" for s in spoken if clips.part(f"level/{s.path.stem}") == "test"
    }
    held = {clip.text for clip in (*data.test, *data.validation)}
    assert not held & {clip.text for clip in data.training}
    assert data.left_out["training clips with a held-out clip's text"] > 0


def test_what_cannot_be_learnt_is_left_out_counted_and_told(spoken: list[fillets.Spoken], tmp_path: Path) -> None:
    training = [s for s in spoken if clips.part(f"level/{s.path.stem}") == "training"]
    long, broken = "a" * 200, tmp_path / f"{training[5].path.stem}.ogg"
    broken.write_bytes(b"no sound")
    changed = {
        training[0]: training[0]._replace(text=""),
        training[1]: training[1]._replace(text="Zmáčkni F2"),
        training[2]: training[2]._replace(text=long),
        training[5]: training[5]._replace(path=broken),
    }
    notes, note = told()
    unreadable: list[Path] = []
    telling = Telling(note=note, left_out=lambda path, _: unreadable.append(path))
    data = clips.read([changed.get(s, s) for s in spoken], telling)
    counted = {
        "no transcript": 1, "characters that the models do not write": 1, "not readable": 1,
        "more text than CTC can align with so few frames": 1,
    }  # fmt: skip
    assert counted.items() <= data.left_out.items() and unreadable == [broken]
    assert all(f"1 clips left out: {why}" in notes for why in counted)
    with pytest.raises(TrainingError, match=r"no clip is left to train with .*: no transcript"):
        clips.read([s._replace(text="") for s in spoken], Telling())
    assert clips.frames_needed([2, 2, 3, 3]) == 6 and clips.plain("„Ne!“ – řekl Ďas…") == "ne řekl ďas"


def test_batches_repeat_by_epoch(spoken: list[fillets.Spoken]) -> None:
    data = clips.read(spoken, Telling())
    mean = np.zeros(learn.MELS, np.float32)
    batches = learn.Batches(data.training, mean, mean + 1, 8, 1)
    one, again, later = (next(iter(batches(epoch))) for epoch in (0, 0, 1))
    np.testing.assert_array_equal(one.inputs, again.inputs)
    assert one.inputs.shape != later.inputs.shape or (one.inputs != later.inputs).any()


def test_the_whole_recipe_in_small(
    spoken: list[fillets.Spoken], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Tones are learnt in a few steps: the models that come out hear held-out ones, as their results say."""
    monkeypatch.setattr(recipe.Options, "corpus", lambda *_: {})
    monkeypatch.setattr(fillets, "read", lambda files: spoken)
    monkeypatch.setattr(fortunes, "read", lambda files: ["Ano, ne. On -- oáze!\n\t\t-- áno", "W3? On a on."])
    makings = {
        "uni": learn.Making((Gru(64),), 200, 1e-2, 0.0, 0.0),
        "bi": learn.Making((Gru(48, direction="bidirectional"),), 200, 1e-2, 0.0, 0.0),
        "linear": learn.Making((Convolution(8, 2),), 3),
    }
    monkeypatch.setattr(recipe, "BATCH", 16)
    options = recipe.Options(output=tmp_path, runs=tmp_path / "runs", workers=1, quick=True, makings=makings)
    trained = recipe.train(options, Telling())
    assert [path.name for path in trained.paths] == [f"speech-cs-{name}-quick.safetensors" for name in makings]
    for name, path in zip(makings, trained.paths, strict=True):
        network = model_file.read(path)
        beam, greedy = (head.decoder for head in network.specification.heads)
        assert isinstance(beam, CtcBeam) and isinstance(greedy, Ctc) and beam.number_of_contexts > 5
        results = json.loads((tmp_path / "runs" / f"speech-cs-{name}-quick" / "results.json").read_text())
        first, *_, last = results["ways"]
        assert [way["head"] for way in (first, last)] == ["main", "greedy"]
        assert len(results["ways"]) == (10 if name == "bi" else 2)
        assert results["clips"]["test"] and first["characters"]["said"] > 20
        assert first["characters"]["low"] <= first["characters"]["rate"] <= first["characters"]["high"]
        assert results["sessions"]["clips"] == results["clips"]["test"] and "said" in results["hotwords"]["with"]
        assert "a trial" in network.specification.card
        if name != "linear":
            assert last["characters"]["rate"] < 0.5
        else:
            assert last["characters"]["rate"] > 0.6
    with Model(network).stream(sample_rate=RATE) as stream:
        stream.push(np.zeros(RATE, np.float32))
