"""Holes in the product of the axes: which points an arm runs."""

from __future__ import annotations

from decimal import Decimal
from itertools import product
from pathlib import Path

from tests.specs.reading import FLAT, faults_of, study_of
from traitgraph.specs.study.filters import Filter, same
from traitgraph.specs.study.merge_methods import Dare, Ties
from traitgraph.specs.study.models import HubModelSpec
from traitgraph.specs.study.study import Arm

ARMS = (
    FLAT.replace("traits: all", "traits: openness")
    .replace("method: vector\n", "")
    .replace("{from: 0.1, to: 2.0, step: 0.1}", "[0.1, 0.2, 0.4]")
    + "arms: {one: {method: vector}, two: {method: vector, merge: [ties, {kind: dare, density: 0.3}]}}\n"
)


def points(arm: Arm) -> list[dict[str, object]]:
    axes = arm.axes()
    every = (dict(zip(axes, values, strict=True)) for values in product(*axes.values()))
    return [point for point in every if arm.admits(point)]


def alphas(arm: Arm) -> list[str]:
    return [str(point["alpha"]) for point in points(arm) if point["level"] == "high"]


def test_exclude_takes_points_out_of_the_arms_it_speaks_of(tmp_path: Path) -> None:
    one, two = study_of(ARMS + "exclude: [{arm: two, alpha: 0.4, merge: ties}]\n", tmp_path).arms
    assert alphas(one) == ["0.1", "0.2", "0.4"]
    assert alphas(two) == ["0.1", "0.2", "0.1", "0.2", "0.4"]


def test_exclude_without_an_arm_speaks_of_all(tmp_path: Path) -> None:
    one, two = study_of(ARMS + "exclude: [{alpha: [0.1, 0.2]}]\n", tmp_path).arms
    assert (alphas(one), alphas(two)) == (["0.4"], ["0.4", "0.4"])


def test_when_keeps_only_some_values_where_a_condition_holds(tmp_path: Path) -> None:
    _, two = study_of(
        ARMS + "when: [{if: {merge: ties}, only: {alpha: {from: 0.1, to: 0.2, step: 0.1}}}]\n", tmp_path
    ).arms
    assert alphas(two) == ["0.1", "0.2", "0.1", "0.2", "0.4"]


def test_include_adds_points_beside_the_product(tmp_path: Path) -> None:
    one, two = study_of(ARMS + "include: [{arm: one, alpha: 3}]\n", tmp_path).arms
    assert [each.axes() for each in one.included] == [{"alpha": (Decimal(3),)}]
    assert two.included == ()


def test_zip_of_the_study_concerns_the_arms_that_have_its_axes(tmp_path: Path) -> None:
    text = ARMS.replace("one: {method: vector", "base: {method: direct}, one: {method: vector")
    text = text.replace("[0.1, 0.2, 0.4]", "[0.1, 0.2]").replace("arms:", "zip: [[level, alpha]]\narms:")
    base, one, _ = study_of(text, tmp_path).arms
    assert base.zip == ()
    assert one.zip == (("level", "alpha"),)


def test_a_merge_method_matches_by_the_options_that_are_named() -> None:
    assert same(Ties(), Ties(density=0.5))
    assert same(Ties(density=0.5), Ties(density=0.5))
    assert not same(Ties(density=0.5), Ties(density=0.2))
    assert not same(Ties(), Dare())


def test_a_model_matches_by_its_name() -> None:
    assert same("mine", HubModelSpec(name="mine", id="a/b"))


def test_a_filter_matches_nothing_on_an_axis_that_a_point_lacks() -> None:
    assert not Filter(alpha=(Decimal(1),)).matches({"level": "high"})
    assert Filter().matches({"level": "high"})


def test_an_arm_of_which_nothing_is_left_is_a_fault(tmp_path: Path) -> None:
    (fault,) = faults_of(ARMS + "exclude: [{arm: one, level: [high, low]}]\n", tmp_path)
    assert fault == "TG126 arms.one: nothing is left of the arm 'one': `exclude` and `when` take every point of it"


def test_what_is_included_is_left(tmp_path: Path) -> None:
    text = ARMS + "exclude: [{arm: one, level: [high, low]}]\ninclude: [{arm: one, alpha: 3}]\n"
    assert not faults_of(text, tmp_path)


def test_a_rule_leaves_arms_alone_that_lack_the_axis_it_keeps_values_of(tmp_path: Path) -> None:
    """The baseline is not lost because it has no alpha."""
    text = ARMS.replace("one: {method: vector}", "one: {method: sft}")
    one, two = study_of(text + "when: [{if: {level: high}, only: {alpha: 0.1}}]\n", tmp_path).arms
    assert (len(one.rules), len(two.rules)) == (0, 1)


def test_points_beside_the_product_are_of_arms_that_can_have_them(tmp_path: Path) -> None:
    text = ARMS.replace("one: {method: vector}", "one: {method: vector, traits: extraversion}")
    one, two = study_of(text + "include: [{trait: openness, alpha: 3}]\n", tmp_path).arms
    assert (len(one.included), len(two.included)) == (0, 1)


def test_an_arm_is_known_by_a_name_that_looks_like_a_number(tmp_path: Path) -> None:
    one, _ = study_of(ARMS.replace("one:", "1:") + "exclude: [{arm: 1, alpha: 0.4}]\n", tmp_path).arms
    assert alphas(one) == ["0.1", "0.2"]


def test_what_is_left_is_found_behind_any_number_of_points(tmp_path: Path) -> None:
    text = FLAT.replace("{from: 0.1, to: 2.0, step: 0.1}", "{from: 0.0001, to: 2.0, step: 0.0001}")
    others = "[openness, conscientiousness, extraversion, agreeableness]"
    assert not faults_of(text + f"exclude: [{{trait: {others}}}]\n", tmp_path)
    (fault,) = faults_of(text + "exclude: [{level: high}, {level: low}]\n", tmp_path)
    assert fault.startswith("TG126")


def test_holes_without_any_arm_are_not_looked_at(tmp_path: Path) -> None:
    text = FLAT.replace("method: vector\n", "") + "arms: []\nexclude: [{alpha: 0.4}]\n"
    assert [fault[:5] for fault in faults_of(text, tmp_path)] == ["TG103"]


def test_a_hole_is_not_told_to_have_no_axis_whose_values_are_faulty(tmp_path: Path) -> None:
    (fault,) = faults_of(ARMS.replace("[0.1, 0.2, 0.4]", "much") + "exclude: [{alpha: 0.4}]\n", tmp_path)
    assert fault.startswith("TG103")
