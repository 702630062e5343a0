"""How long a run on SLURM will take, guessed from what its tasks have done so far."""

from __future__ import annotations

import pytest

from traitgraph.launchers.slurm.watch.run_status import TaskState, TaskStatus, guess_seconds_left
from traitgraph.specs.jobs.params import Task

PLANNED = [Task(id=f"02-assess-{number:03d}", jobs=("a" * 32,), minutes=10) for number in range(3)]


def task(number: int, state: TaskState, done: int, seconds: float | None = None) -> TaskStatus:
    return TaskStatus(f"02-assess-{number:03d}", "02-assess", state, jobs=4, done=done, seconds=seconds)


@pytest.mark.parametrize(("done", "left"), [(0, 300), (1, 450), (3, 150)])
def test_a_running_task_has_left_what_its_missing_jobs_are_of_it(done: int, left: float) -> None:
    """Ten minutes are planned; before the first job has ended nothing tells how far it is: a half."""
    assert guess_seconds_left([task(0, "running", done)], PLANNED) == pytest.approx(left)


def test_what_tasks_of_the_stage_took_comes_before_the_plan_and_as_many_run_as_now() -> None:
    tasks = [task(0, "done", 4, seconds=100), task(1, "running", 2), task(2, "waiting", 0)]
    assert guess_seconds_left(tasks, PLANNED) == pytest.approx(50 + 100)


def test_nothing_is_guessed_of_a_run_that_is_over() -> None:
    assert guess_seconds_left([task(0, "done", 4), task(1, "failed", 0)], PLANNED) is None
