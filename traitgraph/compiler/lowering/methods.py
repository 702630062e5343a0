"""What each method implies: one function per method, from the subjects of a group to what makes them.

A new method is one record of `specs/study/methods.py` and one line here. A plugin's method says it itself, by a method
`lower` of its class, or by a function under its name in the entry-point group `traitgraph.lowerings`.
"""

from __future__ import annotations

from collections.abc import Callable

from traitgraph.compiler.ir.builder import Builder, Group, Made
from traitgraph.specs.fields.registry import Registry
from traitgraph.specs.study.method import Method

from .trained import lower_direct, lower_prompt, lower_tuned
from .vectors import lower_compose, lower_vector

Lowering = Callable[[Group, Builder], list[Made]]

LOWERINGS: Registry[Lowering] = Registry(
    "lowering of a method",
    "traitgraph.lowerings",
    {
        "direct": lower_direct,
        "prompt": lower_prompt,
        "sft": lower_tuned,
        "dpo": lower_tuned,
        "vector": lower_vector,
        "compose": lower_compose,
        "steer": "traitgraph.compiler.lowering.steered:lower_steer",
        "npti": "traitgraph.compiler.lowering.steered:lower_npti",
    },
)


def lowering_of(method: Method) -> Lowering:
    """What the method implies. Raises UnknownNameError for a plugin's that does not say."""
    own: Lowering | None = getattr(method, "lower", None)
    return own or LOWERINGS.get(method.kind)
