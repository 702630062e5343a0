"""What a folder of lm-evaluation-harness's definitions defines: names of tasks, groups and tags.

Read as the harness reads them (every .yaml file, with what it includes), but as text only: no
tag is followed, so nothing that `!function` names is looked at.
"""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING

from .document import SourceText
from .paths import exists, is_plain

if TYPE_CHECKING:
    from yaml import Node

Config = dict[str, list[str]]
"""Key at the top of a definition -> its words."""

IGNORED = frozenset({"__pycache__", ".ipynb_checkpoints"})


class UnreadableError(Exception):
    """A definition that the harness would pass over in silence; the text says why."""


def defines(folder: Path, name: str) -> bool:
    """Whether a folder defines a task, group or tag; files called like it are read first."""
    files = sorted(definitions(folder), key=lambda path: path.stem != name)
    return any(name in _names_or_none(path) for path in files)


def defined_names(folder: Path) -> tuple[tuple[str, ...], tuple[str, ...]]:
    """All names that a folder defines, and a line for each file that cannot be read."""
    names: dict[str, None] = {}
    faults = []
    for path in definitions(folder):
        try:
            names |= dict.fromkeys(names_in(path))
        except UnreadableError as fault:
            faults.append(f"{path.relative_to(folder)} cannot be read: {fault}")
    return tuple(names), tuple(faults)


def definitions(folder: Path) -> Iterator[Path]:
    """The .yaml files of a folder, at any depth, in order."""
    return (path for path in sorted(folder.glob("**/*.yaml")) if not IGNORED & set(path.parts) and path.is_file())


def names_in(path: Path) -> list[str]:
    """The names that one file brings. Raises UnreadableError."""
    config = _config(path, ())
    if "group" in config and "class" not in config:
        return config["group"]
    task = config.get("task", [])
    return [*task, *config.get("tag", ())] if len(task) == 1 else []


def _names_or_none(path: Path) -> list[str]:
    try:
        return names_in(path)
    except UnreadableError:
        return []


def _config(path: Path, around: tuple[Path, ...]) -> Config:
    """A definition over what it includes."""
    if path in around:
        raise UnreadableError(f"{path.name} includes itself")
    config = _read(path)
    merged: Config = {}
    for each in config.pop("include", ()):
        merged |= _config((path.parent / each).resolve(), (*around, path))
    return merged | config


def _read(path: Path) -> Config:
    """The words at the top of a definition."""
    from yaml import MappingNode

    from .source import MAX_BYTES, compose_nodes

    try:
        if exists(path) and not is_plain(path):
            raise UnreadableError(f"{path.name} is no plain file")
        with path.open("rb") as stream:
            text = stream.read(MAX_BYTES).decode("utf-8-sig")
    except OSError as fault:
        raise UnreadableError(f"{path.name}: {fault.strerror}") from fault
    except UnicodeDecodeError as fault:
        raise UnreadableError("it is not UTF-8") from fault
    root, faults = compose_nodes(SourceText(path.name, text), text)
    if faults:
        span = faults[0].span
        raise UnreadableError((f"line {span.line}: " if span else "") + faults[0].message)
    if not isinstance(root, MappingNode):
        raise UnreadableError("it is no mapping")
    return {key.value: _words(value) for key, value in root.value if isinstance(key.value, str)}


def _words(node: Node) -> list[str]:
    """The text of one value, or the texts of a list; none for anything else."""
    from yaml import ScalarNode, SequenceNode

    nodes = node.value if isinstance(node, SequenceNode) else [node]
    return [each.value for each in nodes if isinstance(each, ScalarNode) and each.value]
