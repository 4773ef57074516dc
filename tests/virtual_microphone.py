"""A microphone for machines without one: a private PulseAudio whose loudspeaker is what its microphone hears.

    python tests/virtual_microphone.py --play speech.wav -- ostinato listen digits-uni --seconds 12

runs the command with that microphone as the default one and plays the recording into it. Nothing outside a folder of
its own is touched: there live the daemon's socket and ALSA settings that lead to it (Debian's PortAudio speaks
ALSA, not PulseAudio).
"""

from __future__ import annotations

import argparse
import functools
import os
import shutil
import subprocess
import sys
import tempfile
import time
from pathlib import Path
from types import TracebackType
from typing import Self

# norewinds: without it the null sink takes back what it had given out already, and the monitor hears a stutter.
PULSE = """\
load-module module-native-protocol-unix auth-anonymous=1 socket={folder}/socket
load-module module-null-sink sink_name=loudspeaker rate=48000 channels=1 norewinds=1
load-module module-remap-source source_name=microphone master=loudspeaker.monitor
set-default-sink loudspeaker
set-default-source microphone
"""
ALSA = """\
pcm.!default { type pulse }
ctl.!default { type pulse }
"""
SYSTEM_ALSA = Path("/usr/share/alsa/alsa.conf")
START_S = 20.0


@functools.cache
def missing() -> str | None:
    """What this machine lacks for a virtual microphone, or None."""
    lacking = [program for program in ("pulseaudio", "pactl", "paplay") if shutil.which(program) is None]
    if not SYSTEM_ALSA.exists() or not list(Path("/usr/lib").glob("**/alsa-lib/libasound_module_pcm_pulse.so")):
        lacking.append("ALSA's PulseAudio plugin (libasound2-plugins)")
    try:
        import sounddevice  # noqa: F401
    except OSError:
        lacking.append("PortAudio (libportaudio2)")
    return ", ".join(lacking) or None


class VirtualMicrophone:
    """Started by ``with``; ``environment`` is what a process needs in order to hear it."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.environment = os.environ | {
            "PULSE_RUNTIME_PATH": str(folder),
            "PULSE_STATE_PATH": str(folder / "state"),
            "PULSE_COOKIE": str(folder / "cookie"),
            "PULSE_SERVER": f"unix:{folder}/socket",
            "ALSA_CONFIG_PATH": f"{SYSTEM_ALSA}:{folder}/alsa.conf",
        }
        self._daemon: subprocess.Popen[bytes] | None = None

    def __enter__(self) -> Self:
        self.folder.chmod(0o700)
        (self.folder / "state").mkdir()
        (self.folder / "alsa.conf").write_text(ALSA)
        (self.folder / "pulse.pa").write_text(PULSE.format(folder=self.folder))
        with (self.folder / "log").open("wb") as log:
            self._daemon = subprocess.Popen(
                ["pulseaudio", "-n", "-F", str(self.folder / "pulse.pa"), "--daemonize=no", "--use-pid-file=no",
                 "--exit-idle-time=-1", "--disallow-exit=yes", "--log-target=stderr"],
                env=self.environment, stdin=subprocess.DEVNULL, stdout=log, stderr=log,
            )  # fmt: skip
        deadline = time.monotonic() + START_S
        while subprocess.run(
            ["pactl", "info"], env=self.environment, capture_output=True, timeout=START_S
        ).returncode:
            if self._daemon.poll() is not None or time.monotonic() > deadline:
                self.__exit__(None, None, None)
                raise RuntimeError(f"PulseAudio did not start:\n{(self.folder / 'log').read_text()}")
            time.sleep(0.05)
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        if self._daemon is not None:
            self._daemon.terminate()
            try:
                self._daemon.wait(5)
            except subprocess.TimeoutExpired:
                self._daemon.kill()
                self._daemon.wait()
            self._daemon = None

    def vanish(self) -> None:
        """The sound server dies, as when a microphone is pulled out."""
        assert self._daemon is not None
        self._daemon.kill()
        self._daemon.wait()

    def play(self, recording: Path) -> subprocess.Popen[bytes]:
        """Begin to play a recording into the microphone; the process ends with the sound."""
        return subprocess.Popen(["paplay", str(recording)], env=self.environment)

    def being_recorded(self) -> bool:
        """Whether some process listens to the microphone."""
        listed = subprocess.run(
            ["pactl", "list", "short", "source-outputs"],
            env=self.environment,
            capture_output=True,
            text=True,
            timeout=10,
        )
        # Columns: number, source, client, …; the microphone itself listens to the loudspeaker, but is no client.
        return any(line.split("\t")[2] != "-" for line in listed.stdout.splitlines())


def main() -> int:
    """Run a command with a virtual microphone, and play a recording into it once it listens."""
    parser = argparse.ArgumentParser(description="Run a command with a virtual microphone.")
    parser.add_argument("--play", type=Path, metavar="FILE", help="a recording to play once the command listens")
    parser.add_argument("command", nargs="+", help="the command and its arguments, after --")
    given = parser.parse_args()
    if lacking := missing():
        print(f"This machine lacks {lacking}.", file=sys.stderr)
        return 1
    with tempfile.TemporaryDirectory(prefix="microphone-") as folder, VirtualMicrophone(Path(folder)) as microphone:
        command = subprocess.Popen(given.command, env=microphone.environment)
        try:
            while command.poll() is None and not microphone.being_recorded():
                time.sleep(0.05)
            if given.play and command.poll() is None:
                microphone.play(given.play).wait()
            return command.wait()
        except KeyboardInterrupt:
            return command.wait()


if __name__ == "__main__":
    sys.exit(main())
