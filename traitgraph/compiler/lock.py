"""What a plan rests on: models, data and files by revision or content, and every version that makes a difference."""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping

from pydantic import BaseModel

from traitgraph import __version__
from traitgraph.specs.identity import SCHEME, digest

from .changes import field_changes
from .key import KINDS
from .plain import plain
from .plan import Plan

_COMMIT = re.compile("[0-9a-f]{40}")


def lock_document(plan: Plan, libraries: Mapping[str, str]) -> dict[str, object]:
    """The lock as plain data, in an order that does not change: equal plans give equal bytes.

    `libraries` are the versions of what runs the jobs, as the caller finds them installed.
    """
    sources = sorted({str(sorted(source.items())): source for source in _sources(plan)}.items())
    kinds = sorted({stage.kind for stage in plan.draft.stages})
    return {
        "format": "traitgraph lock 1",
        "study": plan.study,
        "program": {"traitgraph": __version__, "identities": SCHEME.decode()},
        "kinds": {kind: KINDS[kind].version for kind in kinds},
        "libraries": dict(sorted(libraries.items())),
        "sources": [source for _, source in sources],
        "files": dict(sorted(plan.draft.locations.items())),
        "jobs": {"count": plan.draft.rows, "digest": digest("jobs", sorted(key.hex() for key in plan.draft.keys))},
    }


def _sources(plan: Plan) -> Iterator[dict[str, object]]:
    """Models and data of all stages; what a name alone points at is marked as not pinned."""
    for stage in plan.draft.stages:
        for value in (
            *stage.template.values(),
            *(each for column in stage.table.columns.values() for each in column.values),
        ):
            yield from _sources_in(value)


def _sources_in(value: object) -> Iterator[dict[str, object]]:
    if not isinstance(value, BaseModel):
        return
    names = type(value).model_fields
    if "revision" in names or ("digest" in names and "kind" in names):
        found = plain(value)
        assert isinstance(found, dict), "a model is a mapping"
        revision = found.get("revision")
        yield {**found, "pinned": revision is None or bool(_COMMIT.fullmatch(str(revision)))}
        return
    for _, item in value:
        yield from _sources_in(item)


def unpinned(lock: Mapping[str, object]) -> list[str]:
    """Names of the sources that may change under the same name: 'owner/model at main'."""
    sources = lock["sources"]
    assert isinstance(sources, list), "a lock lists its sources"
    return sorted(f"{source['id']} at {source['revision']}" for source in sources if not source["pinned"])


def lock_differences(old: Mapping[str, object], new: Mapping[str, object]) -> list[str]:
    """What differs between two locks, one sentence each; where a file lies on a machine makes no difference."""

    def facts(lock: Mapping[str, object]) -> dict[str, object]:
        files = lock.get("files")
        contents = sorted(files) if isinstance(files, Mapping) else []
        return {**lock, "files": contents}

    return [change.text() for change in field_changes(facts(old), facts(new))]
