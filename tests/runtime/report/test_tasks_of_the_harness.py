"""What a report says of a task: a loss goes the way the task says, and two readings of an answer may disagree."""

from __future__ import annotations

import pytest

from tests.runtime.report.rows import about, row
from traitgraph.runtime.report.page import render_page
from traitgraph.runtime.results.table import ResultRow


def scores(metric: str, values: list[float], **more: object) -> list[ResultRow]:
    """One vector at strengths 0, 1, 2; a thousand questions, so that every difference here is clear."""
    where = {"method": "vector", "arm": "v", "trait": "openness", "level": "high", "benchmark": "task", "n": 1000}
    return [
        row(
            **{
                **where,
                "alpha": str(alpha),
                "metric": metric,
                "value": value,
                "stderr": 0.01,
                "job": f"{alpha:032x}",
                **more,
            }
        )
        for alpha, value in enumerate(values)
    ]


def page(*rows: ResultRow) -> str:
    html = render_page(rows, about())
    return html[html.index('class="cards"') : html.index("The rules behind")]


@pytest.mark.parametrize(
    ("values", "higher", "loss"),
    [
        ([0.9, 0.7, 0.3], True, True),
        ([0.3, 0.7, 0.9], True, False),
        ([0.9, 0.7, 0.3], False, False),
        ([0.3, 0.7, 0.9], False, True),
        ([0.3, 0.9, 0.3], False, True),
    ],
)
def test_a_loss_goes_the_way_the_task_says(values: list[float], higher: bool, loss: bool) -> None:
    text = page(*scores("nll", values, higher_is_better=higher))
    assert ("A loss:" in text, "with a loss" in text) == (loss, loss)


@pytest.mark.parametrize("values", [[0.9, 0.3, 0.1], [0.1, 0.3, 0.9]])
def test_without_a_direction_there_is_no_verdict_and_that_is_said(values: list[float]) -> None:
    text = page(*scores("distance", values, higher_is_better=None))
    assert "No verdict on distance: the task does not say whether more is better (higher_is_better)." in text
    assert "loss" not in text


def test_the_direction_of_the_harness_own_metrics_is_known_without_a_word() -> None:
    """Results of an earlier version carry no direction."""
    assert "A loss:" in page(*scores("acc", [0.9, 0.7, 0.3]))


def filtered(strict: list[float], flexible: list[float]) -> list[ResultRow]:
    readings = {"strict-match": strict, "flexible-extract": flexible}
    return [
        each
        for name, values in readings.items()
        for each in scores(f"exact_match.{name}", values, higher_is_better=True, filter=name)
    ]


def test_an_order_of_subjects_that_turns_with_the_filter_is_flagged() -> None:
    """Strict: 0.50, 0.52, 0.40; flexible: 0.60, 0.50, 0.45: the first two change places, the others do not."""
    text = page(*filtered([0.50, 0.52, 0.40], [0.60, 0.50, 0.45]))
    assert "The filter decides who is better: the order by exact_match turns in 1 of 3 pairs of subjects" in text
    assert "strict-match 0.50 and 0.52, flexible-extract 0.60 and 0.50" in text


def test_filters_that_agree_and_metrics_that_are_no_filters_are_not_flagged() -> None:
    assert "The filter decides" not in page(*filtered([0.5, 0.4, 0.3], [0.6, 0.5, 0.4]))
    assert "The filter decides" not in page(*filtered([0.5, 0.4, 0.4], [0.6, 0.5, 0.6])), "a tie is no order"
    two = scores("few.acc", [0.5, 0.6, 0.4], higher_is_better=True) + scores("few.acc_norm", [0.6, 0.5, 0.4])
    assert "The filter decides" not in page(*two)


@pytest.mark.parametrize("values", [[0.5, 0.5, 0.5], [0.9, 0.7, 0.3]])
def test_a_metric_without_a_direction_takes_no_verdict_from_those_with_one(values: list[float]) -> None:
    """Wherever it stands among them."""
    text = page(*scores("distance", [3.0, 2.0, 1.0], higher_is_better=None), *scores("acc", values))
    assert "No verdict on distance" in text
    assert ("A loss:" in text) == (values[0] > values[-1])
    assert "acc" in text
