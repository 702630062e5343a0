"""What each method implies: one function per method, from the subjects of a group to what makes them.

A new method is one record of `specs/methods.py` and one line here; a plugin gives the function under its method's name
in the entry-point group `traitgraph.lowerings`.
"""

from __future__ import annotations

from collections.abc import Callable

from traitgraph.compiler.builder import Builder, Group, Made
from traitgraph.specs.registry import Registry

from .prompted import lower_direct, lower_prompt
from .trained import lower_tuned
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
        "steer": "traitgraph.compiler.methods.steered:lower_steer",
        "npti": "traitgraph.compiler.methods.steered:lower_npti",
    },
)
