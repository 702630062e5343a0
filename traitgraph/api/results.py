"""What a study has found out: the rows of its table, the raw answers of one subject, and its report on disk.

The report stands in STORE/reports/<study>/: report.html, results.csv, figures/. With overrides, it is another study's
report in all but the name: STORE/reports/<study>+alpha=2/. It is a view: it is made again whenever what it shows has
changed, and left alone when nothing has.
"""

from __future__ import annotations

import json
import re
from collections.abc import Callable, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path, PurePath
from typing import TYPE_CHECKING, Any, overload

from traitgraph import __version__
from traitgraph.compiler.plan import Plan as CompiledPlan
from traitgraph.runtime.assessment.measurement import ANSWERS_FILE, read_rows
from traitgraph.runtime.assessment.questionnaires.item_scores import ItemScores
from traitgraph.runtime.report import write_report
from traitgraph.runtime.results.provenance import About, Failure, describe_results
from traitgraph.runtime.results.table import ResultRow, result_rows, table_of, to_json, write_csv
from traitgraph.runtime.store.durable import make_folder, write_json
from traitgraph.runtime.store.errors import DamagedArtifactError, MissingArtifactError
from traitgraph.runtime.store.records import by_cause
from traitgraph.runtime.store.store import Store
from traitgraph.specs.jobs.results import Cell
from traitgraph.specs.source.hashing import digest, digest_file
from traitgraph.specs.study.study import HEAD, Study

from .calls import Tell, UsageError, silent, tell_people
from .data_check import data_forms, overlap_faults
from .planning import Plan, planned, set_aside_damaged
from .status import study_status
from .tracking import mirror

if TYPE_CHECKING:
    import pandas

__all__ = ["NoResultError", "ResultRow", "Results", "answers", "report", "results", "to_json", "write_csv"]

SHOWN_SUBJECTS = 5
STAMP = "made-from.json"
LONGEST = 80
"""Letters of a study's name, and of its overrides, in the name of a folder."""


class NoResultError(UsageError):
    """The store holds no result of a study."""


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
    plan = _checked_plan(what, store, select, tell or silent)
    rows, missing = result_rows(plan.cells, plan.store)
    return Results(tuple(rows), tuple(missing), len({cell.job for cell in plan.cells}))


def _checked_plan(
    what: Plan | Study | str | Path, store: Store | str | Path | None, select: str | Sequence[str], tell: Tell
) -> Plan:
    """The plan of a study whose results were read: damaged ones are set aside, and told."""
    plan = planned(what, store, select)
    for damage in set_aside_damaged(plan.cells, plan.store):
        tell(damage)
    return plan


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


# ---------------------------------------------------------------- the report on disk


def report(
    what: Plan | Study | str | Path, store: Store | str | Path | None = None, *, tell: Tell | None = tell_people
) -> Path:
    """Render the report of what the store holds of a study; the path of the page. Mirrors it where the study says so.

    Damaged results are set aside and told. Raises NoResultError where the store holds none.
    """
    if isinstance(what, Plan):  # of all that there is, whatever it selects
        store, what = store or what.store, what.spec
    tell = tell or silent
    plan = _checked_plan(what, store, (), tell)
    if not any(plan.store.has("assess", cell.job) for cell in plan.cells):
        raise NoResultError(f"no result of study {plan.study} is in {plan.store.root}; run it first")
    page = write_study_report(plan.spec, plan, plan.store)
    if told := mirror(plan.spec, plan, plan.store, page):
        tell(told)
    return page


def write_study_report(study: Study, plan: CompiledPlan, store: Store) -> Path:
    """Write the report of what the store holds of a study; returns the path of the page."""
    rows, missing = result_rows(plan.cells, store)
    about = _about(study, plan, store)
    folder = report_folder(store, study.study, study.overrides)
    page, made_from = folder / "report.html", _digest_of(rows, about)
    if page.is_file() and _stamp(folder).get("made_from") == made_from and not report_faults(folder):
        return page
    make_folder(store.root, store.root)
    store.make_way(folder)
    make_folder(folder, store.root)
    (folder / STAMP).unlink(missing_ok=True)
    page = write_report(rows, about, folder, ItemScores(store), missing, study.words)
    files = (page, folder / "results.csv", *folder.glob("figures/*.svg"))
    sealed = {path.relative_to(folder).as_posix(): digest_file(path) for path in files}
    write_json(folder / STAMP, {"made_from": made_from, "files": sealed})
    return page


def report_faults(folder: Path) -> list[str]:
    """Which files of a report are not as they were rendered: "results.csv: its content has changed"."""
    if not folder.is_dir():
        return ["something stands where its folder belongs"]
    if not (folder / STAMP).exists() and (folder / "report.html").exists():
        return [f"{STAMP}: missing"]
    faults = []
    for name, wanted in _stamp(folder).get("files", {}).items():
        try:
            if digest_file(folder / name) != wanted:
                faults.append(f"{name}: its content has changed")
        except OSError as problem:
            faults.append(f"{name}: {problem.strerror}")
    return faults


def report_folder(store: Store, study: str, overrides: Sequence[str] = ()) -> Path:
    """Where the report of a study goes: its name and the overrides that change what it is a report of.

    Both are reduced to letters that every file system takes; overrides that lose some by it are told apart by a digest.
    """
    name = re.sub(r"[^A-Za-z0-9._-]+", "-", study).strip("-.")[:LONGEST]
    named = name or digest("study", study)[:8]
    return store.root / "reports" / "+".join([named, *_variant(overrides)])


def _variant(overrides: Sequence[str]) -> list[str]:
    """The overrides as a part of a file's name; without those of keys that change no result."""
    texts = sorted(text.lstrip("+") for text in overrides if re.split(r"[.=/@]", text.lstrip("+~"))[0] not in HEAD)
    words = [re.sub(r"[^A-Za-z0-9._=~-]+", "-", text).strip("-") for text in texts]
    if words == texts and len("+".join(words)) <= LONGEST:
        return words
    return ["+".join(words)[:LONGEST], digest("overrides", texts)[:8]]


def _about(study: Study, plan: CompiledPlan, store: Store) -> About:
    failures = [
        Failure(cause, [each.label for each in group], group[0].log)
        for cause, group in by_cause(study_status(plan, store).failures)
    ]
    forms = data_forms(plan.draft.stages, plan.draft.locations)
    names = {
        digest: f"{PurePath(place).name}{f' ({forms[place]})' if place in forms else ''}"
        for digest, place in plan.draft.locations.items()
    }
    return describe_results(
        study.study,
        study.file.read_text(encoding="utf-8", errors="replace"),
        plan.cells,
        store,
        description=study.description,
        overrides=study.overrides,
        names=names,
        failures=failures,
        notes=[f"{fault.message}." for fault in overlap_faults(plan, plan.draft.locations)],
    )


def _digest_of(rows: Sequence[ResultRow], about: About) -> str:
    """What the report was made from, and by which version: equal digests give equal reports."""
    plain = {name: repr(value) for name, value in vars(about).items()}
    return digest(
        "report", {"version": __version__, "rows": [list(map(str, row.values())) for row in rows], "about": plain}
    )


def _stamp(folder: Path) -> dict[str, Any]:
    """What is written of a report; nothing of one that an earlier version rendered."""
    try:
        found = json.loads((folder / STAMP).read_bytes())
    except FileNotFoundError:
        return {}
    except (OSError, ValueError):
        return {"files": {STAMP: ""}}  # a fault of its own
    if isinstance(found, str):
        return {}
    return found if isinstance(found, dict) and isinstance(found.get("files"), dict) else {"files": {STAMP: ""}}
