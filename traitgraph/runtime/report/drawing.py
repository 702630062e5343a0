"""Draw charts as SVG: panel by panel inside the page, and each chart as a file of its own for papers and slides.

Colours and dashes come from `chart.css`. On the page they follow light, dark and print; a file has those for print.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping, Sequence
from functools import cache
from importlib.resources import files

from traitgraph.specs.source.diagnostics import without_escapes

from .charts import ABOVE, BELOW, Chart, DotPanel, Line, Panel, Range, labelled, ticks
from .labels import number, plain
from .markup import Markup, element, join

WIDTH, WIDE = 400.0, 760.0
"""Of one panel among several, and of one alone."""

HEIGHT = 272.0

LEFT, RIGHT, TOP, BOTTOM = 40.0, 10.0, 52.0, 46.0

ROW = 26.0

NOTES = 15.0
"""Room for a line of notes between the numbers and the title of the axis."""

NAME_WIDTH, WIDE_NAME_WIDTH = 190.0, 260.0

LETTER = 6.5

NAME_LETTER = 4.7
"""Of the names of rows, which are smaller."""

SWATCH = 34.0

MAX_COLUMNS = 3

MARGIN = 16.0

Scale = Callable[[float], float]


@cache
def style_sheet(name: str) -> str:
    """A style sheet of this folder."""
    return files(__package__).joinpath(name).read_text(encoding="utf-8")


def figure_files(charts: Sequence[Chart]) -> dict[str, Chart]:
    """Every chart by the name of its file, told apart by a number where two names would be one file."""
    found: dict[str, Chart] = {}
    for chart in charts:
        stem = re.sub(r"[^a-z0-9_.-]+", "-", chart.name.lower()).strip("-.")[:80] or "chart"
        names = (stem if number == 1 else f"{stem}-{number}" for number in range(1, len(charts) + 1))
        found[next(name for name in names if f"{name}.svg" not in found) + ".svg"] = chart
    return found


def chart_on_page(chart: Chart) -> Markup:
    """A chart with its title, its legend and its note; the panels stand in a grid that folds on narrow screens."""
    width = _panel_width(chart)
    panels = []
    for panel in chart.panels:
        drawn, height = _draw(panel, width)
        box = f"0 0 {width:g} {height:g}"
        panels.append(element("svg", drawn, viewBox=box, role="img", aria_label=_description(panel)))
    box = f"0 0 {SWATCH:g} 14"
    legend = [
        element("li", element("svg", swatch, viewBox=box, width=SWATCH, height=14, aria_hidden="true"), name)
        for name, swatch in _legend(chart).items()
    ]
    return element(
        "figure",
        element("h3", chart.title),
        element("ul", *legend, class_="legend") if legend else None,
        element("div", *panels, class_=f"panels columns-{min(len(panels), MAX_COLUMNS)}"),
        element("figcaption", chart.note, class_="note"),
    )


def chart_file(chart: Chart) -> str:
    """A chart as an SVG file: title, legend and all panels on white, without anything from outside."""
    wide = _panel_width(chart) + MARGIN
    width = wide * min(len(chart.panels), MAX_COLUMNS) + MARGIN
    parts = [_text(chart.title, MARGIN, 28, "chart-title")]
    x, y = MARGIN, 44.0
    for name, swatch in _legend(chart).items():
        length = SWATCH + 7 + LETTER * len(name) + MARGIN
        if x > MARGIN and x + length > width:
            x, y = MARGIN, y + 20
        entry = swatch, _text(name, SWATCH + 7, 11, "legend")
        parts.append(element("g", *entry, transform=f"translate({x:g} {y:g})"))
        x += length
    y += 24
    for first in range(0, len(chart.panels), MAX_COLUMNS):
        drawn = [_draw(panel, wide - MARGIN) for panel in chart.panels[first : first + MAX_COLUMNS]]
        parts += [
            element("g", panel, transform=f"translate({MARGIN + place * wide:g} {y:g})")
            for place, (panel, _) in enumerate(drawn)
        ]
        y += max(height for _, height in drawn) + MARGIN
    # The values for print stand in the style sheet itself: most programs that read SVG know no variables.
    palette = dict(re.findall(r"--([a-z]+): ([^;]+);", style_sheet("style.css")))  # those for print stand last
    style = Markup(re.sub(r"var\(--([a-z]+)\)", lambda found: palette[found[1]], style_sheet("chart.css")))
    ground = element("rect", width="100%", height="100%", fill="#fff")
    drawing = element(
        "svg", element("style", style), ground, *parts,
        xmlns="http://www.w3.org/2000/svg", width=width, height=y, viewBox=f"0 0 {width:g} {y:g}",
    )  # fmt: skip
    return re.sub("[\ufffe\uffff]", "", without_escapes(drawing)) + "\n"  # XML takes no control characters


def _panel_width(chart: Chart) -> float:
    return WIDTH if len(chart.panels) > 1 else WIDE


def _legend(chart: Chart) -> Mapping[str, Markup]:
    """What each line is, once for all panels of a chart: name -> a piece of it."""
    entries: dict[str, Markup] = {}
    for panel in chart.panels:
        if isinstance(panel, Panel):
            for line in panel.lines:
                swatch = _line(1, 7, SWATCH - 1, 7, f"line {line.role}")
                entries.setdefault(line.name, join([swatch, _marker(line.role, SWATCH / 2, 7)]))
            for reference in panel.references:
                entries.setdefault(reference.name, _line(1, 7, SWATCH - 1, 7, f"reference {reference.role}"))
    return entries


def _draw(panel: Panel | DotPanel, width: float) -> tuple[Markup, float]:
    """A panel under its title, and its height."""
    below = panel.y_title if isinstance(panel, Panel) else panel.x_title
    parts, height = _lines(panel, width) if isinstance(panel, Panel) else _dots(panel, width)
    return join([_text(panel.title, 2, 16, "panel-title"), _text(below, 2, 36, "axis-title"), *parts]), height


def _description(panel: Panel | DotPanel) -> str:
    """What a panel shows, for those who do not see it."""
    if isinstance(panel, DotPanel):
        return f"{panel.title}: {panel.x_title}. " + "; ".join(f"{bar.name} {number(bar.value)}" for bar in panel.bars)
    return f"{panel.title}: {panel.y_title} against {panel.x_title}. " + "; ".join(
        f"{line.name}: " + ", ".join(f"{number(mark.y)} at {plain(mark.x)}" for mark in line.marks)
        for line in panel.lines
    )


def _lines(panel: Panel, width: float) -> tuple[list[Markup | None], float]:
    x = _scale(panel.x_range, LEFT, width - RIGHT)
    y = _scale(panel.y_range, HEIGHT - BOTTOM, TOP)
    notes = NOTES if panel.x_notes else 0.0
    parts: list[Markup | None] = []
    for tick in ticks(*panel.y_range):
        parts.append(_line(LEFT, y(tick), width - RIGHT, y(tick), "grid zero" if tick == 0 else "grid"))
        parts.append(_text(plain(tick), LEFT - 7, y(tick) + 4, "tick", "end"))
    parts += _x_axis(panel, x, width)
    parts.append(_text(panel.x_title, width - RIGHT, HEIGHT - BOTTOM + 33 + notes, "axis-title", "end"))
    for reference in panel.references:
        at = y(reference.y)
        title = element("title", f"{reference.name}: {number(reference.y)}")
        parts.append(element("g", _line(LEFT, at, width - RIGHT, at, f"reference {reference.role}"), title))
    parts += [_band(line, x, y) for line in panel.lines]
    for line in panel.lines:
        corners = " L".join(f"{x(mark.x):g},{y(mark.y):g}" for mark in line.marks)
        parts.append(element("path", d=f"M{corners}", class_=f"line {line.role}"))
    parts += [_marker(line.role, x(mark.x), y(mark.y), mark.label) for line in panel.lines for mark in line.marks]
    return parts, HEIGHT + notes


def _x_axis(panel: Panel, x: Scale, width: float) -> list[Markup]:
    base = HEIGHT - BOTTOM
    parts = [_line(LEFT, base, width - RIGHT, base, "axis")]
    numbers = labelled(panel.x_ticks, x(1) - x(0), LETTER)
    for tick in panel.x_ticks:
        parts.append(_line(x(tick), base, x(tick), base + 4, "axis"))
        if tick in numbers:
            parts.append(_text(plain(tick), x(tick), base + 18, "tick", "middle"))
    for value, note in panel.x_notes.items():
        if panel.x_range[0] <= value <= panel.x_range[1]:
            parts.append(_line(x(value), TOP, x(value), base, "named"))
            parts.append(_text(note, x(value), base + 33, "note", "middle"))
    return parts


def _band(line: Line, x: Scale, y: Scale) -> Markup | None:
    known = [
        (x(mark.x), y(mark.y - mark.spread), y(mark.y + mark.spread)) for mark in line.marks if mark.spread is not None
    ]
    if len(known) < 2:
        return None
    corners = [f"{at:g},{high:g}" for at, _, high in known] + [f"{at:g},{low:g}" for at, low, _ in reversed(known)]
    return element("path", d="M" + " L".join(corners) + " Z", class_=f"band {line.role}")


def _dots(panel: DotPanel, width: float) -> tuple[list[Markup], float]:
    names = NAME_WIDTH if width == WIDTH else WIDE_NAME_WIDTH
    x = _scale(panel.x_range, names, width - RIGHT)
    base = TOP + ROW * len(panel.bars)
    parts: list[Markup] = []
    for tick in ticks(*panel.x_range, about=4):
        parts.append(_line(x(tick), TOP, x(tick), base, "grid zero" if tick == 0 else "grid"))
        parts.append(_text(plain(tick), x(tick), base + 17, "tick", "middle"))
    for place, bar in enumerate(panel.bars):
        y = TOP + ROW * (place + 0.5)
        name = _fitting(bar.name, int((names - 8) / NAME_LETTER))
        parts.append(_text(name, names - 8, y + 4, f"row-name {bar.role}", "end"))
        if bar.spread is not None:
            parts.append(_line(x(bar.value - bar.spread), y, x(bar.value + bar.spread), y, f"whisker {bar.role}"))
        parts.append(_marker(bar.role, x(bar.value), y, bar.label))
    return parts, base + 28


def _fitting(name: str, most: int) -> str:
    """A name of so many letters at most: of a longer one both ends; its marker tells all of it.

    >>> _fitting("composed: wit+warmth high+low", 20)
    'composed: w…high+low'
    """
    return name if len(name) <= most else f"{name[: most // 2 + 1]}…{name[len(name) - most + most // 2 + 2 :]}"


def _scale(domain: Range, low: float, high: float) -> Scale:
    factor = (high - low) / (domain[1] - domain[0])
    return lambda value: round(low + (value - domain[0]) * factor, 2)


def _text(content: str, x: float, y: float, class_: str, anchor: str | None = None) -> Markup:
    return element("text", content, x=x, y=y, class_=class_, text_anchor=anchor)


def _line(x1: float, y1: float, x2: float, y2: float, class_: str) -> Markup:
    return element("line", x1=x1, y1=y1, x2=x2, y2=y2, class_=class_)


def _marker(role: str, x: float, y: float, label: str | None = None) -> Markup:
    """A circle above the middle, a square below, a diamond for the rest: told apart without colour."""
    title = element("title", label) if label else None
    if role in (ABOVE, "direct"):
        return element("circle", title, cx=x, cy=y, r=3.6, class_=f"marker {role}")
    size = 4.2 if role == BELOW else 3.4
    turn = None if role == BELOW else f"rotate(45 {x:g} {y:g})"
    return element(
        "rect", title, x=x - size, y=y - size, width=2 * size, height=2 * size, transform=turn, class_=f"marker {role}"
    )
