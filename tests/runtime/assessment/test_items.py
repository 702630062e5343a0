"""Items with answers of their own: what each answer counts, TRAIT's file and score, weights, facets, bad files."""

from __future__ import annotations

import json
import math
import os
import re
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from tests.runtime.contexts import MakeContext
from tests.runtime.questionnaires import DOCUMENT, ITEMS
from traitgraph.runtime.assessment.job import run_benchmark
from traitgraph.runtime.assessment.questionnaires.item_file import (
    QuestionnaireError,
    questionnaire_for,
    read_questionnaire,
)
from traitgraph.runtime.assessment.questionnaires.item_scores import item_answers
from traitgraph.runtime.assessment.questionnaires.items import Words
from traitgraph.runtime.assessment.questionnaires.scores import ItemAnswers, domain_means, questionnaire_metrics
from traitgraph.runtime.models.loading import LoadedModel
from traitgraph.runtime.results.statistics import Estimate, reweighed
from traitgraph.specs.jobs.params import AssessParams
from traitgraph.specs.jobs.refs import FolderModel, ResolvedBenchmark
from traitgraph.specs.source.hashing import digest_path
from traitgraph.specs.source.library import LIBRARY
from traitgraph.specs.study.training import Sampling

SAMPLE = os.environ.get("TRAITGRAPH_TRAIT_SAMPLE", "")
PLAIN = {"id": 1, "text": "Talk a lot", "domain": "E", "keyed": 1}
FIVE: Any = DOCUMENT["response_scale"]
ROW = {
    "personality": "Openness",
    "situation": "There is a fair.",
    "query": "What now?",
    "response_high1": "Look at it all.",
    "response_high2": "Ask how it is made.",
    "response_low1": "Eat.",
    "response_low2": "Go home.",
}


def written(folder: Path, *items: Any, **fields: Any) -> Path:
    path = folder / "q.json"
    path.write_text(json.dumps({"name": "q", **fields, "items": items}))
    return path


def option(text: str, **meaning: Any) -> dict[str, Any]:
    return {"text": text, **meaning}


def test_an_answer_counts_by_its_place_between_the_ends_of_the_file(tmp_path: Path) -> None:
    """Values 0 to 3 and a reversed scale of 0 to 1, on a file's scale of 1 to 5."""
    valued = {"id": 1, "text": "?", "domain": "E", "options": [option("a", value=0), option("b", value=1.5)]}
    valued["options"].append(option("c", value=3))  # type: ignore[attr-defined]
    named = {**PLAIN, "id": 2, "keyed": -1, "response_scale": "often"}
    path = written(tmp_path, valued, named, response_scale=FIVE, scales={"often": {**FIVE, "min": 0, "max": 4}})
    form = read_questionnaire(path)
    assert [form.points(item) for item in form.items] == [
        {"extraversion": [1, 3, 5]},
        {"extraversion": [5, 4, 3, 2, 1]},
    ]
    assert form.ends == (1, 5)


def test_an_option_for_another_trait_is_the_mirror_of_those_for_this_one(tmp_path: Path) -> None:
    choice = [option("a", trait="E", level="high"), option("b", trait="neuroticism", level="high")]
    quads = [*choice, option("c", trait="E", level="low"), option("d", trait="N", level="low")]
    form = read_questionnaire(
        written(tmp_path, {"id": 1, "text": "?", "options": choice}, {"id": 2, "text": "?", "options": quads})
    )
    assert form.points(form.items[0]) == {"extraversion": [1, 0], "neuroticism": [0, 1]}
    assert form.points(form.items[1]) == {"extraversion": [1, 0.5, 0, 0.5], "neuroticism": [0.5, 1, 0.5, 0]}
    assert form.traits() == ["extraversion", "neuroticism"]


def test_a_level_counts_by_its_position(tmp_path: Path) -> None:
    """Words of another vocabulary: a level in the middle counts half, and a letter of the file is its trait."""
    words = Words({}, ("honesty-humility",), {"low": -1, "medium": 0, "high": 1})
    options = [option(level, trait="H", level=level) for level in ("low", "medium", "high")]
    path = written(tmp_path, {"id": 1, "text": "?", "options": options}, domains={"H": "honesty-humility"})
    form = read_questionnaire(path, words)
    assert form.points(form.items[0]) == {"honesty-humility": [0, 0.5, 1]}


def test_weights_and_facets_make_the_means_that_numpy_makes(tmp_path: Path) -> None:
    """An item of weight 0 is asked and not scored; a facet has a score no trait can be taken for."""
    facets = [{"facet": "E1", "facet_name": "Warm Heart"}, {"facet": "E1", "facet_name": "Warm Heart"}, {}]
    items = [
        {**PLAIN, "id": number, "weight": weight, **facet}
        for number, (weight, facet) in enumerate(zip((0, 2, 0.5), facets, strict=True))
    ]
    form = read_questionnaire(written(tmp_path, *items, response_scale=FIVE))
    found = {each.metric: each for each in domain_means(form, zip(form.items, [0] * 3, [1, 5, 2], strict=True))}
    assert list(found) == ["extraversion", "facet:warm-heart"]
    assert found["extraversion"].value == np.average([1, 5, 2], weights=[0, 2, 0.5])
    assert (found["extraversion"].n, found["facet:warm-heart"].value) == (2, 5)


def test_a_weighted_mean_has_the_error_of_its_residuals() -> None:
    rng = np.random.default_rng(3)
    values, weights = rng.normal(2, 1, 40), rng.choice([0.5, 1, 2], 40)
    found = Estimate.over(reweighed(list(values), list(weights)))
    centre = np.average(values, weights=weights)
    residuals = weights * (values - centre)
    expected = math.sqrt((residuals**2).sum() * 40 / 39) / weights.sum()
    assert found.value == pytest.approx(centre)
    assert found.stderr == pytest.approx(expected)


def likely(shares: np.ndarray[Any, Any]) -> tuple[float, ...]:
    return tuple(np.log(0.7 * shares))  # some of the probability lies on no option


def test_the_likeliest_share_is_the_score_that_trait_reports(tmp_path: Path) -> None:
    """By its published rule: shares within an order, averaged over the orders, the largest decides; high / all."""
    rng = np.random.default_rng(0)
    rows = [{**ROW, "idx": number} for number in range(30)]
    path = tmp_path / "trait.json"
    path.write_text(json.dumps(rows))
    form = read_questionnaire(path)
    # [item, order, letter A to D]: order 1 lists high1 low1 high2 low2, order 2 low1 high1 low2 high2
    heard = rng.dirichlet([1] * 4, (30, 2))
    high1, low1 = heard[:, 0, 0] + heard[:, 1, 1], heard[:, 0, 1] + heard[:, 1, 0]
    high2, low2 = heard[:, 0, 2] + heard[:, 1, 3], heard[:, 0, 3] + heard[:, 1, 2]
    score = (np.argmax([high1, low1, high2, low2], axis=0) % 2 == 0).mean()
    answers = [
        ItemAnswers(item, (likely(first), likely(second[[1, 0, 3, 2]])), ())
        for item, (first, second) in zip(form.items, heard, strict=True)
    ]
    metrics = {each.metric: each.value for each in questionnaire_metrics(form, answers, Sampling(repeats=1))}
    assert 0 < score < 1
    assert metrics["openness.likeliest"] == pytest.approx(score)
    assert metrics["option_mass"] == pytest.approx(0.7)
    assert "yes_bias" not in metrics


@pytest.mark.skipif(not SAMPLE, reason="TRAITGRAPH_TRAIT_SAMPLE names no excerpt of TRAIT, which is not ours to keep")
def test_an_excerpt_of_the_published_file_is_read_as_it_is() -> None:
    form = read_questionnaire(Path(SAMPLE))
    assert [item.id for item in form.items] == [0, 1]
    assert form.traits() == ["openness"]
    assert form.answers(form.items[0])[1].startswith("Visit the top-rated food stalls")


@pytest.mark.parametrize("mode", ["choice", "generate"])
def test_single_items_say_the_same_as_the_scores(
    mode: str, tmp_path: Path, make_context: MakeContext, loaded: LoadedModel, model_ref: FolderModel,
    locations: dict[str, str],
) -> None:  # fmt: skip
    """From raw rows alone: weighted means of what `item_answers` reads are the scores that were written."""
    choice = [option("a", trait="E", level="high"), option("b", trait="N", level="high")]
    valued = {"id": 8, "text": "?", "domain": "N", "options": [option("x", value=1), option("y", value=4)]}
    items = [
        *ITEMS,
        {"id": 7, "text": "?", "options": choice},
        {**valued, "weight": 3},
        {**PLAIN, "id": 9, "weight": 0},
    ]
    path = written(tmp_path, *items, response_scale=FIVE)
    locations[digest_path(path)] = str(path)
    benchmark = ResolvedBenchmark(kind="questionnaire", items=digest_path(path), mode=mode)
    sampling = Sampling(temperature=0.8, repeats=2)
    params = AssessParams(model=model_ref, benchmark=benchmark, sampling=sampling)
    measured = run_benchmark(make_context(params), loaded, params)
    assert len({row["item"] for row in measured.answers}) == len(items)
    found = item_answers(measured.answers, sampling.temperature)
    for trait in ("extraversion", "neuroticism"):
        scores = [each for each in measured.metrics if each.metric == f"{trait}{'.expected' * (mode == 'choice')}"]
        answers = found[trait].values()
        assert "9" not in found[trait]
        for number, score in enumerate(scores):
            known = [(each.weight, each.values[number]) for each in answers if each.values[number] is not None]
            total = sum(weight for weight, _ in known)
            mean = sum(weight * (value or 0) for weight, value in known) / total if total else None
            assert score.value == (mean if mean is None else pytest.approx(mean))


@pytest.mark.parametrize(
    ("items", "fault"),
    [
        ([{**PLAIN, "options": [option("a"), option("b", value=1)], "keyed": None}], "item 1, `options.0`: an option"),
        (
            [{"id": 1, "text": "?", "options": [option("a", value=1, trait="E", level="high"), option("b", value=1)]}],
            "item 1, `options.0`: an option has either a `value`, or a `trait` and a `level` that it stands for",
        ),
        ([{**PLAIN, "response_scale": "offten"}], "item 1, `response_scale`: unknown scale 'offten' (near: often"),
        ([{**PLAIN, "weight": -1}], "item 1, `weight`: -1 is too small: it must be at least 0"),
        ([{**PLAIN, "weight": 0, "response_scale": "often"}], "every item has the weight 0: nothing would be scored"),
        ([{**PLAIN, "domain": "H"}], "item 1, `domain`: unknown trait 'H' (there are: O, C, E, A, N, Z, openness"),
        ([{**PLAIN, "domain": "Z"}], "item 1, `domain`: unknown trait 'tidyness' (there are:"),
        ([{"id": 1, "text": "?", "keyed": 1}], "item 1: `domain` is missing"),
        ([{"id": 1, "text": "?", "domain": "E"}], "item 1: `keyed` is missing"),
        (
            [{"id": 1, "text": "?", "options": [option(each, trait="E", level=each) for each in ("high", "lo")]}],
            "item 1, `options.1.level`: unknown level 'lo' (near: low",
        ),
        (
            [{"id": 1, "text": "?", "domain": "E", "options": [option("a", value=1), option("b", value=1)]}],
            "item 1: all its options have the same value: no answer would say anything",
        ),
        (
            [{**PLAIN, "options": [option(each, trait="E", level=each) for each in ("high", "low")]}],
            "item 1: what its options stand for says what it measures: without `domain` and `keyed`",
        ),
        ([PLAIN], "`response_scale` is missing (`response_scale`: item 1 has no options, and no scale of its own)"),
        ([{key: value for key, value in ROW.items() if key != "query"}], "row no. 1 of TRAIT: `query` is missing"),
        ([{**ROW, "response_low2": 3}], "row no. 1 of TRAIT: `response_low2` is not text"),
    ],
)  # fmt: skip
def test_an_item_that_cannot_be_scored_is_told_at_its_place(tmp_path: Path, items: list[Any], fault: str) -> None:
    scales = {"often": {"min": 0, "max": 1, "anchors": ["never", "always"]}}
    with pytest.raises(QuestionnaireError) as raised:
        read_questionnaire(written(tmp_path, *items, scales=scales, domains={"Z": "tidyness"}))
    first = re.sub(r"^.*q\.json:(\d+:\d+:)? ", "", str(raised.value).splitlines()[0])
    assert first.startswith(fault)


def test_an_interview_asks_no_item_with_options(tmp_path: Path) -> None:
    """It would have the judge rate agreement with a question."""
    valued = {"id": 1, "text": "?", "domain": "E", "options": [option("a", value=0), option("b", value=1)]}
    path = written(tmp_path, valued)
    assert questionnaire_for(path, "choice", Words()).items
    with pytest.raises(QuestionnaireError, match="item 1 has options, and `mode: interview` rates agreement"):
        questionnaire_for(path, "interview", Words())


@pytest.mark.parametrize(
    ("name", "items", "reversed_items"), [("ipip-neo-120", 120, 55), ("ipip-neo-300", 300, 148), ("mpi-120", 120, 55)]
)
def test_what_ships_has_its_keys_and_facets(name: str, items: int, reversed_items: int) -> None:
    """Counts of the published keys: domains alike, 30 facets alike."""
    form = read_questionnaire(LIBRARY / "questionnaire" / f"{name}.json")
    assert (len(form.items), sum(item.keyed == -1 for item in form.items)) == (items, reversed_items)
    facets = {
        item.facet_metric: sum(each.facet_metric == item.facet_metric for each in form.items) for item in form.items
    }
    assert set(facets.values()) == {items // 30}
    assert len(facets) == 30
    assert {form.traits().count(item.trait) for item in form.items} == {1}
    assert len({form.statement(item) for item in form.items}) == items


def test_the_two_inventories_of_the_same_items_agree_on_keys() -> None:
    one, other = (
        read_questionnaire(LIBRARY / "questionnaire" / f"{name}.json") for name in ("ipip-neo-120", "mpi-120")
    )
    assert [(each.trait, each.keyed, each.facet_metric) for each in one.items] == [
        (each.trait, each.keyed, each.facet_metric) for each in other.items
    ]
