"""Models from elsewhere: what a file is is found by its content, it becomes a network, and that is compared with the
source's own numbers before anything is written.

    imported = import_model("kws.onnx")
    imported.network, imported.decisions, imported.parity
    ostinato.model.write("kws.safetensors", imported.network)

    file ── format (`formats`) ──> draft: network, decisions, source ── parity ──> imported

A format is one room here: it turns a file into a `Draft`. What all share: `builder` (nodes and weights become a
network), `settings` (what a user adds to the file), `source` (the numbers that a model had at home), `parity`.
"""

from ostinato.importing.draft import Decision, Draft
from ostinato.importing.parity import Parity
from ostinato.importing.reading import Imported, draft_settings, import_model, verify
from ostinato.importing.settings import Settings
from ostinato.importing.source import Source

__all__ = [
    "import_model",
    "draft_settings",
    "verify",
    "Imported",
    "Settings",
    "Decision",
    "Draft",
    "Parity",
    "Source",
]
