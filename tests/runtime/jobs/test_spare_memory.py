"""What a process may still take is the least of what the machine, its group and the groups around it leave."""

from __future__ import annotations

from pathlib import Path

import pytest

from traitgraph.runtime.jobs.process import spare_memory

MIB = 1 << 20


@pytest.fixture
def machine(tmp_path: Path) -> Path:
    """1000 MiB to spare, and no groups."""
    (tmp_path / "proc" / "self").mkdir(parents=True)
    (tmp_path / "proc" / "meminfo").write_text(f"MemTotal: 9 kB\nMemAvailable:   {1000 * 1024} kB\n")
    return tmp_path


def spare(machine: Path, groups: str) -> int:
    (machine / "proc" / "self" / "cgroup").write_text(groups)
    return spare_memory(machine / "proc", machine / "groups") // MIB


def group(folder: Path, files: tuple[str, str], limit: str, used: int, stat: str) -> None:
    folder.mkdir(parents=True)
    (folder / files[0]).write_text(f"{limit}\n")
    (folder / files[1]).write_text(f"{used}\n")
    (folder / "memory.stat").write_text(f"anon 1\n{stat}\n")


def test_without_a_limit_it_is_what_the_machine_has(machine: Path) -> None:
    group(machine / "groups" / "job", ("memory.max", "memory.current"), "max", 5, "inactive_file 0")
    assert spare(machine, "0::/job\n") == 1000


def test_a_limit_around_the_own_group_holds_and_cached_files_do_not_count(machine: Path) -> None:
    names = ("memory.max", "memory.current")
    group(machine / "groups" / "job", names, str(500 * MIB), 450 * MIB, f"inactive_file {100 * MIB}")
    group(machine / "groups" / "job" / "step", names, "max", 1, "inactive_file 0")
    assert spare(machine, "0::/job/step\n") == 150


def test_limits_of_the_first_kind_of_groups_are_read(machine: Path) -> None:
    names = ("memory.limit_in_bytes", "memory.usage_in_bytes")
    folder = machine / "groups" / "memory" / "slurm" / "job"
    group(folder, names, str(300 * MIB), 100 * MIB, f"total_inactive_file {50 * MIB}")
    assert spare(machine, "9:name=systemd:/\n4:memory:/slurm/job\n") == 250


def test_a_system_that_says_nothing_has_nothing_to_spare(tmp_path: Path) -> None:
    assert spare_memory(tmp_path / "proc", tmp_path / "groups") == 0
