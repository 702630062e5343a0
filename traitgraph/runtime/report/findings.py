"""What moved and what did not, by stated rules and in plain words. Nothing here knows an expected result.

The rules are in the constants and in `RULES`, which the report prints.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Literal, NamedTuple

from .curves import Curve, Point, curves_of, own_curves
from .summaries import BenchmarkScores
from .wording import number, plain, plural, signed, unit, vector_name, with_error

MONOTONE = 0.8
"""|Spearman| from which a curve counts as following its strength. Of 8 points this has p < 0.02 under no relation."""
CLEAR = 2.0
"""Standard errors from which a change counts as larger than its uncertainty."""
CLEAR_OF_MANY = 3.0
"""The same for the worst of several points, which is low by chance more often than one point chosen beforehand."""
SPECIFIC, UNSPECIFIC = 0.25, 0.75
"""Mean change of the other traits over the change of the own one: our words for a quarter and for three quarters."""

RULES = (
    f"A vector moves a measure when the score follows the strength (|Spearman| at least {MONOTONE}) and the change "
    f"from strength 0 (or the weakest there is) to the largest is at least {CLEAR:g} standard errors. "
    "One of the two alone is unclear, and so is a change without a standard error; neither is a null. "
    "With fewer than four strengths only the second rule applies. "
    "The standard error of a change is that of the differences item by item where single answers are kept; "
    "else its two ends count as independent. "
    f"A task suffers when its lowest point lies at least {CLEAR_OF_MANY:g} standard errors below its starting point; "
    "seeing no loss does not show that there is none. "
    f"An effect is specific when the other traits change by less than {SPECIFIC:.0%} as much, and not specific from "
    f"{UNSPECIFIC:.0%} on. Nothing is corrected for the number of vectors: of many nulls, a few look clear by chance. "
    "n is the number of strengths."
)

CONTRAST_LIMIT = (
    "It says which of two written replies the model finds likelier: a preference of style as much as of trait."
)

Verdict = Literal["moves", "reversed", "unclear", "null", "suffers", "holds"]


class Finding(NamedTuple):
    """The verdict on one curve."""

    curve: Curve
    verdict: Verdict


def findings_of(benchmark: BenchmarkScores) -> list[Finding]:
    """The verdict on each vector under the metric it is meant to move; none where more is neither better nor worse."""
    if benchmark.kind in ("words", "layers"):
        return []
    judge = judge_task if benchmark.kind == "task" else judge_trait
    return [Finding(curve, judge(curve)) for curve in own_curves(benchmark)]


def judge_trait(curve: Curve) -> Verdict:
    """Whether a trait score follows its vector: up for high (and for levels without a direction), down for low."""
    change, rho = curve.change, curve.spearman
    if change.stderr is None:
        return "unclear"  # one item: nothing says how large a change chance makes
    clear = abs(change.value) >= CLEAR * change.stderr and change.value != 0
    follows = clear if len(curve.points) < 4 or rho is None else abs(rho) >= MONOTONE and rho * change.value > 0
    if not (clear or follows):
        return "null"
    if clear != follows:
        return "unclear"
    upwards = curve.family.level != "low"
    return "moves" if (change.value > 0) == upwards else "reversed"


def judge_task(curve: Curve) -> Verdict:
    """Whether the lowest point of a task lies clearly below its starting point."""
    loss = curve.change_to(lowest_point(curve))
    if loss.value >= 0:
        return "holds"
    if loss.stderr is None:
        return "unclear"
    return "suffers" if -loss.value >= CLEAR_OF_MANY * loss.stderr else "holds"


def lowest_point(curve: Curve) -> Point:
    """The point with the lowest score."""
    return min(curve.points, key=lambda point: point.score.value)


def headline(
    benchmark: BenchmarkScores, findings: Sequence[Finding], faults: Sequence[str], partial: Sequence[str] = ()
) -> list[str]:
    """A few sentences on one benchmark; the first says what moved.

    `faults` are the validity checks that most subjects fail, `partial` those that some fail.
    """
    if not findings:
        return []
    if benchmark.kind == "task":
        sentences = _task_sentences(benchmark, findings)
    else:
        sentences = [
            _count_sentence(findings),
            *_extreme_sentence(benchmark, findings),
            *_specificity_sentence(benchmark, findings),
        ]
    if benchmark.kind == "reply_contrast":
        sentences.append(CONTRAST_LIMIT)
    about = "" if benchmark.kind == "task" else " about personality"
    if faults:
        sentences.append(f"Its validity checks fail ({'; '.join(faults)}), so its scores say little{about}.")
    if partial:
        sentences.append(f"Some subjects fail a validity check ({'; '.join(partial)}): theirs say little{about}.")
    return sentences


def _count_sentence(findings: Sequence[Finding]) -> str:
    total = len(findings)
    counts = {
        verdict: sum(finding.verdict == verdict for finding in findings)
        for verdict in ("moves", "reversed", "unclear", "null")
    }
    if counts["null"] == total:
        return f"A null: none of {plural(total, 'vector')} changes the score of its own trait measurably."
    parts = [
        f"{counts['moves']} of {plural(total, 'vector')} move the score of their own trait in the intended direction"
    ]
    parts += [f"{counts['reversed']} in the opposite direction"] if counts["reversed"] else []
    parts += [f"{counts['unclear']} unclear"] if counts["unclear"] else []
    parts += [f"{counts['null']} null"] if counts["null"] else []
    return ", ".join(parts) + "."


def _extreme_sentence(benchmark: BenchmarkScores, findings: Sequence[Finding]) -> list[str]:
    moved = [finding.curve for finding in findings if finding.verdict == "moves"]
    chosen = moved or [finding.curve for finding in findings]
    curve = max(chosen, key=lambda each: abs(each.change.value))
    first, last = curve.start, curve.points[-1]
    rho = "" if curve.spearman is None else f", Spearman {signed(curve.spearman)} over {len(curve.points)} strengths"
    return [
        f"The largest change is that of {vector_name(curve.family)}: {number(first.score.value)} at {curve.axis} "
        f"{plain(first.strength)} to {number(last.score.value)} at {plain(last.strength)}, "
        f"a change of {with_error(*curve.change)} {unit(benchmark)}{rho}."
    ]


def _specificity_sentence(benchmark: BenchmarkScores, findings: Sequence[Finding]) -> list[str]:
    """How much a vector moves other traits, when some vector moves its own."""
    effects = [curve for metric in benchmark.main_metrics for curve in curves_of(benchmark, metric)]
    ratios = []
    for finding in findings:
        own = finding.curve
        others = [abs(each.change.value) for each in effects if each.family == own.family and each.metric != own.metric]
        if finding.verdict == "moves" and others:
            ratios.append(sum(others) / len(others) / abs(own.change.value))
    if not ratios:
        return []
    share = sum(ratios) / len(ratios)
    return [f"Scores of the other traits change by {share:.0%} as much on average: the effect is {_specific(share)}."]


def _specific(share: float) -> str:
    if share < SPECIFIC:
        return "specific to the trait"
    return "partly specific to the trait" if share < UNSPECIFIC else "not specific to the trait"


def _task_sentences(benchmark: BenchmarkScores, findings: Sequence[Finding]) -> list[str]:
    metric = benchmark.main_metrics[0]
    curves = [finding.curve for finding in findings if finding.curve.metric == metric]
    scores = [point.score for curve in curves for point in curve.points]
    worst = min(curves, key=lambda curve: lowest_point(curve).score.value)
    start, lowest = worst.start.score, lowest_point(worst).score
    at = lowest_point(worst).strength
    suffering = [finding.curve for finding in findings if finding.verdict == "suffers"]
    error = "" if start.stderr is None else f" (one standard error is {number(start.stderr)})"
    ranges = f"{metric} stays between {number(lowest.value)} and {number(max(score.value for score in scores))}"
    errors = [curve.change_to(lowest_point(curve)).stderr for curve in curves]
    if not suffering and None in errors:
        return [f"{ranges[0].upper()}{ranges[1:]} over all strengths; without a standard error a loss is unclear."]
    if not suffering:
        smallest = CLEAR_OF_MANY * max(filter(None, errors), default=0.0)
        return [
            f"No measurable loss: {ranges} over all strengths{error}{_chance(benchmark)}.",
            f"A loss below {number(smallest)} would not show with so few questions.",
        ]
    losing, tried = ({curve.family for curve in group} for group in (suffering, curves))
    return [
        f"A loss: {len(losing)} of {plural(len(tried), 'vector')} "
        f"lower the score measurably. The lowest {metric} is {number(lowest.value)}, "
        f"for {vector_name(worst.family)} at {worst.axis} {plain(at)}, from {number(start.value)}{error}."
    ]


def _chance(benchmark: BenchmarkScores) -> str:
    known = list(benchmark.validity.get("chance", {}).values())
    return f"; guessing scores {number(known[0].value)}" if known else ""
