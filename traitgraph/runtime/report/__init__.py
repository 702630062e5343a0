"""The report of a study: one HTML page, the table as CSV, the charts as SVG. Must not know how a figure was measured.

scores -> curves -> findings -> charts -> page (headlines, drawing, tables) and figures
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import TextIO

from traitgraph.runtime.assessment.questionnaires.item_scores import ItemScores
from traitgraph.runtime.results.provenance import About
from traitgraph.runtime.results.summaries import summarise
from traitgraph.runtime.results.table import ResultRow, write_csv
from traitgraph.specs.jobs.results import Cell
from traitgraph.specs.study.vocabulary import BIG_FIVE, Vocabulary

from .charts import charts_of
from .comparisons import is_comparison
from .drawing import chart_file, figure_files
from .findings import judge
from .page import render_page

PAGE = "report.html"
TABLE = "results.csv"
FIGURES = "figures"


def write_report(
    rows: Sequence[ResultRow],
    about: About,
    out_dir: Path,
    items: ItemScores | None = None,
    missing: Sequence[Cell] = (),
    words: Vocabulary = BIG_FIVE,
) -> Path:
    """Write `report.html`, `results.csv` and `figures/*.svg` into a folder; returns the path of the page.

    With `items`, changes are tested item by item; `missing` are assessments that should be there; `words` are
    the traits and levels of the study.
    Equal input gives equal bytes. Figures of an earlier report in the same folder are removed.
    """
    judged = judge(summarise((row for row in rows if not is_comparison(row)), items, missing, words))
    figures = {f"{FIGURES}/{name}": chart for name, chart in figure_files(charts_of(judged)).items()}
    (out_dir / FIGURES if figures else out_dir).mkdir(parents=True, exist_ok=True)
    with _written(out_dir / TABLE) as stream:
        write_csv(rows, stream)
    for name, chart in figures.items():
        with _written(out_dir / name) as stream:
            stream.write(chart_file(chart))
    for old in (*out_dir.glob(f"{FIGURES}/*.svg"), *out_dir.glob(f"{FIGURES}/*.png")):
        if f"{FIGURES}/{old.name}" not in figures:
            old.unlink()
    with _written(out_dir / PAGE) as stream:
        stream.write(render_page(rows, about, judged, figures))
    return out_dir / PAGE


@contextmanager
def _written(path: Path) -> Iterator[TextIO]:
    """A file that takes its name once it is whole."""
    part = path.with_name(f".{path.name}.part")
    with part.open("w", encoding="utf-8", newline="") as stream:
        yield stream
    part.replace(path)
