"""How a run ended, and how that is told: failures grouped by cause, their logs, and the next command."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

from traitgraph.runtime.records import BLOCKED, Failure, by_cause

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

    def text(self, again: str = "traitgraph run SPEC") -> str:
        """The end of a run for people; `again` is the command that goes on."""
        lines = [self._headline()]
        for cause, failures in by_cause(self.failures):
            lines += failure_lines(cause, failures)
        if not self.ok:
            hint = "go on" if self.stopped and not self.failures else "after the repair"
            lines.append(f"next: {again}    ({hint}: only what is missing runs)")
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
    lines = ["", f"{count}: {cause}", f"  {labels}"]
    if cause == BLOCKED:
        return [*lines, *(f"  {message}" for message in dict.fromkeys(failure.message for failure in failures))]
    lines += [f"  {line}" for line in failures[0].message.splitlines()[:6]]
    return [
        *lines,
        *(f"  log: {log}" for log in list(dict.fromkeys(failure.log for failure in failures))[:_LABELS_SHOWN]),
    ]


def duration_text(seconds: float) -> str:
    """Seconds as people say them.

    >>> duration_text(3.21), duration_text(75), duration_text(7384)
    ('3.2 s', '1 min 15 s', '2 h 3 min')
    """
    if seconds < 60:
        return f"{seconds:.1f} s"
    minutes, rest = divmod(round(seconds), 60)
    return f"{minutes} min {rest} s" if minutes < 60 else f"{minutes // 60} h {minutes % 60} min"
