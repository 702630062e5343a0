"""Parameters as plain JSON data, the form in which they travel and are recorded."""

from __future__ import annotations

from pydantic import BaseModel

from .ir import Stage


def plain(value: object) -> object:
    """Specs, decimals and tuples as JSON has them: every field of a spec, null where it is None; exact text, lists."""
    if isinstance(value, BaseModel):
        return value.model_dump(mode="json")
    if isinstance(value, tuple | list):
        return [plain(item) for item in value]
    if isinstance(value, dict):
        return {name: plain(item) for name, item in value.items()}
    if isinstance(value, bool | int | float | str) or value is None:
        return value
    return str(value)


def plain_template(stage: Stage) -> dict[str, object]:
    """The parameters that all rows of a stage share."""
    return {name: plain(value) for name, value in stage.template.items() if value is not None}


def plain_row(stage: Stage, place: int) -> dict[str, object]:
    """The row fields of one job, absent ones left out."""
    row = ((name, column[place]) for name, column in stage.table.columns.items())
    return {name: plain(value) for name, value in row if value is not None}
