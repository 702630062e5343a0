"""A sweep as one study: every member's arms side by side, so that all members compile into one graph.

`traitgraph run SPEC -m alpha=0.1,0.2` is the study whose arms are those of the member with alpha 0.1 and those of the
member with alpha 0.2. Equal work of two members is one job, as between any two arms.
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from pathlib import Path

from .compose import Member, compose_many
from .diagnostics import Diagnostic, SpecError, error, has_errors
from .study import Arm, Study
from .validate import validate


def load_sweep(path: Path, overrides: Sequence[str]) -> Study:
    """The study of all members of a sweep. Raises SpecError with the faults of all members, equal ones once."""
    members, faults = compose_many(path, overrides)
    studies: list[tuple[Member, Study]] = []
    for member in members:
        study, found = validate(member.document)
        faults += [fault for fault in found if fault not in faults]
        if study is not None:
            studies.append((member, study))
    faults += _one_name([study for _, study in studies])
    if has_errors(faults) or not studies:
        raise SpecError(faults)
    first = studies[0][1]
    return first.model_copy(update={"arms": tuple(arm for each in studies for arm in _renamed(*each))})


def _one_name(studies: Sequence[Study]) -> list[Diagnostic]:
    names = list(dict.fromkeys(study.study for study in studies))
    if len(names) <= 1:
        return []
    what = f"a sweep is one study, and this one has {len(names)} names: {', '.join(names[:4])}"
    return [error("TG024", what, path="study", hint="sweep another key, or give one name: study=NAME")]


def _renamed(member: Member, study: Study) -> list[Arm]:
    """The arms of a member, each with what is swept in its name: `scaling+alpha=0.3+model=small`."""
    if not member.name:
        return list(study.arms)
    suffix = "".join(f"+{_short(part)}" for part in member.parts)
    return [arm.model_copy(update={"name": arm.name + suffix}) for arm in study.arms]


def _short(part: str) -> str:
    """The last step of the key, and the value without what a selection or a table would stumble over."""
    key, _, value = part.lstrip("+~").partition("=")
    name = key.rpartition("@")[0] or key
    plain = value if re.fullmatch(r"[\w.+-]+", value) else re.sub(r"[^\w.+-]+", "-", value).strip("-")
    return re.split(r"[./]", name)[-1] + "=" + plain
