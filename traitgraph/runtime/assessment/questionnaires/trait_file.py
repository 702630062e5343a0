"""The file of TRAIT (Lee et al. 2024, arXiv:2406.14703) as a questionnaire, recognised by the names of its fields.

A row is a situation with a question and four answers, of which two stand for a high level of its trait and two for a
low one. TRAIT lists them by turns, and a second time with each pair the other way round.
"""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from typing import Any

ANSWERS = ("response_high1", "response_low1", "response_high2", "response_low2")
TRAIT_FIELDS = ("personality", "situation", "query", *ANSWERS)
"""Fields that a row must have; `idx`, a number, may stand beside them."""


def is_trait_file(value: object) -> bool:
    """Whether a JSON value is a file of TRAIT: its rows, or a mapping that has them as `items`."""
    rows = value.get("items") if isinstance(value, Mapping) else value
    return isinstance(rows, list) and any(isinstance(row, dict) and not row.keys().isdisjoint(ANSWERS) for row in rows)


def as_questionnaire(rows: Sequence[Mapping[str, Any]], name: str) -> dict[str, Any]:
    """The same items in our form."""
    numbers = [row.get("idx") for row in rows]
    unique = len(set(numbers)) == len(rows) and all(type(number) is int for number in numbers)
    return {
        "name": name,
        "second_order": "swapped",
        "items": [
            _item(row, number if unique else at) for at, (row, number) in enumerate(zip(rows, numbers, strict=True))
        ],
    }


def _item(row: Mapping[str, Any], number: object) -> dict[str, Any]:
    trait = re.sub(r"[\W_]+", "-", str(row["personality"]).strip().lower())
    options = [{"text": row[name], "trait": trait, "level": name.removeprefix("response_")[:-1]} for name in ANSWERS]
    return {"id": number, "text": f"{row['situation']} {row['query']}", "options": options}
