"""How kernels are compiled: for which targets, into what instructions, where they are kept, what is said about it."""

from __future__ import annotations

import os
import platform
import re
import subprocess
import sys
import threading
import time
import tracemalloc
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from numba.core.codegen import get_host_cpu_features
from numba.core.runtime import _nrt_python, rtsys
from test_kernels_cells import random_weights

from ostinato.kernels import _jit, cells, integer, product
from ostinato.kernels.program import bind
from ostinato.model.compile import compile_network
from ostinato.model.specification import Dense, Frames, Gru, Lstm, Outputs, Rnn, Softmax, Specification

TESTS = Path(__file__).parent
HASWELL = (
    "+64bit,+avx,+avx2,+bmi,+bmi2,+cmov,+cx16,+cx8,+f16c,+fma,+fxsr,+lzcnt,+mmx,+movbe,+popcnt,+sse,+sse2"
    ",+sse3,+sse4.1,+sse4.2,+ssse3"
)
AVX2 = {"NUMBA_CPU_NAME": "haswell", "NUMBA_CPU_FEATURES": HASWELL}
AVX512 = {
    "NUMBA_CPU_NAME": "skylake-avx512",
    "NUMBA_CPU_FEATURES": f"{HASWELL},+avx512f,+avx512bw,+avx512cd,+avx512dq,+avx512vl",
}
ASSEMBLY = """
import sys
from ostinato.kernels import _all, _jit
import numba
routine = next(routine for routine, name in _jit._routines if name == sys.argv[1])
dispatcher = numba.njit(nogil=True, **_jit._OPTIONS)(routine._pyfunc)
dispatcher.compile(routine._sig.args)
(text,) = dispatcher.inspect_asm().values()
print(text)
"""
X86 = platform.machine().lower() in ("x86_64", "amd64")
GOLDEN = "6f07682d90e9edb8561162c8749f21304c9bc4946c26656d2baa857eed796b01"
GOLDEN_INT8 = "064106bf1b6b9e1cde6b553230532670b3c4b50f7cd06e719e02d7feb69b1194"


def python(*arguments: str, timeout: float = 110, **environment: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [sys.executable, *arguments],
        env={**os.environ, **environment},
        capture_output=True,
        text=True,
        timeout=timeout,
        check=True,
    )


# --- bits and instructions ------------------------------------------------------------------------------------------


@pytest.mark.parametrize("target", ["host", "avx2", "generic"])
def test_the_bits_do_not_depend_on_the_processor(target: str) -> None:
    """The digests are written here: they were the same on every machine and target tried."""
    forced = {
        "host": {},
        "avx2": AVX2,
        "generic": {"NUMBA_CPU_NAME": "generic", "NUMBA_CPU_FEATURES": ""},
    }[target]
    host = get_host_cpu_features().split(",")
    if target != "host" and not X86:
        pytest.skip("targets of x86-64")
    if target == "avx2" and not {"+avx2", "+fma"} <= set(host):
        pytest.skip("this processor has no AVX2")
    found = python(str(TESTS / "golden_bits.py"), **forced)
    assert found.stdout.split() == [GOLDEN, GOLDEN_INT8]


def assembly(symbol: str, target: dict[str, str]) -> str:
    """A routine's machine code for a target, which this processor need not be: it is compiled and not run."""
    return python("-c", ASSEMBLY, symbol, **target).stdout


@pytest.mark.skipif(not X86, reason="targets of x86-64")
@pytest.mark.parametrize(
    "routine",
    [f"{product.__name__}._one_row", f"{cells.__name__}.gru_after", f"{cells.__name__}.lstm_peepholes"],
)
def test_vector_code_is_vector_code(routine: str) -> None:
    for target, register in ((AVX2, "%ymm"), (AVX512, "%zmm")):
        fused = re.findall(r"\tvfn?m(?:add|sub)\d+([ps])s\t(.*)", assembly(routine, target))
        assert fused
        assert all(kind == "p" and register in operands for kind, operands in fused)


@pytest.mark.skipif(not X86, reason="targets of x86-64")
@pytest.mark.parametrize(
    ("routine", "target", "sums"),
    [("_rows_narrow", AVX2, 12), ("_rows_wide", AVX512, 16), ("_one_row", AVX2, 8), ("_one_row", AVX512, 8)],
    ids=["avx2", "avx512", "avx2, one row", "avx512, one row"],
)
def test_the_widest_tile_keeps_its_sums_in_registers(routine: str, target: dict[str, str], sums: int) -> None:
    """No sum is stored and loaded again between two multiply-adds: that cost half of the speed on AVX2 once."""
    text = assembly(f"{product.__name__}.{routine}", target)
    loops = [
        loop for loop in re.findall(r"^\.LBB\w+:\n((?:\t[^j].*\n)+)\tj", text, re.M) if loop.count("vfmadd") == sums
    ]
    assert loops, "the loop of the widest tile"
    for loop in loops:
        assert not re.search(r"vmov\w+\t%[yz]mm\d+, .*\(", loop)


VNNI = {
    "avx2": (AVX2, "", "_panel", 20, "vpmaddubsw|vpmaddwd"),
    "avx2, one row": (AVX2, "", "_one_row", 20, "vpmaddubsw|vpmaddwd"),
    "avx-vnni": (AVX2, ",+avxvnni", "_panel", 32, "vpdpbusd"),
    "avx512": (AVX512, "", "_panel", 40, "vpmaddubsw|vpmaddwd"),
    "avx512-vnni": (AVX512, ",+avx512vnni", "_panel", 64, "vpdpbusd"),
    "avx512-vnni, one row": (AVX512, ",+avx512vnni", "_one_row", 32, "vpdpbusd"),
}


@pytest.mark.skipif(not X86, reason="targets of x86-64")
@pytest.mark.parametrize("case", VNNI)
def test_int8_uses_the_best_instructions_and_keeps_its_sums_in_registers(case: str) -> None:
    target, more, routine, count, names = VNNI[case]
    target = {**target, "NUMBA_CPU_FEATURES": target["NUMBA_CPU_FEATURES"] + more}
    text = assembly(f"{integer.__name__}.{routine}", target)
    multiplications = re.compile(rf"(?:{names})\t.*%{'z' if target['NUMBA_CPU_NAME'] != 'haswell' else 'y'}mm")
    loops = [
        loop
        for loop in re.findall(r"^\.LBB\w+:\n((?:\t[^j].*\n)+)\tj", text, re.M)
        if len(multiplications.findall(loop)) == count
    ]
    assert loops, "the loop of the widest tile"
    for loop in loops:
        assert not re.search(r"vmov\w+\t%[yz]mm\d+, .*\(", loop)


# --- what a step costs besides arithmetic ---------------------------------------------------------------------------


def everything() -> Any:
    """A bound call of a program with all kinds of operations."""
    layers = (
        Gru(9, 33),
        Gru(33, 20, reset="before"),
        Lstm(20, 20, peepholes=True),
        Rnn(20, 8),
        Dense(8, 5),
        Softmax(5),
    )
    specification = Specification("x", Frames(9), layers, Outputs())
    made = compile_network(specification, random_weights(specification, 0))
    sizes = np.array([6, 6, 2], np.int64)
    return bind(made, made.new_states(6), np.arange(6), sizes, made.new_rows(14))


def test_a_step_allocates_nothing() -> None:
    call = everything()
    call()
    enabled = _nrt_python.memsys_stats_enabled()
    _nrt_python.memsys_enable_stats()
    try:
        before = rtsys.get_allocation_stats()
        tracemalloc.start()
        call()
        tracemalloc.reset_peak()
        start = tracemalloc.get_traced_memory()[0]
        for _ in range(100):
            call()
        peak = tracemalloc.get_traced_memory()[1]
        assert rtsys.get_allocation_stats() == before
        assert peak - start < 512, "nothing that grows with frames, streams or sizes"
    finally:
        tracemalloc.stop()
        if not enabled:
            _nrt_python.memsys_disable_stats()


def test_a_step_releases_the_gil() -> None:
    """Another thread runs while one computes. Threads here switch only where one lets go."""
    specification = Specification("x", Frames(64), (Gru(64, 256),), Outputs())
    made = compile_network(specification, random_weights(specification, 0))
    call = bind(made, made.new_states(1), np.zeros(1, np.int64), np.ones(20_000, np.int64), made.new_rows(20_000))
    running = finished = False

    def compute() -> None:
        nonlocal running, finished
        running = True
        call()
        finished = True

    seen = 0
    interval = sys.getswitchinterval()
    sys.setswitchinterval(1000)
    try:
        thread = threading.Thread(target=compute)
        thread.start()
        while not finished:
            seen += running
            time.sleep(0)
        thread.join()
    finally:
        sys.setswitchinterval(interval)
    assert seen > 1


# --- the cache ------------------------------------------------------------------------------------------------------

WARM_UP = "from ostinato.kernels import warm_up; warm_up()"
COUNT = (
    "import ostinato.kernels._jit as j; j.warm_up(); "
    "print(sum(r.cache_hits for r, _ in j._routines) + sum(sum(k.stats.cache_hits.values()) for k, _ in j._kernels), "
    "len(j._routines) + len(j._kernels))"
)


def test_the_first_start_tells_how_far_it_is_and_the_next_only_loads(tmp_path: Path) -> None:
    first = python("-c", COUNT, XDG_CACHE_HOME=str(tmp_path))
    hits, count = map(int, first.stdout.split())
    assert hits == 0
    assert re.search(rf"compiling for this CPU, only this once: \d+ of {count} functions", first.stderr)
    assert f"compiled {count} functions in" in first.stderr
    (directory,) = (tmp_path / "ostinato").iterdir()
    assert directory.stat().st_mode & 0o777 == 0o700
    assert directory.parent.stat().st_mode & 0o777 == 0o700

    second = python("-c", COUNT, XDG_CACHE_HOME=str(tmp_path))
    assert second.stdout.split() == [str(count), str(count)]
    assert second.stderr == ""

    files = sorted(directory.iterdir())
    for damaged in (next(f for f in files if f.suffix == ".nbi"), [f for f in files if f.suffix == ".nbc"][-1]):
        damaged.write_bytes(damaged.read_bytes()[:30])
    third = python("-c", COUNT, XDG_CACHE_HOME=str(tmp_path))
    assert third.stdout.split() == [str(count - 2), str(count)]
    fourth = python("-c", COUNT, XDG_CACHE_HOME=str(tmp_path))
    assert fourth.stdout.split() == [str(count), str(count)]


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
    assert _jit._cache_directory() is not None
    assert capsys.readouterr().err == ""
    (tmp_path / "ostinato").chmod(mode)
    assert _jit._cache_directory() is None
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
    assert _jit._cache_directory() is None
    assert "not a directory of ours" in capsys.readouterr().err


def test_without_a_place_for_it_there_is_no_cache(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    (tmp_path / "file").write_text("")
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "file"))
    assert _jit._cache_directory() is None
    assert "XDG_CACHE_HOME" in capsys.readouterr().err
    monkeypatch.delenv("XDG_CACHE_HOME")
    monkeypatch.setattr(Path, "expanduser", _homeless)
    assert _jit._cache_directory() is None
    assert "home" in capsys.readouterr().err


def _homeless(_path: Path) -> Path:
    raise RuntimeError("Could not determine home directory.")


def test_old_caches_are_removed(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path))
    found = []
    for number in range(_jit._KEPT_CACHES + 2):
        monkeypatch.setattr(_jit, "_digest", lambda number=number: f"{number:016d}")
        directory = _jit._cache_directory()
        assert directory is not None
        (directory / "kernel.nbc").write_text("")
        os.utime(directory, (number, number))
        found.append(directory)
    kept = sorted((tmp_path / "ostinato").iterdir())
    assert found[-1] in kept
    assert len(kept) == _jit._KEPT_CACHES
