"""What every test lives under: loopback only, limited time (pytest-timeout), in CI nothing skipped."""

from __future__ import annotations

import contextlib
import functools
import ipaddress
import os
import signal
import socket
import subprocess
import sys
import threading
from collections.abc import Callable, Iterator
from typing import Any

import pytest
from forked import Forked

# Hundreds of processes begin in these tests: what they load is compiled once, whatever the environment says.
os.environ.pop("PYTHONDONTWRITEBYTECODE", None)
sys.dont_write_bytecode = False

# What a script runs in the background ignores Ctrl-C, and so does all that it starts: tests that interrupt a process
# would wait for it forever.
if signal.getsignal(signal.SIGINT) is signal.SIG_IGN and threading.current_thread() is threading.main_thread():
    signal.signal(signal.SIGINT, signal.default_int_handler)

IN_CI = os.environ.get("CI") == "true"


@pytest.fixture(autouse=True, scope="session")
def loopback_only() -> Iterator[None]:
    """Python's own sockets connect to this machine only: no test may need the network."""
    connect = socket.socket.connect

    def guarded(self: socket.socket, address: Any) -> None:
        if self.family in (socket.AF_INET, socket.AF_INET6):
            host = address[0]
            if host != "localhost" and not ipaddress.ip_address(host).is_loopback:
                raise RuntimeError(f"a test tried to reach {host}: tests stay on loopback")
        connect(self, address)

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(socket.socket, "connect", guarded)
        yield


LONG = (
    "kernels_compilation", "cli_listen", "kernels_cache", "cli_compare", "cli_output_files", "cli_heads",
    "cli_quantize", "cli_readme", "client_examples", "docs_own_model", "cli_usage", "kinds",
)  # fmt: skip
"""Tests whose files take long, the longest first."""


def pytest_collection_modifyitems(config: pytest.Config, items: list[pytest.Item]) -> None:
    """Workers, who take a file at a time, begin with the long ones, so that none is left over at the end."""
    if hasattr(config, "workerinput"):
        rank = {f"test_{name}.py": number for number, name in enumerate(LONG)}
        items.sort(key=lambda item: rank.get(item.path.name, len(LONG)))


def pytest_terminal_summary(terminalreporter: pytest.TerminalReporter) -> None:
    """In CI a skipped test is a failure: the machine lacks something that .ci/run should have installed."""
    skipped = terminalreporter.stats.get("skipped", [])
    if IN_CI and skipped:
        terminalreporter.write_line(f"{len(skipped)} skipped: in CI (CI=true) nothing may be skipped", red=True)


@pytest.hookimpl(trylast=True)
def pytest_sessionfinish(session: pytest.Session) -> None:
    """Turn a pass with skips into a failure in CI; acts in the controlling process, which sees all reports."""
    reporter = session.config.pluginmanager.get_plugin("terminalreporter")
    if IN_CI and reporter is not None and reporter.stats.get("skipped") and session.exitstatus == 0:
        session.exitstatus = pytest.ExitCode.TESTS_FAILED


@pytest.fixture(scope="session")
def program() -> Iterator[Callable[..., subprocess.CompletedProcess[str]]]:
    """Runs ``python -c code arguments`` in a process of its own: ``program(code, *arguments, cwd=folder)``.

    Forked from one that has loaded the kernels; from nothing where the environment is another, or ``fresh``.
    """
    with contextlib.closing(Forked()) as forked:

        def run(
            code: str, *arguments: object, fresh: bool = False, **settings: Any
        ) -> subprocess.CompletedProcess[str]:
            words = [*map(str, arguments)]
            given: dict[str, Any] = {"env": os.environ | {"COLUMNS": "160"}, "timeout": 100} | settings
            if not fresh and "encoding" not in given and forked.takes(given["env"]):
                return forked.run(code, words, **given)
            given = {"stdin": subprocess.DEVNULL, "text": True} | given
            return subprocess.run([sys.executable, "-c", code, *words], capture_output=True, **given)

        yield run


@pytest.fixture(scope="session")
def ostinato(program: Callable[..., subprocess.CompletedProcess[str]]) -> Callable[..., Any]:
    """Runs the command as a user would: ``ostinato("models", "--models", folder)``; else like `program`."""
    return functools.partial(program, "from ostinato.cli import main; main()")
