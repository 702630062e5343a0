"""Content digests of local files and folders, remembered so that a plan does not read 16 GB twice.

A remembered digest is a hint: it holds while names, sizes, times and inodes of the files stay the same.
Whoever uses the content for real (a worker that loads a model) may check again.
"""

from __future__ import annotations

import contextlib
import json
from pathlib import Path

from traitgraph.runtime.durable import make_folder, write_json
from traitgraph.specs.identity import digest, digest_path

_SMALL = 1 << 20  # bytes: below this, reading is as fast as remembering


class DigestMemory:
    """`digest_of(path)` with a memory in STORE/hints/digests.json."""

    def __init__(self, store_root: Path) -> None:
        self._root = store_root
        self._path = store_root / "hints" / "digests.json"
        self._known: dict[str, str] | None = None

    def digest_of(self, path: Path) -> str:
        """32 hex digits of the content of a file or folder. Raises OSError when it cannot be read."""
        size, look = _look(path)
        if size < _SMALL:
            return digest_path(path)
        known = self._memory()
        if look not in known:
            known[look] = digest_path(path)
            self._remember()
        return known[look]

    def _memory(self) -> dict[str, str]:
        if self._known is None:
            self._known = {}
            with contextlib.suppress(OSError, ValueError):
                self._known = {str(key): str(value) for key, value in json.loads(self._path.read_bytes()).items()}
        return self._known

    def _remember(self) -> None:
        with contextlib.suppress(OSError):  # a store that cannot be written is said so by the run, not by the plan
            if self._root.is_dir():
                make_folder(self._path.parent, self._root)
                write_json(self._path, self._known)


def _look(path: Path) -> tuple[int, str]:
    """Total size, and a digest of what a look at the directory tells of each file."""
    files = sorted(each for each in path.rglob("*") if each.is_file()) if path.is_dir() else [path]
    facts = [
        (str(each.resolve()), status.st_size, status.st_mtime_ns, status.st_ino)
        for each in files
        for status in [each.stat()]
    ]
    return sum(fact[1] for fact in facts), digest("look", facts)
