"""Draw charts as SVG inside the page.

Colours and dashes come from the page's style sheet, so they follow light, dark and print.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence

from .charts import Bar, Chart, DotPanel, Line, Panel, Range, Reference, labelled, ticks
from .labels import number, plain, with_spread
from .markup import Markup, element

WIDTH, WIDE = 400.0, 760.0
"""Of one panel among several, and of one alone."""
HEIGHT = 272.0
LEFT, RIGHT, TOP, BOTTOM = 40.0, 10.0, 52.0, 46.0
ROW = 26.0
NOTES = 15.0
NAME_WIDTH, WIDE_NAME_WIDTH = 190.0, 260.0
LETTER = 6.5

Scale = Callable[[float], float]


def chart_svg(chart: Chart) -> Markup:
    """All panels of a chart, in a grid that folds on narrow screens."""
    width = WIDTH if len(chart.panels) > 1 else WIDE
    drawn = [_panel(panel, width) if isinstance(panel, Panel) else _dot_panel(panel, width) for panel in chart.panels]
    columns = min(len(drawn), 3)
    return element("div", *drawn, class_=f"panels columns-{columns}")


def legend(chart: Chart) -> Markup:
    """What each line is, once for all panels of a chart."""
    entries: dict[str, Markup] = {}
    for panel in chart.panels:
        if isinstance(panel, Panel):
            for line in panel.lines:
                entries.setdefault(line.name, _swatch(line.role, "line", marker=True))
            for reference in panel.references:
                entries.setdefault(reference.name, _swatch(reference.role, "reference"))
    items = [element("li", swatch, name) for name, swatch in entries.items()]
    return element("ul", *items, class_="legend") if items else Markup("")


def _swatch(role: str, kind: str, marker: bool = False) -> Markup:
    parts = [element("line", x1=1, y1=7, x2=33, y2=7, class_=f"{kind} {role}")]
    if marker:
        parts.append(_marker(role, 17, 7, None))
    return element("svg", *parts, viewBox="0 0 34 14", width=34, height=14, aria_hidden="true")


def _scale(domain: Range, low: float, high: float) -> Scale:
    factor = (high - low) / (domain[1] - domain[0])
    return lambda value: round(low + (value - domain[0]) * factor, 2)


def _panel(panel: Panel, width: float) -> Markup:
    x = _scale(panel.x_range, LEFT, width - RIGHT)
    y = _scale(panel.y_range, HEIGHT - BOTTOM, TOP)
    parts = [
        *_heading(panel.title, panel.y_title),
        *_y_axis(panel, y, width),
        *_x_axis(panel, x, width),
        *(_reference(reference, y, width) for reference in panel.references),
        *(_band(line, x, y) for line in panel.lines),
        *(_path(line, x, y) for line in panel.lines),
        *(_marker(line.role, x(mark.x), y(mark.y), mark.label) for line in panel.lines for mark in line.marks),
    ]
    summary = "; ".join(
        f"{line.name}: " + ", ".join(f"{number(mark.y)} at {plain(mark.x)}" for mark in line.marks)
        for line in panel.lines
    )
    description = f"{panel.title}: {panel.y_title} against {panel.x_title}. {summary}"
    return _figure(parts, width, HEIGHT + _notes_height(panel), description)


def _figure(parts: Sequence[Markup | None], width: float, height: float, description: str) -> Markup:
    return element("svg", *parts, viewBox=f"0 0 {width:g} {height:g}", role="img", aria_label=description)


def _heading(title: str, below: str) -> list[Markup]:
    return [_text(title, 2, 16, "panel-title"), _text(below, 2, 36, "axis-title")]


def _text(content: str, x: float, y: float, class_: str, anchor: str | None = None) -> Markup:
    return element("text", content, x=f"{x:g}", y=f"{y:g}", class_=class_, text_anchor=anchor)


def _y_axis(panel: Panel, y: Scale, width: float) -> list[Markup]:
    parts = []
    for tick in ticks(*panel.y_range):
        at = y(tick)
        kind = "grid zero" if tick == 0 else "grid"
        parts.append(element("line", x1=LEFT, y1=at, x2=width - RIGHT, y2=at, class_=kind))
        parts.append(_text(plain(tick), LEFT - 7, at + 4, "tick", "end"))
    return parts


def _x_axis(panel: Panel, x: Scale, width: float) -> list[Markup]:
    base = HEIGHT - BOTTOM
    parts = [element("line", x1=LEFT, y1=base, x2=width - RIGHT, y2=base, class_="axis")]
    numbers = labelled(panel.x_ticks, x(1) - x(0), LETTER)
    for tick in panel.x_ticks:
        at = x(tick)
        parts.append(element("line", x1=at, y1=base, x2=at, y2=base + 4, class_="axis"))
        if tick in numbers:
            parts.append(_text(plain(tick), at, base + 18, "tick", "middle"))
    for value, note in panel.x_notes.items():
        if panel.x_range[0] <= value <= panel.x_range[1]:
            parts.append(element("line", x1=x(value), y1=TOP, x2=x(value), y2=base, class_="named"))
            parts.append(_text(note, x(value), base + 33, "note", "middle"))
    parts.append(_text(panel.x_title, width - RIGHT, base + 33 + _notes_height(panel), "axis-title", "end"))
    return parts


def _notes_height(panel: Panel) -> float:
    """Room for a line of notes between the numbers and the title of the axis."""
    return NOTES if panel.x_notes else 0.0


def _reference(reference: Reference, y: Scale, width: float) -> Markup:
    at = y(reference.y)
    title = element("title", f"{reference.name}: {number(reference.y)}")
    line = element("line", x1=LEFT, y1=at, x2=width - RIGHT, y2=at, class_=_reference_class(reference))
    return element("g", line, title)


def _reference_class(reference: Reference) -> str:
    """Told apart by role, and drawn so that lines of equal height show each other."""
    return f"reference {reference.role}"


def _band(line: Line, x: Scale, y: Scale) -> Markup | None:
    known = [
        (x(mark.x), y(mark.y - mark.spread), y(mark.y + mark.spread)) for mark in line.marks if mark.spread is not None
    ]
    if len(known) < 2:
        return None
    upper = [f"{at:g},{high:g}" for at, _, high in known]
    lower = [f"{at:g},{low:g}" for at, low, _ in reversed(known)]
    return element("path", d="M" + " L".join(upper + lower) + " Z", class_=f"band {line.role}")


def _path(line: Line, x: Scale, y: Scale) -> Markup:
    corners = " L".join(f"{x(mark.x):g},{y(mark.y):g}" for mark in line.marks)
    return element("path", d=f"M{corners}", class_=f"line {line.role}")


def _marker(role: str, x: float, y: float, label: str | None) -> Markup:
    """A circle for high, a square for low, a diamond for the rest: told apart without colour."""
    title = element("title", label) if label else None
    if role in ("high", "direct"):
        return element("circle", title, cx=x, cy=y, r=3.6, class_=f"marker {role}")
    size = 4.2 if role == "low" else 3.4
    turn = None if role == "low" else f"rotate(45 {x:g} {y:g})"
    return element(
        "rect", title, x=x - size, y=y - size, width=2 * size, height=2 * size, transform=turn, class_=f"marker {role}"
    )


def _dot_panel(panel: DotPanel, width: float) -> Markup:
    names = NAME_WIDTH if width == WIDTH else WIDE_NAME_WIDTH
    height = TOP + ROW * len(panel.bars) + 28
    x = _scale(panel.x_range, names, width - RIGHT)
    base = TOP + ROW * len(panel.bars)
    parts = _heading(panel.title, panel.x_title)
    for tick in ticks(*panel.x_range, about=4):
        kind = "grid zero" if tick == 0 else "grid"
        parts.append(element("line", x1=x(tick), y1=TOP, x2=x(tick), y2=base, class_=kind))
        parts.append(_text(plain(tick), x(tick), base + 17, "tick", "middle"))
    for place, bar in enumerate(panel.bars):
        parts += _bar(bar, names, TOP + ROW * (place + 0.5), x)
    summary = "; ".join(f"{bar.name} {number(bar.value)}" for bar in panel.bars)
    return _figure(parts, width, height, f"{panel.title}: {panel.x_title}. {summary}")


def _bar(bar: Bar, names: float, y: float, x: Scale) -> list[Markup]:
    parts = [_text(bar.name, names - 8, y + 4, f"row-name {bar.role}", "end")]
    if bar.spread is not None:
        ends = x(bar.value - bar.spread), x(bar.value + bar.spread)
        parts.append(element("line", x1=ends[0], y1=y, x2=ends[1], y2=y, class_=f"whisker {bar.role}"))
    parts.append(_marker(bar.role, x(bar.value), y, f"{bar.name}: {with_spread(bar.value, bar.spread)}"))
    return parts
