"""The store: finished artifacts by kind and key. What is in it is true; everything else about a run is a hint.

    STORE/<kind>/<key>/        one artifact: its files and manifest.json, put there by one rename
    STORE/tmp/                 artifacts in the making
    STORE/partial/<key>/       what an unfinished job kept to go on from: never an artifact, gone when there is one
    STORE/damaged/             artifacts that no longer matched their manifest: kept to look at, never used
    STORE/claims/, writers/    who is making what, and who is alive (hints)
    STORE/runs/<run id>/       job table, logs and failures of each run
    STORE/reports/<study>/     reports, rendered from the artifacts
    STORE/hints/               digests of large local files, so that a plan need not read them again

Several processes, machines and people may use one store at the same time, on a network file system and without a lock
server. Knows job rows; must not know what a kind of job means.
"""

from __future__ import annotations

import contextlib
import functools
import itertools
import json
import re
import secrets
import shutil
import statistics
import time
from collections import defaultdict
from collections.abc import Callable, Iterator
from dataclasses import dataclass, replace
from datetime import UTC, datetime
from pathlib import Path
from types import TracebackType
from typing import Self

from traitgraph.specs.jobs.params import JobRow
from traitgraph.specs.jobs.results import duration_names
from traitgraph.specs.source.hashing import digest_file
from traitgraph.specs.study.job_kinds import KINDS, row_fields_of

from .artifacts import (
    MANIFEST,
    NOT_THERE,
    Artifact,
    BadArtifactError,
    Manifest,
    UnknownFormatError,
    content_faults,
    parameter_differences,
    read_manifest,
    size_faults,
    write_manifest,
)
from .claims import BEAT_SECONDS, DEAD_AFTER_SECONDS, Claims, Watch, Writer
from .durable import make_folder, share_with_group, sync
from .errors import (
    DamagedArtifactError,
    MissingArtifactError,
    OtherParametersError,
    OtherVersionError,
    StoreError,
    StoreFullError,
    is_disk_full,
)

RESERVED = frozenset({"tmp", "partial", "damaged", "claims", "writers", "runs", "hints", "reports"})
_KIND = re.compile("[a-z][a-z0-9_]{0,40}")
_KEY = re.compile("[0-9a-f]{32}")
_DURATIONS_READ = 30  # artifacts of each kind: enough for a median, however large the store is


@dataclass(frozen=True)
class Finding:
    """What `verify` found out about one artifact."""

    kind: str
    key: str
    bytes: int
    faults: tuple[str, ...]
    is_readable: bool = True
    """False for one of another version, or that may not be read: nothing is known of it, and it stays where it is."""
    moved: bool = False
    """Whether it is now in STORE/damaged."""


class Store:
    """A folder of verified artifacts. Making this object touches no disk; the folder is made by the first write."""

    def __init__(
        self, root: Path, *, beat_seconds: float = BEAT_SECONDS, dead_after_seconds: float = DEAD_AFTER_SECONDS
    ) -> None:
        self.root = Path(root).resolve()
        self._beat_seconds = beat_seconds
        self._watch = Watch(self.root / "writers", dead_after_seconds)
        self._verified: dict[tuple[str, str], Artifact] = {}
        self._numbers = itertools.count()

    # ---------------------------------------------------------------- reading

    def path(self, kind: str, key: str) -> Path:
        """Where the artifact is or would be. Raises ValueError for a name that could leave the store."""
        if not _KIND.fullmatch(kind) or kind in RESERVED:
            raise ValueError(f"not a name of a job kind: {kind!r}")
        if not _KEY.fullmatch(key):
            raise ValueError(f"not a job key (32 hex digits): {key!r}")
        return self.root / kind / key

    def has(self, kind: str, key: str) -> bool:
        """Whether the artifact is published, with a manifest of this job and all files in their size. Reads no file."""
        try:
            folder = self._folder(kind, key)
            return not size_faults(folder, _manifest_of(folder, kind, key))
        except (MissingArtifactError, BadArtifactError, OSError):  # whoever needs it hears the reason from `open`
            return False

    def kind_of(self, key: str) -> str | None:
        """The kind under which a key is published, None when it is not."""
        return next((kind for kind in self.kinds() if (self.root / kind / key / MANIFEST).is_file()), None)

    def kinds(self) -> list[str]:
        """Kinds with at least one artifact, sorted."""
        if not self.root.is_dir():
            return []
        return sorted(
            each.name for each in self.root.iterdir() if _KIND.fullmatch(each.name) and each.name not in RESERVED
        )

    def keys(self, kind: str) -> list[str]:
        """Keys published under a kind, sorted."""
        folder = self.root / kind
        return sorted(each.name for each in folder.iterdir() if _KEY.fullmatch(each.name)) if folder.is_dir() else []

    def open(self, kind: str, key: str, asked: JobRow | None = None) -> Artifact:
        """The artifact, every byte of it verified once per process.

        Raises MissingArtifactError, OtherVersionError, DamagedArtifactError (after moving it to STORE/damaged),
        OtherParametersError with the differences when `asked` is given and the stored artifact was made with others,
        and OSError when it cannot be read.
        """
        artifact = self._verified.get((kind, key))
        if artifact is None or not artifact.path.is_dir():
            artifact = self._verified[kind, key] = self._verify_or_move(kind, key)
        if asked is not None and (differences := parameter_differences(artifact.row, asked)):
            raise OtherParametersError(
                f"{kind} {key[:8]}: the store holds another job under this key:\n  " + "\n  ".join(differences)
            )
        return artifact

    def read(self, kind: str, key: str, name: str) -> bytes:
        """One file of an artifact, verified alone: beside it there may be gigabytes of weights.

        Raises MissingArtifactError, BadArtifactError when the file is not what was written, and OSError.
        """
        folder = self._folder(kind, key)
        about = _manifest_of(folder, kind, key).files.get(name)
        if about is None or digest_file(folder / name) != about.blake2b:
            raise BadArtifactError(f"{name}: its content has changed")
        return (folder / name).read_bytes()

    def _folder(self, kind: str, key: str) -> Path:
        folder = self.path(kind, key)
        if folder.is_symlink() or folder.parent.is_symlink():
            raise BadArtifactError(f"{folder}: links are not allowed in a store")
        if not folder.is_dir():
            if folder.exists() or (folder.parent.exists() and not folder.parent.is_dir()):
                raise BadArtifactError("something stands where its folder belongs")
            raise MissingArtifactError(f"{kind} {key[:8]} is not in the store {self.root}")
        return folder

    def _verify_or_move(self, kind: str, key: str) -> Artifact:
        folder = self.path(kind, key)
        identity, row = _inode(folder), None
        try:
            folder = self._folder(kind, key)
            manifest = _manifest_of(folder, kind, key)
            row = manifest.row
            faults = content_faults(folder, manifest)
        except UnknownFormatError as error:
            raise OtherVersionError(f"{kind} {key[:8]} in {self.root}: {error}") from error
        except BadArtifactError as error:
            faults = [str(error)]
        if not faults:
            return Artifact(folder, manifest)
        where = self._move_damaged(folder, identity)
        raise DamagedArtifactError(f"{kind} {key[:8]} is damaged ({'; '.join(faults)}){where}", row)

    def _move_damaged(self, folder: Path, identity: int | None) -> str:
        """Move a damaged artifact out of the way; where it went, as the end of a sentence.

        Where the folder of its kind is a link, or no folder, that goes: nothing is moved outside the store.
        """
        if _is_odd(folder.parent):
            folder, identity = folder.parent, _inode(folder.parent)
        target = self.root / "damaged" / f"{folder.parent.name}-{folder.name}-{secrets.token_hex(4)}"
        if _inode(folder) != identity:  # somebody moved it and built it again while we read
            return "; it has been replaced meanwhile"
        try:
            make_folder(target.parent, self.root)
            folder.rename(target)
        except FileNotFoundError:
            return "; it has been moved meanwhile"
        except OSError as error:
            return f" and cannot be moved to {target}: {error.strerror}; remove it by hand: {folder}"
        return f"; moved to {target}"

    # ---------------------------------------------------------------- writing

    @contextlib.contextmanager
    def publish(self, row: JobRow) -> Iterator[Path]:
        """An empty folder that becomes the artifact of `row` when the block ends without an exception.

        The files are recorded, brought to the disk and renamed in one step. When another writer was first, its
        artifact stays and this one is dropped quietly. After an exception nothing is left.
        Raises StoreFullError in place of whatever a full disk made the block raise.
        """
        final = self.path(row.kind, row.key)
        out: Path | None = None
        try:
            name = f"{self.writer.token}-{next(self._numbers)}-{row.kind}"
            out = make_folder(self.root / "tmp" / name, self.root)
            started = time.monotonic()
            yield out
            write_manifest(out, row, time.monotonic() - started, datetime.now(UTC).isoformat(timespec="seconds"))
            self._put(out, final)
        except BaseException as error:
            if out is not None:
                shutil.rmtree(out, ignore_errors=True)
            with contextlib.suppress(OSError):  # only when the job kept nothing there
                (self.root / "partial" / row.key).rmdir()
            if is_disk_full(error):
                raise StoreFullError(self._full_message(row)) from error
            raise

    def _put(self, out: Path, final: Path) -> None:
        for path in (out, *out.rglob("*")):
            share_with_group(path, self.root)
        self.make_way(final.parent)
        make_folder(final.parent, self.root)
        self.make_way(final)
        shutil.rmtree(self.root / "partial" / final.name, ignore_errors=True)
        try:
            out.rename(final)
        except OSError:
            if not final.is_dir():
                raise
            shutil.rmtree(out, ignore_errors=True)  # the other one has the same content by definition of the key
        else:
            sync(final.parent)

    def partial(self, key: str) -> Path:
        """A folder in which an unfinished job keeps what it needs to go on after a kill; it goes when the job is done.

        Only the holder of the job's claim writes there; who holds it next may be another user, so the group may write.
        """
        if not _KEY.fullmatch(key):
            raise ValueError(f"not a job key (32 hex digits): {key!r}")
        self.make_way(self.root / "partial" / key)
        return make_folder(self.root / "partial" / key, self.root)

    def make_way(self, folder: Path) -> None:
        """Set aside what stands where a folder of ours belongs."""
        if _is_odd(folder):
            self._move_damaged(folder, _inode(folder))

    def _odd_folders(self) -> list[Path]:
        return [folder for name in (*sorted(KINDS.builtin), *sorted(RESERVED)) if _is_odd(folder := self.root / name)]

    @contextlib.contextmanager
    def writable(self) -> Iterator[None]:
        """Raise StoreError with the name of the store where the block finds that it cannot be written.

        What stands in the place of a folder is set aside first.
        """
        for folder in self._odd_folders():
            self.make_way(folder)
        try:
            yield
        except OSError as error:
            raise StoreError(f"cannot write to the store {self.root}: {error.strerror or error}") from error

    def _full_message(self, row: JobRow) -> str:
        try:
            free = f"{shutil.disk_usage(self.root).free / 2**20:,.0f} MiB free"
        except OSError:
            free = "quota or disk full"
        return f"no room in the store {self.root} for {row.label or row.kind} ({free}); nothing was published"

    @functools.cached_property
    def writer(self) -> Writer:
        """The sign of life of this process, begun by its first write."""
        return Writer(self.root / "writers", self.root, self._beat_seconds)

    @functools.cached_property
    def claims(self) -> Claims:
        """The claims of this process."""
        return Claims(self.root / "claims", self.root, lambda: self.writer, self._watch)

    def is_alive(self, token: str) -> bool:
        """Whether the writer with this token may still write; one of another machine counts as alive until it has been
        watched for a while, by several calls."""
        return not self._watch.is_dead(token)

    def close(self) -> None:
        """Take the sign of life away, if this object ever wrote."""
        if writer := self.__dict__.pop("writer", None):
            writer.close()

    def __enter__(self) -> Self:
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, at: TracebackType | None) -> None:
        self.close()

    # ---------------------------------------------------------------- care

    def verify(self, *, move: bool = True, progress: Callable[[int, int], None] | None = None) -> Iterator[Finding]:
        """Every artifact, read from the first byte to the last; damaged ones are moved away unless `move` is false."""
        for folder in self._odd_folders():
            if move:
                self.make_way(folder)
            fault = "something stands where this folder of the store belongs"
            yield Finding(folder.name, "", 0, (fault,), moved=not _is_odd(folder))
        everything = [(kind, key) for kind in self.kinds() for key in self.keys(kind)]
        for done, (kind, key) in enumerate(everything, 1):
            self._verified.pop((kind, key), None)
            folder, identity = self.path(kind, key), _inode(self.path(kind, key))
            try:
                manifest = _manifest_of(self._folder(kind, key), kind, key)
                finding = Finding(kind, key, manifest.bytes, tuple(content_faults(folder, manifest)))
            except MissingArtifactError:
                continue  # somebody moved it while we walked
            except BadArtifactError as error:
                finding = Finding(kind, key, 0, (str(error),), not isinstance(error, UnknownFormatError))
            except OSError as error:
                finding = Finding(kind, key, 0, (str(error),), is_readable=False)
            if finding.faults and finding.is_readable and move:
                self._move_damaged(folder, identity)
                finding = replace(finding, moved=_inode(folder) != identity)
            yield finding
            if progress:
                progress(done, len(everything))

    def snapshot(self) -> Callable[[str, str], bool]:
        """`has` for a great many keys: only those listed in the store now are looked at."""
        published = {kind: frozenset(self.keys(kind)) for kind in self.kinds()}
        return lambda kind, key: key in published.get(kind, ()) and self.has(kind, key)

    def durations(self) -> dict[str, float]:
        """Median wall time of jobs by the names of `specs/jobs/results.py`: 'train', 'assess questionnaire'. [s]"""
        found: defaultdict[str, list[float]] = defaultdict(list)
        for kind in self.kinds():
            row_fields = row_fields_of(kind)
            for key in self.keys(kind)[:_DURATIONS_READ]:  # keys are digests: any order is a random sample
                with contextlib.suppress(OSError, ValueError, KeyError, TypeError):
                    if not (file := self.root / kind / key / MANIFEST).is_file():
                        continue
                    manifest = json.loads(file.read_bytes())
                    seconds, params = float(manifest["seconds"]), manifest["row"]["params"]
                    shared = {name: value for name, value in params.items() if name not in row_fields}
                    for name in duration_names(kind, shared):
                        found[name].append(seconds)
        return {name: statistics.median(seconds) for name, seconds in found.items()}

    def collect_leftovers(self) -> int:
        """Remove what dead writers left in the making; how many folders went.

        A writer of this machine is known to be dead at once, one of another machine only when this is called again
        after a while: call it now and then.
        """
        if not self.root.is_dir():
            return 0
        self.claims.collect_dead()
        removed = 0
        for folder in _entries(self.root / "tmp"):
            if self._watch.is_dead(folder.name.partition("-")[0]):
                shutil.rmtree(folder, ignore_errors=True)
                removed += not folder.exists()
        busy = {folder.name.partition("-")[0] for folder in _entries(self.root / "tmp")}
        for sign in _entries(self.root / "writers"):
            if sign.name not in busy and self._watch.is_dead(sign.name):
                self._watch.forget(sign.name)
        return removed


def _manifest_of(folder: Path, kind: str, key: str) -> Manifest:
    try:
        manifest = read_manifest(folder)
    except NOT_THERE as error:
        raise BadArtifactError(f"{MANIFEST}: {error.strerror}") from error
    if (manifest.row.kind, manifest.row.key) != (kind, key):
        raise BadArtifactError(f"{MANIFEST}: is of {manifest.row.kind} {manifest.row.key[:8]}")
    return manifest


def _entries(folder: Path) -> list[Path]:
    try:
        return sorted(folder.iterdir())
    except FileNotFoundError:
        return []


def _is_odd(path: Path) -> bool:
    """Whether something else stands where a folder belongs; a link may lead to one that holds no artifacts."""
    is_folder = path.is_dir() and (path.name in RESERVED or not path.is_symlink())
    return _inode(path) is not None and not is_folder


def _inode(path: Path) -> int | None:
    try:
        return path.lstat().st_ino
    except OSError:
        return None
