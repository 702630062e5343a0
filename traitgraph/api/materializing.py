"""Write merged models of a study to disk: the recipes that a plan selects and the store holds."""

from __future__ import annotations

import re
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Literal

from traitgraph.runtime.jobs.context import JobContext
from traitgraph.runtime.jobs.locations import DigestMemory, Locations
from traitgraph.runtime.merging.materialize import outputs_of, write_outputs
from traitgraph.runtime.models.loading import model_folder
from traitgraph.runtime.store.store import Store
from traitgraph.runtime.tensors.checkpoint import Checkpoint, MergeError
from traitgraph.runtime.worker.job_kinds import job_kind
from traitgraph.specs.jobs.params import JobRow, MergeParams
from traitgraph.specs.jobs.refs import HubModel, ModelRef
from traitgraph.specs.study.study import Study

from .calls import UsageError
from .planning import Plan, planned


def materialize(
    what: Plan | Study | str | Path,
    folder: str | Path,
    store: Store | str | Path | None = None,
    *,
    select: str | Sequence[str] = (),
    form: Literal["weights", "adapter"] = "weights",
    rank: int | None = None,
    dtype: Literal["float32", "bfloat16", "float16"] | None = None,
    progress: Callable[[int, int, str], None] | None = None,
) -> list[Path]:
    """Write every merge behind the selected results of a study to a folder of its own below `folder`; their paths.

    Merges of one base are written in one pass over it, after all of them were checked. `form`: weights, which
    transformers loads, in the number format `dtype`; or an adapter for peft and vLLM, exact or the best of a `rank`.
    `progress` hears bytes done, of how many, of what. Raises UsageError when there is no merge, one has not been made,
    or one cannot be written so; ChangedFileError for a base that is not the planned one.
    """
    check_form(form, rank, dtype)
    plan, folder = planned(what, store, select), Path(folder)
    store, rows = plan.store, _merges_of(plan)
    written = {row.key: folder / _folder_name(row) for row in rows}
    try:
        locations = Locations(plan.draft.locations, DigestMemory(store.root))
        by_base: dict[Path, list[JobRow]] = {}
        for row in rows:
            by_base.setdefault(_base_of(row, locations, store), []).append(row)
        checked = []
        for base, group in by_base.items():
            recipes, folders = [store.open("merge", row.key).path for row in group], [written[row.key] for row in group]
            model, whole = _model_of(group[0]), Checkpoint(base)
            # What cards call the base: its id on the hub, else its name in the study; never a path of this machine.
            name = model.id if isinstance(model, HubModel) else dict(plan.cells[0].axes)["model"]
            checked.append((whole, outputs_of(recipes, folders, whole, form=form, dtype=dtype, base_name=name)))
        for checkpoint, outputs in checked:
            write_outputs(checkpoint, outputs, form=form, rank=rank, progress=progress)
        locations.check_again()
    except (MergeError, OSError) as problem:
        raise UsageError(str(problem)) from problem
    return list(written.values())


def check_form(form: str, rank: int | None, dtype: str | None) -> None:
    """Refuse options that the form of the output has not."""
    if form == "weights" and rank is not None:
        raise UsageError("--rank is for --form adapter; weights have none")
    if form == "adapter" and dtype is not None:
        raise UsageError("--dtype is for --form weights; adapters are written in float32")


def _merges_of(plan: Plan) -> list[JobRow]:
    """The merge behind each result of the plan, each once, in the order of the results; all are in the store."""
    draft = plan.draft
    row_of = {key: row for row, key in enumerate(draft.keys)}
    assessments = (row_of[bytes.fromhex(key)] for key in dict.fromkeys(cell.job for cell in plan.cells))
    merges = (ref for row in assessments for ref in draft.inputs_of(row).get("merge", ()))
    rows = [plan.job_row(row) for row in dict.fromkeys(merges)]
    if not rows:
        raise UsageError("no merged model is selected; methods with vectors have them, for example --select 'alpha>0'")
    if absent := [row.label for row in rows if not plan.store.has("merge", row.key)]:
        raise UsageError(f"not in the store: {', '.join(absent[:5])}; run the study first")
    return rows


def _model_of(row: JobRow) -> ModelRef:
    params = job_kind("merge").validated(row)
    assert isinstance(params, MergeParams), "a merge row has merge parameters"
    return params.model


def _base_of(row: JobRow, locations: Locations, store: Store) -> Path:
    inputs = {"model": tuple(store.open("prepare", key).path for key in row.inputs.get("model", ()))}
    return model_folder(JobContext(row, inputs, out=store.root, locations=locations), _model_of(row))


def _folder_name(row: JobRow) -> str:
    """The label without the word merge, and the start of the key: 'extraversion-high-alpha-0.5-3f2a9c01'."""
    name = re.sub(r"[^A-Za-z0-9.]+", "-", row.label.removeprefix("merge").partition("#")[0]).strip("-.")
    return f"{name[:100]}-{row.key[:8]}"
