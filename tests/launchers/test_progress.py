"""What a person sees during and after a run."""

from __future__ import annotations

import io
from pathlib import Path

import pytest

from traitgraph.launchers.progress import Bars, Lines, TimeLeft, progress_view
from traitgraph.launchers.summary import RunSummary, failure_lines
from traitgraph.runtime.store.records import Failure
from traitgraph.runtime.worker.events import Event, EventStream

from .toys import table, toy


class Terminal(io.StringIO):
    def isatty(self) -> bool:
        return True


def ended(name: str, event: str = "job_done", **fields: object) -> Event:
    return Event(event, key=toy(name).key, kind="toy", label=name, **fields)  # type: ignore[arg-type]


def test_time_left_comes_from_this_run_then_from_the_store_then_from_the_mean() -> None:
    left = TimeLeft({"a": "train", "b": "train", "c": "assess", "d": "collect"}, stored={"train": 100, "assess": 20})
    assert left.seconds() == 100 + 100 + 20 + 60
    left.settle("a", 10)
    assert left.seconds() == 10 + 20 + 15
    left.settle("a", 10)  # told twice
    left.settle("b", None)
    assert left.seconds() == 20 + 15


def test_what_has_not_run_takes_what_the_plan_expects_corrected_by_what_has() -> None:
    sorts = {"a": "train", "b": "train", "c": "assess", "d": "collect"}
    left = TimeLeft(sorts, expected={"train": 100, "assess": 30, "collect": 2})
    assert left.seconds() == 100 + 100 + 30 + 2
    left.settle("a", 50)
    assert left.seconds() == (100 + 30 + 2) / 2
    left.settle("b", 50)
    left.settle("c", 3)
    assert left.seconds() == pytest.approx(2 * 53 / 130)


def test_what_needs_a_failed_job_takes_no_time_any_more() -> None:
    """a fails: b needs it, c needs b; d does not."""
    left = TimeLeft(dict.fromkeys("abcd", "train"), {"train": 10}, inputs={"b": "a", "c": "b", "d": ""})
    left.hear(Event("job_failed", key="a"))
    assert left.seconds() == 10
    left.hear(Event("job_blocked", key="b"))
    assert left.seconds() == 10


def test_the_slow_first_job_of_a_process_does_not_stand_for_the_rest() -> None:
    left = TimeLeft(dict.fromkeys("abcd", "assess"))
    for key, seconds in (("a", 60.0), ("b", 1.0), ("c", 1.0)):
        left.settle(key, seconds)
    assert left.seconds() == 1.0


def test_time_left_is_unknown_at_first_and_shared_by_workers() -> None:
    assert TimeLeft({"a": "train"}).seconds() is None
    assert TimeLeft({"a": "train", "b": "train"}, {"train": 60}, workers=2).seconds() == 60


def test_pipes_get_one_line_per_ended_job() -> None:
    stream = io.StringIO()
    plan = table([toy("a"), toy("b"), toy("c")])
    with progress_view(plan, stream=stream) as view:
        assert isinstance(view, Lines)
        view(ended("a", "job_started"))
        view(ended("a", "progress", done=1, total=2))
        view(ended("a", seconds=4.0))
        view(ended("b", "job_failed", message="ValueError: no\nmore"))
        view(ended("c", "job_present"))
    assert stream.getvalue().splitlines() == [
        "[1/3] done    a (4.0 s), about 8.0 s left",
        "[2/3] failed  b: ValueError: no, about 4.0 s left",
        "[3/3] there   c",
    ]


def test_blocked_jobs_that_follow_each_other_share_a_line() -> None:
    stream = io.StringIO()
    with progress_view(table([toy(name) for name in "abcdef"]), stream=stream) as view:
        view(ended("a", "job_failed", message="ValueError: no"))
        for name in "bcd":
            view(ended(name, "job_blocked", message="blocked by a (ValueError: no)"))
        view(ended("e", "job_present"))
        view(ended("f", "job_blocked", message="blocked by a (ValueError: no)"))
    assert stream.getvalue().splitlines() == [
        "[1/6] failed  a: ValueError: no",
        "[4/6] blocked 3 jobs, by 1 that failed; the first is b: blocked by a (ValueError: no)",
        "[5/6] there   e",
        "[6/6] blocked f: blocked by a (ValueError: no)",
    ]


def test_terminals_get_bars_with_the_running_job() -> None:
    stream = Terminal()
    with progress_view(table([toy("a"), toy("b")]), stream=stream) as view:
        assert isinstance(view, Bars)
        view(ended("a", "job_started"))
        view(ended("a", "progress", done=3, total=12, what="steps [of 12]"))
        view.progress.refresh()
        assert "3/12" in stream.getvalue()
        assert "steps [of 12]" in stream.getvalue()
        view(ended("a", seconds=4.0))
        view(ended("b", "job_failed", message="ValueError: [/no] markup"))
    assert "2/2" in stream.getvalue()
    assert "failed: b: ValueError: [/no] markup" in stream.getvalue()


def failure(label: str, cause: str, message: str) -> Failure:
    return Failure(
        key="0" * 32, kind="toy", label=label, task="01-toy-000", cause=cause, message=message, log="/s/01.log"
    )


def test_the_summary_groups_failures_by_cause_and_names_log_and_next_command() -> None:
    summary = RunSummary(
        folder=Path("/s/runs/r"), total=12, done=4, present=2, seconds=75,
        failures=(
            failure("d", "blocked", "blocked by a (ValueError: no rows for openness)"),
            failure("a", "ValueError: no rows", "ValueError: no rows for openness"),
            failure("b", "out of memory", "OutOfMemoryError: 3 GiB"),
            failure("c", "out of memory", "OutOfMemoryError: 4 GiB"),
        ),
    )  # fmt: skip
    assert summary.text("traitgraph run study.yaml", "traitgraph logs study.yaml") == (
        "failed: 4 of 12 jobs done in 1 min 15 s, 2 already there, 3 failed, 1 blocked, 2 not run\n"
        "\n"
        "2 jobs: out of memory\n"
        "  b, c\n"
        "  OutOfMemoryError: 3 GiB\n"
        "  log: /s/01.log\n"
        "\n"
        "1 job: ValueError: no rows\n"
        "  a\n"
        "  ValueError: no rows for openness\n"
        "  log: /s/01.log\n"
        "\n"
        "1 job: blocked\n"
        "  d\n"
        "  blocked by a (ValueError: no rows for openness)\n"
        "\n"
        "next: traitgraph logs study.yaml b    # the whole log\n"
        "next: traitgraph run study.yaml    # after the repair: only what is missing runs"
    )
    assert summary.exit_code == 1
    key = summary.failures[2].key[:8]
    assert f"next: traitgraph logs s.yaml {key}    # " in summary.text("", "traitgraph logs s.yaml", by_key=True)


def test_a_failure_says_where_in_the_code_it_happened() -> None:
    traceback = """Traceback (most recent call last):
  File "/lib/task.py", line 3, in _run
    self._make(row)
  File "/lib/training.py", line 161, in _train
    raise ValueError("no rows")
ValueError: no rows"""
    told = failure_lines(
        "ValueError: no rows", [failure("a", "x", "no rows").model_copy(update={"traceback": traceback})]
    )
    assert told[-3:-1] == ['    File "/lib/training.py", line 161, in _train', '      raise ValueError("no rows")']


def test_a_cause_is_told_with_the_numbers_of_its_first_job() -> None:
    told = failure_lines("ValueError: all # rows", [failure("a", "x", "ValueError: all 2 rows"), failure("b", "x", "")])
    assert told[1:3] == ["2 jobs: ValueError: all 2 rows", "  a, b"]
    assert "ValueError" not in "".join(told[2:])


def test_of_many_causes_and_logs_a_few_are_told() -> None:
    many = [failure(f"job {n}", "blocked", f"blocked by {n}") for n in range(200)]
    told = failure_lines("blocked", many)
    assert told[-2:] == ["  blocked by 3", "  and 196 more"]
    assert len(told) == 8


def test_a_good_run_is_one_line() -> None:
    assert RunSummary(folder=None, total=3, done=3, seconds=2.0).text() == "3 of 3 jobs done in 2.0 s"


def test_events_survive_their_line_and_other_lines_are_no_events() -> None:
    event = ended("a", seconds=1.5, message="multi\nline \N{GREEK SMALL LETTER ALPHA}")
    assert Event.from_line(event.to_line()) == event
    assert "\n" not in event.to_line()
    for line in ("", "loading 100%", "[1, 2]", '{"event": "party"}', b"\xff\xfe", '{"event": "progress", "new": 1}'):
        assert Event.from_line(line) in (None, Event("progress"))


def test_progress_is_thinned_but_its_end_is_told(tmp_path: Path) -> None:
    with (tmp_path / "out").open("wb") as out:
        stream = EventStream(out.fileno())
        for done in range(1, 1001):
            stream(ended("a", "progress", done=done, total=1000))
    lines = (tmp_path / "out").read_text().splitlines()
    assert len(lines) < 100
    assert '"done": 1000' in lines[-1]
