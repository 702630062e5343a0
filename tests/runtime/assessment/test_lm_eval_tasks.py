"""Groups, tags, filters, metrics and paths of lm-eval's tasks: what the harness's own `simple_evaluate` gives."""

from __future__ import annotations

import json
import math
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from tests.runtime.contexts import MakeContext
from traitgraph.runtime.assessment.harness_requests import TaskError
from traitgraph.runtime.assessment.job import run_benchmark
from traitgraph.runtime.assessment.measurement import Measurement, write_measurement
from traitgraph.runtime.assessment.questionnaires.item_scores import item_answers
from traitgraph.runtime.models.loading import LoadedModel
from traitgraph.specs.jobs.params import AssessParams
from traitgraph.specs.jobs.refs import FolderModel, ResolvedBenchmark
from traitgraph.specs.source.hashing import digest_path

CHOICE = """
task: {name}
tag: ours
dataset_path: json
dataset_kwargs: {{data_files: {{test: {file}}}}}
test_split: test
fewshot_split: test
output_type: multiple_choice
doc_to_text: "Q: {{{{question}}}}\\nA:"
doc_to_choice: "{{{{options}}}}"
doc_to_target: answer
metric_list: [{{metric: acc}}, {{metric: acc_norm}}{more}]
"""
WRITTEN = """
task: {name}
dataset_path: json
dataset_kwargs: {{data_files: {{test: few.jsonl}}}}
test_split: test
output_type: generate_until
doc_to_text: "Q: {{{{question}}}}\\nA:"
doc_to_target: "{{{{options[answer]}}}}"
generation_kwargs: {{until: ["\\n"], do_sample: false, max_gen_toks: 6}}
filter_list:
  - {{name: strict, filter: [{{function: regex, regex_pattern: "#### ([a-z]+)"}}, {{function: take_first}}]}}
  - name: flexible
    filter: [{{function: regex, group_select: -1, regex_pattern: "([0-9a-z]+)"}}, {{function: take_first}}]
metric_list: [{metrics}]
"""
GROUPS = {
    "macro": "{task: [few, many], aggregate_metric_list: [{metric: acc, weight_by_size: false}]}",
    "micro": "{task: [few, many], aggregate_metric_list: [{metric: acc}, {metric: acc_norm, weight_by_size: false}]}",
    "nested": "{task: [macro, {group: inner, task: [last], aggregate_metric_list: [{metric: acc}]}],"
    " aggregate_metric_list: [{metric: acc, weight_by_size: true}]}",
    "loose": "{task: [few, many]}",
    "single": "{task: [few], aggregate_metric_list: [{metric: acc}]}",
    "filters": "{task: [few, many], aggregate_metric_list: [{metric: acc, filter_list: none}, {metric: acc_norm,"
    " filter_list: [none, absent], weight_by_size: false}]}",
    "twice": "{task: [few, many], aggregate_metric_list: [{metric: acc}, {metric: acc, weight_by_size: false}]}",
    "mapping": "{task: [few, many], aggregate_metric_list: {metric: acc, weight_by_size: false}}",
    "texts": "{task: [one, two], aggregate_metric_list: [{metric: exact_match, filter_list: [strict, flexible],"
    " weight_by_size: false}, {metric: exact_match, filter_list: strict}]}",
    "found": "{task: [one, two, few], aggregate_metric_list: [{metric: exact_match}, {metric: acc}]}",
}
Run = Callable[..., Measurement]


def questions(start: int, count: int) -> str:
    words = ["ice", "rain", "paper", "night", "stone", "bread", "moon", "river"]
    rows = [
        {
            "question": f"{words[i % 8]} and {words[(3 * i + 1) % 8]} {i}",
            "options": [words[(i + j) % 8] for j in range(4)],
            "answer": (i * i + 1) % 4,
        }
        for i in range(start, start + count)
    ]
    return "".join(json.dumps(row) + "\n" for row in rows)


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """Tasks of 4, 16 and 7 questions, in two folders, and groups of them."""
    folder = tmp_path / "tasks"
    (folder / "deep").mkdir(parents=True)
    (folder / "few.jsonl").write_text(questions(0, 4))
    (folder / "many.jsonl").write_text(questions(4, 16))
    (folder / "deep" / "last.jsonl").write_text(questions(20, 7))
    for name, file in (("one", "few"), ("two", "many")):
        written = WRITTEN.format(name=name, metrics="{metric: exact_match}").replace("few.jsonl", f"{file}.jsonl")
        (folder / f"{name}.yaml").write_text(written)
    for name in ("few", "many"):
        (folder / f"{name}.yaml").write_text(CHOICE.format(name=name, file=f"{name}.jsonl", more=""))
    (folder / "deep" / "last.yaml").write_text(CHOICE.format(name="last", file="last.jsonl", more=""))
    for name, body in GROUPS.items():
        (folder / f"{name}.yaml").write_text(body.replace("{", f"{{group: {name}, ", 1))
    return folder


@pytest.fixture
def run(make_context: MakeContext, loaded: LoadedModel, model_ref: FolderModel, locations: dict[str, str]) -> Run:
    def run(folder: Path, task: str, **options: Any) -> Measurement:
        definition = digest_path(folder)
        locations[definition] = str(folder)
        benchmark = ResolvedBenchmark(kind="lm_eval", task=task, definition=definition, **options)
        context = make_context(AssessParams(model=model_ref, benchmark=benchmark))
        measured = run_benchmark(context, loaded, context_params(model_ref, benchmark))
        write_measurement(context.out, measured)  # everything can be written
        return measured

    return run


def context_params(model: FolderModel, benchmark: ResolvedBenchmark) -> AssessParams:
    return AssessParams(model=model, benchmark=benchmark)


def by_harness(loaded: LoadedModel, folder: Path, task: str, shots: int | None = None) -> dict[str, Any]:
    """The harness's own results, run from the folder in which its relative paths hold."""
    from contextlib import chdir

    from lm_eval import simple_evaluate
    from lm_eval.models.huggingface import HFLM
    from lm_eval.tasks import TaskManager

    for path in folder.glob("deep/*.jsonl"):  # the harness looks in the working folder only
        (folder / path.name).write_bytes(path.read_bytes())
    with chdir(folder):
        result = simple_evaluate(
            HFLM(pretrained=loaded.model, tokenizer=loaded.tokenizer, batch_size=1),
            tasks=[task],
            task_manager=TaskManager(include_path=str(folder), include_defaults=False),
            num_fewshot=shots,
            bootstrap_iters=10,
            apply_chat_template=True,
            fewshot_as_multiturn=True,
        )
    assert isinstance(result, dict)
    return result


def compared(measured: Measurement, results: dict[str, dict[str, Any]], asked: str, within: float = 1e-9) -> int:
    """How many figures were equal, with their standard errors; every other one fails."""
    found = {metric.metric: metric for metric in measured.metrics if metric.role == "score"}
    equal = 0
    for name, figures in results.items():
        for key, value in figures.items():
            kind, _, filter_name = key.partition(",")
            if not filter_name or kind.endswith("_stderr"):
                continue
            ours = ("" if name == asked else f"{name}.") + kind + ("" if filter_name == "none" else f".{filter_name}")
            metric = found.pop(ours)
            assert metric.value == pytest.approx(float(value), abs=within), ours
            error = figures[f"{kind}_stderr,{filter_name}"]
            assert metric.stderr == (None if error == "N/A" else pytest.approx(float(error), abs=within)), ours
            equal += 1
    assert not found, "nothing but what the harness gives"
    return equal


@pytest.mark.parametrize("group", [*GROUPS, "ours"])
def test_groups_and_tags_give_what_the_harness_gives_and_nothing_else(
    group: str, run: Run, loaded: LoadedModel, folder: Path
) -> None:
    """By size or not, nested, inline, without an aggregate: value and standard error of group, subgroup and task."""
    measured = run(folder, group)
    equal = compared(measured, by_harness(loaded, folder, group)["results"], group)
    assert (
        equal
        == {
            "macro": 5,
            "micro": 6,
            "nested": 9,
            "loose": 4,
            "single": 3,
            "ours": 6,
            "filters": 6,
            "twice": 5,
            "mapping": 5,
            "texts": 6,
            "found": 9,
        }[group]
    )


def test_a_document_that_two_tasks_ask_of_is_one_item(run: Run, folder: Path) -> None:
    """Four questions, each asked in two ways."""
    other = CHOICE.format(name="reworded", file="few.jsonl", more="").replace("Q: ", "Question: ")
    (folder / "reworded.yaml").write_text(other)
    (folder / "both.yaml").write_text("{group: both, task: [few, reworded], aggregate_metric_list: [{metric: acc}]}")
    answers = item_answers(run(folder, "both").answers, 1.0)
    assert [len(each.values) for each in answers["acc"].values()] == [2] * 4
    assert answers["few.acc"].keys() == answers["reworded.acc"].keys() == answers["acc"].keys()


def test_a_group_counts_the_guesses_as_it_counts_the_answers(run: Run, folder: Path) -> None:
    found = {metric.metric: metric.value for metric in run(folder, "macro").metrics}
    assert (found["chance"], found["few.chance"], found["few.shots"]) == (0.25, 0.25, 0)
    assert "chance" not in {metric.metric for metric in run(folder, "loose").metrics}


# ---------------------------------------------------------------- metrics

LIKELIHOODS = """
task: likelihoods
dataset_path: json
dataset_kwargs: {data_files: {test: few.jsonl}}
test_split: test
output_type: loglikelihood
doc_to_text: "{{question}}"
doc_to_target: " {{options[answer]}}"
metric_list: [{metric: perplexity}, {metric: acc}]
"""
ROLLING = LIKELIHOODS.replace("likelihoods", "rolling").replace(
    "output_type: loglikelihood", "output_type: loglikelihood_rolling"
)
CHOICES = ("acc", "acc_norm", "acc_bytes", "acc_mutual_info", "exact_match", "f1", "mcc", "brier_score", "likelihood")
TEXTS = ("exact_match", "bleu", "chrf", "chrf++", "ter", "bypass")
OF_TYPE = {
    "choices": CHOICE.format(name="choices", file="few.jsonl", more="").split("metric_list")[0],
    "texts": WRITTEN.format(name="texts", metrics="").split("filter_list")[0],
    "likelihoods": LIKELIHOODS.split("metric_list")[0],
    "rolling": ROLLING.split("metric_list")[0].replace('doc_to_text: "{{question}}"', 'doc_to_text: ""'),
}
METRICS = {
    "choices": CHOICES,
    "texts": TEXTS,
    "likelihoods": ("perplexity", "acc"),
    "rolling": ("word_perplexity", "byte_perplexity", "bits_per_byte"),
}


def test_the_lists_of_metrics_are_the_whole_registry() -> None:
    """But `acc_all`, which needs documents of one data set, and `nanmean`-like aggregations that are no metrics."""
    import lm_eval.api.metrics  # noqa: F401  # fills the registry
    from lm_eval.api.registry import metric_registry

    tested = {metric for metrics in METRICS.values() for metric in metrics}
    assert set(metric_registry.keys()) - tested == {"acc_all"}


@pytest.mark.parametrize(
    ("task", "metric"), [(task, metric) for task, metrics in METRICS.items() for metric in metrics]
)
def test_every_metric_of_the_registry_is_the_figure_of_the_harness(
    task: str, metric: str, run: Run, loaded: LoadedModel, folder: Path
) -> None:
    """What the harness itself cannot aggregate (`likelihood`) is undefined here and stops nothing."""
    text = OF_TYPE[task].replace("many.jsonl", "few.jsonl")
    if metric in ("f1", "mcc"):  # of two classes
        text = text.replace('doc_to_choice: "{{options}}"', 'doc_to_choice: "{{options[:2]}}"')
        text = text.replace("doc_to_target: answer", 'doc_to_target: "{{answer % 2}}"')
    (folder / f"{task}.yaml").write_text(text + f"metric_list: [{{metric: {metric}}}]\n")
    measured = run(folder, task)
    (found,) = [each for each in measured.metrics if each.role == "score"]
    assert (found.metric, found.n) == (metric, 4)
    if metric in ("likelihood", "bypass"):
        assert found.value is None
        return
    (figure,) = [value for key, value in by_harness(loaded, folder, task)["results"][task].items()
                 if key == f"{metric},none"]  # fmt: skip
    assert found.value == pytest.approx(float(figure), rel=1e-5, abs=1e-6)


ARRAYS = """
import numpy

def process(doc, results):
    values = numpy.array([float(result[0]) for result in results])
    return {"vector": values, "table": values.reshape(2, 2), "pair": (1, numpy.float32(0.5)), "best": values.max(),
            "named": {"a": numpy.int64(2), 3: {4, 5}}, "flag": numpy.bool_(True), "nothing": None, "text": b"raw"}

def largest(items):
    return numpy.array([max(float(numpy.max(item)) for item in items)])

def count(items):
    return len(items)
"""


def test_whatever_process_results_returns_is_kept_and_aggregated_as_the_task_says(run: Run, folder: Path) -> None:
    """Arrays of any shape, mappings and sets; a figure that is no single number is undefined, never a failed job."""
    (folder / "arrays.py").write_text(ARRAYS)
    text = OF_TYPE["choices"].replace("task: choices", "task: arrays")
    how = dict.fromkeys(("vector", "table"), "largest")
    how |= dict.fromkeys(("pair", "named", "flag", "nothing", "text"), "count")
    each = "{{metric: {}, aggregation: !function arrays.{}, higher_is_better: true}}"
    listed = ", ".join(each.format(name, function) for name, function in how.items())
    (folder / "arrays.yaml").write_text(f"{text}process_results: !function arrays.process\nmetric_list: [{listed}]\n")
    measured = run(folder, "arrays")
    found = {metric.metric: metric for metric in measured.metrics if metric.role == "score"}
    best = [max(option[0] for option in row["answers"]) for row in measured.answers]  # type: ignore[attr-defined]
    assert found["vector"].value == found["table"].value == pytest.approx(max(best))
    assert [found[name].value for name in ("pair", "named", "flag", "nothing", "text")] == [4.0] * 5
    assert found["best"].value == pytest.approx(sum(best) / 4), "averaged where the task does not say"
    assert (found["best"].higher_is_better, found["vector"].higher_is_better) == (None, True)
    values = measured.answers[0]["values"]
    assert isinstance(values, dict)
    assert values["named"] == {"a": 2, "3": [4, 5]}
    assert [len(values["vector"]), len(values["table"]), values["flag"]] == [4, 2, True]


# ---------------------------------------------------------------- filters, shots, what is kept


def written(folder: Path, name: str = "written") -> None:
    (folder / f"{name}.yaml").write_text(WRITTEN.format(name=name, metrics="{metric: exact_match}, {metric: bleu}"))


def test_the_named_filters_alone_are_reported_and_all_are_kept(run: Run, folder: Path) -> None:
    written(folder)
    everything, strict = run(folder, "written"), run(folder, "written", filters=("strict",))
    names = [metric.metric for metric in strict.metrics]
    assert names == ["exact_match.strict", "bleu.strict", "failures", "shots"]
    assert strict.metrics[0] == everything.metrics[0]
    assert {row["filter"] for row in strict.answers} == {"strict", "flexible"}
    assert [metric.filter for metric in everything.metrics[:4]] == ["strict", "strict", "flexible", "flexible"]


@pytest.mark.parametrize(
    ("task", "filters", "told"),
    [
        ("written", ("strikt",), "has no filter 'strikt'; near: strict"),
        ("few", ("strict",), "has no filter 'strict'; there are: none"),
        ("mixed", ("strict",), "task 'few' has none of the filters; it has: none"),
    ],
)
def test_a_filter_that_a_task_lacks_is_refused(
    task: str, filters: tuple[str, ...], told: str, run: Run, folder: Path
) -> None:
    written(folder)
    (folder / "mixed.yaml").write_text("{group: mixed, task: [written, few]}")
    with pytest.raises(TaskError, match=told):
        run(folder, task, filters=filters)


def test_prompts_raw_answers_and_shots_are_kept_once_a_document(run: Run, folder: Path, loaded: LoadedModel) -> None:
    written(folder)
    reference = by_harness(loaded, folder, "written")["samples"]["written"]
    rows = run(folder, "written").answers
    for row, sample in zip(rows, reference, strict=True):
        assert (row["filter"], row["shots"], row["answers"]) == (sample["filter"], 0, sample["filtered_resps"])
        if row["filter"] == "strict":
            assert (row["prompts"], row["raw"]) == ([sample["arguments"][0][0]], sample["resps"])
        else:
            assert "raw" not in row
            assert "prompts" not in row
    choices = run(folder, "few", shots=2).answers
    assert [len(row["prompts"]) for row in choices] == [1] * 4, "one for all options"  # type: ignore[arg-type]
    assert choices[0]["continuations"] == ["ice", "rain", "paper", "night"]
    assert {row["shots"] for row in choices} == {2}


@pytest.mark.parametrize(
    ("own", "asked", "used"), [(None, None, 0), (None, 2, 2), (0, 2, 0), (1, None, 1), (1, 2, 2), (2, 0, 0)]
)
def test_worked_examples_are_as_many_as_in_the_harness_and_recorded(
    own: int | None, asked: int | None, used: int, run: Run, loaded: LoadedModel, folder: Path
) -> None:
    """A task that says 0 stays there, whatever is asked."""
    text = (folder / "few.yaml").read_text()
    (folder / "few.yaml").write_text(text + (f"num_fewshot: {own}\n" if own is not None else ""))
    measured = run(folder, "few", shots=asked)
    reference = by_harness(loaded, folder, "few", shots=asked)
    assert {row["shots"] for row in measured.answers} == {used}
    assert reference["n-shot"]["few"] == used
    assert [metric.value for metric in measured.metrics if metric.metric == "shots"] == [used]
    assert [row["prompts"] for row in measured.answers] == [[s["arguments"][0][0]] for s in reference["samples"]["few"]]


@pytest.mark.parametrize("sampler", ["default", "first_n"])
def test_more_worked_examples_than_there_are_is_said_in_words(sampler: str, run: Run, folder: Path) -> None:
    """Three of four questions can be shown: none is shown its own answer."""
    with (folder / "few.yaml").open("a") as stream:
        stream.write(f"fewshot_config: {{sampler: {sampler}}}\n")
    assert run(folder, "few", shots=3).answers[0]["shots"] == 3
    with pytest.raises(TaskError, match="4 worked examples of 'few' need 5, there are 4"):
        run(folder, "few", shots=4)


def test_directions_are_the_tasks_own(run: Run, folder: Path) -> None:
    text = CHOICE.format(
        name="few", file="few.jsonl", more=", {metric: brier_score}, {metric: acc_bytes, higher_is_better: false}"
    )
    (folder / "few.yaml").write_text(text)
    found = {metric.metric: metric.higher_is_better for metric in run(folder, "few").metrics if metric.role == "score"}
    assert found == {"acc": True, "acc_norm": True, "brier_score": False, "acc_bytes": False}
    group = {metric.metric: metric.higher_is_better for metric in run(folder, "macro").metrics}
    assert (group["acc"], group["many.acc"]) == (True, True)
    assert not any(math.isnan(metric.value) for metric in run(folder, "few").metrics if metric.value is not None)


PYTHON_TASK = """
import datasets
from lm_eval.api.instance import Instance
from lm_eval.api.task import ConfigurableTask

class Mixed(ConfigurableTask):
    VERSION = 1

    def __init__(self, config=None):
        super().__init__(config={"task": "mixed_kinds", "dataset_path": "json", "test_split": "test",
                                 "dataset_kwargs": {"data_files": {"test": "few.jsonl"}, "keep_in_memory": True},
                                 "doc_to_text": "{{question}}", "doc_to_target": "{{answer}}"})

    def construct_requests(self, doc, ctx, **options):
        kept = {key: value for key, value in options.items() if key == "metadata"}
        written = Instance("generate_until", doc, (ctx, {"until": ["\\n"], "max_gen_toks": 3}), 0, **kept)
        return [written, Instance("loglikelihood", doc, (ctx, " unanswerable"), 1, **kept)]

    def process_results(self, doc, results):
        text, (loglikelihood, greedy) = results
        return {"length": len(text), "unanswerable": loglikelihood}

    def aggregation(self):
        return {"length": max}

    def higher_is_better(self):
        return {"length": False}
"""


def test_a_task_in_python_with_requests_of_two_kinds_runs_from_its_folder(
    run: Run, folder: Path, loaded: LoadedModel, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Its own code reads `few.jsonl` of the folder, from wherever one stands."""
    (folder / "mixed.py").write_text(PYTHON_TASK)
    (folder / "mixed_kinds.yaml").write_text("task: mixed_kinds\nclass: !function mixed.Mixed\n")
    (folder.parent / "elsewhere").mkdir()
    monkeypatch.chdir(folder.parent / "elsewhere")
    measured = run(folder, "mixed_kinds")
    compared(measured, by_harness(loaded, folder, "mixed_kinds")["results"], "mixed_kinds", within=2e-5)
    assert {metric.metric: metric.higher_is_better for metric in measured.metrics if metric.role == "score"} == {
        "length": False, "unanswerable": None,
    }  # fmt: skip
    assert measured.answers[0]["continuations"] == [" unanswerable"]
