"""The process that a job runs in: who shares its task, memory free and taken, quiet libraries, kept generators."""

from __future__ import annotations

import os
import random
import resource
import sys
import warnings
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path


def world_size() -> int:
    """How many processes share the task, as torchrun tells each of them."""
    return int(os.environ.get("WORLD_SIZE", "1"))


def begin_to_measure() -> None:
    """Forget the peak of the GPU; that of the process cannot be forgotten."""
    torch = sys.modules.get("torch")
    if torch is not None and torch.cuda.is_available():
        torch.cuda.reset_peak_memory_stats()


def peak_memory() -> str:
    """'peak memory 1.3 GB', of this process since it began; on a GPU also its own since `begin_to_measure`."""
    per_unit = 1 if sys.platform == "darwin" else 1024
    text = f"peak memory {resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * per_unit / 1e9:.1f} GB"
    torch = sys.modules.get("torch")
    if torch is not None and torch.cuda.is_available():
        text += f", {torch.cuda.max_memory_allocated() / 1e9:.1f} GB on the GPU"
    return text


_FILES = (
    ("memory.max", "memory.current", "inactive_file"),  # cgroup 2
    ("memory.limit_in_bytes", "memory.usage_in_bytes", "total_inactive_file"),  # cgroup 1
)
"""Files with the limit and the use of a group, and the entry of `memory.stat` that would be given back on demand."""


def spare_memory(proc: Path = Path("/proc"), groups: Path = Path("/sys/fs/cgroup")) -> int:
    """Bytes that this process could take without swapping and without passing a limit; 0 where nobody says.

    The limits are those of the machine, and of the group that SLURM or a container put the process into.
    """
    try:
        entries = dict(line.split(":") for line in (proc / "meminfo").read_text().splitlines())
        of_machine = int(entries["MemAvailable"].split()[0]) * 1024
    except (OSError, ValueError, KeyError):
        return 0
    left = (_left_of_group(folder) for folder in _groups(proc / "self" / "cgroup", groups))
    return max(0, min([of_machine, *(each for each in left if each is not None)]))


def _groups(own: Path, root: Path) -> Iterator[Path]:
    """Folders of the groups that this process is in, and of those around them."""
    try:
        lines = own.read_text().splitlines()
    except OSError:
        return
    for line in lines:
        _, controllers, path = line.split(":", 2)
        if controllers in ("", "memory"):
            top = root / controllers
            folder = top / path.lstrip("/")
            yield from (each for each in (folder, *folder.parents) if each.is_relative_to(top))


def _left_of_group(folder: Path) -> int | None:
    """What is left of a group's limit; None where it has none."""
    for limit, used, cache in _FILES:
        try:
            most = (folder / limit).read_text().strip()
            if most == "max":
                return None
            entries = dict(line.split() for line in (folder / "memory.stat").read_text().splitlines())
            return int(most) - int((folder / used).read_text()) + int(entries.get(cache, 0))
        except OSError:
            continue
    return None


HARMLESS = (DeprecationWarning, PendingDeprecationWarning, FutureWarning)
"""Said to the authors of programs: what a library means to rename."""
TALKATIVE = ("lm_eval", "httpx")
"""lm_eval warns of a model that is given to it loaded, as ours always is; httpx tells every request."""


@contextmanager
def quiet_libraries() -> Iterator[None]:
    """Silence progress bars and harmless warnings inside the block: a log is for what a user can use.

    Warnings about models, data and numbers come through. Bars of `datasets` are silenced when it is imported before the
    block: it is slow to import where nobody needs it.
    """
    import logging

    from transformers.utils import logging as transformers_logging

    with ExitStack() as afterwards, warnings.catch_warnings():
        if transformers_logging.is_progress_bar_enabled():
            transformers_logging.disable_progress_bar()
            afterwards.callback(transformers_logging.enable_progress_bar)
        datasets = sys.modules.get("datasets")
        if datasets is not None and not datasets.are_progress_bars_disabled():
            datasets.disable_progress_bars()
            afterwards.callback(datasets.enable_progress_bars)
        for logger in map(logging.getLogger, TALKATIVE):
            afterwards.callback(logger.setLevel, logger.level)
            logger.setLevel(logging.ERROR)
        for category in HARMLESS:
            warnings.simplefilter("ignore", category)
        yield


@contextmanager
def randomness_kept() -> Iterator[None]:
    """Leave the process's random generators after the block as they were before it."""
    import numpy
    import torch

    plain, array = random.getstate(), numpy.random.get_state()
    with torch.random.fork_rng():
        try:
            yield
        finally:
            random.setstate(plain)
            numpy.random.set_state(array)
