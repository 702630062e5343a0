"""Trainings in real worker processes: killed ones go on, several under torchrun share one."""

from __future__ import annotations

import os
import signal
from collections.abc import Callable
from pathlib import Path

import pytest

from tests.launchers.toys import wait_for
from tests.runtime.training.workers import TrainingRun, steps_of
from traitgraph.runtime.store.store import Store
from traitgraph.specs.jobs.params import TrainParams
from traitgraph.specs.jobs.refs import FileData, FolderModel
from traitgraph.specs.study.training import Lora, SftTraining

STEPS = 12
MakeRun = Callable[[str], TrainingRun]


@pytest.fixture
def make_run(
    tmp_path: Path, model_ref: FolderModel, dialogue_data: FileData, locations: dict[str, str]
) -> MakeRun:  # fmt: skip
    training = SftTraining(learning_rate=1e-2, steps=STEPS, batch_size=2, lora=Lora(rank=4, alpha=8, dropout=0.1))
    params = TrainParams(
        model=model_ref, data=dialogue_data, training=training, trait="extraversion", level="high", seed=7
    )  # fmt: skip
    return lambda name: TrainingRun(tmp_path / name, params, locations)


def killed_after_a_checkpoint(run: TrainingRun, processes: int) -> int:
    """Start a training, kill a process of it (the last rank) without warning; the step of the newest checkpoint."""
    started = run.start(processes)
    wait_for(lambda: run.checkpoints()[-1:] > [2], seconds=120)
    os.kill(max(children_of(started.process.pid), default=started.process.pid), signal.SIGKILL)
    code, output = started.end()
    assert code == (-signal.SIGKILL if processes == 1 else 1), output
    assert started.record.failure(run.key) is None, "a kill is no failure of the job"
    with Store(run.root) as store:
        assert not store.has("train", run.key)
    return run.checkpoints()[-1]


def test_a_training_killed_between_checkpoints_goes_on_from_the_last_one(make_run: MakeRun) -> None:
    """SIGKILL cannot be caught: what counts is what was saved before."""
    undisturbed, killed = make_run("undisturbed"), make_run("killed")
    code, output = undisturbed.start().end()
    assert (code, steps_of(output)) == (0, list(range(1, STEPS + 1))), output
    last = killed_after_a_checkpoint(killed, processes=1)
    code, output = killed.start().end()
    assert (code, steps_of(output)) == (0, list(range(last + 1, STEPS + 1))), output
    assert killed.adapter() == undisturbed.adapter()
    assert killed.losses() == undisturbed.losses()


def test_two_processes_train_one_model_and_publish_it_once(make_run: MakeRun) -> None:
    """Rank 0 alone speaks; losses are those of one process up to rounding; one that lost a rank ends with equal bytes.

    Without dropout, which every process draws for its own rows.
    """
    alone, shared, killed = make_run("alone"), make_run("shared"), make_run("killed")
    for run in (alone, shared, killed):
        lora = Lora(rank=4, alpha=8)
        run.params = run.params.model_copy(update={"training": run.params.training.model_copy(update={"lora": lora})})
    assert alone.start().end()[0] == 0
    code, output = shared.start(processes=2).end()
    assert code == 0, output
    assert [output.count(f'"event": "{event}"') for event in ("job_started", "job_done")] == [1, 1]
    assert shared.losses() == pytest.approx(alone.losses(), rel=1e-3)

    last = killed_after_a_checkpoint(killed, processes=2)
    code, output = killed.start(processes=2).end()
    assert (code, steps_of(output)[0]) == (0, last + 1), output
    assert killed.adapter() == shared.adapter()


@pytest.mark.parametrize("rank", [0, 1])
def test_a_failure_of_one_process_fails_the_job_and_leaves_nothing_running(make_run: MakeRun, rank: int) -> None:
    """The other one waits for it in vain, yet both end, and the reason is recorded."""
    run = make_run("shared")
    failed = run.start(processes=2, FAIL_RANK=str(rank), FAIL_CALL="6")
    code, output = failed.end(seconds=120)
    assert code == 1, output
    failure = failed.record.failure(run.key)
    assert failure is not None, output
    assert failure.cause == "out of memory"
    with Store(run.root) as store:
        assert not store.has("train", run.key)
        assert not store.claims.is_held(run.key)


def children_of(process: int) -> list[int]:
    """Processes that torchrun started; the last one has the highest rank."""
    return [int(child) for child in Path(f"/proc/{process}/task/{process}/children").read_text().split()]
