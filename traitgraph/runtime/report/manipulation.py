"""Do the conditions of an arm differ at all? A null of prompts that never reached the model is no null."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from typing import TYPE_CHECKING, NamedTuple

from traitgraph.runtime.results.statistics import ERROR
from traitgraph.runtime.results.subjects import Subject, arm_name, strength
from traitgraph.runtime.results.summaries import BenchmarkScores

from .labels import fixed, p_text, plural

if TYPE_CHECKING:
    import numpy as np

    Values = np.ndarray[tuple[int, ...], np.dtype[np.float64]]

SAME_SHARE = 0.05
"""Share of the variance of an answer below which a difference between conditions is none, however small its p."""
EXCLUDED_SHARE = 0.15
"""Share of the variance that must be excluded before conditions are said not to differ. Ours: ten, of 44 items and five
repeats, that differ by nothing but chance have a limit of 4 %, and two of 20 items one of 20 %."""
SAME = 0.01
"""Largest difference of an answer, in units of its scale, that still counts as none where nothing is drawn."""


class Omnibus(NamedTuple):
    """Whether conditions differ at all: F over all items and its p; None where nothing is drawn."""

    f: float | None
    p: float | None
    differ: bool
    limit: float = 0.0
    """Share of the variance of an answer that conditions may have after all (upper limit of a 95 % interval)."""

    @property
    def excludes_differences(self) -> bool:
        """Whether a difference worth the name is excluded, and not only unseen because answers are few."""
        return not self.differ and self.limit < EXCLUDED_SHARE


def omnibus(values: Values) -> Omnibus | None:
    """Do answers, [condition, repeat, item] with NaN for none, differ more between conditions than between repeats?

    One-way analyses of variance of each item over conditions, added up. Where repeats are equal, or there is only one,
    any difference counts. None where no item has an answer under two conditions.
    """
    import numpy as np
    from scipy import stats

    counts = (~np.isnan(values)).sum(axis=1)  # [condition, item]
    used = (counts > 0).sum(axis=0) > 1
    if not used.any():
        return None
    values, counts = values[:, :, used], counts[:, used]
    means = np.divide(np.nansum(values, axis=1), counts, out=np.full(counts.shape, np.nan), where=counts > 0)
    offsets = means - np.nansum(counts * means, axis=0) / counts.sum(axis=0)
    within = float(np.nansum((values - means[:, None, :]) ** 2))
    between_free, within_free = int((counts > 0).sum() - counts.shape[1]), int((counts - 1)[counts > 0].sum())
    if not within_free or not within:
        return Omnibus(None, None, bool((np.nanmax(means, axis=0) - np.nanmin(means, axis=0)).max() > SAME))
    noise = within / within_free
    f = float(np.nansum(counts * offsets**2)) / between_free / noise
    p, size = float(stats.f.sf(f, between_free, within_free)), float(counts[counts > 0].mean())
    share, limit = (  # of F = (1 + size * ratio) * chance, where chance is 1, and where it is as low as it gets
        ratio / (1 + ratio)
        for chance in (1.0, float(stats.f.ppf(ERROR / 2, between_free, within_free)))
        for ratio in [max(0.0, f / chance - 1) / size]
    )
    return Omnibus(f, p, p < ERROR and share >= SAME_SHARE, limit)


class Alike(NamedTuple):
    """Conditions of one arm between whose answers no difference is seen."""

    arm: str
    number: int
    conditions: frozenset[Subject]
    """Without level and strength."""
    test: Omnibus

    @property
    def sentence(self) -> str:
        """It in words, with the figures behind it."""
        if self.test.f is None or self.test.p is None:
            how = "every answer is the same under all of them"
        else:
            figures = f"F = {fixed(self.test.f)}, p {p_text(self.test.p)}"
            how = f"answers vary between them no more than between repeats of one ({figures})"
        told = f"The {plural(self.number, 'condition')} of {self.arm}"
        if self.test.excludes_differences:
            return f"{told} do not differ: {how}, as if no prompt or training had reached the model."
        return (
            f"{told} are indistinguishable: {how}. So few answers do not tell whether no prompt or training reached "
            f"the model, or one with up to {self.test.limit:.0%} of their variance."
        )


def without_push(subject: Subject) -> Subject:
    """A subject without its level and strength."""
    return subject.unscaled._replace(level="")


def conditions_alike(benchmark: BenchmarkScores) -> list[Alike]:
    """Arms (of one model, merge and context) between whose conditions a benchmark about traits shows no difference."""
    if not benchmark.about_traits:
        return []
    measured = list(dict.fromkeys(subject for scores in benchmark.scores.values() for subject in scores))
    arms: dict[Subject, list[Subject]] = {}
    for subject in sorted(_strongest(measured)):
        arms.setdefault(subject.unscaled._replace(trait="", level=""), []).append(subject)
    bases = {(each.model, each.context): each for each in reversed(measured) if each.method == "direct"}
    found = []
    for members in arms.values():
        base = bases.get((members[0].model, members[0].context))
        compared = [*members, base] if len(members) == 1 and base else members
        test = _test(benchmark, compared) if len(compared) > 1 else None
        if test is not None and not test.differ:
            conditions = frozenset(map(without_push, members))
            arm = " in ".join(filter(None, (arm_name(members[0]), members[0].context)))
            found.append(Alike(arm, len(compared), conditions, test))
    return found


def _strongest(subjects: Iterable[Subject]) -> Iterator[Subject]:
    """The subjects with a level: of several strengths the one farthest from 0; none at 0, which is the base."""
    push = {each: max((abs(strength(text)) for text in each.strengths.values()), default=0.0) for each in subjects}
    found: dict[Subject, Subject] = {}
    for subject in subjects:
        if subject.trait and subject.level:
            found[subject.unscaled] = max(found.get(subject.unscaled, subject), subject, key=push.__getitem__)
    return (subject for subject in found.values() if push[subject] or not subject.strengths)


def _test(benchmark: BenchmarkScores, subjects: Sequence[Subject]) -> Omnibus | None:
    import numpy as np

    tables = [_answers(benchmark, subject) for subject in subjects]
    names = dict.fromkeys(name for table in tables for name in table)
    repeats = max((len(values) for table in tables for values in table.values()), default=0)
    padded = [[[*table.get(name, ()), *[None] * repeats][:repeats] for name in names] for table in tables]
    values = np.array(padded, dtype=float)  # [subject, item, repeat], None as NaN
    return omnibus(values.swapaxes(1, 2)) if values.size else None


def _answers(benchmark: BenchmarkScores, subject: Subject) -> Mapping[str, Sequence[float | None]]:
    """What one subject answers: item -> value of each repeat; score -> value where single items are not known."""
    jobs = {scores[subject].jobs[0] for scores in benchmark.scores.values() if subject in scores}
    forms = [benchmark.items.of(job) for job in sorted(jobs)] if benchmark.items else []
    items = {
        f"{name} {item}": each.values for form in forms for name, own in form.items() for item, each in own.items()
    }
    return items or {
        metric: [row["value"] for row in rows[subject]]
        for metric, rows in benchmark.rows.items() if subject in rows and metric in benchmark.main_metrics
    }  # fmt: skip
