"""A plan of a study against a store: the compiler's pure function, given what it may ask of the world."""

from __future__ import annotations

import os
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, replace
from pathlib import Path

from traitgraph.compiler.ir.context import Context
from traitgraph.compiler.ir.dimensions import axis_names
from traitgraph.compiler.ir.selector import parse_selector
from traitgraph.compiler.pipeline import compile_study
from traitgraph.compiler.plan import Plan as CompiledPlan
from traitgraph.compiler.views.print_plan import plan_text
from traitgraph.runtime.jobs.locations import DigestMemory
from traitgraph.runtime.store.artifacts import BadArtifactError, read_manifest
from traitgraph.runtime.store.errors import DamagedArtifactError, MissingArtifactError
from traitgraph.runtime.store.store import Store
from traitgraph.specs.checks import validate
from traitgraph.specs.checks.multirun import load_sweep
from traitgraph.specs.folders.harness_tasks import harness_identity
from traitgraph.specs.jobs.params import JobRow, JobTable
from traitgraph.specs.jobs.results import Cell
from traitgraph.specs.study.cluster import Cluster
from traitgraph.specs.study.study import Study

from .calls import STORE_VARIABLE, default_store

LOCAL_TASK_MINUTES = 7 * 24 * 60.0  # one machine, one worker: a task per stage, so that each model is loaded once


@dataclass(frozen=True, kw_only=True, repr=False, eq=False)
class Plan(CompiledPlan):
    """A study against a store: what it asks for, what of it is there, and what the rest would take. Runs nothing.

    It shows the store as it was; calls that take a plan look again. Printed, it is what `traitgraph plan` prints.
    """

    spec: Study
    """The study itself; `study` is its name."""
    store: Store
    select: tuple[str, ...] = ()

    def __repr__(self) -> str:
        arrays = ""
        if self.spec.cluster and self.counts.missing:
            from .slurm import arrays_of

            arrays = "\n" + arrays_of(self)
        return (plan_text(self) + arrays).rstrip("\n")


def load_study(path: str | Path, overrides: Sequence[str] = (), *, sweep: bool = False) -> Study:
    """The study of a spec file, with overrides ('alpha=[0,1]') in place of its values. Paths start at its folder.

    `sweep`: overrides may give several values, as after `-m`; the study has the arms of all of them.
    Raises SpecError with every fault of the file at once.
    """
    return load_sweep(Path(path), overrides) if sweep else validate.load_study(Path(path), overrides)


def plan(
    what: Plan | Study | str | Path, store: Store | str | Path | None = None, *, select: str | Sequence[str] = ()
) -> Plan:
    """What a study, or the file of one, asks for, and what of it the store holds; packed for its cluster if it has one.

    `select`: one selector or several, as `traitgraph plan --select` takes them ('trait=openness,alpha>0.5').
    Raises SpecError for a selector that cannot be read and for files that the study names and that are not there.
    """
    return planned(what, store, select, on_cluster=True)


def planned(
    what: Plan | Study | str | Path,
    store: Store | str | Path | None = None,
    select: str | Sequence[str] = (),
    *,
    on_cluster: bool = False,
) -> Plan:
    """The same, packed for this machine or for the study's cluster. Of a plan, that plan made anew."""
    if isinstance(what, Plan):
        store, select, what = store or what.store, select or what.select, what.spec
    study = what if isinstance(what, Study) else load_study(what)
    selectors = (select,) if isinstance(select, str) else tuple(select)
    place = store if isinstance(store, Store) else Store(store_of(study) if store is None else Path(store))
    found = plan_study(study, place, select=selectors, cluster=study.cluster if on_cluster else None)
    return Plan(found.draft, found.context, spec=study, store=place, select=selectors)


def store_of(study: Study) -> Path:
    """Where results of a study are kept when nobody says: where the environment does, else where its cluster does."""
    if os.environ.get(STORE_VARIABLE) or study.cluster is None or not study.cluster.store:
        return default_store()
    return Path(os.path.expandvars(study.cluster.store)).expanduser()


def plan_study(
    study: Study,
    store: Store,
    *,
    select: Sequence[str] = (),
    task_minutes: float = LOCAL_TASK_MINUTES,
    cluster: Cluster | None = None,
    whole: bool = False,
) -> CompiledPlan:
    """What the compiler makes of a study and a store, packed into tasks of about `task_minutes`, or for a cluster.

    `whole`: as if the store were empty.
    """
    axes = [name for arm in study.arms for name in axis_names(arm)] if select else []
    context = Context(
        digest_of=DigestMemory(store.root).digest_of,
        harness=harness_identity,
        task_minutes=task_minutes,
        cluster=cluster,
        select=tuple(parse_selector(text, axes) for text in select),
    )
    if not whole:
        context = replace(context, present=store.snapshot(), durations=store.durations())
    return compile_study(study, context)


def whole_table(study: Study, store: Store, *, select: Sequence[str] = (), cluster: Cluster | None = None) -> JobTable:
    """Every job that the study, or a selection of it, asks for, whether or not the store holds it."""
    return plan_study(study, store, select=select, cluster=cluster, whole=True).job_table()


def set_aside_damaged(cells: Iterable[Cell], store: Store) -> list[str]:
    """Read every finished assessment and analysis of a plan; damaged ones are moved away, and told in a sentence each.

    A plan looks at names and sizes only. Before a run, results are read whole, so that the same run makes a damaged one
    again; inputs of jobs are verified by the workers that use them.
    """
    messages = []
    for key in dict.fromkeys(cell.job for cell in cells):
        for kind in ("assess", "analyse"):
            try:
                store.open(kind, key)
            except DamagedArtifactError as damage:
                messages.append(str(damage))
            except MissingArtifactError:
                continue
    return messages


def stored_rows(store: Store, kind: str) -> Iterator[JobRow]:
    """Rows of the artifacts of a kind; those that cannot be read are passed over."""
    for key in store.keys(kind):
        try:
            yield read_manifest(store.path(kind, key)).row
        except (BadArtifactError, OSError):
            continue
