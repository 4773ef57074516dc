"""The digits recipe: what it learns from, and the whole of it in small."""

from __future__ import annotations

import dataclasses
import io
import json
import tarfile
from collections import Counter
from collections.abc import Mapping
from pathlib import Path

import numpy as np
import pytest
from recipe_sounds import tone
from test_import_circles import imports, modules

import ostinato
from ostinato.errors import InputError, TrainingError
from ostinato.packages import tars
from ostinato.pipeline import front_end
from ostinato.training import transcribing
from ostinato.training.losses import CtcLoss
from ostinato.training.network import TrainableNetwork
from ostinato.training.recipes import RECIPES, Options, spectrogram
from ostinato.training.recipes.digits import (
    augment,
    clips,
    compose,
    conditions,
    espeak,
    kokoro,
    learn,
    real,
    sentences,
    voice,
    voices,
    words,
)
from ostinato.training.recipes.digits import recipe as digits
from ostinato.training.recipes.recipe import Telling

# --- utterances


def speaker(name: str = "kokoro-test") -> compose.Speaker:
    def clip(said: tuple[int, ...], hz: float) -> clips.Clip:
        return clips.Clip(tone(0.3 * len(said), hz), said)

    return compose.Speaker(
        name,
        [clip((d,), 150 + 30 * d) for d in range(10)],
        [clip((1, 2, 3), 200), clip((0, 0), 300)],
        [clip((words.OTHER,), 400)],
        [clip((words.OTHER, 5), 350)],
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
    said = [[word for clip in compose.say(speaker(), rng) for word in clip.said] for _ in range(300)]
    counts = Counter(len(words_) - words_.count(words.OTHER) for words_ in said)
    assert counts[0] > 10
    assert counts[1] > 10
    assert max(counts) >= 5
    assert sum(words.OTHER in words_ for words_ in said) > 30
    one = [clips.Clip(np.ones(8000, np.float32), (1,))]
    ends = [np.flatnonzero(compose.join(one, rng))[-1] - len(compose.join(one, rng)) for _ in range(60)]
    assert max(ends) > -1000


def test_clips_and_examples_survive_their_files(tmp_path: Path) -> None:
    made = [clips.Clip(tone(0.2), (4, 0)), clips.Clip(tone(0.1), (words.OTHER, 3)), clips.Clip(tone(0.1), ())]
    clips.save(tmp_path / "v.npz", made)
    for wanted, got in zip(made, clips.load(tmp_path / "v.npz"), strict=True):
        assert wanted.said == got.said
        np.testing.assert_allclose(wanted.samples, got.samples, atol=1e-4)
    example = compose.example(speaker(), [speaker()], np.random.default_rng(1))
    compose.save(tmp_path / "e.npz", [example, example])
    for got in compose.load(tmp_path / "e.npz"):
        assert got.said == example.said
        np.testing.assert_allclose(got.features.astype(np.float32), example.features, atol=0.01)


def test_sentences_ask_for_every_digit_alone_then_strings_then_other_words() -> None:
    asked = list(sentences.sentences(np.random.default_rng(0)))
    assert [d for _, d in asked[:10]] == [(d,) for d in range(10)]
    for spoken, said in asked:
        assert words.digits_of(" ".join(spoken)) == [word for word in said if word != words.OTHER]
        assert len(spoken) == len(said)
    assert not {words.OH, *words.DIGITS} & {*words.FILLERS, *words.NEAR}
    assert [words.OTHER in said for _, said in asked] == [False] * 18 + [True] * 18
    assert all(len(spelling.split()) == 10 for spelling in words.SPELLINGS.values())


# --- voices


def test_nobody_who_is_kept_apart_is_learnt_from_under_another_name() -> None:
    made = voices.all_voices(voices.SYNTHESISERS, 1)
    assert len({each.name for each in made}) == len(made)
    parts = Counter(each.part for each in made)
    assert min(parts["testing"], parts["choosing"]) > 0.05 * len(made) and parts["learning"] > 0.7 * len(made)
    heart = [each for each in made if each.speaker == "heart"]
    assert {each.synthesiser for each in heart} == {"hibari", "kokorojs"} and len({each.part for each in heart}) == 1
    changed = [each for each in made if each.settings.get("change") is not None]
    learnt = {each.speaker for each in made if each.part == "learning"}
    assert len(changed) == espeak.CHANGED and {each.speaker for each in changed} <= learnt


def test_a_synthesisers_voices_are_its_own_group_and_more_of_them_change_none() -> None:
    names = [each.name for each in voices.SYNTHESISERS]
    assert compose.SHARES.keys() == set(names) and sum(compose.SHARES.values()) == pytest.approx(1)
    for each in voices.all_voices(voices.SYNTHESISERS, 1):
        assert [name for name in names if each.name.startswith(f"{name}-")] == [each.synthesiser]


def test_a_changed_variant_is_another_speaker_whom_espeak_can_be() -> None:
    given = (
        "language variant\nname female5\npitch 160 228\nroughness 0\nformant 0 105 80 150\nformant 6 110\nvoicing 75"
    )
    one, again, other = (espeak.changed(given, np.random.default_rng(seed)).splitlines() for seed in (1, 1, 2))
    assert one == again and one != other
    for line in ("language variant", "name female5", "voicing 75"):
        assert line in one
    kinds = Counter(line.split()[0] for line in one)
    assert kinds["formant"] == 7 and kinds["pitch"] == kinds["roughness"] == kinds["flutter"] == 1
    assert not {"pitch 160 228", "formant 0 105 80 150"} & set(one)
    (pitch,) = (line.split()[1:] for line in one if line.startswith("pitch"))
    assert int(pitch[1]) / int(pitch[0]) == pytest.approx(228 / 160, rel=0.02), "higher or lower, and as lively"


def test_kokoros_speakers_are_read_from_the_package_as_npm_packs_it(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    kokoro._tables.cache_clear()
    (tmp_path / "work").mkdir()
    monkeypatch.chdir(tmp_path / "work")
    with pytest.raises(TrainingError, match="npm pack kokoro-js"):
        kokoro._tables()
    tables = {name: np.full((kokoro.STYLES, kokoro.STYLE), n, "<f4") for n, name in enumerate(kokoro.SPEAKERS)}
    pack_kokorojs(tmp_path / "kokoro-js-1.2.1.tgz", tables)
    for name, table in kokoro._tables().items():
        np.testing.assert_array_equal(table, tables[name])
    kokoro._tables.cache_clear()


def pack_kokorojs(path: Path, tables: Mapping[str, np.ndarray]) -> None:
    """The tables as npm packs them."""
    with tarfile.open(path, "w:gz") as package:
        for name, table in tables.items():
            member = tarfile.TarInfo(f"package/voices/{name}.bin")
            member.size = table.nbytes
            package.addfile(member, io.BytesIO(table.tobytes()))


def test_a_damaged_or_incomplete_package_of_speakers_is_named_with_the_cure(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    path = tmp_path / "kokoro-js-1.2.1.tgz"
    rng = np.random.default_rng(0)
    tables = {
        name: rng.normal(size=(kokoro.STYLES, kokoro.STYLE)).astype("<f4") if name == "af_heart" else table
        for name, table in dict.fromkeys(kokoro.SPEAKERS, np.zeros((kokoro.STYLES, kokoro.STYLE), "<f4")).items()
    }
    less = {name: table for name, table in tables.items() if name not in ("bm_fable", "zm_yunxi")}
    huge = np.zeros((100 * kokoro.STYLES, kokoro.STYLE), "<f4")
    wrong = {
        r"bm_fable\.bin is missing, and 1 more\. Remove": less,
        r"bm_fable\.bin has 1,024 bytes instead of 522,240": {**less, "bm_fable": np.zeros(256, "<f4")},
        r"bm_fable\.bin has 52,224,000 bytes": {**less, "bm_fable": huge},
        r"bm_fable\.bin has values that are not finite": {**tables, "bm_fable": np.full_like(huge[:510], np.nan)},
    }
    for message, packed in wrong.items():
        pack_kokorojs(path, packed)
        with pytest.raises(InputError, match=rf"kokoro-js-1\.2\.1\.tgz'.*{message}.*npm pack kokoro-js"):
            kokoro.style_tables(path)
    pack_kokorojs(path, tables)
    whole = path.read_bytes()
    for damaged in (whole[: len(whole) // 2], whole[:300_000] + b"?" * 99 + whole[300_099:], b"no archive", b""):
        path.write_bytes(damaged)
        with pytest.raises(InputError, match=r"kokoro-js-1\.2\.1\.tgz'.*npm pack kokoro-js"):
            kokoro.style_tables(path)
    path.write_bytes(whole)
    monkeypatch.setattr(tars, "MAX_BYTES", 1 << 20)
    with pytest.raises(InputError, match="unpacks to over 1,048,576 bytes"):
        kokoro.style_tables(path)


# --- learning


def test_labels_and_transcripts() -> None:
    assert words.labels([0, 9, words.OTHER]) == [1, 10, 11] and words.SYMBOLS[11] == words.SILENT
    assert words.transcript([0, 9]) == "zero nine"
    assert words.digits_of("Zero oh well nine") == [0, 0, 9]


def test_stacking_is_the_front_ends() -> None:
    samples = tone(0.7) + np.random.default_rng(0).normal(0, 0.01, int(0.7 * 16000)).astype(np.float32)
    settings_ = dataclasses.replace(compose.FRONT_END, normalise=False)
    served = front_end(settings_, {})
    state = served.start()
    frames = np.concatenate([served.step(state, samples), served.flush(state)])
    np.testing.assert_allclose(spectrogram.stack(compose.features(samples), learn.STACK), frames, atol=1e-5)


def test_warp_of_one_changes_nothing() -> None:
    np.testing.assert_allclose(spectrogram.warp_matrix(1.0, 40), np.eye(40), atol=1e-6)
    for factor in (0.85, 1.15):
        np.testing.assert_allclose(spectrogram.warp_matrix(factor, 40).sum(axis=0), 1, atol=1e-5)


def test_batches_repeat_by_epoch_and_hold_every_example_once() -> None:
    rng = np.random.default_rng(0)
    examples = [
        compose.Example(rng.normal(size=(int(n), 40)).astype(np.float32), (int(n) % 10,))
        for n in rng.integers(60, 300, 25)
    ]
    mean, scale = spectrogram.normalisation([e.features for e in examples])
    batches = learn.Batches(examples, mean, scale, 4, seed=1)
    first, again, later = list(batches(0)), list(batches(0)), list(batches(1))
    assert Counter(t[0] for b in first for t in b.targets) == Counter(e.digits[0] + 1 for e in examples)
    for one, other in zip(first, again, strict=True):
        np.testing.assert_array_equal(one.inputs, other.inputs)
    assert any(
        a.inputs.shape != b.inputs.shape or (a.inputs != b.inputs).any() for a, b in zip(first, later, strict=True)
    )


@pytest.mark.parametrize("direction", ["uni", "bi"])
def test_networks_are_of_about_equal_size_and_fit_their_loss(direction: str) -> None:
    network = TrainableNetwork(learn.specification(direction), np.float32, 1)
    assert 1_200_000 <= sum(w.size for w in network.parameters.values()) < 1_220_000
    assert network.left_to_loss == {"main": CtcLoss.link}
    found = transcribing.errors(network, [np.zeros((20, 120), np.float32)] * 3, [(1,), (2, 3), ()])
    assert found.symbols == 3 and found.total >= 0
    assert transcribing.errors(network, [np.zeros((20, 120), np.float32)], [(11, 1)]).symbols == 1, "11 is silent"


def test_blanks_and_other_words_get_the_lean_that_errs_least() -> None:
    network = TrainableNetwork(learn.specification("uni"), np.float32, 1)
    frames = [np.random.default_rng(n).normal(0, 1, (40, 120)).astype(np.float32) for n in range(6)]
    before = network.parameters["dense.b"].copy()
    network.parameters["dense.b"][0] += 6  # all is blank, which no lean can undo
    assert learn.lean(network, frames, [(1, 2)] * 6) == (0, 0), "none where none helps"
    network.parameters["dense.b"][:] = before
    heard = [transcribing.best_path(one) for one in transcribing.outputs(network, frames)]
    network.parameters["dense.b"][0] += 0.5
    said = [[k - 1 for k in one] for one in heard]
    blank, other = learn.lean(network, frames, said)
    assert blank == -0.5 and other == 0, "what was too likely is so no more"
    np.testing.assert_allclose(network.parameters["dense.b"], before, atol=1e-6)


def test_best_path_drops_repeats_and_blanks() -> None:
    path = [0, 3, 3, 0, 3, 1, 1, 0, 0, 10]
    assert transcribing.best_path(np.eye(11, dtype=np.float32)[path]) == [3, 3, 1, 10]


def test_training_without_a_synthesiser_says_how_to_get_one(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    none = tuple(dataclasses.replace(s, found=lambda: False) for s in voices.SYNTHESISERS)
    monkeypatch.setattr(voices, "SYNTHESISERS", none)
    with pytest.raises(TrainingError, match="apt-get install espeak-ng"):
        digits.train(digits.Options(output=tmp_path, data=tmp_path, runs=tmp_path), Telling())


def test_the_whole_recipe_in_small(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A stand-in for a synthesiser: tones for digits. Everything else is the recipe."""

    def speak(by: voice.Voice, said: list[str], rng: np.random.Generator) -> tuple[augment.Samples, int]:
        tones = [tone(0.15, 150 + 90 * words.DIGITS.index(w) if w in words.DIGITS else 60.0) for w in said]
        return np.concatenate(tones), 16000

    fake = voice.Synthesiser(
        "pico", "none", "", lambda: True, lambda rng: [voice.Voice("pico", f"pico-{n}") for n in (0, 1, 15)], speak
    )
    monkeypatch.setattr(voices, "SYNTHESISERS", (fake,))
    parts = [each.part for each in fake.voices(np.random.default_rng(0))]
    assert parts == ["learning", "learning", "testing"]
    for each, part in zip(fake.voices(np.random.default_rng(0)), parts, strict=True):
        clips.save(tmp_path / "voices" / part / f"{each.name}.npz", voices.speak(each, 1))
    seen: list[str] = []
    options = digits.Options(
        output=tmp_path,
        data=tmp_path,
        runs=tmp_path,
        only=("uni",),
        shards=2,
        examples_per_shard=8,
        steps=3,
        batch=4,
        workers=1,
    )
    compose._make_shard(tmp_path / "utterances" / "0000.npz", tmp_path / "voices" / "learning", 8, 1)
    compose._make_shard(tmp_path / "utterances" / "0001.npz", tmp_path / "voices" / "learning", 8, 1)
    monkeypatch.setattr(real, "recordings", lambda *_, **__: [])
    (tmp_path / "digits-old.safetensors").write_bytes(b"no model")
    left_out: list[str] = []
    (path,), interrupted = digits.train(
        options,
        Telling(lambda what, done, total: seen.append(what), left_out=lambda path, error: left_out.append(path.name)),
    )
    assert left_out == ["digits-old.safetensors"] and "digits-uni" in (tmp_path / "MODELS.md").read_text()
    assert not interrupted
    run = {each.name for each in (tmp_path / "digits-uni").iterdir()}
    *_, last = map(json.loads, (tmp_path / "digits-uni" / "log.jsonl").read_text().splitlines())
    assert list(last)[:3] == ["step", "loss", "together"] and last["together"] == last["synthetic"], (
        "nobody else chose"
    )
    assert run == {"config.toml", "log.jsonl", "curves.png", "checkpoint.safetensors", "results.json"}
    model = ostinato.load(path)
    card = model.network.specification.card
    assert card["training data"].startswith("8 utterances") and card["training data"].endswith("learning: 3.")
    assert "letting voices speak" in seen
    results = json.loads((tmp_path / "digits-uni" / "results.json").read_text(encoding="utf-8"))
    assert results["voices"] == ["pico-15"] and results["ways"].keys() == {"at once"}
    under = results["ways"]["at once"]
    assert under.keys() == {"people", *conditions.CONDITIONS} and under["people"]["wrong"] is None
    assert under["clean"]["digits"] >= 10 and under["clean"]["other_seconds"] > 1
    assert "clean " in card["accuracy"] and "synthetic voices that it has never heard" in card["accuracy"]
    held_out = [e for e in compose.load(tmp_path / "utterances" / "0000.npz")]
    spoken = sum(len(e.digits) for e in held_out)
    assert "on real voices: not tested." in card["accuracy"] and f"of {spoken} digits" in card["accuracy"]
    assert "Fair test voices" not in card["accuracy"]
    for person in real.VOICES:
        assert f"{person} (" in card["how it was tested"]
    assert "0.3 s of quiet" not in card["how it was tested"] and "not tested" in card["limits"]


def test_a_recipe_is_a_package_that_knows_no_other() -> None:
    """Each in a package of its name; what several need is beside them."""
    graph = imports(modules())
    homes = {name: f"ostinato.training.recipes.{name.replace('-', '_')}" for name in RECIPES}
    for name, recipe in RECIPES.items():
        assert recipe.name == name and recipe.train.__module__ == f"{homes[name]}.recipe"
        others = tuple(f"{home}." for other, home in homes.items() if other != name)
        for module in graph:
            if module.startswith(homes[name]):
                assert not {each for each in graph[module] if each.startswith(others)}, module


def test_only_models_that_a_recipe_has_can_be_chosen() -> None:
    assert Options().chosen(("uni", "bi")) == ("uni", "bi") and Options(only=("bi",)).chosen(("uni", "bi")) == ("bi",)
    with pytest.raises(TrainingError, match="no model 'by' in this recipe: it has uni, bi"):
        Options(only=("by",)).chosen(("uni", "bi"))


def test_what_is_held_out_is_not_learnt() -> None:
    with pytest.raises(TrainingError, match="held out"):
        digits.Options(shards=1)


def test_a_quick_run_is_small_named_so_and_apart_from_the_others(tmp_path: Path) -> None:
    quick, whole = digits.Options.of(quick=True, data=tmp_path, steps=7), digits.Options(data=tmp_path)
    assert quick.data.parent == whole.data and quick.steps == 7 and quick.quick
    assert quick.shards * quick.examples_per_shard < whole.shards * whole.examples_per_shard / 50
    assert digits.Options.of(quick=True).steps < whole.steps / 50


def test_a_damaged_part_of_the_training_set_is_named_with_the_cure(tmp_path: Path) -> None:
    path = tmp_path / "0000.npz"
    compose.save(path, [compose.Example(np.ones((5, 40), np.float16), (1, 2))])
    assert [e.digits for e in compose.load(path)] == [(1, 2)]
    whole = path.read_bytes()
    for raw in (whole[:100], b"", whole[:60] + bytes(40) + whole[100:]):
        path.write_bytes(raw)
        for load in (compose.load, clips.load):
            with pytest.raises(TrainingError, match=r"0000.npz is damaged .* delete it"):
                load(path)
