"""Axes of numbers: exact, in order, each value once; ranges that miss their end are refused."""

from __future__ import annotations

from decimal import Decimal

import pytest
from hypothesis import given
from hypothesis import strategies as st
from pydantic_core import PydanticCustomError, ValidationError

from traitgraph.specs.fields.axes import values_of, whole_numbers
from traitgraph.specs.source.hashing import number_text
from traitgraph.specs.study.traits import PerTrait, alphas


def texts(value: object) -> list[str]:
    return [number_text(number) for number in values_of(value)]


def fault(value: object) -> str:
    with pytest.raises((ValidationError, PydanticCustomError)) as caught:
        values_of(value)
    problem = caught.value
    if isinstance(problem, ValidationError):
        return "; ".join(f"{'.'.join(map(str, each['loc']))}: {each['msg']}" for each in problem.errors())
    return str(problem)


def test_a_value_is_an_axis_of_one() -> None:
    assert texts(0.5) == ["0.5"]


def test_tenths_from_a_tenth_to_two_are_exactly_twenty() -> None:
    values = texts({"from": 0.1, "to": 2.0, "step": 0.1})
    assert len(values) == 20
    assert values[:3] == ["0.1", "0.2", "0.3"]
    assert values[-1] == "2"


def test_a_negative_step_counts_down() -> None:
    assert texts({"from": 1, "to": -1, "step": -0.5}) == ["1", "0.5", "0", "-0.5", "-1"]


def test_a_list_may_hold_ranges() -> None:
    assert texts([-1, 0, {"from": 0.5, "to": 1, "step": 0.5}]) == ["-1", "0", "0.5", "1"]


def test_a_count_spaces_evenly_and_keeps_both_ends() -> None:
    assert texts({"from": 0, "to": 1, "count": 4}) == ["0", "0.333333333333", "0.666666666667", "1"]


def test_a_log_range_multiplies_by_equal_factors() -> None:
    assert texts({"log": {"from": 0.01, "to": 100, "count": 5}}) == ["0.01", "0.1", "1", "10", "100"]


@pytest.mark.parametrize(
    ("value", "message"),
    [
        ([], "this list is empty: it leaves nothing to run"),
        ([1, 1.0], "1: '1' stands twice in the axis"),
        ("x", "`x` is not a number"),
        ([True], "0: `true` is not a number"),
        ({"from": 0, "to": 1, "step": 0}, "step: a step of 0 goes nowhere"),
        ({"from": 0, "to": 1, "step": 3}, "step: one step of 3 from 0 is already past 1"),
        ({"from": 0.1, "to": 2, "step": 0.3}, "step: the step never reaches 2: 0.1 + 6 x 0.3 = 1.9, and then 2.2"),
        (
            {"from": 1, "to": 0, "step": 0.1},
            "step: a step of 0.1 leads away from 0: turn its sign, or swap the ends",
        ),
        ({"from": 0, "to": 1, "step": 1e-9}, "step: the range has more than 100000 values"),
        ({"from": 0, "to": 1e300, "step": 1e-300}, "step: the range has more than 100000 values"),
        ({"from": 1, "to": 1, "count": 2}, "to: both ends of the range are 1: write the value alone"),
        ({"from": 1, "ot": 2, "step": 1}, "to: `to` is missing; ot: unknown key 'ot'"),
        ({"from": 1, "too": 2, "step": 1}, "too: unknown key 'too'"),
        (["x", {"from": 0, "to": 1, "step": 0}, 1], "0: `x` is not a number; 1.step: a step of 0 goes nowhere"),
        ({"log": {"from": 0, "to": 1, "count": 3}}, "log.from: Input should be greater than 0"),
    ],
)  # fmt: skip
def test_a_wrong_axis_says_why_and_where(value: object, message: str) -> None:
    assert fault(value) == message


@given(
    start=st.decimals(-100, 100, places=3),
    step=st.decimals(-5, 5, places=3).filter(lambda step: step != 0),
    count=st.integers(1, 200),
)
def test_a_range_whose_end_is_hit_has_every_step(start: Decimal, step: Decimal, count: int) -> None:
    """from + k * step for k = 0 .. n, without rounding."""
    stop = start + (count - 1) * step
    expected = [start + index * step for index in range(count)]
    if count == 1:
        expected = [start]
    assert list(values_of({"from": float(start), "to": float(stop), "step": float(step)})) == expected


@given(
    start=st.decimals(0, 100, places=2),
    stop=st.decimals(101, 200, places=2),
    count=st.integers(2, 50),
)
def test_a_range_by_count_has_that_many_rising_values(start: Decimal, stop: Decimal, count: int) -> None:
    values = values_of({"from": float(start), "to": float(stop), "count": count})
    assert len(values) == count
    assert (values[0], values[-1]) == (start, stop)
    assert list(values) == sorted(set(values))


def test_whole_numbers_refuse_fractions() -> None:
    assert whole_numbers({"from": 0, "to": 4, "step": 2}) == (0, 2, 4)
    with pytest.raises(PydanticCustomError, match=r"0\.5 is not a whole number"):
        whole_numbers([0, 0.5])


def test_alpha_may_be_an_axis_for_each_trait() -> None:
    alpha = alphas({"openness": 0.5, "neuroticism": [0.1, 0.2]})
    assert isinstance(alpha, PerTrait)
    assert alpha.axes == {"openness": (Decimal("0.5"),), "neuroticism": (Decimal("0.1"), Decimal("0.2"))}


def test_a_wrong_trait_among_alphas_is_one_of_several_faults() -> None:
    with pytest.raises(ValidationError) as caught:
        alphas({"openness": "x", "neurotism": 1})
    assert [each["type"] for each in caught.value.errors()] == ["number_type", "unknown_key"]
