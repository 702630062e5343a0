"""Subjects with the base's own weights: as it is, or after a message."""

from __future__ import annotations

from traitgraph.compiler.builder import Builder, Group, Made
from traitgraph.compiler.ir import row_ids
from traitgraph.specs.prompts import Prompt

from .prompts import subject_prompts


def lower_direct(group: Group, builder: Builder) -> list[Made]:
    """The base as it is: nothing is made."""
    return [Made(row_ids(range(group.subjects.rows)))]


def lower_prompt(group: Group, builder: Builder) -> list[Made]:
    """The base after a message for each trait, level and intensity."""
    method = group.arm.method
    assert isinstance(method, Prompt)
    column, inputs = subject_prompts(group, method, builder)
    return [Made(row_ids(range(group.subjects.rows)), inputs, columns={"prompt": column})]
