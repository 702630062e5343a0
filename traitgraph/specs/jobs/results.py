"""One row of results, and the coordinates that say which subject it belongs to.

Shared by the compiler (which knows what each job measures) and the runtime (which knows the values).
"""

from __future__ import annotations

from typing import NamedTuple


class Cell(NamedTuple):
    """One subject under one benchmark: the names a reader uses, and the job that measured it.

    Text as printed in `results.csv`; '' where a column does not apply. Several cells may share one job: an alpha of 0
    is the base model, whichever arm it was written in.
    """

    study: str
    arm: str
    method: str
    model: str
    trait: str
    level: str
    merge: str
    alpha: str
    gamma: str
    seed: str
    benchmark: str
    job: str

    @property
    def identity(self) -> str:
        """Every coordinate that applies, as `--select` reads it: 'arm=scaled,method=vector,trait=openness,...'."""
        named = zip(self._fields[1:-1], self[1:-1], strict=True)
        return ",".join(f"{name}={text}" for name, text in named if text)


RESULT_COLUMNS = (
    "study", "arm", "method", "model", "trait", "level", "merge", "alpha", "effective_alpha", "gamma", "seed",
    "repeat", "benchmark", "metric", "value", "stderr", "n", "job", "same_as", "role",
)  # fmt: skip
"""Columns of `results.csv`: tidy, one row per subject x benchmark x metric (x repeat)."""
