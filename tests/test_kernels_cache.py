"""Where compiled kernels are kept: only what is whole and ours is loaded, whatever happened to the files; what is
said about it, and that nothing has to be said."""

from __future__ import annotations

import hashlib
import os
import pickle
import random
import re
import shutil
import stat
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest
from numba.core.registry import cpu_target
from test_kernels_compilation import GOLDEN, GOLDEN_INT8, TESTS, python

from ostinato import kernels
from ostinato.kernels import cache, progress

COUNT = (
    "from ostinato.kernels import compiler as c, warm_up; warm_up(); "
    "routines, kernels = c.routines.values(), c.kernels.values(); "
    "print(sum(r.cache_hits for r in routines) + sum(sum(k.stats.cache_hits.values()) for k in kernels), "
    "len(routines) + len(kernels))"
)
KEY, DATA = b"a function", b"its code" * 100


def hits(home: Path, **environment: str) -> tuple[int, int, str]:
    """Of a start: how many functions were loaded, how many there are, and what was said."""
    found = python("-c", COUNT, XDG_CACHE_HOME=str(home), **environment)
    loaded, count = map(int, found.stdout.split())
    return loaded, count, found.stderr


@pytest.fixture(scope="module")
def compiled(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A cache home that has everything; tests copy what they damage."""
    home = tmp_path_factory.mktemp("compiled")
    loaded, count, said = hits(home)
    assert loaded == 0
    assert re.search(rf"compiling for this CPU, only this once: \d+ of {count} functions", said)
    assert f"compiled {count} functions in" in said
    return home


@pytest.fixture
def home(compiled: Path, tmp_path: Path) -> Path:
    """A copy of it."""
    (folder,) = (compiled / "ostinato").iterdir()
    copy = tmp_path / "ostinato" / folder.name
    copy.mkdir(parents=True, mode=0o700)
    copy.parent.chmod(0o700)
    for file in folder.iterdir():
        (copy / file.name).write_bytes(file.read_bytes())
        (copy / file.name).chmod(0o600)
    return tmp_path


@pytest.fixture
def folder(tmp_path: Path) -> Iterator[cache.Folder]:
    (tmp_path / "cache").mkdir(mode=0o700)
    made = cache.Folder(tmp_path / "cache")
    made.write(KEY, "name", DATA)
    assert made.read(KEY, "name") == DATA
    yield made


def only(folder: cache.Folder) -> Path:
    (file,) = folder.path.iterdir()
    return file


def files(home: Path) -> list[Path]:
    return sorted(home.glob("ostinato/*/*"))


# --- damaged --------------------------------------------------------------------------------------------------------


def test_the_next_start_only_loads(home: Path) -> None:
    loaded, count, said = hits(home)
    assert (loaded, said) == (count, "")
    assert len(files(home)) == count
    for place in (home / "ostinato", files(home)[0].parent):
        assert stat.S_IMODE(place.stat().st_mode) == 0o700


def test_a_flipped_bit_in_any_file_changes_nothing(home: Path) -> None:
    """One was enough to crash every later start, or to give other results in silence."""
    chance = random.Random(4)
    damaged = chance.sample(files(home), len(files(home)) // 4)
    for file in damaged:
        content = bytearray(file.read_bytes())
        content[chance.randrange(len(content))] ^= 1 << chance.randrange(8)
        file.write_bytes(content)
    before = {file: file.read_bytes() for file in damaged}
    found = python(str(TESTS / "golden_bits.py"), XDG_CACHE_HOME=str(home))
    assert found.stdout.split()[:2] == [GOLDEN, GOLDEN_INT8]
    loaded, count, _ = hits(home)
    assert count - len(damaged) < loaded < count, "what was prepared was mended, the rest is now"
    assert all(file.read_bytes() != content for file, content in before.items()), "written anew"
    loaded, count, said = hits(home)
    assert (loaded, said) == (count, "")


def test_each_bit_of_a_file_counts(folder: cache.Folder) -> None:
    file, whole = only(folder), only(folder).read_bytes()
    for bit in range(8 * len(whole)):
        content = bytearray(whole)
        content[bit // 8] ^= 1 << bit % 8
        file.write_bytes(content)
        assert folder.read(KEY, "name") is None
    for content in (b"", whole[:1], whole[:31], whole[:32], whole[:-1], whole + b"\0", bytes(len(whole))):
        file.write_bytes(content)
        assert folder.read(KEY, "name") is None
    file.write_bytes(whole)
    assert folder.read(KEY, "name") == DATA


@pytest.mark.parametrize("data", [b"", b"no pickle", pickle.dumps((1, 2, 3))])
def test_a_file_that_is_whole_but_makes_no_sense_is_none(folder: cache.Folder, data: bytes) -> None:
    target = cpu_target.target_context
    function = cache.FunctionCache(lambda: folder, "name")
    folder.write(function._key("signature", target), "name", data)
    assert function.load_overload("signature", target) is None


def test_one_function_s_file_is_not_another_s(folder: cache.Folder) -> None:
    content = only(folder).read_bytes()
    folder.write(b"another", "name", b"code")
    (other,) = (file for file in folder.path.iterdir() if file.read_bytes() != content)
    other.write_bytes(content)
    assert folder.read(b"another", "name") is None


def test_files_that_are_cut_or_emptied_or_foreign_are_made_anew(home: Path) -> None:
    cut, emptied, linked, folder_, foreign, swapped, *_ = files(home)
    cut.write_bytes(cut.read_bytes()[:-9])
    emptied.write_bytes(b"")
    target = home / "elsewhere"
    linked.rename(target)
    linked.symlink_to(target)
    folder_.unlink()
    folder_.mkdir()
    foreign.chmod(0o666)
    swapped.write_bytes(files(home)[-1].read_bytes())
    loaded, count, _ = hits(home)
    assert loaded == count - 6
    loaded, count, said = hits(home)
    assert loaded == count - 1, "a folder in a file's place stays one"
    assert "cannot be kept" in said


@pytest.mark.parametrize("mode", [0o660, 0o606, 0o602])
def test_a_file_that_others_can_write_is_none(folder: cache.Folder, mode: int) -> None:
    only(folder).chmod(mode)
    assert folder.read(KEY, "name") is None
    folder.write(KEY, "name", DATA)
    assert folder.read(KEY, "name") == DATA


def test_a_file_of_somebody_else_is_none(folder: cache.Folder, monkeypatch: pytest.MonkeyPatch) -> None:
    owner = only(folder).stat().st_uid
    monkeypatch.setattr(os, "geteuid", lambda: 12345)
    assert (folder.read(KEY, "name") is None) == (owner != 0), "only the superuser's are as good as ours"


def test_what_is_no_file_does_not_hang(folder: cache.Folder) -> None:
    file = only(folder)
    file.unlink()
    os.mkfifo(file, 0o600)
    assert folder.read(KEY, "name") is None
    file.unlink()
    with file.open("wb") as sparse:
        sparse.truncate(1 << 40)
    assert folder.read(KEY, "name") is None


LEARNING = """
import numpy as np
from ostinato.training.activations import activate_all, settings
from ostinato.model.activation import Activation
x = np.linspace(-9, 9, 800, dtype=np.float32).reshape(8, 100)
y = np.empty_like(x)
activate_all(*settings(Activation("tanh"), x.dtype), x, y)
print(y.tobytes().hex(), len(activate_all.stats.cache_hits))
"""


def test_what_learning_compiles_is_kept_as_kernels_are(tmp_path: Path) -> None:
    first, hits_ = python("-c", LEARNING, XDG_CACHE_HOME=str(tmp_path)).stdout.split()
    assert hits_ == "0"
    again, hits_ = python("-c", LEARNING, XDG_CACHE_HOME=str(tmp_path)).stdout.split()
    assert (again, hits_) == (first, "1")
    kept = [file for file in files(tmp_path) if "activate_all" in file.name]
    for file in kept:
        content = bytearray(file.read_bytes())
        content[len(content) // 2] ^= 4
        file.write_bytes(content)
    again, hits_ = python("-c", LEARNING, XDG_CACHE_HOME=str(tmp_path)).stdout.split()
    assert (again, hits_) == (first, "0")
    assert kept


def test_a_process_whose_sources_have_changed_keeps_nothing(tmp_path: Path) -> None:
    """It compiles what it has read, and that would be kept as what is there now: one that was edited, or installed
    anew, while another computed was enough to crash every later start."""
    shutil.copytree(Path(kernels.__file__).parents[1], tmp_path / "ostinato", ignore=shutil.ignore_patterns("models"))
    source = tmp_path / "ostinato" / "training" / "activations.py"
    edit = f"import pathlib; p = pathlib.Path({str(source)!r}); p.write_text(p.read_text() + chr(10))\n"
    imports, _, rest = LEARNING.partition("x = ")
    where = {"PYTHONPATH": str(tmp_path), "XDG_CACHE_HOME": str(tmp_path / "cache")}
    found = python("-c", imports + edit + "x = " + rest, **where)
    assert "training/activations.py has changed since this process began" in found.stderr
    assert not files(tmp_path / "cache")
    for known in ("0", "1"):
        again = python("-c", LEARNING, **where)
        assert again.stdout.split() == [found.stdout.split()[0], known] and "has changed" not in again.stderr


def test_nothing_is_kept_in_numba_s_own_cache() -> None:
    """It believes whatever it reads, and does not see that another module has changed."""
    root = Path(kernels.__file__).parents[3]
    sources = [file for part in ("engine", "clients", "bench") for file in (root / part).rglob("*.py")]
    assert len(sources) > 50
    assert not [file for file in sources if re.search(r"cache=True|enable_caching", file.read_text())]


# --- writing --------------------------------------------------------------------------------------------------------


def test_a_full_disk_leaves_nothing_behind(folder: cache.Folder, monkeypatch: pytest.MonkeyPatch) -> None:
    """/dev/full says what a full disk says."""
    make = cache.tempfile.mkstemp

    def full(**arguments: Any) -> tuple[int, str]:
        descriptor, name = make(**arguments)
        os.close(descriptor)
        return os.open("/dev/full", os.O_WRONLY), name

    monkeypatch.setattr(cache.tempfile, "mkstemp", full)
    folder.write(KEY, "name", b"something else")
    assert folder.failure is not None
    assert "No space left" in str(folder.failure)
    assert len(list(folder.path.iterdir())) == 1
    assert folder.read(KEY, "name") == DATA, "what was there is still there"


def test_a_cache_that_can_only_be_read_is_read(home: Path) -> None:
    """As in a container's image. The superuser may write anyway, so the test takes writing away."""
    blocked = (
        "import os, tempfile\n"
        "def refused(*a, **k): raise OSError(30, 'Read-only file system')\n"
        "tempfile.mkstemp = refused; os.utime = refused; os.access = lambda *a: False\n" + COUNT
    )
    found = python("-c", blocked, XDG_CACHE_HOME=str(home))
    loaded, count = map(int, found.stdout.split())
    assert (loaded, found.stderr) == (count, "")
    files(home)[0].unlink()
    found = python("-c", blocked, XDG_CACHE_HOME=str(home))
    assert found.stdout.split() == [str(count - 1), str(count)]
    assert found.stderr.count("cannot be kept") == 1
    assert "Read-only file system" in found.stderr
    assert "only this once" not in found.stderr


def test_processes_that_start_together_do_not_disturb_each_other(home: Path) -> None:
    for file in files(home)[::10]:
        file.unlink()
    started = [
        subprocess.Popen(
            [sys.executable, "-c", COUNT],
            env=os.environ | {"XDG_CACHE_HOME": str(home)},
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
        )
        for _ in range(3)
    ]
    for process in started:
        out, said = process.communicate(timeout=100)
        assert process.returncode == 0, said
        assert out
    loaded, count, said = hits(home)
    assert (loaded, said) == (count, "")
    assert len(files(home)) == count, "nothing half-written is left"


def test_what_a_killed_process_left_is_removed_in_time(folder: cache.Folder, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("XDG_CACHE_HOME", str(folder.path.parent))
    opened = cache.open_folder()
    assert opened is not None
    old, new = opened.path / "old.tmp", opened.path / "new.tmp"
    for file in (old, new):
        file.write_bytes(b"half")
    os.utime(old, (1, 1))
    cache.open_folder()
    assert not old.exists()
    assert new.exists(), "somebody may be writing it"


# --- the folder -----------------------------------------------------------------------------------------------------


def test_warm_up_knows_all_kernels() -> None:
    """What it left out was compiled in the middle of somebody's first text."""
    code = (
        "import importlib, pkgutil; from ostinato import kernels; kernels.warm_up(); "
        "[importlib.import_module(m.name) for m in pkgutil.walk_packages(kernels.__path__, 'ostinato.kernels.')]; "
        "print(kernels.ready())"
    )
    assert python("-c", code).stdout.split() == ["True"]


def test_importing_compiles_nothing(tmp_path: Path) -> None:
    imported = "import ostinato.kernels.program, ostinato.model.compile, ostinato.kernels.arrays as a; "
    found = python("-c", imported + "print(a._apply.signatures)", XDG_CACHE_HOME=str(tmp_path))
    assert found.stdout.strip() == "[]"
    assert not list(tmp_path.iterdir())


@pytest.mark.parametrize("mode", [0o770, 0o707, 0o777])
def test_a_directory_that_others_can_write_is_refused(
    tmp_path: Path, mode: int, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path))
    assert cache.open_folder() is not None
    assert capsys.readouterr().err == ""
    (tmp_path / "ostinato").chmod(mode)
    assert cache.open_folder() is None
    said = capsys.readouterr().err
    assert str(tmp_path / "ostinato") in said
    assert "Cure" in said


def test_a_link_instead_of_a_directory_is_refused(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "cache"))
    (tmp_path / "elsewhere").mkdir(mode=0o700)
    (tmp_path / "cache").mkdir()
    (tmp_path / "cache" / "ostinato").symlink_to(tmp_path / "elsewhere")
    assert cache.open_folder() is None
    assert "not a directory of ours" in capsys.readouterr().err


def test_without_a_place_for_it_there_is_no_cache(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    (tmp_path / "file").write_text("")
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "file"))
    assert cache.open_folder() is None
    assert "XDG_CACHE_HOME" in capsys.readouterr().err
    monkeypatch.delenv("XDG_CACHE_HOME")
    monkeypatch.setattr(Path, "expanduser", _homeless)
    assert cache.open_folder() is None
    assert "home" in capsys.readouterr().err


def _homeless(_path: Path) -> Path:
    raise RuntimeError("Could not determine home directory.")


def test_old_caches_are_removed(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path))
    found = []
    for number in range(cache.KEPT + 2):
        monkeypatch.setattr(cache, "_digest", lambda _, number=number: f"{number:016d}")
        opened = cache.open_folder()
        assert opened is not None
        opened.write(KEY, "name", DATA)
        os.utime(opened.path, (number, number))
        found.append(opened.path)
    kept = sorted((tmp_path / "ostinato").iterdir())
    assert found[-1] in kept
    assert len(kept) == cache.KEPT


# --- without anybody to tell ----------------------------------------------------------------------------------------

SILENT = {
    "None": "import sys; sys.stdout = sys.stderr = sys.__stderr__ = None; ",
    "closed": "import sys; sys.stderr.close(); ",
    "full": "import sys; sys.stderr = open('/dev/full', 'w'); ",
}


@pytest.mark.parametrize("kind", SILENT)
def test_kernels_load_where_there_is_no_stderr(kind: str, home: Path) -> None:
    """As in pythonw and services: also when there is something to say, because compiling takes a while."""
    impatient = "import ostinato.kernels.progress as p; p._PATIENCE = p._PRINT_EVERY = 0.0; "
    loads = (
        "from ostinato.kernels import warm_up, ready; warm_up(); "
        "import os; os.write(1, str(ready()).encode()); os._exit(0)"  # at exit Python would fail to flush
    )
    for file in files(home)[::8]:
        file.unlink()
    found = python("-c", SILENT[kind] + impatient + loads, XDG_CACHE_HOME=str(home))
    assert found.stdout == "True"


def test_a_machine_that_loads_slowly_is_not_told_that_it_compiles(monkeypatch: pytest.MonkeyPatch) -> None:
    now, told = 0.0, list[str]()
    monkeypatch.setattr(progress, "time", SimpleNamespace(monotonic=lambda: now))
    counting = progress.Progress(4, told.append, kept=True)
    for compiled in (False, True, True, False):
        now += 0.8
        counting.step(compiled)
    assert told == ["ostinato: compiling for this CPU, only this once: 3 of 4 functions"]
    counting.finish()
    assert told[1:] == ["ostinato: compiled 2 functions in 2 s"]


@pytest.mark.parametrize("stderr", [None, "closed"])
def test_nothing_is_told_where_nobody_is(stderr: str | None, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    with Path(os.devnull).open("w") as gone:
        pass
    monkeypatch.setattr(sys, "stderr", gone if stderr else None)
    progress.tell("hello")
    told = progress.Progress(2, None, kept=True)
    told.said_at = 1.0
    told.finish()
    monkeypatch.setenv("XDG_CACHE_HOME", os.devnull)
    assert cache.open_folder() is None
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path))
    (tmp_path / "ostinato").write_text("no directory")
    assert cache.open_folder() is None


def test_the_checksum_is_of_everything_behind_it(folder: cache.Folder) -> None:
    """The format, so that a change of it is seen: BLAKE2b of the key, a zero byte and the code; then the code."""
    whole = only(folder).read_bytes()
    assert whole == hashlib.blake2b(KEY + b"\0" + DATA, digest_size=32).digest() + DATA
