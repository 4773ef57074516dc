"""Files of published packages: found or downloaded, of any kind of package, within bounds, whole or not at all."""

from __future__ import annotations

import bz2
import errno
import gzip
import io
import lzma
import os
import tarfile
import zipfile
from collections.abc import Callable
from pathlib import Path
from typing import IO, Any

import numpy as np
import pytest

from ostinato.errors import PackageError
from ostinato.packages import Deb, Index, Package, Sdist, Wheel, digest, download, placing, tars, xz
from ostinato.packages import index as index_of_debian
from ostinato.packages import package as packages

A, B = b"A" * 1000, b"B" * 10
PATHS = ("mine/a.bin", "mine/b.bin")


@pytest.fixture(autouse=True)
def cache(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setattr(packages, "cache", lambda: tmp_path / "cache")
    return tmp_path / "cache"


def sha256(tmp_path: Path, data: bytes) -> str:
    (tmp_path / "whole").write_bytes(data)
    return digest(tmp_path / "whole")


def left(cache: Path) -> list[Path]:
    return [path for path in cache.rglob("*") if path.is_file()]


# --- archives that are made here ------------------------------------------------------------------------------------


def wheel(folder: Path, members: dict[str, bytes]) -> Path:
    path = folder / "mine-1.0-py3-none-any.whl"
    with zipfile.ZipFile(path, "w") as archive:
        for name, data in members.items():
            archive.writestr(name, data)
        archive.writestr("mine-1.0.dist-info/METADATA", "Metadata-Version: 2.1\nName: mine\nVersion: 1.0\n")
        archive.writestr("mine-1.0.dist-info/WHEEL", "Wheel-Version: 1.0\nTag: py3-none-any\n")
        archive.writestr("mine-1.0.dist-info/RECORD", "")
    return path


def tar(members: dict[str, bytes], root: str, *more: tarfile.TarInfo) -> bytes:
    file = io.BytesIO()
    with tarfile.open(fileobj=file, mode="w") as archive:
        for info in more:
            archive.addfile(info)
        for name, data in members.items():
            info = tarfile.TarInfo(root + name)
            info.size = len(data)
            archive.addfile(info, io.BytesIO(data))
    return file.getvalue()


def sdist(folder: Path, members: dict[str, bytes], *more: tarfile.TarInfo) -> Path:
    path = folder / "mine-1.0.tar.gz"
    path.write_bytes(gzip.compress(tar(members, "mine-1.0/", *more)))
    return path


def deb(folder: Path, members: dict[str, bytes], *more: tarfile.TarInfo, name: str = "data.tar.xz") -> Path:
    path = folder / "mine_1.0_all.deb"
    data = tar(members, "./", *more)
    packed = {"xz": lzma.compress, "gz": gzip.compress}.get(name.rpartition(".")[2], bytes)(data)
    parts = [("debian-binary", b"2.0\n"), ("control.tar.xz", b"odd"), (name, packed)]
    ar = b"!<arch>\n"
    for part, content in parts:
        header = f"{part:16}{0:<12}{0:<6}{0:<6}{644:<8}{len(content):<10}`\n".encode()
        ar += header + content + b"\n" * (len(content) % 2)
    path.write_bytes(ar)
    return path


Make = Callable[..., Path]
KINDS: dict[str, tuple[Make, Package]] = {
    "wheel": (wheel, Wheel("mine", "1.0", "MIT")),
    "sdist": (sdist, Sdist("mine", "1.0", "MIT", sha256="0" * 64)),
    "deb": (deb, Deb("mine", "1.0", "MIT")),
}


@pytest.mark.parametrize("kind", KINDS)
def test_files_of_an_archive_that_somebody_has(kind: str, tmp_path: Path, cache: Path) -> None:
    make, package = KINDS[kind]
    archive = make(tmp_path, {"mine/b.bin": B, "mine/a.bin": A, "mine/sub/c.txt": b"no", "mine/d.abc": b"no"})
    found = package.files(PATHS, sha256(tmp_path, A + B), archive=archive)
    assert [found[path].read_bytes() for path in PATHS] == [A, B]
    assert package.files(["mine/*.bin"], sha256(tmp_path, A + B)) == found == package.there(["mine/*.bin"], digest(
        *found.values()
    ))  # fmt: skip
    assert sorted(left(cache)) == sorted(found.values())
    (found["mine/a.bin"].parent / "z.bin").write_bytes(b"that nobody expected")
    assert package.there(["mine/*.bin"], sha256(tmp_path, A + B)) == {}
    again = package.files(["mine/*.bin"], sha256(tmp_path, A + B), archive=archive)
    assert again == found and sorted(left(cache)) == sorted(found.values())


@pytest.mark.parametrize("kind", KINDS)
def test_other_files_than_expected_are_not_kept(kind: str, tmp_path: Path, cache: Path) -> None:
    make, package = KINDS[kind]
    archive = make(tmp_path, {"mine/a.bin": A})
    with pytest.raises(PackageError, match=r"mine/a\.bin of mine.1\.0.* was expected.*mine.*1\.0"):
        package.files(["mine/a.bin"], "0" * 64, archive=archive)
    with pytest.raises(PackageError, match=r"has no mine/\*\.c: it is not mine"):
        package.files(["mine/*.c"], "0" * 64, archive=archive)
    assert list(cache.iterdir()) == []


@pytest.mark.parametrize("kind", KINDS)
def test_damage_anywhere_is_told_and_leaves_nothing(kind: str, tmp_path: Path, cache: Path) -> None:
    make, package = KINDS[kind]
    random = np.random.default_rng(3)
    noise = random.bytes(3000)  # does not compress, so that damage is within it
    archive = make(tmp_path, {"mine/a.bin": noise})
    whole, wanted = archive.read_bytes(), sha256(tmp_path, noise)
    for at in range(0, len(whole), 97):
        for damaged in (whole[:at], whole[:at] + bytes([whole[at] ^ 255]) + whole[at + 1 :]):
            archive.write_bytes(damaged)
            try:
                found = package.files(["mine/a.bin"], wanted, archive=archive)
            except PackageError:
                assert list(cache.iterdir()) == []
            else:  # damage that does not matter, such as a date
                found["mine/a.bin"].unlink()
                found["mine/a.bin"].parent.rmdir()
                found["mine/a.bin"].parents[1].rmdir()


@pytest.mark.parametrize("name", ["../../out", "mine/../../out"])
def test_members_stay_in_their_folder(name: str, tmp_path: Path, cache: Path) -> None:
    for make, package in KINDS.values():
        with pytest.raises(PackageError, match="leads out of it"):
            package.files(["*out"], "0" * 64, archive=make(tmp_path, {name: b"x"}))
    assert not (tmp_path / "out").exists()


def test_links_and_devices_are_no_files(tmp_path: Path, cache: Path) -> None:
    link, device = tarfile.TarInfo("./mine/a.bin"), tarfile.TarInfo("./mine/b.bin")
    link.type, link.linkname, device.type = tarfile.SYMTYPE, "/etc/passwd", tarfile.CHRTYPE
    with pytest.raises(PackageError, match="has no mine/a"):
        KINDS["deb"][1].files(PATHS, "0" * 64, archive=deb(tmp_path, {"c": b""}, link, device))


def test_what_unpacks_to_too_much_is_refused_before_it_is_there(
    tmp_path: Path, cache: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(placing, "MAX_BYTES", 5000)
    for make, package in KINDS.values():
        with pytest.raises(PackageError, match="over 5000 bytes"):
            package.files(["mine/*"], "0" * 64, archive=make(tmp_path, {"mine/a": b"0" * 5001}))
    monkeypatch.setattr(tars, "MAX_BYTES", 20_000)
    for make, package in (KINDS["sdist"], KINDS["deb"]):
        with pytest.raises(PackageError, match="over 20,000 bytes"):
            package.files(["mine/b"], "0" * 64, archive=make(tmp_path, {"mine/a": b"0" * 50_000, "mine/b": b""}))
    long = tarfile.TarInfo("x")
    long.type, long.size = tarfile.GNUTYPE_LONGNAME, 1 << 30
    with pytest.raises(PackageError, match="a name of 1073741824 bytes"):
        KINDS["deb"][1].files(["mine/b"], "0" * 64, archive=deb(tmp_path, {}, long))
    monkeypatch.setattr(xz, "MAX_MEMORY", 1 << 16)
    with pytest.raises(PackageError, match="Memory usage limit"):
        KINDS["deb"][1].files(["mine/b"], "0" * 64, archive=deb(tmp_path, {"mine/b": b""}))


def test_debs_packed_otherwise(tmp_path: Path) -> None:
    package = KINDS["deb"][1]
    for name in ("data.tar", "data.tar.gz"):
        archive = deb(tmp_path, {"mine/a.bin": A}, name=name)
        assert package.files(["mine/a.bin"], sha256(tmp_path, A), archive=archive)["mine/a.bin"].read_bytes() == A
    with pytest.raises(PackageError, match=r"data\.tar\.zst, which is not read: use Debian's own"):
        package.files(PATHS, "0" * 64, archive=deb(tmp_path, {}, name="data.tar.zst"))
    with pytest.raises(PackageError, match="is no package of Debian"):
        package.files(PATHS, "0" * 64, archive=wheel(tmp_path, {}))


def test_a_full_disk(tmp_path: Path, cache: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    class Full:
        def __init__(self, file: IO[bytes]) -> None:
            self.close = file.close
            self.flush = file.flush

        def write(self, data: bytes) -> int:
            raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))

    opened = Path.open

    def full(self: Path, mode: str = "r", *arguments: Any, **settings: Any) -> Any:
        file = opened(self, mode, *arguments, **settings)
        return Full(file) if "w" in mode and cache in self.parents else file

    archives = [(package, make(tmp_path, {"mine/a.bin": A})) for make, package in KINDS.values()]
    monkeypatch.setattr(Path, "open", full)
    for package, archive in archives:
        with pytest.raises(PackageError, match=r"a\.bin cannot be written: No space left on device\. Make room"):
            package.files(["mine/a.bin"], "0" * 64, archive=archive)
    assert list(cache.iterdir()) == []


def test_files_may_be_kept_elsewhere(tmp_path: Path, cache: Path) -> None:
    package, wanted = KINDS["wheel"][1], sha256(tmp_path, A)
    archive = wheel(tmp_path, {"mine/a.bin": A})
    found = package.files(["mine/*"], wanted, archive=archive, folder=tmp_path / "mine")
    assert found == {"mine/a.bin": tmp_path / "mine" / "mine-1.0" / "mine" / "a.bin"} and not cache.exists()
    assert package.there(["mine/*"], wanted, tmp_path / "mine") == found and not package.there(["mine/*"], wanted)


def test_what_cannot_be_kept_is_named(tmp_path: Path, cache: Path) -> None:
    cache.write_text("a file where the folder should be")
    with pytest.raises(PackageError, match="cache cannot be written: "):
        KINDS["wheel"][1].files(PATHS, "0" * 64, archive=wheel(tmp_path, {"mine/a.bin": A, "mine/b.bin": B}))


# --- pip ------------------------------------------------------------------------------------------------------------


@pytest.fixture
def index(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A package index of one wheel."""
    folder = tmp_path / "index"
    folder.mkdir()
    wheel(folder, {"mine/a.bin": A, "mine/b.bin": B, "mine-1.0.data/purelib/mine/d.bin": b"DDDDD"})
    monkeypatch.setenv("PIP_NO_INDEX", "1")
    monkeypatch.setenv("PIP_FIND_LINKS", str(folder))
    return folder


def test_a_package_is_downloaded_once(index: Path, tmp_path: Path, cache: Path) -> None:
    package, wanted = KINDS["wheel"][1], sha256(tmp_path, A + B)
    told: list[str] = []
    found = package.files(PATHS, wanted, lambda what, done, total: told.append(what))
    assert [found[path].read_bytes() for path in PATHS] == [A, B]
    assert told[0] == "downloading mine==1.0" and told[-1] == "unpacking mine-1.0-py3-none-any.whl"
    for each in index.iterdir():
        each.unlink()
    assert package.files(PATHS, wanted) == found
    found[PATHS[1]].write_bytes(b"changed")  # what is kept is looked at each time
    with pytest.raises(PackageError, match=r"cannot be downloaded \(ERROR.*pip install --no-deps mine==1\.0"):
        package.files(PATHS, wanted)
    assert sorted(left(cache)) == sorted(found.values())


def test_what_a_wheel_has_in_its_data_is_where_it_would_be_installed(index: Path, tmp_path: Path) -> None:
    package = Wheel("mine", "1.0", "MIT", platform="manylinux1_x86_64")
    assert package.files(("mine/d.bin",), sha256(tmp_path, b"DDDDD"))["mine/d.bin"].read_bytes() == b"DDDDD"


def test_an_installed_package_is_read_where_it_is() -> None:
    path = Path(np.__file__).parent / "version.py"
    for package in (Wheel("numpy", np.__version__, "BSD"), Sdist("numpy", np.__version__, "BSD")):
        assert package.files(("numpy/version.py",), digest(path)) == {"numpy/version.py": path}
        assert package.there(("numpy/versio*.py",), digest(path)) == {"numpy/version.py": path}


def test_another_source_distribution_is_not_asked_for_its_name(index: Path, tmp_path: Path, cache: Path) -> None:
    ran = tmp_path / "ran"
    sdist(index, {"setup.py": f"open({str(ran)!r}, 'w')\n".encode(), "mine/a.bin": A})
    with pytest.raises(PackageError, match=r"cannot be downloaded .*--file"):
        KINDS["sdist"][1].files(PATHS, "0" * 64)
    assert not ran.exists() and list(cache.iterdir()) == []


# --- apt-get --------------------------------------------------------------------------------------------------------


@pytest.fixture
def apt(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A program of that name, whose lines the test says."""
    program = tmp_path / "bin" / "apt-get"
    program.parent.mkdir()
    program.write_text("")
    program.chmod(0o755)
    monkeypatch.setenv("PATH", f"{program.parent}:{os.environ['PATH']}")
    return program


def test_a_package_of_debian_is_downloaded(apt: Path, tmp_path: Path, cache: Path) -> None:
    made = deb(tmp_path, {"mine/a.bin": A})
    apt.write_text(f'#!/bin/sh\n[ "$*" = "--quiet download mine" ] && cp {made} .\n')
    found = KINDS["deb"][1].files(["mine/a.bin"], sha256(tmp_path, A))
    assert found["mine/a.bin"].read_bytes() == A and left(cache) == list(found.values())


def test_folders_that_go_while_they_are_looked_at(
    apt: Path, tmp_path: Path, cache: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """As pip's do, when it builds what it downloads."""
    look = os.scandir

    def scandir(path: Any = ".") -> Any:
        if str(path).endswith("going"):
            raise FileNotFoundError(errno.ENOENT, "gone", path)
        return look(path)

    monkeypatch.setattr(os, "scandir", scandir)
    made = deb(tmp_path, {"mine/a.bin": A})
    apt.write_text(f"#!/bin/sh\nmkdir going; sleep 0.1; rmdir going; cp {made} .\n")
    assert KINDS["deb"][1].files(["mine/a.bin"], sha256(tmp_path, A))["mine/a.bin"].read_bytes() == A


@pytest.mark.parametrize(
    ("script", "wanted"),
    [
        ("echo 'E: Unable to locate mine' >&2; exit 100", r"\(E: Unable to locate mine\).*apt-get update"),
        ("exit 0", r"came without a \.deb.*--file"),
        ("head -c 3000 /dev/zero > mine.deb; sleep 60", "over 2,000 bytes came"),
        ("sleep 60", "nothing came for 0 s"),
    ],
)
def test_downloads_that_fail_leave_nothing(
    script: str, wanted: str, apt: Path, cache: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(download, "MAX_BYTES", 2000)
    monkeypatch.setattr(download, "STALLED_S", 0.3)
    apt.write_text(f"#!/bin/sh\n{script}\n")
    with pytest.raises(PackageError, match=wanted):
        KINDS["deb"][1].files(["mine/a.bin"], "0" * 64)
    assert list(cache.iterdir()) == []


INDEX = Index("Translation-xx", "mine", "MIT")


def test_an_index_of_debian_is_downloaded_into_lists_of_its_own(apt: Path, tmp_path: Path, cache: Path) -> None:
    apt.write_text(
        '#!/bin/sh\nfor each; do case "$each" in Dir::State::lists=*) lists="${each#*=}";; esac; done\n'
        'case "$*" in *Acquire::Languages=xx*) printf A > "$lists/some_dists_mine_main_i18n_Translation-xx";; esac\n'
    )
    found = INDEX.files(["Translation-xx"], sha256(tmp_path, b"A"))
    assert found["Translation-xx"].read_bytes() == b"A" and left(cache) == list(found.values())
    with pytest.raises(PackageError, match=r"this system's sources have no Translation-xx \(Debian other\).*--file"):
        Index("Translation-xx", "other", "MIT").files(["Translation-xx"], "0" * 64)
    with pytest.raises(PackageError, match="was expected"):
        INDEX.files(["Translation-xx"], sha256(tmp_path, b"B"))


def test_an_index_that_somebody_has(tmp_path: Path, cache: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    for suffix, pack in {"": bytes, ".bz2": bz2.compress, ".xz": lzma.compress}.items():
        archive = tmp_path / f"Translation-xx{suffix}"
        archive.write_bytes(pack(A))
        found = INDEX.files(["Translation-xx"], sha256(tmp_path, A), archive=archive)
        assert found["Translation-xx"].read_bytes() == A
        archive.write_bytes(pack(A)[:40])
        with pytest.raises(PackageError, match="is damaged" if suffix else "was expected"):
            INDEX.files(["Translation-xx"], sha256(tmp_path, A), archive=archive)
        monkeypatch.setattr(index_of_debian, "MAX_BYTES", 999)
        archive.write_bytes(pack(A))
        with pytest.raises(PackageError, match="over 999 bytes"):
            INDEX.files(["Translation-xx"], sha256(tmp_path, A), archive=archive)
        monkeypatch.undo()
        monkeypatch.setattr(packages, "cache", lambda: cache)


def test_without_apt_the_cure_is_a_file(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PATH", "")
    with pytest.raises(PackageError, match=r"there is no apt-get here: get the \.deb .*--file"):
        KINDS["deb"][1].files(["mine/a.bin"], "0" * 64)
    with pytest.raises(PackageError, match=r"there is no apt-get here: get it .*i18n/Translation-xx\.bz2.*--file"):
        INDEX.files(["Translation-xx"], "0" * 64)


def test_no_room_is_told_before_anything_comes(apt: Path, tmp_path: Path) -> None:
    with pytest.raises(PackageError, match=r"has 1,000,000,000,000,000 bytes, and there are .* left"):
        Deb("mine", "1.0", "MIT", 10**15).files(["mine/a.bin"], "0" * 64)
