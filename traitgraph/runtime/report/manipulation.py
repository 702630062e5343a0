"""Do the conditions of an arm differ at all? A null of prompts that never reached the model is no null."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from itertools import groupby
from typing import NamedTuple

from .labels import arm_name, fixed, p_text, plural
from .statistics import Omnibus, omnibus
from .summaries import BenchmarkScores, Subject, strength


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
    return subject._replace(level="", alpha="", gamma="")


def conditions_alike(benchmark: BenchmarkScores) -> list[Alike]:
    """Arms (of one model and merge) between whose conditions a benchmark about traits shows no difference."""
    if not benchmark.about_traits:
        return []
    subjects = sorted(_strongest(benchmark), key=_arm)
    bases = {each for scores in benchmark.scores.values() for each in scores if each.method == "direct"}
    found = []
    for _, group in groupby(subjects, key=_arm):
        members = list(group)
        base = [each for each in bases if each.model == members[0].model]
        compared = members if len(members) > 1 else [*members, *base[:1]]
        test = _test(benchmark, compared) if len(compared) > 1 else None
        if test is not None and not test.differ:
            conditions = frozenset(map(without_push, members))
            found.append(Alike(arm_name(members[0]), len(compared), conditions, test))
    return found


def _arm(subject: Subject) -> tuple[str, ...]:
    return subject.arm, subject.method, subject.model, subject.merge


def _strongest(benchmark: BenchmarkScores) -> set[Subject]:
    """The subjects with a level: of several strengths the one farthest from 0; none at 0, which is the base."""
    found: dict[Subject, Subject] = {}
    for subject in (each for scores in benchmark.scores.values() for each in scores if each.trait and each.level):
        family = subject._replace(alpha="", gamma="")
        found[family] = max(found.get(family, subject), subject, key=_push)
    return {subject for subject in found.values() if _push(subject) != 0 or not subject.alpha + subject.gamma}


def _push(subject: Subject) -> float:
    return max((abs(strength(text)) for text in (subject.alpha, subject.gamma) if text), default=0.0)


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
    own_scores = {
        metric: [row["value"] for row in rows[subject]]
        for metric, rows in benchmark.rows.items() if subject in rows and metric in benchmark.main_metrics
    }  # fmt: skip
    return items or own_scores
