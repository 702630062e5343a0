"""Subjects with the base's own weights: as it is, or after a system message."""

from __future__ import annotations

from typing import cast

from traitgraph.compiler.builder import Builder, Group, Made
from traitgraph.compiler.ir import Column, Table, row_ids
from traitgraph.specs.jobs import Prompt as PromptText
from traitgraph.specs.methods import Prompt
from traitgraph.specs.traits import Level, Trait


def lower_direct(group: Group, builder: Builder) -> list[Made]:
    """The base as it is: nothing is made."""
    rows = group.subjects.rows
    return [Made(row_ids(range(rows)), None, row_ids(), Table({}, rows))]


def lower_prompt(group: Group, builder: Builder) -> list[Made]:
    """The base after a system message for each trait and level."""
    method = group.arm.method
    assert isinstance(method, Prompt)
    conditions, place = group.subjects.distinct(("trait", "level"))
    texts = [
        PromptText(system=method.system(cast("Trait", trait), cast("Level", level)))
        for trait, level in zip(conditions["trait"], conditions["level"], strict=True)
    ]
    rows = group.subjects.rows
    return [Made(row_ids(range(rows)), None, row_ids(), Table({"prompt": Column(tuple(texts), place)}, rows))]
