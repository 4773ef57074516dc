"""`ostinato evaluate` on models of frames and tokens: every count is foreseen, and every refusal names its cure."""

from __future__ import annotations

import json
import subprocess
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
from own_models import LABELS, echo, one_hot, random, write_csv

from ostinato.data import Utterance
from ostinato.errors import InputError
from ostinato.model import Network, Sequential, write
from ostinato.model.decoders import Ctc, Decoder, Labels, Outputs, SequenceClass
from ostinato.model.front_ends import Frames, FrontEnd, Tokens
from ostinato.model.layers import Dense, Gru, Softmax
from ostinato.pipeline.confidence import chance_of, mean_interval
from ostinato.streaming import Model
from ostinato_bench.answers import judge_of, judged, takes_data
from ostinato_bench.comparison import Wait
from ostinato_bench.recognition import Way
from ostinato_bench.scores import LabelScore, NumberScore, Sums

Run = Callable[..., subprocess.CompletedProcess[str]]


def way(network: Network, wait: Wait | None = None) -> Way:
    return Way(network.specification.name, Model(network), wait)


def refuse(path: Path, error: Exception) -> None:
    raise error


def score_of(network: Network, *paths: Path) -> LabelScore | NumberScore:
    (found,) = judged([way(network)], paths, refuse)
    assert isinstance(found.score, LabelScore | NumberScore)
    return found.score


def test_labels_of_frames_are_counted_by_utterance_and_pair(tmp_path: Path) -> None:
    write_csv(tmp_path / "a.csv", [0, 0, 1, 2, 2], [0, 1, 1, 2, None])
    write_csv(tmp_path / "b.csv", [0, 1], [0, 1])
    found = score_of(echo("echo", Labels(LABELS)), tmp_path / "a.csv", tmp_path / "b.csv")
    assert isinstance(found, LabelScore) and found.unit == "frame"
    assert (found.utterances, found.count, found.wrong) == (2, 6, 1), "what has no label does not count"
    assert [(each.symbols, each.total) for each in found.errors] == [(4, 1), (2, 0)]
    assert found.confusions() == [(1, 0, 1)]
    assert found.of_label(0) == {
        "label": "low", "right": 2, "given": 3, "recall": 1.0, "precision": 0.6667, "f1": 0.8
    }  # fmt: skip
    assert found.as_dict()["accuracy"] == round(5 / 6, 4) and found.right_interval is not None


def test_labels_may_be_indices_names_or_one_for_all_frames(tmp_path: Path) -> None:
    frames = one_hot([0, 1, 1, 2])
    for labels in ([0, 1, 1, 2], ["low", "mid", "mid", "high"], ["0", "1", "1", "2"]):
        np.savez(tmp_path / "a.npz", frames=frames, labels=labels)
        assert score_of(echo("echo", Labels(LABELS)), tmp_path / "a.npz").error == 0
    np.savez(tmp_path / "a.npz", frames=frames, labels="mid")
    assert score_of(echo("echo", Labels(LABELS)), tmp_path / "a.npz").error == 0.5
    numbered = echo("numbered", Labels(("2", "1", "0")))
    np.savez(tmp_path / "a.npz", frames=one_hot([0, 2]), labels=["2", "0"])
    assert score_of(numbered, tmp_path / "a.npz").error == 0, "where a label is called by a number, texts are names"


def test_a_class_is_one_for_the_sequence(tmp_path: Path) -> None:
    mean = echo("mean", SequenceClass(LABELS, "mean"))
    np.savez(tmp_path / "a.npz", frames=np.stack([one_hot([0, 0, 2]), one_hot([1, 2, 1])]), labels=["low", "high"])
    found = score_of(mean, tmp_path / "a.npz")
    assert isinstance(found, LabelScore) and (found.count, found.wrong, found.unit) == (2, 1, "sequence")
    assert found.confusions() == [(2, 1, 1)]
    write_csv(tmp_path / "b.csv", [0, 0, 1], [None, 0, 0])
    assert score_of(mean, tmp_path / "b.csv").error == 0
    write_csv(tmp_path / "b.csv", [0, 0, 1], [1, 0, 0])
    with pytest.raises(InputError, match=r"b.csv has 2 labels, 'low' and 'mid' among them, and mean gives one"):
        score_of(mean, tmp_path / "b.csv")


def test_numbers_have_errors_and_correlations(tmp_path: Path) -> None:
    write_csv(tmp_path / "a.csv", [0, 1, 2, 0], [None] * 4)
    write_csv(tmp_path / "b.csv", [1, 1], [None] * 2)
    found = score_of(echo("numbers", Outputs()), tmp_path / "a.csv", tmp_path / "b.csv")
    assert isinstance(found, NumberScore)
    assert (found.error, found.absolute, found.count) == (0.5, 0.5, 6), "every second row is one too high"
    frames = np.concatenate([one_hot([0, 1, 2, 0]), one_hot([1, 1])])
    targets = frames + np.array([0, 1, 0, 1, 0, 1])[:, None]
    for i, each in enumerate(found.outputs):
        assert each["correlation"] == pytest.approx(np.corrcoef(frames[:, i], targets[:, i])[0, 1])
    assert found.interval == pytest.approx((0.5, 0.5)), "both utterances are alike"
    np.savez(tmp_path / "c.npz", frames=one_hot([0, 1]), targets=[[1, 0, np.nan], [np.nan, 3, np.nan]])
    some = score_of(echo("numbers", Outputs()), tmp_path / "c.npz")
    assert isinstance(some, NumberScore) and some.error == pytest.approx(4 / 3) and some.outputs[2]["mse"] == 0
    assert some.correlation is None and some.interval is None


def test_tokens_have_labels_after_a_tab(tmp_path: Path) -> None:
    letters = Tokens(("a", "b", "c"))
    (tmp_path / "b.txt").write_text("abc\tlow mid low\ncc\thigh high\n")
    tagged = score_of(echo("tags", Labels(LABELS), letters), tmp_path / "b.txt")
    assert isinstance(tagged, LabelScore) and (tagged.unit, tagged.count, tagged.wrong) == ("token", 5, 1)
    (tmp_path / "c.txt").write_text("abc\thigh\nba\tmid\n")
    whole = score_of(echo("class", SequenceClass(LABELS), letters), tmp_path / "c.txt")
    assert isinstance(whole, LabelScore) and (whole.count, whole.wrong) == (2, 1), "the last token decides"
    words = Tokens(("low", "mid", "?"), unit="word", unknown=2)
    (tmp_path / "d.txt").write_text("low mid what\tlow mid high\n")
    assert score_of(echo("w", Labels(LABELS), words), tmp_path / "d.txt").error == 0


def test_a_model_of_fewer_frames_is_judged_where_its_frames_end(tmp_path: Path) -> None:
    """Of two frames stacked the second one's label counts."""
    network = echo("every-second", Labels(LABELS), stack=2)
    np.savez(tmp_path / "a.npz", frames=one_hot([0, 1, 0, 2, 0, 1]), labels=[2, 1, 2, 2, 0, 0])
    found = score_of(network, tmp_path / "a.npz")
    assert isinstance(found, LabelScore) and (found.count, found.wrong) == (3, 1)


def test_uni_and_bi_and_blocks_answer_the_same_utterances(tmp_path: Path) -> None:
    rng = np.random.default_rng(0)
    for name in "abc":
        np.savez(tmp_path / f"{name}.npz", frames=rng.normal(size=(30, 3)), labels=rng.integers(0, 3, 30))
    uni, bi = random("uni"), random("bi", "bidirectional")
    ways = [way(uni), way(bi, Wait(100, 60)), way(bi)]
    told: list[str] = []
    (tmp_path / "d.npz").write_bytes(b"junk")
    found = judged(ways, sorted(tmp_path.iterdir()), lambda path, error: told.append(path.name))
    assert told == ["d.npz"] and [each.names for each in found] == [("a.npz", "b.npz", "c.npz")] * 3
    assert len({tuple(each.score.errors) for each in found if isinstance(each.score, LabelScore)}) == 3
    assert all(each.score.count == 90 for each in found)


REFUSED: list[tuple[Decoder, FrontEnd, Utterance, str]] = [
    (Labels(LABELS), Frames(3), Utterance("a", one_hot([0])), "a, frame 0 has no label: add a column"),
    (
        Labels(LABELS), Frames(3), Utterance("a.csv", one_hot([0, 1]), np.array(["low", "hihg"]), row=2),
        "a.csv, row 3: label 'hihg' is none of echo's 3: low, mid, high; did you mean 'high'?",
    ),
    (Labels(LABELS), Frames(3), Utterance("a", one_hot([0]), np.array([3])), "label 3 is none of echo's 3"),
    (Labels(LABELS), Frames(3), Utterance("a", one_hot([0]), None, one_hot([0])), "no label, only targets"),
    (Outputs(), Frames(3), Utterance("a", one_hot([0]), np.array([0])), "has no targets, only labels"),
    (Outputs(), Frames(3), Utterance("a", one_hot([0]), None, one_hot([0])[:, :2]), "has 2 targets, echo gives 3"),
    (Labels(LABELS), Frames(3), Utterance("a", "text", np.array("low")), "a holds text, echo takes frames"),
    (Labels(LABELS), Frames(3), Utterance("a", one_hot([0])[:, :2], np.array([0])), "has 2 values in a frame"),
    (
        Labels(LABELS), Frames(3, 20.0), Utterance("a", one_hot([0]), np.array([0]), None, 25.0),
        "a frame every 25 ms, echo was made for one every 20 ms: resample it",
    ),
    (
        Labels(LABELS), Tokens(("a", "b", "c")), Utterance("a.txt", "abc", np.array("low mid"), row=7),
        "a.txt, row 7 has 2 labels for 3 tokens",
    ),
]  # fmt: skip


@pytest.mark.parametrize(("decoder", "front_end", "utterance", "says"), REFUSED, ids=[says for *_, says in REFUSED])
def test_data_that_do_not_fit_are_refused_with_place_and_cure(
    monkeypatch: pytest.MonkeyPatch, decoder: Decoder, front_end: FrontEnd, utterance: Utterance, says: str
) -> None:
    monkeypatch.setattr("ostinato_bench.answers.read", lambda path: [utterance])
    with pytest.raises(InputError) as error:
        score_of(echo("echo", decoder, front_end), Path("any"))
    assert says in str(error.value)


def test_which_models_are_judged_by_data() -> None:
    spoken = Network.random(Sequential("spoken", Frames(3), [Gru(2), Dense(2), Softmax()], Ctc(("", "a"))))
    assert not takes_data(Model(spoken)) and takes_data(Model(random("uni")))
    assert judge_of(way(random("uni"))).names == LABELS


def test_the_interval_of_a_mean_is_students_and_chance_is_of_utterances() -> None:
    sums, counts = [3.0, 5.0, 4.0, 8.0], [1, 1, 1, 1]
    low, high = mean_interval(sums, counts) or (0, 0)
    reach = 3.182446 * np.std(sums, ddof=1) / 2
    assert (low, high) == pytest.approx((5 - reach, 5 + reach))
    assert mean_interval([1.0], [5]) is None and mean_interval([], []) is None
    assert chance_of([0.1] * 5) == 2 / 2**5 and chance_of([0.0]) == 1 and chance_of([0.1, -0.1, 0.3]) == 1 / 2 + 1 / 4


def test_an_error_that_is_a_little_greater_is_worse_only_beyond_chance() -> None:
    def score(*errors: float) -> NumberScore:
        return NumberScore("frame", tuple(Sums.of(np.full((9, 1), e), np.zeros((9, 1))) for e in errors))

    same = score(*[1.0] * 12)
    assert not same.worse_than(same) and score(*[1.1] * 12).worse_than(same)
    assert not score(1.001, 0.9999, 1.001, 1.0).worse_than(score(*[1.0] * 4)), "half a per cent may be anything"
    assert score(*[1.0005] * 12).worse_than(same), "small, but each time"


def test_the_command_shows_tables_json_and_which_is_better(ostinato: Run, tmp_path: Path) -> None:
    data = tmp_path / "data"
    data.mkdir()
    for number in range(6):
        write_csv(data / f"{number}.csv", [0, 1, 2, 0, 0, 1], [0, 1, 2, 0, 0, number % 2])
    (data / "bad.csv").write_text("a,b,c,label\n1,0,0,low\n1,0,x,low\n")
    write(tmp_path / "echo.safetensors", echo("echo", Labels(LABELS)))
    write(tmp_path / "bi.safetensors", random("bi", "bidirectional"))
    write(tmp_path / "numbers.safetensors", echo("numbers", Outputs()))
    figures = tmp_path / "figures.json"
    models = ("--models", tmp_path, "--data", data, "--json", figures)
    done = ostinato("evaluate", "echo", "bi", *models, "--block-ms", "40")
    assert done.returncode == 1 and "bad.csv: row 3, column 'c': 'x' is no number" in done.stderr, done.stderr
    found = json.loads(figures.read_text())
    assert [(one["name"], one["block_ms"]) for one in found["models"]] == [("echo", None), ("bi", 40), ("bi", None)]
    assert found["models"][0]["wrong"] == 3 and found["models"][0]["confusions"][0]["right"] == "low"
    assert found["closing"].startswith("echo has 3 of 36 frames wrong in 6 utterances.")
    assert found["closing"] in done.stdout and "permutation test" in done.stdout
    assert "recall" in done.stdout and "F1" in done.stdout and "91.7 %" in done.stdout
    assert [one["file"] for one in found["left_out"]] == ["bad.csv"]
    numbers = ostinato("evaluate", "numbers", "--models", tmp_path, "--data", data / "0.csv")
    assert numbers.returncode == 0, numbers.stderr
    assert "mean squared error" in numbers.stdout and "One utterance cannot tell" in numbers.stdout
    mixed = ostinato("evaluate", "echo", "digits-uni", "--models", tmp_path, "--data", data)
    assert mixed.returncode == 1 and "cannot be compared" in mixed.stderr
