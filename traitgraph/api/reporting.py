"""From a plan and a store to the report on disk: STORE/reports/<study>/report.html, results.csv, figures/.

With overrides, it is another study's report in all but the name: STORE/reports/<study>+alpha=2/.

The report is a view: it is made again whenever what it shows has changed, and left alone when nothing has.
"""

from __future__ import annotations

import json
import re
from collections.abc import Sequence
from pathlib import Path, PurePath
from typing import Any

from traitgraph import __version__
from traitgraph.compiler.plan import Plan as CompiledPlan
from traitgraph.runtime.assessment.questionnaires.item_scores import ItemScores
from traitgraph.runtime.report import write_report
from traitgraph.runtime.results.provenance import About, Failure, describe_results
from traitgraph.runtime.results.table import ResultRow, result_rows
from traitgraph.runtime.store.durable import make_folder, write_json
from traitgraph.runtime.store.records import by_cause
from traitgraph.runtime.store.store import Store
from traitgraph.specs.checks.validate import HEAD
from traitgraph.specs.source.hashing import digest, digest_file
from traitgraph.specs.study.study import Study

from .calls import Tell, UsageError, silent, tell_people
from .data_check import overlap_faults
from .planning import Plan, planned, set_aside_damaged
from .status import study_status
from .tracking import mirror

STAMP = "made-from.json"
LONGEST = 80
"""Letters of a study's name, and of its overrides, in the name of a folder."""


class NoResultError(UsageError):
    """The store holds no result of a study."""


def report(
    what: Plan | Study | str | Path, store: Store | str | Path | None = None, *, tell: Tell | None = tell_people
) -> Path:
    """Render the report of what the store holds of a study; the path of the page. Mirrors it where the study says so.

    Damaged results are set aside and told. Raises NoResultError where the store holds none.
    """
    if isinstance(what, Plan):  # of all that there is, whatever it selects
        store, what = store or what.store, what.spec
    plan = planned(what, store)
    for damage in set_aside_damaged(plan.cells, plan.store):
        (tell or silent)(damage)
    if not any(plan.store.has("assess", cell.job) for cell in plan.cells):
        raise NoResultError(f"no result of study {plan.study} is in {plan.store.root}; run it first")
    page = write_study_report(plan.spec, plan, plan.store)
    if told := mirror(plan.spec, plan, plan.store, page):
        (tell or silent)(told)
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
    page = write_report(rows, about, folder, ItemScores(store), missing)
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
    return describe_results(
        study.study,
        study.file.read_text(encoding="utf-8", errors="replace"),
        plan.cells,
        store,
        description=study.description,
        overrides=study.overrides,
        names={digest: PurePath(place).name for digest, place in plan.draft.locations.items()},
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
