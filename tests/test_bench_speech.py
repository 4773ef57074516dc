"""What the recipe for speech measured, as tables and as a picture."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from ostinato_bench import speech


def rate(value: float) -> dict[str, Any]:
    return {"said": 1000, "errors": round(1000 * value), "rate": value, "low": value - 0.02, "high": value + 0.03}


def way(name: str, head: str, wrong: float, wait: float, lookahead: float | None = None) -> dict[str, Any]:
    return {
        "name": name, "head": head, "block_ms": None if lookahead is None else 300.0, "lookahead_ms": lookahead,
        "delay_ms": wait, "wait_ms": [wait, 2 * wait], "characters": rate(wrong), "words": rate(2 * wrong),
    }  # fmt: skip


def result(name: str, *ways: dict[str, Any]) -> dict[str, Any]:
    return {
        "model": f"speech-cs-{name}", "steps": 4200, "weights": 1365451, "clips": {"test": 180},
        "validation": {"best_path": 0.31, "beam": 0.28}, "language_model": {"weight": 0.6, "bonus": 1.0},
        "ways": list(ways), "sessions": {"clips": 180, "ends": 190, "in_pauses": 176, "characters": rate(0.3)},
        "hotwords": {
            "words": 64, "boost": 6.0, "errors": {"without": rate(0.6), "with": rate(0.5)},
            "without": {"said": 70, "right": 10, "wrongly": 0}, "with": {"said": 70, "right": 40, "wrongly": 3},
        },
    }  # fmt: skip


UNI = result("uni", way("at once", "main", 0.3, 210), way("at once", "greedy", 0.35, 40))
BI = result(
    "bi",
    way("300 ms", "main", 0.25, 500, 300.0), way("300 ms", "greedy", 0.28, 450, 300.0),
    way("whole", "main", 0.2, 1500), way("whole", "greedy", 0.22, 1500),
)  # fmt: skip


def test_tables() -> None:
    lines = speech.errors(UNI, BI).splitlines()
    assert len(lines) == 5
    assert lines[2] == (
        "| unidirectional | at once | 35.0% (33.0% to 38.0%) | 30.0% (28.0% to 33.0%) | 70.0% (68.0% to 73.0%) "
        "| 60.0% (58.0% to 63.0%) | 40 ms / 80 ms | 210 ms / 420 ms |"
    )
    assert "look-ahead 300 ms" in lines[3] and "after the utterance" in lines[4]
    assert "| unidirectional | 1,365,451 | 4,200 | 31.0% | 28.0% | 0.6 | 1 |" in speech.made(UNI)
    assert "| bidirectional | 176 of 180 | 190 | 30.0% (28.0% to 33.0%) |" in speech.sessions(BI)
    assert "| unidirectional | with | 40 of 70 | 3 | 50.0% (48.0% to 53.0%) |" in speech.hotwords(UNI)


def test_the_picture_is_drawn(tmp_path: Path) -> None:
    speech.draw([UNI, BI], tmp_path / "speech.png")
    assert (tmp_path / "speech.png").stat().st_size > 20_000
