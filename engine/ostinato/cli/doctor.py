"""``ostinato doctor``: does this machine have what Ostinato needs, and does Ostinato keep its promises on it?"""

from __future__ import annotations

import dataclasses
import platform
import sys
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from importlib.metadata import version
from typing import Literal

import typer
from rich.markup import escape

from ostinato.cli.console import out
from ostinato.cli.output_files import print_json
from ostinato.errors import AudioDeviceError, OstinatoError, did_you_mean
from ostinato_bench.terminal import Table

Verdict = Literal["well", "poor", "broken"]
MARKS = {"well": "[green]✓[/]", "poor": "[yellow]![/]", "broken": "[bold red]✗[/]"}


@dataclass(frozen=True)
class Finding:
    """One thing examined. "poor" means that something optional is missing; only "broken" makes the command fail."""

    verdict: Verdict
    text: str
    cure: str = ""


def examine(only: str | None, as_json: bool) -> int:
    """Examine all topics, or one; print what was found. The exit code: 1 if something is broken."""
    if only is not None and only not in TOPICS:
        known = ", ".join(TOPICS)
        raise typer.BadParameter(f"{only!r} is not one of {known}{did_you_mean(only, TOPICS)}", param_hint="--only")
    broken = False
    collected = []
    for topic in [only] if only else TOPICS:
        if not as_json:
            out.print(f"[bold]{topic}[/]")
        for finding in _found(TOPICS[topic]):
            broken |= finding.verdict == "broken"
            if as_json:
                collected.append({"topic": topic, **dataclasses.asdict(finding)})
                continue
            shown = Table("verdict", "about", headings=False)
            shown.add_row(f"  {MARKS[finding.verdict]}", escape(finding.text))
            if finding.cure:
                shown.add_row("", f"[dim]{escape(finding.cure)}[/]")
            out.print(shown)
    if as_json:
        print_json({"broken": broken, "findings": collected}, indent=2)
    return int(broken)


def _found(topic: Callable[[], Iterator[Finding]]) -> Iterator[Finding]:
    """The topic's findings; what goes wrong unforeseen is one too: a doctor does not faint."""
    try:
        yield from topic()
    except OstinatoError as error:
        yield Finding("broken", str(error))
    except Exception as error:
        yield Finding("broken", f"{type(error).__name__}: {error}", "This is a fault of Ostinato: please report it.")


def _python() -> Iterator[Finding]:
    yield Finding("well", f"Python {platform.python_version()} in {sys.prefix}")
    yield Finding("well", ", ".join(f"{name} {version(name)}" for name in ("ostinato", "numpy", "numba", "llvmlite")))


def _kernels() -> Iterator[Finding]:
    import llvmlite.binding

    from ostinato import kernels
    from ostinato.kernels import arrays
    from ostinato_bench.machine import processor

    features = llvmlite.binding.get_host_cpu_features()
    useful = [name for name in ("avx512f", "avx2", "fma", "neon") if features.get(name)]
    yield Finding(
        "well", f"{processor()} ({llvmlite.binding.get_host_cpu_name()}): {', '.join(useful) or 'no vectors'}"
    )
    if not features.get("fma") and platform.machine() in ("x86_64", "AMD64"):
        yield Finding("poor", "this processor has no fused multiply-add: the kernels work, but slowly")
    kernels.warm_up()
    yield Finding("well", "the kernels are compiled, and cached where possible")
    if arrays.exp([-90.0]).any():
        yield Finding("poor", "numbers near zero are kept: a stream that falls silent may slow down all others")
    else:
        yield Finding("well", "numbers near zero are zeros in the kernels, whatever mode other libraries left")


def _models() -> Iterator[Finding]:
    from ostinato.cli.selftest import promises_kept
    from ostinato.model import available
    from ostinato.streaming import load

    found = available()
    if not found:
        yield Finding("poor", "no models are bundled", "ostinato train digits")
    for name, path in found.items():
        model = load(path)
        broken = promises_kept(model)
        if broken is None:
            yield Finding("well", f"{name}: the same bits however the input is cut, alone and in company")
        else:
            yield Finding(
                "broken", f"{name}: {broken}", "The figures of this machine cannot be trusted: please report it."
            )


def _audio() -> Iterator[Finding]:
    from ostinato_client import microphones

    try:
        found = microphones()
    except AudioDeviceError as error:
        yield Finding(
            "poor",
            f"no microphone can be used: {error}",
            "Files can: ostinato listen MODEL --file FILE. For a microphone on Debian and Ubuntu: "
            "apt install libportaudio2 libasound2-plugins",
        )
        return
    import sounddevice  # which `microphones` has loaded

    yield Finding("well", sounddevice.get_portaudio_version()[1])
    if not found:
        yield Finding("poor", "PortAudio sees no microphone", "Plug one in, or check that the sound server runs.")
    for microphone in found:
        yield Finding("well", f"{microphone}")


def _network() -> Iterator[Finding]:
    import zmq

    yield Finding("well", f"ZeroMQ {zmq.zmq_version()}, pyzmq {zmq.pyzmq_version()}")
    with zmq.Context() as context, context.socket(zmq.ROUTER) as router, context.socket(zmq.DEALER) as dealer:
        router.linger = dealer.linger = 0
        port = router.bind_to_random_port("tcp://127.0.0.1")
        dealer.connect(f"tcp://127.0.0.1:{port}")
        dealer.send(b"?")
        if router.poll(3000):
            router.send_multipart(router.recv_multipart())
        if dealer.poll(3000) and dealer.recv() == b"?":
            yield Finding("well", "messages over loopback come back")
        else:
            yield Finding("broken", "messages over loopback do not come back", "Look for a firewall on 127.0.0.1.")


TOPICS: dict[str, Callable[[], Iterator[Finding]]] = {
    "python": _python,
    "kernels": _kernels,
    "models": _models,
    "audio": _audio,
    "network": _network,
}
