"""Whether an adapter was trained on the model that it is added to, as far as names tell; shapes fit many models."""

from __future__ import annotations

import re
from pathlib import Path
from typing import Literal, NamedTuple

from traitgraph.runtime.tensors.checkpoint import read_object
from traitgraph.specs.study.model_folder import ADAPTER_CONFIG

_HUB_ID = re.compile(r"\w[\w.-]*/\w[\w.-]*")

_CACHED = re.compile(r"models--([\w.-]+?)--([\w.-]+)")
"""A folder of the hub's cache: owner and name."""


class Doubt(NamedTuple):
    """What speaks against an adapter belonging to a base."""

    kind: Literal["warning", "note"]
    """warning: both are known by name, and the names differ; note: nothing says which model the base is."""
    text: str


def doubt_about_base(adapter: Path, base: Path, *, adapter_name: str, base_name: str) -> Doubt | None:
    """Why the base may not be the model that an adapter's config names; None where it is, or no hub id is named there.

    Both are folders, with what the recipe calls them. A path proves nothing: folders are moved and copied. A folder of
    the hub's cache is its model, whatever it is called.
    """
    config = read_object(adapter / ADAPTER_CONFIG)
    named = str(config.get("base_model_name_or_path") or "")
    told, found = _hub_id(named), _in_cache(str(base)) or _in_cache(str(base.resolve()))
    if told is None:
        return None
    what = f"{adapter_name}: its config says that it was trained on '{told}'"
    if found is None:
        last = told.rpartition("/")[2].lower()
        if last in (base.name.lower(), Path(base_name).name.lower()):
            return None
        return Doubt("note", f"{what}; nothing says whether {base_name} is that model")
    if told.lower() == found.lower():
        return None
    return Doubt("warning", f"{what}, and the base is '{found}': its change belongs to that model's weights alone")


def _hub_id(name: str) -> str | None:
    """The id owner/name in a name that is one, or in a path into the hub's cache."""
    plain = name.partition("@")[0]
    is_id = _HUB_ID.fullmatch(plain) and not Path(name).exists()
    return plain if is_id else _in_cache(name)


def _in_cache(path: str) -> str | None:
    cached = _CACHED.search(path)
    return f"{cached[1]}/{cached[2]}" if cached else None
