"""The two marks that a value may carry instead of itself: `${other.key}` and `???`.

`${...}` takes the value of another key (OmegaConf's interpolation, without its resolvers: a spec holds no value of the
environment). `???` says that the user must give the value: a preset uses it for a number that its paper does not state.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import replace
from decimal import Decimal

from traitgraph.specs.source.diagnostics import Diagnostic, near_names
from traitgraph.specs.source.positions import Document, Path, dotted

from .overrides import exact

REQUIRED = "???"

_REFERENCE = re.compile(r"\$\{([^{}]*)")

_WHOLE = re.compile(r"\$\{\.*[\w-]+(?:\.[\w-]+)*\}", re.ASCII)


def missing_values(document: Document, preset: str | None = None) -> list[Diagnostic]:
    """One fault for each value that the spec, or the preset of that name, leaves to the user."""
    return [_missing(document, path, preset) for path, text in _texts(document.data) if text == REQUIRED]


def _missing(document: Document, path: Path, preset: str | None) -> Diagnostic:
    what = f"`{dotted(path)}` must be given: the source of this file does not state it"
    hint = f"give it on the command line: {dotted(path)}=VALUE"
    if preset:
        hint = f"give it where the preset is named: {{preset: {preset}, {path[0]}: VALUE}}"
    return document.error("TG034", what, path, hint)


def resolve_references(document: Document) -> tuple[Document, list[Diagnostic]]:
    """The document with every `${key}` replaced by that key's value, and the references that lead nowhere."""
    marked = [(path, text) for path, text in _texts(document.data) if "${" in text]
    if not marked:
        return document, []
    from omegaconf import OmegaConf

    faults = [fault for path, text in marked if (fault := _refused(document, path, text))]
    if faults:
        return document, faults
    config = OmegaConf.create(_floats(document.data))
    values: dict[Path, object] = {}
    faults = [fault for path, _ in marked if (fault := _take(config, path, values, document))]
    data = {key: _placed(item, (key,), values) for key, item in document.data.items()}
    referred = frozenset(name.split(".")[0] for _, text in marked for name in _REFERENCE.findall(text))
    return replace(document, data=data, referred=referred), faults


def _refused(document: Document, path: Path, text: str) -> Diagnostic | None:
    if any(":" in inside for inside in _REFERENCE.findall(text)):
        what = "a reference names a key of the spec; resolvers such as `oc.env` are not part of the language"
    elif "${" in _WHOLE.sub("", text):
        what = "this is no reference"
    else:
        return None
    return document.error("TG035", what, path, "write ${a.b}")


def _take(config: object, path: Path, values: dict[Path, object], document: Document) -> Diagnostic | None:
    from omegaconf import OmegaConf
    from omegaconf.errors import OmegaConfBaseException

    place = config
    try:
        for step in path:
            place = place[step]  # type: ignore[index]  # a container of OmegaConf's at every step but the last
        values[path] = _decimals(OmegaConf.to_container(place, resolve=True) if OmegaConf.is_config(place) else place)
    except (OmegaConfBaseException, RecursionError) as problem:
        return _leads_nowhere(document, path, problem)
    return None


def _leads_nowhere(document: Document, path: Path, problem: Exception) -> Diagnostic:
    text = _at(document.data, path)
    wanted = _REFERENCE.findall(str(text))
    known = [dotted(found) for found, _ in _leaves(document.data)]
    near = near_names(wanted[0], known) if wanted else ()
    circle = isinstance(problem, RecursionError) or bool(wanted and wanted[0] in known)
    what = f"{text!r} refers to itself in a circle" if circle else f"{text!r} names no key of the spec"
    hint = "near: " + ", ".join(near) if near and not circle else None
    return document.error("TG035", what, path, hint)


def _leaves(value: object, path: Path = ()) -> Iterator[tuple[Path, object]]:
    if isinstance(value, dict):
        for key, item in value.items():
            yield from _leaves(item, (*path, key))
    elif isinstance(value, list):
        for index, item in enumerate(value):
            yield from _leaves(item, (*path, index))
    else:
        yield path, value


def _texts(value: object) -> Iterator[tuple[Path, str]]:
    return ((path, item) for path, item in _leaves(value) if isinstance(item, str))


def _at(value: object, path: Path) -> object:
    for step in path:
        value = value[step]  # type: ignore[index]  # the path was found in this value
    return value


def _floats(value: object) -> object:
    """OmegaConf knows no decimals; the shortest text of the float is the decimal again."""
    if isinstance(value, dict):
        return {key: _floats(item) for key, item in value.items()}
    if isinstance(value, list):
        return [_floats(item) for item in value]
    return float(value) if isinstance(value, Decimal) else value


def _decimals(value: object) -> object:
    if isinstance(value, dict):
        return {key: _decimals(item) for key, item in value.items()}
    if isinstance(value, list):
        return [_decimals(item) for item in value]
    return exact(repr(value)) if isinstance(value, float) else value


def _placed(value: object, path: Path, values: dict[Path, object]) -> object:
    if path in values:
        return values[path]
    if isinstance(value, dict):
        return {key: _placed(item, (*path, key), values) for key, item in value.items()}
    if isinstance(value, list):
        return [_placed(item, (*path, index), values) for index, item in enumerate(value)]
    return value
