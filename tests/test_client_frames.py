"""Frames from files, arrays and pipes; and `ostinato listen` on them."""

from __future__ import annotations

import os
import subprocess
import threading
import time
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
from own_models import LABELS, echo, one_hot, write_csv

from ostinato.errors import InputError
from ostinato.model import Network, Sequential, write
from ostinato.model.decoders import Labels, Outputs
from ostinato.model.front_ends import Frames
from ostinato.model.layers import Convolution, Dense, Gru
from ostinato.server import Server
from ostinato.server.dialogue import describe
from ostinato.streaming import Model
from ostinato_client import Client, FramesSource

Run = Callable[..., subprocess.CompletedProcess[str]]


def test_a_file_gives_the_frames_of_all_its_utterances(tmp_path: Path) -> None:
    np.savez(tmp_path / "a.npz", frames=np.stack([one_hot([0, 1]), one_hot([2, 2])]), frame_ms=5.0)
    with FramesSource(tmp_path / "a.npz", realtime=False) as source:
        assert (source.size, source.frame_ms, source.seconds, source.sample_rate) == (3, 5.0, 0.02, None)
        (chunk,) = source
    assert chunk.dtype == np.float32 and np.array_equal(chunk, one_hot([0, 1, 2, 2]))
    with FramesSource(one_hot([0, 1, 2]), frame_ms=15.0, realtime=False) as source:
        assert [len(each) for each in source] == [1, 1, 1]


def test_frames_come_when_they_are_due_until_it_is_closed() -> None:
    with FramesSource(np.zeros((10, 1), np.float32), frame_ms=30.0) as source:
        start = time.monotonic()
        came = []
        for _ in source:
            came.append(time.monotonic() - start)
            if len(came) == 3:
                source.close()
    assert len(came) == 3 and all(at >= 0.03 * number for number, at in enumerate(came, 1))


def test_a_pipe_is_read_line_by_line(tmp_path: Path) -> None:
    os.mkfifo(tmp_path / "pipe")
    got: list[float] = []
    came = threading.Event()

    def listen() -> None:
        with FramesSource(tmp_path / "pipe", realtime=False) as source:
            assert source.seconds is None
            for chunk in source:
                got.append(float(chunk[0, 0]))
                came.set()

    thread = threading.Thread(target=listen)
    thread.start()
    with (tmp_path / "pipe").open("w") as pipe:
        pipe.write("x\n1\n")
        pipe.flush()
        assert came.wait(10) and got == [1], "before the pipe ends"
        pipe.write("2\n")
    thread.join(10)
    assert got == [1, 2]


def test_what_are_no_frames_is_named(tmp_path: Path) -> None:
    (tmp_path / "a.txt").write_text("text")
    np.savez(tmp_path / "b.npz", **{"frames.a": one_hot([0]), "frames.b": one_hot([0])[:, :2]})
    for name, says in (
        ("a.txt", "holds text, not frames"),
        ("b.npz", "has other frames than"),
        ("c.npy", "there is no file"),
        ("d.wav", "there is no file"),
    ):
        with pytest.raises(InputError, match=name.replace(".", r"\.")) as error:
            FramesSource(tmp_path / name)
        assert says in str(error.value)


def test_a_result_has_the_text_of_its_labels() -> None:
    with Server({"echo": Model(echo("echo", Labels(LABELS)))}) as server, Client(server.endpoint) as client:
        with client.open("echo") as stream:
            stream.push(one_hot([0, 2]))
            stream.push(one_hot([1]))
            results = stream.flush()
            assert [result.text for result in results if result.events] == ["low high", "mid"]
        with client.open("echo", decoder="outputs") as stream:
            stream.push(one_hot([0]))
            (result,) = [each for each in stream.flush() if each.events]
            assert result.text == "" and result.events[0].values is not None


def test_a_model_that_re_frames_says_what_frames_it_takes() -> None:
    """Not those that it makes of them."""
    info = describe("stacked", Model(echo("stacked", Outputs(), stack=2)))
    assert (info.frame_size, info.frame_ms) == (3, 40.0)


def test_listen_shows_labels_of_frames_from_files_pipes_and_servers(ostinato: Run, tmp_path: Path) -> None:
    write(tmp_path / "echo.safetensors", echo("echo", Labels(LABELS)))
    write_csv(tmp_path / "a.csv", [0, 0, 2, 1, 1], [None] * 5)
    shown = ["    0.02 s  low  100%", "    0.06 s  high  100%", "    0.08 s  mid  100%"]
    done = ostinato("listen", "echo", "--models", tmp_path, "--file", tmp_path / "a.csv", "--fast")
    assert done.returncode == 0 and done.stdout.splitlines() == shown, done.stderr
    assert "0.1 s read, 5 results" in done.stderr
    columns = [line.split(",")[1:4] for line in (tmp_path / "a.csv").read_text().splitlines()]
    table = "".join(",".join(line) + "\n" for line in columns)
    piped = ostinato("listen", "echo", "--models", tmp_path, "--file", "-", "--fast", stdin=None, input=table)
    assert piped.returncode == 0 and piped.stdout.splitlines() == shown, piped.stderr
    with Server({"echo": Model(echo("echo", Labels(LABELS)))}) as server:
        np.save(tmp_path / "a.npy", one_hot([0, 0, 2, 1, 1]))
        there = ostinato("listen", "echo", "--connect", server.endpoint, "--file", tmp_path / "a.npy", "--fast")
    assert there.returncode == 0 and there.stdout.splitlines() == shown, there.stderr


def test_listen_refuses_what_is_not_for_the_model_before_it_starts_a_server(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    from ostinato.cli import listen
    from ostinato.options import Options

    write(tmp_path / "echo.safetensors", echo("echo", Labels(LABELS)))
    np.savez(tmp_path / "slow.npz", frames=one_hot([0]), frame_ms=30.0)
    monkeypatch.setattr(listen, "serving", lambda *_: pytest.fail("a server is started"))
    wanted = listen.Wanted
    for each, says in (
        (wanted(), "which no microphone gives: --file FILE"),
        (wanted(text=True), "which no microphone gives: --file FILE"),
        (wanted(file=str(tmp_path / "a.wav")), "there is no file"),
        (wanted(file=str(tmp_path / "slow.npz")), "every 30 ms, echo was made for one every 20 ms"),
    ):
        with pytest.raises(InputError) as error:
            listen.listen("echo", each, None, tmp_path, None, False, Options())
        assert says in str(error.value)


def test_a_model_whose_first_layer_is_wider_than_its_frames_is_served(ostinato: Run, tmp_path: Path) -> None:
    """What looks ahead is made before the network, as a front end is: its frames are not those that come in."""
    layers = [Convolution(7, 3, 1, 1, 1, 1, 1), Gru(5), Dense(2)]
    network = Network.random(Sequential("ahead", Frames(3, frame_ms=10.0), layers, Outputs()))
    model = Model(network)
    assert model.front_end.frame_size != 3, "or this tests nothing"
    frames = np.random.default_rng(0).normal(size=(40, 3)).astype(np.float32)
    with model.stream() as alone:
        expected = [event.values for event in (*alone.push(frames), *alone.flush())]
    server = Server({"ahead": model}, "tcp://127.0.0.1:*")
    with server, Client(server.endpoint) as client, client.open("ahead", dtype="float32") as stream:
        stream.push(frames[:7])
        stream.push(frames[7:])
        found = [event.values for result in stream.flush() for event in result.events]
        assert found and np.array_equal(found, expected[-len(found) :])
    write(tmp_path / "ahead.safetensors", network)
    np.save(tmp_path / "frames.npy", frames)
    done = ostinato("listen", "ahead.safetensors", "--file", "frames.npy", "--fast", cwd=tmp_path)
    assert done.returncode == 0 and "40 results" in done.stderr, done.stderr
