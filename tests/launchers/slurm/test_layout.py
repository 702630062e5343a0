"""Tasks as job arrays: few arrays, indices that fit, and the finest edges that the graph allows."""

from __future__ import annotations

from collections.abc import Mapping

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from traitgraph.launchers.slurm.layout.layout import Edge, TaskArray, TaskRequest, lay_out
from traitgraph.launchers.slurm.layout.task_resources import Shortage, hard_parents, request_tasks
from traitgraph.launchers.slurm.site.limits import Limits, NodeShape, Partition
from traitgraph.specs.jobs.params import JobRow, JobTable, Task
from traitgraph.specs.source.hashing import digest
from traitgraph.specs.study.cluster import Cluster, Escalation, Resources, Rule

PLAIN = Resources(minutes=60, memory_gb=4, cpus=1)


def task(name: str, *after: str, hard: bool = True, resources: Resources = PLAIN, minutes: float = 0) -> TaskRequest:
    stage = name.rstrip("0123456789-")
    return TaskRequest(name, stage, resources, after, frozenset(after if hard else ()), minutes)


def shown(arrays: tuple[TaskArray, ...]) -> Mapping[str, tuple[list[str], list[str]]]:
    """Array -> its tasks, and its edges as sbatch writes them."""
    return {
        array.id: (
            list(array.tasks.values()),
            [f"{e.kind}:{e.array}" + ("" if e.element is None else f"_{e.element}") for e in array.edges],
        )
        for array in arrays
    }


def test_element_waits_for_element_where_the_graph_allows() -> None:
    found = lay_out([task("a-0"), task("a-1"), task("b-0", "a-0"), task("b-1", "a-1")], 1001)
    assert shown(found) == {"a": (["a-0", "a-1"], []), "b": (["b-0", "b-1"], ["aftercorr:a"])}


def test_two_children_of_one_element_go_to_two_arrays() -> None:
    tasks = [task("a-0"), task("a-1"), *(task(f"b-{i}", f"a-{i // 2}") for i in range(4))]
    assert shown(lay_out(tasks, 1001)) == {
        "a": (["a-0", "a-1"], []),
        "b.0": (["b-0", "b-2"], ["aftercorr:a"]),
        "b.1": (["b-1", "b-3"], ["aftercorr:a"]),
    }


def test_an_index_with_a_hole_stays_where_its_parent_stands() -> None:
    arrays = lay_out([task("a-0"), task("a-1"), task("a-2"), task("b-0", "a-0"), task("b-2", "a-2")], 1001)
    assert arrays[1].tasks == {0: "b-0", 2: "b-2"}


def test_a_collection_waits_for_whole_arrays() -> None:
    tasks = [task("a-0"), task("a-1"), task("end-0", "a-0", "a-1")]
    assert shown(lay_out(tasks, 1001))["end"] == (["end-0"], ["afterok:a"])


def test_what_needs_only_a_part_of_its_parents_waits_for_their_end_and_not_for_their_success() -> None:
    """A parent task that failed half way may have made what this one needs."""
    tasks = [task("a-0"), task("a-1"), task("b-0", "a-0", "a-1", hard=False)]
    assert shown(lay_out(tasks, 1001))["b"] == (["b-0"], ["afterany:a"])


def test_wide_fans_wait_for_the_whole_array_and_one_failure_there_stops_only_what_needs_it() -> None:
    tasks = [*(task(f"a-{i}") for i in range(10)), *(task(f"b-{i}", f"a-{i // 20}") for i in range(200))]
    assert shown(lay_out(tasks, 1001))["b"][1] == ["afterany:a"]


def test_one_task_that_does_not_need_an_array_is_enough_to_ask_for_its_end_only() -> None:
    """Five different sets of parents share one array; only the last task needs `p-4`."""
    tasks = [*(task(f"p-{i}", resources=PLAIN.model_copy(update={"cpus": i + 1})) for i in range(5))]
    tasks += [task(f"c-{i}", f"p-{i}", hard=i == 4) for i in range(5)]
    assert {edge.kind for edge in lay_out(tasks, 1001)[-1].edges} == {"afterany"}


def test_few_different_parents_are_named_one_by_one() -> None:
    tasks = [task("a-0"), task("a-1"), task("a-2"), task("b-0", "a-0", "a-1"), task("b-1", "a-0", "a-1")]
    assert shown(lay_out(tasks, 1001))["b"] == (["b-0", "b-1"], ["afterok:a_0", "afterok:a_1"])


def test_resource_shapes_do_not_share_an_array() -> None:
    large = PLAIN.model_copy(update={"memory_gb": 64})
    found = shown(lay_out([task("a-0"), task("a-1", resources=large)], 1001))
    assert found == {"a": (["a-0"], []), "a-b": (["a-1"], [])}


def test_the_limit_is_at_least_twice_the_longest_expected_task() -> None:
    short, long = lay_out([task("a-0", minutes=10), task("b-0", minutes=50)], 1001)
    assert (short.resources.minutes, long.resources.minutes) == (60, 100)


@pytest.mark.parametrize(
    ("given", "asked", "expected", "limit"),
    [
        (30, 30, 26, 30),  # twice the estimate is more than the site gives
        (10, 10, 26, 30),
        (10, 20, 1, 20),
        (10, 40, 1, 30),  # more than before, but no more than the site gives
        (40, 40, 1, 40),  # what the cluster file itself asks for is left to be refused
    ],
)
def test_no_limit_is_raised_above_what_the_site_gives(given: int, asked: int, expected: float, limit: int) -> None:
    resources = PLAIN.model_copy(update={"minutes": asked})
    each = TaskRequest("a-0", "a", resources, minutes=expected, given_minutes=given)
    (array,) = lay_out([each], 1001, lambda resources: 30.0)
    assert array.resources.minutes == limit


@st.composite
def graphs(draw: st.DrawFn) -> list[TaskRequest]:
    tasks: list[TaskRequest] = []
    for wave in range(draw(st.integers(1, 4))):
        earlier = [each.id for each in tasks]
        for number in range(draw(st.integers(1, 12))):
            after = draw(st.lists(st.sampled_from(earlier), unique=True, max_size=4)) if earlier else []
            hard = draw(st.booleans())
            tasks.append(task(f"w{wave}-{number}", *after, hard=hard))
    return tasks


def waits_for(edge: Edge, index: int, arrays: Mapping[str, TaskArray]) -> set[str]:
    if edge.kind == "aftercorr":
        return {arrays[edge.array].tasks[index]}
    if edge.element is not None:
        return {arrays[edge.array].tasks[edge.element]}
    return set(arrays[edge.array].tasks.values())


@settings(max_examples=150)
@given(graphs(), st.integers(1, 9))
def test_whatever_the_graph_each_task_stands_once_after_its_parents_and_success_is_asked_of_hard_ones_only(
    tasks: list[TaskRequest], size: int
) -> None:
    arrays = lay_out(tasks, size)
    by_id = {array.id: array for array in arrays}
    assert len(by_id) == len(arrays)
    assert sorted(name for array in arrays for name in array.tasks.values()) == sorted(each.id for each in tasks)
    known = {each.id: each for each in tasks}
    seen: set[str] = set()
    for array in arrays:
        assert all(0 <= index < size for index in array.tasks)
        assert all(edge.array in seen for edge in array.edges)
        seen.add(array.id)
        for index, name in array.tasks.items():
            waited = [(edge, waits_for(edge, index, by_id)) for edge in array.edges]
            assert set(known[name].after) <= set().union(*(names for _, names in waited), set())
            for edge, names in waited:
                if edge.kind != "afterany":
                    assert names <= known[name].hard


# ---------------------------------------------------------------- resources


def row(name: str, *inputs: str, kind: str = "train", params: dict[str, object] | None = None) -> JobRow:
    keys = tuple(digest("t", each) for each in inputs)
    return JobRow(
        key=digest("t", name),
        kind=kind,
        version=1,
        params=params or {},
        inputs={"of": keys} if keys else {},
        label=name,
    )


def test_an_edge_is_hard_when_every_job_needs_every_job_of_the_parent() -> None:
    a, b = row("a"), row("b")
    rows = (a, b, row("both", "a", "b"), row("one", "a"))
    tasks = (
        Task(id="p", jobs=(a.key, b.key)),
        Task(id="q", jobs=(rows[2].key,), after=("p",)),
        Task(id="r", jobs=(rows[3].key,), after=("p",)),
    )
    table = JobTable(study="s", locations={}, rows=rows, tasks=tasks)
    assert hard_parents(table) == {"p": frozenset(), "q": frozenset({"p"}), "r": frozenset()}


CLUSTER = Cluster(
    default=Resources(gpus=1, memory_gb=32, minutes=120),
    kinds={"collect": Resources(gpus=0, memory_gb=4, partition="cpu")},
    rules=(
        Rule(method="dpo", resources=Resources(memory_gb=64)),
        Rule(billions_from=30, resources=Resources(gpus=4)),
        Rule(billions_from=30, billions_below=80, method="dpo", resources=Resources(nodes=2)),
    ),
    escalation=Escalation(memory=2, minutes=3, memory_gb_most=100),
)


@pytest.mark.parametrize(
    ("kind", "method", "billions", "expected"),
    [
        ("train", "sft", 8.0, (1, 1, 32, None)),
        ("train", "dpo", 8.0, (1, 1, 64, None)),
        ("train", "dpo", 70.0, (2, 4, 64, None)),
        ("train", "sft", None, (1, 1, 32, None)),
        ("collect", None, None, (1, 0, 4, "cpu")),
    ],
)
def test_narrower_rules_win_and_an_unknown_size_meets_no_rule_on_size(
    kind: str, method: str | None, billions: float | None, expected: tuple[object, ...]
) -> None:
    found = CLUSTER.resources_of(kind, method, billions)
    assert (found.nodes, found.gpus, found.memory_gb, found.partition) == expected


def one_task(*rows: JobRow, billions: float | None = None) -> JobTable:
    return JobTable(
        study="s",
        locations={},
        rows=rows,
        tasks=(Task(id="01-x-000", jobs=tuple(each.key for each in rows), billions=billions),),
    )


def test_a_task_that_packs_kinds_asks_for_the_most_of_each() -> None:
    dpo = row("a", params={"training": {"method": "dpo"}})
    (shaped,) = request_tasks(one_task(dpo, row("c", kind="collect")), CLUSTER)
    assert (shaped.resources.gpus, shaped.resources.memory_gb, shaped.resources.partition) == (1, 64, None)


def test_memory_that_is_not_asked_for_is_another_thing_than_memory_left_out() -> None:
    """Also after a cluster was written down and read again."""
    silent = Cluster(
        default=Resources(memory_gb=None), kinds={"train": Resources(memory_gb=0), "merge": Resources(cpus=2)}
    )
    for cluster in (silent, Cluster.model_validate_json(silent.model_dump_json())):
        asked = [cluster.resources_of(kind, None, None).memory_gb for kind in ("assess", "merge", "train")]
        assert asked == [None, None, 0]
    assert Cluster().resources_of("assess", None, None).memory_gb == 4
    (packed,) = request_tasks(one_task(row("a"), row("b", kind="assess")), silent)
    assert packed.resources.memory_gb == 0, "a whole node is the most"


def test_only_training_takes_several_nodes() -> None:
    two = Cluster(default=Resources(nodes=2))
    tasks = [one_task(row("a")), one_task(row("b", kind="assess")), one_task(row("a"), row("b", kind="assess"))]
    assert [request_tasks(each, two)[0].resources.nodes for each in tasks] == [2, 1, 1]


def test_a_task_that_ran_out_of_something_asks_for_more_up_to_the_most_allowed() -> None:
    a = row("a")
    (twice,) = request_tasks(one_task(a), CLUSTER, {a.key: Shortage(memory=2, time=1)})
    assert (twice.resources.memory_gb, twice.resources.minutes) == (100, 360)


def test_more_is_asked_for_only_up_to_the_largest_node_with_the_gpus_of_the_task_and_the_limit_of_its_partition() -> (
    None
):
    a = row("a")
    shapes = (NodeShape(8, 90, 1, ()), NodeShape(8, 40, 2, ()), NodeShape(64, 500, 0, ()))
    site = Limits(partitions={"gpu": Partition("gpu", True, 300.0, shapes), "cpu": Partition("cpu", False, None, ())})
    (shaped,) = request_tasks(one_task(a), CLUSTER, {a.key: Shortage(memory=2, time=1)}, limits=site)
    assert (shaped.resources.memory_gb, shaped.resources.minutes) == (90, 300)
    too_much = CLUSTER.model_copy(update={"default": CLUSTER.default.model_copy(update={"memory_gb": 95})})
    (shaped,) = request_tasks(one_task(a), too_much, {a.key: Shortage(memory=1)}, limits=site)
    assert shaped.resources.memory_gb == 95  # refused with its reason: less than before is never asked for
