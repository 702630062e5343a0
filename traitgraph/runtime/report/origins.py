"""What results rest on, from the manifests in the store: when, on which machines, which models, files and seeds."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from datetime import datetime

from ..artifacts import Manifest

TIME = "%Y-%m-%d %H:%M"


def origins(manifests: Sequence[Manifest], names: Mapping[str, str]) -> dict[str, str]:
    """Name -> value of each fact; `names` are those of the files behind digests, where they are known."""
    refs = [ref for manifest in manifests for ref in _refs(manifest.row.params, names)]
    facts = {
        "made": _when(manifests),
        "machine": _by_kind((each.machine, each.row.kind) for each in manifests if each.machine),
        "model": _listed(text for is_model, text in refs if is_model),
        "files and data sets": _listed(text for is_model, text in refs if not is_model),
        "seeds": _by_kind(
            (f"{seed}", manifest.row.kind) for manifest in manifests for seed in _seeds(manifest.row.params)
        ),
    }
    return {name: value for name, value in facts.items() if value}


def _when(manifests: Sequence[Manifest]) -> str:
    """The day and time of the first and of the last job."""
    times = sorted(manifest.made_at for manifest in manifests)
    if not times:
        return ""
    first, last = (datetime.fromisoformat(time).strftime(TIME) for time in (times[0], times[-1]))
    return f"{first} UTC" if first == last else f"{first} to {last} UTC"


def _by_kind(pairs: Iterable[tuple[str, str]]) -> str:
    """Each value with the kinds of jobs that have it: 'GPU: NVIDIA H200 (train, assess)'."""
    kinds: dict[str, dict[str, None]] = {}
    for value, kind in pairs:
        kinds.setdefault(value, {})[kind] = None
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
        if text := _identity(value, names):
            yield "dtype" in value, f"{text}, {value['dtype']}" if "dtype" in value else text
        else:
            for each in value.values():
                yield from _refs(each, names)


def _identity(ref: Mapping[str, object], names: Mapping[str, str]) -> str:
    if isinstance(digest := ref.get("digest"), str):
        return f"{names.get(digest, '')} {digest}".strip()
    return f"{ref['id']} at revision {ref['revision']}" if {"id", "revision"} <= ref.keys() else ""


def _seeds(value: object) -> Iterator[object]:
    if isinstance(value, Mapping):
        if (seed := value.get("seed")) is not None:
            yield seed
        for each in value.values():
            yield from _seeds(each)
