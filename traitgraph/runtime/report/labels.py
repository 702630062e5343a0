"""Numbers, units and verdicts as the report writes them."""

from __future__ import annotations

import math
from collections.abc import Callable, Iterable, Mapping, Sequence
from typing import TypeVar

from traitgraph.runtime.assessment.word_categories import WORDS
from traitgraph.runtime.results.statistics import Estimate
from traitgraph.runtime.results.subjects import Subject, strength_name
from traitgraph.runtime.results.summaries import BenchmarkScores, Score

Value = TypeVar("Value")
MINUS = "\N{MINUS SIGN}"
VERDICTS: Mapping[str, tuple[str, str]] = {
    "moves": ("●", "as intended"),
    "shifts": ("◐", "as intended, one level"),
    "shared": ("◐", "both levels shift the same way"),
    "reversed": ("▲", "reversed"),
    "inconclusive": ("◇", "inconclusive"),
    "null": ("○", "shown null"),
    "same": ("□", "conditions do not differ"),
    "few": ("–", "too few items"),
    "failed": ("■", "no usable answers"),
    "missing": ("–", "not measured"),
    "suffers": ("▼", "loss"),
    "holds": ("○", "no loss"),
    "floor": ("–", "no loss could show"),
}
"""Verdict -> a sign that differs without colour, and its words."""


def number(value: float, digits: int = 2) -> str:
    """A number with a real minus sign: '0.38', '−1.40'; whole numbers keep no point: '2'."""
    whole = float(value).is_integer() and abs(value) < 1e6
    return str(int(value)).replace("-", MINUS) if whole else fixed(value, digits)


def size(value: float) -> str:
    """A number above 0 with two decimals or more, so that it never reads as 0: '0.35', '0.012'."""
    return number(value, _digits(value))


def plain(value: float) -> str:
    """A strength as a person writes it: '0.5', '−1', '1.25'."""
    return f"{value:g}".replace("-", MINUS)


def fixed(value: float, digits: int = 2) -> str:
    """As `number`, always with the same number of decimals: for columns."""
    text = f"{value:.{digits}f}"
    return text.replace("-", MINUS) if float(text) else text.replace("-", "")


def signed(value: float, digits: int = 2) -> str:
    """A change: always with its sign."""
    text = fixed(value, digits)
    return text if text.startswith(MINUS) or not float(text) else f"+{text}"


def with_error(change: Estimate) -> str:
    """A change with half of its 95 % interval: '+1.07 ± 0.77', '+0.018 ± 0.012'."""
    return "–" if math.isnan(change.value) else signed(change.value, _digits(change.half)) + _plus_minus(change.half)


def with_spread(score: Score | Estimate) -> str:
    """A score with half of its 95 % interval: '3.35 ± 0.60'."""
    return fixed(score.value, _digits(score.half)) + _plus_minus(score.half)


def or_dash(value: Value | None, written: Callable[[Value], str]) -> str:
    """What is known in its written form; a dash for what is not."""
    return "–" if value is None else written(value)


def _plus_minus(half: float | None) -> str:
    return "" if half is None else f" ± {fixed(half, _digits(half))}"


def _digits(error: float | None) -> int:
    """Two decimals, and up to four where an error would else be told by fewer than two digits."""
    return next((digits for digits in (2, 3) if not error or error >= 0.95 * 10 ** (1 - digits)), 4)


def plural(count: int, noun: str) -> str:
    """'1 vector', '4 vectors'."""
    return f"{count:,} {noun}" if count == 1 else f"{count:,} {noun}s"


def unit(benchmark: BenchmarkScores) -> str:
    """The unit of a benchmark's scores."""
    if benchmark.kind == "questionnaire":
        return "points" + (" ({:g} to {:g})".format(*benchmark.scale) if benchmark.scale else "")
    return "nats per token" if benchmark.kind == "reply_contrast" else ""


def contrast(benchmark: BenchmarkScores) -> str:
    """Which levels are subtracted from which: 'high minus low'."""
    return " minus ".join(benchmark.words.sides)


def axis_title(benchmark: BenchmarkScores, metric: str) -> str:
    """The label of a score axis, with its unit."""
    if benchmark.kind == "reply_contrast":
        return f"{contrast(benchmark)} reply [nats per token]"
    if benchmark.kind == "questionnaire":
        return "score [{:g} to {:g}]".format(*benchmark.scale) if benchmark.scale else "score"
    if benchmark.kind == "words":
        return "words in a text" if metric == WORDS else "share of the words"
    if benchmark.kind == "layers":
        return "cosine with the base"
    return f"{metric} [share correct]" if metric.startswith(("acc", "exact_match")) else metric


def sample_size(benchmark: BenchmarkScores) -> str:
    """What a score rests on: '12 pairs of replies a trait', '4 items a trait, 5 repeats', '24 questions'."""
    scores = [score for metric in benchmark.main_metrics for score in benchmark.scores[metric].values()]
    noun = {"reply_contrast": "pairs of replies a trait", "questionnaire": "items a trait", "task": "questions"}
    name = noun.get(benchmark.kind, "items")
    if not (counts := _counts(scores)):
        return ""
    few, most, repeats = min(counts), max(counts), max(score.repeats for score in scores)
    text = f"{few:,} {name}" if few == most else f"{name}: {few:,} at least, {most:,} at most"
    if repeats < 2:
        return text
    answers = "" if few == most else f", {sum(score.total for score in scores):,} usable answers in all"
    text += f"{',' if few == most else ' in a repeat;'} {repeats} repeats{answers}"
    noise = max((score.noise for score in scores if score.noise is not None), default=None)
    drawn = "" if noise is None else f"; drawing answers moves a score by up to {fixed(noise)} (SD between repeats)"
    return text + drawn


def count_text(scores: Sequence[Score]) -> str:
    """How many items some scores rest on: '4', or '1 to 8' where repeats differ."""
    counts = _counts(scores)
    return " to ".join(f"{count:,}" for count in sorted({min(counts), max(counts)})) if counts else "–"


def _counts(scores: Iterable[Score]) -> list[int]:
    return [count for score in scores for count in score.by_repeat or (score.n,) if count is not None]


def p_text(value: float) -> str:
    """A p value as it follows the letter: '= 0.031', '< 0.001'."""
    return "< 0.001" if value < 0.001 else f"= {fixed(value, 3)}"


def spread_note(benchmark: BenchmarkScores, scores: list[Score]) -> str:
    """What the bands and bars of a chart show."""
    single = {"words": "texts", "layers": "rows"}.get(benchmark.kind, "items")
    overs = {score.over.replace("items", single) for score in scores if score.over}
    if not overs:
        return "No uncertainty is known for these points."
    return f"Bands and bars: 95 % interval over {' or '.join(sorted(overs))}, of each score by itself."


def at_strength(subject: Subject, axis: str, value: float) -> str:
    """A strength with its name: 'alpha 0.5', 'coefficient −1'."""
    return f"{strength_name(subject, axis)} {plain(value)}"
