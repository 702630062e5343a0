"""What the report concludes: stated rules, checked on curves whose answer is plain."""

from __future__ import annotations

import pytest

from tests.runtime.report.rows import DOMAINS, about, row, study_rows
from traitgraph.runtime.assessment.measurement import correlation
from traitgraph.runtime.report.charts import Panel, strength_charts
from traitgraph.runtime.report.curves import Curve, curves_of, own_curves
from traitgraph.runtime.report.findings import Findings, judge, judge_task, smallest_loss
from traitgraph.runtime.report.headlines import headline
from traitgraph.runtime.report.labels import with_error
from traitgraph.runtime.report.page import render_page
from traitgraph.runtime.report.separation import Verdict
from traitgraph.runtime.report.validity import CHECKS, SUFFIXES, checks_of, faults_of, partial_faults_of
from traitgraph.runtime.results.statistics import Estimate, combined, spearman
from traitgraph.runtime.results.summaries import BenchmarkScores, summarise
from traitgraph.runtime.results.table import ResultRow
from traitgraph.specs.jobs.results import Cell


def curve_rows(
    values: list[float], level: str = "high", stderr: float | None = 0.1, first: float = 0.0, n: int = 12
) -> list[ResultRow]:
    return [
        row(method="vector", trait="openness", level=level, alpha=str(first + place / 2), benchmark="b",
            metric="openness", value=value, stderr=stderr, n=n)
        for place, value in enumerate(values)
    ]  # fmt: skip


def curve(
    values: list[float], level: str = "high", stderr: float | None = 0.1, first: float = 0.0, n: int = 12
) -> Curve:
    (found,) = own_curves(summarise(curve_rows(values, level, stderr, first, n))[0])
    return found


def levels(high: list[float], low: list[float], n: int = 12, first: float = 0.0) -> BenchmarkScores:
    """Both levels of one vector over the same strengths, 0.5 apart."""
    rows = [
        row(method="vector", trait="openness", level=level, alpha=str(first + place / 2), benchmark="b",
            metric="openness", value=value, stderr=0.1, n=n)
        for level, values in (("high", high), ("low", low)) for place, value in enumerate(values)
    ]  # fmt: skip
    return summarise(rows)[0]


def judged(name: str) -> Findings:
    return next(each for each in judge(summarise(study_rows())) if each.benchmark.name == name)


def found_in(rows: list[ResultRow]) -> Findings:
    (found,) = judge(summarise(rows))
    return found


def gap_verdict(high: list[float], low: list[float], n: int = 12, first: float = 0.0) -> Verdict:
    (found,) = judge([levels(high, low, n, first)])
    (finding,) = found.found
    assert finding.is_pair
    return finding.verdict


def verdict_alone(values: list[float], level: str = "high", stderr: float | None = 0.1) -> Verdict:
    (finding,) = found_in(curve_rows(values, level, stderr)).found
    return finding.verdict


def benchmark(name: str) -> BenchmarkScores:
    return next(each for each in summarise(study_rows()) if each.name == name)


def test_levels_that_come_apart_move() -> None:
    assert gap_verdict([0, 0.3, 0.5, 0.9], [0, -0.3, -0.5, -0.9]) == "moves"
    assert gap_verdict([0, -0.3, -0.5, -0.9], [0, 0.3, 0.5, 0.9]) == "reversed"
    assert gap_verdict([0, 0.1, 0.5, 0.9], [0, 0.1, 0.0, 0.1]) == "moves"


def test_a_shift_that_both_levels_share_is_no_success() -> None:
    """High and low both raise the score: the trait is not what moved, whatever is left between them."""
    (found,) = judge([levels([0, 0.5, 1.0, 1.5], [0, 0.4, 0.8, 1.2])])
    assert [finding.verdict for finding in found.found] == ["shared"]
    sentences = headline(found)
    assert sentences[0] == "High and low come apart as intended in 0 of 1 trait; both levels shift the same way in 1."
    assert "high by +1.50 ± 0.29, low by +1.20 ± 0.29; the gap between them is +0.30 ± 0.29" in sentences[2]
    assert gap_verdict([0, -0.5, -1.0, -1.5], [0, -0.5, -1.0, -1.4]) == "shared"


def test_a_shared_shift_is_not_green_on_its_card() -> None:
    rows = [
        row(method=method, arm=method, trait="openness", level=level, alpha=alpha, benchmark="b", metric="openness",
            value=value, stderr=0.1)
        for method, level, alpha, value in (
            ("direct", "", "", 0.0), ("vector", "high", "0", 0.0), ("vector", "low", "0", 0.0),
            ("vector", "high", "1", 1.5), ("vector", "low", "1", 1.4), ("prompt", "high", "", 1.5),
            ("prompt", "low", "", 1.0),
        )
    ]  # fmt: skip
    page = render_page([{**each, "trait": each["trait"] if each["level"] else ""} for each in rows], about())
    assert "both levels shift the same way" in page
    assert "under 0 of 1 condition; both levels shift the same way under 1" in page
    assert 'class="chip shared"' in page
    assert 'class="chip moves"' not in page


def test_what_moves_is_not_green_where_its_checks_fail() -> None:
    def page(correlation: float) -> str:
        rows = [
            row(method=method, trait="openness", level=level, alpha=alpha, benchmark="q", metric=metric, role=role,
                value=value if role == "score" else correlation, stderr=0.1)
            for method, level, alpha, value in (
                ("vector", "high", "0", 3.0), ("vector", "low", "0", 3.0), ("vector", "high", "1", 4.0),
                ("vector", "low", "1", 2.0), ("prompt", "high", "", 4.0), ("prompt", "low", "", 2.0),
            )
            for metric, role in (("openness", "score"), ("order_correlation", "validity"))
        ]  # fmt: skip
        return render_page(rows, about())

    assert page(0.9).count('class="chip moves"') == 3  # on the card, of the vector, of the prompt
    assert page(0.1).count('class="chip moves"') == 0
    assert "as intended, checks fail" in page(0.1)


def test_a_negated_vector_turns_the_gap_round() -> None:
    """With no strength above 0 the smallest is judged, where high should score below low."""
    assert gap_verdict([-0.9, -0.5, -0.3, 0], [0.9, 0.5, 0.3, 0], first=-1.5) == "moves"


def test_a_level_without_its_opposite_may_be_a_shift_of_everything() -> None:
    rows = [
        row(method="vector", trait="openness", level="high", alpha=alpha, benchmark="b", metric="openness", value=value,
            stderr=0.1)
        for alpha, value in (("0", 0.0), ("1", 2.0))
    ]  # fmt: skip
    found = found_in(rows)
    assert [finding.verdict for finding in found.found] == ["shifts"]
    assert "Without the opposite level this may be a shift of every answer." in headline(found)[0]


def test_levels_that_share_only_strength_zero_are_no_pair() -> None:
    """There both are the base, and a gap of nothing would count as a shown null."""
    found = found_in(curve_rows([0.0, 0.9], "high") + curve_rows([0.9, 0.0], "low", first=-0.5)).found
    assert [(each.subject.level, each.is_pair) for each in found] == [("high", False), ("low", False)]


def test_a_vector_without_a_level_is_no_gap() -> None:
    """Several traits may be pushed at once: nothing is high or low, under a task and under a trait."""
    named = {"arm": "both", "method": "vector", "trait": "openness"}
    rows = [
        row(**named, alpha=alpha, benchmark=benchmark, metric=metric, value=0.6, stderr=0.1)
        for benchmark, metric in (("task", "acc"), ("q", "openness")) for alpha in ("0", "1")
    ]  # fmt: skip
    found = [finding for each in judge(summarise(rows)) for finding in each.found]
    assert [finding.is_pair for finding in found] == [False, False]
    assert "high − low" not in render_page(rows, about())


def test_a_level_alone_that_fails_a_check_is_said_on_the_card() -> None:
    """Though most strengths pass it: the one that is judged does not."""
    rows = curve_rows([0.0, 0.5, 1.0])
    rows += [{**each, "metric": "parse_failures", "value": float(str(each["alpha"]) == "1.0"), "role": "validity"}
             for each in rows]  # fmt: skip
    (finding,) = found_in(rows).found
    assert (finding.verdict, finding.faults) == ("shifts", ("parse_failures",))
    assert "as intended, one level, checks fail" in render_page(rows, about())


def test_below_five_items_there_is_no_verdict() -> None:
    (few,) = judge([levels([0, 0.3, 0.5, 5.0], [0, -0.3, -0.5, -5.0], n=4)])
    assert [finding.verdict for finding in few.found] == ["few"]
    assert headline(few) == ["High and low come apart as intended in 0 of 1 trait; too few items in 1."]
    assert gap_verdict([0, 0.3, 0.5, 5.0], [0, -0.3, -0.5, -5.0], n=5) == "moves"


def test_few_items_need_a_larger_gap() -> None:
    """A gap of 2.3 standard errors is clear with 12 items a score, not with 5: t = 2.306 at 8 degrees of freedom."""
    gap = 2.3 * 0.1 * 2**0.5
    assert gap_verdict([0, gap], [0, 0], n=5) == "inconclusive"
    assert gap_verdict([0, gap], [0, 0], n=12) == "moves"


def test_equal_errors_add_their_degrees_of_freedom() -> None:
    """Welch and Satterthwaite: two means of 12 and equal errors have 22; one error alone has its own."""
    assert combined(1.0, [(0.1, 11), (0.1, 11)])[2] == pytest.approx(22)
    assert combined(1.0, [(0.1, 11), (0.0, 4)])[2] == pytest.approx(11)
    assert combined(1.0, [(0.0, 11), (0.0, 4)]) == (1.0, 0.0, 4)
    assert combined(1.0, [(0.1, 11), (None, None)]) == Estimate(1.0)


def test_a_level_without_its_opposite_is_judged_by_its_own_change() -> None:
    """Up is as intended for high, down for low."""
    assert verdict_alone([0, 0.3, 0.5, 0.9]) == "shifts"
    assert verdict_alone([0, -0.3, -0.5, -0.9], level="low") == "shifts"
    assert verdict_alone([0, -0.3, -0.5, -0.9]) == "reversed"


def test_a_null_is_shown_and_not_merely_unseen() -> None:
    """A change of 0 ± 0.41 leaves a quarter of a point open; one of 0 ± 0.15 excludes it."""
    assert null_or_not(stderr=0.14) == "inconclusive"
    assert null_or_not(stderr=0.05) == "null"
    assert null_or_not(stderr=0.0) == "null"


def null_or_not(stderr: float) -> Verdict:
    (found,) = summarise(curve_rows([3.0, 3.0, 3.0, 3.0], stderr=stderr))
    (findings,) = judge([found._replace(scale=(1.0, 5.0))])
    (finding,) = findings.found
    return finding.verdict


def test_without_a_margin_nothing_is_a_null() -> None:
    """On an unknown scale a quarter of a point is not known to be little."""
    assert verdict_alone([3.0, 3.0, 3.0, 3.0], stderr=0.01) == "inconclusive"


def test_a_clear_change_smaller_than_the_margin_is_a_null() -> None:
    (found,) = summarise(curve_rows([3.0, 3.05], stderr=0.005))
    (findings,) = judge([found._replace(scale=(1.0, 5.0))])
    assert findings.found[0].change.is_clear()
    assert findings.found[0].verdict == "null"


def test_a_monotone_change_within_its_error_is_inconclusive() -> None:
    """Spearman is 1; of four strengths that is so by chance in one of twelve cases, and no verdict rests on it."""
    assert verdict_alone([0, 0.02, 0.04, 0.06]) == "inconclusive"


def test_a_clear_change_without_a_slope_is_inconclusive() -> None:
    """The last strength alone is clear; the slope over all six is not."""
    assert verdict_alone([0, 0.9, -0.9, 0.8, -0.2, 0.4]) == "inconclusive"


def test_a_slope_is_that_of_a_regression_with_the_error_of_its_scores() -> None:
    """Least squares over 0, 0.5, 1, 1.5 has the weights -0.6 -0.2 0.2 0.6; scores count as independent here."""
    (finding,) = found_in(curve_rows([0, 0.4, 0.9, 1.6])).found
    assert finding.slope is not None
    assert finding.slope.value == pytest.approx(0.6 * 1.6 + 0.2 * 0.5)
    assert finding.slope.stderr == pytest.approx(0.1 * (2 * 0.36 + 2 * 0.04) ** 0.5)


def test_a_slope_is_over_what_survived_rounding() -> None:
    """Half of the strength was rounded away, so the slope over what is left is twice as steep."""
    rows = curve_rows([0, 0.4, 0.8])
    rounded = [{**each, "effective_alpha": float(str(each["alpha"])) / 2} for each in rows]
    slopes = [found_in(table).found[0].slope for table in (rows, rounded)]  # type: ignore[arg-type]  # a changed row
    assert slopes[0] is not None
    assert slopes[1] is not None
    assert slopes[1].value == pytest.approx(2 * slopes[0].value)


def test_slope_line_and_correlation_are_over_one_strength() -> None:
    """A hundredth that rounding took is no other strength; a half is, and the axis, each mark and the text say so."""
    from scipy.stats import linregress

    rows = curve_rows([0, 1.1, 0.9, 1.6])
    for left, name, ends in ((1.0, "alpha", 1.5), (0.995, "alpha", 1.5), (0.5, "effective alpha", 0.75)):
        kept = [{**each, "effective_alpha": float(str(each["alpha"])) * left} for each in rows]
        (found,) = judge(summarise(kept))  # type: ignore[arg-type]  # a changed row
        (panel,) = strength_charts(found.benchmark)[0].panels
        assert isinstance(panel, Panel)
        (line,) = panel.lines
        x, y = [mark.x for mark in line.marks], [mark.y for mark in line.marks]
        assert panel.x_title == name
        assert x[-1] == pytest.approx(ends)
        assert (" (effective 0.75)" in line.marks[-1].label) == (left == 0.5)
        (finding,) = found.found
        assert finding.slope is not None
        assert finding.slope.value == pytest.approx(linregress(x, y).slope)
        assert finding.curves[0].pearson == pytest.approx(linregress(x, y).rvalue)
        assert f"per unit of {name}." in render_page(kept, about())  # type: ignore[arg-type]


def test_without_a_standard_error_a_change_is_at_most_inconclusive() -> None:
    assert verdict_alone([0, 1, 2, 3], stderr=None) == "inconclusive"


def test_of_two_strengths_only_the_size_counts() -> None:
    assert verdict_alone([0, 1.0]) == "shifts"
    assert verdict_alone([0, 0.1]) == "inconclusive"


def test_change_starts_at_strength_zero_even_when_negative_strengths_are_there() -> None:
    found = curve([-2.0, -1.0, 0.0, 0.5, 1.0], first=-1.0)
    assert found.start.strength == 0
    assert found.change.value == pytest.approx(1.0)


def test_change_of_negative_strengths_alone_goes_from_the_smallest() -> None:
    found = curve([-2.0, -1.0, 0.0], first=-1.0)
    assert found.change.value == pytest.approx(2.0)


def test_a_task_suffers_by_its_worst_strength_corrected_for_their_number() -> None:
    """Two strengths, standard errors of 0.09, 22 degrees of freedom: t = 2.07 on one side, so 0.26."""
    assert judge_task(curve([0.7, 0.7, 0.45], stderr=0.09))[0] == "inconclusive"
    assert judge_task(curve([0.7, 0.7, 0.42], stderr=0.09))[0] == "suffers"
    assert judge_task(curve([0.7, 0.7, 0.0], stderr=None))[0] == "inconclusive"


def test_a_task_holds_where_a_loss_of_the_margin_is_excluded_at_every_strength() -> None:
    assert judge_task(curve([0.7, 0.71, 0.7], stderr=0.01, n=60), margin=0.05)[0] == "holds"
    assert judge_task(curve([0.7, 0.66, 0.7], stderr=0.01, n=60), margin=0.05)[0] == "suffers"
    assert judge_task(curve([0.7, 0.69, 0.7], stderr=0.02, n=60), margin=0.05)[0] == "inconclusive"
    assert judge_task(curve([0.7, 0.9, 0.71], stderr=0.01, n=60), margin=0.05)[0] == "holds", "a gain is no loss"
    wide = curve([0.4, 0.8], stderr=0.06, n=60)
    assert judge_task(wide, margin=0.05)[0] == "holds", "0.45 above the margin, with an error of 0.085"


@pytest.mark.parametrize(("n", "verdict"), [(58, "inconclusive"), (59, "holds")])
def test_too_few_questions_exclude_no_loss_though_no_answer_changes(n: int, verdict: str) -> None:
    """A twentieth of lost answers hits none of 58 questions in 5.1 % of cases, none of 59 in 4.8 %: exact binomial."""
    from scipy.stats import binom

    assert (binom.pmf(0, n, 0.05) < 0.05) == (verdict == "holds")
    assert judge_task(curve([1.0, 1.0], stderr=0.0, n=n), margin=0.05)[0] == verdict


def task_rows(start: float, end: float, stderr: float, chance: float | None = None, n: int = 12) -> list[ResultRow]:
    rows = [
        row(method="vector", trait="openness", level="high", alpha=alpha, benchmark="t", metric="acc", value=value,
            stderr=stderr, n=n)
        for alpha, value in (("0", start), ("1", end))
    ]  # fmt: skip
    validity = {"metric": "chance", "value": chance, "role": "validity", "benchmark": "t", "n": n}
    return rows if chance is None else [*rows, row(method="direct", **validity)]


def test_a_task_without_a_loss_says_which_loss_it_would_have_found() -> None:
    """Noncentral t: 80 % power at p = 0.05 on one side, 22 degrees of freedom and an error of 0.127 take 0.325."""
    sentence = headline(found_in(task_rows(0.6, 0.6, 0.09)))[-1]
    assert "one of 0.33 would be found with 80 % power" in sentence


def test_answers_that_all_agree_are_not_known_without_error() -> None:
    """All 12 right, before and after: no answer changed, but one wrong answer would have given an error of 1/12."""
    finding = found_in(task_rows(1.0, 1.0, 0.0)).found[0]
    loss = smallest_loss(finding)
    assert loss is not None
    assert loss == pytest.approx(Estimate(0, 1 / 12, 11).detectable(0.1))


@pytest.mark.parametrize(("start", "words"), [(0.25, "no better than"), (0.55, "not clearly above")])
def test_a_score_that_starts_at_guessing_cannot_show_a_loss(start: float, words: str) -> None:
    found = found_in(task_rows(start, 0.25, 0.13, chance=0.5))
    assert [finding.verdict for finding in found.found] == ["floor"]
    sentences = headline(found)
    assert f"No loss could show: the score starts at {start}, {words} guessing (0.50)." in sentences
    assert not any("No loss:" in sentence for sentence in sentences)


def test_repeats_are_no_sample_of_a_trait() -> None:
    """A hundred repeats of one answer distribution, however far apart, are one measurement without an error."""
    rows = [
        row(method="prompt", trait="openness", level=level, benchmark="q", metric="openness", repeat=repeat,
            value=value + 0.01 * (repeat % 3))
        for level, value in (("high", 4.0), ("low", 2.0)) for repeat in range(100)
    ]  # fmt: skip
    found = found_in(rows)
    assert [(finding.verdict, finding.p) for finding in found.found] == [("inconclusive", None)]
    assert "single items are not known, and repeats are no observations of a trait" in " ".join(headline(found))
    text = render_page(rows, about())
    assert "drawing answers moves a score by up to 0.01 (SD between repeats)" in text


def test_a_null_that_could_not_have_been_anything_else_says_so() -> None:
    """With an error of 2 points for each score, no gap on a scale from 1 to 5 would be found."""
    (found,) = summarise(curve_rows([3.0, 3.0], stderr=2.0))
    (findings,) = judge([found._replace(scale=(1.0, 5.0))])
    assert any(text.startswith("No change on the scale would be found with 80 % power") for text in headline(findings))


def test_guessing_is_known_only_of_shares_of_right_answers() -> None:
    """A correlation of 0.4 lies above guessing, though half of two options are guessed right."""
    subject = {"arm": "v", "method": "vector", "trait": "openness", "level": "high", "benchmark": "task", "n": 100}
    rows = [row(**subject, metric="chance", value=0.5, role="validity", alpha="0")]
    for alpha, acc, mcc in (("0", 0.5, 0.4), ("1", 0.5, 0.4)):
        for metric, value in (("acc", acc), ("mcc", mcc)):
            rows.append(row(**subject, metric=metric, value=value, stderr=0.05, alpha=alpha, higher_is_better=True))
    found = found_in(rows)
    assert {each.metric: each.verdict for each in found.found} == {"acc": "floor", "mcc": "inconclusive"}


def test_below_five_questions_a_task_has_no_verdict() -> None:
    found = found_in(task_rows(0.75, 0.25, 0.01, n=4))
    assert [finding.verdict for finding in found.found] == ["few"]
    assert headline(found)[-1] == "No verdict with fewer than 5 questions."


def test_verdicts_of_an_arm_are_corrected_for_their_number() -> None:
    """Holm: p = 0.03 is clear alone, and not beside four others of the same arm; another arm is another family."""
    gap = 0.33  # 2.33 standard errors

    def rows(arm: str, traits: int) -> list[ResultRow]:
        return [
            row(arm=arm, method="prompt", trait=trait, level=level, benchmark="b", metric=trait, stderr=0.1,
                value=gap if (level, place) == ("high", 0) else 0.0)
            for place, trait in enumerate(DOMAINS[:traits]) for level in ("high", "low")
        ]  # fmt: skip

    alone, (first, *others) = found_in(rows("a", 1)).found, found_in(rows("a", 5)).found
    assert alone[0].verdict == "moves"
    assert first.verdict == "inconclusive"
    assert alone[0].p is not None
    assert first.p == pytest.approx(5 * alone[0].p)
    assert {finding.family for finding in (first, *others)} == {5}
    two = judge([*summarise(rows("a", 1)), *summarise([{**each, "benchmark": "c"} for each in rows("b", 1)])])
    assert [finding.family for each in two for finding in each.found] == [1, 1]


def test_benchmarks_of_an_arm_are_one_family() -> None:
    first, second = (levels([0, 0.33], [0, 0]), levels([0, 0.02], [0, 0])._replace(name="c"))
    assert [finding.verdict for each in judge([first]) for finding in each.found] == ["moves"]
    both = judge([first, second])
    assert [(finding.verdict, finding.family) for each in both for finding in each.found] == [("inconclusive", 2)] * 2


def test_failed_conditions_stay_in_the_count() -> None:
    """One level without a usable answer, a condition that lacks wholly, and one whose checks fail: all are counted."""
    rows = []
    for trait in DOMAINS:
        for level, value in (("high", 4.5), ("low", 1.5)):
            failed = (trait, level) == ("openness", "low") or trait == "conscientiousness"
            subject = {"arm": "told", "method": "prompt", "trait": trait, "level": level, "benchmark": "q"}
            rows.append(row(**subject, metric=trait, value=None if failed else value, stderr=0.1, repeat=0))
            share = 1.0 if failed else 0.5 if trait == "extraversion" else 0.0
            rows.append(row(**subject, metric="parse_failures", value=share, role="validity"))
    found = found_in(rows)
    verdicts = [finding.verdict for finding in found.found]
    assert verdicts == ["failed", "failed", "moves", "moves", "moves"]
    assert headline(found)[0].startswith(
        "Without a strength, high and low come apart as intended under 2 of 5 conditions; as intended, but checks "
        "fail, under 1; no usable answers under 2; "
    )
    text = render_page(rows, about())
    lost = "told: openness low, told: conscientiousness high, told: conscientiousness low"
    assert f"Without usable answers: {lost}." in text
    assert "3 of 5 as intended, 2 of 5 without usable answers, checks fail" in text


def test_a_strength_without_usable_answers_is_named() -> None:
    """High breaks down at the largest strength: the gap is judged below it, and the card is not green."""
    values = {("high", "1"): None, ("high", "0.5"): 4.5, ("high", "0"): 3.0}
    values |= {("low", "1"): 1.0, ("low", "0.5"): 1.5, ("low", "0"): 3.0}
    rows = [
        row(arm="v", method="vector", trait="openness", level=level, alpha=alpha, benchmark="q", metric="openness",
            value=value, stderr=0.1)
        for (level, alpha), value in values.items()
    ]  # fmt: skip
    (finding,) = found_in(rows).found
    assert (finding.verdict, finding.at) == ("moves", 0.5)
    text = render_page(rows, about())
    assert "Without usable answers: v: openness high, alpha 1." in text
    assert "1 of 1 as intended" not in text


def test_a_null_whose_checks_fail_says_so_on_its_card() -> None:
    """Letters, not content, were chosen: that no gap is there shows little."""
    rows = [
        row(method="vector", trait="openness", level=level, alpha=alpha, benchmark="q", metric=metric, role=role,
            value=3.0 + 0.02 * (level == "high") if role == "score" else -0.9, stderr=0.01)
        for level in ("high", "low") for alpha in ("0", "1")
        for metric, role in (("openness", "score"), ("order_correlation", "validity"))
    ]  # fmt: skip
    assert "inconclusive, checks fail" in render_page(rows, about())


def test_a_level_without_any_usable_answer_leaves_no_verdict_on_the_other() -> None:
    rows = [
        row(method="vector", trait="openness", level=level, alpha=alpha, benchmark="q", metric="openness",
            value=None if level == "low" else 3.0 + float(alpha), stderr=0.1)
        for level in ("high", "low") for alpha in ("0", "1")
    ]  # fmt: skip
    assert [finding.verdict for finding in found_in(rows).found] == ["failed"]


def test_models_that_share_a_condition_are_told_apart() -> None:
    rows = [
        row(arm="told", model=model, method="prompt", trait="openness", level=level, benchmark="b", metric="openness",
            value=value, stderr=0.1)
        for model in ("small", "large") for level, value in (("high", 4.0), ("low", 2.0))
    ]  # fmt: skip
    text = render_page(rows, about())
    assert "told: openness (small)" in text
    assert "told: openness (large)" in text


def test_conditions_that_are_not_there_stay_in_the_count() -> None:
    """An assessment that the study has and the store lacks is no reason for a green card."""
    rows = [
        row(arm="told", method="prompt", trait=trait, level=level, benchmark="q", metric=trait, value=value, stderr=0.1)
        for trait in DOMAINS[:2] for level, value in (("high", 4.5), ("low", 1.5))
    ]  # fmt: skip
    lost = rows.pop()
    axes = tuple((name, str(lost[name])) for name in ("model", "trait", "level"))
    cell = Cell("made-up", "told", "prompt", "prompt", "", axes, "q", lost["job"])
    (found,) = judge(summarise(rows, missing=[cell]))
    assert [finding.verdict for finding in found.found] == ["moves", "missing"]
    assert "1 of 2 conditions; not measured under 1" in headline(found)[0]


def test_a_benchmark_without_any_usable_answer_has_a_card() -> None:
    rows = [
        row(arm="told", method="prompt", trait="openness", level=level, benchmark="q", metric="parse_failures",
            value=1.0, role="validity")
        for level in ("high", "low")
    ]  # fmt: skip
    assert "no usable answers under 1" in headline(found_in(rows))[0]


def test_n_is_told_by_repeat_and_in_all() -> None:
    """Eight usable answers in the first repeat and one in the others are not eight items."""
    rows = [
        row(method="prompt", trait="openness", level=level, benchmark="q", metric="openness", repeat=repeat,
            value=value, n=8 if repeat == 0 else 1)
        for level, value in (("high", 4.0), ("low", 2.0)) for repeat in range(5)
    ]  # fmt: skip
    found = found_in(rows)
    assert [finding.verdict for finding in found.found] == ["few"]
    text = render_page(rows, about())
    assert "1 at least, 8 at most in a repeat; 5 repeats, 24 usable answers in all" in text
    assert ">1 to 8<" in text


def conditions(levels_of: dict[str, list[float]]) -> list[ResultRow]:
    """Conditions of one arm, each with the same repeats of two traits, shifted as given."""
    return [
        row(arm="told", method="prompt", trait=trait, level=level, benchmark="q", metric=metric, repeat=repeat,
            value=3.0 + 0.1 * (repeat + place) % 0.3 + shift, n=8)
        for trait in ("openness", "extraversion") for place, (level, shifts) in enumerate(levels_of.items())
        for metric, shift in zip(("openness", "extraversion"), shifts, strict=True) for repeat in range(6)
    ]  # fmt: skip


def test_conditions_that_do_not_differ_are_named_as_such() -> None:
    """As if no prompt had reached the model: that is no null of a trait."""
    same = found_in(conditions({"high": [0.0, 0.0], "low": [0.0, 0.0]}))
    assert [finding.verdict for finding in same.found] == ["same", "same"]
    assert any("The 4 conditions of told do not differ" in sentence for sentence in headline(same))
    other = found_in(conditions({"high": [1.0, 1.0], "low": [0.0, 0.0]}))
    assert other.same == []
    assert [finding.verdict for finding in other.found] == ["inconclusive", "inconclusive"]


def test_equal_answers_without_any_draw_do_not_differ() -> None:
    """At temperature 0, and with expected answers, repeats say nothing: there any difference counts."""
    for shift, verdict in ((0.0, "same"), (0.5, "inconclusive")):
        rows = [
            row(arm="told", method="prompt", trait="openness", level=level, benchmark="q", metric="openness",
                repeat=repeat, value=3.0 + (shift if level == "high" else 0))
            for level in ("high", "low") for repeat in range(5)
        ]  # fmt: skip
        assert [finding.verdict for finding in found_in(rows).found] == [verdict]


def test_one_condition_is_compared_with_the_base() -> None:
    rows = [
        row(arm="tuned", method="sft", trait="openness", level="high", benchmark="q", metric="openness", value=3.0),
        row(arm="base", method="direct", benchmark="q", metric="openness", value=3.0),
    ]
    (same,) = found_in(rows).same
    assert same.number == 2


def test_the_headline_counts_what_moved_and_names_the_largest() -> None:
    first, second, *_, limit = headline(judged("reply_contrast"))
    assert first == "High and low come apart as intended in 2 of 2 traits."
    assert "The largest gap is that of" in second
    assert "nats per token" in second
    assert any("specific to the trait" in sentence for sentence in headline(judged("reply_contrast")))
    assert "style as much as of trait" in limit


def test_failed_checks_are_said_with_the_scores_they_spoil() -> None:
    questionnaire = benchmark("mini-ipip")
    faults = faults_of(questionnaire)
    assert len(faults) == 1
    assert "forward and backward correlate" in faults[0]
    assert "validity checks fail" in headline(judged("mini-ipip"))[-1]


def test_every_known_check_says_what_it_asks_and_what_it_measures() -> None:
    for meaning in [*(check.meaning for check in CHECKS.values()), *SUFFIXES.values()]:
        question, _, measure = meaning.partition("? ")
        assert question
        assert measure.endswith(".")


def test_a_figure_without_a_threshold_is_no_check_that_was_passed() -> None:
    page = render_page([each for each in study_rows() if each["benchmark"] == "reply_contrast"], about())
    assert "no threshold" in page
    assert "0 of" not in page.partition('id="checks"')[2].partition("</section>")[0]


def test_checks_cover_direct_conditions_and_strengths() -> None:
    mass = next(check for check in checks_of(benchmark("mini-ipip")) if check.name == "option_mass")
    assert mass.fault is None
    assert mass.direct is not None
    assert mass.conditions is not None
    assert mass.vectors is not None


def test_a_task_that_holds_says_its_range() -> None:
    sentence, _ = headline(judged("everyday_reasoning"))
    assert sentence.startswith("The score acc lies between ")
    assert sentence.endswith("guessing scores 0.25.")


def test_a_group_of_tasks_is_drawn_by_its_pooled_scores() -> None:
    """'mmlu_law.acc' stays in the file; 'acc' and 'exact_match.strict-match' (a filter's name) are drawn."""
    names = ("acc", "mmlu_law.acc", "mmlu_art.acc", "exact_match.strict-match")
    (found,) = summarise([row(benchmark="mmlu", metric=name, value=0.5) for name in names])
    assert found.main_metrics == ["acc", "exact_match.strict-match"]


def test_high_minus_low_of_a_prompt_is_reported() -> None:
    gaps = judged("reply_contrast").without_strength
    assert [(gap.subject.arm, gap.metric) for gap in gaps] == [("prompt", "extraversion"), ("prompt", "neuroticism")]


def test_no_number_of_the_summary_is_typed_in() -> None:
    """Doubling every contrast doubles the change that the summary prints."""
    rows = [each for each in study_rows() if each["benchmark"] == "reply_contrast"]
    doubled = [{**each, "value": 2 * (each["value"] or 0)} for each in rows]
    for table in (rows, doubled):
        found = found_in(table)  # type: ignore[arg-type]  # a changed row
        largest = max(abs(finding.change.value) for finding in found.found)
        assert f"{largest:.2f}" in render_page(table, about())  # type: ignore[arg-type]


def test_strength_0_alone_is_the_base_and_no_condition() -> None:
    """Both levels at strength 1 have no usable answer: one condition, which is lost, and not a second one at 0."""
    rows = [
        row(method="vector", trait="openness", level=level, alpha=alpha, benchmark="b", metric="openness", value=value,
            stderr=0.1)
        for level in ("high", "low") for alpha, value in (("0", 3.0), ("1", None))
    ]  # fmt: skip
    assert [finding.verdict for finding in found_in(rows).found] == ["failed"]


def test_a_gap_without_a_standard_error_is_inconclusive() -> None:
    rows = [
        row(method="prompt", trait="openness", level=level, benchmark="b", metric="openness", value=value)
        for level, value in (("high", 4.0), ("low", 1.0))
    ]
    assert [gap.verdict for gap in found_in(rows).found] == ["inconclusive"]


def test_subjects_that_fail_a_check_are_counted_though_most_pass() -> None:
    """An average over subjects would hide the strengths at which the model no longer answers."""
    rows = [
        row(method="vector", trait="openness", level="high", alpha=str(alpha), benchmark="q", metric=metric, role=role,
            value=mass if role == "validity" else 3.0, stderr=0.1)
        for alpha, mass in enumerate((0.9, 0.9, 0.8, 0.1)) for metric, role in (("openness", "score"),
                                                                               ("option_mass", "validity"))
    ]  # fmt: skip
    (found,) = summarise(rows)
    assert faults_of(found) == []
    assert partial_faults_of(found) == ["option_mass in 1 of 4 subjects"]
    text = render_page(rows, about())
    assert "Some subjects fail a validity check (option_mass in 1 of 4 subjects)" in text
    assert "▲ 1 of 4" in text


def test_the_base_at_strength_0_of_several_vectors_fails_a_check_once() -> None:
    """As the head of the report counts subjects: four here, whose rows are six."""
    rows = [
        row(method="vector", trait=trait, level="high", alpha=alpha, benchmark="q", metric=metric, role=role,
            value=mass if role == "validity" else 3.0, stderr=0.1, **({"job": "base"} if alpha == "0" else {}),
            same_as="base" if alpha == "0" and trait != "openness" else None)
        for trait in ("openness", "extraversion", "neuroticism") for alpha, mass in (("0", 0.1), ("1", 0.9))
        for metric, role in (("openness", "score"), ("option_mass", "validity"))
    ]  # fmt: skip
    assert partial_faults_of(summarise(rows)[0]) == ["option_mass in 1 of 4 subjects"]
    assert "4 subjects" in render_page(rows, about())


def test_one_measurement_under_the_names_of_several_seeds_is_counted_once() -> None:
    """So the base stands at strength 0 of vectors that were trained with three seeds."""
    rows = [
        row(method="vector", trait="openness", level="high", alpha="0", benchmark="q", metric="openness", n=4,
            seed=str(seed), job="base", repeat=repeat, value=3.0)
        for seed in range(3) for repeat in range(5)
    ]  # fmt: skip
    (score,) = summarise(rows)[0].scores["openness"].values()
    assert (score.total, score.repeats, score.jobs) == (20, 5, ("base",))


def test_repeats_of_one_training_are_no_more_trainings() -> None:
    """Three seeds with hundred equal repeats each are known as well as three seeds: SD of 0, 1, 2 over sqrt(3)."""
    rows = [
        row(method="sft", trait="openness", level="high", benchmark="q", metric="openness", seed=str(seed),
            repeat=repeat, value=float(seed))
        for seed in range(3) for repeat in range(100)
    ]  # fmt: skip
    (score,) = summarise(rows)[0].scores["openness"].values()
    assert score.over == "seeds"
    assert score.freedom == pytest.approx(2)
    assert score.stderr == pytest.approx(1 / 3**0.5)


@pytest.mark.parametrize(
    ("value", "half", "text"),
    [
        (0.84, 0.12, "+0.84 ± 0.12"),
        (0.0181, 0.0123, "+0.018 ± 0.012"),
        (0.5, 0.0951, "+0.50 ± 0.10"),
        (1, 0, "+1.00 ± 0.00"),
    ],
)
def test_an_interval_keeps_two_digits(value: float, half: float, text: str) -> None:
    """Student's t with 10 degrees of freedom: the 95 % interval is 2.228 standard errors on each side."""
    assert with_error(Estimate(value, half / 2.228139, 10)) == text


def test_every_seed_and_repeat_enters_the_mean() -> None:
    rows = [
        row(method="sft", trait="openness", level="high", benchmark="q", metric="openness", seed=str(seed),
            repeat=repeat, value=float(seed + repeat))
        for seed in range(3) for repeat in range(2)
    ]  # fmt: skip
    (score,) = summarise(rows)[0].scores["openness"].values()
    assert (score.value, score.over, score.repeats) == (1.5, "seeds", 2)


def test_a_single_value_keeps_the_standard_error_over_items() -> None:
    (score,) = summarise([row(benchmark="b", metric="acc", value=0.5, stderr=0.1)])[0].scores["acc"].values()
    assert (score.stderr, score.over) == (0.1, "items")


def test_spearman_shares_the_rank_of_ties() -> None:
    """Ranks 1 2.5 2.5 4 against 1 2 3 4: rho = 0.9487 (Pearson of the ranks)."""
    assert spearman([1, 2, 2, 3], [1, 2, 3, 4]) == pytest.approx(0.9486833)


def test_correlations_of_constants_are_undefined() -> None:
    assert spearman([1, 2, 3], [5, 5, 5]) is None
    assert correlation([1, 2, 3], [5, 5, 5]) is None
    assert correlation([0.1, 0.1, 0.1], [0.4, 0.4, 0.4]) is None, "0.1 is not the mean of three, as computers count"


def test_errors_of_a_difference_add_in_squares() -> None:
    assert combined(1.0, [(3.0, 11), (4.0, 11)]).stderr == 5.0


def test_points_without_neighbours_make_no_curve() -> None:
    rows = [row(method="vector", trait="openness", level="high", alpha="1", benchmark="b", metric="openness")]
    assert curves_of(summarise(rows)[0], "openness") == []
