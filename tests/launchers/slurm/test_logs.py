"""The log of a task: its end, as `status` quotes it, and following it while it grows."""

from __future__ import annotations

from pathlib import Path

import pytest

from traitgraph.launchers.slurm.record.logs import current_step, follow, last_lines
from traitgraph.runtime.worker.events import Event


def test_the_end_of_a_long_log_begins_with_a_whole_line(tmp_path: Path) -> None:
    """Events are no lines for people, and half an event is none either."""
    log = tmp_path / "task.log"
    event = Event("progress", kind="train", label="train extraversion high", done=1, total=9, what="steps").to_line()
    for shift in range(len(event) + 1):
        log.write_text("x" * shift + "\n" + f"{event}\n" * 500 + "it ended\n")
        assert last_lines(log) == ["it ended"]
    assert current_step(log) == "train extraversion high, 1 of 9 steps"


@pytest.mark.parametrize("end", [["d\n"], ["d"], ["d", ""]])
def test_a_line_that_is_being_written_is_followed_to_its_end(tmp_path: Path, end: list[str]) -> None:
    """Half an event would be no event, and printed."""
    log, pieces = tmp_path / "task.log", ["first\nsec", "on", *end]

    def is_over() -> bool:
        with log.open("a") as stream:
            stream.write(pieces.pop(0))
        return not pieces

    log.touch()
    assert list(follow(log, is_over, 0)) == ["first", "second"]


def test_a_short_log_is_quoted_whole(tmp_path: Path) -> None:
    log = tmp_path / "task.log"
    log.write_text("first\nsecond\n")
    assert last_lines(log) == ["first", "second"]
    assert last_lines(tmp_path / "none") == []
