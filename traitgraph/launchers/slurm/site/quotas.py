"""How many jobs this user may have in the queue, and how long: the word of the QoS and association that tasks use.

SLURM takes the first that sets a limit: the QoS of the partition, the QoS of the job, the association. A QoS that no
task asks for says nothing.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass, field, replace
from getpass import getuser

from traitgraph.specs.study.cluster import Cluster, Resources

from .scheduler import SchedulerError, call, minutes_of, read_config

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
class Quota:
    """Jobs that may be in the queue and that may run at once, each array task counted; None: no limit is known."""

    submitted: int | None = None
    running: int | None = None
    source: str = ""
    """Who says how many may be in the queue: "QoS 'debug'"."""
    qos: str = ""
    """The QoS whose jobs alone count; empty: all of the user's jobs do."""
    walls: Mapping[Place, Wall] = field(default_factory=dict)


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
            found += [Quota(otherwise, None, "the site")]
    least = min((each for each in found if each.submitted is not None), key=lambda each: each.submitted or 0)
    running = min((each.running for each in found if each.running is not None), default=None)
    walls = _lowest(found)
    if cluster.limits.submitted is not None:
        return Quota(cluster.limits.submitted, running, "`limits` of the cluster file", walls=walls)
    return replace(least, running=running, walls=walls)


def _lowest(found: Iterable[Quota]) -> dict[Place, Wall]:
    """The shortest time of each place: a task that may go to several partitions must fit all of them."""
    walls: dict[Place, Wall] = {}
    for place, wall in (pair for each in found for pair in each.walls.items()):
        walls[place] = min(wall, walls.get(place, wall), key=lambda each: each.minutes)
    return walls


def _read_accounting(cluster: str, asked: Iterable[Resources]) -> list[Quota]:
    """What the accounting allows each of the resources asked for."""
    qos = _read_qos()
    associations, account = _read_associations(cluster)
    partitions = _partition_qos()
    default = [name for name, (is_default, _) in partitions.items() if is_default]
    found = []
    for each in asked:
        for name in each.partition.split(",") if each.partition else default:
            association = _association(associations, each.account or account, name)
            names = [partitions.get(name, (False, ""))[1], each.qos or (association.qos if association else "")]
            rules = [qos[known] for known in names if known in qos] + ([association.rule] if association else [])
            found += _quotas(rules, place_of(each))
    return found


def _quotas(rules: Sequence[_Rule], place: Place) -> list[Quota]:
    """The first word on each limit."""
    own = next((rule for rule in rules if rule.submitted is not None), None)
    group = next((rule for rule in rules if rule.of_group is not None), None)
    running = next((rule.running for rule in rules if rule.running is not None), None)
    longest = next((Wall(rule.minutes, rule.source) for rule in rules if rule.minutes is not None), None)
    found = [Quota(None, running, walls={place: longest} if longest else {})]
    found += [Quota(own.submitted, None, own.source, own.qos)] if own else []
    return found + ([Quota(group.of_group, None, group.source, group.qos)] if group else [])


def _read_qos() -> dict[str, _Rule]:
    lines = _table("show", "qos", "format=Name,MaxSubmitPU,GrpSubmit,MaxJobsPU,MaxWall")
    return {name: _rule(f"QoS '{name}'", limits, name) for name, *limits in lines}


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


def _association(known: Iterable[_Association], account: str, partition: str) -> _Association | None:
    """The association with an account that SLURM takes for a partition: one of its own goes before the general one."""
    fitting = [each for each in known if each.account == account and each.partition in ("", partition)]
    return max(fitting, key=lambda each: each.partition, default=None)


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
