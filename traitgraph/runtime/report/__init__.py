"""The report of a study: one self-contained HTML page, the table as CSV, and the charts as PNG.

rows -> summaries -> curves -> findings, charts -> page (svg, tables, provenance) and figures
"""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

from traitgraph.runtime.assessment.questionnaires.item_scores import ItemScores
from traitgraph.specs.jobs.results import Cell

from .about import About, Failure, Stage, describe_results
from .comparisons import is_comparison
from .figures import write_figures
from .findings import judge
from .page import charts_of, render_page
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
    """Write `report.html`, `results.csv` and `figures/*.png` into a folder; returns the path of the page.

    With `items`, changes are tested item by item; `missing` are assessments that should be there.
    Equal input gives equal bytes. Figures of an earlier report in the same folder are removed.
    """
    out_dir.mkdir(parents=True, exist_ok=True)
    with _replacing(out_dir / TABLE).open("w", encoding="utf-8", newline="") as stream:
        write_csv(rows, stream)
    _finish(out_dir / TABLE)
    judged = judge(summarise((row for row in rows if not is_comparison(row)), items, missing))
    figures = write_figures(charts_of(judged), out_dir / FIGURES)
    for old in set((out_dir / FIGURES).glob("*.png")) - set(figures):
        old.unlink()
    page = render_page(rows, about, [path.relative_to(out_dir).as_posix() for path in figures], judged)
    _replacing(out_dir / PAGE).write_text(page, encoding="utf-8", newline="\n")
    _finish(out_dir / PAGE)
    return out_dir / PAGE


def _replacing(path: Path) -> Path:
    """Where a file is written before it takes its name."""
    return path.with_name(f".{path.name}.part")


def _finish(path: Path) -> None:
    _replacing(path).replace(path)
