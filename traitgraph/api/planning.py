"""A plan of a study against a store: the compiler's pure function, given what it may ask of the world."""

from __future__ import annotations

from collections.abc import Iterable, Sequence

from traitgraph.compiler.ir.context import Context
from traitgraph.compiler.ir.selector import parse_selector
from traitgraph.compiler.pipeline import compile_study
from traitgraph.compiler.plan import Plan
from traitgraph.runtime.store.digests import DigestMemory
from traitgraph.runtime.store.errors import DamagedArtifactError, MissingArtifactError
from traitgraph.runtime.store.store import Store
from traitgraph.specs.jobs.params import JobTable
from traitgraph.specs.jobs.results import Cell
from traitgraph.specs.study.cluster import Cluster
from traitgraph.specs.study.harness_tasks import harness_identity
from traitgraph.specs.study.study import Study

LOCAL_TASK_MINUTES = 7 * 24 * 60.0  # one machine, one worker: a task per stage, so that each model is loaded once


def plan_study(
    study: Study,
    store: Store,
    *,
    select: Sequence[str] = (),
    device: str | None = None,
    throttle: int | None = None,
    task_minutes: float = LOCAL_TASK_MINUTES,
    cluster: Cluster | None = None,
) -> Plan:
    """What the study asks for and what of it the store holds, packed into tasks of about `task_minutes`, or for the
    time limits of a cluster.

    Raises SpecError for a selector that cannot be read and for files that the spec names and that are not there.
    """
    context = Context(
        digest_of=DigestMemory(store.root).digest_of,
        harness=harness_identity,
        present=store.snapshot(),
        durations=store.durations(),
        task_minutes=task_minutes,
        cluster=cluster,
        device=device,
        select=tuple(map(parse_selector, select)),
        throttle=throttle,
    )
    return compile_study(study, context)


def whole_table(study: Study, store: Store, *, select: Sequence[str] = (), cluster: Cluster | None = None) -> JobTable:
    """Every job that the study, or a selection of it, asks for, whether or not the store holds it."""
    digest_of = DigestMemory(store.root).digest_of
    selectors = tuple(map(parse_selector, select))
    context = Context(
        digest_of=digest_of,
        harness=harness_identity,
        task_minutes=LOCAL_TASK_MINUTES,
        cluster=cluster,
        select=selectors,
    )
    return compile_study(study, context).job_table()


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
