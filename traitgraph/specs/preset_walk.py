"""The presets that defaults lists name, read and checked before Hydra composes them.

Hydra stops at the first preset it misses and says neither line nor column, and it follows circles until Python gives
up. So the lists are walked here first: every file is read once by our reader, and what is missing is told where it is
named. Which file wins is not decided here (`defaults.py`).
"""

from __future__ import annotations

import sys
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import NamedTuple

from .apply import leaves, value_at
from .diagnostics import Diagnostic, Span, error, near_names
from .document import Document, Step
from .overrides import Override
from .preset_files import GROUPS, find_preset, group_exists, preset_names, shown_path
from .source import read_document

DEFAULTS = "defaults"
HYDRA = "hydra"
PARAMS = (HYDRA, "sweeper", "params")
DEEPEST = 32
"""Presets that name presets that name presets: a longer chain is a mistake."""


class Entry(NamedTuple):
    """One element of a defaults list."""

    group: str
    names: tuple[str, ...]
    key: str
    optional: bool
    place: tuple[Step, ...]


@dataclass
class Walk:
    """The files that the lists reach, the groups that a choice can change, and what is wrong."""

    spec: Document
    choices: dict[str, Override]
    files: dict[Path, Document] = field(default_factory=dict)
    keys: set[str] = field(default_factory=set)
    faults: list[Diagnostic] = field(default_factory=list)

    def read(self, file: Path) -> Document | None:
        """The file as a document, read once; its faults are kept."""
        if file not in self.files:
            document, faults = read_document(file, shown_path(file))
            self.faults += faults
            if document is not None:
                self.files[file] = document
        return self.files.get(file)


def walk_defaults(spec: Document, choices: Sequence[Override]) -> Walk:
    """Read every file that the defaults lists name, and report lists, presets and circles that cannot be."""
    walk = Walk(spec, {choice.key: choice for choice in choices if choice.action == "change"})
    walk.files[spec.file] = spec
    _visit(walk, spec, (spec.file.stem,))
    for choice in choices:
        if appends_preset(choice, spec):
            _visit_names(walk, _chosen(choice), (spec.file.stem,), choice.span("value"))
    return walk


def _visit(walk: Walk, document: Document, trail: tuple[str, ...]) -> None:
    group = trail[-1].rpartition("/")[0]
    for entry in _entries(walk, document, group):
        walk.keys.add(entry.key)
        span = document.value_span(entry.place)
        if entry.key in walk.choices:
            choice = walk.choices[entry.key]
            entry, span = entry._replace(names=_chosen(choice).names), choice.span("value")
        _visit_names(walk, entry, trail, span)


def _visit_names(walk: Walk, entry: Entry, trail: tuple[str, ...], span: Span | None) -> None:
    if not group_exists(entry.group, walk.spec.file) and not entry.optional:
        walk.faults.append(_missing(walk.spec.file, entry, "", span))
        return
    for name in entry.names:
        if "${" in name:
            continue
        target = f"{entry.group}/{name}".strip("/")
        if target in trail or len(trail) > DEEPEST:
            circle = " -> ".join((*trail[trail.index(target) if target in trail else 0 :], target))
            walk.faults.append(error("TG032", f"these presets name each other in a circle: {circle}", span, DEFAULTS))
            continue
        file = find_preset(*split_target(target), walk.spec.file)
        if file is None:
            if not entry.optional:
                walk.faults.append(_missing(walk.spec.file, entry, name, span))
        elif file not in walk.files and (document := walk.read(file)) is not None:
            _visit(walk, document, (*trail, target))


def split_target(target: str) -> tuple[str, str]:
    """Group and name of `group/name`."""
    group, _, name = target.rpartition("/")
    return group, name


def _entries(walk: Walk, document: Document, group: str) -> Iterator[Entry]:
    listed = document.data.get(DEFAULTS, [])
    if not isinstance(listed, list):
        what = "`defaults` is a list of presets"
        walk.faults.append(error("TG033", what, document.value_span((DEFAULTS,)), DEFAULTS, _LIST_FORM))
        return
    for index, item in enumerate(listed):
        entry = _entry(item, group, (DEFAULTS, index))
        if entry is None:
            what = "this is no element of a defaults list"
            place = document.value_span((DEFAULTS, index))
            walk.faults.append(error("TG033", what, place, f"{DEFAULTS}.{index}", _LIST_FORM))
        elif entry.group.partition("/")[0] == HYDRA:
            if (entry.group, entry.names) != ("hydra/sweeper", ("traitgraph",)) and not in_application():
                walk.faults.append(_not_read(entry.group, document.value_span(entry.place)))
        elif item != "_self_":
            yield entry


_LIST_FORM = "write `- group: name` for a preset, and `- _self_` where the values of this file come in"


def _entry(item: object, group: str, place: tuple[Step, ...]) -> Entry | None:
    """`_self_`, a name in the same group, or {group: name}, {optional group: name}, {override group: name}."""
    if isinstance(item, str):
        target, _, _ = _under(group, item.partition("@")[0]).rpartition(".yaml")
        parts = split_target(target or _under(group, item.partition("@")[0]))
        return Entry(parts[0], (parts[1],), f"{parts[0]}/{parts[1]}", False, place)
    if not isinstance(item, dict) or len(item) != 1:
        return None
    key, value = next(iter(item.items()))
    words = key.split()
    if not words or not set(words[:-1]) <= {"optional", "override"}:
        return None
    names = value if isinstance(value, list) else [] if value is None else [value]
    if not all(isinstance(name, str) for name in names):
        return None
    where, at, package = words[-1].partition("@")
    full = _under(group, where)
    stems = tuple(name.removesuffix(".yaml") for name in names)
    return Entry(full, stems, full + at + package, "optional" in words, (*place, key))


def in_application() -> bool:
    """Whether a Hydra application has started us: then Hydra reads its own settings."""
    module = sys.modules.get("hydra.core.global_hydra")
    return module is not None and bool(module.GlobalHydra.instance().is_initialized())


def unread_settings(document: Document) -> list[Diagnostic]:
    """A fault for each setting of Hydra's in a file that only an application would read, its sweep apart."""
    if HYDRA not in document.data or in_application():
        return []
    swept = value_at(document.data, PARAMS)
    read = [PARAMS] if swept is None or isinstance(swept, dict) else []
    told = dict.fromkeys(path[:3] for path in leaves((HYDRA,), document.data[HYDRA]) if path[:3] not in read)
    return [_not_read(".".join(map(str, path)), document.key_span(path)) for path in told]


def _not_read(setting: str, span: Span | None) -> Diagnostic:
    hint = "leave it out; what it is for is said on the command line: --store, --launcher, -m (traitgraph run --help)"
    return error("TG111", f"`{setting}` is read by Hydra applications only", span, setting, hint)


def _under(group: str, name: str) -> str:
    """A name in a list counts from the group of the file that holds the list, unless it starts with a slash."""
    return name[1:] if name.startswith("/") else f"{group}/{name}".strip("/")


def _chosen(choice: Override) -> Entry:
    value = choice.value
    names = value if isinstance(value, list) else [] if value is None else [value]
    return Entry(choice.key.partition("@")[0], tuple(str(name) for name in names), choice.key, False, ())


def _missing(spec: Path, entry: Entry, name: str, span: Span | None) -> Diagnostic:
    group = entry.group
    if not group_exists(group, spec):
        near = near_names(group, GROUPS)
        hint = f"near: {', '.join(near)}" if near else f"make a folder {group}/ beside the spec"
        return error("TG031", f"there is no group of presets {group!r}", span, DEFAULTS, hint)
    names = preset_names(group, spec)
    listed = f"there are: {', '.join(names)}" if names else f"the folder {group}/ holds no preset"
    if name == "???":
        return error("TG034", f"which {group}? this spec leaves the choice to you", span, DEFAULTS,
                     f"give {group}=NAME\n{listed}")  # fmt: skip
    near = near_names(name, names)
    return error("TG030", f"there is no {group} preset {name!r}", span, DEFAULTS,
                 f"near: {', '.join(near)}\n{listed}" if near else listed)  # fmt: skip


def appends_preset(choice: Override, spec: Document) -> bool:
    """Whether `+group=name` adds a preset to the list rather than a value to the spec."""
    return choice.action in ("add", "force") and choice.key not in spec.data
