"""The passes from a study to a plan, in order. Each is a pure function of a draft and a context.

Reading, composing and validating the text comes before (`specs/checks/validate.py`): what arrives here is right.
"""

from __future__ import annotations

from collections.abc import Callable

from traitgraph.compiler.ir.context import Context
from traitgraph.compiler.ir.ir import Draft
from traitgraph.compiler.lowering.lower import lower_methods
from traitgraph.compiler.passes.drop_unread import drop_unread_jobs
from traitgraph.compiler.passes.expand import expand_arms
from traitgraph.compiler.passes.key import key_jobs
from traitgraph.compiler.passes.order import order_stages
from traitgraph.compiler.passes.pack import pack_tasks
from traitgraph.compiler.passes.prune import prune_present_jobs
from traitgraph.compiler.passes.select import select_jobs
from traitgraph.compiler.passes.share import share_equal_jobs
from traitgraph.specs.source.diagnostics import Diagnostic, SpecError, near_names
from traitgraph.specs.study.study import Study

from .plan import Plan

Pass = Callable[[Draft, Context], Draft]

PASSES: tuple[Pass, ...] = (
    expand_arms,  # arms -> subjects
    lower_methods,  # subjects -> stages of jobs
    drop_unread_jobs,  # alpha 0 is the base, whatever vector it scales
    key_jobs,  # a key needs the keys of the inputs: stages are in order of need
    share_equal_jobs,  # equal keys are equal work
    order_stages,  # arms interleave: all training, then all assessing
    select_jobs,  # `--select` names subjects and jobs as they now stand
    prune_present_jobs,  # the store decides what runs
    pack_tasks,  # only what runs is packed
)


def compile_study(study: Study, context: Context) -> Plan:
    """The plan of a study. Pure: what it asks of the world comes in `context`."""
    return Plan(run_passes(Draft(study.study, source=study), context), context)


def run_passes(draft: Draft, context: Context, passes: tuple[Pass, ...] = PASSES) -> Draft:
    """A draft after some of the passes."""
    for each in passes:
        draft = each(draft, context)
    return draft


def draft_after(study: Study, context: Context, name: str) -> str:
    """The draft after a pass as text, led by the pass's own first sentence. Raises SpecError for an unknown pass."""
    from .print_draft import draft_text

    names = [each.__name__ for each in PASSES]
    if name not in names:
        near = near_names(name, names)
        hint = f"near: {', '.join(near)}" if near else f"there are: {', '.join(names)}"
        raise SpecError([Diagnostic("TG206", "error", f"there is no pass '{name}'", None, "", hint)])
    last = names.index(name)
    first_sentence = (PASSES[last].__doc__ or name).strip().splitlines()[0]
    draft = run_passes(Draft(study.study, source=study), context, PASSES[: last + 1])
    return f"# {name}: {first_sentence}\n{draft_text(draft)}"
