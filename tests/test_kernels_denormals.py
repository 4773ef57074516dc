"""Numbers below 2^-126 are zeros in all kernels, whatever mode the thread is in; afterwards it is in the same mode.

The golden digest of such numbers, for several targets, is in test_kernels_compilation.
"""

from __future__ import annotations

import ctypes
import ctypes.util
import math
import platform
import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from fractions import Fraction
from typing import Any

import llvmlite.binding
import numpy as np
import numpy.typing as npt
import pytest
import reference
from golden_bits import around_the_smallest, decaying
from hypothesis import example, given, settings
from hypothesis import strategies as st
from llvmlite import ir

from ostinato.kernels import arrays, compiler, float_mode, warm_up
from ostinato.kernels.program import Program, Workspace, advance, advance_slice, bind
from ostinato.model.front_ends import LogMel
from ostinato.pipeline.front_ends.log_mel import LogMelFrontEnd
from ostinato_bench import bare

Floats = npt.NDArray[np.float32]
SMALLEST = 2.0**-126
ARM = platform.machine().lower() in ("aarch64", "arm64")
LINUX = sys.platform == "linux" and platform.machine().lower() in ("x86_64", "aarch64")
NETWORKS = [(frames, network) for frames, network in decaying(np.random.default_rng(5))]
KINDS = [
    f"{network.specification.nodes[0].layer.kind} {index // 2}, {'int8' if index % 2 else 'float32'}"
    for index, (_, network) in enumerate(NETWORKS)
]

# --- the mode -------------------------------------------------------------------------------------------------------

if ARM:
    MODES = {"as usual": 0, "flushing": 1 << 24, "upward": 1 << 22}
    CONTROL = 0x07FF9F00
else:
    MODES = {"as usual": 0x1F80, "flushing": 0x9FC0, "results": 0x9F80, "arguments": 0x1FC0, "upward": 0x5F80}
    CONTROL = 0xFFC0  # the rest are flags of what happened


def _environment() -> tuple[Any, Any]:
    """libm, and this thread's floating-point environment as its functions give it: the control word is the last of
    eight on x86-64, the first on ARM64."""
    libm = ctypes.CDLL(ctypes.util.find_library("m"))
    words = (ctypes.c_uint32 * 8)()
    assert libm.fegetenv(words) == 0
    return libm, words


def mode() -> int:
    return int(_environment()[1][0 if ARM else 7]) & CONTROL


@contextmanager
def in_mode(value: int) -> Iterator[None]:
    libm, words = _environment()
    before = bytes(words)
    words[0 if ARM else 7] = value
    libm.fesetenv(words)
    try:
        yield
    finally:
        libm.fesetenv(before)


def entries() -> dict[str, Callable[[], bytes]]:
    """Every way into the kernels, on numbers of which many are denormal."""
    tiny = around_the_smallest(np.random.default_rng(1), 500)
    low = np.linspace(-104, -86, 99).astype(np.float32)
    made: dict[str, Callable[[], bytes]] = {
        "log": lambda: arrays.log(np.abs(tiny)).tobytes(),
        "exp": lambda: arrays.exp(low).tobytes(),
        "activate": lambda: b"".join(arrays.activate(name, tiny).tobytes() for name in ("relu", "tanh", "softplus")),
    }
    packed = arrays.pack_matrix(np.ones((5, 20)))
    made["multiply"] = lambda: arrays.multiply(packed, tiny.reshape(-1, 5)).tobytes()
    front_end = LogMelFrontEnd(LogMel(sample_rate=8000, high_hz=4000.0, mels=20), {})

    def front(rate: int) -> bytes:
        state = front_end.start(rate)
        return front_end.step(state, tiny).tobytes() + front_end.flush(state).tobytes() + state.tail.tobytes()

    made |= {"log-mel": lambda: front(8000), "resampling": lambda: front(11025)}
    for kind, (frames, network) in zip(KINDS, NETWORKS, strict=True):
        program = network.program
        made[f"advance, {kind}"] = lambda program=program, frames=frames: b"".join(run(program, frames))
        made[f"slice, {kind}"] = lambda program=program, frames=frames: b"".join(run(program, frames, sliced=True))
        made[f"bind, {kind}"] = lambda program=program, frames=frames: b"".join(run_bound(program, frames[190:230]))
    return made


def run(program: Program, frames: Floats, *, sliced: bool = False) -> tuple[Floats, Floats]:
    """Outputs and state of one stream."""
    rows, state = program.new_rows(len(frames)), program.new_states(1)
    rows[:, program.input.slice] = frames
    arrays_ = (state, np.zeros(1, np.int64), np.ones(len(frames), np.int64), rows, Workspace())
    if sliced:
        advance_slice(program, 0, len(program.backward), *arrays_)
    else:
        advance(program, *arrays_)
    return np.ascontiguousarray(rows[:, program.output.slice]), state


def run_bound(program: Program, frames: Floats) -> tuple[Floats, Floats]:
    rows, state = program.new_rows(1), program.new_states(1)
    call = bind(program, state, np.zeros(1, np.int64), np.ones(1, np.int64), rows)
    outputs = []
    for frame in frames:
        rows[0, program.input.slice] = frame
        call()
        outputs.append(rows[0, program.output.slice].copy())
    return np.array(outputs), state


@pytest.mark.skipif(not LINUX, reason="sets the thread's mode by libm")
@pytest.mark.parametrize("name", MODES)
def test_the_thread_s_mode_neither_matters_nor_changes(name: str) -> None:
    for what, call in entries().items():
        if name == "upward" and what in ("log-mel", "resampling"):
            continue  # nobody rounds so, and these have some NumPy between the kernels
        with in_mode(MODES["as usual"]):
            usual = call()
        with in_mode(MODES[name]):
            found, after = call(), mode()
        assert found == usual, what
        assert after == MODES[name], what


@pytest.mark.skipif(not LINUX, reason="sets the thread's mode by libm")
@pytest.mark.parametrize("name", MODES)
def test_the_mode_is_put_back_after_an_error(name: str) -> None:
    program = NETWORKS[0][1].program
    one = np.ones(1, np.int64)
    call = bind(program, program.new_states(1), one, one, program.new_rows(1))
    with in_mode(MODES[name]):
        with pytest.raises(ValueError, match="slot is not a row"):
            advance(program, program.new_states(1), one, one, program.new_rows(1), Workspace())
        with pytest.raises(ValueError, match="slot is not a row"):
            call()
        assert mode() == MODES[name]


def test_every_kernel_sets_the_mode() -> None:
    """Those that come later too: there is no other way to make one."""
    warm_up()
    assert len(compiler.kernels) > 5
    for dispatcher in compiler.kernels.values():
        assert dispatcher._compiler.pipeline_class is float_mode.KernelCompiler


def test_compiled_code_that_calls_a_kernel_has_it_run_in_the_mode() -> None:
    frames, network = NETWORKS[0]
    program = network.program
    rows, state, workspace = program.new_rows(1), program.new_states(1), Workspace()
    rows[0, program.input.slice] = frames[0]
    slots, sizes = np.zeros(1, np.int64), np.ones(1, np.int64)  # kept: the call has their addresses
    advance(program, state, slots, sizes, rows, workspace)
    rows[0, program.input.slice] = 0
    steps = bare.steps(workspace)
    assert state.any()
    steps()
    for _ in range(bare.STEPS):  # what is left after the first hundred steps is below 2^-100, and passes 2^-126
        assert not denormal(state)
        bare.advance(workspace.address, 1)
    assert not state.any()


@pytest.mark.parametrize(
    ("triple", "instruction"),
    [
        ("x86_64-unknown-linux-gnu", "llvm.x86.sse.ldmxcsr"),
        ("aarch64-unknown-linux-gnu", "llvm.aarch64.set.fpcr"),
        ("arm64-apple-darwin23", "llvm.aarch64.set.fpcr"),
    ],
)
def test_the_mode_is_set_before_the_code_and_put_back_behind_it(triple: str, instruction: str) -> None:
    module = ir.Module("m")
    module.triple = triple
    kind = ir.FunctionType(ir.FloatType(), [ir.FloatType()])
    entry, body = ir.Function(module, kind, "kernel"), ir.Function(module, kind, "kernel.body")
    float_mode.emit_entry(entry, body)
    block = ir.IRBuilder(body.append_basic_block())
    block.ret(block.fmul(*body.args, *body.args))
    llvmlite.binding.parse_assembly(str(module)).verify()
    calls = [str(line) for line in entry.blocks[0].instructions if line.opname == "call"]
    order = ["set" if instruction in call else "code" if '@"kernel.body"' in call else "" for call in calls]
    assert [step for step in order if step] == ["set", "code", "set"]
    assert "noinline" in body.attributes


# --- what it does ---------------------------------------------------------------------------------------------------


def denormal(x: Floats) -> bool:
    return bool(((x != 0) & (np.abs(x) < SMALLEST)).any())


@pytest.mark.parametrize("index", range(len(NETWORKS)), ids=KINDS)
def test_a_state_that_decays_becomes_zero(index: int) -> None:
    """What is slow on many processors, and dragged a whole batch along: no output or state is ever denormal."""
    frames, network = NETWORKS[index]
    outputs, _ = run(network.program, frames)
    assert outputs[4].any()
    assert not outputs[180].any() or np.abs(outputs[180]).max() >= SMALLEST
    assert not outputs[-1].any()
    for end in range(5, len(frames), 9):
        found, state = run(network.program, frames[:end])
        assert not denormal(found)
        assert not denormal(state)


@pytest.mark.parametrize("index", range(0, len(NETWORKS), 2), ids=KINDS[::2])
def test_down_to_the_smallest_number_states_are_those_of_the_formulas(index: int) -> None:
    frames, network = NETWORKS[index]
    found, _ = run(network.program, frames[:200])
    exact = reference.run(network.specification, network.weights, frames[:200])
    size = np.abs(exact).max(axis=1, keepdims=True)
    assert size.max() > 0.01
    assert size.min() < 2.0**-126
    assert (np.abs(found - exact) <= 1e-4 * size + 4 * SMALLEST).all()


def test_one_silent_stream_in_a_batch_changes_no_bit_of_the_others() -> None:
    frames, network = NETWORKS[0]
    program = network.program
    loud = np.random.default_rng(8).uniform(-1, 1, frames.shape).astype(np.float32)
    rows, state = program.new_rows(2 * len(frames)), program.new_states(2)
    rows[0::2, program.input.slice], rows[1::2, program.input.slice] = loud, frames
    advance(program, state, np.arange(2), np.full(len(frames), 2, np.int64), rows, Workspace())
    for first, own in ((0, loud), (1, frames)):
        together = np.ascontiguousarray(rows[first::2, program.output.slice])
        assert together.tobytes() == run(program, own)[0].tobytes()


def flush(x: float) -> Fraction:
    return Fraction(0) if abs(x) < SMALLEST else Fraction(x)


def rounded(exact: Fraction) -> float:
    """To 24 bits, half to even, as if exponents had no end; then zero below 2^-126. ARM looks before it rounds."""
    if exact == 0 or (ARM and abs(exact) < Fraction(SMALLEST)):
        return 0.0
    power = math.floor(math.log2(abs(exact)))
    power += (abs(exact) >= Fraction(2) ** (power + 1)) - (abs(exact) < Fraction(2) ** power)
    unit = Fraction(2) ** (power - 23)
    return float(flush(float(round(exact / unit) * unit)))


mantissas = st.one_of(st.integers(1 << 23, (1 << 24) - 1), st.sampled_from((1 << 23, (1 << 24) - 1, 3 << 22)))
signs = st.sampled_from((-1, 1))
tiny = st.builds(lambda sign, bits: sign * float(np.uint32(bits).view(np.float32)), signs, st.integers(0, 6 << 23))


@settings(deadline=None, max_examples=400)
@given(mantissas, mantissas, signs, st.integers(-126, -1), st.integers(-4, 4), tiny)
@example(1 << 23, (1 << 24) - 1, 1, -60, -1, 0.0)  # 2^-126 less half a unit: rounds up to 2^-126
@example(1 << 23, (1 << 24) - 1, 1, -60, -1, -1e-45)
def test_a_multiply_add_around_the_smallest_number(
    x_bits: int, y_bits: int, sign: int, power: int, around: int, z: float
) -> None:
    x = sign * math.ldexp(x_bits, power - 23)
    y = math.ldexp(y_bits, min(-126 + around - power, 0) - 23)
    found = arrays.multiply(arrays.pack_matrix([[y]], [z]), [[x]]).item()
    x32, y32 = float(np.float32(x)), float(np.float32(y))
    assert found == rounded(flush(x32) * flush(y32) + flush(z))


def test_what_an_activation_passes_on_is_flushed_too() -> None:
    """Some hosts' minimum and maximum flush, blends and copies do not."""
    found = arrays.activate("identity", np.array([1e-40, -1e-40, 2e-38, -0.0], np.float32))
    assert found.tobytes() == np.array([0, -0.0, 2e-38, -0.0], np.float32).tobytes()
