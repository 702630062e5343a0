"""How a table of results was made and what it rests on: read from the manifests in the store."""

from __future__ import annotations

import json
from collections import defaultdict
from collections.abc import Iterable, Iterator, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass, field
from datetime import datetime

from traitgraph.runtime.store.artifacts import BadArtifactError, Manifest, read_manifest
from traitgraph.runtime.store.store import Store
from traitgraph.runtime.training.training import RECORD_FILE
from traitgraph.specs.jobs.results import Cell
from traitgraph.specs.study.job_kinds import is_training, place_of

SHOWN = 5
"""Trainings that a sentence names."""


@dataclass(frozen=True)
class Stage:
    """The jobs of one kind behind the results."""

    kind: str
    jobs: int
    seconds: float
    """Wall time of all of them, added up, as recorded when each one ran."""


@dataclass(frozen=True)
class Failure:
    """Jobs that failed for one reason."""

    cause: str
    jobs: Sequence[str]
    """Their labels."""
    log: str = ""
    """Path of a log, where there is one."""


@dataclass(frozen=True)
class About:
    """Everything the report says about how it was made. Reads no clock: equal stores give equal reports."""

    study: str
    spec: str
    """Text of the spec file."""
    description: str = ""
    """What the study says of itself."""
    overrides: Sequence[str] = ()
    """Overrides of the command line, as typed."""
    versions: Mapping[str, str] = field(default_factory=dict)
    """Library -> version; several versions are joined by a comma."""
    seeds: Sequence[str] = ()
    stages: Sequence[Stage] = ()
    facts: Mapping[str, str] = field(default_factory=dict)
    """When, on what and from what: name -> value."""
    failures: Sequence[Failure] = ()
    missing: int = 0
    """Assessments that the study asks for and the store does not hold."""
    references: Mapping[str, str] = field(default_factory=dict)
    """Key of an analysis -> name of the matrix that it measures a distance to."""
    notes: Sequence[str] = ()
    """What a reader must know of the data."""


def describe_results(
    study: str,
    spec: str,
    cells: Sequence[Cell],
    store: Store,
    *,
    description: str = "",
    overrides: Sequence[str] = (),
    names: Mapping[str, str] | None = None,
    failures: Sequence[Failure] = (),
    notes: Sequence[str] = (),
) -> About:
    """How the results of these cells were made: every job behind them that the store holds, by its manifest.

    `names` tells the files behind digests.
    """
    manifests = _ancestors(store, (cell.job for cell in cells))
    versions, seconds = defaultdict[str, set[str]](set), defaultdict[str, list[float]](list)
    for manifest in manifests.values():
        seconds[manifest.row.kind].append(manifest.seconds)
        for library, version in manifest.versions.items():
            versions[library].add(version)
    kinds = sorted(seconds, key=lambda kind: (place_of(kind), kind))
    return About(
        study=study,
        spec=spec,
        description=description,
        overrides=overrides,
        versions={library: ", ".join(sorted(versions[library])) for library in sorted(versions)},
        seeds=sorted({seed for cell in cells if (seed := dict(cell.axes).get("seed"))}),
        stages=[Stage(kind, len(seconds[kind]), round(sum(seconds[kind]), 1)) for kind in kinds],
        facts=_facts(list(manifests.values()), names or {}),
        failures=failures,
        missing=sum(cell.job not in manifests for cell in cells),
        references={key: name for key, each in manifests.items() if (name := _reference(each, names or {}))},
        notes=[*notes, *_cut_rows(manifests.values(), store)],
    )


def _reference(manifest: Manifest, names: Mapping[str, str]) -> str:
    analysis = manifest.row.params.get("analysis")
    digest = str(analysis.get("reference") or "") if isinstance(analysis, Mapping) else ""
    return f"{names.get(digest, '')} {digest[:12]}".strip()


def _ancestors(store: Store, keys: Iterable[str]) -> dict[str, Manifest]:
    """Manifests of these jobs and of all their inputs; what is not in the store is left out."""
    found: dict[str, Manifest] = {}
    pending = list(dict.fromkeys(keys))
    while pending:
        key = pending.pop()
        if key in found or (kind := store.kind_of(key)) is None:
            continue
        with suppress(BadArtifactError, OSError):
            found[key] = read_manifest(store.path(kind, key))
            pending += [each for group in found[key].row.inputs.values() for each in group]
    return found


def _cut_rows(manifests: Iterable[Manifest], store: Store) -> Iterator[str]:
    """A sentence where trainings lost rows, or the ends of rows, at `max_length`."""
    told = []
    for row in (each.row for each in manifests if is_training(each.row.kind)):
        try:
            record = json.loads((store.path(row.kind, row.key) / RECORD_FILE).read_text(encoding="utf-8"))
        except (OSError, ValueError):
            continue
        cut, dropped = record.get("rows_cut", 0), record.get("rows_too_long", 0)
        if cut or dropped:
            all_rows = record["rows"] + dropped
            told.append(f"{row.label}: {cut} of {all_rows} cut, {dropped} left out")
    if told:
        more = f"; and {len(told) - SHOWN} more trainings" if len(told) > SHOWN else ""
        yield f"Training rows longer than max_length: {'; '.join(sorted(told)[:SHOWN])}{more}."


TIME = "%Y-%m-%d %H:%M"


def _facts(manifests: Sequence[Manifest], names: Mapping[str, str]) -> dict[str, str]:
    """Name -> value of each fact; `names` are those of the files behind digests, where they are known."""
    refs = [ref for manifest in manifests for ref in _refs(manifest.row.params, names)]
    days = [datetime.fromisoformat(made_at).strftime(TIME) for made_at in sorted(each.made_at for each in manifests)]
    facts = {
        "made": " to ".join(dict.fromkeys(days[:1] + days[-1:])) + " UTC" if days else "",  # the first and the last job
        "machine": _by_kind((each.machine, each.row.kind) for each in manifests if each.machine),
        "model": _listed(text for is_model, text in refs if is_model),
        "files and data sets": _listed(text for is_model, text in refs if not is_model),
        "seeds": _by_kind(
            (str(seed), manifest.row.kind) for manifest in manifests for seed in _seeds(manifest.row.params)
        ),
    }
    return {name: value for name, value in facts.items() if value}


def _by_kind(pairs: Iterable[tuple[str, str]]) -> str:
    """Each value with the kinds of jobs that have it: 'GPU: NVIDIA H200 (train, assess)'."""
    kinds = defaultdict[str, dict[str, None]](dict)
    for value, kind in pairs:
        kinds[value][kind] = None
    return _listed(f"{value} ({', '.join(kinds[value])})" for value in sorted(kinds))


def _listed(texts: Iterable[str]) -> str:
    return "; ".join(dict.fromkeys(texts))


def _refs(value: object, names: Mapping[str, str]) -> Iterator[tuple[bool, str]]:
    """Models (True) and files or data sets (False) in the parameters of a job, by revision or digest.

    References to models have a number format, those to data have none.
    """
    if isinstance(value, str) and value in names:
        yield False, f"{names[value]} {value}"
    elif isinstance(value, Mapping):
        form = f", {value['dtype']}" if "dtype" in value else ""
        if isinstance(digest := value.get("digest"), str):
            yield bool(form), f"{names.get(digest, '')} {digest}".strip() + form
        elif {"id", "revision"} <= value.keys():
            yield bool(form), f"{value['id']} at revision {value['revision']}{form}"
        else:
            for each in value.values():
                yield from _refs(each, names)


def _seeds(value: object) -> Iterator[object]:
    if isinstance(value, Mapping):
        if (seed := value.get("seed")) is not None:
            yield seed
        for each in value.values():
            yield from _seeds(each)
