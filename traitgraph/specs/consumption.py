"""Rules about whole arms: every key it needs is there, and every key it has is used by something.

A key is used by the method, or by a benchmark that leaves it open (the held-out measure takes the arm's data). A key of
the study is used if some arm uses it.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence

from .diagnostics import Diagnostic, error
from .document import Document
from .instruments import Instrument
from .methods import METHODS
from .overlay import STUDY_ONLY, ArmText
from .study import Arm

ALWAYS = frozenset({"name", "method", "model", "benchmarks", *STUDY_ONLY})
NEEDED = ("model", "benchmarks")
UNUSED: dict[str, object] = {
    "traits": (), "levels": (), "data": (), "train": None, "merge": (), "alpha": (), "gamma": (), "seeds": (),
    "keep": "recipe",
}  # fmt: skip
"""What an arm holds under a key that its method does not use."""


def check_use(
    data: Mapping[str, object], texts: Sequence[ArmText], arms: Sequence[Arm | None], document: Document
) -> list[Diagnostic]:
    """Missing and useless keys of every arm that could be read, and useless keys of the study."""
    found: list[Diagnostic] = []
    read = [(text, arm) for text, arm in zip(texts, arms, strict=True) if arm and "method" not in text.faulty]
    for text, arm in read:
        found += _useless(text, arm, document)
        found += _missing(text, arm, document)
        found += _contradictions(text, arm, document)
    if "arms" in data and len(read) == len(texts):
        found += _useless_for_all(data, read, document)
    return found


def used_by(arm: Arm, faulty: set[str]) -> frozenset[str]:
    """The keys that change something in this arm."""
    keys = ALWAYS | arm.method.uses
    for instrument in arm.benchmarks:
        keys |= instrument.uses - _given(instrument)
    if "benchmarks" in faulty or any(instrument.draws for instrument in arm.benchmarks):
        keys |= {"sampling"}
    return keys


def _given(instrument: Instrument) -> set[str]:
    return {key for key in instrument.uses if getattr(instrument, key)}


def _useless(text: ArmText, arm: Arm, document: Document) -> Iterator[Diagnostic]:
    own = text.own if text.prefix else frozenset(text.values)
    for key in sorted((own & frozenset(Arm.model_fields)) - used_by(arm, text.faulty)):
        path = (*text.prefix, key)
        yield error("TG120", _no_effect(key, arm), document.key_span(path), _dotted(path), _who_uses(key))


def _no_effect(key: str, arm: Arm) -> str:
    if key == "sampling":
        return "`sampling` has no effect: no benchmark here draws answers"
    return f"`{key}` has no effect on method `{arm.method.kind}`"


def _who_uses(key: str) -> str | None:
    methods = [name for name, method in METHODS.items() if key in method.uses]
    return f"`{key}` is for: {', '.join(methods)}" if methods else None


def _useless_for_all(
    data: Mapping[str, object], read: Sequence[tuple[ArmText, Arm]], document: Document
) -> Iterator[Diagnostic]:
    used = frozenset().union(*(used_by(arm, text.faulty) for text, arm in read))
    for key in data:
        if key in Arm.model_fields and key not in used:
            what = f"`{key}` has no effect: no arm uses it"
            yield error("TG120", what, document.key_span((key,)), key, _who_uses(key))


def _missing(text: ArmText, arm: Arm, document: Document) -> Iterator[Diagnostic]:
    have = frozenset(text.values) | text.faulty
    for key in (*NEEDED, *(key for key in arm.method.needs if key not in NEEDED)):
        if key not in have:
            reason = "" if key in NEEDED else f": method `{arm.method.kind}` needs it"
            yield _absent(key, reason, text, document)
    for instrument in arm.benchmarks:
        for key in sorted(instrument.uses - _given(instrument) - have - frozenset(arm.method.needs)):
            yield _absent(key, f": benchmark `{instrument.name}` needs it", text, document)


def _absent(key: str, reason: str, text: ArmText, document: Document) -> Diagnostic:
    description = Arm.model_fields[key].description
    span = document.key_span(text.prefix) if text.prefix else document.value_span(())
    return error("TG102", f"`{key}` is missing{reason}", span, _dotted((*text.prefix, key)), f"`{key}`: {description}")


def _contradictions(text: ArmText, arm: Arm, document: Document) -> Iterator[Diagnostic]:
    wanted = arm.method.trains_by
    if wanted and arm.train and arm.train.method != wanted:
        path = text.place(("train", "method"))
        what = f"method `{wanted}` cannot train by `{arm.train.method}`"
        hint = f"give: train: {{method: {wanted}, ...}} in this arm, or another method"
        yield error("TG121", what, document.value_span(path), _dotted(path), hint)


def settle(arm: Arm) -> Arm:
    """The arm with open questions answered: benchmarks filled from it, what its method does not use emptied."""
    unused = {key: value for key, value in UNUSED.items() if key not in arm.method.uses}
    return arm.model_copy(
        update={
            **unused,
            "name": arm.name or arm.method.kind,
            "benchmarks": tuple(_filled(instrument, arm) for instrument in arm.benchmarks),
        }
    )


def _filled(instrument: Instrument, arm: Arm) -> Instrument:
    """Every field that the instrument leaves open takes the arm's value; of several data sets the first."""
    open_keys = instrument.uses - _given(instrument)
    taken = {key: arm.data[0] if key == "data" else getattr(arm, key) for key in open_keys if getattr(arm, key)}
    return instrument.model_copy(update=taken)


def _dotted(path: Sequence[int | str]) -> str:
    return ".".join(map(str, path))
