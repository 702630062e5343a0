"""What a package of others may import, and what of it stays where it is: everything else in the house may move.

A plug-in is a module and one entry point of the group `traitgraph.plugins` that names it (or an object with
attributes). Each of its members is registered by what it is, so nothing else is edited:

    a method                  a subclass of `Method` with `lower(group, builder)`
    a prompt style            a subclass of `Prompt` with `system(trait, level, intensity)`
    a merge method            a subclass of `MergeMethod` with `steps()`
    a steering operator       a subclass of `SteeringOperator` with `apply(hidden, direction, coefficient)`
    a benchmark               a subclass of `Benchmark` with `measure(context, loaded, params, benchmark)`
    an analysis               a subclass of `Analysis` with `compare(scores)`
    a job kind                a `JobKind`

docs/extending/ has a page for each, whose code runs in the tests. Names are loaded when they are asked for: importing
this module loads neither torch nor the compiler.
"""

from __future__ import annotations

from importlib import import_module
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:  # what `__getattr__` gives, for type checkers; a test compares
    from traitgraph.compiler.ir.builder import Builder as Builder
    from traitgraph.compiler.ir.builder import Group as Group
    from traitgraph.compiler.ir.builder import Made as Made

PLACES = {
    "traitgraph.compiler.ir.builder": ("Builder", "Group", "Made"),
    "traitgraph.compiler.ir.ir": ("Column", "Input", "Table", "row_ids"),
    "traitgraph.runtime.assessment.measurement": ("Measurement", "Metric"),
    "traitgraph.runtime.jobs.context": ("JobContext", "without_torch"),
    "traitgraph.runtime.merging.steps": ("Steps",),
    "traitgraph.runtime.models.loading": ("LoadedModel", "open_model"),
    "traitgraph.specs.jobs.params": ("AssessParams", "JobParams"),
    "traitgraph.specs.study.analyses": ("Analysis",),
    "traitgraph.specs.study.merge_methods": ("MergeMethod",),
    "traitgraph.specs.study.method": ("Method",),
    "traitgraph.specs.study.prompts": ("Prompt",),
}
"""Module -> what of it is for others."""

_MODULE_OF = {name: module for module, names in PLACES.items() for name in names}


def __getattr__(name: str) -> Any:
    if name not in _MODULE_OF:
        raise AttributeError(f"traitgraph.plugins has no {name!r}; it has: {', '.join(sorted(_MODULE_OF))}")
    return getattr(import_module(_MODULE_OF[name]), name)
