"""Presets that a `defaults:` list names, merged in the order that Hydra 1.3 gives them.

Hydra decides which files take part, where each is placed and which one wins. It stops at the first preset it misses,
says neither line nor column, and follows circles until Python gives up. So the lists are walked here first: every file
is read once by our reader, numbers stay exact, every value keeps its place, and what is missing is told where it is
named. Must not know what a preset holds.
"""

from __future__ import annotations

import sys
from collections.abc import Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import TYPE_CHECKING, NamedTuple

from traitgraph.specs.source.diagnostics import Diagnostic, Span, error, near_names
from traitgraph.specs.source.library import GROUPS, LIBRARY, find_preset, group_exists, preset_names, shown_path
from traitgraph.specs.source.positions import Document, NodeLayer, Step, leaves, merged, value_at
from traitgraph.specs.source.yaml import read_document

from .overrides import Override

if TYPE_CHECKING:
    import yaml
    from hydra.core.default_element import ResultDefault


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


def compose_defaults(
    spec: Document, candidates: Sequence[Override]
) -> tuple[Document | None, tuple[Override, ...], list[Diagnostic]]:
    """The spec merged with the presets that its defaults list and the group choices name, and what is wrong.

    Of the candidates those are given back that are group choices: they change the list, or add a preset to it.
    """
    walk = Walk(spec, {each.key: each for each in candidates if each.action == "change"}, {spec.file: spec})
    _visit(walk, spec, (spec.file.stem,))
    added = [each for each in candidates if each.action in ("add", "force") and each.key not in spec.data]
    for choice in added:
        _visit_names(walk, _chosen(choice), (spec.file.stem,), choice.span("value"))
    choices = tuple(each for each in candidates if not each.path or each.key in walk.keys or each in added)
    if DEFAULTS in spec.data and spec.file.suffix != ".yaml":
        what = "a spec with a `defaults:` list must have a name that ends in .yaml"
        return None, choices, [error("TG033", what, spec.key_span((DEFAULTS,)), DEFAULTS)]
    if walk.faults:
        return None, choices, walk.faults
    order, faults = _order(walk, choices)
    document, faults = (None, faults) if faults else _merge(spec, order, walk)
    return document, choices, faults


def _visit(walk: Walk, document: Document, trail: tuple[str, ...]) -> None:
    """Follow the list of one file; the last of the trail is its own group and name."""
    group = trail[-1].rpartition("/")[0]
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
            walk.keys.add(entry.key)
            span = document.value_span(entry.place)
            if choice := walk.choices.get(entry.key):
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
        file = find_preset(*target.rpartition("/")[::2], walk.spec.file)
        if file is None:
            if not entry.optional:
                walk.faults.append(_missing(walk.spec.file, entry, name, span))
        elif file not in walk.files and (document := walk.read(file)) is not None:
            _visit(walk, document, (*trail, target))


_LIST_FORM = "write `- group: name` for a preset, and `- _self_` where the values of this file come in"


def _entry(item: object, group: str, place: tuple[Step, ...]) -> Entry | None:
    """`_self_`, a name in the same group, or {group: name}, {optional group: name}, {override group: name}."""
    if isinstance(item, str):
        of_group, name = _under(group, item.partition("@")[0]).removesuffix(".yaml").rpartition("/")[::2]
        return Entry(of_group, (name,), f"{of_group}/{name}", False, place)
    if not isinstance(item, dict) or len(item) != 1:
        return None
    key, value = next(iter(item.items()))
    words = key.split()
    if not words or not set(words[:-1]) <= {"optional", "override"}:
        return None
    names = _names(value)
    if not all(isinstance(name, str) for name in names):
        return None
    where, at, package = words[-1].partition("@")
    full = _under(group, where)
    stems = tuple(str(name).removesuffix(".yaml") for name in names)
    return Entry(full, stems, full + at + package, "optional" in words, (*place, key))


def in_application() -> bool:
    """Whether a Hydra application has started us: then Hydra reads its own settings."""
    module = sys.modules.get("hydra.core.global_hydra")
    return module is not None and bool(module.GlobalHydra.instance().is_initialized())


def unread_settings(document: Document, *, sweep: bool = False) -> list[Diagnostic]:
    """A fault for each setting of Hydra's in a file that only an application would read; `sweep`: its sweep is read."""
    if HYDRA not in document.data or in_application():
        return []
    swept = value_at(document.data, PARAMS)
    read = [PARAMS] if sweep and (swept is None or isinstance(swept, dict)) else []
    told = dict.fromkeys(path[:3] for path in leaves((HYDRA,), document.data[HYDRA]) if path[:3] not in read)
    faults = {path: _not_read(".".join(map(str, path)), document.key_span(path)) for path in told}
    if PARAMS in faults and not sweep:
        what = f"`{'.'.join(PARAMS)}` is read in the spec itself only"
        faults[PARAMS] = replace(faults[PARAMS], message=what, hint="move it into that file")
    return list(faults.values())


def _not_read(setting: str, span: Span | None) -> Diagnostic:
    hint = "leave it out; what it is for is said on the command line: --store, --launcher, -m (traitgraph run --help)"
    return error("TG111", f"`{setting}` is read by Hydra applications only", span, setting, hint)


def _under(group: str, name: str) -> str:
    """A name in a list counts from the group of the file that holds the list, unless it starts with a slash."""
    return name[1:] if name.startswith("/") else f"{group}/{name}".strip("/")


def _chosen(choice: Override) -> Entry:
    return Entry(choice.key.partition("@")[0], tuple(map(str, _names(choice.value))), choice.key, False, ())


def _names(value: object) -> list[object]:
    """The presets that an entry or a choice names: one, several or none."""
    return value if isinstance(value, list) else [] if value is None else [value]


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


def compose_preset(group: str, name: str, spec: Path) -> tuple[Document | None, list[Diagnostic]]:
    """A preset merged with those of its group that its own list names, for a spec that names it as a value."""
    document, _, faults = compose_defaults(Document({}, spec), [Override(f"+{group}={name}", "add", group, (name,))])
    if document is None:
        return None, faults
    inside = document.data.pop(group, {})
    layers = tuple(replace(layer, prefix=()) for layer in document.layers if isinstance(layer, NodeLayer))
    file = find_preset(group, name, spec) or spec
    composed = Document(inside if isinstance(inside, dict) else {}, file, layers)
    if document.data:
        hint = f"give `defaults: [{group}: {name}]` in the spec: there a preset may build on any other"
        what = f"this list reaches beyond the group '{group}'"
        return None, [composed.error("TG033", what, (DEFAULTS,), hint, at_key=True)]
    return composed, []


def _order(walk: Walk, choices: Sequence[Override]) -> tuple[list[ResultDefault], list[Diagnostic]]:
    """Every file that takes part with its package, the last one wins; leaves no state in Hydra."""
    import warnings

    import yaml
    from hydra import initialize_config_dir, version
    from hydra.core.global_hydra import GlobalHydra
    from hydra.types import RunMode

    spec = walk.spec
    outer, outer_version = GlobalHydra.instance().hydra, version.getbase()
    GlobalHydra.instance().clear()
    library = str(LIBRARY).replace("\\", "\\\\").replace('"', '\\"')
    overrides = [f'hydra.searchpath=["file://{library}"]', *(choice.text for choice in choices)]
    try:
        with warnings.catch_warnings(), initialize_config_dir(str(spec.file.parent.resolve()), version_base="1.3"):
            warnings.simplefilter("ignore")  # a list without _self_: the spec's own values win, as one expects
            loader = GlobalHydra.instance().config_loader()
            primary = spec.file.stem if DEFAULTS in spec.data else None
            listed = loader.compute_defaults_list(primary, overrides, RunMode.RUN)
    except yaml.MarkedYAMLError as problem:
        return [], [_read_differently(problem, walk)]
    except Exception as problem:  # only Hydra runs above: whatever it raises is its answer to these files
        what = " ".join(str(problem).split())[:300]
        hint = "a preset with `override` entries comes after what it overrides" if "override" in what else None
        return [], [error("TG033", f"Hydra cannot compose this: {what}", spec.key_span((DEFAULTS,)), DEFAULTS, hint)]
    finally:
        GlobalHydra.instance().hydra = outer
        version.VersionBase.instance().version_base = outer_version
    return [item for item in listed.defaults if not item.config_path.startswith("hydra/")], []


def _read_differently(problem: yaml.MarkedYAMLError, walk: Walk) -> Diagnostic:
    """Hydra reads the files again with PyYAML's own parser, which is stricter in a few corners than libyaml."""
    mark = problem.problem_mark
    what = f"Hydra cannot read this: {problem.problem}"
    for file, document in walk.files.items():
        layer = document.layers[0]
        if mark and isinstance(layer, NodeLayer) and file.resolve() == Path(mark.name).resolve():
            return error("TG033", what, layer.source.span(mark.line, mark.column, 1), DEFAULTS)
    return error("TG033", what, walk.spec.key_span((DEFAULTS,)), DEFAULTS)


def _merge(spec: Document, order: Sequence[ResultDefault], walk: Walk) -> tuple[Document | None, list[Diagnostic]]:
    data: object = {}
    layers: list[NodeLayer] = []
    for item in order:
        file = spec.file if item.primary else find_preset(*str(item.config_path).rpartition("/")[::2], spec.file)
        document = walk.read(file) if file is not None else None
        if document is None:
            continue
        walk.faults += [] if item.primary else unread_settings(document)
        prefix = tuple(item.package.split(".")) if item.package else ()
        # a spec may also be the primary config of a Hydra application, with these two keys for Hydra alone
        content: object = {key: value for key, value in document.data.items() if key not in (DEFAULTS, HYDRA)}
        for step in reversed(prefix):
            content = {step: content}
        data = merged(data, content)
        layers += [replace(layer, prefix=prefix) for layer in document.layers if isinstance(layer, NodeLayer)]
    if walk.faults:
        return None, walk.faults
    assert isinstance(data, dict), "mappings merge to a mapping"
    return Document(data, spec.file, tuple(layers)), []
