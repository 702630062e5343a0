"""HTML and SVG by small functions: text that is not already markup is escaped.

User text (names, specs, failures) therefore cannot become code.
"""

from __future__ import annotations

from collections.abc import Iterable
from html import escape


class Markup(str):
    """Text that is already HTML or SVG."""

    __slots__ = ()


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
