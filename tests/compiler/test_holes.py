"""Holes of composed arms, against every point written out: one vector has the trait, the level and the alpha."""

from __future__ import annotations

from itertools import product

import pytest

from traitgraph.specs.source.diagnostics import SpecError

from .specs import plan_of, study_of

COMPOSED = """\
study: composed
model: owner/model
traits: [extraversion, openness]
data: owner/dialogues
train: {method: sft, learning_rate: 1e-4, steps: 10}
method: compose
alpha: {openness: [0.1, 0.2, 0.3], extraversion: [0.2, 0.5]}
benchmarks: [mini-ipip]
"""

Vector = tuple[str, str, float]
POINTS = [
    (("openness", low, a), ("extraversion", high, b))
    for low, high, a, b in product(("high", "low"), ("high", "low"), (0.1, 0.2, 0.3), (0.2, 0.5))
]


def conditions(hole: str) -> int:
    (arm,) = plan_of(COMPOSED + hole).arms
    assert len(POINTS) - arm.excluded == arm.conditions
    return arm.conditions


def test_a_vector_that_has_all_that_is_named_takes_its_point_out() -> None:
    def is_hole(vector: Vector) -> bool:
        return vector[:2] == ("openness", "low")

    assert conditions("exclude: [{trait: openness, level: low}]") == sum(not any(map(is_hole, p)) for p in POINTS)


def test_an_alpha_belongs_to_its_trait() -> None:
    of_any = [point for point in POINTS if not any(alpha == 0.2 for _, _, alpha in point)]
    assert conditions("exclude: [{alpha: 0.2}]") == len(of_any)
    of_one = [point for point in POINTS if ("openness", 0.2) not in {(trait, alpha) for trait, _, alpha in point}]
    assert conditions("exclude: [{trait: openness, alpha: 0.20}]") == len(of_one)


def test_a_rule_looks_at_one_vector_at_a_time() -> None:
    def is_kept(point: tuple[Vector, Vector]) -> bool:
        condition = any(trait == "openness" and level == "high" for trait, level, _ in point)
        return not condition or any(trait == "extraversion" and alpha == 0.5 for trait, _, alpha in point)

    rule = "when: [{if: {trait: openness, level: high}, only: {trait: extraversion, alpha: 0.5}}]"
    assert conditions(rule) == sum(map(is_kept, POINTS))


@pytest.mark.parametrize("hole", ["{trait: openness}", "{level: [high, low]}"])
def test_a_composed_arm_of_which_nothing_is_left_is_a_fault(hole: str) -> None:
    with pytest.raises(SpecError, match="nothing is left"):
        study_of(COMPOSED + f"exclude: [{hole}]")


def test_a_value_of_another_trait_matches_nothing() -> None:
    with pytest.raises(SpecError, match="matches nothing"):
        study_of(COMPOSED + "exclude: [{trait: extraversion, alpha: 0.1}]")
