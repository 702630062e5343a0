"""Digests are remembered, never believed alone, and compared where a job reads; docs/decisions/0017."""

from __future__ import annotations

import json
import os
import shutil
from pathlib import Path

import pytest

from traitgraph.runtime.jobs import locations
from traitgraph.runtime.jobs.locations import ChangedFileError, DigestMemory, Locations, verified
from traitgraph.specs.source.hashing import digest_path

LARGE = 3 << 20


@pytest.fixture(autouse=True)
def reads(monkeypatch: pytest.MonkeyPatch) -> list[str]:
    """Names of what was read whole, in order; files count as settled at once, or every test would wait."""
    seen: list[str] = []

    def counted(path: Path) -> str:
        seen.append(path.name)
        return digest_path(path)

    monkeypatch.setattr(locations, "_SETTLED", 0.0)
    monkeypatch.setattr(locations, "digest_path", counted)
    return seen


@pytest.fixture
def model(tmp_path: Path) -> Path:
    """A folder of some size, as a model is; `other` beside it differs in one byte at an end that no sample reads."""
    content = bytearray(os.urandom(16) * (LARGE // 16))
    for name, byte in (("model", 0), ("other", 1)):
        (tmp_path / name).mkdir()
        content[LARGE // 3] ^= byte
        (tmp_path / name / "model.safetensors").write_bytes(content)
        (tmp_path / name / "config.json").write_text("{}")
    (tmp_path / "store").mkdir()
    return tmp_path / "model"


def test_a_remembered_digest_saves_the_next_process_the_reading(model: Path, reads: list[str]) -> None:
    store = model.parent / "store"
    for _ in range(2):
        assert DigestMemory(store).digest_of(model) == digest_path(model)
    assert reads == ["model"]


def test_swapped_or_invented_hints_are_not_believed(model: Path) -> None:
    """The entry of a look is bound to it by a seal, and to the content by a sample."""
    store, other = model.parent / "store", model.parent / "other"
    true = {path: DigestMemory(store).digest_of(path) for path in (model, other)}
    assert len(set(true.values())) == 2
    file = store / "hints" / "digests.json"
    first, second = json.loads(file.read_text()).items()
    swapped = {first[0]: second[1], second[0]: first[1]}
    bare = dict.fromkeys((first[0], second[0]), "0" * 32)
    half = {first[0]: f"{second[1].split()[0]} {first[1].split()[1]}"}
    for entries in (*map(json.dumps, (swapped, bare, half, [], {first[0]: 1})), "[" * 100_000, "{"):
        file.write_text(entries)
        assert {path: DigestMemory(store).digest_of(path) for path in true} == true


def test_a_hint_does_not_outlive_a_change_that_keeps_size_and_time(model: Path) -> None:
    store, file = model.parent / "store", model / "model.safetensors"
    before, status = DigestMemory(store).digest_of(model), file.stat()
    shutil.copyfile(model.parent / "other" / "model.safetensors", file)  # into the same inode
    os.utime(file, ns=(status.st_atime_ns, status.st_mtime_ns))
    assert DigestMemory(store).digest_of(model) == digest_path(model) != before


def test_a_file_that_may_still_change_is_not_remembered(model: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Two writes within one tick of a file system's clock leave one time stamp."""
    monkeypatch.setattr(locations, "_SETTLED", 3600.0)
    DigestMemory(model.parent / "store").digest_of(model)
    assert not (model.parent / "store" / "hints").exists()


def test_a_copy_elsewhere_or_a_touched_file_is_compared_and_used(model: Path, reads: list[str]) -> None:
    """Another node has the model under other inodes and times: the digest decides."""
    store, digest = model.parent / "store", DigestMemory(model.parent / "store").digest_of(model)
    os.utime(model / "model.safetensors", (1, 1))
    copy = shutil.copytree(model, model.parent / "copy")
    for place in (model, copy):
        assert verified(Locations({digest: str(place)}, DigestMemory(store)), digest) == place
    assert reads == ["model", "model", "copy"]


def test_what_a_job_has_read_is_compared_again_when_it_is_done(model: Path) -> None:
    """Weights in memory may be views of the file: a change while the job runs is in its numbers."""
    memory = DigestMemory(model.parent / "store")
    digest = memory.digest_of(model)
    locations = Locations({digest: str(model), "0" * 32: "never read"}, memory)
    locations.check_again()
    verified(locations, digest)
    locations.check_again()
    shutil.copyfile(model.parent / "other" / "model.safetensors", model / "model.safetensors")
    with pytest.raises(ChangedFileError, match="model has changed since the plan was made"):
        locations.check_again()


def test_a_digest_without_a_path_is_named() -> None:
    with pytest.raises(LookupError, match="no path is known for digest cd"):
        verified({"ab": "/data/a.jsonl"}, "cd")
