"""A job kind for tests that works in steps, keeps a checkpoint, and leaves a trace of every step that it did.

Imported by workers under the name `step_jobs` through a real entry point; knows nothing of pytest.
"""

from __future__ import annotations

import hashlib
import os
import signal
import tempfile
import time
from pathlib import Path
from typing import ClassVar

from traitgraph.runtime.jobs.context import JobContext, Stopped, without_torch
from traitgraph.specs.study.job_kinds import JobKind, JobParams


class StepsParams(JobParams):
    kind: ClassVar[str] = "steps"
    name: str
    steps: int = 1
    seconds: float = 0.0
    """Length of a step."""
    checkpoint: int = 1
    """Steps from one checkpoint to the next."""
    bytes: int = 0
    """Extra length of the artifact."""
    die_once: bool = False
    """SIGKILL this process while the artifact is half written, the first time."""
    fail: str | None = None
    """Raise this."""
    fail_once: str | None = None
    """Raise this the first time."""
    until: str | None = None
    """Hold the end back until a file of this name lies in the trace."""
    deaf_once: bool = False
    """Hang and hear no signal, the first time."""
    trace: str
    """Folder in which every step leaves a line in a file of the job's name."""


@without_torch
def steps(context: JobContext, params: StepsParams) -> None:
    """A chain of digests, one link per step, seeded by the inputs: equal however often it was interrupted."""
    begin(context, params)
    link, done = restored(context, params)
    while done < params.steps:
        if context.stop_wanted():
            save(context, link, done)
            raise Stopped("saved")
        time.sleep(params.seconds)
        link, done = hashlib.sha256(link.encode()).hexdigest(), done + 1
        if done % params.checkpoint == 0:
            save(context, link, done)
        note(params, f"step {done}")
        context.progress(done, params.steps, "steps")
    while params.until and not (Path(params.trace) / params.until).exists():
        if context.stop_wanted():
            raise Stopped("held back")
        time.sleep(0.1)
    with (context.out / "half.txt").open("w") as half:
        half.write("x" * params.bytes)
    if params.die_once and first(params, "died"):
        os.kill(os.getpid(), 9)
    (context.out / "result.txt").write_text(f"{params.name} {link}\n")


def begin(context: JobContext, params: StepsParams) -> None:
    note(params, f"start on {os.environ.get('SLURMD_NODENAME', 'here')} job {os.environ.get('SLURM_JOB_ID', '')}")
    note(params, f"temporary files in {tempfile.gettempdir()}")
    if params.fail or (params.fail_once and first(params, "failed")):
        raise ValueError(params.fail or params.fail_once)
    if params.deaf_once and first(params, "hung"):
        signal.pthread_sigmask(signal.SIG_BLOCK, [signal.SIGTERM, signal.SIGUSR2])
        time.sleep(1000)


def restored(context: JobContext, params: StepsParams) -> tuple[str, int]:
    assert context.partial is not None
    state = context.partial / "state.txt"
    if state.exists():
        link, done = state.read_text().split()
        return link, int(done)
    sources = [(folder / "result.txt").read_text() for folders in context.inputs.values() for folder in folders]
    return hashlib.sha256("".join([params.name, *sources]).encode()).hexdigest(), 0


def save(context: JobContext, link: str, done: int) -> None:
    assert context.partial is not None
    draft = context.partial / "state.new"
    draft.write_text(f"{link} {done}")
    draft.rename(context.partial / "state.txt")


def first(params: StepsParams, what: str) -> bool:
    """Whether this happens for the first time."""
    try:
        (Path(params.trace) / f"{params.name}.{what}").touch(exist_ok=False)
    except FileExistsError:
        return False
    return True


def note(params: StepsParams, text: str) -> None:
    with (Path(params.trace) / f"{params.name}.trace").open("a") as stream:
        stream.write(f"{time.time():.3f} {text}\n")


STEPS = JobKind("steps", "step_jobs:StepsParams", "step_jobs:steps", "the last link of a chain")
