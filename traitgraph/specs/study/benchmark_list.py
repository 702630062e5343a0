"""The list under `benchmarks:`. An entry is a mapping with `kind`, or a name.

A name is a kind that needs no parameters, a questionnaire of the library, a task of lm-eval, or a preset (group
`benchmark`); as `kind` of a mapping it is changed by what stands beside it: `{kind: mini-ipip, mode: generate}`.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Annotated, Any

from pydantic_core import core_schema

from traitgraph.specs.fields.choice import Choice
from traitgraph.specs.fields.context import Preset, ReadContext, context_of
from traitgraph.specs.fields.pydantic_errors import each_read, fault, validated

from .analyses import ANALYSES
from .benchmarks import BENCHMARKS, LM_EVAL_TASKS, Benchmark, questionnaire_names, questionnaire_path

PROTECTED = ("bfi", "bfi-44", "bfi44", "bfi-2", "bfi-10", "neo-pi-r", "neo-pi-3", "neo-ffi", "neo-ffi-3")
"""Questionnaires of the Big Five that people ask for and that we may not ship."""


class BenchmarkList(Choice):
    """Annotation: one benchmark or a list of them, each with a name of its own."""

    mark = "x-benchmarks"

    def read(self, value: object, info: core_schema.ValidationInfo) -> tuple[Benchmark, ...]:
        """Every benchmark of a list. Raises pydantic's errors, those of all entries together."""
        items = value if isinstance(value, list | tuple) else (value,)
        context, seen = context_of(info), set[str]()

        def read(item: object) -> Benchmark:
            one = self._read_one(item, context)
            if one.name in seen:
                raise fault("benchmark_twice", value=one.name)
            seen.add(one.name)
            return one

        return tuple(each_read(items, read))

    def _read_one(self, value: object, context: ReadContext) -> Benchmark:
        if isinstance(value, Benchmark):
            return value
        if isinstance(value, str):
            value = {"kind": value}
        if not isinstance(value, Mapping):
            raise fault("choice_type", **self.about(value))
        name = value.get("kind")
        changes = {key: item for key, item in value.items() if key != "kind"}
        if not isinstance(name, str) or name in self.registry:
            return self._validated(value, context)
        if preset := context.preset("benchmark", name):
            return self._of_preset(preset, changes, context)
        return self._validated({**(standing_for(name) or {"kind": name}), **changes}, context)

    def _of_preset(self, preset: Preset, changes: Mapping[str, object], context: ReadContext) -> Benchmark:
        value = {"name": preset.name, **preset.data, **changes}
        return context.reading(preset, lambda _: self._validated(value, context), changes)

    def _validated(self, value: Mapping[str, object], context: ReadContext) -> Benchmark:
        model = self.model_of(value)
        assert issubclass(model, Benchmark), "the registry holds benchmarks"
        return validated(model, value, context).settled(context.folder)

    def about(self, value: object) -> dict[str, Any]:
        """What a message may mention; names are kinds, questionnaires and tasks."""
        about = super().about(value)
        names = (*about["names"], *questionnaire_names(), *LM_EVAL_TASKS)
        return {**about, "names": names, "instead": _instead(about["value"])}


def _instead(name: str) -> str | None:
    """What to write for a name that is known, and is no benchmark's."""
    if name in ANALYSES.names():
        return f"it is an analysis: `analyses: {name}`"
    if name.lower().replace("_", "-") in PROTECTED:
        return (
            "its wording is protected and does not come with us: put its items into a file (docs/data.md), and write\n"
            f"{{kind: questionnaire, name: {name}, items: FILE}}"
        )
    return None


def standing_for(name: str) -> dict[str, object] | None:
    """The mapping that the name of a questionnaire or of a well-known task stands for."""
    if questionnaire_path(name):
        return {"kind": "questionnaire", "name": name, "items": name}
    return {"kind": "lm_eval", "task": name} if name in LM_EVAL_TASKS else None


Benchmarks = Annotated[tuple[Benchmark, ...], BenchmarkList(BENCHMARKS)]
"""A list of benchmarks, or one."""
