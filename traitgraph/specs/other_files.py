"""Files of ours, or of programs near to us, that are no study: one message that says which command takes them."""

from __future__ import annotations

import shlex
from pathlib import Path

from .diagnostics import Diagnostic, error
from .document import Document
from .paths import is_file

A_RECIPE = "a recipe for one merge"

_HEAD = 200
"""Bytes of a file that a command has written which tell what it is."""

_WRITTEN = {
    "traitgraph plan": ("a saved plan", "run it: traitgraph run {file}"),
    "traitgraph lock": ("a lock", "compare a study with it: traitgraph lock SPEC --check -o {file}"),
}
"""Start of `format` in a JSON document of ours -> what it is, and its command."""


def is_saved_plan(path: Path) -> bool:
    """Whether a file is one that `plan -o` wrote."""
    return _format(path) == "traitgraph plan"


def written_by_us(path: Path, wanted: str = "a study") -> Diagnostic | None:
    """The message for a plan or lock in the place of a YAML file, however large it is; None for anything else."""
    told = _WRITTEN.get(_format(path) or "")
    return _told(path, *told, wanted) if told else None


def _format(path: Path) -> str | None:
    """What a JSON document of ours says that it is, without the number of its version."""
    if not is_file(path):  # a pipe that is opened here would be empty afterwards, or never end
        return None
    try:
        with path.open("rb") as stream:
            head = stream.read(_HEAD)
    except OSError:
        return None
    return next((known for known in _WRITTEN if head.startswith(b"{") and f'"{known} '.encode() in head), None)


def no_study(document: Document) -> Diagnostic | None:
    """The message for a merge recipe, ours or mergekit's, in the place of a study."""
    data = document.data
    if "study" in data or not ("merge_method" in data or {"base", "vectors"} <= data.keys()):
        return None
    what = "a recipe of mergekit's" if "merge_method" in data else A_RECIPE
    return _told(document.file, what, "merge it: traitgraph merge {file} -o DIR")


def no_recipe(document: Document) -> Diagnostic | None:
    """The message for a study in the place of a merge recipe."""
    if "study" not in document.data and "benchmarks" not in document.data:
        return None
    hint = "run it: traitgraph run {file}\nwrite its merged models: traitgraph materialize {file} -o DIR"
    return _told(document.file, "a study", hint, A_RECIPE)


def _told(path: Path, what: str, hint: str, wanted: str = "a study") -> Diagnostic:
    return error("TG012", f"{path} is {what}, not {wanted}", hint=hint.format(file=shlex.quote(str(path))))
