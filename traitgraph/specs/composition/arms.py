"""Arms laid over the study: an arm's key replaces the study's; `train` and `sampling` are merged key by key.

Knows where each value of the result was written, so that a fault in an arm is shown at the study's line when the value
came from there.
"""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field

from traitgraph.specs.source.diagnostics import Diagnostic
from traitgraph.specs.source.positions import Document, Path, leaves, merged

AXIS_KEYS: dict[str, str] = {
    "model": "model", "data": "data", "merge": "merge", "trait": "traits", "level": "levels", "seed": "seeds",
    "gamma": "gamma", "alpha": "alpha", "context": "contexts",
}  # fmt: skip
"""Axis -> the key of an arm that holds it."""

ARM_KEYS = (
    "method", "model", "vocabulary", "traits", "levels", "contexts", "data", "train", "merge", "alpha", "gamma", "onto",
    "prompt",
    "seeds", "benchmarks", "analyses", "sampling", "keep", "zip",
)  # fmt: skip
"""Keys that an arm may have, in the order of the reference."""

ARM_NAME = re.compile(r"^[A-Za-z0-9][A-Za-z0-9_-]*$", re.ASCII)

MERGED_KEYS = ("train", "sampling")
"""Keys whose mappings are merged: an arm that changes one number of the training keeps the rest."""

STUDY_ONLY = ("study", "description", "arms", "cluster", "tracking", "include", "exclude", "when")
"""Keys of the study that no arm can have."""

STUDY_KEYS = (*STUDY_ONLY, *ARM_KEYS)


@dataclass
class ArmText:
    """One arm as it was written: its settings laid over the study's, and where each of them stands in the document."""

    name: str
    values: dict[str, object]
    own: frozenset[str]
    """Keys that the arm itself has."""
    prefix: Path
    """Path of the arm in the document; () for a study without arms."""
    written: Mapping[str, object]
    document: Document
    faulty: set[str] = field(default_factory=set)
    """Keys whose values could not be read: later rules do not speak of them again."""

    def error(self, code: str, what: str, path: Path, hint: str | None = None, *, at_key: bool = False) -> Diagnostic:
        """A fault at a path in `values`, where it was written."""
        return self.document.error(code, what, self.place(path), hint, at_key=at_key)

    def warning(self, code: str, what: str, path: Path, hint: str | None = None) -> Diagnostic:
        """A warning at a path in `values`."""
        return self.document.warning(code, what, self.place(path), hint)

    def listed(self, key: str, index: int) -> Path:
        """The path of one element of an axis; of the only one, which may stand without a list."""
        return (key, index) if isinstance(self.values.get(key), list | tuple) else (key,)

    def place(self, path: Path) -> Path:
        """The path in the document of a path in `values`."""
        inside: object = self.written
        for step in path:
            if not isinstance(inside, Mapping) or step not in inside:
                break
            inside = inside[str(step)]
            if not (isinstance(inside, Mapping) and path[0] in MERGED_KEYS):
                return (*self.prefix, *path)
        else:
            return (*self.prefix, *path)
        return path

    def takes(self, path: Path, value: object) -> bool:
        """Whether something of a value that the study has at `path` is the arm's value too."""
        own = self.written.get(str(path[0]))
        if path[0] in MERGED_KEYS and isinstance(value, str) and isinstance(own, Mapping) and len(path) == 1:
            return "preset" not in own
        return any(self.place(leaf) == leaf for leaf in leaves(path, value))


def arm_texts(data: Mapping[str, object], document: Document, found: list[Diagnostic]) -> list[ArmText]:
    """Every arm of the study with the study's keys filled in; faults in the shape of `arms` go to `found`."""
    shared = {key: value for key, value in data.items() if key not in STUDY_ONLY}
    if "arms" not in data:
        return [ArmText("", shared, frozenset(), (), {}, document)]
    arms = data["arms"]
    if not isinstance(arms, Mapping) or not arms:
        hint = "give: arms: {base: {method: direct}, ...}, or no `arms` for a study of one method"
        found.append(document.error("TG103", "`arms` is not a mapping of arms", ("arms",), hint))
        return []
    return [text for name, arm in arms.items() if (text := _arm_text(name, arm, shared, document, found))]


def _arm_text(
    name: str, arm: object, shared: dict[str, object], document: Document, found: list[Diagnostic]
) -> ArmText | None:
    if not ARM_NAME.match(name):
        hint = "a name has letters, digits and - _, and starts with one of the first"
        what = f"'{name}' cannot be the name of an arm"
        found.append(document.error("TG104", what, ("arms", name), hint, at_key=True))
    arm = {} if arm is None else arm
    if not isinstance(arm, Mapping):
        what = f"the arm '{name}' is not a mapping"
        found.append(document.error("TG103", what, ("arms", name), "give: {method: ...}"))
        return None
    values = {**shared, **arm}
    for key in MERGED_KEYS:
        values.update({key: laid_over(shared[key], arm[key])} if key in shared and key in arm else {})
    return ArmText(name, values, frozenset(arm), ("arms", name), arm, document)


def laid_over(lower: object, upper: object) -> object:
    """A mapping over a mapping, key by key; a mapping over the name of a preset changes parts of it."""
    if isinstance(lower, str) and isinstance(upper, Mapping):
        return {"preset": lower, **upper}
    return merged(lower, upper)


def inside_arm(path: Path) -> Path:
    """The path below the arm that it leads into; itself for a key of the study."""
    return path[2:] if path[:1] == ("arms",) else path


def an_arm_for_each(path: Path, values: Sequence[str]) -> str:
    """The repair, in words, of a list where an arm holds one value.

    >>> an_arm_for_each(("train", "steps"), ("2", "3"))
    'write an arm for each value: arms: {a: {train: {steps: 2}}, b: {train: {steps: 3}}}'
    """
    head, tail = "".join(f"{{{key}: " for key in path), "}" * len(path)
    listed = ", ".join(f"{name}: {head}{value}{tail}" for name, value in zip("ab", values, strict=False))
    return f"write an arm for each value: arms: {{{listed}{', ...' if len(values) > 2 else ''}}}"
