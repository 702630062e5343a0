"""Traits and levels of a study's own in the report: what is judged follows from the positions of levels."""

from __future__ import annotations

from tests.runtime.report.rows import about, row
from traitgraph.runtime.report.charts import charts_of, role_of
from traitgraph.runtime.report.findings import judge
from traitgraph.runtime.report.headlines import headline
from traitgraph.runtime.report.page import render_page
from traitgraph.runtime.results.summaries import subjects_in_order, summarise
from traitgraph.runtime.results.table import ResultRow
from traitgraph.specs.study.vocabulary import TraitWords, Vocabulary

FIVE = {"none": -1.0, "little": -0.5, "some": 0.0, "more": 0.5, "much": 1.0}
TWO = {"absent": -1.0, "present": 1.0}


def words(levels: dict[str, float], *traits: str) -> Vocabulary:
    return Vocabulary(traits={trait: TraitWords() for trait in traits or ("wit", "warmth")}, levels=levels)


def scaled(level: str, slope: float, trait: str = "wit", arm: str = "vectors") -> list[ResultRow]:
    """A vector over four strengths, under the measure of its own trait."""
    return [
        row(arm=arm, method="vector", trait=trait, level=level, alpha=str(at / 2), benchmark="b", metric=trait,
            value=slope * at, stderr=0.1)
        for at in range(4)
    ]  # fmt: skip


def told(level: str, value: float, trait: str = "wit", arm: str = "prompts") -> ResultRow:
    return row(arm=arm, method="prompt", trait=trait, level=level, benchmark="b", metric=trait, value=value, stderr=0.1)


def test_vectors_are_judged_against_those_of_the_mirrored_level_and_the_middle_against_none() -> None:
    rows = [each for level, position in FIVE.items() for each in scaled(level, position * 0.4)]
    (found,) = judge(summarise(rows, words=words(FIVE)))
    pairs = [[curve.family.level for curve in finding.curves] for finding in found.found]
    assert pairs == [["much", "none"], ["more", "little"]]
    assert [finding.change.value for finding in found.found] == [2.4000000000000004, 1.2000000000000002]
    assert [finding.verdict for finding in found.found] == ["moves", "moves"]


def test_a_level_alone_should_move_to_its_own_side() -> None:
    rows = [*scaled("none", -0.4), *scaled("more", -0.4, "warmth")]
    (found,) = judge(summarise(rows, words=words(FIVE)))
    assert {each.subject.trait: (each.sign, each.verdict) for each in found.found} == {
        "wit": (-1.0, "shifts"), "warmth": (1.0, "reversed"),
    }  # fmt: skip


def test_conditions_are_judged_by_their_outermost_levels_on_both_sides() -> None:
    rows = [told("more", 0.9), told("some", 0.2), told("little", -0.9)]
    (found,) = judge(summarise(rows, words=words(FIVE)))
    (gap,) = found.found
    assert gap.change.value == 1.8
    (found,) = judge(summarise([told("more", 0.9), told("much", 2)], words=words(FIVE)))
    assert not found.found


def test_two_vocabularies_are_kept_apart_by_their_arms() -> None:
    both = Vocabulary.joined([words(TWO, "evil"), words({"high": 1.0, "low": -1.0}, "openness")])
    rows = [
        *scaled("present", 0.4, "evil", "own"), *scaled("absent", -0.4, "evil", "own"),
        *scaled("high", 0.4, "openness", "five"), *scaled("low", -0.4, "openness", "five"),
    ]  # fmt: skip
    (found,) = judge(summarise(rows, words=both))
    pairs = {tuple(curve.family.level for curve in each.curves): each.verdict for each in found.found}
    assert pairs == {("present", "absent"): "moves", ("high", "low"): "moves"}


def test_sentences_charts_and_tables_name_the_levels_in_their_order() -> None:
    own = words(TWO, "evil")
    rows = [*scaled("absent", -0.4, "evil"), *scaled("present", 0.4, "evil"), told("absent", -1, "evil"),
            told("present", 1, "evil")]  # fmt: skip
    judged = judge(summarise(rows, words=own))
    assert "Present and absent come apart" in " ".join(headline(judged[0]))
    page = render_page(rows, about(), judged)
    assert "present minus absent" in page
    assert "high" not in page.partition("<main")[2].replace("highest", "").replace("var(--high)", "").lower().split()
    assert [role_of(level, own) for level in ("present", "absent", "high")] == ["high", "low", "other"]
    levels = [each.level for each in subjects_in_order(each.benchmark for each in judged) if each.arm == "prompts"]
    assert levels == ["present", "absent"]
    panels = [panel.title for chart in charts_of(judged) for panel in chart.panels]
    assert "evil" in panels
    assert "Present minus absent" in panels


def test_a_measured_trait_of_no_vocabulary_is_shown_last_and_not_left_out() -> None:
    rows = [
        row(arm="prompts", method="prompt", trait="wit", level=level, benchmark="b", metric=metric, value=1.0)
        for level in ("much", "none") for metric in ("psychopathy", "openness", "wit", "wit.expected", "facet:puns")
    ]  # fmt: skip
    (benchmark,) = summarise(rows, words=words(FIVE))
    assert benchmark.main_metrics == ["wit", "openness", "psychopathy"]
    assert "psychopathy" in render_page(rows, about(), judge([benchmark]))
