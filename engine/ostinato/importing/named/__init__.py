"""Well-known models, by name: where they are published, and how they become networks. A model is a file here with a
`Named`, and one line in the table."""

from __future__ import annotations

from importlib import import_module
from typing import cast

from ostinato.errors import ForeignModelError, did_you_mean
from ostinato.importing.named.named import Named

_ROOMS = {
    "silero-vad": "silero_vad",
    "dtln": "dtln",
    "nsnet2": "nsnet2",
    "gtcrn": "gtcrn",
    "rnnoise": "rnnoise",
    "madmom:onsets": "madmom",
    "madmom:onsets-bi": "madmom",
    "madmom:beats": "madmom",
    "madmom:beats-bi": "madmom",
    "g2p-en": "g2p_en",
    "g2pm": "g2pm",
    "textgenrnn": "textgenrnn",
}
"""The room of each, by its name; loaded when it is asked for."""
NAMES = tuple(_ROOMS)


def well_known(name: str) -> Named:
    """The model of that name. Raises ForeignModelError."""
    if name not in _ROOMS:
        raise ForeignModelError(
            f"there is no file {name!r}, and no model of that name is known{did_you_mean(name, NAMES)}; known are "
            f"{', '.join(NAMES)}"
        )
    return cast("dict[str, Named]", import_module(f"{__name__}.{_ROOMS[name]}").MODELS)[name]
