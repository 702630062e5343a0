"""Reliability over forms, against formulas worked out by other means."""

from __future__ import annotations

import numpy as np
import pytest

from traitgraph.runtime.report.reliability import Reliability, reliability, spread


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
