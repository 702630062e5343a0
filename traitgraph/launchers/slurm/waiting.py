"""Why tasks wait: SLURM's word for it, and what that means for the person who waits."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable

_MEANINGS = {
    "BeginTime": "its time has not come; SLURM sets one for a job that it requeues",
    "Dependency": "the tasks before them have not ended",
    "JobArrayTaskLimit": "as many run as `throttle` in the cluster file allows",
    "JobHeldAdmin": "held by an administrator, who alone can release them",
    "JobHeldUser": "held by their owner",
    "PartitionDown": "the partition takes jobs and starts none",
    "PartitionInactive": "the partition takes no jobs and starts none",
    "PartitionTimeLimit": "their time limit is above that of the partition",
    "Priority": "others are in front",
    "ReqNodeNotAvail": "nodes are down, drained or reserved, as before a maintenance",
    "Reservation": "their reservation has not begun",
    "Resources": "next in line as soon as nodes are free",
}
_LIMITS = ("Assoc", "QOS", "MaxJobs", "MaxGRES", "MaxCpu", "MaxMem", "MaxNode")


def is_held(reason: str) -> bool:
    """Whether somebody must act before a job with this reason can start."""
    return "held" in reason.lower()


def meaning_of(reason: str) -> str:
    """SLURM's reason with its meaning, where we know one.

    >>> meaning_of("Priority"), meaning_of("QOSMaxJobsPerUserLimit"), meaning_of("None")
    ('Priority: others are in front', 'QOSMaxJobsPerUserLimit: a limit of the site is reached', 'not looked at yet')
    """
    if reason in ("", "None"):
        return "not looked at yet"
    meaning = _MEANINGS.get(reason.partition(",")[0])
    if meaning is None and reason.startswith(_LIMITS):
        meaning = "a limit of the site is reached"
    return f"{reason}: {meaning}" if meaning else reason


def waiting_lines(waits: Iterable[tuple[str, str]]) -> list[str]:
    """One line per reason, the most frequent first; `waits` are (reason, job id) of tasks that wait.

    What is held comes with its job and with the call that releases it.
    """
    jobs: dict[str, list[str]] = defaultdict(list)
    for reason, job in waits:
        jobs[reason].append(job)
    return [_line(reason, found) for reason, found in sorted(jobs.items(), key=lambda each: -len(each[1]))]


def _line(reason: str, jobs: list[str]) -> str:
    many = len(jobs) != 1
    line = f"{len(jobs):,} task{'s' * many} wait{'s' * (not many)}: {meaning_of(reason)}"
    if not is_held(reason):
        return line
    arrays = ",".join(dict.fromkeys(job.partition("_")[0] for job in jobs))
    return f"{line}; scontrol release {arrays}"
