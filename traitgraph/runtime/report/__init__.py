"""The report of a study: one self-contained HTML page, the table as CSV, and the charts as SVG.

rows -> summaries -> curves -> findings, charts -> page (drawing, tables, provenance) and figures
"""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

from traitgraph.runtime.assessment.questionnaires.item_scores import ItemScores
from traitgraph.specs.jobs.results import Cell

from .about import About, Failure, Stage, describe_results
from .charts import charts_of
from .comparisons import is_comparison
from .drawing import chart_file, figure_files
from .findings import judge
from .page import render_page
from .results import ResultRow, write_csv
from .summaries import summarise

__all__ = ["About", "Failure", "ItemScores", "Stage", "describe_results", "write_report"]

PAGE = "report.html"
TABLE = "results.csv"
FIGURES = "figures"


def write_report(
    rows: Sequence[ResultRow],
    about: About,
    out_dir: Path,
    items: ItemScores | None = None,
    missing: Sequence[Cell] = (),
) -> Path:
    """Write `report.html`, `results.csv` and `figures/*.svg` into a folder; returns the path of the page.

    With `items`, changes are tested item by item; `missing` are assessments that should be there.
    Equal input gives equal bytes. Figures of an earlier report in the same folder are removed.
    """
    out_dir.mkdir(parents=True, exist_ok=True)
    with _replacing(out_dir / TABLE).open("w", encoding="utf-8", newline="") as stream:
        write_csv(rows, stream)
    _finish(out_dir / TABLE)
    judged = judge(summarise((row for row in rows if not is_comparison(row)), items, missing))
    figures = figure_files(charts_of(judged))
    if figures:
        (out_dir / FIGURES).mkdir(exist_ok=True)
    for name, chart in figures.items():
        _write(out_dir / FIGURES / name, chart_file(chart))
    for old in (*(out_dir / FIGURES).glob("*.svg"), *(out_dir / FIGURES).glob("*.png")):
        if old.name not in figures:
            old.unlink()
    _write(out_dir / PAGE, render_page(rows, about, [f"{FIGURES}/{name}" for name in figures], judged))
    return out_dir / PAGE


def _replacing(path: Path) -> Path:
    """Where a file is written before it takes its name."""
    return path.with_name(f".{path.name}.part")


def _write(path: Path, text: str) -> None:
    _replacing(path).write_text(text, encoding="utf-8", newline="\n")
    _finish(path)


def _finish(path: Path) -> None:
    _replacing(path).replace(path)
