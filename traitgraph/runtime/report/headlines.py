"""What a benchmark found, in a few sentences: do high and low come apart, does a task suffer?"""

from __future__ import annotations

import math
from collections import Counter, defaultdict
from collections.abc import Iterator, Sequence
from itertools import chain, combinations

from traitgraph.runtime.results.subjects import Subject, noun, subject_name, subject_names, vector_name
from traitgraph.runtime.results.summaries import BenchmarkScores

from .curves import curves_of
from .findings import SPECIFIC, UNSPECIFIC, Findings, chance_of, lowest_point, smallest_loss
from .labels import VERDICTS, at_strength, number, p_text, plain, plural, size, unit, with_error
from .separation import FEWEST, Finding
from .validity import faults_of, partial_faults_of

CONTRAST_LIMIT = (
    "It says which of two written replies the model finds likelier: a preference of style as much as of trait."
)
MOST_NAMED = 10
"""Subjects without usable answers that a card names; more are counted."""


def headline(found: Findings) -> list[str]:
    """A few sentences on one benchmark; the first says what moved."""
    benchmark = found.benchmark
    if benchmark.kind == "task":
        sentences = list(_of_task(benchmark, found.found))
    else:
        sentences = [*_of_traits(benchmark, found.over_strengths), *_of_gaps(benchmark, found.without_strength)]
        sentences += [each.sentence for each in found.same]
    if lost := found.lost:
        names = list(subject_names(lost).values())
        more = f" and {len(names) - MOST_NAMED} more" if len(names) > MOST_NAMED else ""
        sentences.append(f"Without usable answers: {', '.join(names[:MOST_NAMED])}{more}.")
    if not sentences:
        return []
    if benchmark.kind == "reply_contrast":
        sentences.append(CONTRAST_LIMIT)
    about = "" if benchmark.kind == "task" else " about personality"
    if faults := faults_of(benchmark):
        sentences.append(f"Its validity checks fail ({'; '.join(faults)}), so its scores say little{about}.")
    if partial := partial_faults_of(benchmark):
        sentences.append(f"Some subjects fail a validity check ({'; '.join(partial)}): theirs say little{about}.")
    return sentences


def _of_traits(benchmark: BenchmarkScores, findings: Sequence[Finding]) -> Iterator[str]:
    """What has a strength."""
    pairs = [finding for finding in findings if finding.is_pair]
    alone = [finding for finding in findings if not finding.is_pair]
    if pairs:
        families = [finding.curves[0].family for finding in pairs]
        of_traits = len({family.trait for family in families}) == len(pairs)
        total = plural(len(pairs), "trait") if of_traits else f"{plural(len(pairs), 'pair')} of {noun(families)}s"
        yield f"{' and '.join(benchmark.words.sides).capitalize()} come apart {_counts(pairs, 'in', total)}."
    if alone:
        counted = _counts(alone, "with", plural(len(alone), noun([finding.subject for finding in alone])))
        yield f"The score moves {counted}. Without the opposite level this may be a shift of every answer."
    if judged := [finding for finding in findings if finding.lack is None]:
        yield _largest(benchmark, [each for each in judged if each.verdict in ("moves", "shifts")] or judged)
    yield from _shared(benchmark, pairs)
    yield from _limit(benchmark, "gap" if pairs else "change", judged)
    yield from _specificity(benchmark, pairs)


def _of_gaps(benchmark: BenchmarkScores, gaps: Sequence[Finding]) -> Iterator[str]:
    """The conditions without a strength."""
    if not gaps:
        return
    both = " and ".join(benchmark.words.sides)
    text = f"Without a strength, {both} come apart {_counts(gaps, 'under', plural(len(gaps), 'condition'))}"
    judged = [gap for gap in gaps if gap.lack is None]
    if judged:
        largest = max(judged, key=_moved)
        text += f"; the largest gap is {with_error(largest.change)} ({subject_name(largest.subject)})"
    yield f"{text}."
    yield from _limit(benchmark, "gap", judged)


def _moved(finding: Finding) -> float:
    return abs(finding.change.value)


def _counts(found: Sequence[Finding], under: str, total: str) -> str:
    """'as intended under 3 of 5 conditions; no usable answers under 2'."""
    sound = sum(each.is_sound for each in found)
    text = f"as intended {under} {sound} of {total}"
    if unsound := sum(each.verdict in ("moves", "shifts") for each in found) - sound:
        text += f"; as intended, but checks fail, {under} {unsound}"
    counts = Counter[str](each.verdict for each in found)
    for verdict, (_, words) in VERDICTS.items():
        if counts[verdict] and verdict not in ("moves", "shifts"):
            text += f"; {words} {under} {counts[verdict]}"
    return text


def _limit(benchmark: BenchmarkScores, what: str, judged: Sequence[Finding]) -> Iterator[str]:
    """What the nulls exclude, and how large an effect the rest would have shown."""
    nulls = [each for each in judged if each.verdict == "null"]
    if nulls and nulls[0].margin is not None:
        yield f"A shown null: a {what} of {f'{size(nulls[0].margin)} {unit(benchmark)}'.strip()} or more is excluded."
    open_ones = [each for each in judged if each.verdict == "inconclusive"]
    known = [value for each in open_ones if (value := each.detectable) is not None]
    if open_ones and not known:
        keyed = benchmark.items is not None and any(each.change.stderr is None for each in open_ones)
        why = "the items cannot tell a trait from a shift of every answer" if keyed else "single items are not known"
        yield f"No test: {why}, and repeats are no observations of a trait."
    if known:
        low, high = benchmark.scale or (-math.inf, math.inf)
        smallest = max(known)
        if smallest >= high - low:
            yield f"No {what} on the scale would be found with 80 % power: that takes {size(smallest)}."
        else:
            yield f"Inconclusive: a {what} of {size(smallest)} would be found with 80 % power."


def _largest(benchmark: BenchmarkScores, findings: Sequence[Finding]) -> str:
    finding = max(findings, key=_moved)
    curve, name = finding.curves[0], vector_name(finding.subject)
    how = f"{with_error(finding.change)} {unit(benchmark)}".strip()
    if finding.p is not None:
        how += f" (p {p_text(finding.p)}, of {finding.family})"
    if finding.slope is not None:
        axis = max((each.axis_title for each in finding.curves), key=len)
        how += f"; slope {with_error(finding.slope)} per unit of {axis}"
    if finding.is_pair:
        high, low = (number(score.value) for score in finding.scores)
        at = at_strength(curve.family, curve.axis, finding.at)
        upper, lower = benchmark.words.sides
        return f"The largest gap is that of {name}: {upper} {high}, {lower} {low} at {at}, a gap of {how}."
    first, last = curve.start, curve.points[-1]
    at = at_strength(curve.family, curve.axis, first.strength)
    return (
        f"The largest change is that of {name}: {number(first.score.value)} at {at} to "
        f"{number(last.score.value)} at {plain(last.strength)}, a change of {how}."
    )


def _shared(benchmark: BenchmarkScores, pairs: Sequence[Finding]) -> Iterator[str]:
    """The largest shift that both levels share, in figures."""
    shared = [finding for finding in pairs if finding.verdict == "shared"]
    if not shared:
        return
    finding = max(shared, key=lambda each: abs(sum(change.value for change in each.shifts or ())))
    assert finding.shifts is not None, "known where both levels shift"
    (high, low), (upper, lower) = finding.shifts, benchmark.words.sides
    yield (
        f"For {vector_name(finding.subject)} both levels shift the same way: {upper} by {with_error(high)}, {lower} by "
        f"{with_error(low)}; the gap between them is {with_error(finding.change)}."
    )


def _specificity(benchmark: BenchmarkScores, pairs: Sequence[Finding]) -> Iterator[str]:
    """How much other traits change at worst, when some trait moves its own: both levels of a pair together."""
    changes = defaultdict[tuple[Subject, str], float](float)
    for curve in chain.from_iterable(curves_of(benchmark, metric) for metric in benchmark.main_metrics):
        changes[curve.family, curve.metric] += abs(curve.change.value)
    ratios = []
    for finding in pairs:
        families = {curve.family for curve in finding.curves}
        sizes = {metric: sum(changes[each, metric] for each in families) for metric in benchmark.main_metrics}
        own = sizes.pop(finding.curves[0].metric)
        if finding.verdict == "moves" and own:
            ratios += [size / own for size in sizes.values()]
    if ratios:
        share = max(ratios)
        how = "specific" if share < SPECIFIC else "partly specific" if share < UNSPECIFIC else "not specific"
        yield f"Scores of the other traits change by up to {share:.0%} as much: the effect is {how} to the trait."


def _of_task(benchmark: BenchmarkScores, findings: Sequence[Finding]) -> Iterator[str]:
    """The largest loss; where there is none, the range of the scores, and why a loss does not show."""
    suffering = [finding for finding in findings if finding.verdict == "suffers"]
    if suffering:
        losing, tried = ({finding.subject for finding in group} for group in (suffering, findings))
        worst = max(suffering, key=_moved)
        curve = worst.curves[0]
        lowest, at = number(lowest_point(curve).score.value), at_strength(curve.family, curve.axis, worst.at)
        yield (
            f"A loss: the score gets measurably worse with {len(losing)} of {plural(len(tried), noun(tried))}. "
            f"The largest is that of {vector_name(worst.subject)}: {curve.metric} {lowest} at {at}, "
            f"from {number(curve.start.score.value)}, a change of {with_error(worst.change)}."
        )
    elif findings:
        metric, margin = findings[0].metric, findings[0].margin
        main = [finding for finding in findings if finding.metric == metric]
        scores = [point.score.value for finding in main for point in finding.curves[0].points]
        low, high = number(min(scores)), number(max(scores))
        text = f"{metric} {f'is {low}' if low == high else f'lies between {low} and {high}'} over all strengths"
        if (known := chance_of(benchmark, metric)) is not None:
            text += f"; guessing scores {number(known)}"
        if margin is not None and all(finding.verdict == "holds" for finding in main):
            yield f"No loss: one of {size(margin)} or more is excluded at every strength; {text}."
        else:
            yield f"The score {text}."
        yield from _limits(benchmark, main)


def _limits(benchmark: BenchmarkScores, findings: Sequence[Finding]) -> Iterator[str]:
    """What a loss would have to be to show, and where none could."""
    verdicts = {finding.verdict for finding in findings}
    if "few" in verdicts:
        yield f"No verdict with fewer than {FEWEST} questions."
    if "floor" in verdicts:
        floors = [each.curves[0] for each in findings if each.verdict == "floor"]
        curve = min(floors, key=lambda each: each.start.score.value)
        start, chance = curve.start.score.value, chance_of(benchmark, curve.metric) or 0.0
        where = "no better than" if start <= chance else "not clearly above"
        yield f"No loss could show: the score starts at {number(start)}, {where} guessing ({number(chance)})."
    if "inconclusive" in verdicts:
        losses = [loss for each in findings if each.verdict == "inconclusive" and (loss := smallest_loss(each))]
        shown = f"one of {size(max(losses))} would be found with 80 % power" if losses else "its error is not known"
        yield f"Inconclusive: no clear loss, and none is excluded; {shown}."


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
        if name := benchmark.said_of(metric, "filter"):
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
