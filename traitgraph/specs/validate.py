"""From a document to a study: every fault of the file at once, each with its place.

An arm is read as one mapping: the study's keys with the arm's own laid over them (`overlay.py`). Then come the rules that
no single field can see (`consumption.py`): needed keys, options that nothing uses.
"""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

from pydantic_core import ValidationError

from .consumption import check_use, settle
from .diagnostics import Diagnostic, SpecError, error, has_errors, in_order
from .document import Document
from .faults import keys_of, validated
from .freeze import frozen
from .messages import diagnose, unknown_key
from .overlay import ArmText, arm_texts
from .scope import Scope
from .study import Arm, Study

STUDY_KEYS = ("study", "description", "arms", "cluster")
ARM_KEYS = tuple(key for key in keys_of(Arm) if key != "name")


def load_study(path: Path, overrides: Sequence[str] = ()) -> Study:
    """The study of a spec file with overrides applied. Raises SpecError with all its faults."""
    from .compose import compose

    document, diagnostics = compose(path, overrides)
    if document is None:
        raise SpecError(diagnostics)
    study, found = validate(document)
    if study is None or has_errors(diagnostics):
        raise SpecError([*diagnostics, *found])
    return study


def validate(document: Document) -> tuple[Study | None, list[Diagnostic]]:
    """The study that a document means, or None; and every fault and warning in it, by place."""
    data = frozen(document.data)
    assert isinstance(data, dict), "a document is a mapping"
    reading = _Reading(data, document, Scope(document.file))
    study = reading.study()
    return (None if has_errors(reading.found) else study), list(in_order(reading.found))


class _Reading:
    """One pass over one document; `found` gathers what is wrong with it."""

    def __init__(self, data: dict[str, object], document: Document, scope: Scope) -> None:
        self.data, self.document, self.scope = data, document, scope
        self.found: list[Diagnostic] = scope.diagnostics

    def study(self) -> Study | None:
        for key in self.data:
            if key not in (*STUDY_KEYS, *ARM_KEYS):
                self.found.append(unknown_key(key, (*STUDY_KEYS, *ARM_KEYS), (key,), self.document))
        texts = arm_texts(self.data, self.document, self.found)
        arms = [self._arm(text) for text in texts]
        ready = tuple(arm for arm in arms if arm)
        self.found += check_use(self.data, texts, arms, self.document)
        head = {key: self.data[key] for key in ("study", "description") if key in self.data}
        try:
            return validated(Study, {**head, "arms": tuple(map(settle, ready)), "file": self.document.file})
        except ValidationError as problems:
            self.found += diagnose(problems, self.data, self.document)
            return None

    def _arm(self, text: ArmText) -> Arm | None:
        """The arm, or what can be read of it without its faulty keys, so that later rules still see the rest."""
        values = dict(text.values)
        for key in [key for key in values if key not in ARM_KEYS and key != "name"]:
            del values[key]
        for _ in range(2):
            try:
                return validated(Arm, values, {"scope": self.scope})
            except ValidationError as problems:
                self.found += diagnose(problems, values, self.document, text.place)
                faulty = {str(fault["loc"][0]) for fault in problems.errors()}
                text.faulty |= faulty
                values = {key: value for key, value in values.items() if key not in faulty}
        return None
