"""What is told of jobs that are done: whose result a row is, and how long they took.

Shared by the compiler (which knows what each job measures, and wants to know how long it will take) and the runtime
(which knows the values and the times).
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import NamedTuple, TypedDict

from traitgraph.specs.source.hashing import digest


class Axes(TypedDict):
    """The axes of the language as columns: one line each, in the order of the table; None where one does not apply."""

    model: str | None
    data: str | None
    trait: str | None
    level: str | None
    context: str | None
    merge: str | None
    onto: float | None
    intensity: str | int | None
    layer: int | None
    coefficient: float | None
    alpha: float | None
    gamma: float | None
    seed: int | None


AXES = tuple(Axes.__annotations__)


class Cell(NamedTuple):
    """One subject under one benchmark: the names a reader uses, and the job that measured it.

    All of it is text. Several cells may share one job: an alpha of 0 is the base model, whichever arm it was written
    in.
    """

    study: str
    arm: str
    method: str
    method_label: str
    """The method as reports print it, with what tells its variants apart: 'prompt intensity=very'."""
    merge_label: str
    """The merge method likewise: 'dare density=0.5'."""
    axes: tuple[tuple[str, str], ...]
    """Axis and value, of those that apply: those of `Axes` in their order, then `alpha:TRAIT` and those of plug-ins."""
    benchmark: str
    job: str

    @property
    def coordinates(self) -> dict[str, str]:
        """Every coordinate that applies, by name."""
        named = {"arm": self.arm, "method": self.method, **dict(self.axes), "benchmark": self.benchmark}
        return {name: text for name, text in named.items() if text}

    @property
    def identity(self) -> str:
        """Every coordinate that applies, as `--select` reads it: 'arm=scaled,method=vector,trait=openness,...'."""
        return ",".join(f"{name}={text}" for name, text in self.coordinates.items())


MEASURED = (
    "effective_alpha", "repeat", "form", "benchmark", "metric", "value", "stderr", "n", "job", "same_as", "role",
)  # fmt: skip
RESULT_COLUMNS = ("study", "arm", "method", *AXES, *MEASURED)
"""Columns of `results.csv`: tidy, one row per subject x benchmark x metric (x repeat).

An axis that no line of `Axes` names (`alpha:TRAIT`, an axis of a plug-in) follows them, in tables that have it.
"""


def duration_names(kind: str, shared: Mapping[str, object]) -> tuple[str, ...]:
    """Names under which times are remembered, narrowest first; `shared`: parameters but the row fields, as plain data.

    1. the same parameters: only trait, level, alpha and the like differ
    2. the same kind of job, kind of benchmark and model
    3. the same kind of job and of benchmark, on any model; and the kind alone
    """
    wide, model = sort_of(kind, shared), shared.get("model")
    name = (model.get("digest") or model.get("id") or "") if isinstance(model, Mapping) else ""
    return (f"{kind} #{digest('durations', shared)}", f"{wide} @{name}", *dict.fromkeys((wide, kind)))


def sort_of(kind: str, params: Mapping[str, object]) -> str:
    """The kind of job and of its benchmark: 'train', 'assess lm_eval'."""
    benchmark = params.get("benchmark")
    return f"{kind} {benchmark['kind']}" if isinstance(benchmark, Mapping) else kind


def duration_text(seconds: float) -> str:
    """A time span as people say it.

    >>> duration_text(3.21), duration_text(52.4), duration_text(75), duration_text(7384)
    ('3.2 s', '52 s', '1 min 15 s', '2 h 3 min')
    """
    if seconds < 10:
        return f"{seconds:.1f} s"
    whole = round(seconds)
    if whole < 60:
        return f"{whole} s"
    minutes, rest = divmod(whole, 60)
    return f"{minutes} min {rest} s" if minutes < 60 else f"{minutes // 60:,} h {minutes % 60} min"
