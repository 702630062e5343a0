"""`clean` takes what nobody uses any more, and never an artifact or what a run may still need."""

from __future__ import annotations

import os
import shutil
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.launchers.toys import table, toy
from tests.runtime.store.rows import put, row
from traitgraph.api import upkeep
from traitgraph.api.upkeep import leftovers
from traitgraph.cli.main import main
from traitgraph.runtime.store.records import RunRecord
from traitgraph.runtime.store.store import Store


@pytest.fixture
def store(tmp_path: Path) -> Iterator[Store]:
    """An artifact, a damaged one, unfinished work of two jobs, and a run that is over."""
    with Store(tmp_path / "store") as store:
        put(store, row())
        (put(store, row("bad", kind="train")) / "result.txt").write_text("changed")
        list(store.verify())
        for key in ("a" * 32, "b" * 32):
            (store.partial(key) / "half.jsonl").write_text("half")
        record(store).note_launcher("0123456789abcdef")
        yield store


def record(store: Store, name: str = "a") -> RunRecord:
    return RunRecord.create(store.root, table([toy(name)]))


def clean(store: Store, *words: str) -> int:
    return main(["clean", *words, "--store", str(store.root)])


def left(store: Store) -> dict[str, int]:
    return {kind: len(list((store.root / kind).glob("*"))) for kind in ("vector", "runs", "damaged", "partial")}


def test_all_that_nobody_uses_goes_and_artifacts_stay(store: Store, capsys: pytest.CaptureFixture[str]) -> None:
    assert clean(store) == 0
    assert left(store) == {"vector": 1, "runs": 0, "damaged": 0, "partial": 0}
    assert store.has("vector", row().key)
    assert "partial: 2 removed" in capsys.readouterr().err


def test_a_dry_run_says_what_would_go_and_removes_nothing(store: Store, capsys: pytest.CaptureFixture[str]) -> None:
    before = left(store)
    assert clean(store, "--dry-run") == 0
    assert left(store) == before
    assert "damaged: 1 would go" in capsys.readouterr().err


def test_only_what_is_asked_for_goes_and_only_if_it_is_old(store: Store) -> None:
    assert clean(store, "damaged") == 0
    assert left(store) == {"vector": 1, "runs": 1, "damaged": 0, "partial": 2}
    old = store.root / "partial" / ("a" * 32)
    for path in (old / "half.jsonl", old):
        os.utime(path, (time.time() - 3 * 86400,) * 2)
    assert clean(store, "--older-than", "2") == 0
    assert left(store) == {"vector": 1, "runs": 1, "damaged": 0, "partial": 1}
    assert clean(store, "everything") == 2


def test_a_run_that_lives_stays_with_the_work_of_its_jobs(store: Store) -> None:
    """By its launcher, by a claim on one of its jobs, or because it has only just begun."""
    living, claimed, begun = record(store, "b"), record(store, "c"), record(store, "d")
    living.note_launcher(store.writer.token)
    claimed.note_launcher("0123456789abcdef")
    key = claimed.table().rows[0].key
    (store.partial(key) / "half").write_text("x")
    assert store.claims.take(key)
    assert clean(store) == 0
    assert {path.name for path in (store.root / "runs").iterdir()} == {living.id, claimed.id, begun.id}
    assert [path.name for path in (store.root / "partial").iterdir()] == [key]


def test_a_run_of_slurm_stays_where_slurm_does_not_answer(store: Store, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PATH", "/nowhere")
    submitted = record(store)
    (submitted.folder / "slurm").mkdir()
    (submitted.folder / "slurm" / "submission.json").write_text("{}")
    stays = {each.path.name: each.reason_to_stay for each in leftovers(store) if each.reason_to_stay}
    assert "does not answer" in stays[submitted.id]
    assert clean(store) == 0
    assert submitted.folder.is_dir()


def test_what_begins_or_goes_while_the_store_is_looked_at_is_left_alone(
    store: Store, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Nobody has told yet that a new run may go on, and a file that has gone is no failure."""

    def meanwhile(store: Store) -> Iterator[tuple[str, str]]:
        record(store, "new").note_launcher("0123456789abcdef")
        shutil.rmtree(store.root / "partial" / ("a" * 32))
        yield from ()

    monkeypatch.setattr(upkeep, "_used_by_runs", meanwhile)
    assert clean(store) == 0
    assert left(store) == {"vector": 1, "runs": 1, "damaged": 0, "partial": 0}
