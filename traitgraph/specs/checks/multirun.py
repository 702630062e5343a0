"""A sweep as one study: every member's arms side by side, so that all members compile into one graph.

`traitgraph run SPEC -m alpha=0.1,0.2` is the study whose arms are those of the member with alpha 0.1 and those of the
member with alpha 0.2. Equal work of two members is one job, as between any two arms. An arm that is the same in several
members is one arm, and its name tells only what it depends on; no two arms have one name.
"""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path

from traitgraph.specs.composition.compose import Member, compose_many
from traitgraph.specs.composition.overrides import Override
from traitgraph.specs.source.diagnostics import Diagnostic, SpecError, error, has_errors
from traitgraph.specs.source.hashing import digest
from traitgraph.specs.study.study import Arm, Study

from .validate import validate

LONGEST = 60
"""Letters of a swept value in the name of an arm."""
DIGITS = 10
"""Hex digits that tell values apart which would have one name."""

Place = tuple[int, ...]
Contents = Mapping[str, Mapping[Place, str]]
"""Name of an arm -> place of a member -> digest of the arm there."""


def load_sweep(path: Path, overrides: Sequence[str]) -> Study:
    """The study of all members of a sweep. Raises SpecError with the faults of all members, equal ones once."""
    members, faults = compose_many(path, overrides)
    studies: list[tuple[Member, Study]] = []
    for member in members:
        study, found = validate(member.document)
        faults += [fault for fault in found if fault not in faults]
        if study is not None:
            studies.append((member, study))
    names = list(dict.fromkeys(study.study for _, study in studies))
    if len(names) > 1:
        what = f"a sweep is one study, and this one has {len(names)} names: {', '.join(names[:4])}"
        faults.append(error("TG024", what, path="study", hint="sweep another key, or give one name: study=NAME"))
    if has_errors(faults) or not studies:
        raise SpecError(faults)
    contents: dict[str, dict[Place, str]] = {}
    for member, study in studies:
        for arm in study.arms:
            contents.setdefault(arm.name, {})[member.place] = digest("arm", arm.model_copy(update={"name": ""}))
    values = [
        {member.place[index]: member.swept[index] for member in members} for index in range(len(members[0].place))
    ]
    if faults := list(_equal_values(values, contents)):
        raise SpecError(faults)
    return studies[0][1].model_copy(
        update={"arms": tuple(_arms(studies, values, contents)), "overrides": tuple(overrides)}
    )


def _equal_values(values: Sequence[Mapping[int, Override]], contents: Contents) -> Iterator[Diagnostic]:
    """A fault for each swept value that makes the same study as one before it: one measurement would count as two."""
    for index, of_override in enumerate(values):
        seen: dict[tuple[object, ...], Override] = {}
        for number, value in of_override.items():
            makes = tuple(
                (name, _without(place, index), content)
                for name, places in contents.items()
                for place, content in places.items()
                if place[index] == number
            )
            if (first := seen.setdefault(makes, value)) is not value:
                equal = f"`{value.text}` and `{first.text}` make the same study"
                what = f"`{value.text}` stands twice in the sweep" if value.text == first.text else equal
                yield error("TG105", what, value.span("value"), value.key, "each point of a sweep is measured once")


def _without(place: Place, index: int) -> Place:
    return place[:index] + place[index + 1 :]


def _arms(
    studies: Sequence[tuple[Member, Study]], values: Sequence[Mapping[int, Override]], contents: Contents
) -> Iterator[Arm]:
    """Every arm once, with what it depends on of what is swept in its name: `scaling+alpha=0.3+model=small`."""
    counts = [len(of_override) for of_override in values]
    depends = {
        name: [_depends(places, index, count) for index, count in enumerate(counts)]
        for name, places in contents.items()
    }
    keys = Counter(_last_step(of_override[0].key) for of_override in values)
    words = [_words(of_override, alone=keys[_last_step(of_override[0].key)] == 1) for of_override in values]
    seen: set[tuple[str, str]] = set()
    for member, study in studies:
        for arm in study.arms:
            point = (arm.name, contents[arm.name][member.place])
            if point not in seen:
                chosen = zip(words, member.place, depends[arm.name], strict=True)
                suffix = "".join(f"+{each[number]}" for each, number, tells in chosen if tells)
                yield arm.model_copy(update={"name": arm.name + suffix})
            seen.add(point)


def _depends(places: Mapping[Place, str], index: int, count: int) -> bool:
    """Whether an arm is another one, or none, at some of the `count` values of an override."""
    found: dict[Place, list[str]] = {}
    for place, content in places.items():
        found.setdefault(_without(place, index), []).append(content)
    return any(len(alike) < count or len(set(alike)) > 1 for alike in found.values())


def _words(values: Mapping[int, Override], alone: bool) -> dict[int, str]:
    """A word for each value of an override, no two alike: `alpha=0.3`; the whole key where two end alike."""
    texts = {number: value.text.partition("=")[2] for number, value in values.items()}
    plain = {number: _plain(text)[:LONGEST] for number, text in texts.items()}
    told = Counter(word.casefold() for word in plain.values())
    apart = {
        number: f"-{digest('value', value.value)[:DIGITS]}" if told[plain[number].casefold()] > 1 else ""
        for number, value in values.items()
    }
    key = _last_step(values[0].key) if alone else re.sub(r"[^\w.]+", ".", values[0].key)
    return {number: f"{key}={word}{apart[number]}" for number, word in plain.items()}


def _plain(text: str) -> str:
    """A value without what a selection or a table would stumble over."""
    return text if re.fullmatch(r"[\w.+-]+", text) else re.sub(r"[^\w.+-]+", "-", text).strip("-")


def _last_step(key: str) -> str:
    return re.split(r"[./]", key.rpartition("@")[0] or key)[-1]
