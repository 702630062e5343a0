"""Which fields differ between two sets of parameters, by dotted path, with both values."""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping
from typing import NamedTuple

from traitgraph.specs.identity import encode


class Change(NamedTuple):
    """One field with its two values; None where it is absent."""

    path: str
    old: object
    new: object

    def text(self) -> str:
        """'training.learning_rate: 1e-05 -> 2e-05'."""
        return f"{self.path}: {_shown(self.old)} -> {_shown(self.new)}"


def field_changes(old: Mapping[str, object], new: Mapping[str, object], prefix: str = "") -> Iterator[Change]:
    """Every field of plain parameters that differs; mappings are compared field by field, all else as a whole."""
    for name in dict.fromkeys((*old, *new)):
        one, two, path = old.get(name), new.get(name), f"{prefix}{name}"
        if isinstance(one, Mapping) and isinstance(two, Mapping):
            yield from field_changes(one, two, f"{path}.")
        elif encode(one) != encode(two):
            yield Change(path, one, two)


def _shown(value: object) -> str:
    if value is None:
        return "(absent)"
    text = value if isinstance(value, str) else json.dumps(value, ensure_ascii=False, default=str)
    return text if len(text) <= 60 else text[:57] + "..."
