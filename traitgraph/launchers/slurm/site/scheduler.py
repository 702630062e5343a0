"""The calls of SLURM's own commands: one line around each, with a time limit, and errors in the user's words.

Everything that this package learns from SLURM or tells it passes here. Knows no run, no task and no store.

sbatch prefers the user's variables to the options of a batch script: an exported SBATCH_JOB_NAME or SBATCH_TIMELIMIT
would undo what a script says. So no command of ours sees them. Those that name where and for whom tasks run become part
of the cluster instead: they are checked, recorded, stand in the scripts, and so hold for continuations too.
"""

from __future__ import annotations

import importlib.util
import os
import re
import shutil
import subprocess
import time
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from getpass import getuser

from traitgraph.specs.study.cluster import Cluster

PAUSES = (1.0, 4.0, 10.0)
"""Between the attempts of a submission that a busy controller did not take. [s]"""

_PASSING = re.compile(
    r"(?i)socket timed out|unable to contact|temporarily un(?:able|available)|zero bytes were transmitted|standby mode"
    r"|connection (?:refused|reset|timed out)|unexpected message received"
)

FIELDS, OPTIONS = ("partition", "account", "qos", "constraint"), ("reservation", "wckey")
"""What the user's shell may say where the cluster file is silent: SBATCH_PARTITION and so on."""
REACHING = ("SLURM_CONF", "SLURM_JWT")
"""Where the controller is, and the token by which some sites know who asks."""
COMMANDS = ("SLURM_", "SLURMD_", "SRUN_", "SALLOC_", "SBATCH_", "SQUEUE_", "SINFO_", "SACCT_", "SCANCEL_", "SCONTROL_")
"""Beginnings of variables that change what SLURM's commands do and print, or that belong to an enclosing job."""

CALL_SECONDS = 60.0  # the commands retry by themselves while a controller restarts

ACTIVE = frozenset(
    {
        "PENDING", "RUNNING", "COMPLETING", "CONFIGURING", "REQUEUED", "REQUEUE_HOLD", "REQUEUE_FED", "RESIZING",
        "SIGNALING", "STAGE_OUT", "STOPPED", "SUSPENDED", "SPECIAL_EXIT",
    }
)  # fmt: skip
"""States of a job that may still run or run again."""


class SchedulerError(Exception):
    """A command of SLURM failed, is not there, or did not answer."""


@dataclass(frozen=True, slots=True)
class QueueEntry:
    """One job, or one array task, as squeue knows it."""

    job: str
    """Id of the job or of the whole array."""
    index: int | None
    name: str
    state: str
    reason: str
    nodes: str

    @property
    def task_id(self) -> str:
        """SLURM's id of an array task, '12_3'."""
        return f"{self.job}_{self.index}"

    @property
    def is_active(self) -> bool:
        """Whether it waits or runs, now or again."""
        return self.state in ACTIVE

    @property
    def is_dead(self) -> bool:
        """Whether it waits, or was dropped after waiting, for what SLURM thinks can never happen."""
        return self.reason == "DependencyNeverSatisfied" and self.state in ("PENDING", "CANCELLED")


@dataclass(frozen=True, slots=True)
class AccountingEntry:
    """One job or array task as the accounting knows it."""

    job: str
    state: str
    nodes: str


NOT_INSTALLED = "submitit is not installed; to use SLURM: pip install 'traitgraph[slurm]'"


def is_installed() -> bool:
    """Whether the library is there by which we talk to SLURM."""
    return importlib.util.find_spec("submitit") is not None


def with_shell(cluster: Cluster, variables: Mapping[str, str]) -> Cluster:
    """The cluster, with what the user's shell sets for sbatch where the file says nothing.

    Inside a job the same variables may be the job's own: there they count for nothing.
    """
    if "SLURM_JOB_ID" in variables:
        return cluster
    said = {name: variables.get(f"SBATCH_{name.upper()}") for name in (*FIELDS, *OPTIONS)}
    fields = {name: said[name] for name in FIELDS if said[name] and not getattr(cluster, name)}
    options = {name: said[name] for name in OPTIONS if said[name]}
    return cluster.model_copy(update={**fields, "options": {**options, **cluster.options}})


def bare_environment() -> dict[str, str]:
    """Our environment without what a shell or an enclosing job would tell SLURM's commands, but for how to reach it."""
    from submitit.helpers import clean_env

    with clean_env():
        inside = {name: value for name, value in os.environ.items() if not name.startswith(COMMANDS)}
    return {**inside, **{name: os.environ[name] for name in REACHING if name in os.environ}}


def call(*words: str, seconds: float = CALL_SECONDS) -> str:
    """Standard output of a command. Raises SchedulerError with the command's own reason."""
    if not is_installed():
        raise SchedulerError(NOT_INSTALLED)
    try:
        done = subprocess.run(
            words, capture_output=True, text=True, timeout=seconds, check=False, env=bare_environment()
        )
    except FileNotFoundError:
        raise SchedulerError(
            f"no {words[0]} on the PATH: this is no login node of a SLURM cluster, or a module has to be loaded"
        ) from None
    except subprocess.TimeoutExpired:
        raise SchedulerError(f"{words[0]} did not answer within {seconds:g} s; try again later") from None
    if done.returncode:
        raise SchedulerError(f"{words[0]}: {_reason(done.stderr or done.stdout) or f'exit code {done.returncode}'}")
    return done.stdout


def _reason(text: str) -> str:
    """The last thing a SLURM command said, without its name in front."""
    lines = [re.sub(r"^\w+: (error|fatal): ", "", line.strip()) for line in text.splitlines() if line.strip()]
    return next((line for line in reversed(lines) if not line.startswith("Batch job submission failed: Unspec")), "")


def read_config() -> dict[str, str]:
    """The controller's configuration by name."""
    pairs = (line.split("=", 1) for line in call("scontrol", "show", "config").splitlines() if "=" in line)
    return {name.strip(): value.strip() for name, value in pairs}


def is_available() -> bool:
    """Whether sbatch is on the PATH."""
    return shutil.which("sbatch") is not None


def sbatch(arguments: Sequence[str], unheard: Callable[[], str | None] = lambda: None) -> str:
    """Id of the job that these arguments submit, after a few attempts where the controller is only busy.

    `unheard` looks for the job of an attempt that failed: the answer may be lost of one that SLURM has taken.
    """
    for pause in PAUSES:
        try:
            return job_id(call("sbatch", "--parsable", *arguments))
        except SchedulerError as error:
            if not _PASSING.search(str(error)):
                raise
        time.sleep(pause)
        if job := unheard():
            return job
    return job_id(call("sbatch", "--parsable", *arguments))


def job_id(text: str) -> str:
    """The id in what `sbatch --parsable` printed, whatever a site's wrapper prints around it.

    >>> job_id("Welcome to the cluster of 2026\\n4711;main\\n")
    '4711'
    """
    found = re.findall(r"^\s*(\d+)(?:;\S+)?\s*$|^Submitted batch job (\d+)", text, re.MULTILINE)
    if not found:
        raise SchedulerError(f"sbatch printed no job id, but: {' '.join(text.split())[:200] or 'nothing'}")
    return "".join(found[-1])


def queue(names: Iterable[str], user: str | None = None) -> list[QueueEntry]:
    """Every job of a user with one of these names that SLURM remembers, array tasks one by one: one query.

    Without `user` it is about us.
    """
    wanted = ",".join(names)
    if not wanted:
        return []
    whose = f"--user={user or getuser()}"
    text = call("squeue", "-h", "-r", "-t", "all", whose, f"--name={wanted}", "-o", "%F|%K|%T|%r|%N|%j")
    found = []
    for line in text.splitlines():
        if line.count("|") >= 5:  # else a site's wrapper printed it
            job, index, state, reason, nodes, name = line.split("|", 5)
            found.append(QueueEntry(job, int(index) if index.isdigit() else None, name, state, reason, nodes))
    return found


def _active(what: str, *options: str) -> list[str]:
    """A line for each of this user's jobs that wait or run."""
    return call("squeue", "-h", f"--user={getuser()}", *options, "-o", what).splitlines()


def active_names() -> set[str]:
    """Names of this user's jobs that wait or run."""
    return set(_active("%j"))


def active_scripts() -> list[tuple[str, str]]:
    """Name and batch script of this user's jobs that wait or run."""
    return [(name, script) for name, _, script in (line.partition("|") for line in _active("%j|%o"))]


def active_jobs() -> set[str]:
    """Ids of this user's jobs that wait or run, an array's once."""
    return set(_active("%F"))


def count_queued(qos: str = "") -> int:
    """Jobs of this user, or only those under one QoS, that wait or run, array tasks counted one by one."""
    return len(_active("%i", "-r", *([f"--qos={qos}"] if qos else [])))


def accounting(names: Iterable[str], since: str, user: str | None = None) -> list[AccountingEntry] | None:
    """What the accounting knows of a user's jobs with these names since a local time; None where there is none.

    Without `user` it is about us.
    """
    which = [f"--user={user or getuser()}", f"--name={','.join(names)}", f"--starttime={since}"]
    try:
        text = call("sacct", "-X", "--parsable2", "-o", "JobID,State,NodeList", *which, seconds=30)
    except SchedulerError:
        return None
    from submitit.slurm.slurm import SlurmInfoWatcher

    entries: Mapping[str, Mapping[str, str]] = SlurmInfoWatcher().read_info(text)  # expands ranges of waiting tasks
    return [AccountingEntry(job, entry["State"].split(" ")[0], entry["NodeList"]) for job, entry in entries.items()]


def cancel(jobs: Iterable[str]) -> None:
    """Cancel these jobs; those that have ended are no error."""
    wanted = sorted(set(jobs))
    if wanted:
        call("scancel", "--quiet", *wanted)


def release(jobs: Iterable[str]) -> None:
    """Let held jobs go."""
    wanted = sorted(set(jobs))
    if wanted:
        call("scontrol", "release", ",".join(wanted))


def exit_code(job: str) -> int:
    """Exit code of a job that ended a moment ago; 0 when SLURM does not know it any more."""
    try:
        text = call("scontrol", "--oneliner", "show", "job", job)
    except SchedulerError:
        return 0
    found = re.search(r"\bExitCode=(\d+)", text)
    return int(found.group(1)) if found else 0


def minutes_of(limit: str) -> float | None:
    """Minutes of SLURM's 'days-hours:minutes:seconds'; None for 'infinite'.

    >>> minutes_of("1-00:00:00"), minutes_of("30:00"), minutes_of("infinite")
    (1440.0, 30.0, None)
    """
    if not limit[:1].isdigit():
        return None
    days, _, clock = limit.rpartition("-")
    hours, minutes, seconds = [0, 0, 0, *(int(part) for part in clock.split(":"))][-3:]
    return int(days or 0) * 1440 + hours * 60 + minutes + seconds / 60
