"""How kernels are compiled: for which targets, into what instructions; what a step costs besides."""

from __future__ import annotations

import ast
import os
import platform
import re
import subprocess
import sys
import threading
import time
import tracemalloc
from pathlib import Path
from types import FunctionType, ModuleType
from typing import Any

import numpy as np
import pytest
from numba.core.codegen import get_host_cpu_features
from numba.core.dispatcher import Dispatcher
from numba.core.runtime import _nrt_python, rtsys
from numba.core.types import ExternalFunction
from test_kernels_cells import random_weights

import ostinato
from ostinato.kernels import compiler, integer, product, warm_up
from ostinato.kernels.operations import gru, gru_general, lru, lstm, lstm_general, min_gru, min_lstm, sru
from ostinato.kernels.program import bind
from ostinato.model.compile import compile_network
from ostinato.model.decoders import Outputs
from ostinato.model.front_ends import Frames
from ostinato.model.layers import Dense, Each, Gather, Gru, Lstm, Rnn, Softmax, Transpose, Within
from ostinato.model.specification import Sequential

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
from ostinato.kernels import compiler, operations
import llvmlite.binding
import numba
for name in compiler.routines:
    llvmlite.binding.add_symbol(name, 1)  # so that code links; it never runs
for name in sys.argv[1:]:
    routine = compiler.routines[name]
    dispatcher = numba.njit(nogil=True, **compiler.OPTIONS)(routine._pyfunc)
    dispatcher.compile(routine._sig.args)
    (text,) = dispatcher.inspect_asm().values()
    print(text, end=chr(12))
"""
X86 = platform.machine().lower() in ("x86_64", "amd64")
GOLDEN = "6b24c33b600fd7c858e60e6aea61845d103a142f37af660405e692a4818e3b38"
GOLDEN_INT8 = "064106bf1b6b9e1cde6b553230532670b3c4b50f7cd06e719e02d7feb69b1194"
GOLDEN_TINY = "65a9406a7072441945757bfd1b1ff4f97a066a3bff9101e04661aac2e588fbb6"
GOLDEN_LATER = {
    "attributes": "073c88d65b8ab0350071a03e0693788fee2f6fab0b62be2fed2a92b87525e3c2",
    "min-gru": "75a390d2a9b7c3474e1e08003fc6b5964803609a9a42d0a2960e1941520dd2cb",
    "min-lstm": "eec211846fd393d03cdf5edea810aeaf0755e508dbd5a2d22ac1b3e406cd3188",
    "sru": "da8bcaccfd0081542f93a2f011142fac5530164ac7c466cf759bfc81876ec371",
    "lru": "142be322469cb7ae0ec8cf4d78b2a76e5c81549f1578979741edba198efaf522",
    "each value": "2b9960005e7bbe8b5abe583ba04c8e06af51d40b0b0d4309b01d7dcdef7069e5",
    "within": "29c5e4992e86e212b8a9f9e59ab1bf7b575b9270fe565980154ed8d990de027b",
    "each": "29bc166bca7fa6c1822f67c8c888c14948d602d75f7f3e055aa05293d299208d",
    "gather": "20cea16d3c5daba8d7e14b5d2daea9ec791b8ab4d89897acc8f54d2055e46172",
}
"""By their names in golden_bits."""
GOLDEN_JOINS = "a57c150bebeb288f95ec80531afdce0966af17488fbec1ab4a48747300a4e68c"
GOLDEN_ACTIVATIONS = "d2ece4dc8146ba3c0e2f1060a7a638ba0f905843a70cd2164a91b6fda9b3ba9a"
GOLDEN_SOUND = "0842a05e3ee469e1a6c998f5dc3fdc385742ef4728f810b833238fa442924484"
GOLDEN_BANDS_AND_PATHS = "a1a3107cb732b8f1141b4bc4ee679197bfda28434e18551e779bf0abac5ccb25"
GOLDEN_RNNOISE = "7097cbe75c233a2bf44441ecd7ecbb11e3684347e704994d4219b10d948ce851"
GOLDEN_DRAWS = "513679d1548287ea31938f00daad5c7ebdf9a2fd5bf982680ed11a681ff156bc"
GOLDEN_LOOKED_UP = "8be319115f4fd2e2519028d280c15e66ec8e435818d66e20c5c4274193e8f110"
GOLDEN_BEAMS = "eec859ed920bc05a977825465f2c32dc2d24a88b21fab6313ff9f83fa7f34af6"


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


GENERIC = {"NUMBA_CPU_NAME": "generic", "NUMBA_CPU_FEATURES": ""}
TARGETS = {
    "host": {},
    "avx2": AVX2,
    "generic": GENERIC,
    # libm's fmaf uses a fused instruction where it finds one; told that there is none, it computes in float64.
    "generic, libm too": GENERIC | {"GLIBC_TUNABLES": "glibc.cpu.hwcaps=-FMA,-FMA4,-AVX2"},
}


@pytest.mark.parametrize("target", TARGETS)
def test_the_bits_do_not_depend_on_the_processor(target: str) -> None:
    """The digests are written here: they were the same on every machine and target tried."""
    host = get_host_cpu_features().split(",")
    if target != "host" and not X86:
        pytest.skip("targets of x86-64")
    if target == "avx2" and not {"+avx2", "+fma"} <= set(host):
        pytest.skip("this processor has no AVX2")
    found = python(str(TESTS / "golden_bits.py"), **TARGETS[target]).stdout.split()
    assert found[:2] == [GOLDEN, GOLDEN_INT8]
    if X86:  # ARM flushes what only rounding would make 2^-126, see docs/architecture.md
        assert found[2] == GOLDEN_TINY
    assert dict(zip(GOLDEN_LATER, found[3:-8], strict=True)) == GOLDEN_LATER
    assert found[-8:] == [
        GOLDEN_JOINS,
        GOLDEN_ACTIVATIONS,
        GOLDEN_SOUND,
        GOLDEN_BANDS_AND_PATHS,
        GOLDEN_RNNOISE,
        GOLDEN_DRAWS,
        GOLDEN_LOOKED_UP,
        GOLDEN_BEAMS,
    ]


def assembly(symbol: str, target: dict[str, str]) -> str:
    """A routine's machine code for a target, which this processor need not be: it is compiled and not run."""
    return assemblies([symbol], target)[0]


def assemblies(symbols: list[str], target: dict[str, str]) -> list[str]:
    """`assembly` of several routines, by one process."""
    return python("-c", ASSEMBLY, *symbols, **target).stdout.split("\f")[:-1]


VECTOR_CODE = [
    f"{product.__name__}._one_row",
    f"{gru.__name__}.gru_after",
    f"{gru_general.__name__}._finish",
    f"{lstm.__name__}.lstm_peepholes",
    f"{lstm_general.__name__}._row",
    f"{min_gru.__name__}.cell",
    f"{min_lstm.__name__}.cell",
    f"{sru.__name__}.cell",
    f"{lru.__name__}.cell",
]


@pytest.mark.skipif(not X86, reason="targets of x86-64")
@pytest.mark.parametrize(("target", "register"), [(AVX2, "%ymm"), (AVX512, "%zmm")], ids=["avx2", "avx512"])
def test_vector_code_is_vector_code(target: dict[str, str], register: str) -> None:
    for routine, text in zip(VECTOR_CODE, assemblies(VECTOR_CODE, target), strict=True):
        fused = re.findall(r"\tvfn?m(?:add|sub)\d+([ps])s\t(.*)", text)
        assert fused, routine
        assert all(kind == "p" and register in operands for kind, operands in fused), routine


PROCESSORS = {
    "haswell": (AVX2, 12), "znver3": (AVX2, 12), "alderlake": (AVX2, 12),
    "skylake-avx512": (AVX512, 24), "sapphirerapids": (AVX512, 24), "znver4": (AVX512, 24), "znver5": (AVX512, 24),
}  # fmt: skip
"""How their instructions are scheduled differs, and so what the compiler keeps where; beside it how many registers'
sums the widest tile for several rows has."""


@pytest.mark.skipif(not X86, reason="targets of x86-64")
@pytest.mark.parametrize("processor", PROCESSORS)
def test_no_tile_s_sums_leave_their_registers(processor: str) -> None:
    """Of all tiles that cover a product, whichever processor is compiled for: a loop over k loads and multiplies, and
    stores nothing. Sums that went through memory between two multiply-adds cost half of the speed on AVX2 once."""
    target, sums = PROCESSORS[processor]
    routines = ["_rows_narrow", "_one_row"] if target is AVX2 else ["_rows_wide", "_rows_last", "_one_row"]
    symbols = [f"{product.__name__}.{routine}" for routine in routines]
    found: list[int] = []
    for routine, text in zip(routines, assemblies(symbols, {**target, "NUMBA_CPU_NAME": processor}), strict=True):
        loops = [
            body
            for label, body in re.findall(r"^(\.LBB\w+):\n((?:\t(?!j)[^\n]*\n)+\tj\w+\t\.LBB\w+)$", text, re.M)
            if "vfmadd" in body and body.endswith(f"\t{label}")
        ]
        assert loops, routine
        found += [loop.count("vfmadd") for loop in loops]
        for loop in loops:
            assert not re.search(r"\tvmov\w+\t%[xyz]mm\d+, .*\(", loop), f"{routine} stores a sum:\n{loop}"
    assert any(count % sums == 0 for count in found), "the widest tile is among them, once or unrolled"


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
        Gru(33),
        Gru(20, reset="before"),
        Lstm(20, peepholes=True),
        Rnn(8),
        Within(4, Gru(3, "bidirectional")),
        Transpose(8),
        Gather((3, -1, *range(20))),
        Each(11, Lstm(2)),
        Dense(5),
        Softmax(),
    )
    specification = Sequential("x", Frames(9), layers, Outputs())
    made = compile_network(specification, random_weights(specification, 0)).program
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
    specification = Sequential("x", Frames(64), (Gru(256),), Outputs())
    made = compile_network(specification, random_weights(specification, 0)).program
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


def test_where_numba_may_not_compile_that_is_said() -> None:
    script = "from ostinato.kernels import warm_up\ntry: warm_up()\nexcept Exception as error: print(repr(error))"
    assert "InputError('NUMBA_DISABLE_JIT is set" in python("-c", script, NUMBA_DISABLE_JIT="1").stdout


def called(function: Any) -> set[str]:
    """Symbols of the routines that a Python function may call once it is compiled, and that its parts may."""
    found, waiting, seen = set[str](), [function], set[Any]()
    while waiting:
        now = waiting.pop()
        if isinstance(now, ExternalFunction):
            found.add(now.symbol)
        elif isinstance(now, Dispatcher):
            waiting.append(now.py_func)
        elif isinstance(now, FunctionType) and now not in seen:
            seen.add(now)
            names, cells = now.__code__.co_names, now.__closure__ or ()
            values = [now.__globals__.get(name) for name in names] + [cell.cell_contents for cell in cells]
            modules = [value for value in values if isinstance(value, ModuleType)]
            values += [vars(module).get(name) for module in modules for name in names]
            waiting += [value for value in values if isinstance(value, ExternalFunction | Dispatcher | FunctionType)]
    return found


def test_what_is_prepared_is_all_that_compiled_code_calls() -> None:
    """It goes by modules; here by each function's own code, and what it has in closures."""
    warm_up()
    functions = {name: routine._pyfunc for name, routine in compiler.routines.items()}
    functions |= {name: kernel.py_func for name, kernel in compiler.kernels.items()}
    calls = 0
    for name, function in functions.items():
        symbols = called(function)
        calls += len(symbols)
        modules = compiler.reached([name.rpartition(".")[0]])
        assert {symbol.rpartition(".")[0] for symbol in symbols} <= modules, name
    assert calls > 50


def test_whoever_calls_a_kernel_prepares_it() -> None:
    """Also where another has loaded it before: what is not loaded ends the process."""
    warm_up()
    names = {name.rpartition(".")[2] for name in compiler.kernels}
    count = 0
    for path in Path(ostinato.__file__).parent.rglob("*.py"):
        tree = ast.parse(path.read_text(encoding="utf-8"))
        froms = [node for node in ast.walk(tree) if isinstance(node, ast.ImportFrom)]
        kernels = {
            alias.name for node in froms if (node.module or "").startswith("ostinato.kernels.")
            for alias in node.names if f"{node.module}.{alias.name}" in compiler.kernels
        }  # fmt: skip
        if path.parent.name in ("kernels", "operations"):
            continue  # compiled code calls them there
        calls = [node for node in ast.walk(tree) if isinstance(node, ast.Call)]
        prepared = {
            argument.id for call in calls if isinstance(call.func, ast.Name) and call.func.id == "prepare"
            for argument in call.args if isinstance(argument, ast.Name)
        }  # fmt: skip
        count += len(kernels)
        assert kernels <= prepared & names, path
    assert count > 5
