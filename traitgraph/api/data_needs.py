"""Which rows the jobs of a stage read, and what must go well with them, by the jobs' own readers."""

from __future__ import annotations

from collections.abc import Callable, Collection, Iterator, Mapping, Sequence
from functools import partial
from types import MappingProxyType
from typing import Any, Literal, NamedTuple

from traitgraph.compiler.ir.ir import Stage
from traitgraph.runtime.assessment.judged.interviews import meanings_of
from traitgraph.runtime.data.dialogues import (
    Dialogue,
    RowReader,
    contrasting_pairs,
    differing_rows,
    joint_rows,
    read_asked,
    read_dialogues,
    read_questions,
    read_scenarios,
    reply_pairs,
    spread_rows,
    training_rows,
    trait_prompts,
)
from traitgraph.runtime.data.rows import DialogueError
from traitgraph.runtime.models.chat import replies_to_show
from traitgraph.runtime.training.rows import ASKED, hold_back
from traitgraph.specs.jobs.refs import ResolvedBenchmark
from traitgraph.specs.study.training import DpoTraining, Validation
from traitgraph.specs.study.vocabulary import BIG_FIVE, Vocabulary

Check = Callable[[], object]
"""Something that raises DialogueError for rows that lack what a job needs."""


class Need(NamedTuple):
    """Rows that jobs read: where they lie, who reads them, and what must go well with them."""

    data: object
    reader: RowReader[Any]
    checks: Callable[[list[Any]], list[Check]]
    split: Literal["train", "heldout", ""] = ""
    """Which of their splits the jobs learn from, or are measured with; ''; any."""
    traits: Collection[str] = ()
    """Traits whose rows they are; none: of all."""
    input: str = "data"
    """The input that has them where other jobs write them."""
    writer: Mapping[str, Any] = MappingProxyType({})
    """Of scenes: the parameters of the jobs that write to them."""


def needs_of(stage: Stage) -> Iterator[Need]:
    """The rows that the jobs of a stage read, with what must go well with them."""
    template: Any = stage.template
    match stage.kind:
        case "train" | "train_joint":
            traits = tuple(filter(None, _values(stage, "trait"))) or template.get("traits") or BIG_FIVE.whole_traits
            yield Need(template["data"], read_dialogues, partial(_trained, stage), "train", traits)
        case "activations":
            traits = _values(stage, "trait")
            differ = _for_each(traits, differing_rows, template["read_out"], levels_of(template["data"]).ends)
            yield Need(template["data"], read_dialogues, differ, "train", traits)
        case "neurons":
            traits = _values(stage, "trait")
            yield Need(template["data"], read_asked, _for_each(traits, trait_prompts), "train", traits)
        case "generate":
            some = partial(_some, "scenarios")
            yield Need(template["scenarios"], read_scenarios, some, "train", writer=template)
        case "assess":
            yield from _of_benchmark(template["benchmark"])
            for prompt in _values(stage, "prompt"):
                if prompt and prompt.examples:
                    wanted = prompt.examples
                    checks = _for_each((wanted,), replies_to_show)
                    yield Need(wanted.data, read_dialogues, checks, "train", (wanted.trait,), input="examples")


def _of_benchmark(benchmark: ResolvedBenchmark) -> Iterator[Need]:
    match benchmark.kind:
        case "reply_contrast":
            pairs = _for_each(benchmark.traits, contrasting_pairs, levels_of(benchmark.data).ends)
            yield Need(benchmark.data, read_dialogues, pairs, "heldout", benchmark.traits)
        case "layer_similarity":
            yield Need(benchmark.data, read_dialogues, lambda rows: [partial(spread_rows, rows, 1)], "heldout")
        case "open_questions":
            rated = _for_each((benchmark.meanings,), meanings_of)
            yield Need(benchmark.questions, read_questions, rated, "heldout")


def _for_each(
    values: Collection[Any], reader: Callable[..., object], *more: object
) -> Callable[[list[Any]], list[Check]]:
    """A check for each value: that the jobs' own reader takes the rows for it."""
    return lambda rows: [partial(reader, rows, value, *more) for value in values]


def _trained(stage: Stage, rows: list[Dialogue]) -> list[Check]:
    template: Any = stage.template
    training, scale = template["training"], levels_of(template["data"])
    there = template.get("traits") or BIG_FIVE.in_order({row.trait for row in rows if row.split == "train"})
    models = [[trait] if trait else there for trait in _values(stage, "trait") or (None,)]  # None: one for all traits
    read: list[Callable[[], Sequence[Any]]]
    if isinstance(training, DpoTraining):
        read = [
            partial(reply_pairs, rows, trait, "train", scale.in_descent(level, opposite))
            for traits in models
            for trait in traits
            for level in _values(stage, "level") or tuple(scale.levels)
            for opposite in scale.opposites(level)
        ]
    elif stage.kind == "train_joint":
        read = [partial(joint_rows, rows, traits, tuple(scale.levels)) for traits in models]
    else:
        conditions: Any = dict.fromkeys(zip(stage.table["trait"], stage.table["level"], strict=True))
        read = [partial(training_rows, rows, *condition) for condition in conditions]
    return [partial(_held_back, each, training.validation, _values(stage, "seed")) for each in read]


def levels_of(data: Any) -> Vocabulary:
    """The levels of the rows of a data source."""
    return Vocabulary.of_levels(data.levels)


def _held_back(read: Callable[[], Sequence[Any]], validation: Validation | None, seeds: Sequence[int]) -> None:
    """Read the rows of a training, and hold some back where it asks for that."""
    rows = [{ASKED: str(row.prompt)} for row in read()]
    if validation:
        for seed in seeds:
            hold_back(rows, validation.share, seed)


def _some(what: str, rows: list[Any]) -> list[Check]:
    def check() -> None:
        if not rows:
            raise DialogueError(f"the {what} have no rows")

    return [check]


def _values(stage: Stage, name: str) -> tuple[Any, ...]:
    """The distinct values of a row field; none where the stage has no such field."""
    if name not in stage.table:
        return ()
    column = stage.table[name]
    return tuple(column.values[code] for code in dict.fromkeys(column.codes))
