"""The merge methods, one module each: formula, options, source."""

from __future__ import annotations

from collections.abc import Callable

from traitgraph.specs.merge_methods import MergeMethod
from traitgraph.specs.registry import Registry

from ..steps import Steps

METHODS: Registry[Callable[[MergeMethod], Steps]] = Registry(
    "merge method",
    "traitgraph.merge_steps",
    {name: f"traitgraph.runtime.merging.methods.{name}:steps" for name in ("task_arithmetic",)},
)


def steps_of(options: MergeMethod) -> Steps:
    """What a method does with these options, every choice made. Raises UnknownName."""
    return METHODS.get(str(options.kind))(options)  # type: ignore[attr-defined]  # each method declares its kind
