"""Numbers, units and names as the report writes them."""

from __future__ import annotations

import math
import re
from collections import Counter
from collections.abc import Iterable, Mapping, Sequence

from traitgraph.runtime.assessment.word_categories import WORDS

from .statistics import Estimate
from .summaries import BenchmarkScores, Score, Subject

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
    text = str(int(value)) if whole else f"{value:.{digits}f}"
    return text.replace("-", MINUS) if float(text) else text.replace("-", "")


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


def with_spread(value: float, half: float | None) -> str:
    """A score with half of its 95 % interval: '3.35 ± 0.60'."""
    return fixed(value, _digits(half)) + _plus_minus(half)


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


def axis_title(benchmark: BenchmarkScores, metric: str) -> str:
    """The label of a score axis, with its unit."""
    if benchmark.kind == "reply_contrast":
        return "high minus low reply [nats per token]"
    if benchmark.kind == "questionnaire":
        return "score [{:g} to {:g}]".format(*benchmark.scale) if benchmark.scale else "score"
    if benchmark.kind == "words":
        return "words in a text" if metric == WORDS else "share of the words"
    if benchmark.kind == "layers":
        return "cosine with the base"
    return f"{metric} [share correct]" if metric.startswith(("acc", "exact_match")) else metric


def single(benchmark: BenchmarkScores) -> str:
    """What one administration has several of."""
    return {"words": "texts", "layers": "rows"}.get(benchmark.kind, "items")


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


def spread_note(scores: list[Score], single: str = "items") -> str:
    """What the bands and bars of a chart show; `single` is what one administration has several of."""
    overs = {score.over.replace("items", single) for score in scores if score.over}
    if not overs:
        return "No uncertainty is known for these points."
    return f"Bands and bars: 95 % interval over {' or '.join(sorted(overs))}, of each score by itself."


NOUNS = {"vector": "vector", "compose": "vector", "steer": "steering direction", "npti": "neuron set"}
"""Kind of method -> what one strength scales."""


def noun(families: Iterable[Subject]) -> str:
    """What these are, in the singular: 'vector', 'steering direction'; 'condition' where they are not of one sort."""
    found = {NOUNS.get(method_kind(family), "condition") for family in families}
    return found.pop() if len(found) == 1 else "condition"


def method_kind(subject: Subject) -> str:
    """The method without what tells its variants apart: 'steer' of 'steer layer=10'."""
    return subject.method.partition(" ")[0]


def strength_name(subject: Subject, axis: str) -> str:
    """What a reader calls the strength: steering has a coefficient, though its column is `alpha`."""
    return "coefficient" if axis == "alpha" and method_kind(subject) == "steer" else axis


def vector_name(family: Subject) -> str:
    """How a sentence names a vector: 'extraversion high'; with its variant, 'extraversion high (layer 10)'."""
    name = level_name(family)
    return f"{name} ({variant})" if (variant := variant_of(family)) else name


def level_name(family: Subject) -> str:
    """Trait and level: 'extraversion high'; the arm's name where it has neither."""
    return f"{family.trait} {family.level}".strip() or family.arm or family.method


def variant_of(subject: Subject) -> str:
    """What tells variants of one arm's method apart: 'layer 10' of 'steer layer=10'; '' for the only one."""
    return ", ".join(part.replace("=", " ") for part in re.split(r" (?=\w+=)", subject.method)[1:])


def arm_name(subject: Subject) -> str:
    """The one name of an arm in every legend: its own, or its method's where the study has no arms."""
    return subject.arm or method_kind(subject)


def subject_name(subject: Subject) -> str:
    """How a chart names a condition: 'base', 'prompt: extraversion high', 'negation: openness low, alpha -1'."""
    strengths = [
        f"{strength_name(subject, axis)} {value}"
        for axis, value in (("alpha", subject.alpha), ("gamma", subject.gamma))
        if value
    ]
    condition = f"{subject.trait} {subject.level}".strip()
    details = ", ".join(filter(None, [condition, variant_of(subject), *strengths]))
    return f"{arm_name(subject)}: {details}" if details else arm_name(subject)


def subject_names(subjects: Iterable[Subject]) -> dict[Subject, str]:
    """The name of each; those that would share one are told apart by model and merge."""
    names = {subject: subject_name(subject) for subject in subjects}
    shared = Counter(names.values())
    return {
        subject: name if shared[name] < 2 else f"{name} ({', '.join(filter(None, (subject.model, subject.merge)))})"
        for subject, name in names.items()
    }
