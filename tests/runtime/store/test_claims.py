"""Claims and signs of life: hints that share work between processes, on clocks that need not agree."""

from __future__ import annotations

import errno
import json
import os
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from traitgraph.runtime.store.claims import Watch
from traitgraph.runtime.store.store import Store

from .rows import everything_below, put, row

KEY = row().key


class Clock:
    """A clock that stands until a test moves it, in place of the module `time`."""

    def __init__(self) -> None:
        self.now = 0.0

    def monotonic(self) -> float:
        return self.now


@pytest.fixture
def clock(monkeypatch: pytest.MonkeyPatch) -> Clock:
    """The clock by which silence is measured."""
    clock = Clock()
    monkeypatch.setattr("traitgraph.runtime.store.claims.time", clock)
    return clock


@pytest.fixture
def other(store: Store) -> Iterator[Store]:
    """A second living writer on the same store."""
    with Store(store.root) as other:
        yield other


def sign_of_another_machine(store: Store, token: str = "0123456789abcdef", count: int = 0) -> str:
    """A writer on another node, of whom only the file is seen."""
    folder = store.root / "writers"
    folder.mkdir(parents=True, exist_ok=True)
    (folder / token).write_text(json.dumps({"machine": "other", "pid": 1, "started": "1", "count": f"{count:012d}"}))
    return token


def claim_of(store: Store, token: str) -> None:
    (store.root / "claims").mkdir(parents=True, exist_ok=True)
    (store.root / "claims" / KEY).write_text(token)


def test_one_writer_has_a_claim_until_it_gives_it_back(store: Store, other: Store) -> None:
    assert store.claims.take(KEY)
    assert not other.claims.take(KEY)
    assert other.claims.is_held(KEY)
    store.claims.release(KEY)
    assert not other.claims.is_held(KEY)
    assert other.claims.take(KEY)


def test_taking_a_claim_twice_is_taking_it_once(store: Store) -> None:
    assert store.claims.take(KEY)
    assert store.claims.take(KEY)


def test_a_file_system_without_links_has_claims_too(
    store: Store, other: Store, monkeypatch: pytest.MonkeyPatch
) -> None:
    def refuse(source: Path, target: Path) -> None:
        raise OSError(errno.ENOTSUP, "Operation not supported", str(source), None, str(target))

    monkeypatch.setattr(os, "link", refuse)
    assert store.claims.take(KEY)
    assert not other.claims.take(KEY)
    assert everything_below(store.root / "claims") == {KEY}
    store.claims.release(KEY)
    assert other.claims.take(KEY)


def test_only_the_holder_can_release(store: Store, other: Store) -> None:
    assert store.claims.take(KEY)
    other.claims.release(KEY)
    assert store.claims.holder(KEY) == store.writer.token


def test_the_claim_of_a_process_that_is_gone_is_broken_at_once(store: Store) -> None:
    die_with_a_claim = (
        "import os, sys; from pathlib import Path; from traitgraph.runtime.store.store import Store\n"
        "store = Store(Path(sys.argv[1])); assert store.claims.take(sys.argv[2]); os.kill(os.getpid(), 9)"
    )
    ended = subprocess.run([sys.executable, "-c", die_with_a_claim, str(store.root), KEY])
    assert ended.returncode == -9
    assert store.claims.holder(KEY) is not None
    assert store.claims.take(KEY)


def test_the_claim_of_a_writer_that_left_is_broken(store: Store) -> None:
    claim_of(store, "fedcba9876543210")
    assert store.claims.take(KEY)


def test_a_silent_writer_of_another_machine_is_dead_after_it_was_watched_long_enough(
    tmp_path: Path, clock: Clock
) -> None:
    with Store(tmp_path, dead_after_seconds=2) as store:
        claim_of(store, sign_of_another_machine(store))
        assert not store.claims.take(KEY)
        clock.now = 1.9
        assert not store.claims.take(KEY)
        clock.now = 2.1
        assert store.claims.take(KEY)


@pytest.mark.parametrize("skew", [-1e6, 1e6], ids=["clock behind", "clock ahead"])
def test_a_beating_writer_with_a_wrong_clock_is_alive(tmp_path: Path, clock: Clock, skew: float) -> None:
    with Store(tmp_path, dead_after_seconds=2) as store:
        token = sign_of_another_machine(store)
        claim_of(store, token)
        for count in range(6):
            sign_of_another_machine(store, token, count)
            os.utime(store.root / "writers" / token, (time.time() + skew, time.time() + skew))
            assert not store.claims.take(KEY)
            clock.now += 0.8


def test_a_writer_beats(tmp_path: Path) -> None:
    with Store(tmp_path, beat_seconds=0.02) as store:
        sign = tmp_path / "writers" / store.writer.token
        first = sign.read_bytes()
        deadline = time.monotonic() + 60
        while sign.read_bytes() == first:
            assert time.monotonic() < deadline
            time.sleep(0.01)
        assert len(sign.read_bytes()) == len(first)


def test_a_closed_store_leaves_no_sign_of_life(store: Store) -> None:
    put(store, row())
    store.close()
    assert everything_below(store.root / "writers") == set()


def test_looking_at_claims_writes_nothing(store: Store) -> None:
    assert not store.claims.is_held(KEY)
    claim_of(store, sign_of_another_machine(store))
    before = everything_below(store.root)
    with Store(store.root) as looking:
        assert looking.claims.is_held(KEY)
        assert looking.claims.holder(KEY)
    assert everything_below(store.root) == before


def test_a_token_is_no_path(store: Store, tmp_path: Path) -> None:
    (tmp_path / "precious").write_text("keep")
    claim_of(store, "../../precious")
    assert store.claims.take(KEY)
    assert (tmp_path / "precious").exists()


def test_leftovers_of_the_dead_go_and_those_of_the_living_stay(store: Store, other: Store) -> None:
    with other.publish(row()) as out:
        (out / "result.txt").write_text("in the making")
        dead = store.root / "tmp" / "fedcba9876543210-0-vector"
        dead.mkdir()
        (dead / "half").write_text("x")
        claim_of(store, "fedcba9876543210")
        assert store.collect_leftovers() == 1
        assert not dead.exists()
        assert out.is_dir()
        assert store.claims.holder(KEY) is None
    assert store.has("vector", KEY)


def test_leftovers_of_another_machine_go_after_it_was_silent_long_enough(tmp_path: Path, clock: Clock) -> None:
    with Store(tmp_path, dead_after_seconds=2) as store:
        token = sign_of_another_machine(store)
        (tmp_path / "tmp" / f"{token}-0-vector").mkdir(parents=True)
        assert store.collect_leftovers() == 0
        clock.now = 2.1
        assert store.collect_leftovers() == 1
        assert everything_below(tmp_path / "writers") == set()


def test_a_reused_process_id_is_not_taken_for_the_writer(store: Store) -> None:
    sign = json.loads((store.root / "writers" / store.writer.token).read_text())
    (store.root / "writers" / "00000000deadbeef").write_text(json.dumps({**sign, "started": "1"}))
    assert Watch(store.root / "writers").is_dead("00000000deadbeef")
    assert not Watch(store.root / "writers").is_dead(store.writer.token)


def test_many_takers_of_a_dead_claim_are_one_winner(store: Store) -> None:
    takers = [Store(store.root) for _ in range(8)]
    try:
        claim_of(store, "fedcba9876543210")
        assert sum(taker.claims.take(KEY) for taker in takers) == 1
    finally:
        for taker in takers:
            taker.close()
