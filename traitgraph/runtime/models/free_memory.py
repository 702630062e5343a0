"""How many bytes this process may still take: of the machine, and of the group that SLURM or a container gave it."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

_FILES = (
    ("memory.max", "memory.current", "inactive_file"),  # cgroup 2
    ("memory.limit_in_bytes", "memory.usage_in_bytes", "total_inactive_file"),  # cgroup 1
)
"""Files with the limit and the use of a group, and the entry of `memory.stat` that would be given back on demand."""


def spare_memory(proc: Path = Path("/proc"), groups: Path = Path("/sys/fs/cgroup")) -> int:
    """Bytes that could be taken without swapping and without passing a limit; 0 where the system does not say."""
    found = [_of_machine(proc / "meminfo"), *map(_of_group, _groups(proc / "self" / "cgroup", groups))]
    if found[0] is None:
        return 0
    return max(0, min(spare for spare in found if spare is not None))


def _of_machine(meminfo: Path) -> int | None:
    try:
        entries = dict(line.split(":") for line in meminfo.read_text().splitlines())
    except (OSError, ValueError):
        return None
    return int(entries["MemAvailable"].split()[0]) * 1024 if "MemAvailable" in entries else None


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


def _of_group(folder: Path) -> int | None:
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
