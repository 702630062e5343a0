"""Writes that are there whole or not at all, also after a crash, on a full disk and in a folder shared by a group."""

from __future__ import annotations

import errno
import json
import os
import secrets
import stat
from collections.abc import Iterable
from pathlib import Path

AS_JSON = "backslashreplace"
"""How to encode half of a surrogate pair, in a reply or a file's name: in JSON it is written as its escape."""


def write_json(path: Path, data: object) -> None:
    """Put `data` at `path` as JSON: a reader sees the old file, the new one or none, never a part of one."""
    temporary = path.with_name(f".{path.name}.{secrets.token_hex(4)}")
    try:
        with temporary.open("w", encoding="utf-8", errors=AS_JSON) as stream:
            json.dump(data, stream, ensure_ascii=False, allow_nan=False)
            stream.flush()
            os.fsync(stream.fileno())
        temporary.replace(path)
    except BaseException:
        temporary.unlink(missing_ok=True)
        raise


def write_json_lines(path: Path, rows: Iterable[object]) -> None:
    """Write a file of the job's own folder, which nobody reads before it is whole: one row a line."""
    with path.open("w", encoding="utf-8", errors=AS_JSON, newline="\n") as stream:
        stream.writelines(json.dumps(row, ensure_ascii=False, allow_nan=False) + "\n" for row in rows)


def sync(path: Path) -> None:
    """Bring a file or folder to the disk; file systems that cannot sync a folder are left alone."""
    handle = os.open(path, os.O_RDONLY)
    try:
        os.fsync(handle)
    except OSError as error:
        if error.errno not in (errno.EINVAL, errno.ENOTSUP, errno.EBADF):
            raise
    finally:
        os.close(handle)


def make_folder(folder: Path, root: Path) -> Path:
    """Make `folder` and its parents below `root`; the group may write in it if it may write in `root`.

    A store that two people share is a folder with group write and set-group-id; their umask must not get in the way.
    """
    if folder.is_dir():
        return folder
    if folder != root:
        make_folder(folder.parent, root)
    folder.mkdir(parents=folder == root, exist_ok=True)
    share_with_group(folder, root)
    return folder


def share_with_group(path: Path, root: Path) -> None:
    """Give the group the rights on `path` that it has on `root`: all of them on a folder, reading on a file."""
    wanted = root.stat().st_mode & (stat.S_IRWXG | stat.S_ISGID)
    mode = path.stat().st_mode
    wanted &= stat.S_IRWXG | stat.S_ISGID if stat.S_ISDIR(mode) else stat.S_IRGRP
    if wanted & ~mode:
        path.chmod(stat.S_IMODE(mode) | wanted)
