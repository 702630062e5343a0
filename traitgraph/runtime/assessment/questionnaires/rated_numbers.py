"""Read one whole number of a scale from free text: a written answer, a judge's reply, one line of it.

Strict where it matters: a text that names no number of the scale, or several, is no answer. What repeats the scale
("1 = very inaccurate, 2 = ...", "1 to 5") is never taken for its first number.
"""

from __future__ import annotations

import re
import unicodedata
from functools import lru_cache

_ROW = re.compile(r"(?<!\d)\d+[\W_]+\d+[\W_]+\d")
"""Numbers in a row with no word between them: a model that counts, or goes round in a circle."""

LONGEST, REACH = 10_000, 80
"""Letters of a text that may be an answer, and on each side of a number that are looked at."""

REFUSAL = "x"
"""What a judge writes where there is nothing to rate."""

_THOUGHTS = re.compile(r"^\s*<(think|thinking)>.*?</\1>", re.DOTALL | re.IGNORECASE)
_NUMBER = re.compile(
    r"(?<![A-Za-z\d^])(?<!\d[.,])(?<!(?<!\.)\.)((?:(?<![\w)\]*])[-+])?\d+(?:[.,]\d+)?)(?![A-Za-z\d^%+])(?![.,]\d)"
)
_COUNTED = re.compile(
    r"[\s*_-]*(?:options?|choices|statements|questions|items|answers|numbers|levels|categories|steps|point|times|years?"
    r"|months?|weeks?|days?|hours?|minutes?|people|percent)\b|\s*(?:~|to|through|or|and)\s*$|[\s*_]*(?:/|out of)\s*\d",
    re.IGNORECASE,
)
"""After a number that counts something, begins a range that was cut off, or is measured against another top."""
_ENDED = re.compile(
    r"\s*(?:$|\n|[^A-Za-z\s])|\s+(?:because|since|as|for|on|out|to|here|is|with|given|stars?|points?)\b", re.IGNORECASE
)
_LED_TO = re.compile(
    r"\b(?:answer|rat(?:e|ing)|score|number|choice|choose|pick|select|option|say|give|with|is|it|as|at|be|a)[\W_]*$",
    re.IGNORECASE,
)
_NOT_MEANT = re.compile(
    r"(?:\bnot|n['\u2019]t|\bnever|\b(?:scale of|from|between))(?:\s+(?:a|an|be|it|say|give|the))*[\W_]*$"
    r"|\b(?:statement|question|item|step|page)[\W_]*$|[\u2264\u2265]\s*$|\d\s*\+\s*$",
    re.IGNORECASE,
)


def rated_number(text: str, ends: tuple[int, int]) -> int | None:
    """The one number of a scale, given by its ends, that a text names in digits; None for none or several.

    >>> [rated_number(text, (1, 5)) for text in ("4", "**2** - inaccurate", "I would say 4", "4/5", "4 (1 to 5)")]
    [4, 2, 4, 4, 4]
    >>> [rated_number(text, (1, 5)) for text in ("1 = never, 2 = rarely", "1 to 5", "3 or 4", "4.5", "10", "-4")]
    [None, None, None, None, None, None]
    """
    if len(spoken := said(text)) > LONGEST:
        return None
    plain = re.sub(r"\s+", lambda gap: "\n" if "\n" in gap[0] else " ", "".join(map(_plain, spoken)))
    for mention in _mentions(*ends):
        plain = mention.sub(" ", plain)
    found = list(_NUMBER.finditer(plain))
    named = {value for value in map(_value, found) if value is None or ends[0] <= value <= ends[1]}
    if len(named) != 1 or _value(found[0]) not in named or _ROW.search(plain):
        return None
    (number,) = named
    return number if any(_value(each) == number and _is_meant(plain, each, ends[0]) for each in found) else None


def is_refusal(reply: str | None) -> bool:
    """Whether the judge found nothing to rate, or was given an empty answer.

    >>> [is_refusal(reply) for reply in (None, "x", " X.", "**x**", "x-ray", "3")]
    [True, True, True, True, False, False]
    """
    return reply is None or re.sub(r"[\W_]+", "", said(reply)).lower() == REFUSAL


def said(text: str) -> str:
    """A reply without the thoughts that a reasoning model writes before it."""
    return _THOUGHTS.sub("", text)


def _plain(letter: str) -> str:
    """A digit of any script as 0-9, forms of other widths and dashes as usual; nothing for what is not seen."""
    match unicodedata.category(letter):
        case "Nd":
            return str(unicodedata.decimal(letter))
        case "No" if unicodedata.decomposition(letter).startswith("<circle>"):
            return unicodedata.normalize("NFKC", letter)
        case "No":  # a half, a power: no whole number with what stands before it
            return "x"
        case "Cf" | "Mn" | "Me":
            return ""
        case "Pd" | "Sm" if letter in "\N{MINUS SIGN}\N{EN DASH}\N{NON-BREAKING HYPHEN}\N{HYPHEN}\N{FIGURE DASH}":
            return "-"
    return unicodedata.normalize("NFKC", letter) if "\uff00" < letter < "\uffef" else letter


def _value(found: re.Match[str]) -> int | None:
    """The whole number; None for another. What is too long for any scale is cut, and on none."""
    whole, _, part = found[1].partition(".")
    return int(whole[:12]) if "," not in whole and not part.strip("0") else None


def _is_meant(text: str, number: re.Match[str], low: int) -> bool:
    """Whether a number stands where an answer does: first, last of its clause, or after a word that leads to it."""
    before, after = text[: number.start()][-REACH:], text[number.end() :][:REACH]
    if _COUNTED.match(after) or _NOT_MEANT.search(before) or (low < 0 and re.search(r"-\s$", before)):
        return False
    is_first = not re.search(r"[^\W_]", text[: number.start()])
    return is_first or bool(_ENDED.match(after) or _LED_TO.search(before))


@lru_cache
def _mentions(low: int, high: int) -> tuple[re.Pattern[str], ...]:
    """Ways to name the scale itself, which say nothing about the answer."""
    wording = r"\s*(?:\([^()\d]*\)|[=:][^\d,;.]*?)?\s*"
    between = wording + r"(?:--?|~|\.{2,3}|\u2026|(?:up\s+)?to|through|thru|until)\s*"
    steps, listed = [str(step) for step in range(low, high + 1)], r"(?:[\s,;/|<]|and|or)+"
    ways = [f"{low}{between}{high}", f"{high}{between}{low}", rf"between\s+{low}\s+and\s+{high}"]
    ways += [listed.join(steps), listed.join(reversed(steps))] if len(steps) > 2 else []
    ends = rf"(?:\bscale\s+(?:of|from)\s+)?(?<![\w.,])(?<![\w)\]*][-+])(?:{'|'.join(ways)})(?![\w/]|[.,]\d)"
    of = r"(?:out\s+)?of(?:\s+(?:a\s+)?(?:possible|maximum|total)(?:\s+of)?)?"
    top = rf"\s*(?:/|\b{of}\b)\s*{high}(?:\.0)?(?![\w/]|[.,]\d)|(?<![\w.,]){high}[\s-]*points?\s+(?:likert\s+)?scale"
    legend = rf"[(\[][^()\[\]]*(?<![\w.]){low}\b[^()\[\]]*(?<![\w.]){high}\b[^()\[\]]*[)\]]"
    return tuple(re.compile(each, re.IGNORECASE) for each in (ends, top, legend))
