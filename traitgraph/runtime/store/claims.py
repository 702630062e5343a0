"""Who is alive, and who is making which artifact, so that two runs on one store share the work and do not repeat it.

Every process that writes to a store keeps one file there with a counter that goes up. Whether another process is dead
is judged by watching its counter on our own clock, never by comparing times of two machines: nodes whose clocks
disagree, and file systems with clocks of their own, do no harm. On the same machine a process that is gone is seen at
once.

A claim is a file that only one writer can make, with the token of that writer. All of this is a hint: the rename of the
finished artifact is what decides, so a claim that is lost or broken by mistake costs work done twice, never a wrong
result.
"""

from __future__ import annotations

import contextlib
import functools
import json
import os
import re
import secrets
import socket
import threading
import time
from collections.abc import Callable
from pathlib import Path

from traitgraph.specs.source.hashing import digest

from .durable import make_folder, share_with_group

BEAT_SECONDS = 10.0
DEAD_AFTER_SECONDS = 90.0  # nine missed beats: a stalled network file system is not a death


_TOKEN = re.compile("[0-9a-f]{16}")


class Writer:
    """The sign of life of this process in `folder`, kept up by a background thread until `close`."""

    def __init__(self, folder: Path, root: Path, beat_seconds: float = BEAT_SECONDS) -> None:
        self.token = secrets.token_hex(8)
        self._path = make_folder(folder, root) / self.token
        self._count = 0
        self._beat_seconds = beat_seconds
        self._closed = threading.Event()
        self._path.write_bytes(self._text())
        share_with_group(self._path, root)
        self._thread = threading.Thread(target=self._beat, name="traitgraph-heartbeat", daemon=True)
        self._thread.start()

    def _text(self) -> bytes:
        sign = {
            "machine": machine(),
            "pid": os.getpid(),
            "started": _start_of(os.getpid()),
            "count": f"{self._count:012d}",
        }
        return json.dumps(sign).encode()

    def _beat(self) -> None:
        while not self._closed.wait(self._beat_seconds):
            self._count += 1
            with contextlib.suppress(OSError):  # the next beat may succeed; a lost one only makes us look slow
                # The text never changes its length: a full disk cannot stop it, a reader cannot see a part of it.
                handle = os.open(self._path, os.O_WRONLY | os.O_CREAT, 0o666)
                try:
                    os.pwrite(handle, self._text(), 0)
                finally:
                    os.close(handle)

    def close(self) -> None:
        """Stop the counter and take the file away."""
        self._closed.set()
        self._thread.join()
        self._path.unlink(missing_ok=True)


class Watch:
    """Judges other writers by their counters; remembers what it saw between calls."""

    def __init__(self, folder: Path, dead_after_seconds: float = DEAD_AFTER_SECONDS) -> None:
        self._folder = folder
        self._dead_after = dead_after_seconds
        self._seen: dict[str, tuple[bytes | None, float]] = {}

    def is_dead(self, token: str) -> bool:
        """Whether the writer is known to be gone: file taken away, process gone, or counter still for too long.

        The last takes several calls over `dead_after_seconds`; the first call only starts to watch.
        """
        if not _TOKEN.fullmatch(token):  # nothing that a writer left
            return True
        try:
            text = (self._folder / token).read_bytes()
        except FileNotFoundError:
            return True
        except OSError:  # not ours to read, or a network file system in trouble: watch it
            text = b""
        here = _runs_here(text)
        if here is not None:
            return not here
        now = time.monotonic()
        seen, since = self._seen.get(token, (None, now))
        if text != seen:
            self._seen[token] = (text, now)
            return False
        return now - since > self._dead_after

    def forget(self, token: str) -> None:
        """Remove the file of a dead writer, once what it left is gone."""
        self._seen.pop(token, None)
        with contextlib.suppress(OSError):
            (self._folder / token).unlink()


def _runs_here(text: bytes) -> bool | None:
    """Whether the writer is a running process of this machine; None when that cannot be known."""
    try:
        sign = json.loads(text)
        if sign["machine"] != machine():
            return None
        with contextlib.suppress(PermissionError):  # it runs, as another user
            os.kill(sign["pid"], 0)
    except ProcessLookupError:
        return False
    except (ValueError, KeyError, TypeError):
        return None
    started = _start_of(sign["pid"])
    return None if started is None else bool(started == sign["started"])


@functools.cache
def machine() -> str:
    """A digest that two processes share only if they can see each other's process ids (until the next boot)."""
    try:
        boot = Path("/proc/sys/kernel/random/boot_id").read_text().strip()
        return digest("machine", [boot, str(Path("/proc/self/ns/pid").readlink())])
    except OSError:  # no /proc: one process table per machine
        return digest("machine", [socket.gethostname(), os.uname().version])


def _start_of(pid: int) -> str | None:
    """Start of a process in clock ticks since boot, so that a reused process id is told apart; None without /proc.

    A zombie has ended: its start is given as "ended".
    """
    try:
        fields = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()
    except OSError:
        return None
    return "ended" if fields[0] in "ZX" else fields[19]


class Claims:
    """The claims of one writer in a store's claims folder; `writer` is begun by the first, looking writes nothing."""

    def __init__(self, folder: Path, root: Path, writer: Callable[[], Writer], watch: Watch) -> None:
        self._folder = folder
        self._root = root
        self._writer = writer
        self._watch = watch

    def take(self, key: str) -> bool:
        """Claim a job; False when a living writer has it. Claims of dead writers are broken, by one taker only.

        Call again later to wait: a writer of another machine is judged dead only after it was watched for a while.
        """
        if self._create(key):
            return True
        holder = self.holder(key)
        if holder == self._writer().token:
            return True
        if holder is not None:
            if not self._watch.is_dead(holder):
                return False
            self._break(key, holder)
        return self._create(key)

    def release(self, key: str) -> None:
        """Give a claim back; one that is not ours (any more) is left alone."""
        if self.holder(key) == self._writer().token:
            (self._folder / key).unlink(missing_ok=True)

    def is_held(self, key: str) -> bool:
        """Whether a living writer has the claim."""
        holder = self.holder(key)
        return holder is not None and not self._watch.is_dead(holder)

    def holder(self, key: str) -> str | None:
        """Token of the writer that has the claim; None when nobody has it."""
        try:
            return (self._folder / key).read_text(encoding="ascii", errors="replace")
        except FileNotFoundError:
            return None

    def collect_dead(self) -> int:
        """Break the claims of dead writers; how many went."""
        try:
            keys = [path.name for path in self._folder.iterdir() if not path.name.startswith(".")]
        except FileNotFoundError:
            return 0
        held = {key: holder for key in keys if (holder := self.holder(key)) is not None}
        dead = {key: holder for key, holder in held.items() if self._watch.is_dead(holder)}
        for key, holder in dead.items():
            self._break(key, holder)
        return len(dead)

    def _create(self, key: str) -> bool:
        path = make_folder(self._folder, self._root) / key
        draft = self._aside(key)
        try:
            draft.write_text(self._writer().token, encoding="ascii")
            share_with_group(draft, self._root)
            self._name(draft, path)
        except FileExistsError:
            return False
        finally:
            draft.unlink(missing_ok=True)
        return True

    def _name(self, draft: Path, path: Path) -> None:
        """Give a draft its name unless somebody has it; then raise FileExistsError."""
        try:
            os.link(draft, path)  # unlike exclusive creation: never empty, and atomic on every NFS
        except FileExistsError:
            raise
        except OSError:  # a file system without links: FAT, some network shares and mounted clouds
            with path.open("xb") as stream:
                stream.write(draft.read_bytes())

    def _aside(self, key: str) -> Path:
        return self._folder / f".{key}.{self._writer().token}"

    def _break(self, key: str, dead: str) -> None:
        """Take a dead writer's claim away. Renaming makes sure that only one of several takers has it in hand, and
        a claim that changed hands meanwhile is put back."""
        path, aside = self._folder / key, self._aside(key)
        with contextlib.suppress(FileNotFoundError):
            path.rename(aside)
            if aside.read_text(encoding="ascii", errors="replace") != dead:
                with contextlib.suppress(OSError):
                    self._name(aside, path)
            aside.unlink()
