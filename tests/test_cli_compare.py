"""`ostinato compare` as a process, and its measuring against a server."""

from __future__ import annotations

import json
import shutil
import subprocess
import time
from collections.abc import Callable
from pathlib import Path
from types import SimpleNamespace

import numpy as np
import pytest
import typer
from engine_models import SPECIFICATIONS
from random_models import network

from ostinato.cli.compare import named, recording
from ostinato.cli.files import RECORDINGS, bundled_recording, read_audio
from ostinato.cli.recordings import LeftOut, transcribed
from ostinato.data.recordings import transcript_beside
from ostinato.errors import ConnectionLostError, InputError, UnknownModelError
from ostinato.model import Network, Sequential
from ostinato.model.decoders import Labels
from ostinato.model.front_ends import LogMel
from ostinato.model.layers import Convolution, Dense, Gru, Softmax
from ostinato.pipeline.score import edit_distance
from ostinato.server import Server, spawn_server
from ostinato.streaming import Delay, Model, load
from ostinato_bench.compare import measure, utterance_s
from ostinato_bench.comparison import Recording, Wait
from ostinato_bench.recognition import Spoken
from ostinato_bench.tradeoff import errors_by_delay
from ostinato_bench.word_times import Word
from ostinato_client import Client

Run = Callable[..., subprocess.CompletedProcess[str]]


def test_the_bundled_pair_on_the_bundled_recording(ostinato: Run, tmp_path: Path) -> None:
    figures, picture = tmp_path / "compare.json", tmp_path / "compare.png"
    done = ostinato("compare", "--json", figures, "--plot", picture)
    assert done.returncode == 0, done.stderr
    assert "digits-uni" in done.stdout and "from a word's end to shown, median" in done.stdout
    assert "given in phone-number.words.tsv" in done.stdout and "from 510 ms on" in done.stdout
    assert picture.read_bytes().startswith(b"\x89PNG")
    found = json.loads(figures.read_text())
    length = 1e3 * found["audio"]["seconds"]
    assert found["audio"]["transcript"] == transcript_beside(bundled_recording())
    uni, blocks, bi = found["models"]
    assert (uni["name"], uni["direction"], uni["delay_ms"]) == ("digits-uni", "unidirectional", 0)
    assert (blocks["name"], blocks["direction"], blocks["delay_ms"]) == ("digits-bi", "bidirectional", 390)
    assert (blocks["block_ms"], blocks["lookahead_ms"], uni["block_ms"], bi["lookahead_ms"]) == (120, 300, None, None)
    assert (bi["name"], bi["direction"], bi["delay_ms"]) == ("digits-bi", "bidirectional", None)
    # What the comparison is about: two answer while the third still waits for the end.
    assert max(uni["first_result_ms"], blocks["first_result_ms"]) < length < bi["first_result_ms"]
    assert max(uni["latency_ms"]["p50"], blocks["latency_ms"]["p50"]) < bi["latency_ms"]["p50"]
    # From the same ends of words: what one counts from is what another counts from.
    ends = [word["end_at_ms"] for word in found["audio"]["words"]]
    assert found["audio"]["name"] == "phone-number.wav" and len(ends) == 7
    for one in (uni, blocks, bi):
        for word in one["words"]:
            assert word["end_at_ms"] in (*ends, None)
            if word["end_at_ms"] is not None:
                assert word["latency_ms"] == pytest.approx(word["shown_at_ms"] - word["end_at_ms"], abs=0.02)
        last = next(word for word in reversed(one["words"]) if word["end_at_ms"] == ends[-1])
        assert one["latency_ms"]["p50"] == pytest.approx(
            sorted(word["latency_ms"] for word in one["words"] if word["latency_ms"] is not None)[
                (one["counted_words"] - 1) // 2
            ],
            abs=0.02,
        )
        assert last["shown_at_ms"] > ends[-1] - 600
    # The bidirectional model decides far inside of the words, in blocks too: that is not when they are shown.
    assert max(blocks["decided_ms"]["p50"], bi["decided_ms"]["p50"]) < uni["decided_ms"]["p50"] < 0
    for one in (uni, blocks, bi):
        assert one["error_rate"] <= 0.3 and one["text"]
        assert 0 < one["real_time_factor"] < 1 and one["state_bytes"] > 0 and one["final_ms"] > 0
        assert one["latency_ms"]["p50"] <= one["latency_ms"]["p90"] <= one["latency_ms"]["p99"]
    assert [(row["name"], row["block_ms"], row["seconds"]) for row in found["by_length"]] == [
        (*way, seconds)
        for way in (("digits-uni", None), ("digits-bi", 120), ("digits-bi", None))
        for seconds in (1, 2, 5, 10, 30)
    ]
    first, *curve, last = found["error_by_delay"]
    assert (first["name"], first["delay_ms"], last["name"], last["delay_ms"]) == ("digits-uni", 0, "digits-bi", None)
    delays = [row["delay_ms"] for row in curve]
    assert delays == sorted(delays) and 390 in delays and {row["block_ms"] for row in curve} == {120}
    assert {row["symbols"] for row in found["error_by_delay"]} == {12}
    # It pays to look ahead, up to what the whole utterance gives.
    assert curve[0]["error_rate"] > curve[-1]["error_rate"] and last["error_rate"] <= first["error_rate"]
    assert found["machine"]["cores"] and found["machine"]["processor"]


def test_errors_against_delay_are_those_of_streams_with_that_delay() -> None:
    models = [
        ("uni", load("digits-uni")),
        ("bi", load("digits-bi")),
        ("deaf", Model(network(SPECIFICATIONS["audio"]))),
    ]
    recordings = [
        Spoken(path, text, read_audio) for path, text in transcribed(RECORDINGS, LeftOut(RECORDINGS)).items()
    ]
    bad: dict[Path, Exception] = {}
    missing = Spoken(RECORDINGS / "no such.wav", "one", read_audio)
    rows = errors_by_delay(models, [missing, *recordings], 90.0, [240.0, 0.0, 240.0], bad.setdefault)
    assert list(bad) == [missing.path]
    assert errors_by_delay(models, [missing], 90.0, [0.0], bad.setdefault) == ()
    assert [(row.name, row.delay_ms) for row in rows] == [("uni", 0.0), ("bi", 60.0), ("bi", 300.0), ("bi", None)]
    for row in rows:
        errors = 0
        options = {"block_ms": row.wait.block_ms, "lookahead_ms": row.wait.lookahead_ms} if row.wait else {}
        for spoken in recordings:
            samples, rate = read_audio(spoken.path)
            with dict(models)[row.name].stream(sample_rate=rate, **options) as stream:
                events = stream.push(samples) + stream.flush()
            errors += edit_distance(spoken.transcript.split(), [event.text for event in events])
        assert (row.errors.total, row.errors.symbols, len(row.by_recording)) == (errors, 12, 2)


def test_waits_and_recordings_are_chosen_on_the_command_line(ostinato: Run, tmp_path: Path) -> None:
    figures, data = tmp_path / "compare.json", tmp_path / "recordings"
    data.mkdir()
    shutil.copy(RECORDINGS / "two-nine-three-four-zero.wav", data)
    (data / "two-nine-three-four-zero.txt").write_text("29, Three-Four; 0!")  # as people write
    (data / "broken.wav").write_bytes(b"RIFF")
    (data / "broken.txt").write_text("One banana")
    wait = ("--block-ms", "300", "--lookahead-ms", "300", "--sweep-ms", "0,600", "--data", data)
    done = ostinato("compare", "digits-bi", "--json", figures, *wait)
    assert done.returncode == 1 and "left out: 1 of 2 files" in done.stderr, done.stderr  # and the rest is done
    found = json.loads(figures.read_text())
    assert [(one["block_ms"], one["delay_ms"]) for one in found["models"]] == [(300, 570), (None, None)]
    assert [row["lookahead_ms"] for row in found["error_by_delay"]] == [0, 300, 600, None]
    assert {(row["symbols"], row["recordings"]) for row in found["error_by_delay"]} == {(5, 1)}
    assert "5 words in 1 recording" in done.stdout
    assert found["unknown_words"] == {"banana": {"recordings": ["broken.wav"], "models": ["digits-bi"]}}
    assert "'banana' in broken.wav is no word that digits-bi can say" in done.stderr
    assert {one["error_rate"] for one in found["models"]} == {0} and found["left_out"][0]["file"] == "broken.wav"
    assert found["audio"]["name"] == "two-nine-three-four-zero.wav"  # one of theirs, not the bundled telephone number
    # Without times of its own: one alignment for both ways of the model, and told.
    assert found["audio"]["words_from"].startswith("the words of the transcript, aligned: where digits-bi decided")
    assert found["audio"]["words_from"] in done.stdout
    given = [415, 660, 885, 1155, 1610]
    assert [word["end_at_ms"] for word in found["audio"]["words"]] == pytest.approx(given, abs=60)


def test_a_recording_of_the_folder_is_called_by_any_part_of_its_name(tmp_path: Path) -> None:
    paths = [tmp_path / name for name in ("a/one.wav", "a/three.wav", "a/two.wav", "b/one.wav")]
    for show, name in (("two", "a/two.wav"), ("three.wav", "a/three.wav"), ("b/one.wav", "b/one.wav")):
        assert named(show, paths, tmp_path) == tmp_path / name
    for show, says in (("one", "2 of the recordings are called 'one'"), ("tow", "there is a/two.wav")):
        with pytest.raises(typer.BadParameter, match=says):
            named(show, paths, tmp_path)


def test_a_recording_has_the_words_that_are_given_with_it(tmp_path: Path) -> None:
    path = tmp_path / "a.wav"
    shutil.copy(bundled_recording(), path)
    assert (recording(path, None).transcript, recording(path, None).words) == (None, None)
    path.with_suffix(".words.tsv").write_text("0.4\t1\tfive\n")
    assert recording(path, None).transcript == "five" and recording(path, None).words == (Word("five", 400, 1000),)
    with pytest.raises(InputError, match="other words than the transcript"):
        recording(path, "five five")


@pytest.mark.parametrize(
    ("options", "says"),
    [
        (("--sweep-ms", "0,x"), "--sweep-ms"),
        (("--sweep-ms", "-5"), "--sweep-ms"),
        (("--block-ms", "0"), "--block-ms"),
        (("--show", "a.wav"), "--data"),
        (("--connect", "tcp://127.0.0.1:1", "--sweep-ms", "5"), "leave --connect"),
    ],
)
def test_waits_that_make_no_sense_are_wrong_usage(ostinato: Run, options: tuple[str, ...], says: str) -> None:
    done = ostinato("compare", *options)
    assert done.returncode == 2 and says in done.stderr


def test_what_is_measured_is_what_the_client_gets() -> None:
    samples, rate = read_audio(bundled_recording())
    samples = samples[: 2 * rate]
    with spawn_server(["digits-uni", "digits-bi"]) as server:
        short = Recording("short.wav", samples, rate)
        found = measure(server.endpoint, ["digits-uni", "digits-bi"], short, lengths_s=(0.5,))
        with Client(server.endpoint) as client:
            for run in found.models:
                with client.open(run.name, sample_rate=rate) as stream:
                    stream.push(samples)
                    events = [event for result in stream.flush() for event in result.events]
                assert [event.text for event in events] == [shown.text for shown in run.shown]
                assert [event.time_ms for event in events] == [shown.decided_at_ms for shown in run.shown]
        assert all(shown.shown_at_ms > shown.decided_at_ms for run in found.models for shown in run.shown)
        # Nobody has said what is said: the words are those that the model recognised which heard all of it.
        assert found.words_from.startswith("the words that digits-bi recognised, aligned")
        ends = [word.end_ms for word in found.words]
        assert len(ends) == 2 and ends == pytest.approx([1060, 1829], abs=30)
        for run in found.models:
            assert [shown.end_at_ms for shown in run.shown] == ends
        assert all(run.error_rate is None for run in found.models)
        assert [row.seconds for row in found.by_length] == [0.5, 0.5]
        with pytest.raises(UnknownModelError):
            measure(server.endpoint, ["no-such-model"], short)
        endpoint = server.endpoint
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr("ostinato_bench.compare.TIMEOUT_S", 1.0)
        with pytest.raises(ConnectionLostError):
            measure(endpoint, ["digits-uni"], Recording("silence", np.zeros(100, np.float32), rate))


def test_recordings_may_be_longer_than_a_stream_takes_by_itself(monkeypatch: pytest.MonkeyPatch) -> None:
    samples, rate = read_audio(bundled_recording())
    long = Recording("long.wav", np.tile(samples, 10)[: 61 * rate], rate)
    hurried = SimpleNamespace(monotonic=time.monotonic, sleep=lambda seconds: None)
    monkeypatch.setattr("ostinato_bench.compare.time", hurried)
    with spawn_server(["digits-bi"]) as server, pytest.raises(InputError, match="over this server's bound of 60"):
        measure(server.endpoint, ["digits-bi"], long, lengths_s=(0.5,))
    with spawn_server(["digits-bi"], max_utterance_s=utterance_s(long.seconds)) as server:
        found = measure(server.endpoint, ["digits-bi"], long, lengths_s=(0.5,))
    assert len(found.models[0].shown) > 50 and len(found.words) == len(found.models[0].shown)


def test_blocks_that_are_no_whole_frames_are_rounded_up_and_told() -> None:
    """Frames of 20 ms, above a stride: in a stream, over the wire and in the figures."""
    layers = [Convolution(4, 3, 2), Gru(3, "bidirectional"), Dense(2), Softmax()]
    model = Model(Network.random(Sequential("half", LogMel(mels=9), layers, Labels(("", "a"))), 1))
    with model.stream(block_ms=90, lookahead_ms=50) as stream:
        told = stream.delay
    assert told == model.stream(block_ms=100, lookahead_ms=60).delay == Delay(5 + 3 - 1, 140.0)
    with Server({"half": model}) as server, Client(server.endpoint) as client:
        with client.open("half", block_ms=90, lookahead_ms=50) as opened:
            assert (opened.head.delay_frames, opened.delay_ms) == (told.frames, told.ms)
        samples = np.zeros(8000, np.float32)
        blocks, whole = measure(
            server.endpoint, ["half"], Recording("quiet", samples, 16000), lengths_s=(), wait=Wait(90, 50)
        ).models
    assert (blocks.wait, blocks.delay_ms, whole.delay_ms) == (Wait(100, 60), 140, None)
