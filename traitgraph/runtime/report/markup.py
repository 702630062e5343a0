"""HTML and SVG by small functions: text that is not already markup is escaped.

User text (names, specs, failures) therefore cannot become code. Tables are all built by `table`.
"""

from __future__ import annotations

from collections.abc import Collection, Iterable, Sequence
from html import escape


class Markup(str):
    """Text that is already HTML or SVG."""

    __slots__ = ()


MOST_ROWS = 2000
"""Rows of a table beyond this are left out: a browser sorts this many without a wait."""
LONG = 24
"""Tables with more rows scroll inside their box."""
VOID = frozenset({"meta", "br", "hr", "line", "circle", "path", "rect", "col"})


def element(name: str, *children: str | None, **attributes: object) -> Markup:
    """One element; children that are plain text are escaped, None children and attributes are left out.

    An attribute's trailing underscore is dropped and inner ones become hyphens: `class_`, `aria_label`, `text_anchor`.
    Numbers with a point are written short.

    >>> element("p", "1 < 2", class_="note")
    '<p class="note">1 &lt; 2</p>'
    """
    opening = name
    for key, value in attributes.items():
        if value is not None:
            text = f"{value:g}" if isinstance(value, float) else str(value)
            opening += f' {key.rstrip("_").replace("_", "-")}="{escape(text)}"'
    content = "".join(as_markup(child) for child in children if child is not None)
    if name in VOID and not content:
        return Markup(f"<{opening}/>")
    return Markup(f"<{opening}>{content}</{name}>")


def as_markup(text: str) -> Markup:
    """The text itself when it is markup, else escaped."""
    return text if isinstance(text, Markup) else Markup(escape(text))


def join(parts: Iterable[str | None], between: str = "") -> Markup:
    """Parts one after the other, each escaped unless it is markup."""
    return Markup(as_markup(between).join(as_markup(part) for part in parts if part is not None))


def table(
    head: Sequence[str],
    rows: Iterable[Sequence[str]],
    *,
    numbers: Collection[int] = (),
    class_: str | None = None,
    above: Markup | None = None,
    long: float = LONG,
) -> Markup:
    """A table in a box that scrolls by itself, also downwards from more than `long` rows on.

    A cell is text, or a whole `th` or `td`. `numbers` are the places of right-aligned columns, `above` is a first row
    over the head. Rows beyond `MOST_ROWS` are left out and counted.
    """
    header = element("thead", above, element("tr", *_cells("th", head, numbers, scope="col")))
    listed = list(rows)
    body = [element("tr", *_cells("td", row, numbers)) for row in listed[:MOST_ROWS]]
    inner = element("table", header, element("tbody", *body), class_=class_)
    left_out = f"{len(listed) - len(body):,} more in results.csv." if len(listed) > len(body) else None
    note = element("p", left_out, class_="note") if left_out else None
    return element("div", inner, note, class_="scroll tall" if len(body) > long else "scroll", tabindex="0")


def _cells(kind: str, row: Sequence[str], numbers: Collection[int], **attributes: object) -> Iterable[Markup]:
    for place, content in enumerate(row):
        if isinstance(content, Markup) and content.startswith(("<td", "<th")):
            yield content
        else:
            yield element(kind, content, class_="number" if place in numbers else None, **attributes)
