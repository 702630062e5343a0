"""One row of results, and the coordinates that say which subject it belongs to.

Shared by the compiler (which knows what each job measures) and the runtime (which knows the values).
"""

from __future__ import annotations

from typing import NamedTuple, TypedDict


class Axes(TypedDict):
    """The axes of the language as columns: one line each, in the order of the table; None where one does not apply."""

    model: str | None
    data: str | None
    trait: str | None
    level: str | None
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
    label: str
    """The method as reports print it, with what tells its variants apart: 'prompt intensity=very'."""
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
    "effective_alpha", "repeat", "benchmark", "metric", "value", "stderr", "n", "job", "same_as", "role",
)  # fmt: skip
RESULT_COLUMNS = ("study", "arm", "method", *AXES, *MEASURED)
"""Columns of `results.csv`: tidy, one row per subject x benchmark x metric (x repeat).

An axis that no line of `Axes` names (`alpha:TRAIT`, an axis of a plug-in) follows them, in tables that have it.
"""
