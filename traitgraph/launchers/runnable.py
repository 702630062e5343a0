"""Which jobs of a plan have no runtime: they can be declared, checked, planned and priced, and not yet run."""

from __future__ import annotations

from collections import Counter
from typing import Any

from traitgraph.compiler.ir import MISSING, Stage
from traitgraph.compiler.plan import Plan
from traitgraph.runtime.assessment.supported import lacking_benchmark, lacking_subject
from traitgraph.runtime.job_kinds import known_kinds


def without_runtime(plan: Plan) -> list[str]:
    """A line for each sort of missing job that this program cannot run, with its number; empty when all can be."""
    counts: Counter[str] = Counter()
    kinds, draft = known_kinds(), plan.draft
    for index, stage in enumerate(draft.stages):
        missing = draft.status[draft.offsets[index] : draft.offsets[index + 1]].count(MISSING)
        if missing and (reason := _lacking(stage, kinds)):
            counts[reason] += missing
    return [f"{reason}: {count:,} jobs" for reason, count in counts.items()]


def _lacking(stage: Stage, kinds: frozenset[str]) -> str | None:
    if stage.kind not in kinds:
        return f"job kind '{stage.kind}'"
    template: Any = stage.template
    if getattr(template.get("training"), "validation", None) is not None:
        return "training with a validation split"
    if stage.kind != "assess":
        return None
    prompts, *others = (_values(stage, name) for name in ("prompt", "steering", "neurons"))
    subjects = [
        *((prompt, None, None) for prompt in prompts),
        *((None, value, None) for each in others for value in each),
    ]
    reasons = (lacking_subject(*subject) for subject in subjects)
    return lacking_benchmark(template["benchmark"]) or next(filter(None, reasons), None)


def _values(stage: Stage, name: str) -> tuple[Any, ...]:
    """The distinct values of a row field."""
    return stage.table[name].values if name in stage.table else ()
