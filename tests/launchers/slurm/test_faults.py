"""Faults on a real SLURM: whatever happens to a run, it ends with the results of an undisturbed one.

After each fault the store verifies, no job that was done is done again, and SLURM's state, the exit code and the store
agree on every task.
"""

from __future__ import annotations

import os
import shutil
import signal
import subprocess
import sys
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest

from tests.small_disk import small_disk
from traitgraph.launchers.slurm.record.attempts import attempt_path, read_attempt
from traitgraph.launchers.slurm.record.record import slurm_runs
from traitgraph.launchers.slurm.site import scheduler
from traitgraph.launchers.slurm.submit.launch import Launch, launch
from traitgraph.launchers.slurm.watch.control import retry, watch
from traitgraph.launchers.slurm.watch.run_status import RunStatus
from traitgraph.launchers.slurm.watch.status import read_status
from traitgraph.runtime.store.store import Store
from traitgraph.specs.jobs.params import JobTable
from traitgraph.specs.study.cluster import Cluster

from .cluster import Settings, SlurmCluster, wait_until
from .reach import LONG, lacking, plugin_path, reached, start
from .studies import CLUSTER, chain, job, results, run_of, settled, starts, table, trace_of, undisturbed

__all__ = ["small_disk"]
pytestmark = pytest.mark.slurm
NOBODY: dict[str, Any] = {"user": "nobody", "group": "nogroup", "extra_groups": [], "umask": 0o002}


def over(store: Store, launched: Launch, seconds: float = 360) -> RunStatus:
    """The status of a run once nothing waits or runs any more."""
    status = watch(store, run_of(launched.run), seconds=0.3, timeout=seconds)
    assert not status.is_active, status
    return status


def check(store: Store, launched: Launch, study: JobTable) -> None:
    """Results as undisturbed, every artifact verifies, and SLURM agrees with the store."""
    status = over(store, launched)
    assert results(store, study) == undisturbed(study), status
    assert all(not finding.faults for finding in Store(store.root).verify())
    agree(store, launched)


def agree(store: Store, launched: Launch) -> None:
    """A task's job is COMPLETED for SLURM if and only if all its jobs are in the store."""
    settled(launched.run)
    record = run_of(launched.run)
    rows = {row.key: row for row in record.run.table().rows}
    places = {(f"{record.run.id}.{a.id}", i): task for a in record.arrays for i, task in a.tasks.items()}
    jobs = {task.id: task.jobs for task in record.run.table().tasks}
    for entry in scheduler.queue(record.job_names):
        if (task := places.get((entry.name, entry.index or 0))) and entry.index is not None:
            there = all(store.has(rows[key].kind, key) for key in jobs[task])
            assert (entry.state == "COMPLETED") == there, (task, entry)


def slurm_id(launched: Launch, task: str) -> str:
    attempt = read_attempt(attempt_path(launched.run, task))
    assert attempt is not None, f"{task} has not begun"
    return attempt.job


def at_step(trace: Path, name: str, step: int) -> None:
    wait_until(lambda: f"step {step}" in trace_of(trace, name), f"{name} at step {step}", seconds=60)


def started_again(trace: Path, name: str) -> None:
    """Let a job that was held back end, once a second attempt at it has begun."""
    wait_until(lambda: starts(trace, name) == 2, f"a second start of {name}")
    (trace / "told").touch()


def only_once(trace: Path, name: str) -> None:
    """No step of a job was done twice."""
    done = [line for line in trace_of(trace, name) if line.startswith("step")]
    assert len(done) == len(set(done)), done


def test_a_cancelled_element_is_made_by_the_next_try(slurm: SlurmCluster, store: Store, trace: Path) -> None:
    study = chain(trace, 2, first={"steps": 3, "until": "told"})
    launched = launch(study, store, CLUSTER, probe=False)
    at_step(trace, "train0", 3)
    slurm.call("scancel", slurm_id(launched, "01-train-000"))
    status = over(store, launched)
    assert {task.id: task.state for task in status.tasks}["01-train-000"] == "cancelled"
    assert {task.id: task.state for task in status.tasks}["03-collect-000"] == "blocked"
    agree(store, launched)
    (trace / "told").touch()
    again = retry(store, run_of(launched.run)).launch
    assert again is not None
    assert again.jobs == 3
    check(store, again, study)
    only_once(trace, "train0")


def test_a_requeued_element_goes_on_from_its_checkpoint(slurm: SlurmCluster, store: Store, trace: Path) -> None:
    study = chain(trace, 2, first={"steps": 4, "until": "told"})
    launched = launch(study, store, CLUSTER, probe=False)
    at_step(trace, "train0", 4)
    slurm.call("scontrol", "requeue", slurm_id(launched, "01-train-000"))
    started_again(trace, "train0")
    check(store, launched, study)
    only_once(trace, "train0")


@pytest.mark.parametrize("partition", ["preempt", "harsh"])
def test_a_preempted_element_makes_room_and_goes_on_later(
    slurm: SlurmCluster, store: Store, trace: Path, partition: str
) -> None:
    """With a grace time the task is warned, saves and requeues itself; without one SLURM takes the node at once."""
    study = table({"train": [[job("train", trace, steps=5, until="told")]]})
    two = CLUSTER.default.model_copy(update={"cpus": 2})
    update = {"partition": partition, "default": two, "options": {"nodelist": "n1"}}
    launched = launch(study, store, CLUSTER.model_copy(update=update), probe=False)
    at_step(trace, "train", 5)
    urgent = slurm.call("sbatch", "--parsable", "-p", "gpu", "-w", "n1", "-c7", "-o", "/dev/null", "--wrap", "sleep 2")
    wait_until(
        lambda: "COMPLETED" in slurm.call("squeue", "-h", "-t", "all", "-j", urgent.strip(), "-o", "%T"), "urgent"
    )
    started_again(trace, "train")
    check(store, launched, study)
    only_once(trace, "train")


def test_a_worker_killed_while_it_writes_is_one_failure_and_the_next_try_asks_for_more_memory(
    slurm: SlurmCluster, store: Store, trace: Path
) -> None:
    pack = [job("before", trace), job("killed", trace, die_once=True, bytes=10**6), job("after", trace)]
    study = table({"train": [pack], "end": [[job("end", trace, *pack)]]})
    launched = launch(study, store, CLUSTER, probe=False)
    status = over(store, launched)
    assert set(results(store, study)) == {"job before", "job after"}
    assert [failure.cause for failure in status.failures] == ["killed by signal 9 (SIGKILL)", "blocked"]
    agree(store, launched)
    tried = retry(store, run_of(launched.run))
    assert tried.launch is not None
    assert (tried.launch.jobs, tried.escalated) == (2, 1)
    memory = [array.resources.memory_gb for array in run_of(tried.launch.run).arrays]
    assert memory[0] == pytest.approx(0.15)
    check(store, tried.launch, study)
    assert [starts(trace, name) for name in ("before", "killed", "after")] == [1, 2, 1]


def test_a_full_disk_is_named_and_after_the_repair_the_rest_is_made(
    slurm: SlurmCluster, small_disk: Path, trace: Path
) -> None:
    study = table({"train": [[job("small", trace)], [job("large", trace, bytes=4 * 10**6)]]})
    with Store(small_disk / "store") as store:
        launched = launch(study, store, CLUSTER, probe=False)
        status = over(store, launched)
        assert [(failure.label, failure.cause) for failure in status.failures] == [("job large", "disk full")]
        assert set(results(store, study)) == {"job small"}
        subprocess.run(["mount", "-o", "remount,size=30m", str(small_disk)], check=True)
        again = retry(store, run_of(launched.run)).launch
        assert again is not None
        check(store, again, study)
    assert starts(trace, "small") == 1


def test_the_login_process_may_die_right_after_submission(
    slurm: SlurmCluster, store: Store, trace: Path, tmp_path: Path
) -> None:
    study = chain(trace, 2, steps=3, seconds=0.2)
    frozen = tmp_path / "table.json"
    frozen.write_text(study.model_dump_json())
    command = [sys.executable, "-u", "-m", "tests.launchers.slurm.launch_once", str(frozen), str(store.root)]
    login = subprocess.Popen(command, stdout=subprocess.PIPE)
    assert login.stdout is not None
    login.stdout.readline()
    login.kill()
    login.communicate()
    launched = Launch(next(slurm_runs(store)).run.folder, 5, 5, 3, 3, 0, 0.0)
    check(store, launched, study)


def test_the_controller_may_restart_in_between(slurm: SlurmCluster, store: Store, trace: Path) -> None:
    study = chain(trace, 3, steps=10, seconds=0.1)
    launched = launch(study, store, CLUSTER, probe=False)
    at_step(trace, "train0", 2)
    slurm.restart_controller()
    check(store, launched, study)
    assert all(starts(trace, str(row.params["name"])) == 1 for row in study.rows)


def test_two_people_share_a_store_and_nothing_is_computed_twice(
    slurm: SlurmCluster, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The second person is a user of the system with no rights but those that the store's group gives."""
    python, as_nobody = interpreter_of_nobody()
    root = shared_store()
    plugin = plugin_path(root)
    monkeypatch.setenv("PYTHONPATH", plugin)
    as_nobody["PYTHONPATH"] += f":{plugin}"
    (trace := root / "trace").mkdir()
    trace.chmod(0o777)
    common = [job(f"common{i}", trace, steps=4, seconds=0.2) for i in range(4)]
    mine = table({"train": [[row] for row in common], "end": [[job("mine", trace, *common)]]}, "mine")
    yours = table({"train": [[row] for row in reversed(common)], "end": [[job("yours", trace, *common)]]}, "yours")
    try:
        (root / "yours.json").write_text(yours.model_dump_json())
        other = subprocess.Popen(
            [python, "-m", "tests.launchers.slurm.launch_once", str(root / "yours.json"), str(root / "store")],
            **NOBODY, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, env={**os.environ, **as_nobody},
        )  # fmt: skip
        store = Store(root / "store")
        launched = launch(mine, store, CLUSTER, probe=False)
        said, _ = other.communicate(timeout=180)
        assert other.returncode == 0, said.decode()
        theirs = next(record for record in slurm_runs(store) if record.text.user == "nobody")
        over(store, launched)
        wait_until(lambda: not slurm.call("squeue", "-h", "--user=nobody").strip(), "both runs over")
        assert results(store, mine) | results(store, yours) == undisturbed(mine) | undisturbed(yours)
        assert all(starts(trace, str(row.params["name"])) == 1 for row in (*mine.rows, *yours.rows))
        assert all(not finding.faults for finding in Store(root / "store").verify())
        assert read_status(store, theirs).ok
        store.close()
    finally:
        shutil.rmtree(root, ignore_errors=True)


def interpreter_of_nobody() -> tuple[str, dict[str, str]]:
    """An interpreter that the user `nobody` may start, and variables with which it finds our libraries."""
    import submitit

    checkout, libraries = Path(__file__).parents[3], Path(submitit.__file__).parents[1]
    path = f"{checkout}:{libraries}"
    variables = {"HOME": "/nonexistent", "USER": "nobody", "LOGNAME": "nobody", "PYTHONPATH": path}
    usable = [python for python in (sys.executable, "/usr/bin/python3") if nobody_can_use(python, variables)]
    if not usable:
        lacking("no interpreter that the user nobody may start has our libraries")
    return usable[0], variables


def nobody_can_use(python: str, variables: dict[str, str]) -> bool:
    """Whether the user `nobody` may start an interpreter that finds our libraries."""
    trial = [python, "-c", "import pydantic_core, submitit, traitgraph"]
    try:
        done = subprocess.run(trial, env={**os.environ, **variables}, **NOBODY, check=False)
    except OSError:
        return False
    return done.returncode == 0


def shared_store() -> Path:
    """A folder that everybody on this machine may reach, with a store that the group of `nobody` may write."""
    import grp
    import tempfile

    root = Path(tempfile.mkdtemp(prefix="tg-shared-", dir="/tmp"))
    root.chmod(0o755)
    (root / "store").mkdir()
    os.chown(root / "store", 0, grp.getgrnam("nogroup").gr_gid)
    (root / "store").chmod(0o2775)
    return root


def test_clocks_that_disagree_break_no_claim(slurm: SlurmCluster, store: Store, trace: Path, tmp_path: Path) -> None:
    """One node's clock is two days ahead, and neither node sees the other's processes: only the counter tells."""
    library = next(Path("/usr/lib").glob("*/faketime/libfaketime.so.1"), None)
    if library is None:
        lacking("apt-get install --no-install-recommends libfaketime")
    elsewhere = tmp_path / "elsewhere"
    elsewhere.write_text(
        "#!/bin/sh\n"
        'if [ "$SLURMD_NODENAME" = n2 ]; then\n'
        f'  exec unshare --pid --fork --mount-proc --kill-child env LD_PRELOAD={library} FAKETIME=+2d "$@"\n'
        'fi\nexec unshare --pid --fork --mount-proc --kill-child "$@"\n'
    )
    elsewhere.chmod(0o755)
    shared = job("shared", trace, steps=8, seconds=0.5)
    first = table({"train": [[shared], [job("mine", trace, shared)]]}, "first")
    second = table({"train": [[shared], [job("yours", trace, shared)]]}, "second")
    on = {
        name: CLUSTER.model_copy(update={"prefix": (str(elsewhere),), "options": {"nodelist": name}})
        for name in ("n1", "n2")
    }
    ahead = launch(first, store, on["n2"], probe=False)
    at_step(trace, "shared", 1)
    behind = launch(second, store, on["n1"], probe=False)
    check(store, ahead, first)
    check(store, behind, second)
    assert starts(trace, "shared") == 1


def test_a_task_that_used_up_its_continuations_fails_and_the_next_try_asks_for_more_time(
    slurm: SlurmCluster, store: Store, trace: Path
) -> None:
    short = CLUSTER.default.model_copy(update={"minutes": 1})
    cluster = CLUSTER.model_copy(update={"default": short, "continuations": 0})
    study = chain(trace, 1, steps=3, until="told")
    launched = launch(study, store, cluster, probe=False)
    at_step(trace, "train0", 3)
    slurm.call("scancel", "--batch", "--signal=USR2", slurm_id(launched, "01-train-000"))  # as near the limit
    status = over(store, launched)
    assert [failure.cause for failure in status.failures] == ["time limit", "blocked", "blocked"]
    (trace / "told").touch()
    tried = retry(store, run_of(launched.run))
    assert tried.launch is not None
    assert tried.escalated == 1
    assert run_of(tried.launch.run).arrays[0].resources.minutes == 2
    check(store, tried.launch, study)
    only_once(trace, "train0")


def test_a_signal_that_kills_the_worker_at_once_is_no_success(slurm: SlurmCluster, store: Store, trace: Path) -> None:
    study = table({"train": [[job("train", trace, steps=2, until="never")]]})
    launched = launch(study, store, CLUSTER, probe=False)
    at_step(trace, "train", 2)
    pids = subprocess.run(
        ["pgrep", "-f", f"runtime.worker.task {launched.run}"], capture_output=True, text=True
    ).stdout.split()
    for pid in pids:
        os.kill(int(pid), signal.SIGSEGV)
    status = over(store, launched)
    assert [failure.cause for failure in status.failures] == ["killed by signal 11 (SIGSEGV)"]
    agree(store, launched)


# ---------------------------------------------------------------- runs that take longer than a test


@dataclass(frozen=True)
class LongRun:
    store: Store
    trace: Path
    study: JobTable
    launched: Launch


def begin(reach: SlurmCluster, folder: Path, cluster: Cluster, **params: object) -> LongRun:
    """Launch a run that outlives the test during which it is launched: a long task, a short one, one after both."""
    (trace := folder / "trace").mkdir()
    train = [job("train", trace, seconds=1.0, **params), job("short", trace)]
    study = table({"train": [[row] for row in train], "end": [[job("end", trace, *train)]]}, study=LONG)
    with pytest.MonkeyPatch.context() as patch, Store(folder / "store") as store:
        for name, value in {**reach.environment, "PYTHONPATH": plugin_path(folder)}.items():
            patch.setenv(name, value)
        return LongRun(store, trace, study, launch(study, store, cluster, probe=False))


# ---------------------------------------------------------------- nodes that go, on a cluster of their own


@pytest.fixture(scope="module")
def three_nodes() -> Iterator[SlurmCluster]:
    yield from start(Settings(nodes=3, slurmd_timeout=6))


@pytest.fixture
def fragile(three_nodes: SlurmCluster, plugin: None, monkeypatch: pytest.MonkeyPatch) -> Iterator[SlurmCluster]:
    yield from reached(three_nodes, monkeypatch)


@pytest.fixture(scope="module", autouse=True)
def orphaned(three_nodes: SlurmCluster, tmp_path_factory: pytest.TempPathFactory) -> LongRun:
    """A task whose node lost its daemon, killed first so that SLURM notices while other tests run."""
    run = begin(three_nodes, tmp_path_factory.mktemp("orphaned"), on_whole_nodes(), steps=3, until="taken over")
    at_step(run.trace, "train", 2)
    attempt = read_attempt(attempt_path(run.launched.run, "01-train-000"))
    assert attempt is not None
    three_nodes.kill_node(attempt.node)
    return run


def on_whole_nodes(cluster: Cluster = CLUSTER) -> Cluster:
    """Tasks large enough that each fills a node."""
    return cluster.model_copy(update={"default": cluster.default.model_copy(update={"cpus": 8})})


def test_a_node_set_down_gives_its_task_to_another(fragile: SlurmCluster, store: Store, trace: Path) -> None:
    study = table({"train": [[job("train", trace, steps=4, until="told")]]})
    launched = launch(study, store, on_whole_nodes(), probe=False)
    at_step(trace, "train", 4)
    attempt = read_attempt(attempt_path(launched.run, "01-train-000"))
    assert attempt is not None
    fragile.call("scontrol", "update", f"nodename={attempt.node}", "state=down", "reason=test")
    started_again(trace, "train")
    check(store, launched, study)
    only_once(trace, "train")
    fragile.call("scontrol", "update", f"nodename={attempt.node}", "state=idle", check=False)


def test_a_node_whose_daemon_dies_gives_its_task_to_another(fragile: SlurmCluster, orphaned: LongRun) -> None:
    """The task's processes outlive the daemon: the second attempt waits for what the first one still makes."""

    def restarts() -> int:
        attempt = read_attempt(attempt_path(orphaned.launched.run, "01-train-000"))
        return attempt.restarts if attempt else 0

    wait_until(lambda: restarts() == 1, "SLURM has noticed and begun a second attempt", seconds=120)
    (orphaned.trace / "taken over").touch()
    check(orphaned.store, orphaned.launched, orphaned.study)
    only_once(orphaned.trace, "train")


# ---------------------------------------------------------------- the time limit


@pytest.fixture(scope="module", autouse=True)
def over_its_limit(plain_cluster: SlurmCluster, tmp_path_factory: pytest.TempPathFactory) -> LongRun:
    """A run longer than its time limit of one minute, started first so that it ends while other tests run."""
    return begin(plain_cluster, tmp_path_factory.mktemp("long"), for_a_minute(), steps=75, checkpoint=1000)


@pytest.fixture(scope="module", autouse=True)
def hung(plain_cluster: SlurmCluster, tmp_path_factory: pytest.TempPathFactory) -> LongRun:
    """A run of which a task hangs and hears no warning of its time limit of one minute."""
    return begin(plain_cluster, tmp_path_factory.mktemp("hung"), for_a_minute(), steps=2, deaf_once=True)


@pytest.fixture(scope="module", autouse=True)
def unwarned(plain_cluster: SlurmCluster, tmp_path_factory: pytest.TempPathFactory) -> LongRun:
    """A run longer than its time limit in a container that passes no signal on."""
    folder = tmp_path_factory.mktemp("unwarned")
    container = folder / "container"
    container.write_text('#!/bin/sh\n"$@"\nexit $?\n')
    container.chmod(0o755)
    cluster = for_a_minute().model_copy(update={"prefix": (str(container),)})
    return begin(plain_cluster, folder, cluster, steps=65, checkpoint=1000)


def for_a_minute() -> Cluster:
    """Tasks of at most one minute, the shortest limit that SLURM knows, on a node where they are in nobody's way."""
    update = {"default": CLUSTER.default.model_copy(update={"minutes": 1}), "options": {"nodelist": "n4"}}
    return CLUSTER.model_copy(update=update)


def test_a_task_that_reaches_its_time_limit_goes_on_from_its_checkpoint(
    slurm: SlurmCluster, over_its_limit: LongRun
) -> None:
    """SLURM warns before the limit of one minute; the task saves, requeues itself, and goes on where it was."""
    run = over_its_limit
    check(run.store, run.launched, run.study)
    attempt = read_attempt(attempt_path(run.launched.run, "01-train-000"))
    assert attempt is not None
    assert attempt.timeouts >= 1
    only_once(run.trace, "train")


def test_a_task_that_hears_no_warning_is_ended_before_its_limit_and_what_needs_it_still_runs(
    slurm: SlurmCluster, hung: LongRun
) -> None:
    """Had SLURM ended it for its time, `afterok` would drop what comes after the array, requeued or not."""
    check(hung.store, hung.launched, hung.study)
    assert starts(hung.trace, "train") == 2


def test_a_task_that_slurm_cannot_warn_saves_and_goes_on_all_the_same(slurm: SlurmCluster, unwarned: LongRun) -> None:
    check(unwarned.store, unwarned.launched, unwarned.study)
    assert starts(unwarned.trace, "train") == 2
    only_once(unwarned.trace, "train")
