"""What commands write survives whatever happens to what they print; what they print survives any terminal."""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import pytest
import typer

from ostinato.cli import output_files
from ostinato.cli.files import RECORDINGS
from ostinato.cli.usage import FAILED, UNREAD

Run = Callable[..., subprocess.CompletedProcess[str]]
COMMAND = [sys.executable, "-c", "from ostinato.cli import main; main()"]


@pytest.fixture(scope="module")
def recordings(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """One transcribed recording."""
    folder = tmp_path_factory.mktemp("recordings")
    for name in ("phone-number.wav", "phone-number.txt"):
        shutil.copy(RECORDINGS / name, folder / name)
    return folder


def measuring(recordings: Path, figures: Path, tmp_path: Path) -> list[list[str]]:
    """Commands that measure, as quick as they can be."""
    wav = str(recordings / "phone-number.wav")
    cell = [
        "--cell",
        "gru",
        "--input",
        "8",
        "--hidden",
        "8",
        "--layers",
        "1",
        "--batch",
        "1",
        "--peer",
        "onnxruntime",
    ]
    return [
        ["evaluate", "digits-uni", "--data", str(recordings), "--json", str(figures)],
        ["quantize", "digits-uni", "--calibrate", wav, "-o", str(tmp_path / "i.safetensors"), "--json", str(figures)],
        ["bench", "kernels", *cell, "--quick", "--json", str(figures)],
        ["bench", "load", "--streams", "1", "--seconds", "1", "--json", str(figures)],
        ["compare", "digits-uni", "--file", wav, "--json", str(figures), "--plot", str(tmp_path / "picture.png")],
    ]


@pytest.mark.parametrize("number", range(5))
def test_figures_are_written_before_anything_is_printed(
    ostinato: Run, recordings: Path, tmp_path: Path, number: int
) -> None:
    figures = tmp_path / "figures.json"
    reading, writing = os.pipe()
    os.close(reading)
    try:
        command = measuring(recordings, figures, tmp_path)[number]
        done = ostinato(*command, stdout=writing)
    finally:
        os.close(writing)
    assert done.returncode == UNREAD and "Traceback" not in done.stderr, done.stderr
    assert json.loads(figures.read_text())
    assert ("--plot" in command) == (tmp_path / "picture.png").exists()
    assert not list(tmp_path.glob(".*")), "nothing half done is left"


@pytest.mark.skipif(not Path("/dev/full").exists(), reason="needs /dev/full")
@pytest.mark.parametrize(
    "arguments", [["--help"], ["--version"], ["models"], ["inspect", "digits-uni"], ["nonsense"]]
)
def test_a_full_disk_is_one_line_that_names_where(ostinato: Run, arguments: list[str]) -> None:
    with Path("/dev/full").open("w") as full:
        done = ostinato(*arguments, stdout=full)
        if arguments != ["nonsense"]:
            assert done.returncode == FAILED
            assert done.stderr.startswith("error: standard output: No space left") and done.stderr.count("\n") == 1
        done = ostinato(*arguments, stderr=full)
        assert done.returncode == (2 if arguments == ["nonsense"] else 0), "what it has to say is not why it is there"


@pytest.mark.parametrize("option", ["--json", "--plot"])
def test_an_error_of_writing_names_the_file_and_keeps_the_old_one(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, option: str
) -> None:
    file = tmp_path / ("figures.json" if option == "--json" else "picture.png")
    file.write_text("old")

    def full(*_: object, **__: object) -> int:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(Path, "write_text", full)
    with pytest.raises(OSError, match=file.name):
        if option == "--json":
            output_files.write_json(file, {})
        else:
            output_files.write_picture(file, lambda path: full())
    assert file.read_text() == "old" and list(tmp_path.iterdir()) == [file]


def test_a_file_is_replaced_as_a_whole_and_keeps_its_mode_and_its_link(tmp_path: Path) -> None:
    file, link = tmp_path / "figures.json", tmp_path / "link.json"
    output_files.write_json(file, [1])
    assert file.stat().st_mode & 0o777 == 0o666 & ~_mask()
    file.chmod(0o640)
    link.symlink_to(file)
    output_files.write_json(link, ["caf\udce9"])  # a name of a file that is no UTF-8
    assert link.is_symlink() and json.loads(file.read_text()) == ["caf\udce9"]
    assert file.stat().st_mode & 0o777 == 0o640
    output_files.check_writable(Path(os.devnull))
    output_files.write_json(Path(os.devnull), [1])
    assert Path(os.devnull).is_char_device()


def _mask() -> int:
    mask = os.umask(0)
    os.umask(mask)
    return mask


@pytest.mark.parametrize(
    ("name", "complaint"),
    [("no/such/folder/a.png", "no folder"), ("a.bmp", "should end in"), ("a", "should end in"),
     ("a.png/b.png", "no folder")],
)  # fmt: skip
def test_a_picture_is_checked_before_anything_is_measured(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, name: str, complaint: str
) -> None:
    (tmp_path / "a.png").touch()
    with pytest.raises(typer.BadParameter, match=complaint):
        output_files.check_picture(tmp_path / name)
    monkeypatch.setitem(sys.modules, "matplotlib.figure", None)
    with pytest.raises(typer.BadParameter, match="pip install matplotlib"):
        output_files.check_picture(tmp_path / "a.png")


def test_a_command_refuses_its_outputs_before_it_measures(ostinato: Run, recordings: Path, tmp_path: Path) -> None:
    for arguments in measuring(recordings, tmp_path / "no" / "figures.json", tmp_path):
        done = ostinato(*arguments)
        assert done.returncode == 2 and "no folder" in done.stderr, arguments


@pytest.mark.parametrize("option", ["--output", "--data"])
def test_training_checks_its_folders_before_it_takes_hours(ostinato: Run, tmp_path: Path, option: str) -> None:
    (tmp_path / "file").touch()
    folders = {"--output": tmp_path / "output", "--data": tmp_path / "data", option: tmp_path / "file" / "below"}
    done = ostinato("train", "digits", "--quick", *(part for pair in folders.items() for part in pair))
    assert done.returncode == 2 and "cannot be written into" in done.stderr, done.stderr


def test_a_comparison_of_commits_refuses_its_file_at_once(tmp_path: Path) -> None:
    done = subprocess.run(
        [sys.executable, "-m", "ostinato_bench.revisions", "HEAD", "--json", str(tmp_path / "no" / "figures.json")],
        capture_output=True, text=True, timeout=60,
    )  # fmt: skip
    assert done.returncode == 2 and "no folder" in done.stderr


@pytest.mark.skipif(not Path("/dev/full").exists(), reason="needs /dev/full")
def test_a_full_disk_under_the_tables_loses_no_figures(ostinato: Run, recordings: Path, tmp_path: Path) -> None:
    with Path("/dev/full").open("w") as full:
        done = ostinato(*measuring(recordings, tmp_path / "figures.json", tmp_path)[0], stdout=full)
    assert done.returncode == FAILED and "error: standard output: No space left" in done.stderr
    assert json.loads((tmp_path / "figures.json").read_text())


def test_figures_on_standard_output_are_alone_there(ostinato: Run, recordings: Path) -> None:
    done = ostinato("evaluate", "digits-uni", "--data", recordings, "--json", "-")
    assert done.returncode == 0, done.stderr
    assert json.loads(done.stdout)


@pytest.mark.parametrize(
    ("encoding", "arguments"),
    [
        *(("ascii", words) for words in ("doctor --only python", "models", "inspect digits-bi", "--help")),
        *(("cp1252", words) for words in ("doctor --only python", "inspect digits-bi")),
        *(("cp437", words) for words in ("doctor --only python", "inspect digits-bi")),
    ],
)
def test_any_encoding_will_do(encoding: str, arguments: str) -> None:
    environment = os.environ | {"PYTHONIOENCODING": encoding}
    done = subprocess.run([*COMMAND, *arguments.split()], capture_output=True, env=environment, timeout=60)
    assert done.returncode == 0 and not done.stderr, done.stderr
    said = done.stdout.decode(encoding)
    assert not arguments.startswith("doctor") or "+  Python" in said


@pytest.mark.parametrize("closed", ["1>&-", "2>&-", "0<&- 1>&- 2>&-"])
@pytest.mark.parametrize("arguments", ["--version", "models", "nonsense"])
def test_standard_streams_may_be_closed(closed: str, arguments: str) -> None:
    command = f"exec {sys.executable} -c 'from ostinato.cli import main; main()' {arguments} {closed}"
    done = subprocess.run(command, shell=True, capture_output=True, text=True, timeout=60)
    assert done.returncode == (2 if arguments == "nonsense" else 0), done
    assert "Traceback" not in done.stderr
