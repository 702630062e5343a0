"""What is published is whole and true; what is not whole is never used."""

from __future__ import annotations

import json
import os
import shutil
from collections.abc import Callable
from pathlib import Path

import pytest

from traitgraph.runtime.store.artifacts import BadArtifactError
from traitgraph.runtime.store.errors import (
    DamagedArtifactError,
    MissingArtifactError,
    OtherParametersError,
    OtherVersionError,
    StoreError,
)
from traitgraph.runtime.store.store import Store
from traitgraph.specs.source.hashing import digest

from .rows import everything_below, put, row


def reopened(store: Store) -> Store:
    """The same store as another process sees it."""
    return Store(store.root)


def test_a_published_artifact_has_its_files_and_its_row(store: Store) -> None:
    put(store, row("a", alpha="0.3"), {"vector.safetensors": b"\0" * 100, "model/config.json": b"{}"})
    artifact = reopened(store).open("vector", row("a").key)
    assert (artifact.path / "model" / "config.json").read_bytes() == b"{}"
    assert artifact.row == row("a", alpha="0.3")
    assert set(artifact.manifest.files) == {"vector.safetensors", "model/config.json"}
    assert artifact.manifest.bytes == 102
    assert artifact.manifest.versions.keys() >= {"traitgraph", "python"}


def test_the_layout_on_disk_is_kind_then_key_then_files(store: Store) -> None:
    put(store, row("a"))
    key = row("a").key
    assert everything_below(store.root / "vector") == {key, f"{key}/manifest.json", f"{key}/result.txt"}
    assert json.loads((store.root / "vector" / key / "manifest.json").read_text()).keys() == {
        "format", "row", "files", "seconds", "versions", "made_at", "machine", "seal",
    }  # fmt: skip


def test_asking_makes_no_folder(tmp_path: Path) -> None:
    store = Store(tmp_path / "none")
    assert not store.has("vector", row().key)
    assert store.kinds() == []
    assert list(store.verify()) == []
    assert store.durations() == {}
    assert store.collect_leftovers() == 0
    with pytest.raises(MissingArtifactError):
        store.open("vector", row().key)
    assert not (tmp_path / "none").exists()


def test_what_another_version_wrote_is_left_alone(store: Store) -> None:
    """It is neither used, nor damaged, nor set aside: whoever has that version still needs it."""
    folder = put(store, row())
    fields = json.loads((folder / "manifest.json").read_text())
    fields |= {"format": 2, "versions": {"traitgraph": "9.0"}}
    fields["seal"] = digest("manifest", {name: value for name, value in fields.items() if name != "seal"})
    (folder / "manifest.json").write_text(json.dumps(fields))
    other = reopened(store)
    assert not other.has("vector", row().key)
    with pytest.raises(OtherVersionError, match=r"written by traitgraph 9\.0, in a form that .* cannot read"):
        other.open("vector", row().key)
    (finding,) = other.verify()
    assert not finding.is_readable
    assert everything_below(store.root / "vector") == {
        row().key,
        f"{row().key}/manifest.json",
        f"{row().key}/result.txt",
    }


def test_nothing_has_its_final_name_before_it_is_whole(store: Store) -> None:
    with store.publish(row()) as out:
        (out / "result.txt").write_text("half")
        assert not store.path("vector", row().key).exists()
        assert not store.has("vector", row().key)
    assert store.has("vector", row().key)


def fail_halfway(store: Store, error: BaseException) -> None:
    with store.publish(row()) as out:
        (out / "result.txt").write_text("half")
        raise error


@pytest.mark.parametrize("error", [ValueError("no"), KeyboardInterrupt()])
def test_an_exception_leaves_nothing(store: Store, error: BaseException) -> None:
    with pytest.raises(type(error)):
        fail_halfway(store, error)
    assert everything_below(store.root / "tmp") == set()
    assert everything_below(store.root / "vector") == set()


def test_the_first_publisher_wins_and_the_second_loses_quietly(store: Store) -> None:
    with store.publish(row()) as slow:
        put(reopened(store), row(), {"result.txt": b"first"})
        (slow / "result.txt").write_bytes(b"second")
    assert (store.open("vector", row().key).path / "result.txt").read_bytes() == b"first"
    assert everything_below(store.root / "tmp") == set()


def test_an_artifact_without_a_file_is_refused(store: Store) -> None:
    with pytest.raises(BadArtifactError, match="vector a' wrote no file"), store.publish(row()):
        pass
    assert not store.has("vector", row().key)


def damage_truncate(folder: Path) -> None:
    (folder / "result.txt").write_bytes(b"forty")


def damage_flip(folder: Path) -> None:
    (folder / "result.txt").write_bytes(b"forty-one")


def damage_remove(folder: Path) -> None:
    (folder / "result.txt").unlink()


def damage_add(folder: Path) -> None:
    (folder / "adapter_model.bin").write_bytes(b"a pickle that a library would load")


def damage_link(folder: Path) -> None:
    (folder / "result.txt").rename(folder.parent / "elsewhere")
    (folder / "result.txt").symlink_to(folder.parent / "elsewhere")


def damage_manifest(folder: Path) -> None:
    text = (folder / "manifest.json").read_text()
    (folder / "manifest.json").write_text(text.replace("vector a", "vector b"))


def damage_manifest_cut(folder: Path) -> None:
    text = (folder / "manifest.json").read_text()
    (folder / "manifest.json").write_text(text[: len(text) // 2])


def damage_manifest_gone(folder: Path) -> None:
    (folder / "manifest.json").unlink()


def damage_empty_folder(folder: Path) -> None:
    (folder / "extra").mkdir()


Change = Callable[[Path], object]

DAMAGES: dict[Change, str] = {
    damage_empty_folder: "extra/: not in the manifest",
    damage_truncate: "result.txt: 5 bytes instead of 9",
    damage_flip: "result.txt: its content has changed",
    damage_remove: "result.txt: missing",
    damage_add: "adapter_model.bin: not in the manifest",
    damage_link: "result.txt: neither a file nor a folder",
    damage_manifest: "its content does not match its seal",
    damage_manifest_cut: "manifest.json: not readable",
    damage_manifest_gone: "manifest.json: No such file",
}


@pytest.mark.parametrize(("damage", "message"), DAMAGES.items(), ids=lambda case: getattr(case, "__name__", ""))
def test_a_damaged_artifact_is_reported_moved_away_and_can_be_made_again(
    store: Store, damage: Change, message: str
) -> None:
    folder = put(store, row())
    damage(folder)
    with pytest.raises(
        DamagedArtifactError, match=f"vector {row().key[:8]} is damaged .*{message}.*moved to .*damaged"
    ):
        reopened(store).open("vector", row().key)
    assert not folder.exists()
    assert [path.name.partition("-")[0] for path in (store.root / "damaged").iterdir()] == ["vector"]
    put(store, row())
    assert (reopened(store).open("vector", row().key).path / "result.txt").read_bytes() == b"forty-two"


@pytest.mark.parametrize("damage", [each for each in DAMAGES if each is not damage_flip])
def test_planning_sees_every_damage_that_needs_no_reading(store: Store, damage: Change) -> None:
    damage(put(store, row()))
    assert not reopened(store).has("vector", row().key)


def test_the_row_of_a_damaged_artifact_is_known_if_its_manifest_is_whole(store: Store) -> None:
    damage_flip(put(store, row()))
    with pytest.raises(DamagedArtifactError) as caught:
        reopened(store).open("vector", row().key)
    assert caught.value.row == row()


def test_a_link_in_place_of_an_artifact_is_never_followed(store: Store, tmp_path: Path) -> None:
    folder = put(store, row())
    folder.rename(tmp_path / "moved")
    folder.symlink_to(tmp_path / "moved")
    assert not store.has("vector", row().key)
    with pytest.raises(DamagedArtifactError, match="links are not allowed"):
        reopened(store).open("vector", row().key)
    assert (tmp_path / "moved" / "result.txt").exists()


@pytest.mark.parametrize("kind", ["..", "a/b", "", "Vector", "tmp", "runs", "damaged", "claims", "writers", "."])
def test_a_kind_cannot_leave_the_store_or_hide_its_folders(store: Store, kind: str) -> None:
    with pytest.raises(ValueError, match="not a name of a job kind"):
        store.path(kind, row().key)


@pytest.mark.parametrize("key", ["..", "../" * 10 + "f" * 2, "", "f" * 31, "F" * 32, "f" * 33, "f" * 31 + "\n"])
def test_a_key_cannot_leave_the_store(store: Store, key: str) -> None:
    with pytest.raises(ValueError, match="not a job key"):
        store.path("vector", key)


@pytest.mark.parametrize("make", [lambda path: path.symlink_to("/etc/passwd"), lambda path: os.mkfifo(path)])
def test_a_job_may_only_leave_files_and_folders(store: Store, make: Change) -> None:
    with pytest.raises(BadArtifactError, match="neither a file nor a folder"), store.publish(row()) as out:
        make(out / "odd")
    assert not store.has("vector", row().key)


def test_equal_keys_with_unequal_parameters_show_the_difference(store: Store) -> None:
    put(store, row("a", training={"learning_rate": 0.001, "steps": 12}))
    asked = row("a", training={"learning_rate": 0.0001, "steps": 12.0})
    with pytest.raises(OtherParametersError, match=r"training.learning_rate: stored 0.001, asked 0.0001$"):
        store.open("vector", row().key, asked)


def test_parameters_are_compared_as_the_key_compares_them(store: Store) -> None:
    put(store, row("a", alpha=1, prompt=None))
    store.open("vector", row().key, asked=row("a", alpha=1.0))


def test_verify_reads_everything_and_moves_what_is_damaged(store: Store) -> None:
    put(store, row("good"))
    damage_flip(put(store, row("bad", kind="train")))
    findings = {finding.kind: finding for finding in store.verify()}
    assert findings["vector"].faults == ()
    assert findings["train"].faults == ("result.txt: its content has changed",)
    assert not store.has("train", row("bad", kind="train").key)
    assert [finding.kind for finding in store.verify()] == ["vector"]


def test_verify_can_only_look(store: Store) -> None:
    damage_flip(put(store, row()))
    assert [bool(finding.faults) for finding in store.verify(move=False)] == [True]
    assert store.path("vector", row().key).is_dir()


def test_verification_happens_once_per_process(store: Store) -> None:
    folder = put(store, row())
    other = reopened(store)
    first = other.open("vector", row().key)
    (folder / "result.txt").chmod(0)  # a second reading would now fail for everybody but root
    assert other.open("vector", row().key) is first


def test_large_files_are_verified_too(store: Store) -> None:
    folder = put(store, row(), {"a.bin": b"\1" * (9 << 20), "b.bin": b"\2" * (9 << 20)})
    with (folder / "b.bin").open("r+b") as stream:
        stream.seek(5 << 20)
        stream.write(b"\3")
    with pytest.raises(DamagedArtifactError, match=r"b\.bin: its content has changed"):
        reopened(store).open("vector", row().key)


def test_the_kind_of_a_key_is_found(store: Store) -> None:
    put(store, row("a", kind="train"))
    put(store, row("b", kind="vector"))
    assert store.kind_of(row("b").key) == "vector"
    assert store.kind_of("f" * 32) is None


def test_a_snapshot_answers_as_has_does(store: Store) -> None:
    put(store, row("a"))
    damage_truncate(put(store, row("b")))
    present = store.snapshot()
    assert [present("vector", row(name).key) for name in "abc"] == [True, False, False]


def test_durations_are_medians_by_kind_and_benchmark(store: Store) -> None:
    put(store, row("a", kind="assess", benchmark={"kind": "questionnaire"}))
    put(store, row("b", kind="train"))
    wide = {name for name in store.durations() if not set(name) & set("#@")}
    assert wide == {"assess", "assess questionnaire", "train"}


def test_every_error_of_the_store_is_a_store_error() -> None:
    assert issubclass(DamagedArtifactError, StoreError)
    assert issubclass(MissingArtifactError, StoreError)
    assert issubclass(OtherParametersError, StoreError)


@pytest.mark.parametrize(
    "stand_in",
    [
        lambda path: path.write_text("x\n"),
        lambda path: os.mkfifo(path),
        lambda path: path.symlink_to("nowhere"),
        lambda path: path.symlink_to(path.parent.parent),
    ],
)
def test_whatever_stands_in_place_of_an_artifact_is_named_set_aside_and_made_again(
    store: Store, stand_in: Change
) -> None:
    folder = put(store, row())
    for by in ("verify", "open"):
        shutil.rmtree(folder)
        stand_in(folder)
        assert not reopened(store).has("vector", row().key)
        if by == "verify":
            (finding,) = store.verify()
            assert (finding.moved, finding.is_readable, len(finding.faults)) == (True, True, 1)
        else:
            with pytest.raises(DamagedArtifactError):
                reopened(store).open("vector", row().key)
        put(store, row())
        assert reopened(store).has("vector", row().key)


@pytest.mark.parametrize("stand_in", [lambda path: path.write_text("x"), lambda path: path.symlink_to("/nowhere")])
def test_whatever_stands_in_place_of_the_folder_of_a_kind_is_named_and_set_aside(
    store: Store, stand_in: Change, tmp_path: Path
) -> None:
    shutil.rmtree(put(store, row()).parent)
    stand_in(store.root / "vector")
    assert [finding.moved for finding in store.verify(move=False)] == [False]
    assert [finding.moved for finding in store.verify()] == [True]
    stand_in(store.root / "vector")
    put(store, row())
    assert reopened(store).has("vector", row().key)


def test_a_linked_folder_of_a_kind_is_set_aside_and_nothing_moves_in_what_it_leads_to(
    store: Store, tmp_path: Path
) -> None:
    folder = put(store, row())
    folder.parent.rename(tmp_path / "elsewhere")
    folder.parent.symlink_to(tmp_path / "elsewhere")
    assert all(finding.faults for finding in store.verify())
    assert (tmp_path / "elsewhere" / folder.name / "result.txt").is_file()
    put(store, row())
    assert folder.parent.is_dir()
    assert not folder.parent.is_symlink()


def test_a_manifest_that_is_a_pipe_is_damage_and_never_read(store: Store) -> None:
    folder = put(store, row())
    (folder / "manifest.json").unlink()
    os.mkfifo(folder / "manifest.json")
    assert not reopened(store).has("vector", row().key)
    assert store.durations() == {}
    assert [finding.faults for finding in store.verify()] == [("manifest.json: no plain file",)]


def test_partial_work_whose_folder_is_a_file_is_begun_anew(store: Store) -> None:
    (store.root / "partial").mkdir(parents=True)
    (store.root / "partial" / row().key).write_text("x")
    assert store.partial(row().key).is_dir()


def test_one_file_is_read_without_those_beside_it_and_verified_alone(store: Store) -> None:
    folder = put(store, row(), {"record": b"forty-two", "weights": b"many"})
    (folder / "weights").write_bytes(b"mane")
    assert store.read("vector", row().key, "record") == b"forty-two"
    with pytest.raises(BadArtifactError, match="weights: its content has changed"):
        store.read("vector", row().key, "weights")
    with pytest.raises(MissingArtifactError):
        store.read("vector", "0" * 32, "record")


def test_a_link_to_partial_work_on_another_disk_stays_when_a_file_stands_in_it(store: Store, tmp_path: Path) -> None:
    (tmp_path / "scratch" / "f00d").mkdir(parents=True)
    (tmp_path / "scratch" / row().key).write_text("x")
    store.root.mkdir()
    (store.root / "partial").symlink_to(tmp_path / "scratch")
    assert store.partial(row().key).is_dir()
    assert (store.root / "partial" / "f00d").is_dir()


@pytest.mark.parametrize("name", ["tmp", "partial", "claims", "writers", "runs", "vector"])
def test_a_file_in_place_of_a_folder_of_the_store_is_named_and_in_the_way_of_nothing(store: Store, name: str) -> None:
    put(store, row("other", kind="train"))
    store.close()
    shutil.rmtree(store.root / name, ignore_errors=True)
    (store.root / name).write_text("x")
    found = [finding for finding in reopened(store).verify(move=False) if finding.faults]
    assert [(finding.kind, finding.moved) for finding in found] == [(name, False)]
    again = reopened(store)
    with again.writable():
        again.partial(row().key)
        put(again, row())
    assert again.has("vector", row().key)
    again.close()
