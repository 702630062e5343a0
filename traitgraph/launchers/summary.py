"""How a run ended, and how that is told: failures grouped by cause, their logs, and the next command."""

from __future__ import annotations

import shlex
from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path

from traitgraph.runtime.store.errors import BLOCKED
from traitgraph.runtime.store.records import Failure, by_cause
from traitgraph.specs.jobs.results import duration_text

_LABELS_SHOWN = 4


@dataclass(frozen=True)
class RunSummary:
    """Counts, failures and the place of the record of one run."""

    folder: Path | None
    """STORE/runs/<run id>; None when there was nothing to run."""
    total: int
    done: int = 0
    present: int = 0
    """Jobs that another run brought into the store meanwhile."""
    failures: tuple[Failure, ...] = ()
    stopped: bool = False
    seconds: float = 0.0

    @property
    def failed(self) -> int:
        """Jobs that failed themselves."""
        return sum(failure.cause != BLOCKED for failure in self.failures)

    @property
    def blocked(self) -> int:
        """Jobs that could not start because another one failed."""
        return len(self.failures) - self.failed

    @property
    def ok(self) -> bool:
        """Whether every job of the run is in the store."""
        return not self.failures and self.done + self.present == self.total

    @property
    def exit_code(self) -> int:
        """0 when all is well, 1 otherwise."""
        return 0 if self.ok else 1

    def text(self, again: str = "traitgraph run SPEC", logs: str = "", *, by_key: bool = False) -> str:
        """The end of a run for people; `again` is the command that goes on, `logs` the one that prints a job's log.

        `by_key`: the log is asked for by the job's key, because the spec has other jobs of its label.
        """
        lines = [self._headline()]
        groups = by_cause(self.failures)
        for cause, failures in groups:
            lines += failure_lines(cause, failures)
        if groups and logs:
            first = groups[0][1][0]
            lines += ["", f"next: {logs} {first.key[:8] if by_key else shlex.quote(first.label)}    # the whole log"]
        if not self.ok:
            hint = "go on" if self.stopped and not self.failures else "after the repair"
            lines.append(f"next: {again}    # {hint}: only what is missing runs")
        return "\n".join(lines)

    def _headline(self) -> str:
        counts = [f"{self.done} of {self.total} jobs done in {duration_text(self.seconds)}"]
        counts += [f"{count} {word}" for count, word in (
            (self.present, "already there"), (self.failed, "failed"), (self.blocked, "blocked"),
            (self.total - self.done - self.present - len(self.failures), "not run"),
        ) if count > 0]  # fmt: skip
        state = "stopped: " if self.stopped else "" if self.ok else "failed: "
        return state + ", ".join(counts)


def failure_lines(cause: str, failures: list[Failure]) -> list[str]:
    """One group of failures as lines: how many, why, which jobs, the message and the logs."""
    count = f"{len(failures)} job" + ("s" if len(failures) > 1 else "")
    labels = ", ".join(failure.label for failure in failures[:_LABELS_SHOWN])
    if len(failures) > _LABELS_SHOWN:
        labels += f" and {len(failures) - _LABELS_SHOWN} more"
    message = failures[0].message.splitlines()[:6]
    title = message[0] if "#" in cause and message else cause  # numbers that differ stand as # in a cause
    lines = ["", f"{count}: {title}", f"  {labels}"]
    if cause == BLOCKED:
        return lines + _some([failure.message for failure in failures])
    lines += [f"  {line}" for line in message if line != title]
    lines += [f"  {line}" for line in _where(failures[0].traceback)]
    return lines + _some([f"log: {failure.log}" for failure in failures if failure.log])


def _some(texts: Iterable[str]) -> list[str]:
    """The first few different texts, and how many more there are."""
    different = list(dict.fromkeys(texts))
    more = [f"  and {len(different) - _LABELS_SHOWN} more"] if len(different) > _LABELS_SHOWN else []
    return [f"  {text}" for text in different[:_LABELS_SHOWN]] + more


def _where(traceback: str) -> list[str]:
    """The last frame of a traceback: file, line and function, and the line of the source."""
    lines = traceback.splitlines()
    last = max((place for place, line in enumerate(lines) if line.startswith("  File ")), default=None)
    return [] if last is None else [line for line in lines[last : last + 2] if line.startswith("  ")]
