"""A four-item questionnaire of two traits, each with a + and a - item."""

from __future__ import annotations

import json
from pathlib import Path

ITEMS = [
    {"id": 1, "text": "Am the life of the party", "domain": "E", "keyed": 1},
    {"id": 2, "text": "Don't talk a lot", "domain": "E", "keyed": -1},
    {"id": 3, "text": "Worry about things", "domain": "N", "keyed": 1},
    {"id": 4, "text": "Am relaxed most of the time", "domain": "N", "keyed": -1},
]
DOCUMENT = {
    "name": "four",
    "stem": "I ...",
    "licence": "made for a test",
    "response_scale": {
        "min": 1,
        "max": 5,
        "anchors": ["very inaccurate", "inaccurate", "neither", "accurate", "very accurate"],
    },
    "items": ITEMS,
}


def write_questionnaire(path: Path, **changes: object) -> Path:
    """Write the questionnaire, with some of its fields changed, and return the path."""
    path.write_text(json.dumps({**DOCUMENT, **changes}))
    return path
