"""Reliability over forms, against formulas worked out by other means."""

from __future__ import annotations

import re

import numpy as np
import pytest

from traitgraph.runtime.report.reliability import Reliability, forms_section, reliability, spread
from traitgraph.runtime.results.summaries import summarise

from .rows import row


def test_the_published_table_of_shrout_and_fleiss() -> None:
    """Six targets by four judges (Shrout and Fleiss 1979, table 2): ICC(2,1) is .29, ICC(3,4) is .91."""
    ratings = np.array(
        [[9, 2, 5, 8], [6, 1, 3, 2], [8, 4, 6, 8], [7, 1, 2, 6], [10, 5, 6, 9], [6, 2, 4, 7]], dtype=float
    )
    found = reliability(ratings)
    assert found.single is not None
    assert found.alpha is not None
    assert (round(found.single, 2), round(found.alpha, 2)) == (0.29, 0.91)


def test_alpha_is_that_of_the_variances_of_parts_and_sum() -> None:
    rng = np.random.default_rng(5)
    scores = rng.normal(size=(7, 12)) + rng.normal(size=(7, 1)) * 2 + rng.normal(size=(1, 12))
    alpha = 12 / 11 * (1 - scores.var(axis=0, ddof=1).sum() / scores.sum(axis=1).var(ddof=1))
    assert reliability(scores).alpha == pytest.approx(alpha)


def test_what_cannot_be_told_is_told_so() -> None:
    """One subject, one form, or subjects that are all alike: None, never 0 or 1."""
    nothing = Reliability(None, None)
    assert reliability(np.ones((1, 5))) == reliability(np.arange(4.0)[:, None]) == nothing
    assert reliability(np.tile(np.arange(5.0), (3, 1))) == nothing


def test_the_spread_of_an_axis_leaves_the_others_out() -> None:
    """Two wordings a point apart under two orders two points apart: each axis has its own."""
    scores = np.array([[1.0, 2.0, 3.0, 4.0], [2.0, 3.0, 4.0, 5.0]])
    deviation, widest = spread(scores, ["accurate", "agree", "accurate", "agree"])
    assert deviation == pytest.approx(np.sqrt(0.5))
    assert widest == 1
    assert spread(scores, ["forward", "forward", "backward", "backward"])[1] == 2


def test_the_page_has_a_table_for_each_set_of_forms() -> None:
    """Two arms that ask one benchmark in other forms: a table each, with the figures of its own subjects."""
    rows, rng = [], np.random.default_rng(2)
    orders, labels = ("forward", "backward"), ("letters", "digits", "words")
    for arm, forms in (
        ("one", [f"option_order={order},labels={label}" for order in orders for label in labels]),
        ("two", [f"labels={label}" for label in labels]),
    ):
        for alpha in ("1", "2", "3"):
            about = {"arm": arm, "alpha": alpha, "method": "vector", "benchmark": "asked"}
            rows.append(row(**about, metric="openness.expected", value=3.0))
            if arm == "one":
                turned = {"metric": "openness.labels_sensitivity", "value": 0.25, "role": "validity"}
                rows.append(row(**about, **turned))
            for form in forms:
                rows.append(row(**about, metric="openness", value=2.0, repeat=0))
                value = float(alpha) + rng.normal() / 10
                rows.append(row(**about, metric="openness.expected", value=value, form=form))
                rows.append(row(**about, metric="option_mass", value=0.9, form=form, role="validity"))
    (benchmark,) = summarise(rows)
    assert {name: len(each) for name, each in benchmark.scores.items()} == {"openness.expected": 6, "openness": 6}
    assert {score.value for score in benchmark.scores["openness.expected"].values()} == {3.0}
    text = " ".join(re.sub(r"<[^>]+>", " ", str(forms_section([benchmark]))).split())
    assert "asked: 6 forms (option order 2 x labels 3)" in text
    assert "asked: 3 forms (labels 3)" in text
    one = np.array([row["value"] for row in benchmark.forms if row["arm"] == "one" and "openness" in row["metric"]])
    found = reliability(one.reshape(3, 6))
    assert found.single is not None
    deviation, widest = spread(one.reshape(3, 6), list(labels) * 2)
    assert f"{deviation:.2f} ({widest:.2f}) 25% 10% to 10% {found.single:.2f}" in text
