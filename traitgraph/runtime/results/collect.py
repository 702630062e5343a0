"""The job `collect`: what all assessments and analyses of a study measured, in one file."""

from __future__ import annotations

from collections.abc import Iterator

from traitgraph.runtime.assessment.measurement import METRICS_FILE, read_rows
from traitgraph.runtime.jobs.context import JobContext, without_torch
from traitgraph.runtime.store.durable import write_json_lines
from traitgraph.specs.jobs.params import CollectParams


@without_torch
def collect(context: JobContext, params: CollectParams) -> None:
    """Put the metrics of all assessments and analyses into one table.

    reads   assess, analyse?   metrics.jsonl of each
    writes  metrics.jsonl      the same rows, each with the key of its `job`
    """
    inputs = [
        each
        for name in sorted(context.row.inputs, reverse=True)
        for each in zip(context.row.inputs[name], context.inputs[name], strict=True)
    ]

    def rows() -> Iterator[dict[str, object]]:
        for done, (key, folder) in enumerate(inputs, start=1):
            yield from ({"job": key, **row} for row in read_rows(folder / METRICS_FILE))
            context.progress(done, len(inputs), "assessments")

    write_json_lines(context.out / METRICS_FILE, rows())
