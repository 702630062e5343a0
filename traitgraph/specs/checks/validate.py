"""From a document to a study: every fault of the file at once, each with its place.

keys      unknown keys of the study
arms      the study's keys with each arm's own laid over them (`arms.py`), read as one `Arm`
use       needed keys, options that nothing uses (`usage.py`), keys that contradict each other (`consistency.py`)
filters   include, exclude, when (`filters.py`)
defaults  what is left open takes the arm's value, what its method does not use is emptied
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from typing import TypeVar

from pydantic_core import ValidationError

from traitgraph.specs.composition.arms import ARM_KEYS, STUDY_KEYS, ArmText, arm_texts
from traitgraph.specs.composition.compose import compose
from traitgraph.specs.fields.context import ReadContext, key_faults
from traitgraph.specs.fields.pydantic_errors import diagnose, unknown_key, validated
from traitgraph.specs.source.diagnostics import Diagnostic, SpecError, has_errors, in_order
from traitgraph.specs.source.positions import Document, dotted
from traitgraph.specs.source.yaml import to_plain
from traitgraph.specs.study.analyses import Analysis
from traitgraph.specs.study.benchmarks import Benchmark
from traitgraph.specs.study.study import HEAD, Arm, Study
from traitgraph.specs.study.traits import PerTrait
from traitgraph.specs.study.vocabulary import BIG_FIVE, Vocabulary

from .consistency import check_ablations, check_arm, check_shared
from .filters import with_filters
from .usage import UNUSED, check_use, meant_keys, open_fields


def load_study(path: Path, overrides: Sequence[str] = ()) -> Study:
    """The study of a spec file with overrides applied. Raises SpecError with all its faults."""
    document, diagnostics = compose(path, overrides)
    if document is None:
        raise SpecError(diagnostics)
    study, found = validate(document)
    if study is None or has_errors(diagnostics):
        raise SpecError([*diagnostics, *found])
    return study.model_copy(update={"overrides": tuple(overrides)}) if overrides else study


def validate(document: Document) -> tuple[Study | None, list[Diagnostic]]:
    """The study that a document means, or None; and every fault and warning in it, by place."""
    data = to_plain(document.data)
    assert isinstance(data, dict), "a document is a mapping"
    context = ReadContext(document.file)
    context.diagnostics += key_faults(document)
    study = _study(data, document, context)
    found = list(in_order(context.diagnostics))
    return (None if has_errors(found) else study), found


def _study(data: dict[str, object], document: Document, context: ReadContext) -> Study | None:
    """The study, as far as it can be read; what is wrong goes to the context's list."""
    found = context.diagnostics
    found += [unknown_key(key, STUDY_KEYS, (key,), document) for key in data if key not in STUDY_KEYS]
    texts = arm_texts(data, document, found)
    both = [(text, arm) for text in texts if (arm := _arm(text, document, context))]
    read = [(text, arm) for text, arm in both if "method" not in text.faulty]
    found += check_use(data, texts, read, document)
    for each in read:
        found += check_arm(each)
    if len(read) == len(texts):
        found += check_shared(read, document)
        found += [] if has_errors(found) else check_ablations(read)
    filled = [(text, fill_defaults(arm, text.name)) for text, arm in both]
    given = with_filters(data, filled, document, context, found) if len(read) == len(texts) else ()
    head = {key: data[key] for key in HEAD if key in data}
    try:
        return validated(Study, {**head, "arms": given, "file": document.file}, context)
    except ValidationError as problems:
        found += diagnose(problems, data, document)
        return None


def _arm(text: ArmText, document: Document, context: ReadContext) -> Arm | None:
    """The arm, or what can be read of it without its faulty keys, so that later rules still see the rest."""
    for key in text.values:
        if key not in ARM_KEYS and key in text.own:
            context.diagnostics.append(unknown_key(key, ARM_KEYS, (*text.prefix, key), document))
    values = {key: value for key, value in text.values.items() if key in ARM_KEYS}
    vocabulary = _vocabulary(text, values, document, context)
    if vocabulary is None:  # its words are not known: what names them is not told as well
        return None
    context, values["vocabulary"] = replace(context, vocabulary=vocabulary), vocabulary
    values.setdefault("levels", "all")
    try:
        return validated(Arm, values, context)
    except ValidationError as problems:
        told = diagnose(problems, values, document, text.place)
        meant = {dotted(text.place((key,))) for key in meant_keys(text)}
        context.diagnostics += [each for each in told if each.code != "TG102" or each.path not in meant]
        text.faulty |= {str(fault["loc"][0]) for fault in problems.errors()}
    sound = {key: value for key, value in values.items() if key not in text.faulty}
    try:
        return validated(Arm, {"method": "direct", **sound}, ReadContext(context.file, vocabulary=context.vocabulary))
    except ValidationError:
        return None


def _vocabulary(
    text: ArmText, values: Mapping[str, object], document: Document, context: ReadContext
) -> Vocabulary | None:
    """The words of an arm, None if they cannot be read; all of the default only where a facet is named: reading takes
    time.
    """
    if "vocabulary" not in values:
        named = values.get("traits")
        words = [word for word in (named if isinstance(named, tuple) else (named,)) if isinstance(word, str)]
        odd = [word for word in words if word not in BIG_FIVE.traits and word != "all"]
        return BIG_FIVE.complete if any(word in BIG_FIVE.complete.traits for word in odd) else BIG_FIVE
    try:
        return validated(Arm, {"method": "direct", "vocabulary": values["vocabulary"]}, context).vocabulary
    except ValidationError as problems:
        context.diagnostics += diagnose(problems, values, document, text.place)
        return None


Taker = TypeVar("Taker", Benchmark, Analysis)


def fill_defaults(arm: Arm, name: str) -> Arm:
    """The arm as the compiler takes it; without a name it is called after its method."""
    used = arm.method.uses | (arm.prompt.uses if arm.prompt else frozenset())
    per_trait = arm.alpha.axes if isinstance(arm.alpha, PerTrait) else {}
    axes = arm.axes()
    return arm.model_copy(
        update={
            **{key: value for key, value in UNUSED.items() if key not in used},
            "name": name or arm.method.kind,
            "benchmarks": tuple(_filled(each, arm) for each in arm.benchmarks),
            "analyses": tuple(
                _filled(each, arm) for each in arm.analyses if arm.method.makes_vectors or not each.of_vectors
            ),
            "zip": tuple(group for group in arm.zip if all(name in axes for name in group)),
            **({"alpha": (), "alpha_of": per_trait} if per_trait else {}),
        }
    )


def _filled(taker: Taker, arm: Arm) -> Taker:
    """Every field that is left open takes the arm's value; of several data sets the first."""
    values = {key: getattr(arm, key) for key in open_fields(taker)}
    return taker.model_copy(
        update={key: value[0] if key == "data" else value for key, value in values.items() if value}
    )
