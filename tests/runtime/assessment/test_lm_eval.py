"""lm-eval in process: our frozen requests and shared prefixes give what the harness's own `evaluate` gives."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from tests.runtime.contexts import MakeContext
from traitgraph.runtime.assessment.harness_requests import Rendering, TaskError, frozen_tasks, harness_model
from traitgraph.runtime.assessment.job import run_benchmark
from traitgraph.runtime.assessment.measurement import Measurement
from traitgraph.runtime.models.chat import ChatTemplateError, PromptMessage
from traitgraph.runtime.models.loading import LoadedModel
from traitgraph.specs.jobs.params import AssessParams, Prompt
from traitgraph.specs.jobs.refs import FolderModel, ResolvedBenchmark
from traitgraph.specs.source.hashing import digest_path

PERSON = "You are a person with low extraversion."
QUESTIONS = [
    {"question": "Ice in the sun", "options": ["melts", "grows a lot", "burns", "sings"], "answer": 0},
    {"question": "Rain makes you", "options": ["dry", "wet", "tall", "rich and famous"], "answer": 1},
    {"question": "Thirsty people", "options": ["sleep", "run", "drink some water", "read"], "answer": 2},
    {"question": "Paper is cut with", "options": ["a cup", "a towel", "soup", "scissors"], "answer": 3},
    {"question": "At night it is", "options": ["dark", "A", "light green", "loud"], "answer": 0},
]
CHOICE = """
task: tiny_choice
dataset_path: json
dataset_kwargs: {data_files: {test: questions.jsonl}}
test_split: test
fewshot_split: test
output_type: multiple_choice
doc_to_text: "Question: {{question}}\\nAnswer:"
doc_to_choice: "{{options}}"
doc_to_target: "{{answer}}"
metric_list: [{metric: acc, aggregation: mean, higher_is_better: true},
              {metric: acc_norm, aggregation: mean, higher_is_better: true}]
metadata: {version: 1.0}
"""
LIKELIHOOD = """
task: tiny_likelihood
dataset_path: json
dataset_kwargs: {data_files: {test: questions.jsonl}}
test_split: test
output_type: loglikelihood
doc_to_text: "{{question}}"
doc_to_target: " {{options[answer]}}"
process_results: !function scored.process
metric_list: [{metric: perplexity, aggregation: perplexity, higher_is_better: false},
              {metric: acc, aggregation: mean, higher_is_better: true}]
metadata: {version: 1.0}
"""
SCORED = """
def process(doc, results):
    loglikelihood, greedy = results[0]
    return {"perplexity": loglikelihood, "acc": float(greedy), "odds": -loglikelihood}
"""
GENERATED = """
task: tiny_generated
dataset_path: json
dataset_kwargs: {data_files: {test: questions.jsonl}}
test_split: test
output_type: generate_until
doc_to_text: "Question: {{question}}\\nAnswer:"
doc_to_target: "{{answer}}"
generation_kwargs: {until: ["\\n"], do_sample: false, max_gen_toks: 4}
filter_list:
  - name: number
    filter: [{function: regex, regex_pattern: "(999[0-9]+)"}, {function: take_first}]
metric_list: [{metric: exact_match, aggregation: mean, higher_is_better: true}]
metadata: {version: 1.0}
"""

Run = Callable[..., Measurement]


@pytest.fixture(scope="module")
def task_folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("tasks")
    (folder / "questions.jsonl").write_text("".join(json.dumps(row) + "\n" for row in QUESTIONS))
    (folder / "tiny_choice.yaml").write_text(CHOICE)
    (folder / "tiny_generated.yaml").write_text(GENERATED)
    (folder / "tiny_likelihood.yaml").write_text(LIKELIHOOD)
    (folder / "scored.py").write_text(SCORED)
    return folder


@pytest.fixture
def run(
    make_context: MakeContext,
    loaded: LoadedModel,
    model_ref: FolderModel,
    task_folder: Path,
    locations: dict[str, str],
) -> Run:
    definition = digest_path(task_folder)
    locations[definition] = str(task_folder)

    def run(task: str = "tiny_choice", system: str | None = None, **options: Any) -> Measurement:
        benchmark = ResolvedBenchmark(kind="lm_eval", task=task, definition=definition, **options)
        prompt = Prompt(system=system) if system else None
        params = AssessParams(model=model_ref, benchmark=benchmark, prompt=prompt)
        return run_benchmark(make_context(params), loaded, params)

    return run


def harness(loaded: LoadedModel, folder: Path, *, shots: int, system: str | None, chat: bool) -> dict[str, Any]:
    """The reference: the harness's own model and `evaluate`, with the seeds of its command line."""
    from lm_eval.evaluator import evaluate
    from lm_eval.models.huggingface import HFLM
    from lm_eval.tasks import TaskManager
    from lm_eval.tasks._yaml_loader import load_yaml

    config = load_yaml(folder / "tiny_choice.yaml")
    config["dataset_kwargs"] = {
        "data_files": {"test": str(folder / "questions.jsonl")},
        "cache_dir": str(folder / ".c"),
    }
    found = TaskManager(include_path=str(folder), include_defaults=False).load([config])
    task = found["tasks"]["tiny_choice"]
    task.set_config("num_fewshot", shots)
    task.set_fewshot_seed(seed=1234)
    result: dict[str, Any] = evaluate(
        HFLM(pretrained=loaded.model, tokenizer=loaded.tokenizer, batch_size=2),
        found,
        bootstrap_iters=100,
        system_instruction=system,
        apply_chat_template=chat,
        fewshot_as_multiturn=chat,
    )
    return result


@pytest.mark.parametrize("chat", [True, False], ids=["chat template", "plain"])
@pytest.mark.parametrize(("shots", "system"), [(0, None), (2, None), (1, PERSON)], ids=["bare", "shots", "prompted"])
def test_equals_the_harness(
    run: Run, loaded: LoadedModel, task_folder: Path, shots: int, system: str | None, chat: bool
) -> None:
    """Every log-likelihood to 2e-5; accuracy and its standard error exactly.

    In plain text the harness glues a system text to the question; we keep them apart as it does worked examples.
    """
    theirs_system = f"{system}\n\n" if system and not chat else system
    reference = harness(loaded, task_folder, shots=shots, system=theirs_system, chat=chat)
    measured = run(shots=shots, system=system, chat_template=chat)
    for row, sample in zip(measured.answers, reference["samples"]["tiny_choice"], strict=True):
        ours, theirs = row["answers"], sample["filtered_resps"]
        assert [a[0] for a in ours] == pytest.approx([float(t[0]) for t in theirs], abs=2e-5)  # type: ignore[attr-defined]
        assert [a[1] for a in ours] == [bool(t[1]) for t in theirs]  # type: ignore[attr-defined]
    results = reference["results"]["tiny_choice"]
    found = {metric.metric: metric for metric in measured.metrics}
    for name in ("acc", "acc_norm"):
        assert found[name].value == pytest.approx(results[f"{name},none"])
        assert found[name].stderr == pytest.approx(results[f"{name}_stderr,none"])
        assert found[name].n == len(QUESTIONS)


def test_only_means_have_a_standard_error_and_what_nothing_aggregates_is_a_mean(run: Run) -> None:
    """The values behind a perplexity are log-likelihoods; their standard error is on another scale than it."""
    measured = run("tiny_likelihood", chat_template=False)
    logliks = np.array([row["values"]["perplexity"] for row in measured.answers])  # type: ignore[index]
    found = {metric.metric: metric for metric in measured.metrics}
    assert found["perplexity"].value == pytest.approx(np.exp(-logliks.mean()))
    assert found["perplexity"].stderr is None
    assert found["odds"].value == pytest.approx(-logliks.mean())
    assert found["odds"].stderr == pytest.approx(logliks.std(ddof=1) / np.sqrt(len(logliks)))


def test_all_subjects_read_the_same_prompts_and_are_asked_anew(run: Run, loaded: LoadedModel) -> None:
    """After a change of weights the prompts (worked examples drawn once) are equal and the answers are not."""
    import torch

    first = run(shots=2)
    with torch.no_grad():
        loaded.model.model.norm.weight.mul_(1.5)
    second = run(shots=2)
    assert [row["prompt"] for row in second.answers] == [row["prompt"] for row in first.answers]
    assert [row["answers"] for row in second.answers] != [row["answers"] for row in first.answers]
    with torch.no_grad():
        loaded.model.model.norm.weight.div_(1.5)
    assert run(shots=2) == first


@pytest.mark.parametrize("chat", [True, False])
def test_a_prompt_is_all_that_differs_between_base_and_prompted(
    make_context: MakeContext, loaded: LoadedModel, model_ref: FolderModel, task_folder: Path, chat: bool,
    locations: dict[str, str],
) -> None:  # fmt: skip
    """The same rendering for both: without the prompt's text, a prompted subject reads what the base reads."""
    definition = digest_path(task_folder)
    locations[definition] = str(task_folder)
    benchmark = ResolvedBenchmark(
        kind="lm_eval", task="tiny_choice", definition=definition, shots=1, chat_template=chat
    )
    model = harness_model(loaded)
    base, prompted, in_front = (
        frozen_tasks(locations, model, Rendering(benchmark, prompt_message)).tasks[0].documents
        for prompt_message in (None, PromptMessage(PERSON), PromptMessage(user=PERSON))
    )
    added = f"<|im_start|>system\n{PERSON}<|im_end|>\n" if chat else f"{PERSON}\n\n"
    assert [document.prompt for document in prompted] == [added + document.prompt for document in base]
    user = "<|im_start|>user\n" if chat else ""
    expected = [d.prompt.replace(user, f"{user}{PERSON}\n\n") if chat else added + d.prompt for d in base]
    assert [document.prompt for document in in_front] == expected
    assert ("<|im_start|>user" in base[0].prompt) is chat


def test_a_model_without_a_chat_template_is_told_the_repair(run: Run, loaded: LoadedModel) -> None:
    loaded.tokenizer.chat_template = None
    with pytest.raises(ChatTemplateError, match=r"give `chat_template: false` for tiny_choice"):
        run()
    assert run(chat_template=False).metrics


def test_limit_takes_the_first_documents(run: Run) -> None:
    assert [row["document"] for row in run(limit=2).answers] == [0, 1]


def test_generated_answers_in_which_nothing_is_found_are_counted(run: Run) -> None:
    """A filter that finds no number leaves nothing to score: the answer is wrong and counted as a failure."""
    measured = run("tiny_generated")
    found = {metric.metric: (metric.value, metric.role) for metric in measured.metrics}
    assert found.pop("shots")[1] == "validity"
    assert found == {"exact_match.number": (0.0, "score"), "failures": (1.0, "validity")}


def test_a_multiple_choice_task_tells_its_chance(run: Run) -> None:
    chance = next(metric for metric in run().metrics if metric.metric == "chance")
    assert (chance.value, chance.n, chance.role) == (0.25, len(QUESTIONS), "validity")


def test_an_unknown_task_names_the_near_ones(run: Run) -> None:
    with pytest.raises(TaskError, match=r"tiny_choose.*near: tiny_choice"):
        run("tiny_choose")


def test_long_prompts_are_cut_from_the_left_as_the_harness_cuts_them() -> None:
    """The model sees at most `max_length` tokens before the last one; the continuation stays whole."""
    from traitgraph.runtime.assessment.harness_requests import fitting_request

    assert fitting_request([1, 2, 3, 4], [5, 6], max_length=3) == ((3, 4), (5, 6))
    assert fitting_request([1, 2], [5, 6], max_length=3) == ((1, 2), (5, 6))
