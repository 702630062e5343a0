"""Folders that have their name only when they are complete."""

from __future__ import annotations

import secrets
import shutil
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from traitgraph.runtime.store.durable import sync

from .errors import MergeError


def check_new(folder: Path) -> None:
    """Raise MergeError when there is something at `folder` that a result would overwrite."""
    if folder.exists() and (not folder.is_dir() or any(folder.iterdir())):
        raise MergeError(f"{folder} exists and is not empty; choose another folder or remove it")


@contextmanager
def drafted(folder: Path) -> Iterator[Path]:
    """A folder beside the final one, for the block to fill; renamed to it at the end, removed when the block raises.

    A link is followed: it stays, and what it names becomes the folder.
    """
    folder = folder.resolve()
    check_new(folder)
    draft = folder.with_name(f".{folder.name}.{secrets.token_hex(4)}.partial")
    draft.mkdir(parents=True)
    try:
        yield draft
        for path in (*draft.iterdir(), draft):
            sync(path)
        if folder.is_dir():
            folder.rmdir()
        draft.rename(folder)
    except BaseException:
        shutil.rmtree(draft, ignore_errors=True)
        raise
