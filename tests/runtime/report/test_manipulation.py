"""Whether conditions differ at all: invented answers, and a recorded batch whose prompts never reached the model."""

from __future__ import annotations

import json
import os
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
import pytest

from traitgraph.runtime.report.manipulation import Omnibus, omnibus

if TYPE_CHECKING:
    from traitgraph.runtime.report.manipulation import Values

RECORDED = os.environ.get("TRAITGRAPH_RECORDED_ANSWERS", "")
"""A file of recorded questionnaire answers that may not be redistributed."""


def drawn(shift: float, seed: int = 0, repeats: int = 5) -> Values:
    """Ten conditions that answer forty items, each repeat drawn anew; the first half of them shifted."""
    rng = np.random.default_rng(seed)
    values = rng.normal(3, 0.5, (1, 1, 40)) + rng.normal(0, 0.5, (10, repeats, 40))
    values[:5] += shift
    return values


def test_conditions_that_are_drawn_from_one_distribution_do_not_differ() -> None:
    found = [omnibus(drawn(0.0, seed)) for seed in range(20)]
    assert not any(each is None or each.differ for each in found)


def test_so_few_answers_that_a_difference_would_not_show_exclude_none() -> None:
    """The limit is that of the ratio of variances: F is as low as its distribution gives it in one case of 40."""
    from scipy import stats

    for conditions, shown in ((10, True), (2, False)):
        values = drawn(0.0, seed=3)[:conditions, :, : 40 if shown else 10]
        found = omnibus(values)
        assert found is not None
        assert found.f is not None
        ratio = max(0.0, found.f / stats.f.ppf(0.025, (conditions - 1) * values.shape[2], found_free(values)) - 1) / 5
        assert found.limit == pytest.approx(ratio / (1 + ratio))
        assert (found.differ, found.excludes_differences) == (False, shown)


def found_free(values: Values) -> int:
    """Degrees of freedom within conditions and items."""
    return values.shape[0] * (values.shape[1] - 1) * values.shape[2]


def test_a_shift_of_half_a_point_differs() -> None:
    found = omnibus(drawn(0.5))
    assert found is not None
    assert found.differ


def test_the_omnibus_test_is_an_analysis_of_variance_over_conditions() -> None:
    """Of one item it is scipy's own one-way test."""
    from scipy import stats

    values = drawn(0.3)[:, :, :1]
    found, known = omnibus(values), stats.f_oneway(*values[:, :, 0])
    assert found is not None
    assert (found.f, found.p) == pytest.approx((known.statistic, known.pvalue))


def test_answers_that_are_missing_are_left_out() -> None:
    """An item with an answer under one condition only says nothing; the others count as they are."""
    values = drawn(0.5)
    lacking = np.concatenate([values, np.full((10, 5, 1), np.nan)], axis=2)
    lacking[0, 0, 40] = 3.0
    assert omnibus(lacking) == omnibus(values)
    assert omnibus(np.full((10, 5, 1), np.nan)) is None


def test_without_draws_any_difference_counts() -> None:
    values = np.full((2, 5, 4), 3.0)
    assert omnibus(values) == Omnibus(None, None, False)
    values[0, :, 0] = 3.02
    assert omnibus(values) == Omnibus(None, None, True)


@pytest.mark.skipif(not RECORDED, reason="TRAITGRAPH_RECORDED_ANSWERS names no file of recorded answers")
@pytest.mark.parametrize("form", ["bfi-44", "ipip-neo-120"])
@pytest.mark.parametrize(("batch", "differ"), [("first", False), ("published", True)])
def test_the_recorded_batch_that_failed_is_known(form: str, batch: str, differ: bool) -> None:
    """In the first one ten persona prompts gave one profile; the authors replaced it by another run."""
    rows = [json.loads(line) for line in Path(RECORDED).read_text(encoding="utf-8").splitlines()]
    wanted = (batch, "gpt-4o-mini", "prompt_instruction", form)
    named = ("batch", "model", "method", "questionnaire")
    runs = [row["runs"] for row in rows if wanted == tuple(row[name] for name in named)]
    assert len(runs) == 10
    found = omnibus(np.array(runs, dtype=float))
    assert found is not None
    assert found.differ == differ
