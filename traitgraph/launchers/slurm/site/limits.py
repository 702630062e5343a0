"""What a site allows: read once before a submission, so that a spec that cannot run is refused with its reason."""

from __future__ import annotations

import math
import re
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field

from traitgraph.specs.study.cluster import Cluster, Resources

from .quotas import Place, Wall, place_of, read_quota
from .scheduler import call, minutes_of, read_config

DEFAULT_ARRAY_SIZE = 1001  # SLURM's own default of MaxArraySize


@dataclass(frozen=True, slots=True)
class NodeShape:
    """One kind of node of a partition."""

    cpus: int
    memory_gb: float
    gpus: int
    gpu_types: tuple[str, ...]
    count: int = 1
    """Nodes of this kind."""

    def fits(self, asked: Resources) -> bool:
        """Whether one such node has what a task asks for on each."""
        has_type = not asked.gpus or asked.gpu_type is None or asked.gpu_type in self.gpu_types
        sizes = ((asked.gpus, self.gpus), (asked.cpus, self.cpus), (asked.memory_gb, self.memory_gb))
        return has_type and all((wanted or 0) <= most for wanted, most in sizes)


@dataclass(frozen=True, slots=True)
class Partition:
    """What one partition offers."""

    name: str
    is_default: bool
    minutes: float | None
    """Longest time limit; None: none. [minutes]"""
    shapes: tuple[NodeShape, ...]
    state: str = "up"
    most_nodes: int | None = None
    """Nodes that one job may have; None: all."""


@dataclass(frozen=True)
class Limits:
    """What a site allows this user."""

    array_size: int = DEFAULT_ARRAY_SIZE
    submitted: int | None = None
    """Jobs in the queue at once, array tasks counted one by one; None: no limit is known."""
    submitted_source: str = ""
    """Who says so."""
    running: int | None = None
    requeue: bool = True
    preempt_mode: str = "OFF"
    accounting: bool = False
    partitions: Mapping[str, Partition] = field(default_factory=dict)
    walls: Mapping[Place, Wall] = field(default_factory=dict)
    """The longest time limit that QoS and association give, beside those of the partitions."""

    def partitions_of(self, asked: Resources) -> list[str]:
        """Names of the partitions that tasks with these resources may go to, known or not."""
        if asked.partition:
            return asked.partition.split(",")
        return [each.name for each in self.partitions.values() if each.is_default]

    def longest(self, asked: Resources) -> float | None:
        """The longest time limit of such tasks; None: none is known. [minutes]"""
        known = [self.partitions[name].minutes for name in self.partitions_of(asked) if name in self.partitions]
        if wall := self.walls.get(place_of(asked)):
            known.append(wall.minutes)
        return min((minutes for minutes in known if minutes is not None), default=None)


def read_limits(cluster: Cluster, asked: Iterable[Resources]) -> Limits:
    """The site's limits for tasks that ask for these resources; the cluster file's own word wins.

    Raises SchedulerError when SLURM does not answer.
    """
    config, partitions, quota = read_config(), read_partitions(), read_quota(cluster, asked)
    return Limits(
        array_size=cluster.limits.array_size or int(config.get("MaxArraySize", str(DEFAULT_ARRAY_SIZE))),
        submitted=quota.submitted,
        submitted_source=quota.source,
        running=quota.running,
        requeue=config.get("JobRequeue", "1") == "1",
        preempt_mode=config.get("PreemptMode", "OFF"),
        accounting="none" not in config.get("AccountingStorageType", "none").rpartition("/")[2],
        partitions=partitions,
        walls=quota.walls,
    )


def read_partitions() -> dict[str, Partition]:
    """Every partition that this user sees, by name."""
    found: dict[str, Partition] = {}
    for line in call("sinfo", "-h", "-e", "-o", "%P|%a|%l|%s|%D|%c|%m|%G").splitlines():
        label, state, limit, size, count, cpus, memory, gres = line.split("|", 7)
        name = label.rstrip("*")
        before = found.get(name)
        shape = NodeShape(_number(cpus), _number(memory) / 1024, *_gpus(gres), _number(count))
        shapes = (*(before.shapes if before else ()), shape)
        most = _number(size.rpartition("-")[2]) or None
        found[name] = Partition(name, label.endswith("*"), minutes_of(limit), shapes, state, most)
    return found


def _number(text: str) -> int:
    digits = re.match(r"\d+", text)
    return int(digits.group()) if digits else 0


def _gpus(gres: str) -> tuple[int, tuple[str, ...]]:
    """Number of GPUs and their types of '(null)', 'gpu:2', 'gpu:a100:4(S:0-1),gpu:1g.10gb:7'."""
    parts = [part.split(":") for part in re.sub(r"\([^)]*\)", "", gres).split(",") if part.startswith("gpu")]
    return sum(_number(part[-1]) for part in parts), tuple(sorted({part[1] for part in parts if len(part) == 3}))


@dataclass(frozen=True, slots=True)
class Problem:
    """Something that keeps a run from being submitted: what is wrong, and how to repair it."""

    what: str
    hint: str = ""

    def __str__(self) -> str:
        return f"{self.what}\n  = {self.hint}" if self.hint else self.what


def most_of(asked: Resources, limits: Limits) -> tuple[float, float]:
    """(memory, minutes) that every partition of a task can give, on nodes with its GPUs; infinite where not known.

    [GiB], [minutes]
    """
    known = [limits.partitions[name] for name in limits.partitions_of(asked) if name in limits.partitions]
    slim = asked.model_copy(update={"memory_gb": None})
    fitting = [[s.memory_gb for s in each.shapes if s.fits(slim)] for each in known]
    memory = min((max(sizes) for sizes in fitting if sizes), default=math.inf)
    longest = limits.longest(asked)
    return memory, math.inf if longest is None else longest
