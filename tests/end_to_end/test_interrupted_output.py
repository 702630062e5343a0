"""Commands whose reader goes away, whose disk is full, whose store may not be written, or that Ctrl-C stops."""

from __future__ import annotations

import os
import signal
import subprocess
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.runtime.store.rows import put, row
from tests.small_disk import small_disk
from traitgraph.api.planning import whole_table
from traitgraph.runtime.store.errors import DamagedArtifactError
from traitgraph.runtime.store.records import RunRecord
from traitgraph.runtime.store.store import Store
from traitgraph.specs.checks.validate import load_study
from traitgraph.specs.schema.schema import starter_spec

from .commands import command

__all__ = ["small_disk"]


@pytest.fixture
def spec(tmp_path: Path) -> Path:
    path = tmp_path / "study.yaml"
    path.write_text(starter_spec("study"), encoding="utf-8")
    return path


@pytest.fixture
def closed_pipe() -> Iterator[int]:
    """The writing end of a pipe that nobody reads."""
    reading, writing = os.pipe()
    os.close(reading)
    yield writing
    os.close(writing)


def environment(**changes: str) -> dict[str, str]:
    """As in a user's shell: output that is no terminal is buffered."""
    return {name: value for name, value in os.environ.items() if name != "PYTHONUNBUFFERED"} | changes


@pytest.mark.parametrize("words", [("plan", "study.yaml"), ("schema",), ("explain", "TG101")])
@pytest.mark.parametrize("unbuffered", ["", "1"])
def test_a_reader_that_goes_away_is_no_failure(
    words: tuple[str, ...], unbuffered: str, spec: Path, closed_pipe: int
) -> None:
    variables = environment(PYTHONUNBUFFERED=unbuffered)
    ended = subprocess.run(
        command(*words), cwd=spec.parent, stdout=closed_pipe, stderr=subprocess.PIPE, text=True, env=variables
    )
    assert (ended.returncode, "BrokenPipe" in ended.stderr) == (0, False)


def test_talk_that_nobody_hears_changes_nothing(spec: Path, closed_pipe: int) -> None:
    ended = subprocess.run(
        command("plan", "study.yaml"), cwd=spec.parent, stdout=subprocess.PIPE, stderr=closed_pipe, env=environment()
    )
    assert ended.returncode == 0
    assert ended.stdout.startswith(b"study study: 2 arms, 1 model\n")
    refused = subprocess.run(command("plan", "nowhere.yaml"), cwd=spec.parent, stderr=closed_pipe, env=environment())
    assert refused.returncode == 2


@pytest.mark.skipif(not Path("/dev/full").exists(), reason="needs a disk that is always full")
@pytest.mark.parametrize("unbuffered", ["", "1"])
def test_results_that_find_no_room_are_told(spec: Path, unbuffered: str) -> None:
    variables = environment(PYTHONUNBUFFERED=unbuffered)
    with Path("/dev/full").open("w") as full:
        ended = subprocess.run(
            command("plan", "study.yaml"),
            cwd=spec.parent,
            stdout=full,
            stderr=subprocess.PIPE,
            text=True,
            env=variables,
        )
    assert ended.returncode == 2
    assert ended.stderr.splitlines()[-1] == "traitgraph plan: No space left on device"
    assert "Traceback" not in ended.stderr


def test_a_store_that_may_not_be_written_can_be_read(spec: Path, small_disk: Path) -> None:
    """`run` says in a sentence why it cannot start; commands that only look do not mind."""
    subprocess.run(["mount", "-o", "remount,ro", str(small_disk)], check=True)
    for name, code in (("plan", 0), ("status", 0), ("results", 2), ("verify", 0), ("run", 2)):
        words = [name, *(["study.yaml"] if name != "verify" else []), "--store", str(small_disk)]
        ended = subprocess.run(command(*words), cwd=spec.parent, capture_output=True, text=True)
        assert ended.returncode == code, ended.stderr
        assert "Traceback" not in ended.stderr
    assert f"traitgraph run: cannot write to the store {small_disk}: Read-only file system" in ended.stderr


def test_what_is_damaged_in_a_store_that_may_not_be_written_is_named(small_disk: Path) -> None:
    store = Store(small_disk)
    folder = put(store, row())
    store.close()
    (folder / "result.txt").write_bytes(b"forty-two?")
    subprocess.run(["mount", "-o", "remount,ro", str(small_disk)], check=True)
    with pytest.raises(DamagedArtifactError, match=r"cannot be moved to .*: Read-only file system; remove it by hand"):
        Store(small_disk).open("vector", row().key)
    ended = subprocess.run(command("verify", "--store", str(small_disk)), capture_output=True, text=True)
    assert (ended.returncode, "Traceback" in ended.stderr) == (1, False)
    assert "1 damaged" in ended.stderr
    assert "moved to" not in ended.stderr


def test_ctrl_c_ends_following_a_log_with_a_word(spec: Path, tmp_path: Path) -> None:
    with Store(tmp_path / ".traitgraph") as store:
        RunRecord.create(store.root, whole_table(load_study(spec, []), store)).note_launcher(store.writer.token)
        following = subprocess.Popen(
            command("logs", "study.yaml", "collect", "-f"), cwd=tmp_path, stderr=subprocess.PIPE, text=True,
            preexec_fn=lambda: signal.signal(signal.SIGINT, signal.default_int_handler),
        )  # fmt: skip
        assert following.stderr is not None
        assert "has not started" in following.stderr.readline()
        following.send_signal(signal.SIGINT)
        told = following.communicate(timeout=60)[1]
        assert (following.returncode, told) == (1, "traitgraph logs: stopped\n")
