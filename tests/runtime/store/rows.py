"""Job rows for tests of the store."""

from __future__ import annotations

from pathlib import Path

from traitgraph.runtime.store.store import Store
from traitgraph.specs.jobs.params import JobRow
from traitgraph.specs.source.hashing import digest


def row(name: str = "a", kind: str = "vector", **params: object) -> JobRow:
    return JobRow(key=digest(kind, name), kind=kind, version=1, params={"name": name, **params}, label=f"{kind} {name}")


def put(store: Store, wanted: JobRow, files: dict[str, bytes] | None = None) -> Path:
    with store.publish(wanted) as out:
        for name, content in ({"result.txt": b"forty-two"} if files is None else files).items():
            (out / name).parent.mkdir(parents=True, exist_ok=True)
            (out / name).write_bytes(content)
    return store.path(wanted.kind, wanted.key)


def everything_below(folder: Path) -> set[str]:
    return {str(path.relative_to(folder)) for path in folder.rglob("*")} if folder.is_dir() else set()
