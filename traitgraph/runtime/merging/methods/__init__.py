"""The merge methods, one module each: formula, options, source.

A package outside adds a method by two entry points of one name: its options (a `MergeMethod`) in the group
`traitgraph.merge_methods`, and a function from options to `Steps` in the group `traitgraph.merge_steps`.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from traitgraph.runtime.merging.steps import Steps
from traitgraph.specs.fields.registry import Registry
from traitgraph.specs.study.merge_conventions import PAPER, resolve
from traitgraph.specs.study.merge_methods import MergeMethod

METHODS: Registry[Callable[[Any], Steps]] = Registry(
    "merge method", "traitgraph.merge_steps", {name: f"{__name__}.{name}:steps" for name in PAPER}
)


def steps_of(options: MergeMethod) -> Steps:
    """What a method does with these options, every choice made.

    Raises UnknownNameError for a method nobody registered.
    """
    return METHODS.get(options.name)(resolve(options))
