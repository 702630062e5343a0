"""A full disk, and a store that two people share."""

from __future__ import annotations

import contextlib
import errno
import os
import subprocess
import sys
import tempfile
from pathlib import Path

import pytest

from traitgraph.runtime.store.durable import write_json
from traitgraph.runtime.store.errors import StoreFullError, is_disk_full
from traitgraph.runtime.store.store import Store
from traitgraph.specs.jobs.params import JobRow

from .rows import everything_below, put, row


def test_a_full_disk_publishes_nothing_and_says_so(small_disk: Path) -> None:
    with Store(small_disk / "store") as store:
        with pytest.raises(StoreFullError, match=r"no room in the store .* for vector big .*nothing was published"):
            put(store, row("big"), {"vector.safetensors": b"\0" * (4 << 20)})
        assert not store.has("vector", row("big").key)
        assert everything_below(store.root / "tmp") == set()
        put(store, row("small"))
        assert store.open("vector", row("small").key)


def publish_while_somebody_fills_the_disk(store: Store, wanted: JobRow, filler: Path) -> None:
    with store.publish(wanted) as out:
        (out / "result.txt").write_text("small")
        with contextlib.suppress(OSError), filler.open("wb", buffering=0) as stream:
            while True:
                stream.write(b"\0" * 4096)


def test_a_disk_that_fills_up_with_the_manifest_publishes_nothing(small_disk: Path) -> None:
    with Store(small_disk / "store") as store:
        assert store.writer
        wanted = row("big", text="x" * 50_000)
        with pytest.raises(StoreFullError):
            publish_while_somebody_fills_the_disk(store, wanted, small_disk / "filler")
        (small_disk / "filler").unlink()
        assert not store.path("vector", wanted.key).exists()
        assert everything_below(store.root / "tmp") == set()


@pytest.mark.parametrize(
    "error",
    [
        OSError(errno.ENOSPC, "full"),
        OSError(errno.EDQUOT, "quota"),
        RuntimeError('IoError(Os { code: 28, kind: StorageFull, message: "No space left on device" })'),
    ],
)
def test_a_full_disk_is_recognised_in_any_library_s_words(error: Exception) -> None:
    wrapped = ValueError("could not save")
    wrapped.__cause__ = error
    assert is_disk_full(wrapped)
    assert not is_disk_full(ValueError("could not save"))


def test_a_json_file_is_replaced_whole_or_not_at_all(tmp_path: Path) -> None:
    write_json(tmp_path / "a.json", {"old": 1})
    with pytest.raises(TypeError):
        write_json(tmp_path / "a.json", {"new": [1] * 10_000 + [object()]})
    assert (tmp_path / "a.json").read_text() == '{"old": 1}'
    assert everything_below(tmp_path) == {"a.json"}


AS_ANOTHER_USER = """
import os, sys, tempfile
from pathlib import Path
sys.path.insert(0, sys.argv[4])
from tests.runtime.store.rows import put, row
from traitgraph.runtime.store.store import Store
with tempfile.TemporaryDirectory() as folder, Store(Path(folder)) as store:
    put(store, row())  # loads every module while this is still allowed
    assert store.claims.take(row().key) and store.open("vector", row().key)
os.setgroups([]); os.setgid(60500); os.setuid(int(sys.argv[2])); os.umask(0o077)
with Store(Path(sys.argv[1])) as store:
    for kind in ("train", "vector"):
        name = sys.argv[3]
        assert store.claims.take(row(name, kind).key)
        put(store, row(name, kind))
        store.claims.release(row(name, kind).key)
    for kind in store.kinds():
        for key in store.keys(kind):
            store.open(kind, key)
    print(len(store.keys("vector")))
"""


@pytest.mark.skipif(os.geteuid() != 0, reason="needs root to become two other users")
def test_two_users_of_a_group_share_a_store_whatever_their_umask() -> None:
    with tempfile.TemporaryDirectory(prefix="traitgraph-shared-") as folder:
        Path(folder).chmod(0o755)
        root = Path(folder) / "store"
        root.mkdir()
        os.chown(root, 60501, 60500)
        root.chmod(0o2770)
        project = str(Path(__file__).parents[3])
        for user, name, seen in ((60501, "a", "1"), (60502, "b", "2"), (60501, "c", "3")):
            command = [sys.executable, "-c", AS_ANOTHER_USER, str(root), str(user), name, project]
            ended = subprocess.run(command, capture_output=True, text=True)
            assert (ended.stdout.strip(), ended.stderr) == (seen, "")


OUT_OF_HANDLES = """
import os, resource, sys
from pathlib import Path
sys.path.insert(0, sys.argv[2])
from tests.runtime.store.rows import put, row
from traitgraph.runtime.store.store import Store
store = Store(Path(sys.argv[1]))
put(store, row()), put(store, row("other")), store.open("vector", row("other").key)  # loads every module
resource.setrlimit(resource.RLIMIT_NOFILE, (len(os.listdir("/proc/self/fd")) - 1,) * 2)
try:
    store.open("vector", row().key)
except OSError as error:
    print(error.strerror)
"""


@pytest.mark.skipif(not Path("/proc/self/fd").exists(), reason="counts the handles of a process in /proc")
def test_what_cannot_be_read_now_is_not_taken_for_damaged(tmp_path: Path) -> None:
    """A process without a free handle stands for every refusal that says nothing of the artifact: it stays."""
    command = [sys.executable, "-c", OUT_OF_HANDLES, str(tmp_path), str(Path(__file__).parents[3])]
    ended = subprocess.run(command, capture_output=True, text=True)
    assert (ended.stdout, ended.stderr) == ("Too many open files\n", "")
    assert [finding.faults for finding in Store(tmp_path).verify()] == [(), ()]
