"""The end of a task's log, as `status` quotes it."""

from __future__ import annotations

from pathlib import Path

from traitgraph.launchers.slurm.logs import current_step, last_lines
from traitgraph.runtime.events import Event


def test_the_end_of_a_long_log_begins_with_a_whole_line(tmp_path: Path) -> None:
    """Events are no lines for people, and half an event is none either."""
    log = tmp_path / "task.log"
    event = Event("progress", kind="train", label="train extraversion high", done=1, total=9, what="steps").to_line()
    for shift in range(len(event) + 1):
        log.write_text("x" * shift + "\n" + f"{event}\n" * 500 + "it ended\n")
        assert last_lines(log) == ["it ended"]
    assert current_step(log) == "train extraversion high, 1 of 9 steps"


def test_a_short_log_is_quoted_whole(tmp_path: Path) -> None:
    log = tmp_path / "task.log"
    log.write_text("first\nsecond\n")
    assert last_lines(log) == ["first", "second"]
    assert last_lines(tmp_path / "none") == []
