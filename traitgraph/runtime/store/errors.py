"""What a store says when it cannot do what was asked, and why jobs fail; the command line tells it without a store.

Causes are short texts that failures of one cause share: what summaries group by and `retry` acts on. Knows exceptions
and exit codes; must not know who ran the job.
"""

from __future__ import annotations

import errno
import re
import signal
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from traitgraph.specs.jobs.params import JobRow

_FULL = (errno.ENOSPC, errno.EDQUOT)
_FULL_TEXTS = ("No space left on device", "Disk quota exceeded")


class HubError(OSError):
    """Something of the hub could not be read; the message begins with its name."""


class StoreError(Exception):
    """The store cannot do what was asked.

    StoreError
    +- MissingArtifactError     not there
    +- DamagedArtifactError     was there, did not verify, has been moved away
    +- OtherParametersError     there, but made with other parameters
    +- OtherVersionError        there, but written by a version of the program that this one cannot read
    +- StoreFullError           no room on the disk
    """


class MissingArtifactError(StoreError):
    """No artifact is published under this key."""


class DamagedArtifactError(StoreError):
    """An artifact did not verify; it was moved to STORE/damaged and will be built again when it is needed.

    `row` is the job that made it, when its manifest was still whole: enough to build it again.
    """

    def __init__(self, message: str, row: JobRow | None) -> None:
        super().__init__(message)
        self.row = row


class OtherParametersError(StoreError):
    """Two different jobs have the same key: a fault of the program or a store edited by hand."""


class OtherVersionError(StoreError):
    """An artifact is whole and of a form that this version does not know; it stays where it is."""


class StoreFullError(StoreError):
    """The disk or the quota is full; nothing was published."""


BLOCKED = "blocked"
"""Another job failed that this one needs."""

OUT_OF_MEMORY = "out of memory"
GPU_OUT_OF_MEMORY = "out of GPU memory"
OUT_OF_TIME = "time limit"
PREEMPTED = "preempted"


def death_cause(code: int) -> str:
    """Why a process ended, of its exit code as Python sees it; equal text for equal causes."""
    if code >= 0:
        return f"ended early (exit code {code})"
    try:
        return f"killed by signal {-code} ({signal.Signals(-code).name})"
    except ValueError:
        return f"killed by signal {-code}"


MEMORY_CAUSES = frozenset({OUT_OF_MEMORY, death_cause(-signal.SIGKILL)})
"""Causes after which a task asks for more memory; the kernel ends a process that has too much by SIGKILL."""

_CAUSES: tuple[tuple[str, str], ...] = (  # (pattern in "Type: message", cause); the first that matches
    (
        r"\bOutOfMemoryError|\b(CUDA|HIP|XPU|MPS)\b.*out of memory|CU(BLAS|DNN)_STATUS_ALLOC_FAILED",
        GPU_OUT_OF_MEMORY,  # torch's OutOfMemoryError is the device's; the host's is a MemoryError or plain text
    ),
    (r"MemoryError|out of memory|Cannot allocate memory", OUT_OF_MEMORY),
    (r"NoNumbersError", "the model computes NaN"),
    (r"DamagedArtifactError", "damaged input"),
    (r"UnknownKindError", "no runtime for a job kind"),
    (r"ModuleNotFoundError|ImportError", "a library is missing"),
    (r"OfflineModeIsEnabled|LocalEntryNotFoundError|ConnectionError|ConnectTimeout|MaxRetryError", "no network"),
    (r"GatedRepoError|401 Client Error|403 Client Error", "no access to a repository of the hub"),
    (r"RepositoryNotFoundError|RevisionNotFoundError", "unknown repository or revision on the hub"),
)


_NAMED = (
    r"\S*[/\\]\S*|\b[\w-]+\.(?:ya?ml|jsonl?|csv|gguf|safetensors|py|so)\b|[=<>~]=\s?\d[\w.]*|\bv?\d+(?:\.\d+){2,}\w*"
)
"""A path, the name of a file, a version."""


def is_disk_full(error: BaseException) -> bool:
    """Whether an error, or one that led to it, says that the disk or the quota is full (also from other languages)."""
    seen: set[int] = set()  # a chain of causes may be a ring
    each: BaseException | None = error
    while each is not None and id(each) not in seen:
        if getattr(each, "errno", None) in _FULL or any(text in str(each) for text in _FULL_TEXTS):
            return True
        seen.add(id(each))
        each = each.__cause__ or each.__context__
    return False


def cause_of(error: BaseException) -> str:
    """A short name that failures of the same cause share."""
    if is_disk_full(error):
        return "disk full"
    if isinstance(error, HubError):
        return str(error)  # which model it is, is the cause
    text = f"{type(error).__name__}: {error}"
    for pattern, cause in _CAUSES:
        if re.search(pattern, text):
            return cause
    first_line = str(error).strip().partition("\n")[0][:1000]  # what names a file or a release is slow to tell
    without_digests = re.sub(r"\b[0-9a-f]{8,}\b", "#", first_line)
    # Numbers in paths and versions stay: they say which file and which release it is. Others differ from job to job.
    particular = re.sub(rf"({_NAMED})|\d+(\.\d+)?", lambda found: found[1] or "#", without_digests)
    return f"{type(error).__name__}: {particular}"[:160].rstrip(": ")
