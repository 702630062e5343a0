"""Values of any model of the language, for hypothesis, drawn from the annotations of its fields, `None` included.

What a model refuses is drawn again, so that every value is one that a plan can hold.
"""

from __future__ import annotations

import types
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from decimal import Decimal
from functools import cache
from typing import Any, Literal, Union, get_args, get_origin

from annotated_types import Ge, Gt, Le, Lt, MinLen
from hypothesis import reject
from hypothesis import strategies as st
from pydantic import JsonValue, ValidationError
from pydantic.fields import FieldInfo

from traitgraph.specs.fields.base import Spec
from traitgraph.specs.fields.choice import Choice, KnownName
from traitgraph.specs.jobs.refs import PLUGIN, FileData, FolderModel, HubData, ResolvedBenchmark, ResolvedJudge
from traitgraph.specs.source.library import DIGEST
from traitgraph.specs.study.analyses import LayerSimilarity
from traitgraph.specs.study.benchmarks import BENCHMARKS, MODES, Measured
from traitgraph.specs.study.forms import Forms
from traitgraph.specs.study.training import OWN_ENGINE

TEXT = st.text(st.characters(codec="utf-8", exclude_characters="{}"), min_size=1, max_size=6)
JSON = st.recursive(
    st.none() | st.booleans() | st.integers(-9, 9) | TEXT,
    lambda inner: st.lists(inner, max_size=2) | st.dictionaries(TEXT, inner, max_size=2),
    max_leaves=4,
)


@dataclass(frozen=True)
class Wanted:
    """A field of a model that is to be seen, with `None` or with a value."""

    model: type[Spec]
    field: str
    none: bool


DIGESTS = st.integers(0, 9).map(lambda number: f"{number:032x}")
DATA = st.builds(FileData, digest=DIGESTS) | st.builds(HubData, id=TEXT, revision=TEXT)
JUDGE = st.builds(ResolvedJudge, kind=st.just("api"), url=TEXT, model=TEXT, temperature=st.just(0.5)) | st.builds(
    ResolvedJudge, kind=st.just("local"), model=st.builds(FolderModel, digest=DIGESTS), temperature=st.just(0.5)
)
ASKED = st.builds(
    Forms, labels=st.just(("digits",)), language=st.none() | st.dictionaries(st.just("de"), DIGESTS, min_size=1)
)
JOB_VALUES: dict[str, st.SearchStrategy[Any]] = {
    **dict.fromkeys(("data", "questions"), DATA), "items": DIGESTS, "lexicon": DIGESTS, "task": TEXT, "judge": JUDGE,
    "meanings": st.none() | st.dictionaries(TEXT, TEXT),
    "definition": st.none() | DIGESTS, "rows": st.integers(1, 9), "mode": st.sampled_from(MODES.names()),
    "forms": st.none() | ASKED, "letters": st.none() | st.just({"H": "honesty"}),
    "follow_ups": st.none() | st.just(["Why?"]),
    "levels": st.none() | st.just({"some": 1}),
    "chat_template": st.booleans(), **dict.fromkeys(("traits", "prompts"), st.lists(TEXT, max_size=2)),
    **dict.fromkeys(("harness", "filters", "shots", "limit", "numbers"), st.none() | st.just(2)),
}  # fmt: skip
PACKAGE = {"benchmark": TEXT, "options": st.dictionaries(TEXT, JSON), "files": st.dictionaries(TEXT, DIGESTS)}
FORMS: dict[str, type[Measured]] = {**dict(BENCHMARKS.items()), "layer_similarity": LayerSimilarity}
BENCHMARK = st.one_of(
    *(
        st.builds(ResolvedBenchmark, kind=st.just(kind), **{name: JOB_VALUES[name] for name in form.in_jobs})
        for kind, form in FORMS.items()
        if kind in BENCHMARKS.builtin or kind == "layer_similarity"
    ),
    st.builds(ResolvedBenchmark, kind=st.just(PLUGIN), **PACKAGE, data=st.none() | DATA, judge=JUDGE),
    st.builds(ResolvedBenchmark, kind=st.just(PLUGIN), **PACKAGE, data=st.none() | DATA),
)
"""What a job carries of a benchmark, of every kind."""


@st.composite
def instances(draw: st.DrawFn, model: type[Spec], wanted: Wanted | None = None) -> Spec:
    """A model with a value for every field, often its default; with something wanted inside where it can be."""
    if model is ResolvedBenchmark:
        return draw(BENCHMARK)  # type: ignore[no-any-return]
    fields = {name: draw(values) for name, values in _fields(model, wanted).items()}
    own, none = (wanted.field, wanted.none) if wanted and wanted.model is model else ("", False)
    if {"epochs", "steps"} <= set(fields):  # `Training` wants exactly one of them
        kept = "epochs" if (own == "epochs") != (own in ("epochs", "steps") and none) else "steps"
        fields |= {"epochs": None, "steps": None, kept: 3}
    try:
        return model.model_validate(fields)
    except ValidationError:
        reject()


@cache
def _fields(model: type[Spec], wanted: Wanted | None) -> dict[str, st.SearchStrategy[Any]]:
    found = {name: _of_field(field, wanted) for name, field in model.model_fields.items()}
    if wanted and wanted.model is model:
        field = model.model_fields[wanted.field]
        given = of(_without_none(field.annotation), tuple(field.metadata))
        found[wanted.field] = st.none() if wanted.none else given
    return found


def _of_field(field: FieldInfo, wanted: Wanted | None) -> st.SearchStrategy[Any]:
    annotation: Any = field.annotation
    values = of(annotation, tuple(field.metadata), wanted)
    if field.is_required() or (wanted and wanted.model in models_in(annotation)):
        return values
    return st.just(field.get_default(call_default_factory=True)) | values


def _without_none(annotation: Any) -> Any:
    members = [each for each in get_args(annotation) if each is not types.NoneType]
    return Union[tuple(members)] if types.NoneType in get_args(annotation) else annotation  # noqa: UP007  # not known yet


def of(annotation: Any, metadata: tuple[Any, ...] = (), wanted: Wanted | None = None) -> st.SearchStrategy[Any]:
    """Values of an annotation under its metadata."""
    if hasattr(annotation, "__metadata__"):
        told = [each for each in annotation.__metadata__ if not isinstance(each, FieldInfo)]
        told += [inner for each in annotation.__metadata__ if isinstance(each, FieldInfo) for inner in each.metadata]
        return of(annotation.__origin__, (*told, *metadata), wanted)
    if choice := next((each for each in metadata if isinstance(each, Choice)), None):
        models = _leading_to([model for _, model in choice.registry.items()], wanted)
        return st.one_of(*(instances(model, wanted) for model in models))
    if known := next((each for each in metadata if isinstance(each, KnownName)), None):
        return st.sampled_from([name for name in known.names() if name != OWN_ENGINE])
    if annotation == JsonValue:
        return JSON
    origin, inner = get_origin(annotation), get_args(annotation)
    if origin is Literal:
        return st.sampled_from(inner)
    if origin in (Union, types.UnionType):
        return st.one_of(*(of(each, metadata, wanted) for each in _leading_to(inner, wanted)))
    if origin is tuple:
        return st.lists(of(inner[0]), min_size=_of(metadata, MinLen, "min_length", 0), max_size=3).map(tuple)
    if origin is dict:
        return st.dictionaries(of(inner[0]), of(inner[1]), max_size=2)
    return _plain(annotation, metadata, wanted)


def _leading_to(members: Sequence[Any], wanted: Wanted | None) -> Sequence[Any]:
    """The members inside which the wanted field is; all where it is in none."""
    return [each for each in members if wanted and wanted.model in models_in(each)] or members


def _plain(annotation: Any, metadata: tuple[Any, ...], wanted: Wanted | None) -> st.SearchStrategy[Any]:
    if annotation is types.NoneType:
        return st.none()
    if annotation is bool:
        return st.booleans()
    if issubclass(annotation, Spec):
        return instances(annotation, wanted)
    least, most = _of(metadata, Ge, "ge", -9), _of(metadata, Le, "le", 9)
    if annotation is int:
        return st.integers(max(least, _of(metadata, Gt, "gt", -10) + 1), most)
    low, high = max(least, _of(metadata, Gt, "gt", -9)), min(most, _of(metadata, Lt, "lt", 9))
    if annotation in (float, Decimal):
        inside = st.sampled_from([Decimal(each) / 8 for each in range(1, 8)])
        return inside.map(lambda share: annotation(Decimal(low) + share * Decimal(high - low)))
    assert annotation is str, f"no values for {annotation}"
    if any(getattr(each, "pattern", None) == DIGEST for each in metadata):
        return st.integers(0, 9).map(lambda number: f"{number:032x}")
    return TEXT


def _of(metadata: tuple[Any, ...], kind: type, name: str, otherwise: Any) -> Any:
    return next((getattr(each, name) for each in metadata if isinstance(each, kind)), otherwise)


def seen_in(value: object) -> Iterator[Wanted]:
    """What is seen in a value and in every model inside."""
    if isinstance(value, Spec):
        for name, item in value:
            yield Wanted(type(value), name, item is None)
            yield from seen_in(item)


@cache
def models_in(annotation: Any) -> set[type[Spec]]:
    """Every model that a field may hold, by its annotation."""
    found: set[type[Spec]] = set()
    pending = [annotation]
    while pending:
        each = pending.pop()
        if isinstance(each, type) and issubclass(each, Spec) and each not in found:
            found.add(each)
            for field in each.model_fields.values():
                choice = next((told for told in field.metadata if isinstance(told, Choice)), None)
                pending += [model for _, model in choice.registry.items()] if choice else [field.annotation]
        pending += get_args(each)
    return found


def to_be_seen(model: type[Spec]) -> Iterator[Wanted]:
    """Every field of every model inside, with a value and, where it may be, with None."""
    for each in sorted(models_in(model), key=lambda one: one.__name__):
        for name, field in each.model_fields.items():
            yield Wanted(each, name, False)
            if types.NoneType in get_args(field.annotation):
                yield Wanted(each, name, True)
