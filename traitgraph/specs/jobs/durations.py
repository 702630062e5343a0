"""Durations: the names under which those of finished jobs are remembered, and how people say them.

The names are shared by the store (which knows how long jobs took) and the compiler (which wants to know how long they
will take).
"""

from __future__ import annotations

from collections.abc import Mapping

from traitgraph.specs.source.hashing import digest


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
