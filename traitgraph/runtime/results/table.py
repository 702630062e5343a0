"""The table of results: what every assessment measured, one row per subject x benchmark x metric (x repeat).

The compiler says which subject a job belongs to (`Cell`), the store holds what the job measured; here they meet.
"""

from __future__ import annotations

import csv
import json
import re
from collections.abc import Iterable, Sequence
from typing import TextIO, TypedDict, cast

from traitgraph.runtime.assessment.measurement import METRICS_FILE, read_rows
from traitgraph.runtime.merging.recipe import RECIPE
from traitgraph.runtime.merging.statistics import WARN_BELOW
from traitgraph.runtime.store.artifacts import Artifact, BadArtifactError
from traitgraph.runtime.store.errors import DamagedArtifactError, MissingArtifactError
from traitgraph.runtime.store.store import Store
from traitgraph.specs.jobs.results import RESULT_COLUMNS, Cell
from traitgraph.specs.source.diagnostics import without_escapes

_FORMULA, _NUMBER = re.compile(r"\s*[=+@\t\r\uff1d\uff0b\uff0d\uff20-]"), re.compile(r"-?\d+(\.\d+)?([eE][+-]?\d+)?")
"""What a spreadsheet would compute; an apostrophe before it keeps it a text. A negative number stays a number."""


class ResultRow(TypedDict):
    """One number with its coordinates; '' and None where a column does not apply or the value is undefined."""

    study: str
    arm: str
    method: str
    model: str
    trait: str
    level: str
    merge: str
    alpha: str
    effective_alpha: float | None
    """alpha times `survives`; None where no one alpha scales a vector, or its merge is gone."""
    gamma: str
    seed: str
    repeat: int | None
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
            arms.setdefault(row["arm"], {})[row["job"]] = share
    return [
        f"{arm}: in {len(low)} of {len(shares)} assessments of merged models less than {WARN_BELOW:.0%} of the change "
        f"survives rounding, in the worst {min(low):.0%}; the effective alpha stands beside alpha in results.csv. Take "
        "a float32 base, or set `rounding: stochastic`"
        for arm, shares in arms.items()
        if (low := [share for share in shares.values() if share < WARN_BELOW])
    ]


def _row(cell: Cell, metric: dict[str, object], same_as: str | None, survives: float | None) -> ResultRow:
    try:
        effective = None if survives is None else float(cell.alpha) * survives
    except ValueError:  # one alpha for each of several traits
        effective = None
    measured = {"same_as": same_as, "survives": survives, "effective_alpha": effective}
    fields = {"role": "score", "higher_is_better": None, "filter": None, **metric, **measured}
    return cast(
        "ResultRow", {**cell._asdict(), **{name: fields[name] for name in ResultRow.__annotations__ if name in fields}}
    )


def write_csv(rows: Sequence[ResultRow], stream: TextIO) -> None:
    """Write `results.csv`: a header, then one line per row; floats in full precision, empty where undefined.

    Open a file for it with newline="" (as for every csv writer).
    """
    writer = csv.writer(stream, lineterminator="\n")
    writer.writerow(RESULT_COLUMNS)
    for row in rows:
        writer.writerow([_cell_text(value) for value in _columns(row).values()])


def _cell_text(value: object) -> str:
    if value is None:
        return ""
    if not isinstance(value, str):
        return repr(value)
    text = without_escapes(value)
    return f"'{text}" if _FORMULA.match(text) and not _NUMBER.fullmatch(text) else text


def to_json(rows: Sequence[ResultRow]) -> str:
    """The same rows as one JSON array, one row a line; null where undefined."""
    return "[\n" + ",\n".join(json.dumps(_columns(row)) for row in rows) + "\n]\n"


def _columns(row: ResultRow) -> dict[str, object]:
    return {column: cast("dict[str, object]", row)[column] for column in RESULT_COLUMNS}
