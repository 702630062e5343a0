"""Whatever a task folder names is read from that folder, wherever one stands, and nothing outside of it is."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path

import pytest

from tests.runtime.contexts import MakeContext
from traitgraph.cli.main import main
from traitgraph.runtime.assessment.harness_requests import TaskError
from traitgraph.runtime.assessment.job import run_benchmark
from traitgraph.runtime.assessment.measurement import Measurement
from traitgraph.runtime.data.data_files import DataError
from traitgraph.runtime.models.loading import LoadedModel
from traitgraph.specs.folders.harness_tasks import harness_identity
from traitgraph.specs.jobs.params import AssessParams
from traitgraph.specs.jobs.refs import FolderModel, ResolvedBenchmark
from traitgraph.specs.source.hashing import digest_path

TASK = """task: {name}
test_split: {split}
output_type: multiple_choice
doc_to_text: "{{{{question}}}}"
doc_to_choice: [wet, dry]
doc_to_target: answer
metric_list: [{{metric: acc}}]
{data}
"""
Run = Callable[..., Measurement]


def rows(name: str) -> str:
    return "".join(json.dumps({"question": f"{name} {i}", "answer": i % 2}) + "\n" for i in range(3))


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """A folder with data at three depths; the working folder and the folder above hold files of the same names."""
    folder = tmp_path / "tasks"
    for place in (folder, folder / "deep", folder / "data", tmp_path, tmp_path / "elsewhere", tmp_path / "data"):
        place.mkdir(exist_ok=True, parents=True)
        (place / "test.jsonl").write_text(rows("own" if folder in (place, *place.parents) else "foreign"))
    return folder


@pytest.fixture
def run(
    make_context: MakeContext, loaded: LoadedModel, model_ref: FolderModel, locations: dict[str, str],
    monkeypatch: pytest.MonkeyPatch, folder: Path,
) -> Run:  # fmt: skip
    def run(task: str = "t") -> Measurement:
        definition = digest_path(folder)
        locations[definition] = str(folder)
        monkeypatch.chdir(folder.parent / "elsewhere")
        params = AssessParams(
            model=model_ref, benchmark=ResolvedBenchmark(kind="lm_eval", task=task, definition=definition)
        )
        return run_benchmark(make_context(params), loaded, params)

    return run


def define(folder: Path, data: str, name: str = "t", place: str = "t.yaml", split: str = "test") -> None:
    (folder / place).write_text(TASK.format(name=name, data=data, split=split))


def texts(measured: Measurement) -> set[str]:
    return {str(row["prompts"]) for row in measured.answers}


INSIDE = {
    "file": "dataset_path: json\ndataset_kwargs: {data_files: {test: test.jsonl}}",
    "list": "dataset_path: json\ndataset_kwargs: {data_files: {test: [test.jsonl]}}",
    "absolute": "dataset_path: json\ndataset_kwargs: {data_files: {test: '%s/test.jsonl'}}",
    "file address": "dataset_path: json\ndataset_kwargs: {data_files: {test: 'file://%s/test.jsonl'}}",
    "pattern": "dataset_path: json\ndataset_kwargs: {data_files: {test: 'data/t*.jsonl'}}",
    "data_dir": "dataset_path: json\ndataset_kwargs: {data_dir: data}",
    "file in data_dir": "dataset_path: json\ndataset_kwargs: {data_dir: data, data_files: {test: test.jsonl}}",
    "folder": "dataset_path: ./data",
    "folder without a dot": "dataset_path: data",
    "code": "dataset_path: json\ncustom_dataset: !function load.load",
}


@pytest.mark.parametrize("kind", INSIDE)
@pytest.mark.parametrize("asked", ["t", "group", "tag"])
def test_paths_start_at_the_task_folder_wherever_one_stands(kind: str, asked: str, folder: Path, run: Run) -> None:
    (folder / "load.py").write_text(
        "import datasets\n\ndef load(**options):\n    return datasets.load_dataset('json', data_files={'test': "
        "'test.jsonl'}, keep_in_memory=True)\n"
    )
    text = INSIDE[kind]
    define(folder, (text % folder if "%s" in text else text) + "\ntag: tag")
    (folder / "group.yaml").write_text("{group: group, task: [t]}")
    assert {text[2:5] for text in map(str, texts(run(asked)))} <= {"own", "<|i"}
    assert all("own" in text and "foreign" not in text for text in texts(run(asked)))


def test_a_definition_deeper_down_reads_what_lies_beside_it_then_what_lies_in_the_folder(
    folder: Path, run: Run
) -> None:
    (folder / "deep" / "test.jsonl").write_text(rows("deeper own"))
    (folder / "shared_yaml").write_text(TASK.format(name="base", split="test", data=""))
    files = "dataset_path: json\ndataset_kwargs: {data_files: {test: test.jsonl}}"
    (folder / "deep" / "t.yaml").write_text(f"include: ../shared_yaml\ntask: t\n{files}\n")
    (folder / "deep" / "u.yaml").write_text(
        f"include: ../shared_yaml\ntask: u\n{files.replace('test.jsonl', 'data/test.jsonl')}\n"
    )
    assert all("deeper own" in text for text in texts(run("t")))
    assert all("deeper own" not in text and "own" in text for text in texts(run("u")))


def test_members_that_a_group_defines_itself_read_from_the_folder_too(folder: Path, run: Run) -> None:
    define(folder, "dataset_path: json\ndataset_kwargs: {data_files: {test: gone.jsonl}}", name="base")
    (folder / "t.yaml").unlink()
    inline = TASK.format(name="inner", split="test", data=INSIDE["file"]).replace("\n", "\n    ")
    (folder / "group.yaml").write_text(f"group: group\ntask:\n  - {inline}\n")
    assert all("own" in text for text in texts(run("group")))


OUTSIDE = {
    "file above": ("data_files: {test: ../test.jsonl}", 9, "../test.jsonl: it lies outside"),
    "absolute": ("data_files: {test: '%s/test.jsonl'}", 9, "it lies outside"),
    "file address": ("data_files: {test: 'file://%s/test.jsonl'}", 9, "it lies outside"),
    "archive": ("data_files: {test: 'zip://x.jsonl::%s/test.jsonl'}", 9, "it lies outside"),
    "pattern": ("data_files: {test: '../t*.jsonl'}", 9, "it lies outside"),
    "data_dir": ("data_dir: ../data", 9, "../data: it lies outside"),
    "link": ("data_files: {test: link.jsonl}", 9, "link.jsonl: it lies outside"),
    "link inside a folder": ("data_dir: linked", 9, "linked: it lies outside"),
    "hidden": ("data_files: {test: .hidden/test.jsonl}", 9, "hidden files have no part"),
    "gone": ("data_files: {test: [test.jsonl, gone.jsonl]}", 9, "gone.jsonl: there is no such file"),
}


@pytest.mark.parametrize("kind", OUTSIDE)
@pytest.mark.parametrize("asked", ["t", "group", "tag"])
def test_a_file_outside_of_the_folder_is_refused_at_its_line(
    kind: str, asked: str, folder: Path, run: Run, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """By `check` with file and line, and by the worker, whoever planned."""
    (folder / "link.jsonl").symlink_to(tmp_path / "test.jsonl")
    (folder / "linked").mkdir()
    (folder / "linked" / "inner").symlink_to(tmp_path / "data")
    (folder / ".hidden").mkdir()
    (folder / ".hidden" / "test.jsonl").write_text(rows("own"))
    options, line, told = OUTSIDE[kind]
    options = options % tmp_path if "%s" in options else options
    define(folder, f"dataset_path: json\ndataset_kwargs: {{{options}}}\ntag: tag")
    (folder / "group.yaml").write_text("{group: group, task: [t]}")
    spec = tmp_path / "s.yaml"
    spec.write_text(
        f"study: s\nmodel: smollm2-135m\nmethod: direct\nbenchmarks: {{kind: lm_eval, task: {asked}, folder: tasks}}\n"
    )
    assert main(["check", str(spec)]) == 2
    text = capsys.readouterr().err
    assert told in text
    assert f"t.yaml:{line}:" in text
    with pytest.raises(DataError, match=told.split(": ")[-1]):
        run(asked)


@pytest.mark.parametrize(
    ("text", "told"),
    [
        ("include: ../shared_yaml\n", "../shared_yaml: it lies outside"),
        ("process_docs: !function ../helper.f\n", "helper.f: "),
        ("process_docs: !function helper.f\n", "helper.f: there is no helper.py beside the definition"),
        ("process_docs: !function os.path.join\n", "os.path.join: there is no os/path.py beside the definition"),
        ("fewshot_config: {samples: !function helper.f}\n", "helper.f: there is no helper.py"),
        ("use_prompt: ../prompts.yaml:one\n", "../prompts.yaml: it lies outside"),
        ("dataset_path: ../data\n", "../data: it lies outside"),
    ],
)
def test_includes_functions_prompts_and_data_sets_outside_are_refused(
    text: str, told: str, folder: Path, run: Run, tmp_path: Path
) -> None:
    for place in (tmp_path, tmp_path / "elsewhere"):
        (place / "helper.py").write_text("def f(docs):\n    return docs\n")
        (place / "shared_yaml").write_text("task: never\n")
        (place / "prompts.yaml").write_text("prompts: {one: {doc_to_text: x, doc_to_target: x}}\n")
    data = text if text.startswith("dataset_path") else f"{INSIDE['file']}\n{text}"
    define(folder, data)
    with pytest.raises(DataError, match=told.replace("(", r"\(")):
        run()


def test_data_of_the_hub_are_left_alone_and_named_as_not_pinned(folder: Path) -> None:
    from traitgraph.specs.folders.task_folder import TaskFolder

    define(folder, "dataset_path: owner/name\ndataset_kwargs: {data_files: {test: test/x.jsonl}}")
    define(folder, f"dataset_path: owner/pinned\ndataset_kwargs: {{revision: {'a' * 40}}}", "u", "u.yaml")
    tasks = TaskFolder(folder)
    assert (tasks.faults_of("t"), tasks.hub_data("t"), tasks.hub_data("u")) == ([], ["owner/name at main"], [])


def test_every_file_that_is_read_is_in_the_key(folder: Path) -> None:
    before = digest_path(folder)
    (folder / "data" / "test.jsonl").write_text(rows("other"))
    assert digest_path(folder) != before


def test_a_built_in_task_of_another_release_than_planned_is_refused(
    make_context: MakeContext, loaded: LoadedModel, model_ref: FolderModel
) -> None:
    here = harness_identity("arc_easy")
    assert here is not None
    params = AssessParams(
        model=model_ref, benchmark=ResolvedBenchmark(kind="lm_eval", task="arc_easy", harness="lm_eval 0.4.8 ab")
    )
    with pytest.raises(TaskError, match=f"'arc_easy' was planned with lm_eval 0.4.8 ab, here is {here}: plan again"):
        run_benchmark(make_context(params), loaded, params)


def test_a_task_of_a_folder_under_another_release_than_planned_is_refused(
    folder: Path,
    make_context: MakeContext,
    loaded: LoadedModel,
    model_ref: FolderModel,
    locations: dict[str, str],
) -> None:
    digest = digest_path(folder)
    locations[digest] = str(folder)
    params = AssessParams(
        model=model_ref,
        benchmark=ResolvedBenchmark(kind="lm_eval", task="t", definition=digest, harness="lm_eval 0.4.8"),
    )
    with pytest.raises(TaskError, match=f"'t' was planned with lm_eval 0.4.8, here is {harness_identity(None)}: plan"):
        run_benchmark(make_context(params), loaded, params)


def test_a_definition_that_is_a_link_out_of_the_folder_is_refused(folder: Path, run: Run, tmp_path: Path) -> None:
    """The harness would take its code and includes from where the link leads."""
    define(tmp_path / "elsewhere", INSIDE["file"], place="real.yaml")
    (folder / "t.yaml").symlink_to(tmp_path / "elsewhere" / "real.yaml")
    with pytest.raises(DataError, match="t: it lies outside of the task folder"):
        run()


def test_what_another_definition_of_the_folder_reads_is_no_fault_of_a_task(folder: Path, run: Run) -> None:
    define(folder, INSIDE["file"])
    define(folder, f"include: ../shared_yaml\n{OUTSIDE['file above'][0]}", "other", "other.yaml")
    (folder.parent / "shared_yaml").write_text("task: never\n")
    assert run().metrics


def test_paths_among_the_options_of_a_loader_stay_in_the_folder_too(folder: Path, run: Run) -> None:
    (folder / "load.py").write_text(
        "import datasets\n\ndef load(place, **options):\n"
        "    return datasets.load_dataset('json', data_files={'test': place}, keep_in_memory=True)\n"
    )
    data = "custom_dataset: !function load.load\ndataset_kwargs: {place: %s/test.jsonl}"
    define(folder, data % "./data")
    assert all("own" in text for text in texts(run()))
    define(folder, data % "..")
    with pytest.raises(DataError, match=r"\.\./test.jsonl: it lies outside"):
        run()
