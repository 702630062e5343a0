"""Overrides applied to a document: change, add, force, delete, by Hydra's rules and with our messages.

Works on copies of the containers on the way, so that members of a sweep share everything they do not change. Must not
know how overrides are written, nor what keys mean.
"""

from __future__ import annotations

import shlex
from collections.abc import Iterable
from dataclasses import replace
from typing import Any

from traitgraph.specs.source.diagnostics import Diagnostic, error, near_names
from traitgraph.specs.source.library import GROUPS, find_preset
from traitgraph.specs.source.positions import Document, OverrideLayer, Path, dotted, leaves, merged, value_at, walk

from .arms import STUDY_KEYS
from .overrides import Override, readable, spelled


class _Impossible(Exception):  # noqa: N818 - becomes a diagnostic, never reaches a user
    def __init__(self, code: str, message: str, hint: str | None = None) -> None:
        self.code, self.message, self.hint = code, message, hint


def apply_overrides(document: Document, overrides: Iterable[Override]) -> tuple[Document, list[Diagnostic]]:
    """The document after all overrides that can be applied, in their order, and why the others cannot."""
    faults: list[Diagnostic] = []
    for override in overrides:
        try:
            document = _applied(document, override)
        except _Impossible as problem:
            faults.append(error(problem.code, problem.message, override.span("key"), override.key, problem.hint))
    return document, faults


def _applied(document: Document, override: Override) -> Document:
    path = _located(document, override)
    if override.action == "delete":
        return replace(document, data=_without(document.data, path, override))
    value = override.value
    old = value_at(document.data, path)
    if override.action == "add" and old is not None and not isinstance(value, dict | list):
        written = override.typed.lstrip("+")
        what = f"{override.key!r} is in the spec already: {_short(old)}"
        raise _Impossible("TG022", what, f"change it with {shlex.quote(written)}")
    key, place = override.span("key"), override.span("value")
    layers = tuple(OverrideLayer(leaf, key, place) for leaf in leaves(path, value))
    return replace(document, data=_with(document.data, path, merged(old, value)), layers=document.layers + layers)


def _located(document: Document, override: Override) -> Path:
    """The path, positions of list elements as numbers. Raises _Impossible where the document has no such key."""
    place: object = document.data
    path: Path = ()
    for depth, step in enumerate(override.path):
        if isinstance(place, list):
            index = int(step) if step.isdigit() else len(place)
            if index >= len(place):
                what = f"{dotted(path)!r} is a list of {len(place)} elements; there is no {step!r}"
                raise _Impossible("TG021", what)
            place, path = place[index], (*path, index)
            continue
        if place is not None and not isinstance(place, dict):
            what = f"{dotted(path)!r} is {_short(place)} and holds no key {step!r}"
            raise _Impossible("TG021", what, _mapping_instead(path, place, override, document))
        if not isinstance(place, dict) or step not in place:
            if override.action in ("change", "delete"):
                raise _no_such_key(document.data, place, path, step, override)
            return (*path, *override.path[depth:])
        place, path = place[step], (*path, step)
    return path


def _mapping_instead(path: Path, place: object, override: Override, document: Document) -> str:
    """The repair of an override below a value: a mapping in its place, which keeps the preset that it may name."""
    value = "..." if override.sweep or not override.values else readable(override.value)
    group, rest = str(path[-1]), override.path[len(path) :]
    inside = "".join(f"{{{key}: " for key in rest) + value + "}" * len(rest)
    if isinstance(place, str) and group in GROUPS and find_preset(group, place, document.file):
        part = f"{dotted(path)}={{preset: {place}, {inside.removeprefix('{')}"
        return f"change a part of it: {shlex.quote(part)}"
    return f"replace it: {shlex.quote(f'{dotted(path)}={inside}')}"


def _no_such_key(data: dict[str, object], place: object, path: Path, step: str, override: Override) -> _Impossible:
    where = f"in {dotted(path)!r}" if path else "in the spec"
    here = [dotted((*path, name)) for name in near_names(step, place if isinstance(place, dict) else ())]
    keys = (found for found, _ in walk(data) if all(isinstance(each, str) for each in found))  # none inside a list
    deeper = [dotted(found) for found in keys if found[-1:] == override.path[-1:]]
    hints = []
    if near := list(dict.fromkeys([*here, *deeper]))[:3]:
        hints.append("near: " + ", ".join(near))
    if override.action == "change" and (path or step in STUDY_KEYS):
        hints.append(f"add it with {shlex.quote(f'+{override.typed}')}")
    return _Impossible("TG021", f"no key {step!r} {where}", "\n".join(hints) or None)


def _with(place: Any, path: Path, value: object) -> Any:
    """A copy of the containers along `path`, with the value at its end."""
    if not path:
        return value
    step, rest = path[0], path[1:]
    if isinstance(place, list) and isinstance(step, int):
        return [_with(item, rest, value) if index == step else item for index, item in enumerate(place)]
    inside = place if isinstance(place, dict) else {}
    return {**inside, str(step): _with(inside.get(step), rest, value)}


def _without(data: dict[str, object], path: Path, override: Override) -> Any:
    around, name = value_at(data, path[:-1]), path[-1]
    if not isinstance(around, dict):
        hint = f"give the whole list: {dotted(path[:-1])}=[...]"
        raise _Impossible("TG023", "an element of a list cannot be deleted", hint)
    if override.values and around[str(name)] != override.value:
        raise _Impossible("TG023", f"{override.key!r} is {_short(around[str(name)])}, not {spelled(override.value)}")
    return _with(data, path[:-1], {key: item for key, item in around.items() if key != name})


def _short(value: object) -> str:
    if isinstance(value, dict):
        return "a mapping"
    text = spelled(value)
    return text if len(text) <= 40 else text[:37] + "..."
