"""The tasks that the installed lm-evaluation-harness brings, looked up without importing it: a plan stays quick.

Most names begin as the folder that holds them, so that the likeliest of the 200 folders are searched first; a name that
is nowhere costs a look at all 14,000 definitions (a second). A test compares with the harness's own index.
"""

from __future__ import annotations

import os
import re
from collections.abc import Iterator
from difflib import SequenceMatcher
from functools import lru_cache
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path

from traitgraph.specs.source.diagnostics import near_names
from traitgraph.specs.source.hashing import digest_path
from traitgraph.specs.source.library import package_folder

ELSEWHERE = {"boolq": "super_glue", "social_iqa": "siqa"}
"""Well-known names that their folder does not begin: where to look first."""
_NAMED = re.compile(rb"""^["']?(?:task|group)["']?[ ]*:[ ]*["']?([^\s"'#\[]+)["']?[ ]*(?:#.*)?$""", re.MULTILINE)
_TAGGED = re.compile(rb"""^["']?tag["']?[ ]*:(.*\n(?:[ ]*-.*(?:\n|\Z))*)""", re.MULTILINE)
_WORD = re.compile(rb"""[^\s"'#\[\],-][^\s"'#\[\],]*""")


def tasks_folder() -> Path | None:
    """Where the installed harness keeps its definitions; None where it is not installed."""
    installed = package_folder("lm_eval")
    return installed and installed / "tasks"


def _names_below(folder: Path) -> Iterator[str]:
    """The names of tasks, groups and tags that the texts of a folder bring."""
    for place, _, files in os.walk(folder):
        for file in files:
            if file.endswith(".yaml") or "." not in file:  # templates that others include have no ending
                text = Path(place, file).read_bytes()
                yield from (name.decode() for name in _NAMED.findall(text))
                yield from (word.decode() for tags in _TAGGED.findall(text) for word in _WORD.findall(tags))


@lru_cache(maxsize=256)
def family_of(folder: Path, name: str) -> Path | None:
    """The likeliest folder of the harness's tasks that defines a task, group or tag; None where no text does."""
    first = ELSEWHERE.get(name, name)
    families = [each.name for each in os.scandir(folder) if each.is_dir()]
    for likely in (list(filter(first.startswith, families)), families):
        likely.sort(key=lambda each: -SequenceMatcher(None, each, first).ratio())  # of all of them it takes 10 ms
        if found := next((folder / each for each in likely if name in _names_below(folder / each)), None):
            return found
    return None


def near_tasks(folder: Path, name: str) -> tuple[str, ...]:
    """Names of the harness that a name looks like."""
    return near_names(name, set(_names_below(folder)))


@lru_cache(maxsize=256)
def harness_identity(built_in: str | None) -> str | None:
    """What of the harness decides a task's figures: 'lm_eval 0.4.13', and a digest of what defines a built-in one.

    A task of a folder of one's own (None) has a digest of its own. None where the harness is not installed.
    """
    if (folder := tasks_folder()) is None:
        return None
    try:
        release = version("lm_eval")
    except PackageNotFoundError:
        release = "of unknown version"
    family = family_of(folder, built_in) if built_in else None
    return f"lm_eval {release}" + (f" {digest_path(family)}" if family else "")
