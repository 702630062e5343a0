"""A plan of a study against a store: the compiler's pure function, given what it may ask of the world."""

from __future__ import annotations

from traitgraph.compiler.context import Context
from traitgraph.compiler.pipeline import compile_study
from traitgraph.compiler.plan import Plan
from traitgraph.runtime.store import Store
from traitgraph.specs.study import Study

from .digests import DigestMemory

LOCAL_TASK_MINUTES = 7 * 24 * 60.0  # one machine, one worker: a task per stage, so that each model is loaded once


def plan_study(study: Study, store: Store, task_minutes: float = LOCAL_TASK_MINUTES) -> Plan:
    """What the study asks for and what of it the store holds, packed into tasks of about `task_minutes`.

    Raises SpecError when a file that the spec names cannot be read.
    """
    context = Context(
        digest_of=DigestMemory(store.root).digest_of,
        present=store.snapshot(),
        durations=store.durations(),
        task_minutes=task_minutes,
    )
    return compile_study(study, context)
