"""A merge that was asked for by a file: sources, coefficients, options, before any tensor is read."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Literal

from traitgraph.specs.merge_methods import MergeMethod

from .fitting import NameMap, Vocabulary
from .layers import Weight


@dataclass(frozen=True)
class Source:
    """One vector: where it comes from and how much of it is taken."""

    kind: Literal["model", "adapter", "vector"]
    where: str
    weight: Weight
    density: Weight | None = None
    of: str | None = None
    """What a model was tuned from, when that is not the base of the merge."""


@dataclass(frozen=True)
class Request:
    """Everything that one merge is; models go by the names that `NamedModels` finds."""

    base: str
    sources: tuple[Source, ...]
    options: MergeMethod
    names: NameMap | None = None
    vocabulary: Vocabulary = "refuse"
    dtype: str | None = None
    form: Literal["weights", "adapter"] = "weights"
    rank: int | None = None
    notes: tuple[str, ...] = field(default=())
    """What the reader of the file should know of how it was understood."""
