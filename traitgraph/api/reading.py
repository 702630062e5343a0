"""What a study has found out: the rows of its table, and the raw answers of one subject."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any, overload

from traitgraph.runtime.assessment.measurement import ANSWERS_FILE, read_rows
from traitgraph.runtime.results.table import ResultRow, result_rows, table_of, to_json, write_csv
from traitgraph.runtime.store.errors import DamagedArtifactError, MissingArtifactError
from traitgraph.runtime.store.store import Store
from traitgraph.specs.jobs.results import Cell
from traitgraph.specs.study.study import Study

from .calls import Tell, UsageError, silent, tell_people
from .planning import Plan, planned, set_aside_damaged
from .reporting import NoResultError

if TYPE_CHECKING:
    import pandas

__all__ = ["ResultRow", "Results", "answers", "results", "to_json", "write_csv"]

SHOWN_SUBJECTS = 5


@dataclass(frozen=True)
class Results(Sequence[ResultRow]):
    """Tidy rows, one per subject x benchmark x metric (x repeat), in the order of the study."""

    rows: tuple[ResultRow, ...]
    missing: tuple[Cell, ...]
    """Subjects under a benchmark that the store does not hold yet."""
    asked: int
    """Assessments that were asked for."""

    @property
    def absent(self) -> int:
        """How many of them are missing."""
        return len({cell.job for cell in self.missing})

    @overload
    def __getitem__(self, place: int) -> ResultRow: ...
    @overload
    def __getitem__(self, place: slice) -> Sequence[ResultRow]: ...
    def __getitem__(self, place: int | slice) -> ResultRow | Sequence[ResultRow]:
        return self.rows[place]

    def __len__(self) -> int:
        return len(self.rows)

    def __repr__(self) -> str:
        left = f", {self.absent:,} of {self.asked:,} assessments missing" if self.missing else ""
        return f"<{len(self.rows):,} rows{left}>"

    def frame(self) -> pandas.DataFrame:
        """The rows as a DataFrame with the columns of results.csv: Int64, float64, or text; missing where undefined.

        Raises UsageError where pandas is not installed.
        """
        try:
            import pandas
        except ImportError:
            raise UsageError("not installed: pandas; next: pip install pandas") from None
        types: dict[type, Any] = {int: "Int64", float: "float64", str: object}
        columns = table_of(self.rows).items()
        return pandas.DataFrame({name: pandas.Series(values, dtype=types[kind]) for name, (kind, values) in columns})

    def write(self, path: str | Path) -> None:
        """Write the rows to a file that is there whole or not at all; its suffix says how: .csv, .json or .parquet.

        Raises UsageError for another suffix, for parquet where pyarrow is not installed, and for a place that takes no
        file.
        """
        path = Path(path)
        if path.suffix not in FORMS:
            raise UsageError(f"{path}: the suffix says how rows are written; there are: {', '.join(FORMS)}")
        part = path.with_name(f".{path.name}.part")
        try:
            FORMS[path.suffix](self.rows, part)
            part.replace(path)
        except OSError as problem:
            raise UsageError(f"cannot write {path}: {problem.strerror}") from problem
        finally:
            with suppress(OSError):
                part.unlink(missing_ok=True)


def _write_parquet(rows: Sequence[ResultRow], path: Path) -> None:
    """The columns of results.csv as int64, double or string; null where undefined."""
    try:
        import pyarrow
        from pyarrow import parquet
    except ImportError:
        raise UsageError("not installed: pyarrow; next: pip install pyarrow") from None
    types = {int: pyarrow.int64(), float: pyarrow.float64(), str: pyarrow.string()}
    columns = {name: pyarrow.array(values, types[kind]) for name, (kind, values) in table_of(rows).items()}
    parquet.write_table(pyarrow.table(columns), path)


def _write_csv(rows: Sequence[ResultRow], path: Path) -> None:
    with path.open("w", encoding="utf-8", newline="") as stream:
        write_csv(rows, stream)


FORMS: dict[str, Callable[[Sequence[ResultRow], Path], object]] = {
    ".csv": _write_csv,
    ".json": lambda rows, path: path.write_text(to_json(rows), encoding="utf-8"),
    ".parquet": _write_parquet,
}
"""Suffix of a file -> what writes rows into one."""


def results(
    what: Plan | Study | str | Path,
    store: Store | str | Path | None = None,
    *,
    select: str | Sequence[str] = (),
    tell: Tell | None = tell_people,
) -> Results:
    """Every row whose assessment is in the store, and which are missing. `tell` hears of damaged ones, set aside."""
    plan = planned(what, store, select)
    for damage in set_aside_damaged(plan.cells, plan.store):
        (tell or silent)(damage)
    rows, missing = result_rows(plan.cells, plan.store)
    return Results(tuple(rows), tuple(missing), len({cell.job for cell in plan.cells}))


def answers(
    what: Plan | Study | str | Path,
    subject: str | Sequence[str] | Mapping[str, object],
    store: Store | str | Path | None = None,
) -> list[dict[str, Any]]:
    """The raw answers of one subject, as its benchmark keeps them: what was asked, what it said, how that was read.

    `subject`: a row of the results, or a selector that leaves one subject under one benchmark
    ('arm=vectors,trait=openness,level=high,alpha=1,benchmark=mini-ipip').
    Raises UsageError where it names none or several, and NoResultError where its assessment is not in the store.
    """
    if isinstance(subject, Mapping):
        plan, job = planned(what, store), str(subject["job"])
    else:
        plan = planned(what, store, subject)
        job = _only_job(plan.cells)
    kind = plan.store.kind_of(job)
    try:
        folder = plan.store.open(kind or "assess", job).path
    except (MissingArtifactError, DamagedArtifactError) as problem:
        raise NoResultError(f"{problem}; run the study first") from problem
    return list(read_rows(folder / ANSWERS_FILE))


def _only_job(cells: Sequence[Cell]) -> str:
    jobs = {cell.job: cell.identity for cell in reversed(cells)}
    if len(jobs) != 1:
        several = list(reversed(jobs.values()))
        named = "".join(f"\n  {each}" for each in several[:SHOWN_SUBJECTS])
        more = f"\n  and {len(several) - SHOWN_SUBJECTS:,} more" if len(several) > SHOWN_SUBJECTS else ""
        what = f"answers are of one subject under one benchmark, and the selector names {len(jobs):,}"
        raise UsageError(what + (f":{named}{more}" if jobs else ""))
    return next(iter(jobs))
