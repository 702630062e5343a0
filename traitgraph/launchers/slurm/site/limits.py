"""What a site allows: read once before a submission, so that a spec that cannot run is refused with its reason.

How many jobs this user may have in the queue, and for how long, is set by the QoS and association that tasks use.
SLURM takes the first that sets a limit: the QoS of the partition, the QoS of the job, the association. A QoS that no
task asks for says nothing.
"""

from __future__ import annotations

import math
import re
from collections.abc import Iterable, Iterator, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass, field, replace
from getpass import getuser

from traitgraph.specs.study.cluster import Cluster, Resources

from .scheduler import SchedulerError, call, minutes_of, read_config

DEFAULT_ARRAY_SIZE = 1001  # SLURM's own default of MaxArraySize

FEWEST = 3
"""Places that a refill needs: one for a task, one for the continuation, and one for the next one, which it submits."""
ENFORCED = frozenset({"limits", "safe", "all"})
"""Words of AccountingStorageEnforce under which limits bind."""

Place = tuple[str | None, str | None, str | None]
"""Partition, account and QoS that a task asks for: what decides which limits bind it."""


def place_of(asked: Resources) -> Place:
    """Where tasks with these resources go."""
    return asked.partition, asked.account, asked.qos


@dataclass(frozen=True, slots=True)
class Wall:
    """The longest time limit that a job may have, and who says so."""

    minutes: float
    source: str


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
class Quota:
    """Jobs that may be in the queue and that may run at once, each array task counted; None: no limit is known."""

    submitted: int | None = None
    running: int | None = None
    source: str = ""
    """Who says how many may be in the queue: "QoS 'debug'"."""
    qos: str = ""
    """The QoS whose jobs alone count; empty: all of the user's jobs do."""
    walls: Mapping[Place, Wall] = field(default_factory=dict)
    """The longest time limit that QoS and association give, beside those of the partitions."""


@dataclass(frozen=True)
class Limits(Quota):
    """What a site allows this user."""

    array_size: int = DEFAULT_ARRAY_SIZE
    requeue: bool = True
    preempt_mode: str = "OFF"
    accounting: bool = False
    partitions: Mapping[str, Partition] = field(default_factory=dict)

    def partitions_of(self, asked: Resources) -> list[str]:
        """Names of the partitions that tasks with these resources may go to, known or not."""
        if asked.partition:
            return asked.partition.split(",")
        return [each.name for each in self.partitions.values() if each.is_default]

    def known_partitions(self, asked: Resources) -> list[Partition]:
        """Those of them that there are."""
        return [self.partitions[name] for name in self.partitions_of(asked) if name in self.partitions]

    def longest(self, asked: Resources) -> float | None:
        """The longest time limit of such tasks; None: none is known. [minutes]"""
        known = [partition.minutes for partition in self.known_partitions(asked)]
        if wall := self.walls.get(place_of(asked)):
            known.append(wall.minutes)
        return min((minutes for minutes in known if minutes is not None), default=None)

    def most_memory(self, asked: Resources) -> float:
        """The memory that every partition of such tasks can give on nodes with their GPUs; else infinite. [GiB]"""
        slim = asked.model_copy(update={"memory_gb": None})
        fitting = [[s.memory_gb for s in each.shapes if s.fits(slim)] for each in self.known_partitions(asked)]
        return min((max(sizes) for sizes in fitting if sizes), default=math.inf)


def read_limits(cluster: Cluster, asked: Iterable[Resources]) -> Limits:
    """The site's limits for tasks that ask for these resources; the cluster file's own word wins.

    Raises SchedulerError when SLURM does not answer.
    """
    config = read_config()
    return Limits(
        **vars(read_quota(cluster, asked)),
        array_size=cluster.limits.array_size or int(config.get("MaxArraySize", str(DEFAULT_ARRAY_SIZE))),
        requeue=config.get("JobRequeue", "1") == "1",
        preempt_mode=config.get("PreemptMode", "OFF"),
        accounting="none" not in config.get("AccountingStorageType", "none").rpartition("/")[2],
        partitions=read_partitions(),
    )


def read_partitions() -> dict[str, Partition]:
    """Every partition that this user sees, by name."""
    found: dict[str, Partition] = {}
    for line in call("sinfo", "-h", "-e", "-o", "%P|%a|%l|%s|%D|%c|%m|%G").splitlines():
        label, state, limit, size, count, cpus, memory, gres = line.split("|", 7)
        name = label.rstrip("*")
        before = found.get(name)
        shape = NodeShape(_number(cpus), _number(memory) / 1024, *gpus_of(gres), _number(count))
        shapes = (*(before.shapes if before else ()), shape)
        most = _number(size.rpartition("-")[2]) or None
        found[name] = Partition(name, label.endswith("*"), minutes_of(limit), shapes, state, most)
    return found


def _number(text: str) -> int:
    digits = re.match(r"\d+", text)
    return int(digits.group()) if digits else 0


def gpus_of(gres: str) -> tuple[int, tuple[str, ...]]:
    """Number of GPUs and their types of '(null)', 'gpu:2', 'gpu:a100:4(S:0-1),gpu:1g.10gb:7'."""
    parts = [part.split(":") for part in re.sub(r"\([^)]*\)", "", gres).split(",") if part.startswith("gpu")]
    return sum(_number(part[-1]) for part in parts), tuple(sorted({part[1] for part in parts if len(part) == 3}))


# ---------------------------------------------------------------- jobs in the queue, and their time


def read_quota(cluster: Cluster, asked: Iterable[Resources], otherwise: int | None = None) -> Quota:
    """The least that any of the resources asked for may have; the cluster file's own word wins.

    `otherwise` is taken where the accounting does not answer, as on the compute nodes of some sites. Raises
    SchedulerError when the controller does not answer.
    """
    config = read_config()
    most = int(config.get("MaxJobCount", "10000")) * 4 // 5
    found = [Quota(most, None, "MaxJobCount of the controller")]
    if ENFORCED.intersection(config.get("AccountingStorageEnforce", "").lower().split(",")):
        try:
            found += _read_accounting(config.get("ClusterName", ""), set(asked))
        except SchedulerError:
            found.append(Quota(otherwise, None, "the site"))
    least = min((each for each in found if each.submitted is not None), key=lambda each: each.submitted or 0)
    running = min((each.running for each in found if each.running is not None), default=None)
    walls: dict[Place, Wall] = {}
    for place, wall in (pair for each in found for pair in each.walls.items()):
        # The shortest of each place: a task that may go to several partitions must fit all of them.
        walls[place] = min(wall, walls.get(place, wall), key=lambda each: each.minutes)
    if cluster.limits.submitted is not None:
        return Quota(cluster.limits.submitted, running, "`limits` of the cluster file", walls=walls)
    return replace(least, running=running, walls=walls)


@dataclass(frozen=True, slots=True)
class _Rule:
    """The limits that one QoS or association sets."""

    source: str
    submitted: int | None
    of_group: int | None
    running: int | None
    minutes: float | None
    qos: str = ""


@dataclass(frozen=True, slots=True)
class _Association:
    account: str
    partition: str
    qos: str
    rule: _Rule


def _read_accounting(cluster: str, asked: Iterable[Resources]) -> list[Quota]:
    """What the accounting allows each of the resources asked for."""
    table = _table("show", "qos", "format=Name,MaxSubmitPU,GrpSubmit,MaxJobsPU,MaxWall")
    qos = {name: _rule(f"QoS '{name}'", limits, name) for name, *limits in table}
    associations, account = _read_associations(cluster)
    partitions = _partition_qos()
    default = [name for name, (is_default, _) in partitions.items() if is_default]
    found: list[Quota] = []
    for each in asked:
        for name in each.partition.split(",") if each.partition else default:
            of_account = [known for known in associations if known.account == (each.account or account)]
            fitting = [known for known in of_account if known.partition in ("", name)]
            # SLURM takes an association of this partition before the general one.
            association = max(fitting, key=lambda known: known.partition, default=None)
            names = [partitions.get(name, (False, ""))[1], each.qos or (association.qos if association else "")]
            rules = [qos[known] for known in names if known in qos] + ([association.rule] if association else [])
            found += _quotas(rules, place_of(each))
    return found


def _quotas(rules: Sequence[_Rule], place: Place) -> Iterator[Quota]:
    """The first word on each limit."""

    def first(limit: str) -> _Rule | None:
        return next((rule for rule in rules if getattr(rule, limit) is not None), None)

    if running := first("running"):
        yield Quota(running=running.running)
    if own := first("submitted"):
        yield Quota(own.submitted, source=own.source, qos=own.qos)
    if group := first("of_group"):
        yield Quota(group.of_group, source=group.source, qos=group.qos)
    if (longest := first("minutes")) and longest.minutes is not None:
        yield Quota(walls={place: Wall(longest.minutes, longest.source)})


def _read_associations(cluster: str) -> tuple[list[_Association], str]:
    """This user's associations on this cluster, and his default account."""
    fields = "Cluster,DefaultAccount,Account,Partition,DefaultQOS,QOS,MaxSubmit,GrpSubmit,MaxJobs,MaxWall"
    found, default = [], ""
    for where, first, account, partition, default_qos, qos, *limits in _table(
        "show", "user", getuser(), "withassoc", f"format={fields}"
    ):
        if cluster and where != cluster:
            continue
        default = first
        used = default_qos or (qos if "," not in qos else "") or "normal"  # SLURM's own order
        found.append(_Association(account, partition, used, _rule(f"your association with '{account}'", limits)))
    return found, default


def _table(*words: str) -> list[list[str]]:
    return [line.split("|") for line in call("sacctmgr", "-n", "-P", *words, seconds=30).splitlines() if line]


def _rule(source: str, limits: Sequence[str], qos: str = "") -> _Rule:
    *counts, longest = limits
    submitted, group, running = (int(value) if value.isdigit() else None for value in counts)
    return _Rule(source, submitted, group, running, minutes_of(longest), qos)


def _partition_qos() -> Mapping[str, tuple[bool, str]]:
    """Partition -> whether it is the default one, and its QoS."""
    found = {}
    for line in call("scontrol", "--oneliner", "show", "partition").splitlines():
        pairs = dict(word.split("=", 1) for word in line.split() if "=" in word)
        with suppress(KeyError):
            found[pairs["PartitionName"]] = pairs["Default"] == "YES", pairs["QoS"]
    return found
