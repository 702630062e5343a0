"""The reply contrast is the mean gap of log-likelihood per token between paired replies."""

from __future__ import annotations

import json
import statistics
from pathlib import Path

import pytest

from tests.runtime.contexts import MakeContext, located
from tests.runtime.dialogues import dialogue_rows
from tests.runtime.models.test_likelihood import one_by_one
from traitgraph.runtime.assessment.job import run_benchmark
from traitgraph.runtime.assessment.measurement import Measurement, write_measurement
from traitgraph.runtime.assessment.reply_contrast import SAME_REPLIES, SHARED_PROMPTS
from traitgraph.runtime.data.rows import DialogueError
from traitgraph.runtime.models.chat import PromptMessage, turn
from traitgraph.runtime.models.likelihood import Request
from traitgraph.runtime.models.loading import LoadedModel
from traitgraph.specs.jobs.params import AssessParams, Prompt
from traitgraph.specs.jobs.refs import FileData, FolderModel, ResolvedBenchmark
from traitgraph.specs.source.hashing import digest_path


def contrast(ref: FolderModel, data: FileData, system: str | None = None) -> AssessParams:
    benchmark = ResolvedBenchmark(kind="reply_contrast", data=data, traits=("extraversion", "neuroticism"))
    return AssessParams(model=ref, benchmark=benchmark, prompt=Prompt(system=system) if system else None)


@pytest.fixture
def measured(
    make_context: MakeContext, loaded: LoadedModel, model_ref: FolderModel, dialogue_data: FileData
) -> Measurement:
    params = contrast(model_ref, dialogue_data)
    return run_benchmark(make_context(params), loaded, params)


def test_value_is_the_mean_gap_per_token_over_held_out_pairs(measured: Measurement, loaded: LoadedModel) -> None:
    """Computed again one reply at a time, without a cache: same mean, same standard error, two pairs a trait."""
    held_out = [row for row in dialogue_rows() if row["split"] == "heldout" and row["trait"] == "neuroticism"]
    scores = {
        (row["pair"], row["level"]): statistics.fmean(
            one_by_one(loaded, Request(*turn(loaded.tokenizer, row["prompt"], row["reply"])))
        )
        for row in held_out
    }
    gaps = [scores[pair, "high"] - scores[pair, "low"] for pair in ("neuroticism-2", "neuroticism-3")]
    metric = next(metric for metric in measured.metrics if metric.metric == "neuroticism")
    assert metric.value == pytest.approx(statistics.fmean(gaps), abs=2e-5)
    assert metric.stderr == pytest.approx(statistics.stdev(gaps) / 2**0.5, abs=2e-5)
    assert (metric.n, metric.role, metric.repeat) == (2, "score", None)


def test_raw_rows_hold_what_the_metrics_are_made_of(measured: Measurement) -> None:
    """The metric follows from answers.jsonl alone."""
    per_token = {
        (row["pair"], row["level"]): row["loglik"] / row["tokens"]  # type: ignore[operator]
        for row in measured.answers
        if row["trait"] == "extraversion"
    }
    gaps = [per_token[pair, "high"] - per_token[pair, "low"] for pair in ("extraversion-2", "extraversion-3")]
    assert measured.metrics[0].metric == "extraversion"
    assert measured.metrics[0].value == pytest.approx(statistics.fmean(gaps))


def test_a_system_prompt_is_part_of_the_context(
    make_context: MakeContext,
    loaded: LoadedModel,
    measured: Measurement,
    model_ref: FolderModel,
    dialogue_data: FileData,
) -> None:
    """A prompted subject is scored after its system message, so its values differ from the base's."""
    params = contrast(model_ref, dialogue_data, "You are a person with high extraversion.")
    assert run_benchmark(make_context(params), loaded, params).metrics[0].value != measured.metrics[0].value


def test_files_written(measured: Measurement, tmp_path: Path) -> None:
    """metrics.jsonl has the agreed columns, in the agreed names."""
    write_measurement(tmp_path, measured)
    rows = [json.loads(line) for line in (tmp_path / "metrics.jsonl").read_text().splitlines()]
    assert set(rows[0]) == {"metric", "repeat", "value", "stderr", "n", "role"}
    assert [row["metric"] for row in rows if row["role"] == "score"] == ["extraversion", "neuroticism"]


def test_the_scored_reply_ends_with_its_end_of_turn(loaded: LoadedModel) -> None:
    """The reply's tokens are its text and <|im_end|>; the line break after it belongs to the template."""
    tokenizer = loaded.tokenizer
    scored = turn(tokenizer, "Hello?", "I talk to everyone.", PromptMessage("You are a person."))
    assert tokenizer.decode(scored.reply) == "I talk to everyone.<|im_end|>"
    assert tokenizer.decode(scored.context).endswith("<|im_start|>assistant\n")


def own_data(folder: Path, rows: list[dict[str, str]]) -> FileData:
    (folder / "rows.jsonl").write_text("".join(json.dumps(row) + "\n" for row in rows))
    return FileData(digest=digest_path(folder / "rows.jsonl"))


def repeated_in_training(reply: str | None) -> list[dict[str, str]]:
    """The dialogues, of which two held-out rows stand in training as well, with their reply or another."""
    rows = dialogue_rows()
    held = [row for row in rows if row["split"] == "heldout" and row["trait"] == "neuroticism"][:2]
    return [*rows, *({**row, "split": "train", "reply": reply or row["reply"]} for row in held)]


def test_held_out_rows_that_stand_in_training_are_refused_before_the_work(
    make_context: MakeContext, loaded: LoadedModel, model_ref: FolderModel, tmp_path: Path
) -> None:
    """For data that no check could read: those of the hub, and dialogues that jobs have written."""
    params = contrast(model_ref, own_data(tmp_path, repeated_in_training(None)))
    context = located(make_context(params, tuned=(tmp_path,)), tmp_path / "rows.jsonl")
    with pytest.raises(DialogueError, match="2 held-out rows also stand in training, prompt and reply: row"):
        run_benchmark(context, loaded, params)


def test_who_has_learnt_nothing_may_be_asked_what_others_are_trained_on(
    make_context: MakeContext, loaded: LoadedModel, model_ref: FolderModel, tmp_path: Path
) -> None:
    """A study without training passes `check`, and its jobs are done."""
    params = contrast(model_ref, own_data(tmp_path, repeated_in_training(None)))
    context = located(make_context(params), tmp_path / "rows.jsonl")
    assert {each.metric for each in run_benchmark(context, loaded, params).metrics} >= {"neuroticism", SHARED_PROMPTS}


def test_pairs_with_one_reply_at_both_levels_are_left_out_and_counted(
    make_context: MakeContext, loaded: LoadedModel, model_ref: FolderModel, tmp_path: Path
) -> None:
    """They have a difference of 0 under every model, which would count as a measurement of no change."""
    rows = dialogue_rows()
    for row in rows:
        if row["pair"] == "neuroticism-2":
            row["reply"] = "It depends."
    params = contrast(model_ref, own_data(tmp_path, rows))
    context = located(make_context(params), tmp_path / "rows.jsonl")
    metrics = {each.metric: each for each in run_benchmark(context, loaded, params).metrics}
    assert (metrics["neuroticism"].n, metrics["extraversion"].n) == (1, 2)
    assert (metrics[SAME_REPLIES].value, metrics[SAME_REPLIES].n) == (1 / 4, 4)
    rows = [{**row, "reply": "It depends."} if row["trait"] == "neuroticism" else row for row in rows]
    params = contrast(model_ref, own_data(tmp_path, rows))
    context = located(context, tmp_path / "rows.jsonl")
    with pytest.raises(DialogueError, match="every held-out pair of neuroticism has the same reply"):
        run_benchmark(context, loaded, params)


def test_the_share_of_held_out_prompts_that_stand_in_training_is_measured(
    make_context: MakeContext, loaded: LoadedModel, model_ref: FolderModel, tmp_path: Path
) -> None:
    params = contrast(model_ref, own_data(tmp_path, repeated_in_training("Something else.")))
    context = located(make_context(params), tmp_path / "rows.jsonl")
    (shared,) = [each for each in run_benchmark(context, loaded, params).metrics if each.metric == SHARED_PROMPTS]
    held = [row for row in dialogue_rows() if row["split"] == "heldout"]
    repeated = {row["prompt"] for row in repeated_in_training("x")[-2:]}
    same = [row for row in held if row["prompt"] in repeated]
    assert (shared.value, shared.n, shared.role) == (len(same) / len(held), len(held), "validity")
