"""What each method implies: one function per method, from the subjects of a group to what makes them.

The table is the whole registry: a new method is one record of `specs/methods.py` and one line here.
"""

from __future__ import annotations

from collections.abc import Callable

from traitgraph.compiler.builder import Builder, Group, Made

from .prompted import lower_direct, lower_prompt
from .trained import lower_tuned, lower_vector

Lowering = Callable[[Group, Builder], list[Made]]

LOWERINGS: dict[str, Lowering] = {
    "direct": lower_direct,
    "prompt": lower_prompt,
    "sft": lower_tuned,
    "dpo": lower_tuned,
    "vector": lower_vector,
}
