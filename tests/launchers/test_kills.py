"""Kill the launcher, its workers or both at any moment: nothing half made is used, nothing finished is made twice."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
from collections.abc import Callable, Iterator
from functools import partial
from pathlib import Path
from typing import IO

import pytest

from traitgraph.api.study_runs import RunWatch
from traitgraph.launchers.local import run_locally
from traitgraph.launchers.slurm.record.logs import follow
from traitgraph.launchers.worker_process import worker_command, worker_environment
from traitgraph.runtime.store.records import RunRecord
from traitgraph.runtime.store.store import Store
from traitgraph.specs.jobs.params import JobTable

from .toys import below, result, runs_of, table, toy, wait_for

pytestmark = pytest.mark.usefixtures("toy_plugin")

LAUNCHER = Path(__file__).parent / "launch_toys.py"
Launch = Callable[..., subprocess.Popen[str]]


@pytest.fixture
def launch(store: Store, tmp_path: Path) -> Iterator[Launch]:
    """Start launchers in processes of their own; those still there at the end of the test are killed."""
    started: list[subprocess.Popen[str]] = []

    def start(plan: JobTable, *, nohup: bool = False) -> subprocess.Popen[str]:
        path = tmp_path / f"plan-{len(started)}.json"
        path.write_text(plan.model_dump_json())
        command = [sys.executable, str(LAUNCHER), str(store.root), str(path)]
        root = str(Path(__file__).parents[2])
        environment = {**os.environ, "PYTHONPATH": f"{os.environ['PYTHONPATH']}:{root}"}
        hear = partial(hear_terminal, nohup)
        process = subprocess.Popen(
            command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True, env=environment, preexec_fn=hear
        )
        started.append(process)
        return process

    yield start
    for process in started:
        if process.poll() is None:
            process.kill()
        process.communicate()


def hear_terminal(nohup: bool) -> None:
    """Heed Ctrl-C and, but for nohup, the end of the terminal, however this test itself was started."""
    signal.signal(signal.SIGINT, signal.SIG_DFL)
    signal.signal(signal.SIGHUP, signal.SIG_IGN if nohup else signal.SIG_DFL)


def test_a_run_goes_on_after_its_launcher_was_killed(launch: Launch, store: Store, trace: Path) -> None:
    first, slow = toy("first", trace=str(trace)), toy("slow", seconds=60, trace=str(trace))
    plan = table([first, slow], [toy("after", slow, trace=str(trace))])
    launcher = launch(plan)
    wait_for(lambda: "slow" in runs_of(trace))
    launcher.kill()
    wait_for(lambda: not below(store.root / "tmp"))  # the orphan noticed, and cleaned up
    wait_for(lambda: not below(store.root / "claims"))
    killed = RunRecord(next((store.root / "runs").iterdir())).launcher
    wait_for(lambda: below(store.root / "writers") == {killed})  # a sign that the next run takes away
    assert not store.has("toy", slow.key)
    quick = toy("slow", trace=str(trace))
    assert run_locally(table([first, quick], [toy("after", quick, trace=str(trace))]), store).ok
    assert runs_of(trace) == ["after", "first", "slow", "slow"]
    assert below(store.root / "writers") == set()


def test_a_run_goes_on_after_launcher_and_worker_were_killed_at_once(launch: Launch, store: Store, trace: Path) -> None:
    slow = toy("slow", seconds=60, trace=str(trace))
    launcher = launch(table([slow]))
    wait_for(lambda: "slow" in runs_of(trace))
    worker = int(next(trace.iterdir()).name.rpartition(".")[2])
    os.kill(worker, signal.SIGSTOP)  # lest it hears of the death of its launcher in between, and cleans up
    wait_for(lambda: status_of(worker)["State"].startswith("T"))
    os.kill(launcher.pid, signal.SIGKILL)
    os.kill(worker, signal.SIGKILL)
    launcher.wait()
    assert below(store.root / "tmp")
    wait_for(lambda: not Path(f"/proc/{worker}/exe").exists())
    assert run_locally(table([toy("slow", trace=str(trace))]), store).ok
    assert below(store.root / "tmp") == set()
    assert below(store.root / "claims") == set()


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGKILL])
def test_following_a_log_ends_with_the_run_however_that_ends(
    launch: Launch, store: Store, trace: Path, number: signal.Signals
) -> None:
    """Also that of a task that had yet to start; and not while the launcher or the worker lives."""
    launcher = launch(table([toy("slow", seconds=60, trace=str(trace))], [toy("never")]))
    wait_for(lambda: runs_of(trace) == ["slow"])
    run = RunRecord(next((store.root / "runs").iterdir()))
    watch, (slow, never) = RunWatch(Store(store.root), run), run.table().tasks
    assert not watch.is_over(slow.id)
    assert not watch.is_over(never.id)
    worker = int(next(trace.iterdir()).name.rpartition(".")[2])
    if number == signal.SIGKILL:
        os.kill(worker, signal.SIGSTOP)
        wait_for(lambda: status_of(worker)["State"].startswith("T"))
    launcher.send_signal(number)
    launcher.wait()
    if number == signal.SIGKILL:
        assert not watch.is_over(slow.id)
        os.kill(worker, signal.SIGKILL)
    wait_for(lambda: watch.is_over(slow.id))
    assert watch.is_over(never.id)
    assert any("slow" in line for line in follow(run.log_path(slow.id), lambda: watch.is_over(slow.id)))


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
def test_a_second_signal_ends_a_worker_that_takes_its_time(
    launch: Launch, store: Store, trace: Path, number: int
) -> None:
    launcher = launch(table([toy("slow", seconds=60, trace=str(trace))]))
    wait_for(lambda: runs_of(trace) == ["slow"])
    worker = int(next(trace.iterdir()).name.rpartition(".")[2])
    os.kill(worker, signal.SIGSTOP)
    wait_for(lambda: status_of(worker)["State"].startswith("T"))
    launcher.send_signal(number)
    wait_for(lambda: int(status_of(worker)["ShdPnd"], 16) >> (signal.SIGTERM - 1) & 1)  # asked, and does not answer
    launcher.send_signal(number)
    out, err = launcher.communicate(timeout=60)
    assert (launcher.returncode, "Traceback" in err) == (1, False)
    assert out.startswith("stopped: 0 of 1 jobs done in ")
    assert not Path(f"/proc/{worker}/exe").exists()
    assert below(store.root / "tmp") == set()


def status_of(pid: int) -> dict[str, str]:
    """What Linux tells of a process: its state, the signals that wait for it."""
    lines = Path(f"/proc/{pid}/status").read_text().splitlines()
    return {name: value.strip() for name, _, value in (line.partition(":") for line in lines)}


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM, signal.SIGHUP])
def test_ctrl_c_ends_the_workers_and_says_how_to_go_on(launch: Launch, store: Store, trace: Path, number: int) -> None:
    plan = table([toy("first"), toy("slow", seconds=60, trace=str(trace))], [toy("never")])
    launcher = launch(plan)
    wait_for(lambda: runs_of(trace) == ["slow"])
    launcher.send_signal(number)
    out, err = launcher.communicate(timeout=60)
    assert launcher.returncode == 1
    assert out.startswith("stopped: 1 of 3 jobs done in ")
    assert "2 not run" in out
    assert "next: traitgraph run SPEC    # go on: only what is missing runs" in out
    assert "Traceback" not in err
    assert below(store.root / "tmp") == set()
    assert below(store.root / "claims") == set()
    assert below(store.root / "writers") == set()


def test_a_run_under_nohup_goes_on_when_the_terminal_closes(launch: Launch, store: Store, trace: Path) -> None:
    launcher = launch(table([toy("a", seconds=1, trace=str(trace))]), nohup=True)
    wait_for(lambda: runs_of(trace) == ["a"])
    launcher.send_signal(signal.SIGHUP)
    launcher.communicate(timeout=60)
    assert launcher.returncode == 0
    assert store.has("toy", toy("a").key)


def test_a_run_goes_on_when_nobody_reads_its_progress(launch: Launch, store: Store) -> None:
    """As in `traitgraph run SPEC 2>&1 | head -3`."""
    launcher = launch(table([toy("first")], [toy("second")]))
    assert launcher.stderr is not None
    launcher.stderr.close()
    launcher.wait(timeout=120)
    assert launcher.returncode == 0
    assert store.has("toy", toy("second").key)


def test_two_launchers_on_one_store_share_the_work(launch: Launch, store: Store, trace: Path) -> None:
    rows = [toy(name, seconds=0.3, trace=str(trace)) for name in "abcdef"]
    last = toy("last", *rows, trace=str(trace))
    plan = table(rows, [last])
    both = [launch(plan), launch(plan)]
    outputs = [process.communicate(timeout=150) for process in both]
    assert [process.returncode for process in both] == [0, 0], outputs
    assert runs_of(trace) == ["a", "b", "c", "d", "e", "f", "last"]
    assert result(store, last)


def test_a_waiting_launcher_takes_over_the_job_of_one_that_died(launch: Launch, store: Store, trace: Path) -> None:
    slow = toy("slow", seconds=60, trace=str(trace))
    first = launch(table([slow]))
    wait_for(lambda: runs_of(trace) == ["slow"])
    second = launch(table([toy("slow", trace=str(trace))]))
    assert second.stderr is not None
    assert second.stderr.readline() == "waiting: slow: another run on this store is making it\n"
    first.kill()
    out, _ = second.communicate(timeout=90)
    assert second.returncode == 0, out
    assert runs_of(trace) == ["slow", "slow"]


def start_worker(store: Store, plan: JobTable, log: int | IO[bytes] = subprocess.PIPE) -> subprocess.Popen[bytes]:
    """The worker of the first task, alone, as a scheduler starts it."""
    record = RunRecord.create(store.root, plan)
    command = worker_command(record.table_path, plan.tasks[0].id, store.root)
    environment = worker_environment(os.environ, [])
    return subprocess.Popen(command, stdout=subprocess.DEVNULL, stderr=log, env=environment)


def test_a_warned_worker_ends_after_the_job_at_hand(store: Store, trace: Path) -> None:
    plan = table([toy("a", seconds=1.5, trace=str(trace)), toy("b", trace=str(trace))])
    worker = start_worker(store, plan)
    wait_for(lambda: runs_of(trace) == ["a"])
    worker.send_signal(signal.SIGUSR2)
    _, err = worker.communicate(timeout=60)
    assert worker.returncode == 1
    assert b"stopped (request); what was finished is in the store" in err
    assert runs_of(trace) == ["a"]
    assert store.has("toy", toy("a").key)


def test_a_warned_job_saves_its_state_and_goes_on_from_it(store: Store, trace: Path) -> None:
    job = toy("a", patient=True, trace=str(trace))
    worker = start_worker(store, table([job]))
    wait_for(lambda: runs_of(trace) == ["a"])
    worker.send_signal(signal.SIGUSR2)
    worker.communicate(timeout=60)
    assert worker.returncode == 1
    assert below(store.partial(job.key)) == {"state.txt"}
    assert below(store.root / "tmp") == set()
    assert run_locally(table([job]), store).ok
    assert below(store.root / "partial") == set()


@pytest.mark.skipif(not Path("/dev/full").exists(), reason="needs a disk that is always full")
def test_a_log_without_room_fails_no_job(store: Store, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("PYTHONUNBUFFERED", raising=False)
    with Path("/dev/full").open("wb") as full:
        worker = start_worker(store, table([toy("a", quiet=True)]), full)
    assert worker.wait(timeout=120) == 0
    assert store.has("toy", toy("a").key)


def test_a_disk_without_room_for_the_record_is_named_all_the_same(small_disk: Path) -> None:
    """The reasons of failures come with the events, too."""
    jobs = [toy("a", fills=str(small_disk / "filler")), toy("b")]
    summary = run_locally(table(jobs, [toy("c")]), Store(small_disk / "store"))
    assert {failure.label: failure.cause for failure in summary.failures} == dict.fromkeys("abc", "disk full")
    assert "3 jobs: disk full" in summary.text()


def test_a_full_disk_fails_the_large_job_alone(small_disk: Path) -> None:
    large, small = toy("large", bytes=4 << 20), toy("small")
    summary = run_locally(table([large, small, toy("dependent", large)]), Store(small_disk / "store"))
    assert [(failure.label, failure.cause) for failure in summary.failures] == [
        ("large", "disk full"), ("dependent", "blocked"),
    ]  # fmt: skip
    assert "nothing was published" in summary.failures[0].message
    assert summary.done == 1
