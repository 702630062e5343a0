"""The table of results: what every assessment measured, one row per subject x benchmark x metric (x repeat).

The compiler says which subject a job belongs to (`Cell`), the store holds what the job measured; here they meet.
"""

from __future__ import annotations

import csv
import json
import re
from collections.abc import Iterable, Sequence
from types import NoneType
from typing import Any, Self, TextIO, cast, get_args, get_type_hints

from traitgraph.runtime.assessment.measurement import METRICS_FILE, read_rows
from traitgraph.runtime.merging.recipe import RECIPE
from traitgraph.runtime.merging.statistics import WARN_BELOW
from traitgraph.runtime.store.artifacts import Artifact, BadArtifactError
from traitgraph.runtime.store.errors import DamagedArtifactError, MissingArtifactError
from traitgraph.runtime.store.store import Store
from traitgraph.specs.jobs.results import AXES, MEASURED, RESULT_COLUMNS, Axes, Cell
from traitgraph.specs.source.diagnostics import without_escapes

_FORMULA, _NUMBER = re.compile(r"\s*[=+@\t\r\uff1d\uff0b\uff0d\uff20-]"), re.compile(r"-?\d+(\.\d+)?([eE][+-]?\d+)?")
"""What a spreadsheet would compute; an apostrophe before it keeps it a text. A negative number stays a number."""


class Number(float):
    """A number of a spec: it computes as a float, and prints as it was written."""

    def __new__(cls, text: str) -> Self:
        """Read the text of a decimal number."""
        made = super().__new__(cls, text)
        made.text = text
        return made

    text: str

    def __repr__(self) -> str:
        """As it was written."""
        return self.text


class ResultRow(Axes):
    """One number with its coordinates; None where a column does not apply or the value is undefined.

    A row has more entries where its study has more axes: `alpha:TRAIT`, `merge.OPTION`, those of plug-ins.
    """

    study: str
    arm: str | None
    method: str
    method_label: str
    """The method with what tells its variants apart, as the report prints it; not a column, as is `merge_label`."""
    merge_label: str
    effective_alpha: float | None
    """alpha times `survives`; None where no one alpha scales a vector, or its merge is gone."""
    repeat: int | None
    form: str | None
    """Of a questionnaire asked in several: axis and value of each axis; None for what is over all of them."""
    benchmark: str
    metric: str
    value: float | None
    stderr: float | None
    n: int | None
    job: str
    same_as: str | None
    """Coordinates of the first subject that has this very measurement, where it is another one; else None."""
    role: str
    """'score', or 'validity' for a check of the measurement."""
    survives: float | None
    """Share of a merge's change that the model's number format holds; not a column either."""
    higher_is_better: bool | None
    """Of a task's metric; None where nobody says. Not a column, as is `filter`: which of several reads the answers."""
    filter: str | None


_TYPES = {name: tuple(set(get_args(hint) or (hint,)) - {NoneType}) for name, hint in get_type_hints(ResultRow).items()}
"""Column -> the types of its values."""


def result_rows(cells: Iterable[Cell], store: Store) -> tuple[list[ResultRow], list[Cell]]:
    """The rows of every cell whose job is in the store, in the order of the cells, and the cells that are missing.

    A damaged artifact counts as missing: the store has moved it away.
    """
    rows: list[ResultRow] = []
    missing: list[Cell] = []
    first: dict[str, tuple[Cell, float | None]] = {}
    for cell in cells:
        try:
            found = _open(store, cell.job)
        except (MissingArtifactError, DamagedArtifactError):
            missing.append(cell)
            continue
        if cell.job not in first:
            merges = found.row.inputs.get("merge", ())
            first[cell.job] = cell, _surviving_share(store, merges[0]) if merges else None
        same, share = first[cell.job]
        same_as = None if same is cell else same.identity
        rows += (_row(cell, metric, same_as, share) for metric in read_rows(found.path / METRICS_FILE))
    return rows, missing


def _open(store: Store, key: str) -> Artifact:
    """An assessment, or an analysis across subjects. Raises what `Store.open` raises."""
    try:
        return store.open("assess", key)
    except MissingArtifactError:
        return store.open("analyse", key)


def _surviving_share(store: Store, merge: str) -> float | None:
    """How much of a merge's change its model holds, from its recipe: all, where it acts beside the weights.

    None where nothing was changed, or the recipe is gone or damaged.
    """
    try:
        record = json.loads(store.read("merge", merge, RECIPE))
    except (MissingArtifactError, BadArtifactError, OSError):
        return None
    share: float | None = record["statistics"]["effective_alpha"]
    return 1.0 if share is not None and record["application"] == "adapter" else share


def rounding_losses(rows: Iterable[ResultRow]) -> list[str]:
    """What to tell people of each arm in which less than 90 % of a merge's change is in the weights."""
    arms: dict[str, dict[str, float]] = {}
    for row in rows:
        if (share := row.get("survives")) is not None:
            arms.setdefault(row["arm"] or row["method"], {})[row["job"]] = share
    return [
        f"{arm}: in {len(low)} of {len(shares)} assessments of merged models less than {WARN_BELOW:.0%} of the change "
        f"survives rounding, in the worst {min(low):.0%}; the effective alpha stands beside alpha in results.csv. Take "
        "a float32 base, or set `rounding: stochastic`"
        for arm, shares in arms.items()
        if (low := [share for share in shares.values() if share < WARN_BELOW])
    ]


def coordinates(cell: Cell) -> dict[str, Any]:
    """The coordinates of a cell as a row has them: every axis of the language and the cell's own, each of its type."""
    given = {name: _typed(name, text) for name, text in cell.axes}
    named = {name: value for name, value in cell._asdict().items() if name != "axes"}
    return {**named, "arm": cell.arm or None, **dict.fromkeys(AXES), **given}


def _typed(axis: str, text: str) -> str | float | None:
    """What the text of an axis says; of an axis that is not in `Axes`, a number where it is one."""
    kinds = _TYPES.get(axis, (float, str))
    if int in kinds and text.isdecimal():
        return int(text)
    return Number(text) if float in kinds and _NUMBER.fullmatch(text) else text or None


def _row(cell: Cell, metric: dict[str, object], same_as: str | None, survives: float | None) -> ResultRow:
    named = coordinates(cell)
    alpha = named["alpha"]
    effective = None if survives is None or alpha is None else alpha * survives
    measured = {"same_as": same_as, "survives": survives, "effective_alpha": effective}
    fields = {"role": "score", "higher_is_better": None, "filter": None, "form": None, **metric, **measured}
    return cast("ResultRow", {**named, **{name: fields[name] for name in ResultRow.__annotations__ if name in fields}})


def write_csv(rows: Sequence[ResultRow], stream: TextIO) -> None:
    """Write `results.csv`: a header, then one line per row; floats in full precision, empty where undefined.

    Open a file for it with newline="" (as for every csv writer).
    """
    writer = csv.writer(stream, lineterminator="\n")
    columns = columns_of(rows)
    writer.writerow(map(_cell_text, columns))
    for row in rows:
        writer.writerow([_cell_text(value) for value in values_of(row, columns)])


def _cell_text(value: object) -> str:
    if value is None:
        return ""
    if not isinstance(value, str):
        return repr(value)
    text = without_escapes(value)
    return f"'{text}" if _FORMULA.match(text) and not _NUMBER.fullmatch(text) else text


def to_json(rows: Sequence[ResultRow]) -> str:
    """The same rows as one JSON array, one row a line; null where undefined."""
    columns = columns_of(rows)
    lines = (json.dumps(dict(zip(columns, values_of(row, columns), strict=True))) for row in rows)
    return "[\n" + ",\n".join(lines) + "\n]\n"


def columns_of(rows: Iterable[ResultRow]) -> tuple[str, ...]:
    """The columns of a table: RESULT_COLUMNS, and after the axes there those that only its study has."""
    own = dict.fromkeys(name for row in rows for name in row if name not in ResultRow.__annotations__)
    return (*RESULT_COLUMNS[: -len(MEASURED)], *own, *MEASURED)


def values_of(row: ResultRow, columns: Iterable[str]) -> list[Any]:
    """What a row says in each of the columns."""
    return list(map(cast("dict[str, object]", row).get, columns))


def table_of(rows: Sequence[ResultRow]) -> dict[str, tuple[type, list[Any]]]:
    """The columns of a table, each with the type of its values (int, float or str) and these, None where undefined.

    A column that may hold words and numbers is of the type that fits all of it.
    """
    columns = columns_of(rows)
    values = zip(*(values_of(row, columns) for row in rows), strict=True) if rows else ((),) * len(columns)
    return {name: _of_one_type(name, list(found)) for name, found in zip(columns, values, strict=True)}


def _of_one_type(name: str, values: list[Any]) -> tuple[type, list[Any]]:
    kinds = _TYPES.get(name, (float, str))
    there = [value for value in values if value is not None]
    fits = (kind for kind in (int, float) if kind in kinds and all(isinstance(value, (int, kind)) for value in there))
    kind = kinds[0] if len(kinds) == 1 else next(fits, str) if there else str
    return kind, [None if value is None else kind(value) for value in values]
