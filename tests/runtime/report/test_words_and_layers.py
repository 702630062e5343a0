"""Word categories and hidden states in the report: small multiples by category, correlations with the level, layers."""

from __future__ import annotations

import re

import pytest

from traitgraph.runtime.report.charts import Panel, condition_chart, layer_charts, strength_charts
from traitgraph.runtime.report.comparisons import levels_section
from traitgraph.runtime.report.findings import findings_of
from traitgraph.runtime.report.page import render_page
from traitgraph.runtime.results.summaries import MOST_CATEGORIES, BenchmarkScores, summarise
from traitgraph.runtime.results.table import ResultRow

from .rows import about, row, study_rows

SHARES = {"joy": 0.02, "self": 0.10}
SIGNS = {"high": 1, "low": -1}


def word_rows(
    categories: dict[str, float] | None = None, alphas: tuple[str, ...] = ("0", "0.5", "1")
) -> list[ResultRow]:
    """A base model and a vector at both levels: joy grows with alpha where the level is high, self does not move."""
    found = _texts({"arm": "base", "method": "direct"}, categories or SHARES, 0.0)
    for level, sign in SIGNS.items():
        for alpha in alphas:
            subject = {"arm": "vectors", "method": "vector", "trait": "extraversion", "level": level, "alpha": alpha}
            found += _texts(subject, categories or SHARES, sign * float(alpha) / 100)
    return found


def _texts(subject: dict[str, str], categories: dict[str, float], push: float) -> list[ResultRow]:
    metrics: list[dict[str, object]] = [
        {"metric": name, "value": share + (push if name == "joy" else 0), "stderr": 0.001}
        for name, share in categories.items()
    ]
    metrics.append({"metric": "words", "value": 300.0, "stderr": 4.0})
    metrics += [{"metric": name, "value": 0.0, "role": "validity"} for name in ("empty_texts", "cut_texts")]
    return [row(**subject, **each, benchmark="linguistic", n=5) for each in metrics]


def layer_rows() -> list[ResultRow]:
    """Cosines that fall with depth and with alpha, over three layers."""
    subjects: list[tuple[dict[str, str], float]] = [({"arm": "base", "method": "direct"}, 0.0)]
    for level in SIGNS:
        for alpha in ("0.5", "1"):
            where = {"arm": "vectors", "method": "vector", "trait": "openness", "level": level, "alpha": alpha}
            subjects.append((where, float(alpha)))
    return [
        row(**subject, benchmark="layer_similarity", metric=f"layer {layer}", value=1 - push * layer / 10, stderr=0.01)
        for subject, push in subjects
        for layer in range(3)
    ]


def only(rows: list[ResultRow]) -> BenchmarkScores:
    (benchmark,) = summarise(rows)
    return benchmark


def test_each_category_is_a_panel_with_its_own_range() -> None:
    """A share of 2 % is not drawn on the scale of a number of words."""
    (chart,) = strength_charts(only(word_rows()))
    panels = {panel.title: panel for panel in chart.panels if isinstance(panel, Panel)}
    assert list(panels) == ["words", "joy", "self"]
    assert panels["joy"].y_range[1] < 0.05 < panels["self"].y_range[1] < 0.2
    assert [line.name for line in panels["joy"].lines] == ["vectors high", "vectors low"]
    assert [reference.y for reference in panels["joy"].references] == [0.02]
    assert "over texts" in chart.note


def test_a_large_lexicon_does_not_flood_the_page() -> None:
    many = {f"category {number}": 0.01 for number in range(64)}
    (chart,) = strength_charts(only(word_rows(many)))
    assert len(chart.panels) == 1 + MOST_CATEGORIES


def test_a_share_is_no_score_that_could_be_lost() -> None:
    for rows in (word_rows(), layer_rows()):
        assert findings_of(only(rows)) == []
    page = render_page([*word_rows(), *layer_rows()], about())
    assert 'id="moved"' not in page
    assert "Correlation of score with strength" not in page
    assert 'id="moved"' in render_page([*study_rows(), *word_rows()], about())


def test_categories_are_correlated_with_the_level() -> None:
    """Point-biserial r by hand: joy is 0.025, 0.03 at high and 0.015, 0.01 at low; strength 0 is left out."""
    found = levels_section([only(word_rows())])
    assert found is not None
    assert re.findall(r"<td[^>]*>([^<]+)</td>", found) == ["\u2013", "0.95", "\u2013"]
    assert "n = 4" in found
    spread = [0.005, 0.01, -0.005, -0.01]
    by_hand = sum(0.5 * abs(each) for each in spread) / (sum(each**2 for each in spread) * 4 * 0.25) ** 0.5
    assert by_hand == pytest.approx(0.95, abs=0.005)


def test_one_subject_a_level_has_no_correlation() -> None:
    """Two points always lie on a line."""
    assert levels_section([only(word_rows(alphas=("0", "1")))]) is None


def test_layers_are_drawn_at_the_largest_strength() -> None:
    (chart,) = layer_charts(only(layer_rows()))
    assert chart.title == "layer_similarity · vectors · alpha 1"
    (panel,) = chart.panels
    assert isinstance(panel, Panel)
    assert [[(mark.x, mark.y) for mark in line.marks] for line in panel.lines] == [[(0, 1.0), (1, 0.9), (2, 0.8)]] * 2
    assert layer_charts(only(word_rows())) == []


def test_of_hidden_states_the_last_layer_stands_for_all_in_curves_and_tables() -> None:
    benchmark = only(layer_rows())
    assert benchmark.main_metrics == ["layer 2"]
    (chart,) = strength_charts(benchmark)
    assert chart.title == "layer_similarity · layer 2"
    (panel,) = chart.panels
    assert isinstance(panel, Panel)
    assert 0.7 < panel.y_range[0] < 0.8
    assert panel.y_range[1] > 1
    assert condition_chart(benchmark) is None
