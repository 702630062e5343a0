"""A spec file and overrides to one document, or to one document per member of a sweep.

read the file -> compose its defaults list (Hydra, only when there is one) -> apply overrides -> follow references.
A grid inside a spec is not expanded here: members of a sweep are whole studies that the compiler joins into one graph.
"""

from __future__ import annotations

import shlex
from collections.abc import Mapping, Sequence
from dataclasses import replace
from itertools import product
from math import prod
from pathlib import Path
from typing import NamedTuple

from traitgraph.specs.source.diagnostics import Diagnostic, error
from traitgraph.specs.source.library import group_exists, preset_names
from traitgraph.specs.source.positions import Document, leaves, value_at
from traitgraph.specs.source.yaml import read_document
from traitgraph.specs.source.yaml_errors import no_study, written_by_us

from .apply import apply_overrides
from .arms import AXIS_KEYS, STUDY_ONLY, an_arm_for_each, inside_arm
from .hydra_defaults import DEFAULTS, HYDRA, PARAMS, compose_defaults, unread_settings
from .interpolation import missing_values, resolve_references
from .overrides import LONGEST_SWEEP, Override, parse_overrides, quoted, readable, spelled


class Member(NamedTuple):
    """One study of a sweep, and what makes it one: the value that it takes of each swept override, in their order."""

    swept: tuple[Override, ...]
    place: tuple[int, ...]
    """Which of the values of each override it takes, counted from 0."""
    document: Document

    @property
    def name(self) -> str:
        """What is swept in one word: 'alpha=0.3,model=small'."""
        return ",".join(each.text for each in self.swept)


def compose(path: Path, overrides: Sequence[str] = ()) -> tuple[Document | None, list[Diagnostic]]:
    """The spec with its presets and overrides as one document, and everything that is wrong so far.

    The document is None when the file or its presets cannot be used; overrides that cannot be applied are left out.
    """
    spec, parsed, faults = _read(path, overrides, sweeps=False)
    faults += [_sweep_without_m(override) for override in parsed if override.swept]
    if spec is None:
        return None, faults
    document, more = _member(spec, [each for each in parsed if not each.swept], {})
    return document, faults + more


def compose_many(path: Path, overrides: Sequence[str]) -> tuple[list[Member], list[Diagnostic]]:
    """The product of all swept overrides, in the order in which they are written; empty when anything is wrong.

    Values of a sweep are `a,b`, `range(from, to, step)`, `choice(a,b)` or `glob(*)`, in Hydra's grammar; those of
    `hydra.sweeper.params` in the file come after those of the call, which take their place.
    """
    spec, parsed, faults = _read(path, overrides, sweeps=True)
    count = prod(len(override.values) for override in parsed if override.swept)
    if count > LONGEST_SWEEP:
        faults.append(error("TG024", f"this sweep has {count:,} members", hint="use axes inside the spec"))
    if spec is None or faults:
        return [], faults
    members: list[Member] = []
    bases: Bases = {}
    for combination in product(*(enumerate(each.members() if each.swept else [each]) for each in parsed)):
        document, more = _member(spec, [each for _, each in combination], bases)
        faults += [fault for fault in more if fault not in faults]
        swept = [pair for pair, source in zip(combination, parsed, strict=True) if source.swept]
        if document is not None:
            members.append(Member(tuple(each for _, each in swept), tuple(place for place, _ in swept), document))
    return ([], faults) if faults else (members, [])


class Base(NamedTuple):
    """A spec merged with its presets, and the overrides that chose them."""

    document: Document | None
    choices: tuple[Override, ...]
    faults: list[Diagnostic]


Bases = dict[tuple[str, ...], Base]
"""Bases of one sweep by what its members chose: most members share one."""


def _read(
    path: Path, overrides: Sequence[str], *, sweeps: bool
) -> tuple[Document | None, list[Override], list[Diagnostic]]:
    if other := written_by_us(path):
        return None, [], [other]
    document, faults = read_document(path)
    if document and (other := no_study(document)):
        return None, [], [other]
    if document and HYDRA in document.data:
        faults += unread_settings(document, sweep=True)
        if not sweeps and value_at(document.data, PARAMS):
            hint = "add -m for one study per value"
            faults.append(document.error("TG024", "this file asks for a sweep", PARAMS, hint, at_key=True))
        overrides = [*overrides, *(more_swept(value_at(document.data, PARAMS), overrides) if sweeps else ())]
        document = replace(document, data={key: value for key, value in document.data.items() if key != HYDRA})
    data = document.data if document else {}
    has = lambda key: value_at(data, tuple(key.split("."))) is not None  # noqa: E731
    parsed, more = parse_overrides(overrides, lambda group: preset_names(group, path), has)
    return document, parsed, faults + more + _given_twice(parsed)


def more_swept(params: object, overrides: Sequence[str]) -> list[str]:
    """The sweep that a file asks for in Hydra's words, as overrides; without the keys that the call gives."""
    given = {text.partition("=")[0].lstrip("+~") for text in overrides}
    swept = params.items() if isinstance(params, Mapping) else ()
    return [f"{key}={spelled(value)}" for key, value in swept if key.lstrip("+~") not in given]


def _given_twice(parsed: Sequence[Override]) -> list[Diagnostic]:
    """A fault for each override that an earlier one would lose its value to; Hydra takes the last and says nothing."""
    faults = []
    for number, later in enumerate(parsed):
        earlier = next((each for each in parsed[:number] if each.action != "delete" and _overwrites(later, each)), None)
        if earlier is not None:
            what = f"`{later.typed}` takes the place of `{earlier.typed}`, which stands before it"
            hint = "give one of them; several values are one sweep: -m key=a,b"
            faults.append(error("TG109", what, later.span("key"), later.key, hint))
    return faults


def _overwrites(later: Override, earlier: Override) -> bool:
    if not (later.path and earlier.path):
        return later.key == earlier.key
    lost, kept = (
        {leaf for value in each.values or (None,) for leaf in leaves(each.path, value)} for each in (earlier, later)
    )
    return any(path[: len(leaf)] == leaf for path, leaf in product(lost, kept))


def _member(spec: Document, overrides: Sequence[Override], bases: Bases) -> tuple[Document | None, list[Diagnostic]]:
    candidates = [each for each in overrides if _may_choose(each, spec)]
    key = tuple(each.text for each in candidates)
    if key not in bases:
        bases[key] = _base(spec, candidates)
    base = bases[key]
    if base.document is None:
        return None, base.faults
    document, faults = apply_overrides(base.document, [each for each in overrides if each not in base.choices])
    document, more = resolve_references(document)
    missing = missing_values(document)
    return (None if missing or more else document), base.faults + faults + more + missing


def _may_choose(override: Override, spec: Document) -> bool:
    """Whether an override can be a group choice: a value that is a name, and a key that is a group."""
    if not override.path:
        return True
    named = isinstance(override.value, str | list) or override.action == "delete"
    return named and DEFAULTS in spec.data and len(override.path) == 1 and group_exists(override.key, spec.file)


def _base(spec: Document, candidates: Sequence[Override]) -> Base:
    if DEFAULTS not in spec.data:
        faults = []
        for choice in candidates:
            what = f"{choice.key!r} chooses a preset, but this spec has no `defaults:` list"
            faults.append(error("TG031", what, choice.span("key"), "", "set the value itself: group=name"))
        return Base(spec, tuple(candidates), faults)
    return Base(*compose_defaults(spec, candidates))


_LISTED = {
    *((key,) for key in (*AXIS_KEYS.values(), "benchmarks", "analyses") if key != "contexts"),
    *(("method", key) for key in ("intensity", "layer", "coefficient")),
    ("onto", "alpha"),
}
"""Paths in an arm at which several values may stand."""


def _sweep_without_m(override: Override) -> Diagnostic:
    what, hint = "this is a sweep of several values", "add -m for one study per value"
    path = inside_arm(override.path)
    if path == ("study",):
        hint = "a study has one name"
    elif path in _LISTED:
        prefix = override.text.partition(override.key)[0]
        hint += f"\nor give the axis a list: {shlex.quote(f'{prefix}{override.key}={readable(override.values)}')}"
    elif path and path[0] not in STUDY_ONLY:
        hint += f"\nor {an_arm_for_each(path, [spelled(value) for value in override.values])}"
    if " " in override.text.strip():
        hint += f"\nor quote it if it is text: {quoted(override.text)}"
    return error("TG024", what, override.span("value"), override.key, hint)
