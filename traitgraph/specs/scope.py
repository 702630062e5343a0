"""The surroundings of the spec that is being read: its folder, the presets it can name, and the messages so far.

Handed to pydantic as the validation context, so that a field that refers to something outside the file can look it up.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path

from .diagnostics import Diagnostic
from .document import Document
from .preset_files import find_preset, preset_names, shown_path


@dataclass
class Preset:
    """A preset file: its plain data, and where messages about it point."""

    name: str
    data: dict[str, object]
    document: Document | None = None
    problems: list[Diagnostic] = field(default_factory=list)


@dataclass
class Scope:
    """What reading one spec needs from outside, and the list that gathers messages about other files."""

    file: Path = field(default_factory=lambda: Path.cwd() / "spec.yaml")
    diagnostics: list[Diagnostic] = field(default_factory=list)
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
            path = find_preset(group, name, self.file)
            if path is None:
                return None
            self._presets[group, name] = _read(name, path)
        return self._presets[group, name]


def _read(name: str, path: Path) -> Preset:
    from .freeze import frozen
    from .source import read_document

    document, problems = read_document(path, shown_path(path))
    data = frozen(document.data) if document else {}
    assert isinstance(data, dict), "a document is a mapping"
    return Preset(name, data, document, problems)


def scope_of(context: object) -> Scope:
    """The scope that a validation runs in; outside of any spec, the working folder."""
    found = context.get("scope") if isinstance(context, Mapping) else None
    return found if isinstance(found, Scope) else Scope()
