"""What the report concludes: stated rules, checked on curves whose answer is plain."""

from __future__ import annotations

import random

import pytest

from tests.report.rows import about, row, study_rows
from traitgraph.runtime.report.changes import Change
from traitgraph.runtime.report.curves import Curve, curves_of, own_curves
from traitgraph.runtime.report.findings import findings_of, judge_task
from traitgraph.runtime.report.gaps import gaps_of
from traitgraph.runtime.report.headlines import headline
from traitgraph.runtime.report.page import render_page
from traitgraph.runtime.report.separation import Judged, judge_alone, judge_pair, pairs_of
from traitgraph.runtime.report.statistics import combined_error, combined_freedom, pearson, spearman, t_quantile
from traitgraph.runtime.report.summaries import BenchmarkScores, summarise
from traitgraph.runtime.report.validity import CHECKS, SUFFIXES, checks_of, faults_of, partial_faults_of
from traitgraph.runtime.report.wording import with_error
from traitgraph.runtime.results import ResultRow


def curve(values: list[float], level: str = "high", stderr: float | None = 0.1, first: float = 0.0) -> Curve:
    rows = [
        row(method="vector", trait="openness", level=level, alpha=str(first + place / 2), benchmark="b",
            metric="openness", value=value, stderr=stderr)
        for place, value in enumerate(values)
    ]  # fmt: skip
    (found,) = own_curves(summarise(rows)[0])
    return found


def levels(high: list[float], low: list[float], n: int = 12, first: float = 0.0) -> BenchmarkScores:
    """Both levels of one vector over the same strengths, 0.5 apart."""
    rows = [
        row(method="vector", trait="openness", level=level, alpha=str(first + place / 2), benchmark="b",
            metric="openness", value=value, stderr=0.1, n=n)
        for level, values in (("high", high), ("low", low)) for place, value in enumerate(values)
    ]  # fmt: skip
    return summarise(rows)[0]


def gap_verdict(high: list[float], low: list[float], n: int = 12, first: float = 0.0) -> Judged:
    ((pair,), alone) = pairs_of(own_curves(levels(high, low, n, first)))
    assert alone == []
    return judge_pair(pair)


def benchmark(name: str) -> BenchmarkScores:
    return next(each for each in summarise(study_rows()) if each.name == name)


def test_levels_that_come_apart_move() -> None:
    assert gap_verdict([0, 0.3, 0.5, 0.9], [0, -0.3, -0.5, -0.9]) == "moves"
    assert gap_verdict([0, -0.3, -0.5, -0.9], [0, 0.3, 0.5, 0.9]) == "reversed"
    assert gap_verdict([0, 0.1, 0.5, 0.9], [0, 0.1, 0.0, 0.1]) == "moves"


def test_a_shift_that_both_levels_share_is_no_success() -> None:
    """High and low both raise the score: the trait is not what moved, whatever is left between them."""
    both_up = levels([0, 0.5, 1.0, 1.5], [0, 0.4, 0.8, 1.2])
    (finding,) = findings_of(both_up)
    assert finding.verdict == "shared"
    sentences = headline(both_up, [finding], [])
    assert sentences[0] == "High and low come apart as intended in 0 of 1 trait; both levels shift the same way in 1."
    assert "high by +1.50 ± 0.14, low by +1.20 ± 0.14; the gap between them is +0.30 ± 0.14" in sentences[2]
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
    page = render_page([{**each, "trait": each["trait"] if each["level"] else ""} for each in rows], about())  # type: ignore[typeddict-item]  # changed rows
    assert "both levels shift the same way" in page
    assert "under 0 of 1 condition, 1 shifts both the same way" in page
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
    (found,) = summarise(rows)
    (finding,) = findings_of(found)
    assert finding.verdict == "shifts"
    assert "Without the opposite level this may be a shift of every answer." in headline(found, [finding], [])[0]


def test_below_five_items_there_is_no_verdict() -> None:
    few = levels([0, 0.3, 0.5, 5.0], [0, -0.3, -0.5, -5.0], n=4)
    assert [finding.verdict for finding in findings_of(few)] == ["few"]
    assert headline(few, findings_of(few), []) == ["No verdict with fewer than 5 items, or 4 of a repeated scale."]
    assert gap_verdict([0, 0.3, 0.5, 5.0], [0, -0.3, -0.5, -5.0], n=5) == "moves"


def test_few_items_need_a_larger_gap() -> None:
    """A gap of 2.3 standard errors is clear with 12 items a score, not with 5: t = 2.306 at 8 degrees of freedom."""
    gap = 2.3 * 0.1 * 2**0.5
    assert gap_verdict([0, gap], [0, 0], n=5) == "null"
    assert gap_verdict([0, gap], [0, 0], n=12) == "moves"


@pytest.mark.parametrize(
    ("freedom", "error", "quantile"),
    [
        (1, 0.05, 12.706),
        (2, 0.05, 4.303),
        (4, 0.05, 2.776),
        (11, 0.05, 2.201),
        (23, 0.0027, 3.361),
        (1000, 0.05, 1.962),
    ],
)
def test_quantiles_of_students_t(freedom: int, error: float, quantile: float) -> None:
    """From printed tables; the fifth is scipy's."""
    assert t_quantile(freedom, error) == pytest.approx(quantile, abs=5e-4)


def test_equal_errors_add_their_degrees_of_freedom() -> None:
    """Welch and Satterthwaite: two means of 12 and equal errors have 22; one error alone has its own."""
    assert combined_freedom((0.1, 11), (0.1, 11)) == 22
    assert combined_freedom((0.1, 11), (0.0, 4)) == 11
    assert combined_freedom((0.0, 11), (0.0, 4)) == 4


def test_a_rising_score_of_a_high_vector_moves() -> None:
    assert judge_alone(curve([0, 0.3, 0.5, 0.9])) == "moves"


def test_a_falling_score_of_a_low_vector_moves() -> None:
    assert judge_alone(curve([0, -0.3, -0.5, -0.9], level="low")) == "moves"


def test_a_falling_score_of_a_high_vector_is_reversed() -> None:
    assert judge_alone(curve([0, -0.3, -0.5, -0.9])) == "reversed"


def test_a_change_within_its_error_that_follows_no_strength_is_a_null() -> None:
    assert judge_alone(curve([0, 0.1, -0.1, 0.05, 0.02])) == "null"


def test_a_flat_line_is_a_null() -> None:
    assert judge_alone(curve([3.0, 3.0, 3.0, 3.0])) == "null"
    assert judge_alone(curve([3.0, 3.0, 3.0, 3.0], stderr=0.0)) == "null"


def test_a_monotone_change_within_its_error_is_unclear() -> None:
    assert judge_alone(curve([0, 0.02, 0.04, 0.06])) == "unclear"


def test_a_clear_change_that_follows_no_strength_is_unclear() -> None:
    assert judge_alone(curve([0, 0.9, -0.9, 0.8, -0.2, 0.6])) == "unclear"


def test_without_a_standard_error_a_change_is_at_most_unclear() -> None:
    assert judge_alone(curve([0, 1, 2, 3], stderr=None)) == "unclear"


def test_of_two_strengths_only_the_size_counts() -> None:
    assert judge_alone(curve([0, 1.0])) == "moves"
    assert judge_alone(curve([0, 0.1])) == "null"


def test_change_starts_at_strength_zero_even_when_negative_strengths_are_there() -> None:
    found = curve([-2.0, -1.0, 0.0, 0.5, 1.0], first=-1.0)
    assert found.start.strength == 0
    assert found.change.value == pytest.approx(1.0)


def test_change_of_negative_strengths_alone_goes_from_the_smallest() -> None:
    found = curve([-2.0, -1.0, 0.0], first=-1.0)
    assert found.change.value == pytest.approx(2.0)


def test_a_task_suffers_only_by_more_than_three_standard_errors() -> None:
    """With 22 degrees of freedom t = 3.38: 0.43 at a standard error of 0.09 for each score."""
    assert judge_task(curve([0.7, 0.7, 0.3], stderr=0.09)) == "holds"
    assert judge_task(curve([0.7, 0.7, 0.25], stderr=0.09)) == "suffers"
    assert judge_task(curve([0.7, 0.7, 0.0], stderr=None)) == "unclear"


def task_rows(start: float, end: float, stderr: float, chance: float | None = None, n: int = 12) -> list[ResultRow]:
    rows = [
        row(method="vector", trait="openness", level="high", alpha=alpha, benchmark="t", metric="acc", value=value,
            stderr=stderr, n=n)
        for alpha, value in (("0", start), ("1", end))
    ]  # fmt: skip
    validity = {"metric": "chance", "value": chance, "role": "validity", "benchmark": "t", "n": n}
    return rows if chance is None else [*rows, row(method="direct", **validity)]


def test_a_task_without_a_loss_says_which_loss_it_could_have_seen() -> None:
    """Standard error 0.09 of 12 questions: t = 3.85 at p = 0.0027 and 11 degrees of freedom, so 0.35."""
    (found,) = summarise(task_rows(0.6, 0.6, 0.09))
    assert headline(found, findings_of(found), [])[-1] == "A loss smaller than 0.35 would not show with 12 questions."


def test_answers_that_all_agree_are_not_known_without_error() -> None:
    """All 12 right: one wrong answer would give 1/12, and 3.85 times that is 0.32."""
    (found,) = summarise(task_rows(1.0, 1.0, 0.0))
    assert headline(found, findings_of(found), [])[-1] == "A loss smaller than 0.32 would not show with 12 questions."


@pytest.mark.parametrize(("start", "words"), [(0.25, "no better than"), (0.55, "not clearly above")])
def test_a_score_that_starts_at_guessing_cannot_show_a_loss(start: float, words: str) -> None:
    (found,) = summarise(task_rows(start, 0.25, 0.13, chance=0.5))
    assert [finding.verdict for finding in findings_of(found)] == ["floor"]
    sentences = headline(found, findings_of(found), [])
    assert f"No loss could show: the score starts at {start}, {words} guessing (0.50)." in sentences
    assert not any("No measurable loss" in sentence for sentence in sentences)


def test_scores_without_any_spread_do_not_show_every_gap() -> None:
    """Five repeats that are all alike have no standard error above 0, which is no promise to see any gap."""
    rows = [
        row(method="vector", trait="openness", level=level, alpha=alpha, benchmark="q", metric="openness",
            repeat=repeat, value=3.0)
        for level in ("high", "low") for alpha in ("0", "1") for repeat in range(5)
    ]  # fmt: skip
    (found,) = summarise(rows)
    sentences = headline(found, findings_of(found), [])
    assert sentences[0].startswith("A null")
    assert not any("would not show" in sentence for sentence in sentences)


def test_a_null_that_could_not_have_been_anything_else_says_so() -> None:
    """Two repeats that differ by 2 points: t is 4.3 at 2 degrees of freedom, the gap's standard error 1.4."""
    rows = [
        row(method="vector", trait="openness", level=level, alpha=alpha, benchmark="q", metric="openness",
            repeat=repeat, value=2.0 + 2 * repeat)
        for level in ("high", "low") for alpha in ("0", "1") for repeat in range(2)
    ]  # fmt: skip
    (found,) = summarise(rows)
    limit = headline(found._replace(scale=(1, 5)), findings_of(found), [])[-1]
    assert limit == "No gap on the scale could have shown: the smallest that would is 6.08."


def test_below_five_questions_a_task_has_no_verdict() -> None:
    (found,) = summarise(task_rows(0.75, 0.25, 0.01, n=4))
    assert [finding.verdict for finding in findings_of(found)] == ["few"]
    assert headline(found, findings_of(found), [])[-1] == "No verdict with fewer than 5 questions."


def test_noise_is_rarely_called_a_movement() -> None:
    """Of 400 curves of pure noise at most 3 % count as moving: the two rules together are stricter than either."""
    source = random.Random(1)
    verdicts = [judge_alone(curve([source.gauss(0, 0.1) for _ in range(8)])) for _ in range(400)]
    assert sum(verdict in ("moves", "reversed") for verdict in verdicts) <= 12


def test_the_headline_says_a_null_is_a_null() -> None:
    rows = [
        row(method="vector", trait="openness", level=level, alpha=str(alpha), benchmark="q", metric="openness",
            repeat=repeat, value=3.0 + 0.1 * (repeat % 2))
        for level in ("high", "low") for alpha in range(6) for repeat in range(4)
    ]  # fmt: skip
    (found,) = summarise(rows)
    assert headline(found, findings_of(found), [])[0] == ("A null: high and low come apart measurably in 0 of 1 trait.")
    assert headline(found, findings_of(found), [])[2] == "A gap smaller than 0.10 would not show."


def test_the_headline_counts_what_moved_and_names_the_largest() -> None:
    contrast = benchmark("reply_contrast")
    first, second, third, limit = headline(contrast, findings_of(contrast), [])
    assert first == "High and low come apart as intended in 2 of 2 traits."
    assert "The largest gap is that of" in second
    assert "nats per token" in second
    assert "specific to the trait" in third
    assert "style as much as of trait" in limit


def test_failed_checks_are_said_with_the_scores_they_spoil() -> None:
    questionnaire = benchmark("mini-ipip")
    faults = faults_of(questionnaire)
    assert len(faults) == 1
    assert "forward and backward correlate" in faults[0]
    assert "validity checks fail" in headline(questionnaire, findings_of(questionnaire), faults)[-1]


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
    task = benchmark("everyday_reasoning")
    sentence, _ = headline(task, findings_of(task), [])
    assert sentence.startswith("No measurable loss: acc lies between ")
    assert sentence.endswith("guessing scores 0.25.")


def test_a_group_of_tasks_is_drawn_by_its_pooled_scores() -> None:
    """'mmlu_law.acc' stays in the file; 'acc' and 'exact_match.strict-match' (a filter's name) are drawn."""
    names = ("acc", "mmlu_law.acc", "mmlu_art.acc", "exact_match.strict-match")
    (found,) = summarise([row(benchmark="mmlu", metric=name, value=0.5) for name in names])
    assert found.main_metrics == ["acc", "exact_match.strict-match"]


def test_high_minus_low_of_a_prompt_is_reported() -> None:
    gaps = gaps_of(benchmark("reply_contrast"))
    assert [(gap.condition.arm, gap.metric) for gap in gaps] == [("prompt", "extraversion"), ("prompt", "neuroticism")]


def test_no_number_of_the_summary_is_typed_in() -> None:
    """Doubling every contrast doubles the change that the summary prints."""
    rows = [each for each in study_rows() if each["benchmark"] == "reply_contrast"]
    doubled = [{**each, "value": 2 * (each["value"] or 0)} for each in rows]
    for table in (rows, doubled):
        (found,) = summarise(table)  # type: ignore[arg-type]  # a changed row
        largest = max(abs(finding.change.value) for finding in findings_of(found))
        assert f"{largest:.2f}" in render_page(table, about())  # type: ignore[arg-type]


def test_a_gap_without_a_standard_error_is_unclear() -> None:
    rows = [
        row(method="prompt", trait="openness", level=level, benchmark="b", metric="openness", value=value)
        for level, value in (("high", 4.0), ("low", 1.0))
    ]
    (gap,) = gaps_of(summarise(rows)[0])
    assert gap.verdict == "unclear"


def test_subjects_that_fail_a_check_are_counted_though_most_pass() -> None:
    """An average over subjects would hide the strengths at which the model no longer answers."""
    rows = [
        row(method="vector", trait="openness", level="high", alpha=str(alpha), benchmark="q", metric=metric, role=role,
            value=mass if role == "validity" else 3.0, stderr=0.1)
        for alpha, mass in enumerate((0.9, 0.9, 0.8, 0.1)) for metric, role in (("openness", "score"),
                                                                               ("option_mass", "validity"))
    ]  # fmt: skip
    (found,) = summarise(rows)  # type: ignore[arg-type]  # a role
    assert faults_of(found) == []
    assert partial_faults_of(found) == ["option_mass in 1 of 4 subjects"]
    text = render_page(rows, about())
    assert "Some subjects fail a validity check (option_mass in 1 of 4 subjects)" in text
    assert "▲ 1 of 4" in text


def test_repeats_of_one_training_are_no_more_trainings() -> None:
    """Three seeds with hundred equal repeats each are known as well as three seeds: SD of 0, 1, 2 over sqrt(3)."""
    rows = [
        row(method="sft", trait="openness", level="high", benchmark="q", metric="openness", seed=str(seed),
            repeat=repeat, value=float(seed))
        for seed in range(3) for repeat in range(100)
    ]  # fmt: skip
    (score,) = summarise(rows)[0].scores["openness"].values()
    assert (score.spread, score.over, score.values) == (1.0, "seeds", 3)
    assert score.stderr == pytest.approx(1 / 3**0.5)


@pytest.mark.parametrize(
    ("value", "stderr", "text"),
    [
        (0.84, 0.12, "+0.84 ± 0.12"),
        (0.0181, 0.0123, "+0.018 ± 0.012"),
        (0.5, 0.0951, "+0.50 ± 0.10"),
        (1, 0, "+1.00 ± 0.00"),
    ],
)
def test_an_error_keeps_two_digits(value: float, stderr: float, text: str) -> None:
    assert with_error(Change(value, stderr)) == text


def test_every_seed_and_repeat_enters_the_mean() -> None:
    rows = [
        row(method="sft", trait="openness", level="high", benchmark="q", metric="openness", seed=str(seed),
            repeat=repeat, value=float(seed + repeat))
        for seed in range(3) for repeat in range(2)
    ]  # fmt: skip
    (score,) = summarise(rows)[0].scores["openness"].values()
    assert (score.value, score.values, score.over) == (1.5, 3, "seeds")


def test_a_single_value_keeps_the_standard_error_over_items() -> None:
    (score,) = summarise([row(benchmark="b", metric="acc", value=0.5, stderr=0.1)])[0].scores["acc"].values()
    assert (score.spread, score.stderr, score.over) == (0.1, 0.1, "items")


def test_spearman_shares_the_rank_of_ties() -> None:
    """Ranks 1 2.5 2.5 4 against 1 2 3 4: rho = 0.9487 (Pearson of the ranks)."""
    assert spearman([1, 2, 2, 3], [1, 2, 3, 4]) == pytest.approx(0.9486833)


def test_correlations_of_constants_are_undefined() -> None:
    assert spearman([1, 2, 3], [5, 5, 5]) is None
    assert pearson([1, 2, 3], [5, 5, 5]) is None
    assert pearson([0.1, 0.1, 0.1], [0.4, 0.4, 0.4]) is None, "0.1 is not the mean of three, as computers count"


def test_errors_of_a_difference_add_in_squares() -> None:
    assert combined_error(3.0, 4.0) == 5.0
    assert combined_error(None, 4.0) is None


def test_points_without_neighbours_make_no_curve() -> None:
    rows = [row(method="vector", trait="openness", level="high", alpha="1", benchmark="b", metric="openness")]
    assert curves_of(summarise(rows)[0], "openness") == []
