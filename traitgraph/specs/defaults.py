"""A spec with a `defaults:` list, composed of presets in the order that Hydra 1.3 gives them.

Hydra decides which files take part, where each is placed and which one wins; the files themselves are read by our
reader, so that numbers stay exact and every value keeps its place. Must not know what a preset holds.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING

from .apply import merged
from .diagnostics import Diagnostic, error
from .document import Document, NodeLayer
from .overrides import Override
from .preset_files import LIBRARY, find_preset
from .preset_walk import DEFAULTS, HYDRA, Walk, split_target, unread_settings

if TYPE_CHECKING:
    import yaml
    from hydra.core.default_element import ResultDefault

NOT_OURS = (DEFAULTS, HYDRA)
"""Keys for Hydra alone: a spec may also be the primary config of a Hydra application."""


def compose_defaults(
    spec: Document, choices: Sequence[Override], walk: Walk
) -> tuple[Document | None, list[Diagnostic]]:
    """The spec merged with the presets that its defaults list and the group choices name."""
    if spec.file.suffix != ".yaml":
        what = "a spec with a `defaults:` list must have a name that ends in .yaml"
        return None, [error("TG033", what, spec.key_span((DEFAULTS,)), DEFAULTS)]
    if walk.faults:
        return None, walk.faults
    order, faults = _order(walk, choices)
    return (None, faults) if faults else _merge(spec, order, walk)


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
            listed = loader.compute_defaults_list(spec.file.stem, overrides, RunMode.RUN)
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
        file = spec.file if item.primary else find_preset(*split_target(str(item.config_path)), spec.file)
        document = walk.read(file) if file is not None else None
        if document is None:
            continue
        walk.faults += [] if item.primary else unread_settings(document)
        prefix = tuple(item.package.split(".")) if item.package else ()
        content: object = {key: value for key, value in document.data.items() if key not in NOT_OURS}
        for step in reversed(prefix):
            content = {step: content}
        data = merged(data, content)
        layers += [replace(layer, prefix=prefix) for layer in document.layers if isinstance(layer, NodeLayer)]
    if walk.faults:
        return None, walk.faults
    assert isinstance(data, dict), "mappings merge to a mapping"
    return Document(data, spec.file, tuple(layers)), []
