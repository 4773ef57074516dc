"""What was measured, as tables, as a picture, in docs/performance.md, and of two commits."""

from __future__ import annotations

import ast
import io
import json
import os
import shutil
import subprocess
from collections.abc import Callable
from dataclasses import asdict
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from matplotlib.figure import Figure
from rich.console import Console

from ostinato.errors import InputError
from ostinato_bench import load_search, tables
from ostinato_bench.cells import CELLS, QUICK, Cell, Precision
from ostinato_bench.convolutions import CONVOLUTIONS
from ostinato_bench.kernels_picture import draw
from ostinato_bench.report import VIEWS, renew
from ostinato_bench.revisions import CELLS as COMPARED
from ostinato_bench.revisions import Compared, compare, table

ROOT = Path(__file__).parent.parent


def row(cell: Cell, ours_us: float = 2.0, **more: Any) -> dict[str, Any]:
    return (
        asdict(cell)
        | {
            "ours_us": ours_us,
            "ours_quartiles_us": [ours_us - 0.1, ours_us + 0.1],
            "peers": {"onnxruntime": 10.0},
            "gmacs": 20.0,
            "share_of_limit": 0.5,
        }
        | more
    )


def result() -> dict[str, Any]:
    rows = [
        row(Cell(kind, 40, hidden, batch=batch), ours_us=1.0 + hidden / 100 + batch / 3)  # type: ignore[arg-type]
        for kind in ("gru", "lstm", "rnn")
        for hidden in (16, 64, 256)
        for batch in (1, 8, 128)
    ]
    rows[0] |= {"step_us": 0.77}
    small: Precision = "int8"
    rows += [
        row(Cell("lstm", 40, 256, 2, batch=batch, precision=small), float32_us=7.0, peers={"onnxruntime-int8": 9.0})
        for batch in (1, 32)
    ]
    rows.append(
        row(
            Cell("gru", 40, 64, 1, "bidirectional", frames=500),
            ours_us=1200.0,
            whole_us=2000.0,
            peers={"onnxruntime": 4800.0, "onnxruntime-2-threads": 3000.0},
        )
    )
    return {
        "rows": rows,
        "limits": {"fma_gmacs": 50.0, "int8_gmacs": 120.0, "l1_gbs": 200.0, "l2_gbs": 100.0, "l3_gbs": 70.0},
        "missing": {},
        "machine": {
            "processor": "a processor",
            "instructions": ["avx2"],
            "cores": 2,
            "caches": {"l1": 32 << 10, "l2": 1 << 20, "l3": 8 << 20},
        },
        "versions": {"numpy": "2"},
        "date": "2026-11-25T03:00:00+00:00",
    }


def test_the_tables_of_the_terminal_fit_it() -> None:
    console = Console(width=90, record=True, file=open(os.devnull, "w"))  # noqa: SIM115, PTH123
    found = list(tables.terminal(result()))
    for each in found:
        console.print(each)
    console.file.close()
    text = console.export_text()
    assert len(found) == 3
    assert "…" not in text
    assert "LSTM 40 → 256 × 2" in text
    assert "from L1 / L2 / L3" in tables.legend(result())


def test_each_view_has_its_figures() -> None:
    assert "| GRU 40 → 16 | 1.49 | 0.77 | 10.0, **6.7 ×** | 50% |" in VIEWS["steps"](result())
    batches = VIEWS["batches"](result())
    assert "| network | B = 1 | B = 8 | B = 128 |" in batches
    assert batches.count("\n") == 1 + 9
    assert "2.00 µs, 3.5 × float32, **4.5 ×**, 50%" in VIEWS["int8"](result())
    assert "| 4,800, **4.0 ×** | 3,000, **2.5 ×** |" in VIEWS["bidirectional"](result())
    assert "| reading L2 (1 MB) | 100 GB/s |" in VIEWS["limits"](result())
    assert VIEWS["source"](result()) == "2026-11-25, a processor (avx2), 2 cores; numpy 2."
    assert VIEWS["int8"](result() | {"rows": []}) == "Not measured."


def test_convolutions_have_tables_of_their_own() -> None:
    made = [
        asdict(each) | {"name": each.name, "ours_us": 0.5 * each.batch, "ours_quartiles_us": [0.4, 0.6],
                        "peers": {"onnxruntime": 10.0, "onnxruntime-bound": 2.0}, "gmacs": 3.0}
        for each in CONVOLUTIONS
    ]  # fmt: skip
    made[0]["step_us"] = 0.25
    found = result() | {"convolutions": made}
    table = VIEWS["convolutions"](found)
    assert "| convolution 64 → 64, k = 3 | 1 | 0.50 | 0.25 | 10.0, **20.0 ×** | 2.00, **4.0 ×** |" in table
    assert "| depthwise 64, k = 5 | 8 | 4.00 |  | 10.0, **2.5 ×** | 2.00, **0.50 ×** |" in table
    assert VIEWS["convolutions"](result()) == "Not measured."  # before there were any
    console = Console(width=90, record=True, file=io.StringIO())
    for each in list(tables.terminal(found))[3:]:
        console.print(each)
    text = console.export_text()
    assert text.startswith("One frame through a causal convolution")
    assert "depthwise 64, k = 5" in text
    assert "limit" not in text
    alone = VIEWS["steps"](found), VIEWS["batches"](found)
    assert alone == (VIEWS["steps"](result()), VIEWS["batches"](result()))


def test_rows_near_silence_are_told_from_the_others() -> None:
    """They stand in the tables beside the usual frames of the same network, and never in its place."""
    quiet = [row(Cell("gru", 40, 16, batch=batch, near_silence=True), ours_us=1.6) for batch in (1, 8)]
    whole = result() | {"rows": [*result()["rows"], *quiet]}
    assert "| GRU 40 → 16, near silence | 1.60 |" in VIEWS["steps"](whole)
    batches = VIEWS["batches"](whole)
    assert "| GRU 40 → 16, near silence | 1.60 µs" in batches
    assert batches.count("\n") == 1 + 9 + 1
    assert {cell.near_silence for cell in (*CELLS, *QUICK, *COMPARED)} == {True, False}
    frames = Cell("gru", 3, 16, batch=2, near_silence=True).input_frames()
    assert frames.shape == (1, 2, 3)
    assert ((frames > 0) & (frames < np.finfo(np.float32).smallest_normal)).all()


def test_a_document_gets_its_tables(tmp_path: Path) -> None:
    (tmp_path / "found.json").write_text(json.dumps(result()))
    begins = ("<!-- table limits found.json -->", "<!-- table source found.json -->")
    document = f"Before\n{begins[0]}\nold\n<!-- end -->\nbetween\n{begins[1]}\n<!-- end -->\nafter\n"
    renewed = renew(document, tmp_path)
    assert "old" not in renewed
    assert "50 GMAC/s" in renewed
    assert renewed.startswith("Before\n<!-- table limits found.json -->\n| one core")
    assert renew(renewed, tmp_path) == renewed
    with pytest.raises(ValueError, match="no table 'graphs'"):
        renew(document.replace("limits", "graphs"), tmp_path)


@pytest.mark.parametrize(
    ("name", "table"),
    [
        ("docs/performance.md", "steps"),
        ("docs/published.md", "published-files"),
        ("docs/music.md", "music"),
        ("docs/recipes.md", "tunes-gaps"),
        ("README.md", "compare-short"),
    ],
)
def test_the_document_has_the_figures_of_its_files(name: str, table: str) -> None:
    document = ROOT / name
    text = document.read_text(encoding="utf-8")
    assert f"<!-- table {table} " in text
    assert renew(text, document.parent) == text, f"{name} is older than its files: make report"


def compared() -> dict[str, Any]:
    def model(name: str, delay: float | None, block: float | None, latency: float, decided: float) -> dict[str, Any]:
        return {
            "name": name, "delay_ms": delay, "block_ms": block, "first_result_ms": 840.0, "state_bytes": 1792,
            "latency_ms": {"p50": latency, "p90": latency + 40, "max": latency + 50}, "decided_ms": {"p50": decided},
            "counted_words": 6, "words": [{}] * 7,
        }  # fmt: skip

    ways = [("uni", None), ("bi", 120.0), ("bi", None)]
    return {
        "audio": {"name": "a.wav", "seconds": 6.88, "words_from": "given in a.words.tsv"},
        "models": [
            model("uni", 0.0, None, -205.0, -220.0),
            model("bi", 390.0, 120.0, -8.0, -520.0),
            model("bi", None, None, 2900.0, -520.0),
        ],
        "by_length": [
            {"name": name, "block_ms": block, "seconds": 30.0, "final_ms": 2.0 * number}
            for number, (name, block) in enumerate(ways)
        ],
        "conclusions": ["bi in blocks is as good."],
        "machine": {"processor": "a processor", "cores": 2, "load": 0.4},
        "date": "2026-11-25T03:00:00+00:00",
    }


def test_a_comparison_has_a_column_for_each_way_of_a_model() -> None:
    for view in ("compare", "compare-short"):
        table = VIEWS[view](compared())
        assert table.startswith("|  | `uni` | `bi` in blocks | `bi` |")
        assert "| from a word's end to shown, median | −205 ms | −8.0 ms | 2.90 s |" in table
        assert "| from a word's end to deciding on it, median | −220 ms | −520 ms | −520 ms |" in table
        assert "| computing left after 30 s of speech | 0.0 ms | 2.0 ms | 4.0 ms |" in table
    assert "| over the right ones of the words shown | 6 of 7 | 6 of 7 | 6 of 7 |" in VIEWS["compare"](compared())
    quiet = VIEWS["compare-source"](compared())
    assert quiet == (
        "a.wav, 6.9 s, measured on 25 November 2026 on 2 cores of a processor; where its words end: given in "
        "a.words.tsv."
    )
    found = compared()
    found["machine"]["load"] = 8.4
    assert "with others at work on them (load 8.4)" in VIEWS["compare-source"](found)
    assert VIEWS["compare-conclusions"](found) == "bi in blocks is as good."


@pytest.mark.parametrize("kinds", [("gru", "lstm", "rnn"), ("gru",)])
def test_the_picture(tmp_path: Path, kinds: tuple[str, ...]) -> None:
    found = result()
    found["rows"] = [each for each in found["rows"] if each["cell"] in kinds]
    draw(found, tmp_path / "kernels.png")
    assert (tmp_path / "kernels.png").read_bytes().startswith(b"\x89PNG")


def test_a_picture_of_nothing(tmp_path: Path) -> None:
    with pytest.raises(InputError, match="nothing to draw"):
        draw(result() | {"rows": [row(Cell("gru", 40, 64))]}, tmp_path / "kernels.png")


# --- two commits ----------------------------------------------------------------------------------------------------


def test_only_what_is_beyond_the_noise_is_marked() -> None:
    cell = Cell("gru", 40, 64)
    assert Compared(cell, (10.0, 10.2, 10.4), (8.0, 8.1, 9.9)).verdict == "faster"
    assert Compared(cell, (10.0, 10.2, 10.4), (11.0, 11.1, 12.0)).verdict == "slower"
    assert Compared(cell, (10.0, 10.2, 10.4), (8.0, 8.1, 10.1)).verdict == ""  # one process of each says otherwise
    assert Compared(cell, (10.0, 10.0, 10.0), (9.9, 9.9, 9.9)).verdict == ""  # too little to matter
    one = Compared(cell, (10.0, 20.0), (5.0, 8.0))
    assert one.ratio == pytest.approx(6.5 / 15)
    assert one.spread == (0.25, 0.8)


@pytest.fixture
def repository(tmp_path: Path) -> Path:
    """A repository whose one commit has this tree's sources."""
    root = tmp_path / "repository"
    for name in ("engine", "clients", "bench"):
        shutil.copytree(
            ROOT / name, root / name, ignore=shutil.ignore_patterns("__pycache__", "*.safetensors", "*.wav")
        )
    git = ["git", "-c", "user.name=Nobody", "-c", "user.email=nobody@localhost", "-C", str(root)]
    for command in (["init", "-q"], ["add", "."], ["commit", "-q", "-m", "All"]):
        subprocess.run([*git, *command], check=True, timeout=60)
    return root


def test_two_commits(repository: Path, tmp_path: Path) -> None:
    said: list[str] = []
    cache = Path(os.environ.get("XDG_CACHE_HOME") or Path("~/.cache").expanduser())
    cells = [Cell("gru", 4, 16), Cell("lstm", 4, 16, batch=3)]
    before = set(repository.iterdir())
    found = compare("HEAD", repository, cells, processes=1, rounds=2, seconds=0.005, cache=cache, report=said.append)
    assert [each.cell for each in found] == cells
    assert min(min(*each.base, *each.ours) for each in found) > 0
    assert any("of 2: gru 4 → 16" in line for line in said)
    assert set(repository.iterdir()) == before
    assert table(found, "HEAD").row_count == 2


def test_what_runs_another_commit_needs_little_of_it_when_it_is_imported() -> None:
    """A name that only today's commit has, imported there, and nothing can be compared any more."""
    old = {
        None: {"ostinato"},
        "ostinato.errors": {"InputError"},
        "ostinato.kernels": {"warm_up"},
        "ostinato.kernels.program": {"Workspace", "advance", "bind"},
        "ostinato.model": {"Network"},
        "ostinato.model.specification": {
            "Direction", "Frames", "Gru", "Lstm", "Outputs", "Recurrent", "Rnn", "Specification", "directions",
            "output_size",
        },
    }  # fmt: skip
    for module in ("revision_worker", "cells", "ours", "timing"):
        tree = ast.parse((ROOT / "bench" / "ostinato_bench" / f"{module}.py").read_text())
        for node in tree.body:
            if isinstance(node, ast.Import | ast.ImportFrom):
                source = node.module if isinstance(node, ast.ImportFrom) else None
                names = {each.name for each in node.names if (source or each.name).split(".")[0] == "ostinato"}
                assert names <= old.get(source, set()), f"{module} imports {names} of {source}"


@pytest.mark.parametrize("base", ["no-such-commit", "--output=x"])
def test_a_commit_that_does_not_exist(repository: Path, base: str) -> None:
    with pytest.raises(InputError, match="name"):
        compare(base, repository, [])


def test_a_commit_that_cannot_be_measured(repository: Path) -> None:
    (repository / "engine" / "ostinato" / "kernels" / "program.py").write_text("raise RuntimeError('broken')\n")
    git = ["git", "-c", "user.name=Nobody", "-c", "user.email=nobody@localhost", "-C", str(repository)]
    subprocess.run([*git, "commit", "-q", "-a", "-m", "Break it"], check=True, timeout=60)
    with pytest.raises(InputError, match="cannot be measured"):
        compare("HEAD", repository, [Cell("gru", 4, 16)], processes=1)


def test_a_commit_without_int8(repository: Path, tmp_path: Path) -> None:
    quantization = repository / "engine" / "ostinato" / "model" / "quantization.py"
    kept = quantization.rename(tmp_path / "quantization.py")
    git = ["git", "-c", "user.name=Nobody", "-c", "user.email=nobody@localhost", "-C", str(repository)]
    subprocess.run([*git, "commit", "-q", "-a", "-m", "Before int8"], check=True, timeout=60)
    kept.rename(quantization)
    said: list[str] = []
    cache = Path(os.environ.get("XDG_CACHE_HOME") or Path("~/.cache").expanduser())
    cells = [Cell("gru", 4, 16, precision="int8"), Cell("gru", 4, 16)]
    found = compare("HEAD", repository, cells, processes=1, rounds=1, seconds=0.005, cache=cache, report=said.append)
    assert [each.cell for each in found] == cells[1:]
    assert any("gru 4 → 16, B = 1, int8 is left out" in line for line in said)


@pytest.mark.parametrize(
    ("draw", "file"), [(draw, "2026-11-25-kernels.json"), (load_search.draw, "2026-11-25-find-int8.json")]
)
def test_no_legend_lies_over_values(
    draw: Callable[[Any, Path], None], file: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """In the pictures of docs/, from the figures that they show: legends stand beside the axes, and on no text."""
    drawn: list[Figure] = []
    monkeypatch.setattr(Figure, "savefig", lambda figure, *_: drawn.append(figure))
    draw(json.loads((ROOT / "docs" / "measurements" / file).read_text(encoding="utf-8")), tmp_path / "it.png")
    (figure,) = drawn
    figure.canvas.draw()
    for axes in figure.axes:
        legend = axes.get_legend()
        assert legend is not None
        place = legend.get_window_extent()
        texts = [axes.xaxis.label, axes.title, *axes.get_xticklabels(), *figure.texts]
        boxes = [text.get_window_extent() for text in texts if text.get_text()]
        boxes.append(axes.get_window_extent().padded(-1))
        assert not any(place.overlaps(box) for box in boxes), axes.get_title(loc="left")
