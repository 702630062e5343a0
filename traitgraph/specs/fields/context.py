"""The surroundings of the spec that is being read: its folder, the presets it can name, and the messages so far.

Handed to pydantic as the validation context, so that a field that refers to something outside the file can look it up.
"""

from __future__ import annotations

from collections.abc import Callable, Collection, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import TypeVar

from pydantic_core import PydanticCustomError, ValidationError

from traitgraph.specs.composition.hydra_defaults import DEFAULTS, compose_preset
from traitgraph.specs.composition.interpolation import missing_values
from traitgraph.specs.source.credentials import is_key
from traitgraph.specs.source.diagnostics import Diagnostic
from traitgraph.specs.source.library import find_preset, preset_names, shown_path
from traitgraph.specs.source.positions import Document, Step
from traitgraph.specs.source.yaml import read_document, to_plain

from .pydantic_errors import diagnose, fault

T = TypeVar("T")


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
class Scope:
    """What reading one spec needs from outside, and the list that gathers messages about other files."""

    file: Path = field(default_factory=lambda: Path.cwd() / "spec.yaml")
    diagnostics: list[Diagnostic] = field(default_factory=list)
    _presets: dict[tuple[str, str], Preset] = field(default_factory=dict)

    @property
    def folder(self) -> Path:
        """Where relative paths start."""
        return self.file.parent

    @property
    def context(self) -> dict[str, object]:
        """The validation context that carries this scope."""
        return {"scope": self}

    def names(self, group: str) -> tuple[str, ...]:
        """Every preset of a group, beside the spec or in the library."""
        return preset_names(group, self.file)

    def preset(self, group: str, name: str) -> Preset | None:
        """The preset of that name, read once; None when there is none."""
        if (group, name) not in self._presets:
            path = find_preset(group, name, self.file) if _may_be_name(name) else None
            if path is None:
                return None
            self._presets[group, name] = self._read(group, name, path)
        return self._presets[group, name]

    def _read(self, group: str, name: str, path: Path) -> Preset:
        document, problems = read_document(path, shown_path(path))
        document = document or Document({}, path)
        if DEFAULTS in document.data:
            composed, more = compose_preset(group, name, self.file)
            document, problems = composed or document, problems + more
        problems += key_faults(document)
        data = to_plain(document.data)
        assert isinstance(data, dict), "a document is a mapping"
        return Preset(name, document, data, problems, missing_values(document, preset=name))

    def reading(self, preset: Preset, read: Callable[[], T], changed: Collection[str] = ()) -> T:
        """What `read` makes of a preset. Its faults are reported at the preset's own lines and raised as one.

        Faults in the keys `changed` are the spec's own and are raised as they are.
        """
        missing = [each for each in preset.missing if each.path.split(".")[0] not in changed]
        if preset.problems or missing:
            self.diagnostics += preset.problems or missing
            raise fault("reported")
        try:
            return read()
        except (ValidationError, PydanticCustomError) as problem:
            if isinstance(problem, ValidationError) and any(
                set(each["loc"][:1]) & set(changed) for each in problem.errors()
            ):
                raise
            self.diagnostics += diagnose(problem, preset.data, preset.document)
            raise fault("reported") from None


def key_faults(document: Document) -> list[Diagnostic]:
    """Every value, or name of a key, that looks like a key or a password; it is not repeated in full."""
    pending: list[tuple[tuple[Step, ...], object]] = [((), document.data)]
    found = []
    while pending:
        path, value = pending.pop()
        if isinstance(value, Mapping):
            pending += [((*path, str(key)), each) for key, each in value.items()]
        elif isinstance(value, list | tuple):
            pending += [((*path, place), each) for place, each in enumerate(value)]
        texts = {"key": str(path[-1]) if path else "", "value": value if isinstance(value, str) else ""}
        if at := next((side for side, text in texts.items() if is_key(text, path)), None):
            what = "this looks like a key or a password, and what stands in a spec is read by many"
            hint = "take it out, and make it void if others have seen it\na judge's key: `key_from: VARIABLE`"
            found.append(document.error("TG223", what, path, hint, at_key=at == "key"))
    return found


def _may_be_name(name: str) -> bool:
    return bool(name) and not set(name) & set("\\\0") and not name.startswith((".", "/", "~")) and len(name) < 100


def scope_of(context: object) -> Scope:
    """The scope that a validation runs in; outside of any spec, the working folder."""
    found = context.get("scope") if isinstance(context, Mapping) else None
    return found if isinstance(found, Scope) else Scope()
