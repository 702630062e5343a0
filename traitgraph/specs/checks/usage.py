"""Rules about whole arms: every key it needs is there, and every key it has is used by something.

A key is used by the method, or by a benchmark or analysis that leaves it open (the held-out measure takes the arm's
data). A key of the study is used if some arm uses it and takes its value, or a part of it, from the study.
"""

from __future__ import annotations

import shlex
from collections.abc import Iterator, Mapping, Sequence

from traitgraph.specs.composition.arms import ARM_KEYS, ArmText
from traitgraph.specs.source.diagnostics import OVERRIDE, Diagnostic, Span, error, near_names
from traitgraph.specs.source.positions import Document, OverrideLayer, Path, dotted
from traitgraph.specs.study.analyses import Analysis
from traitgraph.specs.study.benchmarks import Benchmark
from traitgraph.specs.study.methods import METHODS
from traitgraph.specs.study.prompts import Prompt
from traitgraph.specs.study.study import Arm

Read = tuple[ArmText, Arm]
ALWAYS = frozenset({"name", "method", "model", "vocabulary", "contexts", "benchmarks", "analyses", "zip"})
NEEDED = ("model", "benchmarks")
SHOWN_ARMS = 4

UNUSED: dict[str, object] = {
    "traits": (), "levels": (), "data": (), "train": None, "merge": (), "alpha": (), "gamma": (), "onto": None,
    "prompt": None, "seeds": (), "keep": "recipe",
}  # fmt: skip
"""What an arm holds under a key that its method does not use."""


def check_use(
    data: Mapping[str, object], texts: Sequence[ArmText], read: Sequence[Read], document: Document
) -> list[Diagnostic]:
    """Missing and useless keys of every arm whose method could be read, and useless keys of the study."""
    found: list[Diagnostic] = []
    for text, arm in read:
        own = text.own if text.prefix else frozenset(text.values)
        for key in sorted((own & frozenset(ARM_KEYS)) - used_by(arm, text.faulty)):
            why = ": no benchmark here draws answers" if key == "sampling" else f" on method `{arm.method.kind}`"
            found.append(_no_effect(f"`{key}` has no effect{why}", (*text.prefix, key), document))
        found += _missing(text, arm, document)
    arms = data.get("arms")
    if isinstance(arms, Mapping) and arms and len(read) == len(texts) == len(arms):
        found += _useless_for_all(data, read, document)
    if len(read) == len(texts):
        found += _useless_length(read, document)
    return found


def used_by(arm: Arm, faulty: set[str]) -> frozenset[str]:
    """The keys that change something in this arm; a list that could not be read may use anything that lists can."""
    keys = ALWAYS | arm.method.uses
    if arm.prompt and "prompt" in arm.method.uses:
        keys |= arm.prompt.uses
    for taker in takers(arm):
        keys |= set(open_fields(taker))
    if "benchmarks" in faulty or any(benchmark.draws for benchmark in arm.benchmarks):
        keys |= {"sampling"}
    if {"benchmarks", "analyses"} & faulty:
        keys |= {"traits", "data"}
    return keys


def takers(arm: Arm) -> tuple[Benchmark | Analysis, ...]:
    """What takes values of the arm where it leaves a field open."""
    return (*arm.benchmarks, *arm.analyses)


def open_fields(taker: Benchmark | Analysis) -> tuple[str, ...]:
    """The fields that the arm fills."""
    return tuple(key for key in taker.fills if not getattr(taker, key))


def _no_effect(what: str, path: Path, document: Document) -> Diagnostic:
    """A key that nothing uses, with the methods that it is for."""
    key = str(path[-1])
    methods = [name for name, method in METHODS.items() if key in method.uses]
    hint = f"`{key}` is for: {', '.join(methods)}" if methods else None
    return document.error("TG120", what, path, hint, at_key=True)


def _useless_for_all(data: Mapping[str, object], read: Sequence[Read], document: Document) -> Iterator[Diagnostic]:
    for key in data:
        if key not in ARM_KEYS:
            continue
        users = [text for text, arm in read if key in used_by(arm, text.faulty)]
        if not users:
            what = "no benchmark of any arm draws answers" if key == "sampling" else "no arm uses it"
            yield _no_effect(f"`{key}` has no effect: {what}", (key,), document)
        elif key not in document.referred:
            yield from _overridden(key, data[key], users, document)


def _useless_length(read: Sequence[Read], document: Document) -> Iterator[Diagnostic]:
    """A length of answers, written in the spec or the call, where each benchmark that takes it writes none."""
    used: dict[Path, bool] = {}
    for text, arm in read:
        sampling = text.values.get("sampling")
        if isinstance(sampling, Mapping) and "max_new_tokens" in sampling and "sampling" in used_by(arm, text.faulty):
            writes = any(each.draws and each.longest_answer != 0 for each in arm.benchmarks)
            place = text.place(("sampling", "max_new_tokens"))
            used[place] = used.get(place, False) or writes or bool({"benchmarks", "sampling"} & text.faulty)
    for place in (place for place, is_used in used.items() if not is_used):
        span = document.key_span(place)
        if span and span.file in (OVERRIDE, str(document.file)):  # a preset serves other studies too
            what = f"`{dotted(place)}` has no effect: no benchmark here writes an answer"
            hint = "delete it; `mode: choice` compares the letters of options"
            yield document.error("TG120", what, place, hint, at_key=True)


def _overridden(key: str, value: object, users: Sequence[ArmText], document: Document) -> Iterator[Diagnostic]:
    """A key of the study, or one of the call below it, in whose place every arm that uses it has its own."""
    if not any(text.takes((key,), value) for text in users):
        yield _in_no_arm((key,), document.key_span((key,)), users)
        return
    typed: dict[Span, list[Path]] = {}
    for layer in document.layers:
        if isinstance(layer, OverrideLayer) and layer.path[0] == key:
            typed.setdefault(layer.key, []).append(layer.path)
    for span, paths in typed.items():
        if not any(text.takes(path, None) for text in users for path in paths):
            yield _in_no_arm(paths[0], span, users)


def _in_no_arm(path: Path, span: Span | None, users: Sequence[ArmText]) -> Diagnostic:
    more = f" and {len(users) - SHOWN_ARMS} more" if len(users) > SHOWN_ARMS else ""
    names = [text.name for text in users[:SHOWN_ARMS]]
    what = f"`{dotted(path)}` has no effect: every arm that uses it gives its own ({', '.join(names)}{more})"
    hint = "delete it, or let an arm take it"
    if span and span.file == OVERRIDE:
        hint = "give: " + shlex.join(f"arms.{name}.{span.text.lstrip('+')}" for name in names)
    return error("TG120", what, span, dotted(path), hint)


def _missing(text: ArmText, arm: Arm, document: Document) -> Iterator[Diagnostic]:
    have = {key for key, value in text.values.items() if value is not None} | text.faulty | meant_keys(text)
    kind = f"prompt, style {arm.method.style}" if isinstance(arm.method, Prompt) else arm.method.kind
    who = [("", NEEDED), (f": method `{kind}` needs it", arm.method.needs)]
    if arm.prompt and "prompt" in arm.method.uses:
        who.append((f": the prompt style `{arm.prompt.style}` needs it", arm.prompt.needs))
    who += [(f": `{getattr(taker, 'name', taker.kind)}` needs it", open_fields(taker)) for taker in takers(arm)]
    wanted = {key: reason for reason, keys in reversed(who) for key in keys}  # the first reason is told
    for key in dict.fromkeys(key for _, keys in who for key in keys):
        if key not in have:
            span = document.key_span(text.prefix) if text.prefix else document.value_span(())
            what, hint = f"`{key}` is missing{wanted[key]}", f"`{key}`: {Arm.model_fields[key].description}"
            yield error("TG102", what, span, dotted((*text.prefix, key)), hint)


def meant_keys(text: ArmText) -> set[str]:
    """The keys that unknown keys most likely stand for: they are then not missing as well."""
    unknown = [key for key in text.values if key not in ARM_KEYS]
    return {near for key in unknown for near in near_names(key, ARM_KEYS, 1)}
