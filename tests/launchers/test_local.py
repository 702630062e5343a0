"""The local launcher with real worker processes: order, failures, deaths and what is left after them."""

from __future__ import annotations

import json
import random
from pathlib import Path

import pytest

from traitgraph.launchers.local import run_locally
from traitgraph.runtime.store.records import RunRecord
from traitgraph.runtime.store.store import Store
from traitgraph.runtime.worker.events import Event
from traitgraph.runtime.worker.task import COMMITS_FILE
from traitgraph.specs.jobs.params import JobTable
from traitgraph.specs.source.hashing import digest_path

from .toys import below, result, runs_of, table, toy, wait_for

pytestmark = pytest.mark.usefixtures("toy_plugin")


def test_every_job_runs_after_its_inputs_and_a_second_run_does_nothing(store: Store, trace: Path) -> None:
    a = toy("a", trace=str(trace))
    b = toy("b", a, trace=str(trace))
    c = toy("c", a, b, trace=str(trace))
    plan = table([a], [b], [c])
    first = run_locally(plan, store)
    assert (first.exit_code, first.done, first.present, first.failures) == (0, 3, 0, ())
    assert result(store, c).split()[0] == "c"
    assert result(store, a) in result(store, c)
    second = run_locally(plan, store)
    assert (second.exit_code, second.done, second.present) == (0, 0, 3)
    assert runs_of(trace) == ["a", "b", "c"]


def test_a_table_without_tasks_is_done_and_leaves_nothing(store: Store) -> None:
    assert run_locally(table(), store).ok
    assert not store.root.exists()


def test_a_failing_job_blocks_its_dependents_and_nobody_else(store: Store) -> None:
    bad = toy("bad", fail="no rows for trait 17")
    worse = toy("worse", bad)
    worst = toy("worst", worse)
    good = toy("good")
    summary = run_locally(table([bad, good], [worse], [worst], [toy("apart")]), store)
    assert summary.exit_code == 1
    assert (summary.done, summary.failed, summary.blocked) == (2, 1, 2)
    reasons = {failure.label: failure.message for failure in summary.failures}
    assert reasons == {
        "bad": "ValueError: no rows for trait 17",
        "worse": "blocked by bad (ValueError: no rows for trait 17)",
        "worst": "blocked by bad (ValueError: no rows for trait 17)",
    }
    log = next(Path(failure.log) for failure in summary.failures if failure.label == "bad")
    assert "Traceback" in log.read_text()
    assert below(store.root / "tmp") == set()
    assert below(store.root / "claims") == set()


def test_a_failed_job_runs_again_in_the_next_run_and_only_it(store: Store, trace: Path) -> None:
    a, bad = toy("a", trace=str(trace)), toy("bad", fail="no", trace=str(trace))
    run_locally(table([a, bad]), store)
    repaired = toy("bad", trace=str(trace))
    assert repaired.key == bad.key
    assert run_locally(table([a, repaired]), store).ok
    assert runs_of(trace) == ["a", "bad", "bad"]


def test_a_worker_killed_while_it_writes_leaves_nothing_and_stops_no_other_job(store: Store, trace: Path) -> None:
    before, victim, behind = toy("before", trace=str(trace)), toy("victim", die=True), toy("behind", trace=str(trace))
    dependent = toy("dependent", victim)
    summary = run_locally(table([before, victim, behind], [dependent]), store)
    assert (summary.done, summary.failed, summary.blocked) == (2, 1, 1)
    assert summary.failures[0].cause == "killed by signal 9 (SIGKILL)"
    assert "out of memory?" in summary.failures[0].message
    assert not store.path("toy", victim.key).exists()
    assert below(store.root / "tmp") == set()
    assert runs_of(trace) == ["before", "behind"]
    assert run_locally(table([before, toy("victim"), behind], [dependent]), store).ok
    assert runs_of(trace) == ["before", "behind"]


@pytest.mark.parametrize("die", [False, True])
def test_what_a_worker_leaves_running_ends_with_it(store: Store, tmp_path: Path, die: bool) -> None:
    left = tmp_path / "left.txt"
    run_locally(table([toy("a", leaves=str(left), die=die)]), store)
    wait_for(lambda: not Path(f"/proc/{left.read_text()}/exe").exists())


def test_results_do_not_depend_on_the_order_of_jobs_or_on_the_process(tmp_path: Path) -> None:
    a, b = toy("a"), toy("b")
    results = []
    for name, plan in {"ab": table([a, b]), "ba": table([b, a]), "apart": table([a], [b])}.items():
        store = Store(tmp_path / name)
        assert run_locally(plan, store).ok
        results.append((result(store, a), result(store, b)))
    assert len(set(results)) == 1
    assert str(random.Random(int(a.key[:8], 16)).random()) in results[0][0]


def test_what_jobs_print_never_mixes_with_events(store: Store) -> None:
    events: list[Event] = []
    a, b = toy("a"), toy("b", fail="no")
    summary = run_locally(table([a, b]), store, observer=events.append)
    kinds = [(event.event, event.label) for event in events if event.event != "progress"]
    assert kinds == [
        ("task_started", ""), ("job_started", "a"), ("job_done", "a"), ("job_started", "b"), ("job_failed", "b"),
        ("task_ended", ""),
    ]  # fmt: skip
    assert {(event.done, event.total, event.what) for event in events if event.event == "progress"} >= {
        (0, 2, "halves")
    }
    assert summary.folder is not None
    log = (summary.folder / "logs" / "00-toy-000.log").read_text()
    assert log.count("a stray line on standard output") == 2
    assert log.count("a stray line of a child") == 2


def test_models_stay_loaded_from_job_to_job_but_not_after_a_failure(store: Store) -> None:
    rows = [toy("a"), toy("b"), toy("bad", fail="no"), toy("c")]
    summary = run_locally(table(rows), store)
    assert summary.folder is not None
    log = (summary.folder / "logs" / "00-toy-000.log").read_text()
    assert [line for line in log.splitlines() if line.startswith("loads")] == ["loads 1", "loads 2", "loads 1"]


def test_a_damaged_input_is_reported_and_built_again_before_it_is_used(store: Store, trace: Path) -> None:
    a = toy("a", trace=str(trace))
    b = toy("b", a)
    assert run_locally(table([a]), store).ok
    good = result(store, a)
    (store.path("toy", a.key) / "result.txt").write_text("bad" + good[3:])
    events: list[Event] = []
    assert run_locally(table([b]), store, observer=events.append).ok  # the plan took `a` for present
    assert [event.label for event in events if event.event == "damaged"] == ["a"]
    assert good in result(store, b)
    assert runs_of(trace) == ["a", "a"]
    assert len(below(store.root / "damaged")) == 1


def test_an_artifact_that_a_job_itself_finds_damaged_is_built_again(store: Store, trace: Path) -> None:
    a = toy("a", trace=str(trace))
    b = toy("b", reads=a.key)
    run_locally(table([a]), store)
    good = result(store, a)
    (store.path("toy", a.key) / "result.txt").write_text("bad" + good[3:])
    assert run_locally(table([b]), store).ok
    assert result(store, a) == good
    assert runs_of(trace) == ["a", "a"]


def test_an_input_that_cannot_be_built_again_is_the_reason_of_the_failure(store: Store) -> None:
    a = toy("a")
    run_locally(table([a]), store)
    (store.path("toy", a.key) / "manifest.json").write_text("{}")
    (failure,) = run_locally(table([toy("b", a)]), store).failures
    assert failure.cause == "damaged input"
    assert "manifest.json" in failure.message
    assert not store.path("toy", a.key).exists()


def test_a_damaged_artifact_of_the_table_is_built_again(store: Store, trace: Path) -> None:
    a = toy("a", trace=str(trace))
    run_locally(table([a]), store)
    (store.path("toy", a.key) / "result.txt").unlink()
    summary = run_locally(table([a]), store)
    assert (summary.done, summary.present) == (1, 0)
    assert runs_of(trace) == ["a", "a"]


def test_two_tasks_run_side_by_side_when_two_workers_are_allowed(store: Store, tmp_path: Path) -> None:
    started: list[tuple[str, str]] = []
    rows = [toy(name, seconds=1.0) for name in "ab"]
    run_locally(
        table(*([row] for row in rows)), store, workers=2, observer=lambda e: started.append((e.event, e.label))
    )
    jobs = [pair for pair in started if pair[0] in ("job_started", "job_done")]
    assert {pair[0] for pair in jobs[:2]} == {"job_started"}


def test_wrong_parameters_are_a_failure_that_names_the_field(store: Store) -> None:
    summary = run_locally(table([toy("a", colour="red")]), store)
    assert "colour" in summary.failures[0].message


def test_a_row_of_another_version_is_refused(store: Store) -> None:
    row = toy("a").model_copy(update={"version": 2})
    (failure,) = run_locally(table([row]), store).failures
    assert "plan again with the installed traitgraph" in failure.message


@pytest.mark.parametrize(
    ("kind", "message"),
    [
        ("steer", "no runtime for job kind 'steer'; known kinds: activations, analyse, assess, "),
        ("bad", "the entry point 'bad' (group traitgraph.jobs) must name the JobKind 'bad', not <function toy"),
        ("gone", "the runtime of job kind 'gone' (toy_jobs:nothing) cannot be imported: "),
    ],
)
def test_a_kind_without_a_runtime_is_named(store: Store, kind: str, message: str) -> None:
    row = toy("a").model_copy(update={"kind": kind})
    (failure,) = run_locally(table([row]), store).failures
    assert message in failure.message
    assert failure.cause == "no runtime for a job kind"


def test_a_worker_that_cannot_start_fails_all_jobs_of_its_task(
    store: Store, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "shadow").mkdir()
    (tmp_path / "shadow" / "pydantic.py").write_text("raise RuntimeError('this environment is broken')")
    monkeypatch.setenv("PYTHONPATH", str(tmp_path / "shadow"))
    summary = run_locally(table([toy("a"), toy("b")], [toy("c")]), store)
    assert {failure.cause for failure in summary.failures} == {"worker ended early (exit code 1)"}
    assert len(summary.failures) == 3
    assert "this environment is broken" in summary.failures[0].message


def test_the_job_table_is_kept_with_the_run(store: Store) -> None:
    plan = table([toy("a")])
    summary = run_locally(plan, store)
    assert summary.folder is not None
    assert summary.folder.name.startswith("toys-games-")
    assert RunRecord(summary.folder).table() == plan


def broken(plan: JobTable) -> JobTable:
    return plan.model_copy(update={"tasks": tuple(reversed(plan.tasks))})


def test_tasks_out_of_order_are_refused_before_anything_starts(store: Store) -> None:
    a = toy("a")
    with pytest.raises(ValueError, match="'01-toy-000' comes after 00-toy-000"):
        run_locally(broken(table([a], [toy("b", a)])), store)
    assert not store.root.exists()


def test_a_job_whose_file_is_edited_while_it_runs_publishes_nothing(store: Store, tmp_path: Path) -> None:
    """It may have read either content, and the key says one of them; so does a job that comes after the edit."""
    path = tmp_path / "rows.jsonl"
    path.write_text("as planned")
    digest = digest_path(path)
    jobs = [toy("first", edits=digest), toy("second", edits=digest)]
    plan = table(jobs).model_copy(update={"locations": {digest: str(path)}})
    summary = run_locally(plan, store)
    assert (summary.exit_code, summary.failed) == (1, 2)
    assert all("rows.jsonl has changed since the plan was made" in each.message for each in summary.failures)
    assert store.keys("toy") == []


def test_an_artifact_keeps_the_commits_of_the_hub_that_were_read(store: Store) -> None:
    """`main` is another model next month; jobs that read nothing of the hub have no such file."""
    read, other = toy("read", commit="c" * 40), toy("other")
    run_locally(table([read, other]), store)
    assert json.loads((store.path("toy", read.key) / COMMITS_FILE).read_text()) == {"a/b@main": "c" * 40}
    assert not (store.path("toy", other.key) / COMMITS_FILE).exists()
