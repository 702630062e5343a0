"""The surroundings of the spec that is being read: its folder, the presets it can name, and the messages so far.

Handed to pydantic as the validation context, so that a field that refers to something outside the file can look it up.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, TypeVar

from pydantic_core import PydanticCustomError, ValidationError, core_schema

from traitgraph.specs.composition.hydra_defaults import DEFAULTS, compose_preset
from traitgraph.specs.composition.interpolation import missing_values
from traitgraph.specs.source.credentials import is_key
from traitgraph.specs.source.diagnostics import Diagnostic
from traitgraph.specs.source.library import find_preset, preset_names, shown_path
from traitgraph.specs.source.positions import Document, merged, walk
from traitgraph.specs.source.yaml import read_document, to_plain

from .pydantic_errors import diagnose, fault, located

T = TypeVar("T")
PRESET = "preset"
_NAME = re.compile(r"[^./~\\\0][^\\\0]{0,98}")
"""What can be the name of a preset, and no path."""


@dataclass
class Preset:
    """A preset file: its plain data, where messages about it point, and what is wrong with the file itself."""

    name: str
    document: Document
    data: dict[str, object]
    problems: list[Diagnostic] = field(default_factory=list)
    missing: list[Diagnostic] = field(default_factory=list)
    """Values that the file leaves to its user, `???`."""


@dataclass
class ReadContext:
    """What reading one spec needs from outside, and the list that gathers messages about other files."""

    file: Path = field(default_factory=lambda: Path.cwd() / "spec.yaml")
    diagnostics: list[Diagnostic] = field(default_factory=list)
    vocabulary: object = None
    """That of the arm which is being read (`study/traits.py` knows what it is); None: the default."""
    _presets: dict[tuple[str, str], Preset] = field(default_factory=dict)

    @property
    def folder(self) -> Path:
        """Where relative paths start."""
        return self.file.parent

    def names(self, group: str) -> tuple[str, ...]:
        """Every preset of a group, beside the spec or in the library."""
        return preset_names(group, self.file)

    def preset(self, group: str, name: str) -> Preset | None:
        """The preset of that name, read once; None when there is none."""
        if (group, name) not in self._presets:
            path = find_preset(group, name, self.file) if _NAME.fullmatch(name) else None
            if path is None:
                return None
            document, problems = read_document(path, shown_path(path))
            document = document or Document({}, path)
            if DEFAULTS in document.data:
                composed, more = compose_preset(group, name, self.file)
                document, problems = composed or document, problems + more
            problems += key_faults(document)
            data = to_plain(document.data)
            assert isinstance(data, dict), "a document is a mapping"
            missing = missing_values(document, preset=name)
            self._presets[group, name] = Preset(name, document, data, problems, missing)
        return self._presets[group, name]

    def preset_in(
        self, value: object, group: str, about: Callable[[object], Mapping[str, Any]]
    ) -> tuple[Preset, dict[str, object]] | None:
        """The preset that a value names, by its name alone or under the key `preset`, and what the value changes in it.

        None when it names none: a text that is no preset is left to the caller. Raises pydantic's error for a
        `preset:` that does not exist; `about` has the facts of its message.
        """
        if isinstance(value, str):
            preset = self.preset(group, value)
            return (preset, {}) if preset else None
        if not isinstance(value, Mapping) or PRESET not in value:
            return None
        name = value[PRESET]
        preset = self.preset(group, name) if isinstance(name, str) else None
        if preset is None:
            raise located(PRESET, name, "name_unknown", **{**about(name), "names": self.names(group)})
        return preset, {key: item for key, item in value.items() if key != PRESET}

    def reading(self, preset: Preset, read: Callable[[Mapping[str, object]], T], changes: Mapping[str, object]) -> T:
        """What `read` makes of a preset with changes, made key by key as presets of a `defaults` list are.

        Its faults are reported at the preset's own lines and raised as one. Faults in what is changed are the spec's
        own and are raised as they are.
        """
        missing = [each for each in preset.missing if each.path.split(".")[0] not in changes]
        if preset.problems or missing:
            self.diagnostics += preset.problems or missing
            raise fault("reported")
        whole = merged(preset.data, changes)
        assert isinstance(whole, dict), "mappings merge to a mapping"
        try:
            return read(whole)
        except (ValidationError, PydanticCustomError) as problem:
            if isinstance(problem, ValidationError) and any(
                set(each["loc"][:1]) & set(changes) for each in problem.errors()
            ):
                raise
            self.diagnostics += diagnose(problem, preset.data, preset.document)
            raise fault("reported") from None


def context_of(info: core_schema.ValidationInfo) -> ReadContext:
    """The context that a validation runs in; outside of any spec, the working folder."""
    return info.context if isinstance(info.context, ReadContext) else ReadContext()


def key_faults(document: Document) -> list[Diagnostic]:
    """Every value, or name of a key, that looks like a key or a password; it is not repeated in full."""
    found = []
    for path, value in walk(document.data):
        texts = {"key": str(path[-1]) if path else "", "value": value if isinstance(value, str) else ""}
        if at := next((side for side, text in texts.items() if is_key(text, path)), None):
            what = "this looks like a key or a password, and what stands in a spec is read by many"
            hint = "take it out, and make it void if others have seen it\na judge's key: `key_from: VARIABLE`"
            found.append(document.error("TG223", what, path, hint, at_key=at == "key"))
    return found
