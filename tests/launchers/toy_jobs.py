"""Job kinds for tests, found by the worker through a real entry point: they write, wait, fail and die on request."""

from __future__ import annotations

import os
import random
import signal
import subprocess
import sys
import time
from contextlib import suppress
from pathlib import Path
from typing import ClassVar

from traitgraph.runtime.jobs.context import JobContext, Stopped, without_torch
from traitgraph.runtime.jobs.locations import Locations, verified
from traitgraph.runtime.store.store import Store
from traitgraph.specs.study.job_kinds import JobKind, JobParams


class ToyParams(JobParams):
    kind: ClassVar[str] = "toy"
    name: str
    fail: str | None = None
    """Raise this."""
    seconds: float = 0.0
    """Write for so long."""
    die: bool = False
    """SIGKILL this process while the artifact is half written."""
    bytes: int = 0
    patient: bool = False
    """Work until the process is asked to stop, keep the state, and be done when started again."""
    reads: str | None = None
    """Open this artifact through a store, as a recipe's vectors are."""
    quiet: bool = False
    edits: str | None = None
    """Read the file of this digest, and change it afterwards, as somebody might in the meantime."""
    commit: str | None = None
    """Say that a model of the hub was read at this commit."""
    fills: str | None = None
    """Write into this file until the disk is full."""
    leaves: str | None = None
    """Start a process that outlives this one, and write its id to this file."""
    trace: str | None = None
    """Folder in which each run of the job leaves one file."""


@without_torch
def toy(context: JobContext, params: ToyParams) -> None:
    if params.trace:
        (Path(params.trace) / f"{params.name}.{time.time_ns()}.{os.getpid()}").touch()
    if not params.quiet:
        print("a stray line on standard output")
    if params.reads:
        Store(context.out.parents[1]).open("toy", params.reads)
    if params.edits:
        verified(context.locations, params.edits).write_text("edited")
    if params.commit and isinstance(context.locations, Locations):
        context.locations.commits["a/b@main"] = params.commit
    if params.patient:
        go_on(context)
    os.system("echo a stray line of a child")
    if params.fills:
        fill(Path(params.fills))
    if params.leaves:
        Path(params.leaves).write_text(str(subprocess.Popen(["sleep", "600"]).pid))
    context.progress(0, 2, "halves")
    with (context.out / "half.txt").open("w") as stream:
        stream.write("first half\n" + "x" * params.bytes)
        stream.flush()
        deadline = time.monotonic() + params.seconds
        while time.monotonic() < deadline:
            time.sleep(0.01)
        if params.die:
            os.kill(os.getpid(), signal.SIGKILL)
        if params.fail:
            raise ValueError(params.fail)
    context.progress(1, 2, "halves")
    loaded = context.session.get("loads", lambda: [0])
    loaded[0] += 1
    sources = [str((folder / "result.txt").read_text()) for folders in context.inputs.values() for folder in folders]
    (context.out / "result.txt").write_text(f"{params.name} {random.random()} {' + '.join(sources)}")
    if not params.quiet:
        print(f"loads {loaded[0]}", file=sys.stderr)


def fill(file: Path) -> None:
    with suppress(OSError), file.open("wb", buffering=0) as stream:
        while True:
            stream.write(b"\0" * 4096)


def go_on(context: JobContext) -> None:
    assert context.partial is not None
    state = context.partial / "state.txt"
    if state.exists():
        return
    while not context.stop_wanted():
        time.sleep(0.01)
    state.write_text("half way")
    raise Stopped("saved")


TOY = JobKind("toy", "toy_jobs:ToyParams", "toy_jobs:toy", "one line")
GONE = JobKind("gone", "toy_jobs:ToyParams", "toy_jobs:nothing", "nothing: its function is not there")
