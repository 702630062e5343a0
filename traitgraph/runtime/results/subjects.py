"""Subjects: the model conditions that results are about, how a reader names them, and in which order they stand."""

from __future__ import annotations

import math
import re
from collections import Counter
from collections.abc import Iterable, Mapping
from typing import NamedTuple

from traitgraph.specs.study.vocabulary import BIG_FIVE, Vocabulary


class Subject(NamedTuple):
    """One model condition as a reader names it. Seeds are not told apart: they are repetitions."""

    arm: str
    method: str
    """With what tells its variants apart: the `method_label` of its rows; so is `merge`."""
    model: str
    trait: str
    level: str
    merge: str
    alpha: str
    """Of a steered subject its coefficient; of a composed one perhaps several: '0.5+1'."""
    gamma: str
    context: str = ""
    """What stands around it."""

    @property
    def strengths(self) -> dict[str, str]:
        """Those that apply."""
        return {axis: text for axis, text in (("alpha", self.alpha), ("gamma", self.gamma)) if text}

    @property
    def unscaled(self) -> Subject:
        """Without its strengths: what subjects of one vector, or one steering, have in common."""
        return self._replace(alpha="", gamma="")


def subject_of(row: Mapping[str, object]) -> Subject:
    """The subject that a row, or the coordinates of a cell, are about."""
    told = dict(row, method=row["method_label"], merge=row["merge_label"], alpha=_strength_of(row))
    return Subject(*("" if told[name] is None else str(told[name]) for name in Subject._fields))


def _strength_of(row: Mapping[str, object]) -> object:
    if (one := row["alpha"]) is not None or (one := row["coefficient"]) is not None:
        return one
    return "+".join(str(value) for name, value in row.items() if name.startswith("alpha:") and value is not None)


def subject_order(subject: Subject, words: Vocabulary = BIG_FIVE) -> tuple[object, ...]:
    """Sort key: model, merge, trait and level in the order of the vocabulary, then strengths as numbers."""
    trait_place, level_place = words.place(subject.trait, subject.level)
    places = ((trait_place, subject.trait), (level_place, subject.level))
    return (subject.model, subject.merge, *places, strength(subject.gamma), strength(subject.alpha))


def strength(text: str) -> float:
    """An alpha or gamma as a number; NaN-free: text that is no number sorts before all numbers."""
    try:
        return float(text)
    except ValueError:
        return -math.inf


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
    """What tells variants of one arm's method apart: context, 'layer 10' of 'steer layer=10'; '' for the only one."""
    parts = (part.replace("=", " ") for part in re.split(r" (?=\w+=)", subject.method)[1:])
    return ", ".join(filter(None, [subject.context, *parts]))


def arm_name(subject: Subject) -> str:
    """The one name of an arm in every legend: its own, or its method's where the study has no arms."""
    return subject.arm or method_kind(subject)


def subject_name(subject: Subject) -> str:
    """How a chart names a condition: 'base', 'prompt: extraversion high', 'negation: openness low, alpha -1'."""
    strengths = [f"{strength_name(subject, axis)} {value}" for axis, value in subject.strengths.items()]
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
