"""One's own model from one's own texts: with labels, as a language model, in pairs; and what is refused."""

from __future__ import annotations

import io
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from rich.console import Console

from ostinato import data
from ostinato.errors import InputError, OstinatoError
from ostinato.model import file
from ostinato.model.decoders import Generation, Labels, SequenceClass
from ostinato.model.front_ends import Tokens
from ostinato.training.own.run import Run, run

GOOD, BAD, PLAIN = ("fine", "lovely", "good"), ("poor", "awful", "bad"), ("a", "the", "film", "was", "it", "and")


def sentences(count: int, seed: int) -> list[tuple[str, str]]:
    """Words of no opinion, and one that has one."""
    random, found = np.random.default_rng(seed), []
    for _ in range(count):
        label, words = [("good", GOOD), ("bad", BAD)][random.integers(2)]
        text = [*random.choice(PLAIN, random.integers(1, 5)), random.choice(words)]
        found.append((" ".join(random.permutation(text)), label))
    return found


def write(folder: Path, lines: dict[str, list[str]], text: str, layers: str, learning: str = "") -> Path:
    for name, some in lines.items():
        (folder / name).write_text("".join(f"{line}\n" for line in some))
    names = {name.partition(".")[0]: f'["{name}"]' for name in lines}
    given = "\n".join(f"{part} = {name}" for part, name in names.items())
    config = folder / "own.toml"
    config.write_text(
        f'name = "own"\nlayers = {layers}\n[data]\n{given}\nheld_out = 0.2\n[text]\n{text}\n'
        f"[learning]\nbatch = 8\nrate = 1e-2\n{learning}\n"
    )
    return config


def learn(config: Path, folder: Path, resume: bool = False) -> Run:
    return run(config, folder, resume, Console(file=io.StringIO()))


def test_texts_with_labels(tmp_path: Path) -> None:
    """From a table, in words; words that were not learnt from are unknown."""
    rows = {
        "train.csv": ["text,label", *(f'"they say, {text}",{label}' for text, label in sentences(200, 1))],
        "test.csv": ["text,label", *(f"unheard {text},{label}" for text, label in sentences(20, 2))],
    }
    config = write(tmp_path, rows, 'unit = "word"\nembedding = 8', '[{kind = "gru", hidden = 8}]', "epochs = 20")
    made = learn(config, tmp_path / "run")
    model = file.read(made.path).specification
    assert model.heads[0].decoder == SequenceClass(("bad", "good"))
    assert isinstance(model.front_end, Tokens) and model.front_end.vocabulary[0] == "<unk>"
    assert "unheard" not in model.front_end.vocabulary
    assert made.history.evaluations[-1]["accuracy"] == 1.0
    assert "share of labels that is right 1 of 20." in made.card["accuracy"]
    assert "160 utterances" in made.card["training data"] and "a label for each text" in made.card["training data"]


def test_a_label_for_each_token(tmp_path: Path) -> None:
    def tagged(text: str) -> str:
        return f"{text}\t{' '.join('opinion' if word in GOOD + BAD else 'other' for word in text.split())}"

    rows = {part: [tagged(text) for text, _ in sentences(n, n)] for part, n in (("train.tsv", 150), ("test.tsv", 10))}
    text = 'unit = "word"\nanswers = "tags"\nembedding = 8'
    made = learn(write(tmp_path, rows, text, '[{kind = "gru", hidden = 8}]', "epochs = 20"), tmp_path / "run")
    assert file.read(made.path).specification.heads[0].decoder == Labels(("opinion", "other"))
    assert "share of labels that is right 1 of" in made.card["accuracy"]


def test_a_language_model(tmp_path: Path) -> None:
    """Characters; that the last token is "." is learnt, and how sure it is of held-out texts is told."""
    rows = {
        part: [f"{'ab' * (1 + n % 5)}." for n in range(count)] for part, count in (("train.txt", 60), ("test.txt", 9))
    }
    made = learn(
        write(tmp_path, rows, "embedding = 4", '[{kind = "gru", hidden = 12}]', "epochs = 20"), tmp_path / "run"
    )
    model = file.read(made.path).specification
    assert isinstance(model.heads[0].decoder, Generation)
    perplexity = float(made.card["accuracy"].partition("perplexity of a known token ")[2].split()[0])
    assert 1 < perplexity < 1.7


def test_pairs_of_texts(tmp_path: Path) -> None:
    """An encoder-decoder; resumed to the same bits."""
    random = np.random.default_rng(1)
    words = ["".join(random.choice(list("abcd"), random.integers(1, 5))) for _ in range(300)]
    rows = {"train.tsv": [f"{w}\t{w.upper()[::-1]}" for w in words], "test.tsv": ["abc\tCBA", "dd\tDD", "ba\tAB"]}
    text = 'answers = "text"\nembedding = 8\nwriter = 24\nkeys = 16\nlongest = 12'
    layers = '[{kind = "gru", hidden = 12, direction = "bidirectional"}]'
    config = write(tmp_path, rows, text, layers, "epochs = 16\nown_tokens = 0.1")
    made = learn(config, tmp_path / "run")
    assert "share of texts that are as given to the last token 1 of 3." in made.card["accuracy"]
    again = learn(config, tmp_path / "run", resume=True)
    assert again.path.read_bytes() == made.path.read_bytes()


@pytest.mark.parametrize(
    ("rows", "text", "complaint"),
    [
        ({"train.csv": ["text,label"]}, "", "no row below"),
        ({"train.txt": []}, "", "is empty"),
        ({"train.csv": ["text,label", "a,b", ",b"]}, "", "row 3 has no text"),
        ({"train.csv": ["text,label", "a,b", "a,b,c"]}, "", "row 3 has 3 cells, the first row 2"),
        ({"train.csv": ["text,label", 'a,"b']}, "", "row 2: .*a text in quotes ends"),
        ({"train.csv": ["text,mood", "a,b"]}, "", "column 'mood': beside text only label"),
        ({"train.tsv": ["a\tx", "b\ty", "c"]}, "", "row 3 has no answer after it"),
        ({"train.tsv": ["a\tx", "b\ty"]}, 'answers = "next"', r"row \d has an answer, and a language model has none"),
        ({"train.tsv": ["a\tx", "b\tx"]}, "", "nothing to tell apart"),
        ({"train.tsv": ["a b\tx", "a b\tx y"]}, 'unit = "word"\nanswers = "tags"', "has 1 labels for 2 tokens"),
        ({"train.tsv": ["a\tx", "b\ty"] * 4, "test.tsv": ["a\tz"]}, "", "test.tsv, row 1: label 'z' is none of x, y"),
        ({"train.tsv": ["a\tx", "b\ty"]}, "most = 0", "text.most = 0: 1 at least"),
        ({"train.tsv": ["a\tx", "b\ty"]}, 'unit = "syllable"', "unit"),
    ],
)
def test_what_cannot_be_learnt_is_refused(tmp_path: Path, rows: Any, text: str, complaint: str) -> None:
    config = write(tmp_path, rows, text, '[{kind = "gru", hidden = 4}]', "epochs = 1")
    with pytest.raises(OstinatoError, match=complaint):
        learn(config, tmp_path / "run")


def test_texts_and_frames_do_not_mix(tmp_path: Path) -> None:
    np.savez(tmp_path / "validation.npz", frames=np.zeros((5, 2)), labels=np.zeros(5, int))
    config = write(tmp_path, {"train.tsv": ["a\tx", "b\ty"]}, "", '[{kind = "gru", hidden = 4}]', "epochs = 1")
    config.write_text(config.read_text().replace("held_out", 'validation = ["validation.npz"]\nheld_out'))
    with pytest.raises(InputError, match="has frames, others text"):
        learn(config, tmp_path / "run")


def test_a_table_of_texts_is_read_where_texts_are(tmp_path: Path) -> None:
    """Quoted, with lines within; and a table of frames is one still."""
    (tmp_path / "t.csv").write_text('text;label\n"one; two\nthree";x\nfour;\n')
    one, other = data.read(tmp_path / "t.csv")
    assert one.input == "one; two\nthree" and str(one.labels) == "x" and one.row == 3
    assert other.input == "four" and other.labels is None
    (tmp_path / "f.csv").write_text("a,label\n1,x\n")
    assert np.shape(data.read(tmp_path / "f.csv")[0].input) == (1, 1)
