"""The two marks that a value may carry instead of itself: `${other.key}` and `???`.

`${...}` takes the value of another key, as OmegaConf's interpolation does, without its resolvers: a spec holds no value
of the environment. `${.key}` counts from the mapping around it, one more point from one further out. `???` says that
the user must give the value: a preset uses it for a number that its paper does not state.
"""

from __future__ import annotations

import re
from dataclasses import replace
from decimal import Decimal

from traitgraph.specs.source.diagnostics import Diagnostic, near_names
from traitgraph.specs.source.positions import Document, Path, dotted, walk

REQUIRED = "???"
_REFERENCE = re.compile(r"\$\{([^{}]*)")
_WHOLE = re.compile(r"\$\{(\.*)([\w-]+(?:\.[\w-]+)*)\}", re.ASCII)


def missing_values(document: Document, preset: str | None = None) -> list[Diagnostic]:
    """One fault for each value that the spec, or the preset of that name, leaves to the user."""
    faults = []
    for path in (path for path, text in walk(document.data) if text == REQUIRED):
        what = f"`{dotted(path)}` must be given: the source of this file does not state it"
        hint = f"give it on the command line: {dotted(path)}=VALUE"
        if preset:
            hint = f"give it where the preset is named: {{preset: {preset}, {path[0]}: VALUE}}"
        faults.append(document.error("TG034", what, path, hint))
    return faults


def resolve_references(document: Document) -> tuple[Document, list[Diagnostic]]:
    """The document with every `${key}` replaced by that key's value, and the references that lead nowhere."""
    marked = [(path, text) for path, text in walk(document.data) if isinstance(text, str) and "${" in text]
    if not marked:
        return document, []
    faults = [fault for path, text in marked if (fault := _refused(document, path, text))]
    for path, text in () if faults else marked:
        try:
            _resolved(text, path, document.data)
        except RecursionError:
            faults.append(_leads_nowhere(document, path, text, circle=True))
        except _NowhereError as problem:
            if problem.path == path:  # another text tells of itself
                faults.append(_leads_nowhere(document, path, text, problem.circle))
    if faults:
        return document, faults
    data = {key: _resolved(item, (key,), document.data) for key, item in document.data.items()}
    referred = frozenset(name.split(".")[0] for _, text in marked for name in _REFERENCE.findall(text))
    return replace(document, data=data, referred=referred), []


def _refused(document: Document, path: Path, text: str) -> Diagnostic | None:
    if any(":" in inside for inside in _REFERENCE.findall(text)):
        what = "a reference names a key of the spec; resolvers such as `oc.env` are not part of the language"
    elif "${" in _WHOLE.sub("", text):
        what = "this is no reference"
    else:
        return None
    return document.error("TG035", what, path, "write ${a.b}")


class _NowhereError(Exception):
    """The text at a path names a key that is not there, or itself."""

    def __init__(self, path: Path, *, circle: bool) -> None:
        self.path, self.circle = path, circle


def _resolved(value: object, path: Path, data: dict[str, object], trail: tuple[Path, ...] = ()) -> object:
    """A value at a path with its references followed; `trail` holds the paths of the texts that led here."""
    if isinstance(value, dict):
        return {key: _resolved(item, (*path, key), data, trail) for key, item in value.items()}
    if isinstance(value, list):
        return [_resolved(item, (*path, index), data, trail) for index, item in enumerate(value)]
    if not isinstance(value, str) or "${" not in value:
        return value
    if path in trail:
        raise _NowhereError(path, circle=True)

    def follow(found: re.Match[str]) -> object:
        around = path[: -len(found[1])] if found[1] else ()
        place: Path = ()
        target: object = data
        for step in (*around, *found[2].split(".")):
            if isinstance(target, list) and str(step).isdigit() and int(step) < len(target):
                target, place = target[int(step)], (*place, int(step))
            elif isinstance(target, dict) and step in target:
                target, place = target[str(step)], (*place, step)
            else:
                raise _NowhereError(path, circle=False)
            if isinstance(target, str):
                target = _resolved(target, place, data, (*trail, path))
        return _resolved(target, place, data, (*trail, path))

    if whole := _WHOLE.fullmatch(value):
        return follow(whole)
    return _WHOLE.sub(lambda found: _as_text(follow(found)), value)


def _as_text(value: object) -> str:
    return str(float(value)) if isinstance(value, Decimal) else str(value)


def _leads_nowhere(document: Document, path: Path, text: str, circle: bool) -> Diagnostic:
    keys = [dotted(found) for found, value in walk(document.data) if not isinstance(value, dict | list)]
    near = near_names(_REFERENCE.findall(text)[0], keys)
    what = f"{text!r} refers to itself in a circle" if circle else f"{text!r} names no key of the spec"
    return document.error("TG035", what, path, "near: " + ", ".join(near) if near and not circle else None)
