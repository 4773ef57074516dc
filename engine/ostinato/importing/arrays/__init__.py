"""Arrays by name become a network by what a user says of them: nodes, heads, and which array is which weight.

    file ── `npz`, `tensors`, `ostinato.importing.pytorch.file` ──> contents ── settings (`nodes`) ──> draft

How a weight is made of arrays (parts, sides, orders of gates) is in `expressions`; docs/import.md shows it.
"""
