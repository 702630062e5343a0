"""Questionnaires by option likelihood: both orders, keying, draws that repeat, and checks that expose bad answering."""

from __future__ import annotations

import math
from pathlib import Path
from typing import TYPE_CHECKING, Literal

import pytest

from tests.runtime.contexts import MakeContext
from tests.runtime.questionnaires import DOCUMENT, ITEMS, write_questionnaire
from traitgraph.runtime.assessment.job import run_benchmark
from traitgraph.runtime.assessment.measurement import Measurement
from traitgraph.runtime.assessment.questionnaires.items import Questionnaire, read_questionnaire
from traitgraph.runtime.assessment.questionnaires.scores import (
    ItemAnswers,
    answer_distribution,
    questionnaire_metrics,
    sampled_step,
)
from traitgraph.runtime.models.chat import PromptMessage, prompt_ids
from traitgraph.runtime.models.loading import LoadedModel
from traitgraph.specs.jobs.params import AssessParams, Prompt
from traitgraph.specs.jobs.refs import FolderModel, ResolvedBenchmark
from traitgraph.specs.source.hashing import digest_path
from traitgraph.specs.study.training import Sampling

if TYPE_CHECKING:
    from transformers import PreTrainedTokenizerBase

FOUR = Questionnaire.model_validate(DOCUMENT)
SAMPLING = Sampling(temperature=0.6, repeats=3, seed=11)


def peaked(step: int, *, steps: int = 5, sharpness: float = 50.0) -> tuple[float, ...]:
    """Log-likelihoods of a respondent who is sure of one step of the scale."""
    weights = [math.exp(-sharpness * abs(step - at)) for at in range(steps)]
    return tuple(math.log(max(weight / sum(weights), 1e-300)) for weight in weights)


def respondent(steps: list[int], backward: list[int] | None = None, yes: float = 0.0) -> list[ItemAnswers]:
    """Someone who chooses these steps (0 to 4), perhaps others when the options are listed backward."""
    return [
        ItemAnswers(item, (peaked(forth), peaked(back)), (math.log(0.5) + yes / 2, math.log(0.5) - yes / 2))
        for item, forth, back in zip(FOUR.items, steps, backward or steps, strict=True)
    ]


def values(answers: list[ItemAnswers], sampling: Sampling = SAMPLING) -> dict[str, float | None]:
    return {
        metric.metric if metric.repeat is None else f"{metric.metric}/{metric.repeat}": metric.value
        for metric in questionnaire_metrics(FOUR, answers, sampling)
    }


def test_reversed_items_count_the_other_way() -> None:
    """Agreeing with a + item and disagreeing with a - item are the same answer: 5 on a scale of 1 to 5."""
    found = values(respondent([4, 0, 0, 4]))
    assert found["extraversion.expected"] == pytest.approx(5)
    assert found["neuroticism.expected"] == pytest.approx(1)
    assert [found[f"extraversion/{repeat}"] for repeat in range(3)] == [5, 5, 5]


def test_a_letter_chooser_scores_the_middle_and_is_exposed() -> None:
    """Who picks the first letter whatever it means picks opposite steps in the two orders: r is -1 and the score 3."""
    first_letter = respondent([0, 0, 1, 0], backward=[4, 4, 3, 4])
    found = values(first_letter)
    assert found["order_correlation"] == pytest.approx(-1)
    assert found["extraversion.expected"] == pytest.approx(3)
    assert found["neuroticism.expected"] == pytest.approx(3)


def test_a_yes_sayer_has_a_yes_bias_and_no_trait() -> None:
    """Yes to everything: bias towards 0.5, but no difference between + and - items."""
    found = values(respondent([2, 2, 2, 2], yes=20.0))
    assert found["yes_bias"] == pytest.approx(0.5, abs=1e-6)
    assert found["extraversion.yes_no"] == pytest.approx(0)


def test_undefined_checks_have_no_value() -> None:
    """Answers that do not vary have no correlation: None, never 0."""
    assert values(respondent([2, 2, 2, 2]))["order_correlation"] is None


def test_draws_follow_the_distribution_and_repeat() -> None:
    """Over many repeats the draws have the mean of the distribution; the same seed and repeat give the same draw."""
    uneven = ItemAnswers(FOUR.items[0], ((-1.0, -2.0, -1.5, -3.0, -0.5),) * 2, (-1.0, -1.0))
    draws = [sampled_step(uneven, SAMPLING, repeat) for repeat in range(4000)]
    expected = sum(step * p for step, p in enumerate(answer_distribution(uneven, SAMPLING.temperature)))
    assert sum(draws) / len(draws) == pytest.approx(expected, abs=0.1)
    assert draws[:50] == [sampled_step(uneven, SAMPLING, repeat) for repeat in range(50)]
    other = Sampling(temperature=0.6, repeats=3, seed=12)
    assert draws[:50] != [sampled_step(uneven, other, repeat) for repeat in range(50)]


def test_temperature_zero_takes_the_likeliest() -> None:
    greedy = Sampling(temperature=0, repeats=1)
    likes_third = ItemAnswers(FOUR.items[0], ((-3.0, -2.0, -1.0, -2.0, -3.0),) * 2, (-1.0, -1.0))
    assert sampled_step(likes_third, greedy, 0) == 2


@pytest.fixture
def administered(
    make_context: MakeContext, loaded: LoadedModel, model_ref: FolderModel, tmp_path: Path, locations: dict[str, str]
) -> tuple[AssessParams, Measurement]:
    path = write_questionnaire(tmp_path / "four.json")
    locations[digest_path(path)] = str(path)
    benchmark = ResolvedBenchmark(kind="questionnaire", items=digest_path(path))
    params = AssessParams(model=model_ref, benchmark=benchmark, sampling=SAMPLING)
    return params, run_benchmark(make_context(params), loaded, params)


def test_option_likelihoods_are_those_of_a_plain_forward_pass(
    administered: tuple[AssessParams, Measurement], loaded: LoadedModel
) -> None:
    """With options listed backward, A stands for the top step: its likelihood is the last of the row."""
    import torch

    from traitgraph.runtime.models.chat import prompt_ids

    prompt = (
        "How accurately does a statement describe you? Answer with one letter.\n"
        "A. very accurate\nB. accurate\nC. neither\nD. inaccurate\nE. very inaccurate\nStatement: I don't talk a lot."
    )
    with torch.inference_mode():
        logits = loaded.model(torch.tensor([prompt_ids(loaded.tokenizer, prompt)])).logits[0, -1]
    letters = [loaded.tokenizer(letter, add_special_tokens=False)["input_ids"][0] for letter in "EDCBA"]
    row = administered[1].answers[1]
    assert row["statement"] == "I don't talk a lot."
    assert row["logprobs_backward"] == pytest.approx(logits.log_softmax(-1)[letters].tolist(), abs=2e-5)


def test_repeats_are_the_means_of_the_recorded_answers(administered: tuple[AssessParams, Measurement]) -> None:
    """Each repeat's score follows from the raw answers; all metrics of the contract are there."""
    _, measured = administered
    assert [row["scale"] for row in measured.answers] == [(1, 5)] * len(measured.answers)
    one, two = (row["answers"] for row in measured.answers[:2])
    for repeat in range(3):
        metric = next(m for m in measured.metrics if m.metric == "extraversion" and m.repeat == repeat)
        assert metric.value == (one[repeat] + 6 - two[repeat]) / 2  # type: ignore[index]
    names = {metric.metric for metric in measured.metrics if metric.role == "validity"}
    assert names >= {"option_mass", "order_correlation", "yes_no_mass", "yes_bias", "extraversion.yes_no"}


def test_administering_again_gives_the_same_numbers_and_a_prompt_gives_others(
    administered: tuple[AssessParams, Measurement], make_context: MakeContext, loaded: LoadedModel
) -> None:
    params, first = administered
    assert run_benchmark(make_context(params), loaded, params) == first
    prompted = params.model_copy(update={"prompt": Prompt(system="You are a person who loves parties.")})
    assert run_benchmark(make_context(prompted), loaded, prompted).answers != first.answers


def test_other_scales_are_reversed_about_their_own_middle(tmp_path: Path) -> None:
    """On a scale of 0 to 3 a reversed item counts 3 - x."""
    scale = {"min": 0, "max": 3, "anchors": ["a", "b", "c", "d"]}
    questionnaire = read_questionnaire(write_questionnaire(tmp_path / "q.json", response_scale=scale))
    answers = [
        ItemAnswers(item, (peaked(3, steps=4),) * 2, (-1.0, -1.0)) for item in questionnaire.items if item.keyed == -1
    ]
    metrics = questionnaire_metrics(questionnaire, answers, SAMPLING)
    assert {metric.value for metric in metrics if metric.metric == "extraversion"} == {0}


@pytest.mark.parametrize("mode", ["choice", "generate"])
def test_braces_in_items_and_anchors_are_text(
    mode: Literal["choice", "generate"],
    tmp_path: Path,
    make_context: MakeContext,
    loaded: LoadedModel,
    model_ref: FolderModel,
    locations: dict[str, str],
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """Read by the model as they stand, whatever names they hold."""
    odd = "like {statement} of {me} {} {0} %s {{x}} $y"
    scale = {**DOCUMENT["response_scale"], "anchors": [f"{n} {odd}" for n in range(5)]}  # type: ignore[dict-item]
    items = [{**item, "text": f"Am {odd}"} for item in ITEMS]
    path = write_questionnaire(tmp_path / "odd.json", response_scale=scale, items=items)
    locations[digest_path(path)] = str(path)
    asked: list[str] = []

    def noted(
        tokenizer: PreTrainedTokenizerBase, user: str, prompt_message: PromptMessage | None = None
    ) -> tuple[int, ...]:
        asked.append(user)
        return prompt_ids(tokenizer, user, prompt_message)

    monkeypatch.setattr("traitgraph.runtime.assessment.questionnaires.modes.prompt_ids", noted)
    benchmark = ResolvedBenchmark(kind="questionnaire", items=digest_path(path), mode=mode)
    params = AssessParams(model=model_ref, benchmark=benchmark, sampling=SAMPLING)
    run_benchmark(make_context(params), loaded, params)
    assert len(asked) == {"choice": 3, "generate": 1}[mode] * len(items)
    assert all(text.endswith(f"Statement: I am {odd}.") for text in asked)
    assert all(f"4 {odd}" in text for text in asked if "Yes or No" not in text)
