"""Models of random weights under prompts: what knows no trait gets no verdict on one, by the report's own rules."""

from __future__ import annotations

from collections.abc import Mapping
from importlib.resources import files
from pathlib import Path

from tests.runtime.contexts import MakeContext
from tests.runtime.report.rows import DOMAINS, row
from tests.tiny_model import save_tiny_model
from traitgraph.runtime.assessment.job import run_benchmark
from traitgraph.runtime.assessment.questionnaires.item_scores import ItemAnswers, item_answers
from traitgraph.runtime.models.loading import open_model
from traitgraph.runtime.report.findings import judge
from traitgraph.runtime.results.summaries import summarise
from traitgraph.specs.jobs.params import AssessParams, Prompt
from traitgraph.specs.jobs.refs import FolderModel, ResolvedBenchmark
from traitgraph.specs.source.hashing import digest_path
from traitgraph.specs.study.training import Sampling

HUNDRED = Sampling(temperature=0.6, repeats=100)


class Answered:
    """Answers that were just given, in the place of those that a store holds."""

    def __init__(self, answers: Mapping[str, ItemAnswers]) -> None:
        self.of = answers.__getitem__

    def scale(self, job: str) -> tuple[float, float]:
        return (1.0, 5.0)


def test_random_weights_under_prompts_get_clear_verdicts_by_chance_only(
    make_context: MakeContext, locations: dict[str, str], tmp_path: Path
) -> None:
    """Three models, five traits, a hundred repeats: fifteen gaps, of which chance makes less than one clear."""
    form = Path(str(files("traitgraph.specs") / "library" / "questionnaire" / "mini-ipip.json"))
    locations[digest_path(form)] = str(form)
    benchmark = ResolvedBenchmark(kind="questionnaire", items=digest_path(form), mode="choice")
    answers, rows = {}, []
    for seed in range(3):
        folder = save_tiny_model(tmp_path / f"model-{seed}", seed=seed)
        locations[digest_path(folder)] = str(folder)
        model = FolderModel(digest=digest_path(folder))
        for trait in DOMAINS:
            for level in ("high", "low"):
                prompt = Prompt(system=f"You are a person with {level} {trait}.")
                params = AssessParams(model=model, benchmark=benchmark, sampling=HUNDRED, prompt=prompt)
                context = make_context(params)
                measured = run_benchmark(context, open_model(context, model), params)
                answers[job := f"{seed} {trait} {level}"] = item_answers(measured.answers, HUNDRED.temperature)
                rows += [
                    row(arm="told", model=str(seed), method="prompt", trait=trait, level=level, benchmark="mini-ipip",
                        metric=each.metric, value=each.value, repeat=each.repeat, n=each.n, job=job)
                    for each in measured.metrics if each.metric in DOMAINS
                ]  # fmt: skip
    (found,) = judge(summarise(rows, Answered(answers)))  # type: ignore[arg-type]  # stands in for a store
    assert len(found.found) == 15
    assert sum(finding.verdict in ("moves", "reversed", "shared") for finding in found.found) <= 1
