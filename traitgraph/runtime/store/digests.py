"""Content digests of local files and folders, remembered so that nobody reads 16 GB twice (docs/decisions/0017).

A remembered digest is a hint, and never believed alone. It counts only where name, size, times and inode of every file
are those at which the content was read, a sample of the content is the same, and the entry's seal fits all of it.
"""

from __future__ import annotations

import contextlib
import json
import time
from hashlib import blake2b
from pathlib import Path

from traitgraph.specs.source.hashing import counted_files, digest, digest_path

from .durable import make_folder, write_json

_SMALL = 1 << 20  # bytes: below this, reading is as fast as remembering
_PIECE = 1 << 12  # bytes of a sample
_SETTLED = 2.0  # a file changed later than so many seconds ago may change again without another time stamp


class DigestMemory:
    """`digest_of(path)` with a memory: of this process, and in STORE/hints/digests.json for later ones."""

    def __init__(self, store_root: Path) -> None:
        self._root = store_root
        self._path = store_root / "hints" / "digests.json"
        self._read: dict[str, str] = {}
        """Look -> digest of what this process has read, or believed."""

    def digest_of(self, path: Path) -> str:
        """32 hex digits of the content of a file or folder. Raises OSError when it cannot be read."""
        size, changed, look = _look(path)
        if size < _SMALL:
            return digest_path(path)
        if look in self._read:
            return self._read[look]
        found, _, seal = self._hints().get(look, "").partition(" ")
        if seal and seal == _seal(path, look, found):
            self._read[look] = found
            return found
        found = digest_path(path)
        if _look(path)[2] == look and time.time() - changed > _SETTLED:
            self._read[look] = found
            with contextlib.suppress(OSError):  # a store that cannot be written is said so by the run, not by the plan
                if self._root.is_dir():
                    make_folder(self._path.parent, self._root)
                    write_json(self._path, {**self._hints(), look: f"{found} {_seal(path, look, found)}"})
        return found

    def _hints(self) -> dict[str, str]:
        with contextlib.suppress(OSError, ValueError, AttributeError, RecursionError):
            return {str(key): str(value) for key, value in json.loads(self._path.read_bytes()).items()}
        return {}


def _look(path: Path) -> tuple[int, float, str]:
    """Total size, time of the last change, and a digest of what a look at the directory tells of each file."""
    seen = [(str(file.resolve()), file.stat()) for file in sorted(counted_files(path))]
    facts = [(name, each.st_size, each.st_mtime_ns, each.st_ctime_ns, each.st_ino) for name, each in seen]
    latest = max((each.st_ctime for _, each in seen), default=0.0)
    return sum(each.st_size for _, each in seen), latest, digest("look", facts)


def _seal(path: Path, look: str, found: str) -> str:
    """What binds a digest to a look and to the start, middle and end of every file."""
    sample = blake2b()
    for file in sorted(counted_files(path)):
        size = file.stat().st_size
        with file.open("rb") as stream:
            for start in (0, size // 2, max(0, size - _PIECE)):
                stream.seek(start)
                sample.update(stream.read(_PIECE))
    return digest("hint", [look, found, sample.hexdigest()])
