"""PortAudio, loaded only when a microphone or a loudspeaker is used."""

from __future__ import annotations

from typing import Any

from ostinato.errors import AudioDeviceError


def load() -> Any:
    """The package sounddevice. Raises AudioDeviceError, with the cure, where sound does not work."""
    try:
        import sounddevice
    except OSError as error:
        raise AudioDeviceError(
            "PortAudio is missing, without which there is no microphone: install it (Debian, Ubuntu: apt install "
            "libportaudio2; Fedora: dnf install portaudio; macOS: brew install portaudio), or read a file"
        ) from error
    except ImportError as error:
        raise AudioDeviceError("the package sounddevice is missing: pip install sounddevice") from error
    except Exception as error:  # its own PortAudioError, which cannot be named yet: PortAudio does not start
        raise AudioDeviceError(
            f"the sound system does not start ({error}): see that the sound server runs"
        ) from error
    return sounddevice
