"""What a store holds beside its artifacts and may lose: records of runs, damaged artifacts, unfinished work.

Nothing that a run in the queue, or a living process, may still read or write: what cannot be known to be over stays.
"""

from __future__ import annotations

import os
import shutil
import time
from collections.abc import Collection, Iterator, Sequence
from contextlib import suppress
from dataclasses import dataclass
from getpass import getuser
from pathlib import Path

from traitgraph.launchers.slurm.record.record import SubmissionRecord
from traitgraph.launchers.slurm.site import scheduler
from traitgraph.launchers.slurm.site.scheduler import SchedulerError
from traitgraph.runtime.store.records import RunRecord
from traitgraph.runtime.store.store import Store

from .calls import Tell, UsageError, tell_people

WHAT = {
    "runs": "records and logs of runs that are over",
    "damaged": "artifacts that were set aside",
    "partial": "unfinished work, which begins anew",
}
FRESH_SECONDS = 60.0
"""A run that begins has no sign of life for a moment."""


@dataclass(frozen=True)
class Leftover:
    """One file or folder that may go."""

    kind: str
    path: Path
    bytes: int
    reason_to_stay: str = ""
    """Why it stays after all; empty where it may go."""

    def remove(self) -> bool:
        """Remove it; False where that failed."""
        with suppress(OSError):
            if self.path.is_dir() and not self.path.is_symlink():
                shutil.rmtree(self.path)
            else:
                self.path.unlink()
        return not os.path.lexists(self.path)


def existing_store(place: Path) -> Store:
    """The store in a folder. Raises UsageError where there is no such folder."""
    if not place.is_dir():
        raise UsageError(f"there is no store at {place}")
    return Store(place)


def clean(
    place: Path,
    kinds: Collection[str] = (),
    older_than_days: float = 0.0,
    *,
    dry_run: bool = False,
    tell: Tell = tell_people,
) -> tuple[dict[str, list[int]], int]:
    """Remove leftovers of some kinds, or of all; the bytes of each that went, by kind, and how many could not go.

    A dry run removes nothing, and tells of what would go. `tell` hears what stays and why.
    """
    if unknown := set(kinds) - WHAT.keys():
        raise UsageError(f"nothing to clean is called {', '.join(sorted(unknown))}; there are: {', '.join(WHAT)}")
    store, failed = existing_store(place), 0
    gone: dict[str, list[int]] = {kind: [] for kind in WHAT if kind in (kinds or WHAT)}
    for each in leftovers(store, older_than_days):
        if each.kind not in gone:
            continue
        if each.reason_to_stay:
            tell(f"stays: {each.kind}/{each.path.name}: {each.reason_to_stay}")
        elif dry_run or each.remove():
            gone[each.kind].append(each.bytes)
        else:
            failed += 1
            tell(f"cannot be removed: {each.path}")
    if not dry_run:
        store.collect_leftovers()
    return gone, failed


def leftovers(store: Store, older_than_days: float = 0.0) -> Iterator[Leftover]:
    """Runs, damaged artifacts and unfinished work of a store that have not changed for so long."""
    found = [(kind, path) for kind in WHAT for path in sorted((store.root / kind).glob("*"))]
    now, used = time.time(), dict(_used_by_runs(store))  # asked after the look: a run that begins now is not found
    for kind, path in found:
        try:
            facts = [each.lstat() for each in (path, *path.rglob("*"))]
        except FileNotFoundError:  # a process finishes it at this moment
            continue
        if now - max(each.st_mtime for each in facts) >= older_than_days * 86400:
            stay = used.get(path.name, "") if kind != "damaged" else ""
            if kind == "partial" and store.claims.is_held(path.name):
                stay = "a process works on it"
            yield Leftover(kind, path, sum(each.st_size for each in facts), stay)


def _used_by_runs(store: Store) -> Iterator[tuple[str, str]]:
    """Names of runs that may go on, and keys of their jobs, with the reason."""
    try:
        queued = [Path(script) for _, script in scheduler.active_scripts()] if scheduler.is_available() else None
    except SchedulerError:
        queued = None
    for folder in sorted((store.root / "runs").glob("*")):
        run, keys = RunRecord(folder), []
        with suppress(OSError, ValueError):
            keys = [row.key for row in run.table().rows]
        if reason := _reason_to_stay(store, run, keys, queued):
            yield folder.name, reason
            yield from ((key, f"run {folder.name} may go on with it") for key in keys)


def _reason_to_stay(store: Store, run: RunRecord, keys: Sequence[str], queued: Sequence[Path] | None) -> str:
    submission = SubmissionRecord(run)
    with suppress(OSError, ValueError):
        if submission.exists and submission.text.user != getuser():
            return f"{submission.text.user} submitted it"
    if submission.exists and queued is None:
        return "it was submitted to SLURM, which does not answer here"
    if any(script.is_relative_to(run.folder) for script in queued or ()):
        return "it is in the queue of SLURM"
    if run.launcher and store.is_alive(run.launcher):
        return "it goes on, or its process has not been silent for long enough: look again in two minutes"
    if not run.launcher and time.time() - run.folder.stat().st_mtime < FRESH_SECONDS:
        return "it has just begun"
    return "a process works on its jobs" if any(map(store.claims.is_held, keys)) else ""
