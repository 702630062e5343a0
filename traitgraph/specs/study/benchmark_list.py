"""The list under `benchmarks:`. An entry is a mapping with `kind`, or a name.

A name is a kind that needs no parameters, a questionnaire of the library, a task of lm-eval, or a preset (group
`benchmark`); as `kind` of a mapping it is changed by what stands beside it: `{kind: mini-ipip, mode: generate}`.
"""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Annotated, Any

from pydantic_core import core_schema

from traitgraph.specs.fields.choice import Choices
from traitgraph.specs.fields.context import ReadContext, context_of
from traitgraph.specs.fields.pydantic_errors import fault, validated

from .analyses import ANALYSES
from .benchmarks import (
    BENCHMARKS,
    LM_EVAL_TASKS,
    PROTECTED,
    Benchmark,
    questionnaire_names,
    questionnaire_path,
    where_to_put,
)


class BenchmarkList(Choices):
    """Annotation: one benchmark or a list of them, each with a name of its own."""

    twice = "benchmark_twice"

    def told_apart_by(self, one: Benchmark) -> str:
        """The name in results."""
        return one.name

    def read_one(self, value: object, info: core_schema.ValidationInfo) -> Benchmark:
        """The benchmark of a mapping or a name, with a name and absolute paths. Raises pydantic's errors."""
        if isinstance(value, Benchmark):
            return value
        if isinstance(value, str):
            value = {"kind": value}
        if not isinstance(value, Mapping):
            raise fault("choice_type", **self.about(value))
        context, name = context_of(info), value.get("kind")
        changes = {key: item for key, item in value.items() if key != "kind"}
        if not isinstance(name, str) or name in self.registry:
            return self._validated(value, context)
        if preset := context.preset("benchmark", name):
            whole = {"name": preset.name, **preset.data, **changes}
            return context.reading(preset, lambda _: self._validated(whole, context), changes)
        return self._validated({**(standing_for(name, context.folder) or {"kind": name}), **changes}, context)

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
        return where_to_put(name)
    return None


def standing_for(name: str, folder: Path | None = None) -> dict[str, object] | None:
    """The mapping that the name of a questionnaire or of a well-known task stands for; `folder`: that of the spec."""
    if questionnaire_path(name, folder):
        return {"kind": "questionnaire", "name": name, "items": name}
    return {"kind": "lm_eval", "task": name} if name in LM_EVAL_TASKS else None


Benchmarks = Annotated[tuple[Benchmark, ...], BenchmarkList(BENCHMARKS)]
"""A list of benchmarks, or one."""
