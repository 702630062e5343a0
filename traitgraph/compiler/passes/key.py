"""Give every job its key: equal work has an equal key on every machine, in every study.

What goes into a job key, and nothing else:
1. the scheme (`hashing.SCHEME`) and the tag "job"
2. the kind of job and the version of that kind
3. the digest of the template: every parameter of the kind that is not a row field, without the absent ones
4. the row: the kind's row fields of this job, without the absent ones
5. for each input, by name: its name, how many keys, and the keys (sorted and each once where order says nothing)

What stays out: study, arm and benchmark names, labels, order of axes, paths, resources, the store, the time.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import replace
from hashlib import blake2b

from traitgraph.compiler.ir.context import Context
from traitgraph.compiler.ir.ir import Draft, Input, Stage
from traitgraph.specs.source.hashing import DIGEST_BYTES, SCHEME, encode
from traitgraph.specs.study.job_kinds import kind_of


def key_jobs(draft: Draft, context: Context) -> Draft:
    """Compute the key of every job from its parameters and the keys of its inputs.

    before: train(lr=0.001)[extraversion high] -> vector    after: 6f1c... -> 09ab...
    """
    keys: list[bytes] = []
    for stage in draft.stages:
        keys.extend(stage_keys(stage, keys))
    return replace(draft, keys=keys)


def stage_keys(stage: Stage, keys: Sequence[bytes]) -> Iterator[bytes]:
    """The keys of a stage's rows, 16 bytes each; `keys` holds those of all earlier rows."""
    start = job_state(stage.kind, stage.template)
    inputs = [input_bytes(each, keys, stage.rows) for each in sorted(stage.inputs, key=lambda each: each.name)]
    for row, *rest in zip(row_bytes(stage), *inputs, strict=True):
        state = start.copy()
        state.update(row)
        for piece in rest:
            state.update(piece)
        yield state.digest()


def job_state(kind: str, template: Mapping[str, object]) -> blake2b:
    """A hash that has read everything that the rows of a stage share."""
    known = kind_of(kind)
    shared = {name: value for name, value in template.items() if name not in known.row_fields}
    digest = blake2b(encode(shared), digest_size=DIGEST_BYTES).digest()
    return blake2b(SCHEME + b"\0job\0" + encode(kind) + encode(known.version) + digest, digest_size=DIGEST_BYTES)


def row_bytes(stage: Stage) -> Iterable[bytes]:
    """The canonical bytes of each row's row fields; each combination of values is encoded once."""
    fixed = kind_of(stage.kind).row_fields
    names = sorted(stage.table.columns)
    assert set(names) <= set(fixed), f"{stage.kind} varies by {names}, its keys by {fixed}"
    shared = {name: stage.template[name] for name in fixed if name in stage.template}
    if not names:
        return [encode(shared)] * stage.rows
    columns = [stage.table[name] for name in names]
    known: dict[tuple[int, ...], bytes] = {}

    def encoded(codes: tuple[int, ...]) -> bytes:
        if codes not in known:
            values = (column.values[code] for column, code in zip(columns, codes, strict=True))
            known[codes] = encode({**shared, **dict(zip(names, values, strict=True))})
        return known[codes]

    return map(encoded, zip(*(column.codes for column in columns), strict=True))


def input_bytes(each: Input, keys: Sequence[bytes], rows: int) -> Iterable[bytes]:
    """The canonical bytes of one input down the rows: name, number of keys, keys."""
    if each.unordered:
        return (_named(each.name, sorted({keys[ref] for ref in each.of(row)})) for row in range(rows))
    if each.width == 1:
        head = _head(each.name, 1)
        return (head + keys[ref] for ref in each.refs)
    return (_named(each.name, [keys[ref] for ref in each.of(row)]) for row in range(rows))


def _named(name: str, keys: list[bytes]) -> bytes:
    return _head(name, len(keys)) + b"".join(keys)


def _head(name: str, count: int) -> bytes:
    return encode(name) + b"k" + str(count).encode() + b":"
