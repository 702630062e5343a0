"""A plan as a file: what `plan -o FILE` writes and `run FILE` executes exactly, or refuses.

The file holds the job table, the names of every result, and what it rests on. It does not fit any more when another
version of the program or of a job kind would run it, when a file that a job reads has changed, or when a job that the
plan counted as done is gone from the store. New artifacts in the store are no harm: workers skip what is there.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Literal

from pydantic import Field, ValidationError

from traitgraph import __version__
from traitgraph.compiler.ir.ir import PRESENT
from traitgraph.compiler.plan import Plan
from traitgraph.specs.fields.base import Spec
from traitgraph.specs.jobs.params import JobTable
from traitgraph.specs.jobs.refs import Digest
from traitgraph.specs.jobs.results import Cell
from traitgraph.specs.source.diagnostics import Diagnostic, SpecError
from traitgraph.specs.source.hashing import digest
from traitgraph.specs.study.job_kinds import KINDS, kind_of
from traitgraph.specs.study.judges import LIMITS


class SavedPlan(Spec):
    """One plan, complete."""

    format: Literal["traitgraph plan 2"] = "traitgraph plan 2"
    program: str = Field(description="Version of traitgraph that made the plan.")
    table: JobTable
    versions: dict[str, int] = Field(description="Job kind -> its version, for every kind in the plan.")
    relied_on: dict[Digest, str] = Field(description="Key -> kind of the jobs that were asked for and in the store.")
    cells: tuple[Cell, ...] = Field(description="Every result: the columns of `results.Cell`.")
    seal: Digest = Field(description="Digest of all of the above.")


def save_plan(plan: Plan) -> SavedPlan:
    """The plan as a document that can be executed later, elsewhere, exactly."""
    fields = {
        "program": __version__,
        "table": plan.job_table(),
        "versions": {kind: kind_of(kind).version for kind in sorted(plan.counts.by_kind)},
        "relied_on": {plan.draft.keys[row].hex(): plan.draft.locate(row)[0].kind for row in _relied_on(plan)},
        "cells": tuple(plan.cells),
    }
    return SavedPlan(**fields, seal=_seal(fields))


def _relied_on(plan: Plan) -> list[int]:
    """Jobs in the store that the study or a selection asks for, or that a missing job reads."""
    draft = plan.draft
    if draft.wanted is None:
        return [row for row, status in enumerate(draft.status) if status == PRESENT]
    read = {ref for task in plan.tasks for row in task.rows for ref in draft.needs(row)}
    return sorted(row for row in read | draft.wanted if draft.status[row] == PRESENT)


def _seal(fields: dict[str, object]) -> str:
    table = fields["table"]
    assert isinstance(table, JobTable)
    return digest("plan", {**fields, "table": table.model_dump(mode="json")})


def read_plan(path: Path) -> SavedPlan:
    """A saved plan. Raises SpecError when the file is not one, or was changed by hand."""
    try:
        saved = SavedPlan.model_validate_json(path.read_bytes())
    except (OSError, ValidationError) as problem:
        what = f"{path} is no saved plan: {_first_line(problem)}"
        raise SpecError([_refusal(what, "make one: plan SPEC -o FILE")]) from None
    fields = {name: getattr(saved, name) for name in ("program", "table", "versions", "relied_on", "cells")}
    if _seal(fields) != saved.seal:
        raise SpecError([_refusal(f"{path} was changed after it was saved", "plan again: plan SPEC -o FILE")])
    return saved


def check_fit(saved: SavedPlan, present: Callable[[str, str], bool], digest_of: Callable[[Path], str]) -> None:
    """Raises SpecError with every reason why the plan cannot be executed exactly as it was made."""
    reasons = [*_versions(saved), *_files(saved, digest_of), *_gone(saved, present)]
    if reasons:
        hint = "plan again: plan SPEC -o FILE"
        raise SpecError([_refusal(reason, hint if reason is reasons[-1] else None) for reason in reasons])


def _versions(saved: SavedPlan) -> Iterator[str]:
    if saved.program != __version__:
        yield f"traitgraph {saved.program} made the plan, this is {__version__}"
    for kind, version in saved.versions.items():
        if kind not in KINDS.names():
            yield f"this program does not know the job kind '{kind}' of the plan"
        elif version != (ours := kind_of(kind).version):
            yield f"the plan has version {version} of the job kind '{kind}', this program has {ours}"


def _files(saved: SavedPlan, digest_of: Callable[[Path], str]) -> Iterator[str]:
    for content, location in saved.table.locations.items():
        if location.startswith(("package:", "environment:", LIMITS)):
            continue
        try:
            changed = digest_of(Path(location)) != content
        except OSError:
            yield f"{location} is gone"
        else:
            if changed:
                yield f"{location} has changed since the plan was made"


def _gone(saved: SavedPlan, present: Callable[[str, str], bool]) -> Iterator[str]:
    gone = [f"{kind} {key[:8]}" for key, kind in saved.relied_on.items() if not present(kind, key)]
    if gone:
        more = f" and {len(gone) - 3} more" if len(gone) > 3 else ""
        yield f"the store no longer holds what the plan counts on: {', '.join(gone[:3])}{more}"


def _refusal(message: str, hint: str | None) -> Diagnostic:
    return Diagnostic("TG210", "error", message, None, "", hint)


def _first_line(problem: Exception) -> str:
    if isinstance(problem, ValidationError):
        fault = problem.errors(include_url=False)[0]
        return f"{'.'.join(map(str, fault['loc']))}: {fault['msg']}" if fault["loc"] else fault["msg"]
    return str(problem)
