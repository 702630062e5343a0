"""A published artifact: a folder of files and the manifest that vouches for each of them.

Knows files and digests; must not know where the store keeps its folders or who runs jobs.
"""

from __future__ import annotations

import json
import os
import platform
import stat
import sys
from collections.abc import Iterator, Mapping
from contextlib import suppress
from dataclasses import dataclass
from functools import cache
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path
from typing import Literal

from pydantic import Field, ValidationError

from traitgraph import __version__
from traitgraph.specs.fields.base import Spec
from traitgraph.specs.jobs.params import JobRow
from traitgraph.specs.jobs.refs import Digest
from traitgraph.specs.source.hashing import digest, digest_file

from .durable import sync, write_json

MANIFEST = "manifest.json"
LIBRARIES = (
    "torch", "transformers", "peft", "trl", "datasets", "lm_eval", "accelerate", "safetensors", "numpy", "gguf",
)  # fmt: skip
"""Those whose versions may change what a job makes."""

_IGNORED = (".DS_Store",)  # put by a file browser, never by a job
_HASHING_THREADS = 4
_WORTH_THREADS = 1 << 24  # bytes; below this a thread costs more than it brings
NOT_THERE = (FileNotFoundError, NotADirectoryError, IsADirectoryError)
"""Damage. Any other refusal to be read (no permission, a stale handle of a network file system) says nothing of it."""


class StoredFile(Spec):
    """Size and digest of one file of an artifact."""

    bytes: int = Field(ge=0, description="Size. [bytes]")
    blake2b: Digest


class Manifest(Spec):
    """What an artifact is, how it was made, and what each of its files must be."""

    format: Literal[1] = 1
    row: JobRow
    files: dict[str, StoredFile] = Field(description="Path inside the artifact, with '/', -> its file.")
    seconds: float = Field(ge=0, description="Wall time of the job. [s]")
    versions: dict[str, str] = Field(description="Library -> version, of those that the job had loaded.")
    made_at: str = Field(description="Time of publication, UTC, ISO 8601.")
    machine: str = Field("", description="Kind of GPU or CPU; '' where it was not recorded.")
    seal: Digest

    @property
    def bytes(self) -> int:
        """Size of all files. [bytes]"""
        return sum(file.bytes for file in self.files.values())


@dataclass(frozen=True)
class Artifact:
    """A verified artifact: every file has had its recorded size and digest in this process."""

    path: Path
    manifest: Manifest

    @property
    def row(self) -> JobRow:
        """The job that made it."""
        return self.manifest.row


class BadArtifactError(ValueError):
    """An artifact is not what its manifest says; the message names each fault."""


class UnknownFormatError(BadArtifactError):
    """A manifest is whole, and not of a form that this version knows: another version wrote it."""


def write_manifest(folder: Path, row: JobRow, seconds: float, made_at: str) -> Manifest:
    """Record every file of `folder` and bring all of it to the disk.

    Raises BadArtifactError when the folder has no file, or anything that is neither a file nor a folder.
    """
    for path in sorted(folder.rglob("*"), reverse=True):
        if path.is_dir() and not path.is_symlink() and not any(path.iterdir()):
            path.rmdir()  # a manifest vouches for files, and a folder that it does not know is damage
    names = sorted(name for name in _paths(folder) if not name.endswith("/"))
    if not names:
        raise BadArtifactError(f"the job '{row.label or row.kind}' wrote no file")
    for name in names:
        sync(folder / name)
    fields: dict[str, object] = {
        "format": 1,
        "row": row.model_dump(mode="json"),
        "files": {name: {"bytes": size, "blake2b": hexes} for name, size, hexes in _digests(folder, names)},
        "seconds": round(seconds, 3),
        "versions": _loaded_versions(),
        "made_at": made_at,
        "machine": hardware(),
    }
    fields["seal"] = _seal(fields)
    write_json(folder / MANIFEST, fields)
    for parent in {(folder / name).parent for name in [*names, MANIFEST]}:
        sync(parent)
    return Manifest.model_validate(fields)


def read_manifest(folder: Path) -> Manifest:
    """The manifest of an artifact, its own seal checked.

    Raises FileNotFoundError when there is none, BadArtifactError when it is not whole, and UnknownFormatError when
    another version of the program wrote it.
    """
    if stat.S_IFMT((folder / MANIFEST).stat(follow_symlinks=False).st_mode) not in (stat.S_IFREG, stat.S_IFDIR):
        raise BadArtifactError(f"{MANIFEST}: no plain file")
    text = (folder / MANIFEST).read_bytes()
    try:
        fields = json.loads(text)
        if not isinstance(fields, dict) or fields.get("seal") != _seal(fields):
            raise BadArtifactError(f"{MANIFEST}: its content does not match its seal")
    except (UnicodeDecodeError, json.JSONDecodeError, TypeError) as error:
        raise BadArtifactError(f"{MANIFEST}: not readable: {error}") from error
    try:
        return Manifest.model_validate(fields)
    except ValidationError as error:
        writer = dict(fields.get("versions") or {}).get("traitgraph", "of unknown version")
        message = f"written by traitgraph {writer}, in a form that {__version__} cannot read"
        raise UnknownFormatError(f"{message}; use that version, or another store") from error


def _seal(fields: Mapping[str, object]) -> str:
    return digest("manifest", {name: value for name, value in fields.items() if name != "seal"})


def size_faults(folder: Path, manifest: Manifest) -> list[str]:
    """What is missing, extra or of another size: one line each, none when all is well. Reads no file.

    Raises OSError when nobody can say.
    """
    try:
        found = list(_paths(folder))
        sizes = {name: (folder / name).stat().st_size for name in found if not name.endswith("/")}
    except (BadArtifactError, *NOT_THERE) as error:
        return [str(error)]
    faults = [f"{name}: missing" for name in sorted(manifest.files.keys() - sizes.keys())]
    empty = [each for each in found if each.endswith("/") and not any(name.startswith(each) for name in manifest.files)]
    faults += [f"{name}: not in the manifest" for name in sorted([*(sizes.keys() - manifest.files.keys()), *empty])]
    for name in sorted(sizes.keys() & manifest.files.keys()):
        if sizes[name] != manifest.files[name].bytes:
            faults.append(f"{name}: {sizes[name]} bytes instead of {manifest.files[name].bytes}")
    return faults


def content_faults(folder: Path, manifest: Manifest) -> list[str]:
    """As `size_faults`, then every byte of every file against its digest."""
    if faults := size_faults(folder, manifest):
        return faults
    try:
        found = list(_digests(folder, sorted(manifest.files)))
    except NOT_THERE as error:
        return [str(error)]
    return [f"{name}: its content has changed" for name, _, hexes in found if hexes != manifest.files[name].blake2b]


def _paths(folder: Path) -> Iterator[str]:
    """Paths of the files and folders below `folder`, with '/', also at the end of a folder's; without the manifest.

    Raises BadArtifactError where anything else lies.
    """
    pending = [""]
    while pending:
        prefix = pending.pop()
        with os.scandir(folder / prefix) as entries:
            for entry in entries:
                name = prefix + entry.name
                if entry.is_dir(follow_symlinks=False):
                    pending.append(f"{name}/")
                    yield f"{name}/"
                elif not entry.is_file(follow_symlinks=False):
                    raise BadArtifactError(
                        f"{name}: neither a file nor a folder (links are not allowed in an artifact)"
                    )
                elif name != MANIFEST and entry.name not in _IGNORED:
                    yield name


def _digests(folder: Path, names: list[str]) -> list[tuple[str, int, str]]:
    """(name, bytes, digest) of each file; large ones side by side, since hashing runs outside the interpreter lock."""
    sizes = [(folder / name).stat().st_size for name in names]
    paths = [folder / name for name in names]
    if sum(sizes) < _WORTH_THREADS or len(names) == 1:
        hexes = [digest_file(path) for path in paths]
    else:
        from concurrent.futures import ThreadPoolExecutor  # with its logging 3 ms that a plan can do without

        with ThreadPoolExecutor(_HASHING_THREADS) as pool:
            hexes = list(pool.map(digest_file, paths))
    return list(zip(names, sizes, hexes, strict=True))


def installed_versions() -> dict[str, str]:
    """Library -> version, of those that run jobs and are installed here."""
    found = {}
    for name in LIBRARIES:
        with suppress(PackageNotFoundError):
            found[name] = version(name)
    return found


def _loaded_versions() -> dict[str, str]:
    """Those that this process has loaded; one from a source tree is asked itself."""
    installed, loaded = installed_versions(), {name: sys.modules[name] for name in LIBRARIES if name in sys.modules}
    found = {name: installed.get(name) or str(getattr(each, "__version__", "unknown")) for name, each in loaded.items()}
    return {"traitgraph": __version__, "python": platform.python_version(), **found}


def hardware() -> str:
    """'GPU: NVIDIA H200' where this process has used one, else 'CPU: AMD EPYC 7B13, 2 cores'; no name of a host."""
    torch = sys.modules.get("torch")
    if torch is not None and torch.cuda.is_initialized():
        return f"GPU: {torch.cuda.get_device_name()}"
    cores = len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1
    return f"CPU: {_processor()}, {cores} core{'' if cores == 1 else 's'}"


@cache
def _processor() -> str:
    """The maker's name of the processor, else its architecture."""
    try:
        with Path("/proc/cpuinfo").open(encoding="utf-8", errors="replace") as stream:
            found = next((line.partition(":")[2] for line in stream if line.startswith("model name")), "")
    except OSError:
        found = ""
    return " ".join(found.split()) or platform.machine() or "unknown"


def parameter_differences(stored: JobRow, asked: JobRow) -> list[str]:
    """Where two rows of one key disagree: "training.learning_rate: stored 0.001, asked 0.0001", one line each."""
    return [
        f"{path}: stored {_shown(left)}, asked {_shown(right)}"
        for path, left, right in _unequal(_hashed(stored), _hashed(asked), "")
    ]


def _hashed(row: JobRow) -> dict[str, object]:
    plain = row.model_dump(mode="json")
    return {"kind": plain["kind"], "version": plain["version"], **plain["params"], "inputs": plain["inputs"]}


def _unequal(left: object, right: object, path: str) -> Iterator[tuple[str, object, object]]:
    if isinstance(left, dict) and isinstance(right, dict):
        for key in sorted(left.keys() | right.keys()):
            yield from _unequal(left.get(key), right.get(key), f"{path}.{key}" if path else str(key))
    elif digest("value", left) != digest("value", right):  # 1 and 1.0 are one number, as in the key
        yield path, left, right


def _shown(value: object) -> str:
    return "nothing" if value is None else json.dumps(value, ensure_ascii=False)
