"""A task of one's own is looked up in its folder when the spec is read, and nothing of the folder is executed."""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.specs.reading import faults_of, read
from traitgraph.specs.folders.task_folder import TaskFolder

SPEC = """
study: s
model: a/b
method: direct
benchmarks: {{kind: lm_eval, task: {task}, folder: {folder}}}
"""


@pytest.fixture
def tasks(tmp_path: Path) -> Path:
    folder = tmp_path / "tasks"
    (folder / "deep").mkdir(parents=True)
    (folder / "shared_yaml").write_text("tag: [ours]\ntask: never_seen\n")
    (folder / "one.yaml").write_text("include: shared_yaml\ntask: one\nprocess_docs: !function evil.run\n")
    (folder / "many.yaml").write_text("task: [not, a, task]\n")
    (folder / "evil.py").write_text("raise SystemExit('executed')\n")
    (folder / "deep" / "both.yaml").write_text('"group": both\ntask: [one]\n')
    return folder


def test_names_are_those_that_the_harness_finds(tasks: Path) -> None:
    from lm_eval.tasks import TaskManager

    manager = TaskManager(include_path=str(tasks), include_defaults=False)
    folder = TaskFolder(tasks)
    assert (sorted(folder.names), folder.unreadable) == (manager.all_tasks, [])


@pytest.mark.parametrize("task", ["one", "both", "ours"])
def test_a_task_a_group_and_a_tag_are_found(task: str, tasks: Path) -> None:
    assert faults_of(SPEC.format(task=task, folder="tasks"), tasks.parent) == []


@pytest.mark.parametrize("form", ["[{{metric: acc}}, {}]", "{}"])
def test_an_entry_of_several_metrics_is_refused_since_the_harness_gives_no_figure(form: str, tasks: Path) -> None:
    from lm_eval.api.group import Group

    entries = form.format("{metric: [acc, acc_norm]}")
    listed = {"metric": ["acc", "acc_norm"]}
    group = Group.from_config({"group": "g", "task": ["one"], "aggregate_metric_list": [listed]})
    assert group.aggregate({"one": {"acc,none": 1.0, "acc_norm,none": 1.0}}).keys() == {"alias", "name", "sample_len"}

    (tasks / "deep" / "both.yaml").write_text(f"group: both\ntask: [one]\naggregate_metric_list: {entries}\n")
    (fault,) = (each for each in TaskFolder(tasks).faults_of("both") if "metric" in each.message)
    assert fault.code == "TG213"
    assert "is a list, for which the harness gives the group no figure" in fault.message
    assert fault.span is not None
    assert fault.span.line == 3


def test_a_task_that_the_folder_lacks_is_told_at_its_key_with_near_names(tasks: Path) -> None:
    _, (fault,) = read(SPEC.format(task="onne", folder="tasks"), tasks.parent)
    assert (fault.code, fault.message) == ("TG106", "the folder 'tasks' defines no lm-eval task 'onne'")
    assert fault.span is not None
    assert fault.span.text[fault.span.column - 1 :].startswith("onne")
    assert "near: one" in str(fault.hint)


@pytest.mark.parametrize(
    ("text", "why"),
    [
        ("a: [1\n", "line 1: this list has no `]`"),
        ("- task: bad\n", "it is not a mapping"),
        ("include: bad.yaml\ntask: bad\n", "bad.yaml includes itself"),
        ("include: gone\ntask: bad\n", "gone: No such file or directory"),
        ("[" * 1_000_000, "line 1: values are nested more than 64 deep"),
    ],
)
def test_a_definition_that_cannot_be_read_defines_nothing_and_is_named(text: str, why: str, tasks: Path) -> None:
    (tasks / "bad.yaml").write_text(text)
    _, (fault,) = read(SPEC.format(task="bad", folder="tasks"), tasks.parent)
    assert f"bad.yaml cannot be read: {why}" in str(fault.hint)


@pytest.mark.parametrize(
    "text",
    [
        "dataset_kwargs: words\n",
        "dataset_kwargs: [a]\ndataset_path: [json]\n",
        "dataset_kwargs: {data_files: 3, data_dir: {a: b}, revision: [x]}\ndataset_path: owner/name\n",
        "dataset_kwargs: null\ndataset_path: null\nuse_prompt: a:b\n",
        "filter_list: [a, {name: [b]}, {}]\n",
        "dataset_path: json\ndataset_kwargs: {data_files: {test: null}}\ntest_split: test\n",
        "base: &base {a: b}\nother: {<<: *base}\nmore: {<<: [*base]}\n",
    ],
)
def test_values_of_any_type_are_read_without_a_traceback(text: str, tasks: Path) -> None:
    (tasks / "odd.yaml").write_text(f"task: odd\n{text}")
    folder = TaskFolder(tasks)
    assert "odd" in folder.names
    assert folder.faults_of("odd", shots=3) == []
    assert [folder.hub_data("odd"), folder.fixed_at_zero("odd")][1] == []
    folder.filters_of("odd")


@pytest.mark.parametrize(
    "text", ["a: &a [*a]\n", "".join(f"a{i}: &a{i} [{f'*a{i - 1}, ' * 9}x]\n" for i in range(1, 9))]
)
def test_anchors_without_an_end_are_named(text: str, tasks: Path) -> None:
    (tasks / "bad.yaml").write_text("task: bad\n" + text.replace("*a0, ", ""))
    (line,) = TaskFolder(tasks).unreadable
    assert line == "bad.yaml cannot be read: its anchors contain themselves, or come to too many values"


def test_a_file_in_the_place_of_the_folder_is_refused(tasks: Path) -> None:
    (fault,) = faults_of(SPEC.format(task="one", folder="tasks/one.yaml"), tasks.parent)
    assert fault == "TG108 benchmarks.folder: 'tasks/one.yaml' is a file, a folder is wanted"


@pytest.mark.parametrize(
    "text",
    [
        "test_split: [a]\ndataset_path: json\ndataset_kwargs: {data_files: {test: x.jsonl}}\n",
        f"dataset_path: {'a' * 300}\n",
        f"process_docs: !function {'a' * 300}.run\n",
        'process_docs: !function "a\\0b.run"\n',
        'dataset_path: json\ndataset_kwargs: {data_dir: "a\\0*"}\n',
    ],
)
def test_names_that_no_file_system_takes_are_told_without_a_traceback(text: str, tasks: Path) -> None:
    (tasks / "odd.yaml").write_text(f"task: odd\n{text}")
    folder = TaskFolder(tasks)
    assert "odd" in folder.names
    folder.faults_of("odd", shots=3)
    folder.hub_data("odd")


@pytest.mark.parametrize("text", ["? [a, b]\n: c\n", f"include: {'a' * 300}\n", 'include: "a\\0"\n', "#" * 4_000_001])
def test_a_definition_that_only_half_could_be_read_is_named(text: str, tasks: Path) -> None:
    (tasks / "odd.yaml").write_text(f"task: odd\n{text}")
    folder = TaskFolder(tasks)
    assert "odd" not in folder.names
    assert len(folder.unreadable) == 1


def test_a_folder_outside_is_refused_before_all_that_it_holds_is_looked_at(tasks: Path) -> None:
    """A walk over a whole disk takes minutes."""
    (tasks / "odd.yaml").write_text("task: odd\ndataset_path: json\ndataset_kwargs: {data_dir: /}\n")
    (fault,) = TaskFolder(tasks).faults_of("odd")
    assert fault.message == "/: it lies outside of the task folder"


def test_a_definition_that_changes_is_read_again(tasks: Path) -> None:
    assert "one" in TaskFolder(tasks).names
    (tasks / "one.yaml").write_text("include: shared_yaml\ntask: other\n")
    assert "one" not in TaskFolder(tasks).names


def test_a_data_folder_beside_a_definition_is_no_data_set_of_the_hub(tasks: Path) -> None:
    (tasks / "deep" / "rows").mkdir()
    (tasks / "deep" / "odd.yaml").write_text("task: odd\ndataset_path: rows\n")
    assert TaskFolder(tasks).hub_data("odd") == []
