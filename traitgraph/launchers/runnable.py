"""Which parts of a study have no runtime: they can be declared, checked, planned and priced, and not yet run.

What the runtime knows is asked in one place, `_lacking`; a check asks it about the arms, a plan about its jobs.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Iterator
from typing import Any

from traitgraph.compiler.builder import Builder
from traitgraph.compiler.context import Context
from traitgraph.compiler.expand import expand_arm
from traitgraph.compiler.ir import MISSING, Stage
from traitgraph.compiler.lower import lower_arm
from traitgraph.compiler.plan import Plan
from traitgraph.compiler.resolve import Resolver
from traitgraph.runtime.job_kinds import is_known
from traitgraph.runtime.locations import MissingPackageError, locate
from traitgraph.specs.benchmarks import ResolvedPlugin
from traitgraph.specs.identity import digest
from traitgraph.specs.jobs import JobTable
from traitgraph.specs.study import Arm, Study


def without_runtime(plan: Plan) -> list[str]:
    """A line for each sort of missing job that this program cannot run, with its number; empty when all can be."""
    counts: Counter[str] = Counter()
    draft = plan.draft
    for index, stage in enumerate(draft.stages):
        missing = draft.status[draft.offsets[index] : draft.offsets[index + 1]].count(MISSING)
        if missing and (reason := _lacking(stage)):
            counts[reason] += missing
    return [f"{reason}: {count:,} job{'s' * (count != 1)}" for reason, count in counts.items()]


def missing_packages(table: JobTable) -> list[str]:
    """Which packages with files that the jobs read are not installed, and the lines that install them."""
    prepared: list[Any] = [row.params["model"] for row in table.rows if row.kind == "prepare"]
    wanted = {model["digest"] for model in prepared}
    return package_faults(table.locations[digest] for digest in sorted(wanted))


def package_faults(locations: Iterable[str]) -> list[str]:
    """Why packages in which something lies cannot be used, each once."""
    faults = dict[str, None]()
    for location in locations:
        try:
            locate(location)
        except MissingPackageError as problem:
            faults[str(problem)] = None
    return list(faults)


def arms_without_runtime(study: Study) -> dict[str, list[str]]:
    """What no run can do yet of a study that was only read -> names of the arms that ask for it."""
    found = dict[str, list[str]]()
    for arm, builder in thin_arms(study):
        for reason in dict.fromkeys(filter(None, (_lacking(stage) for stage in builder.stages))):
            found.setdefault(reason, []).append(arm.name)
    return found


def thin_arms(study: Study) -> Iterator[tuple[Arm, Builder]]:
    """Each arm with the stages of one value of its axes of numbers, which stands for all; no file is read for it."""
    context = Context(
        digest_of=lambda path: digest("path", str(path)),
        count_rows=lambda path, fields: {},
        count_items=lambda path: 0,
    )
    for arm in study.resolved_arms():
        builder = Builder(Resolver(context))
        lower_arm(expand_arm(study, thinned := _thinned(arm)), thinned, builder)
        yield arm, builder


def _thinned(arm: Arm) -> Arm:
    """The arm with one value on each axis of numbers, and without holes that could leave nothing of it."""
    one = {key: getattr(arm, key)[-1:] for key in ("alpha", "gamma", "seeds")}
    alphas = {trait: values[-1:] for trait, values in arm.alpha_of.items()}
    return arm.model_copy(update={**one, "alpha_of": alphas, "zip": (), "excluded": (), "included": (), "rules": ()})


def _lacking(stage: Stage) -> str | None:
    if not is_known(stage.kind):
        return f"job kind '{stage.kind}'"
    template: Any = stage.template
    if stage.kind != "assess" or not isinstance(template["benchmark"], ResolvedPlugin):
        return None
    from traitgraph.runtime.assessment.supported import lacking_benchmark  # loaded for plugins only: plans are quick

    return lacking_benchmark(template["benchmark"])
