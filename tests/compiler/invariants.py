"""What holds for every draft, whatever the study: checked after each golden and in the property tests."""

from __future__ import annotations

from traitgraph.compiler.ir.context import Context
from traitgraph.compiler.ir.ir import BASE, MISSING, Draft
from traitgraph.compiler.pipeline import Pass


def check_shape(draft: Draft) -> None:
    """Inputs exist and come before their users (so there is no cycle); columns and references have the rows' length."""
    for index, stage in enumerate(draft.stages):
        assert stage.table.rows == stage.rows
        for column in stage.table.columns.values():
            assert len(column) == stage.rows
        for each in stage.inputs:
            assert len(each.refs) == stage.rows * each.width
            assert all(ref < draft.offsets[index] for ref in each.refs), f"{stage.kind} refers to a later row"
    for arm in draft.arms:
        assert all(row < draft.rows for row in arm.jobs)
        for _, rows in arm.assessments:
            assert len(rows) == arm.subjects.rows
            assert all(draft.locate(row)[0].kind == "assess" for row in rows)
        assert all(row == BASE or row < draft.rows for row in arm.weights)


def check_keys(draft: Draft) -> None:
    """Every job has a key of 16 bytes."""
    assert len(draft.keys) == draft.rows
    assert all(len(key) == 16 for key in draft.keys)


def check_tasks(draft: Draft) -> None:
    """Every missing job is in exactly one task, and runs after what it needs, inside its task or in one before."""
    packed = [row for task in draft.tasks for row in task.rows]
    assert sorted(packed) == [row for row in range(draft.rows) if draft.status[row] == MISSING]
    done: dict[str, set[int]] = {}
    for task in draft.tasks:
        assert set(task.after) <= set(done), f"{task.id} waits for a later task"
        ready = {row for other in task.after for row in done[other]}
        for row in task.rows:
            needed = {ref for refs in draft.inputs_of(row).values() for ref in refs if draft.status[ref] == MISSING}
            assert needed <= ready, f"{task.id} runs #{row} before its inputs"
            ready.add(row)
        done[task.id] = set(task.rows)


def check_repeats(each: Pass, draft: Draft, context: Context) -> None:
    """A second run of a pass changes nothing."""
    assert each(draft, context) == draft
