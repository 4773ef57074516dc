"""Neural Amp Modeler's files: an architecture, its settings, and all its weights in one list."""

from __future__ import annotations

from pathlib import Path

from ostinato.errors import ForeignModelError
from ostinato.importing.audio_json import document, nam_linear, nam_lstm, nam_wave_net, sound
from ostinato.importing.audio_json.document import Document
from ostinato.importing.audio_json.weight_list import WeightList
from ostinato.importing.builder import Builder
from ostinato.importing.draft import Decision, Draft
from ostinato.importing.settings import Settings
from ostinato.model.specification import FRAMES

ARCHITECTURES = {
    "LSTM": nam_lstm.build,
    "WaveNet": nam_wave_net.build,
    "Linear": nam_linear.build,
}
"""By their name in a file: what makes nodes of its settings and weights, above "frames"; the last node, and what was
decided."""
_NOT_READ = {
    "ConvNet": "export a WaveNet or LSTM from the trainer",
    "SlimmableContainer": "it holds several networks: save one, a field 'model' in it, as a .nam of its own",
}


def draft(path: Path, settings: Settings) -> Draft:
    """As `ostinato.importing.formats` wants it."""
    settings.known()
    file = document.read(path)
    architecture = file.take("architecture", str)
    if architecture not in ARCHITECTURES:
        cure = _NOT_READ.get(architecture, f"those that are read are {', '.join(ARCHITECTURES)}")
        raise ForeignModelError(f"architecture {architecture!r} is not read here: {cure}")
    version = file.get("version", str, "")
    said = sound.card(Document(file.get("metadata", dict, {}), "metadata"))
    config, rate = file.document("config"), file.get("sample_rate", float, 0.0)
    weights = WeightList(file.array("weights"))
    file.drop("notes")
    file.end("take it out if it is no part of the network")
    channels = config.size("in_channels", 1)
    builder = Builder(sound.front_end(settings, channels, rate or sound.USUAL_RATE))
    node, decisions = ARCHITECTURES[architecture](config, weights, builder, FRAMES)
    config.end(f"architecture {architecture} has settings here that are not read (file version {version or '?'})")
    weights.end()
    how = "as the file says" if rate else "which the file does not say: models of amplifiers are made at that rate"
    decisions = [
        Decision("architecture", f"{architecture} of a file of version {version or '?'}"),
        Decision("sample rate", f"{rate or sound.USUAL_RATE:g} Hz, {how}"),
        *decisions,
    ]
    return sound.draft(builder, settings, node, path, said, decisions)
