"""Comparisons across subjects stand in a section of their own, and count as no subject."""

from __future__ import annotations

import re
from itertools import combinations

from traitgraph.runtime.report.comparisons import MOST_SHOWN, comparisons_section
from traitgraph.runtime.report.page import render_page
from traitgraph.runtime.results.table import ResultRow
from traitgraph.specs.study.vocabulary import BIG_FIVE

from .rows import about, row, study_rows

TRAITS = tuple(BIG_FIVE.traits)


def compared(benchmark: str, values: dict[str, float | None], job: str = "j1", alpha: str = "") -> list[ResultRow]:
    shared = {"arm": "vectors", "model": "", "alpha": alpha, "benchmark": benchmark, "job": job}
    return [row(**shared, metric=metric, value=value) for metric, value in values.items()]


def numbers_of(markup: str) -> list[str]:
    return re.findall(r"<td[^>]*>([^<]+)</td>", markup)


def test_cosines_stand_in_a_square_table_twice_each() -> None:
    found = comparisons_section(compared("vector_similarity", {"a ~ b": 0.5, "a ~ c": -0.25, "b ~ c": None}))
    assert found is not None
    assert numbers_of(found) == ["0.50", "\u22120.25", "0.50", "\u2013", "\u22120.25", "\u2013"]


def test_layers_are_columns() -> None:
    found = comparisons_section(compared("vector_similarity", {"a ~ b, layer 0": 0.5, "a ~ b, layer 1": 0.25}))
    assert found is not None
    assert numbers_of(found) == ["0.50", "0.25"]
    assert "layer by layer" in found


def test_a_distance_stands_beside_that_of_shuffled_scores() -> None:
    values: dict[str, float | None] = {f"{a} ~ {b}": 0.1 for a, b in combinations(TRAITS, 2)}
    values |= {"distance": 1.0, "distance.shuffled": 1.5, "distance.shuffled_share": 0.02, "left_out": 2}
    table = compared("trait_correlation mini-ipip", values, alpha="0.5")
    found = comparisons_section(table, {"j1": "people.json sha256:0abc"})
    assert found is not None
    assert "trait_correlation mini-ipip: vectors, alpha 0.5" in found
    assert "Correlations of the measured scores over 12 conditions. " in found
    assert "Distance to the reference people.json sha256:0abc: 1.00; " in found
    assert "with scores shuffled over conditions 1.50, and 2% of the shuffles" in found
    assert "left out: 2" in found


def distance_to(neuroticism: float) -> str:
    """The sentence about a distance to a matrix in which neuroticism correlates so with conscientiousness."""
    reference = {f"reference.{a} ~ {b}": 0.2 for a, b in combinations(TRAITS, 2) if b != "neuroticism"}
    reference |= {f"reference.{a} ~ neuroticism": -0.2 for a in TRAITS[:-1]}
    reference["reference.conscientiousness ~ neuroticism"] = neuroticism
    measured = {f"{a} ~ {b}": 0.1 for a, b in combinations(TRAITS, 2)} | {"distance": 1.0}
    found = comparisons_section(compared("trait_correlation q", {**measured, **reference}), {"j1": "people.json"})
    assert found is not None
    assert len(numbers_of(found)) == 20, "the reference is no table of its own"
    return found


def test_a_reference_that_was_reversed_twice_is_named() -> None:
    """In every sample of people the neurotic are less conscientious; a positive sign is that of a slip."""
    assert "neuroticism correlates positively with conscientiousness +0.19" in distance_to(0.19)
    assert "reversed twice" not in distance_to(-0.19)


def test_the_page_counts_subjects_without_comparisons() -> None:
    lede = re.compile(r'class="lede">([^<]*)<')
    plain = render_page(study_rows(), about())
    both = render_page([*study_rows(), *compared("vector_similarity", {"a ~ b": 0.5})], about())
    assert lede.findall(both) == lede.findall(plain)
    assert 'id="comparisons"' in both
    assert 'id="comparisons"' not in plain


def test_a_sweep_of_comparisons_does_not_flood_the_page() -> None:
    rows = [each for n in range(MOST_SHOWN + 3) for each in compared("vector_similarity", {"a ~ b": 0.5}, f"j{n}")]
    found = comparisons_section(rows)
    assert found is not None
    assert found.count("<figure>") == MOST_SHOWN
    assert "3 more comparisons" in found
