"""Forms of a questionnaire: every one is asked, rows say which, and what they change is counted as numpy counts it."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from tests.runtime.contexts import MakeContext
from tests.runtime.questionnaires import DOCUMENT, ITEMS, write_questionnaire
from traitgraph.runtime.assessment.job import run_benchmark
from traitgraph.runtime.assessment.measurement import Measurement, write_measurement
from traitgraph.runtime.assessment.questionnaires.asking import SETS, WORDINGS, choice, listed, number_wanted
from traitgraph.runtime.assessment.questionnaires.form_scores import Choices, sensitivities
from traitgraph.runtime.assessment.questionnaires.item_scores import item_answers
from traitgraph.runtime.assessment.questionnaires.items import Questionnaire, QuestionnaireError, Words, translation_of
from traitgraph.runtime.assessment.questionnaires.scores import option_probabilities
from traitgraph.runtime.models.loading import LoadedModel
from traitgraph.specs.jobs.params import AssessParams
from traitgraph.specs.jobs.refs import FolderModel, ResolvedBenchmark
from traitgraph.specs.source.hashing import digest_path
from traitgraph.specs.study.forms import LABELS, Forms
from traitgraph.specs.study.forms import WORDINGS as NAMES
from traitgraph.specs.study.training import Sampling

FOUR = Questionnaire.model_validate(DOCUMENT)
OTHER = {"stem": "Ich ...", "items": [{**item, "text": f"Bin Satz {item['id']}"} for item in ITEMS]}
Ask = Callable[..., Measurement]


@pytest.fixture
def ask(
    make_context: MakeContext, loaded: LoadedModel, model_ref: FolderModel, tmp_path: Path, locations: dict[str, str]
) -> Ask:
    """Administer the four items in some forms; `language` names contents of files."""

    def run(forms: dict[str, Any] | None, mode: str = "choice", sampling: Sampling | None = None) -> Measurement:
        paths = {"": write_questionnaire(tmp_path / "four.json")}
        if forms and "language" in forms:
            for name, content in forms["language"].items():
                paths[name] = write_questionnaire(tmp_path / f"{name}.json", **content)
            forms = {**forms, "language": {name: digest_path(paths[name]) for name in forms["language"]}}
        locations.update({digest_path(path): str(path) for path in paths.values()})
        benchmark = ResolvedBenchmark(kind="questionnaire", items=digest_path(paths[""]), mode=mode, forms=forms)
        params = AssessParams(model=model_ref, benchmark=benchmark, sampling=sampling or Sampling(repeats=2))
        return run_benchmark(make_context(params), loaded, params)

    return run


def values(measured: Measurement) -> dict[tuple[str, str | None, int | None], float | None]:
    return {(each.metric, each.form, each.repeat): each.value for each in measured.metrics}


def test_the_two_orders_as_forms_give_the_scores_of_their_average(ask: Ask) -> None:
    """What is over all forms is what it was, and each form has a score of its own."""
    usual, forms = ask(None), ask({"option_order": ["forward", "backward"]})
    whole = {key: value for key, value in values(forms).items() if key[1] is None and "_sensitivity" not in key[0]}
    assert whole == pytest.approx(values(usual))
    each = [values(forms)["extraversion.expected", f"option_order={order}", None] for order in ("forward", "backward")]
    assert each[0] != each[1]
    assert np.mean(each) == pytest.approx(whole["extraversion.expected", None, None])  # type: ignore[arg-type]


def test_every_form_is_asked_and_named_in_rows_and_metrics(ask: Ask, tmp_path: Path) -> None:
    forms = {
        "option_order": ["forward", {"shuffled": 2}], "labels": list(LABELS), "language": {"de": OTHER},
        "wording": ["agree", {"template": "{options}|{statement}|{answer}"}],
    }  # fmt: skip
    measured = ask(forms)
    names = {row["form"] for row in measured.answers}
    assert len(names) == 3 * 2 * 5 * 2
    assert "option_order=shuffled-2,wording=template-1,labels=words,language=de" in names
    assert {each.form for each in measured.metrics if each.metric == "option_mass"} == {*names, None}
    assert {row["statement"] for row in measured.answers if "language=de" in str(row["form"])} == {
        f"Ich bin Satz {number}." for number in range(1, 5)
    }
    write_measurement(tmp_path, measured)
    written = [json.loads(line) for line in (tmp_path / "metrics.jsonl").read_text().splitlines()]
    assert {row.get("form") for row in written} == {*names, None}
    assert all(
        each.value is not None and each.value <= 1 + 1e-6 for each in measured.metrics if each.metric == "option_mass"
    )


def test_single_items_are_means_over_forms(ask: Ask) -> None:
    """By hand from the rows: softmax at the temperature, expected answer, turned round, mean over forms."""
    sampling = Sampling(temperature=0.7, repeats=1)
    measured = ask({"labels": ["letters", "digits", "words"]}, sampling=sampling)
    found = item_answers(measured.answers, sampling.temperature)
    rows: list[Any] = [row for row in measured.answers if row["item"] == 2]
    expected = []
    for row in rows:
        logs = np.array([row["logprobs_forward"], row["logprobs_backward"]]) / sampling.temperature
        shares = np.exp(logs) / np.exp(logs).sum(axis=1, keepdims=True)
        expected.append(6 - shares.mean(axis=0) @ np.arange(1, 6))
    assert found["extraversion"]["2"].value == pytest.approx(np.mean(expected))
    assert len(found["extraversion"]["2"].values) == 1


def test_a_sensitivity_is_the_share_of_items_whose_choice_turns(ask: Ask) -> None:
    """From raw rows: the likeliest option of each item, compared over one axis with the other held."""
    measured = ask({"option_order": ["forward", "backward", {"shuffled": 1}], "labels": ["letters", "digits"]})
    chosen: dict[tuple[int, str], int] = {}
    rows: list[Any] = measured.answers
    for row in rows:
        (heard,) = (row[name] for name in row if name.startswith("logprobs_") and name != "logprobs_yes_no")
        chosen[row["item"], row["form"]] = int(np.argmax(option_probabilities(heard, 1.0)))
    for axis, other, others in (("option_order", "labels", 2), ("labels", "option_order", 3)):
        groups: dict[tuple[int, str], set[int]] = {}
        for (item, form), option in chosen.items():
            setting = dict(part.split("=") for part in form.split(","))
            groups.setdefault((item, setting[other]), set()).add(option)
        for trait, items in (("extraversion", (1, 2)), ("neuroticism", (3, 4))):
            share = np.mean([len(each) > 1 for (item, _), each in groups.items() if item in items])
            assert len(groups) == 4 * others
            assert values(measured)[f"{trait}.{axis}_sensitivity", None, None] == pytest.approx(share)


def test_an_item_without_an_answer_is_left_out_of_a_sensitivity() -> None:
    choices: Choices = [({"wording": "a"}, {1: 1, 2: 1, 3: 2, 4: None}), ({"wording": "b"}, {1: 2, 2: 1, 3: 2, 4: 2})]
    found = {each.metric: each.value for each in sensitivities(FOUR, choices)}
    assert found == {"extraversion.wording_sensitivity": 0.5, "neuroticism.wording_sensitivity": 0.0}


def test_written_numbers_have_forms_too(ask: Ask) -> None:
    forms = {"option_order": ["forward", "backward"], "wording": ["accurate", "fits"]}
    measured = ask(forms, "generate", Sampling(repeats=2, temperature=1, max_new_tokens=3))
    assert len(measured.answers) == 4 * 4 * 2
    names = {row["form"] for row in measured.answers}
    assert {each.form for each in measured.metrics if each.metric == "parse_failures"} == {*names, None}


def test_the_text_of_an_ordinary_form_is_the_one_without_forms() -> None:
    item = FOUR.items[0]
    plain = choice(FOUR, item, "forward", {})
    assert plain == choice(FOUR, item, "forward", {"wording": "accurate", "labels": "letters"})
    assert plain.prompt == (
        "How accurately does a statement describe you? Answer with one letter.\n"
        "A. very inaccurate\nB. inaccurate\nC. neither\nD. accurate\nE. very accurate\n"
        "Statement: I am the life of the party."
    )
    assert number_wanted(FOUR, item, "forward", {})[0] == (
        "How accurately does a statement describe you, on a scale from 1 to 5? 1 = very inaccurate, 2 = inaccurate, "
        "3 = neither, 4 = accurate, 5 = very accurate. Write the number only.\nStatement: I am the life of the party."
    )


def test_labels_stand_by_place_and_answers_are_told_in_the_order_of_the_file() -> None:
    asked = choice(FOUR, FOUR.items[0], "backward", {"labels": "roman", "wording": "agree"})
    assert "I. very accurate\nII. accurate\n" in asked.prompt
    assert asked.answers == ("V", "IV", "III", "II", "I")
    words = choice(FOUR, FOUR.items[0], "swapped", {"labels": "words"})
    assert "\ninaccurate\nvery inaccurate\naccurate\nneither\nvery accurate\n" in words.prompt
    assert words.answers == FOUR.answers(FOUR.items[0])
    own = Forms.model_validate({"wording": [{"template": "{statement} {{!}} {options}"}]})
    assert choice(FOUR, FOUR.items[0], "forward", {"wording": "template-1"}, own).prompt.startswith("I am the life")
    assert "{!}" in choice(FOUR, FOUR.items[0], "forward", {"wording": "template-1"}, own).prompt


def test_a_number_means_what_stands_beside_it() -> None:
    """A step of a scale keeps its number in every order; the place of an option is another one."""
    options = [{"text": each, "value": value} for value, each in enumerate("abcd")]
    form = Questionnaire.model_validate(
        {**DOCUMENT, "items": [{"id": 1, "text": "?", "domain": "E", "options": options}]}
    )
    prompt, meant, ends = number_wanted(form, form.items[0], "swapped", {})
    assert "1. b\n2. a\n3. d\n4. c" in prompt
    assert (meant, ends) == ([2, 1, 4, 3], (1, 4))
    prompt, meant, ends = number_wanted(FOUR, FOUR.items[0], "backward", {})
    assert "5 = very accurate, 4 = accurate" in prompt
    assert (meant, ends) == ([1, 2, 3, 4, 5], (1, 5))


def test_shuffled_orders_are_others_each_time_and_never_the_plain_ones() -> None:
    orders = [tuple(listed(f"shuffled-{number}", 5)) for number in range(1, 99)]
    assert len({*orders, tuple(range(5)), tuple(range(4, -1, -1))}) == 100
    assert listed("shuffled-1", 2) == [0, 1]  # there is none


def test_every_name_of_the_language_has_its_text() -> None:
    assert tuple(WORDINGS) == NAMES
    assert (*SETS, "words") == LABELS
    assert {len(set(each)) for each in SETS.values()} == {26, 29}


def test_a_file_may_word_the_questions_in_its_language(tmp_path: Path) -> None:
    path = write_questionnaire(tmp_path / "de.json", **OTHER, instructions={"accurate": "{options} Wie? {statement}"})
    german = translation_of(FOUR, path, Words())
    assert choice(german, german.items[0], "forward", {}).prompt.endswith("Wie? Ich bin Satz 1.")


@pytest.mark.parametrize(
    ("changes", "fault"),
    [
        ({"items": ITEMS[:3]}, "a language of four, and has no item 4"),
        (
            {"response_scale": {"min": 1, "max": 2, "anchors": ["no", "yes"]}},
            "a language of four, and has another number of answers to item 1",
        ),
        ({"instructions": {"accurate": "{statement}"}}, "the text must hold {options}"),
    ],
)
def test_a_language_holds_the_same_items(tmp_path: Path, changes: dict[str, Any], fault: str) -> None:
    with pytest.raises(QuestionnaireError, match=fault):
        translation_of(FOUR, write_questionnaire(tmp_path / "de.json", **changes), Words())
