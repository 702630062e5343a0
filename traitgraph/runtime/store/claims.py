"""Claims: who is making which artifact right now, so that two runs on one store share the work instead of repeating it.

A claim is a file that only one writer can make, with the token of that writer. It is a hint: the rename of the
finished artifact is what decides, so a claim that is lost or broken by mistake costs time and nothing else.
"""

from __future__ import annotations

import contextlib
import os
from collections.abc import Callable
from pathlib import Path

from .durable import make_folder, share_with_group
from .writers import Watch, Writer


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
