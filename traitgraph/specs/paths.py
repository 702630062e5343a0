"""Paths as a spec writes them: any text may stand there, so nothing here raises for what a file system refuses.

A name that is too long, holds a NUL or starts with the `~` of nobody is a path at which nothing is.
"""

from __future__ import annotations

from pathlib import Path

NOT_PLAIN = "'{value}' is no plain file and no folder: a pipe, a device or a socket"


def from_folder(folder: Path, text: str) -> Path:
    """The absolute path of a text; a relative one counts from `folder`, `~` is the user's home."""
    try:
        return (folder / Path(text).expanduser()).resolve()
    except (OSError, RuntimeError, ValueError):
        return folder / text


def exists(path: Path) -> bool:
    """Whether something is there."""
    try:
        return path.exists()
    except (OSError, ValueError):
        return False


def is_file(path: Path) -> bool:
    """Whether a file is there."""
    try:
        return path.is_file()
    except (OSError, ValueError):
        return False


def is_folder(path: Path) -> bool:
    """Whether a folder is there."""
    try:
        return path.is_dir()
    except (OSError, ValueError):
        return False


def is_plain(path: Path) -> bool:
    """Whether a file or folder is there, and no pipe, device or socket: reading one may never end."""
    return is_file(path) or is_folder(path)


def beside(path: Path, suffix: str = "") -> tuple[str, ...]:
    """Names of what lies in the folder of a path, in order: what could be meant where nothing is at the path."""
    try:
        names = sorted(item.name for item in path.parent.iterdir())
    except (OSError, ValueError):
        return ()
    return tuple(name for name in names if not name.startswith(".") and name.endswith(suffix))
