"""Draw charts as PNG files for papers and slides: the same data as on the page, on white."""

from __future__ import annotations

import math
import re
import warnings
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

from .charts import Chart, DotPanel, Line, Panel, labelled
from .labels import plain

if TYPE_CHECKING:
    from matplotlib.axes import Axes


DPI = 160
PANEL_INCHES = (4.2, 3.0)
ALONE_INCHES = 7.0
"""Width of the only panel of a chart."""
LETTER_POINTS = 4.5
MAX_COLUMNS = 3
HEAD_INCHES, FOOT_INCHES = 0.75, 0.55
INK, GRID = "#22262b", "#dcdedf"
COLOURS = {"high": "#0b68ad", "low": "#c24a12", "direct": "#5d646d", "chance": "#8a8f96", "other": "#6d4ba0"}
MARKERS = {"high": "o", "low": "s", "direct": "o"}
HOLLOW_SIZE = 6
REFERENCES: dict[str, dict[str, Any]] = {
    "direct": {"linestyle": (0, (2, 1)), "linewidth": 4, "alpha": 0.35},
    "high": {"linestyle": (0, (0.1, 2.9)), "linewidth": 2.4, "dash_capstyle": "round"},
    "low": {"linestyle": (1.5, (0.1, 2.9)), "linewidth": 2.4, "dash_capstyle": "round"},
    "chance": {"linestyle": (0, (2, 2)), "linewidth": 1.1},
}
"""Drawn so that lines of equal height show each other."""
DASHES: dict[str, Any] = {"low": (0, (5, 2)), "other": (0, (7, 2, 2, 2))}
STYLE = {
    "font.size": 9,
    "axes.edgecolor": INK,
    "axes.labelcolor": INK,
    "text.color": INK,
    "xtick.color": INK,
    "ytick.color": INK,
    "axes.spines.top": False,
    "axes.spines.right": False,
}


def write_figures(charts: Sequence[Chart], folder: Path) -> list[Path]:
    """One PNG per chart, named after it; equal charts give equal bytes."""
    folder.mkdir(parents=True, exist_ok=True)
    paths = [folder / f"{name}.png" for name in _file_names([chart.name for chart in charts])]
    for chart, path in zip(charts, paths, strict=True):
        _write(chart, path)
    return paths


def _file_names(titles: Sequence[str]) -> list[str]:
    """Names of charts as names of files, told apart by a number where they would meet."""
    names: list[str] = []
    for title in titles:
        name = re.sub(r"[^a-z0-9_.-]+", "-", title.lower()).strip("-.")[:80] or "chart"
        same = sum(
            other == name or (other.startswith(f"{name}-") and other[len(name) + 1 :].isdigit()) for other in names
        )
        names.append(f"{name}-{same + 1}" if same else name)
    return names


def _write(chart: Chart, path: Path) -> None:
    from matplotlib import rc_context
    from matplotlib.figure import Figure

    columns = min(len(chart.panels), MAX_COLUMNS)
    rows = math.ceil(len(chart.panels) / columns)
    width, height = _panel_inches(chart) * columns, _row_inches(chart) * rows + HEAD_INCHES + FOOT_INCHES
    with rc_context(STYLE), warnings.catch_warnings():
        warnings.filterwarnings("ignore", r"Glyph \d+ .*missing from")  # a name may hold any character
        figure = Figure(figsize=(width, height))
        axes = list(figure.subplots(rows, columns, squeeze=False).flat)
        for axis, panel in zip(axes, chart.panels, strict=False):
            _draw(axis, panel)
        for axis in axes[len(chart.panels) :]:
            axis.set_axis_off()
        _place(figure, chart, columns, width, height)
        _legend(figure, chart, 1 - HEAD_INCHES / 2 / height)
        figure.savefig(path, dpi=DPI, metadata={"Software": None})


def _panel_inches(chart: Chart) -> float:
    return PANEL_INCHES[0] if len(chart.panels) > 1 else ALONE_INCHES


def _place(figure: Any, chart: Chart, columns: int, width: float, height: float) -> None:
    """Margins in inches: matplotlib's own layout engines cost more than the drawing."""
    names = 2.4 if isinstance(chart.panels[0], DotPanel) else 0.7
    figure.subplots_adjust(
        left=names / width,
        right=1 - 0.15 / width,
        top=1 - HEAD_INCHES / height,
        bottom=FOOT_INCHES / height,
        wspace=names / (_panel_inches(chart) - names),
        hspace=0.8 / (_row_inches(chart) - 0.8),
    )


def _row_inches(chart: Chart) -> float:
    bars = max((len(panel.bars) for panel in chart.panels if isinstance(panel, DotPanel)), default=0)
    return 0.9 + 0.22 * bars if bars else PANEL_INCHES[1]


def _draw(axis: Axes, panel: Panel | DotPanel) -> None:
    axis.set_title(panel.title, loc="left", fontweight="bold")
    axis.grid(visible=True, color=GRID, linewidth=0.6)
    axis.set_axisbelow(True)
    if isinstance(panel, Panel):
        _draw_lines(axis, panel)
    else:
        _draw_bars(axis, panel)


def _draw_lines(axis: Axes, panel: Panel) -> None:
    for reference in panel.references:
        style = REFERENCES[reference.role]
        axis.axhline(reference.y, color=COLOURS[reference.role], label=reference.name, **style)
    for line in panel.lines:
        _draw_line(axis, line)
    axis.set_xlim(*panel.x_range)
    axis.set_ylim(*panel.y_range)
    points = axis.get_window_extent().width / axis.figure.dpi * 72
    numbers = labelled(panel.x_ticks, points / (panel.x_range[1] - panel.x_range[0]), LETTER_POINTS)
    axis.set_xticks(panel.x_ticks, [plain(tick) if tick in numbers else "" for tick in panel.x_ticks])
    axis.set_xlabel(panel.x_title)
    axis.set_ylabel(panel.y_title)


def _draw_line(axis: Axes, line: Line) -> None:
    colour = COLOURS[line.role]
    x, y = [mark.x for mark in line.marks], [mark.y for mark in line.marks]
    hollow = line.role == "low"  # so that it shows what lies below
    axis.plot(
        x, y, color=colour, marker=MARKERS.get(line.role, "D"), markersize=HOLLOW_SIZE if hollow else 4, linewidth=1.6,
        linestyle=DASHES.get(line.role, "-"), label=line.name, markerfacecolor="none" if hollow else colour,
    )  # fmt: skip
    known = [(mark.x, mark.y - mark.spread, mark.y + mark.spread) for mark in line.marks if mark.spread is not None]
    if len(known) > 1:
        at, low, high = zip(*known, strict=True)
        axis.fill_between(at, low, high, color=colour, alpha=0.13, linewidth=0)


def _draw_bars(axis: Axes, panel: DotPanel) -> None:
    for place, bar in enumerate(panel.bars):
        axis.errorbar(
            bar.value, place, xerr=bar.spread, color=COLOURS[bar.role], marker=MARKERS.get(bar.role, "D"),
            markersize=5, linewidth=1.2, linestyle="none",
        )  # fmt: skip
    axis.set_yticks(range(len(panel.bars)), [bar.name.replace("$", r"\$") for bar in panel.bars])
    axis.set_ylim(len(panel.bars) - 0.5, -0.5)
    axis.set_xlim(*panel.x_range)
    axis.set_xlabel(panel.x_title)


def _legend(figure: Any, chart: Chart, y: float) -> None:  # Any: matplotlib's stubs are not read
    handles: dict[str, Any] = {}
    for axis in figure.axes:
        for handle, name in zip(*axis.get_legend_handles_labels(), strict=True):
            handles.setdefault(name, handle)
    if handles:
        figure.legend(
            handles.values(), handles.keys(), loc="center right", bbox_to_anchor=(0.99, y), ncols=6, frameon=False
        )
    figure.text(0.1 / figure.get_figwidth(), y, chart.title.replace("$", r"\$"), va="center", fontsize=11)
