"""ONNX: a graph is traced with elements in the place of values, and what it computes is read off.

file ── reading ──> graph ── plan, trace ──> terms ── states, cells, emission ──> network
"""

from ostinato.importing.onnx.drafting import draft

__all__ = ["draft"]
