"""What a plan rests on: models, data and files by revision or content, and every version that makes a difference."""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator, Mapping
from itertools import chain

from pydantic import BaseModel

from traitgraph import __version__
from traitgraph.compiler.ir.ir import to_json
from traitgraph.compiler.plan import Plan
from traitgraph.specs.jobs.refs import ResolvedBenchmark
from traitgraph.specs.source.hashing import SCHEME, digest
from traitgraph.specs.study.job_kinds import kind_of

from .diff import field_changes

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
        "kinds": {kind: kind_of(kind).version for kind in kinds},
        "libraries": dict(sorted(libraries.items())),
        "sources": [source for _, source in sources],
        "files": dict(sorted(plan.draft.locations.items())),
        "jobs": {"count": plan.draft.rows, "digest": digest("jobs", sorted(key.hex() for key in plan.draft.keys))},
    }


def _sources(plan: Plan) -> Iterator[dict[str, object]]:
    """Models and data of all stages; what a name alone points at is marked as not pinned."""
    for stage in plan.draft.stages:
        columns = (column.values for column in stage.table.columns.values())
        for value in chain(stage.template.values(), *columns):
            yield from _sources_in(value)


def _sources_in(value: object) -> Iterator[dict[str, object]]:
    if not isinstance(value, BaseModel):
        return
    if isinstance(value, ResolvedBenchmark) and value.kind == "lm_eval" and value.definition is None:
        yield {"id": f"data of lm-eval's {value.task}", "revision": "main", "harness": value.harness, "pinned": False}
    names = type(value).model_fields
    if "revision" in names or ("digest" in names and "kind" in names):
        found = to_json(value)
        assert isinstance(found, dict), "a model is a mapping"
        revision = found.get("revision")
        yield {**found, "pinned": revision is None or bool(_COMMIT.fullmatch(str(revision)))}
        return
    for _, item in value:
        yield from _sources_in(item)


def unpinned_sources(plan: Plan) -> list[str]:
    """Names of what a plan reads from a hub as it stands on the day."""
    return sorted({f"{source['id']} at {source['revision']}" for source in _sources(plan) if not source["pinned"]})


def unpinned(lock: Mapping[str, object]) -> list[str]:
    """Names of the sources that may change under the same name: 'owner/model at main'."""
    sources = lock["sources"]
    assert isinstance(sources, list), "a lock lists its sources"
    return sorted(f"{source['id']} at {source['revision']}" for source in sources if not source["pinned"])


def lock_differences(old: Mapping[str, object], new: Mapping[str, object]) -> list[str]:
    """What differs between two locks, a line for each field: 'files.rows.jsonl: 5083b337... -> 9c41d2aa...'.

    Files go by their names: where one lies on a machine makes no difference.
    """
    return [change.text() for change in field_changes(_by_name(old), _by_name(new))]


def _by_name(lock: Mapping[str, object]) -> dict[str, object]:
    """The lock with its files and sources as mappings from their names, so that one is compared with its like."""
    files, sources = lock.get("files"), lock.get("sources")
    names = {key: str(place).rsplit("/", 1)[-1] for key, place in files.items()} if isinstance(files, Mapping) else {}
    known = sources if isinstance(sources, list) else []
    return {
        **lock,
        "files": _each_named((name, content) for content, name in names.items()),
        "sources": _each_named(_named_source(source, names) for source in known if isinstance(source, Mapping)),
    }


def _named_source(source: Mapping[str, object], names: Mapping[str, str]) -> tuple[str, object]:
    """A source by its id on the hub, or by the file that holds it, with the rest of its fields."""
    name = source.get("id") or names.get(str(source.get("digest"))) or source.get("digest")
    return str(name), {key: each for key, each in source.items() if key not in ("kind", "id", "digest")}


def _each_named(pairs: Iterable[tuple[str, object]]) -> dict[str, object]:
    """The pairs as a mapping, in which a name that comes again has a number."""
    named: dict[str, object] = {}
    for name, value in sorted(pairs, key=str):
        again = sum(other == name or other.startswith(f"{name} (") for other in named)
        named[f"{name} ({again + 1})" if again else name] = value
    return named
