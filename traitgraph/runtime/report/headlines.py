"""What a benchmark found, in a few sentences: do high and low come apart, does a task suffer?"""

from __future__ import annotations

import math
from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from itertools import combinations

from .curves import Curve, curves_of
from .findings import SPECIFIC, UNSPECIFIC, Finding, chance_of, lowest_point, smallest_loss
from .separation import FEWEST, SHORTEST_SCALE
from .summaries import BenchmarkScores
from .wording import (
    noun,
    number,
    plain,
    plural,
    signed,
    size,
    strength_name,
    subject_name,
    unit,
    vector_name,
    with_error,
)

CONTRAST_LIMIT = (
    "It says which of two written replies the model finds likelier: a preference of style as much as of trait."
)
OTHERWISE: Mapping[str, str] = {
    "shared": "both levels shift the same way in",
    "reversed": "the opposite direction in",
    "unclear": "unclear in",
    "null": "null in",
    "few": "too few items in",
}
"""Verdict -> words for those that did not move as intended."""


def headline(
    benchmark: BenchmarkScores, findings: Sequence[Finding], faults: Sequence[str], partial: Sequence[str] = ()
) -> list[str]:
    """A few sentences on one benchmark; the first says what moved.

    `faults` are the validity checks that most subjects fail, `partial` those that some fail.
    """
    if not findings:
        return []
    sentences = list(_of_task(benchmark, findings) if benchmark.kind == "task" else _of_traits(benchmark, findings))
    if benchmark.kind == "reply_contrast":
        sentences.append(CONTRAST_LIMIT)
    about = "" if benchmark.kind == "task" else " about personality"
    if faults:
        sentences.append(f"Its validity checks fail ({'; '.join(faults)}), so its scores say little{about}.")
    if partial:
        sentences.append(f"Some subjects fail a validity check ({'; '.join(partial)}): theirs say little{about}.")
    return sentences


def _of_traits(benchmark: BenchmarkScores, findings: Sequence[Finding]) -> Iterator[str]:
    pairs = [finding for finding in findings if finding.is_pair]
    alone = [finding for finding in findings if not finding.is_pair]
    judged = [finding for finding in findings if finding.verdict != "few"]
    if not judged:
        yield f"No verdict with fewer than {FEWEST} items, or {SHORTEST_SCALE} of a repeated scale."
        return
    if pairs:
        yield _count_of_pairs(pairs)
    if alone:
        yield _count_of_levels(alone)
    yield _largest(benchmark, [each for each in judged if each.verdict in ("moves", "shifts")] or judged)
    yield from _shared(pairs)
    if all(finding.verdict == "null" for finding in judged):
        yield from _limit(benchmark, "gap" if pairs else "change", judged)
    yield from _specificity(benchmark, pairs)


def _limit(benchmark: BenchmarkScores, what: str, nulls: Sequence[Finding]) -> Iterator[str]:
    """How large an effect these nulls leave open; nothing where no spread tells."""
    smallest = max(finding.change.margin() for finding in nulls)
    low, high = benchmark.scale or (-math.inf, math.inf)
    if smallest >= high - low:
        yield f"No {what} on the scale could have shown: the smallest that would is {size(smallest)}."
    elif smallest > 0:
        yield f"A {what} smaller than {size(smallest)} would not show."


def _count_of_pairs(pairs: Sequence[Finding]) -> str:
    total = len(pairs)
    families = [finding.curves[0].family for finding in pairs]
    traits = len({family.trait for family in families})
    counted = plural(total, "trait") if traits == total else plural(total, "pair") + f" of {noun(families)}s"
    if all(finding.verdict == "null" for finding in pairs):
        return f"A null: high and low come apart measurably in 0 of {counted}."
    moved = sum(finding.verdict == "moves" for finding in pairs)
    return f"High and low come apart as intended in {moved} of {counted}{_others(pairs)}."


def _count_of_levels(alone: Sequence[Finding]) -> str:
    counted = plural(len(alone), noun([finding.family for finding in alone]))
    if all(finding.verdict == "null" for finding in alone):
        return f"A null: the score moves measurably with 0 of {counted}."
    moved = sum(finding.verdict == "shifts" for finding in alone)
    limit = "Without the opposite level this may be a shift of every answer."
    return f"The score moves as intended with {moved} of {counted}{_others(alone)}. {limit}"


def _others(findings: Sequence[Finding]) -> str:
    counts = Counter[str](finding.verdict for finding in findings)
    return "".join(f"; {words} {counts[verdict]}" for verdict, words in OTHERWISE.items() if counts[verdict])


def _largest(benchmark: BenchmarkScores, findings: Sequence[Finding]) -> str:
    finding = max(findings, key=lambda each: abs(each.change.value))
    rho = finding.spearman
    follows = "" if rho is None else f", Spearman {signed(rho)} over {finding.strengths} strengths"
    change = f"{with_error(finding.change)} {unit(benchmark)}".strip()
    name = vector_name(finding.family)
    axis = strength_name(finding.family, finding.curves[0].axis)
    if finding.is_pair:
        high, low = (number(curve.at(finding.at).score.value) for curve in finding.curves)
        return (
            f"The largest gap is that of {name}: high {high}, low {low} at {axis} {plain(finding.at)}, "
            f"a gap of {change}{follows}."
        )
    first, last = finding.curves[0].start, finding.curves[0].points[-1]
    return (
        f"The largest change is that of {name}: {number(first.score.value)} at {axis} {plain(first.strength)} to "
        f"{number(last.score.value)} at {plain(last.strength)}, a change of {change}{follows}."
    )


def _shared(pairs: Sequence[Finding]) -> Iterator[str]:
    """The largest shift that both levels share, in figures."""
    shared = [finding for finding in pairs if finding.verdict == "shared"]
    if not shared:
        return
    finding = max(shared, key=lambda each: abs(sum(change.value for change in each.pair.shifts)))
    high, low = finding.pair.shifts
    yield (
        f"For {vector_name(finding.family)} both levels shift the same way: high by {with_error(high)}, low by "
        f"{with_error(low)}; the gap between them is {with_error(finding.change)}."
    )


def _specificity(benchmark: BenchmarkScores, pairs: Sequence[Finding]) -> Iterator[str]:
    """How much other traits change at worst, when some trait moves its own: both levels of a pair together."""
    everything = [curve for metric in benchmark.main_metrics for curve in curves_of(benchmark, metric)]
    ratios = []
    for finding in pairs:
        sizes = {metric: _size(finding, metric, everything) for metric in benchmark.main_metrics}
        own = sizes.pop(finding.curves[0].metric)
        if finding.verdict == "moves" and own:
            ratios += [size / own for size in sizes.values()]
    if ratios:
        share = max(ratios)
        yield f"Scores of the other traits change by up to {share:.0%} as much: the effect is {_specific(share)}."


def _size(finding: Finding, metric: str, curves: Sequence[Curve]) -> float:
    """How far both levels of a pair change a metric, added up."""
    families = [curve.family for curve in finding.curves]
    return sum(abs(each.change.value) for each in curves if each.metric == metric and each.family in families)


def _specific(share: float) -> str:
    if share < SPECIFIC:
        return "specific to the trait"
    return "partly specific to the trait" if share < UNSPECIFIC else "not specific to the trait"


def _of_task(benchmark: BenchmarkScores, findings: Sequence[Finding]) -> Iterator[str]:
    suffering = [finding for finding in findings if finding.verdict == "suffers"]
    if suffering:
        yield _loss(findings, suffering)
        return
    main = [finding for finding in findings if finding.curves[0].metric == benchmark.main_metrics[0]]
    yield _no_loss(benchmark, main)
    yield from _limits(benchmark, main)


def _loss(findings: Sequence[Finding], suffering: Sequence[Finding]) -> str:
    losing, tried = ({finding.family for finding in group} for group in (suffering, findings))
    worst = max(suffering, key=lambda each: abs(each.change.value))
    curve, axis = worst.curves[0], strength_name(worst.family, worst.curves[0].axis)
    lowest = number(lowest_point(curve).score.value)
    return (
        f"A loss: the score gets measurably worse with {len(losing)} of {plural(len(tried), noun(tried))}. "
        f"The largest is that of {vector_name(worst.family)}: {curve.metric} {lowest} at {axis} {plain(worst.at)}, "
        f"from {number(curve.start.score.value)}, a change of {with_error(worst.change)}."
    )


def task_notes(benchmark: BenchmarkScores) -> list[str]:
    """What no verdict says of a task: metrics without a direction, and orders of subjects that a filter decides."""
    if benchmark.kind != "task":
        return []
    open_ones = [metric for metric in benchmark.main_metrics if not benchmark.sign(metric)]
    unsaid = f"No verdict on {', '.join(open_ones)}: the task does not say whether more is better (higher_is_better)."
    return [unsaid] * bool(open_ones) + list(_filter_flips(benchmark))


def _filter_flips(benchmark: BenchmarkScores) -> Iterator[str]:
    """Pairs of subjects whose order turns from one filter of a metric to another (a strict and a flexible reading)."""
    read: dict[str, list[str]] = {}
    for metric in benchmark.main_metrics:
        if name := benchmark.first[metric].get("filter"):
            read.setdefault(metric.removesuffix(f".{name}"), []).append(metric)
    for kind, metrics in read.items():
        for one, other in combinations(metrics, 2):
            first, second = benchmark.scores[one], benchmark.scores[other]
            pairs = list(combinations([subject for subject in first if subject in second], 2))
            turned = [
                (a, b) for a, b in pairs if (first[a].value - first[b].value) * (second[a].value - second[b].value) < 0
            ]
            if turned:
                a, b = max(turned, key=lambda pair: abs(first[pair[0]].value - first[pair[1]].value))
                figures = (
                    f"{one.removeprefix(f'{kind}.')} {number(first[a].value)} and {number(first[b].value)}, "
                    f"{other.removeprefix(f'{kind}.')} {number(second[a].value)} and {number(second[b].value)}"
                )
                yield (
                    f"The filter decides who is better: the order by {kind} turns in {len(turned)} of "
                    f"{plural(len(pairs), 'pair')} of subjects, at most between {subject_name(a)} and "
                    f"{subject_name(b)} ({figures})."
                )


def _no_loss(benchmark: BenchmarkScores, findings: Sequence[Finding]) -> str:
    scores = [point.score.value for finding in findings for point in finding.curves[0].points]
    known = chance_of(benchmark)
    chance = "" if known is None else f"; guessing scores {number(known)}"
    low, high = number(min(scores)), number(max(scores))
    where = f"is {low}" if low == high else f"lies between {low} and {high}"
    text = f"{benchmark.main_metrics[0]} {where} over all strengths{chance}."
    seen = all(finding.verdict == "holds" for finding in findings)
    return f"No measurable loss: {text}" if seen else f"The score {text}"


def _limits(benchmark: BenchmarkScores, findings: Sequence[Finding]) -> Iterator[str]:
    """What a loss would have to be to show, and where none could."""
    verdicts = {finding.verdict for finding in findings}
    if "few" in verdicts:
        yield f"No verdict with fewer than {FEWEST} questions."
    if "unclear" in verdicts:
        yield "Without a standard error a loss is unclear."
    if "floor" in verdicts:
        yield _floor(benchmark, findings)
    losses = [loss for each in findings if each.verdict == "holds" and (loss := smallest_loss(each.curves[0]))]
    if losses:
        yield f"A loss smaller than {size(max(losses))} would not show with {_questions(findings)}."


def _questions(findings: Sequence[Finding]) -> str:
    counts = {finding.n for finding in findings if finding.n}
    return plural(min(counts), "question") if counts else "so few questions"


def _floor(benchmark: BenchmarkScores, findings: Sequence[Finding]) -> str:
    """Why a loss could not show."""
    start = min(finding.curves[0].start.score.value for finding in findings if finding.verdict == "floor")
    chance = chance_of(benchmark) or 0.0
    where = "no better than" if start <= chance else "not clearly above"
    return f"No loss could show: the score starts at {number(start)}, {where} guessing ({number(chance)})."
