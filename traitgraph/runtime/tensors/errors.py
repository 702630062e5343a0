"""What a merge refuses, in one class: the message names the tensor or file, what is wrong with it, and what to do."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any


class MergeError(ValueError):
    """Inputs that cannot be merged as asked."""


def check_format(record: Mapping[str, Any], wanted: int, path: Path) -> None:
    """Raise MergeError unless a record of the store has the format that this program reads and writes."""
    if (found := record.get("format")) != wanted:
        raise MergeError(
            f"{path}: format {found}, and this traitgraph reads format {wanted}: another version wrote it; remove the "
            f"folder {path.parent} and run the study again"
        )
