"""Names under which the durations of finished jobs are remembered, so that a plan finds those of jobs like its own.

Shared by the store (which knows how long jobs took) and the compiler (which wants to know how long they will take).
"""

from __future__ import annotations

from collections.abc import Mapping

from .identity import digest


def duration_names(kind: str, shared: Mapping[str, object]) -> tuple[str, ...]:
    """Names for jobs of one kind whose parameters, but for the row fields, are these (plain data); narrowest first.

    1. the same parameters: only trait, level, alpha and the like differ
    2. the same kind of job, kind of benchmark and model
    3. the same kind of job and of benchmark, on any model; and the kind alone
    """
    wide = sort_of(kind, shared)
    return (
        f"{kind} #{digest('durations', shared)}",
        f"{wide} @{_model_name(shared.get('model'))}",
        *dict.fromkeys((wide, kind)),
    )


def sort_of(kind: str, params: Mapping[str, object]) -> str:
    """The kind of job and of its benchmark: 'train', 'assess lm_eval'."""
    benchmark = params.get("benchmark")
    return f"{kind} {benchmark['kind']}" if isinstance(benchmark, Mapping) else kind


def _model_name(model: object) -> str:
    if not isinstance(model, Mapping):
        return ""
    return str(model.get("digest") or model.get("id") or "")
