"""Find keys of judges that a run would miss: told by the name of their variable, before anything starts."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from traitgraph.specs.benchmarks import ApiJudge
from traitgraph.specs.jobs import JobRow, JobTable


def unset_keys(table: JobTable, variables: Mapping[str, str]) -> list[str]:
    """Names of the variables that hold keys of judges of the table's jobs and are not set, in order."""
    places = {judge.key_name for row in table.rows if (judge := _judge(row))}
    names = {table.locations[place].partition(":")[2] for place in places if place in table.locations}
    return sorted(name for name in names if not variables.get(name, "").strip())


def _judge(row: JobRow) -> ApiJudge | None:
    """Who judges the answers of a job behind an interface."""
    benchmark: Any = row.params.get("benchmark") if row.kind == "assess" else None
    judge = benchmark.get("judge") if benchmark else None
    return ApiJudge.model_validate(judge) if judge and judge["kind"] == "api" else None
