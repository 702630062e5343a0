"""How often the missing jobs ask judges behind an HTTP interface: somebody pays for each call."""

from __future__ import annotations

from typing import NamedTuple

from traitgraph.specs.benchmarks import ApiJudge
from traitgraph.specs.jobs import Sampling

from .ir import MISSING, Draft, Stage
from .ranges import Range, total
from .work import questions_asked


class JudgeCalls(NamedTuple):
    """Calls of one judge."""

    model: str
    url: str
    calls: Range
    """Ratings; attempts that fail and are tried again come on top."""


def judge_calls(draft: Draft) -> list[JudgeCalls]:
    """For each judge behind an interface the calls of the missing jobs: answers of all subjects in all repeats."""
    found: dict[tuple[str, str], list[Range]] = {}
    for stage, first in zip(draft.stages, draft.offsets, strict=False):
        missing = draft.status[first : first + stage.rows].count(MISSING)
        if missing and (judge := _judge(stage)):
            found.setdefault((judge.model, judge.url), []).append(_ratings(stage, draft).times(missing))
    return [JudgeCalls(model, url, total(calls)) for (model, url), calls in found.items()]


def _judge(stage: Stage) -> ApiJudge | None:
    judge = getattr(stage.template.get("benchmark"), "judge", None)
    return judge if isinstance(judge, ApiJudge) else None


def _ratings(stage: Stage, draft: Draft) -> Range:
    """Answers that one job has rated."""
    sampling = stage.template.get("sampling")
    return questions_asked(stage, draft).times(sampling.repeats if isinstance(sampling, Sampling) else 1)
