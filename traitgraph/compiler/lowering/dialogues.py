"""Where dialogue rows come from: a file, the hub, or `generate` jobs with an expert for each trait and level."""

from __future__ import annotations

from array import array
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field

from traitgraph.compiler.ir.builder import Builder, constant_input, prepare
from traitgraph.compiler.ir.ir import Column, Input, Table, row_ids
from traitgraph.compiler.ir.resolve import condition_prompt
from traitgraph.specs.fields.templates import filled
from traitgraph.specs.jobs.refs import DataRef, GeneratedData
from traitgraph.specs.study.data import DataSpec, Expert, GeneratedDataSpec, Generation
from traitgraph.specs.study.study import Arm
from traitgraph.specs.study.vocabulary import BIG_FIVE, Level, Trait

Condition = tuple[Trait, Level]


@dataclass(frozen=True)
class Rows:
    """Dialogue rows as a job names them, and the jobs that make them."""

    data: DataRef
    made: Mapping[Condition, int] = field(default_factory=dict)
    """Trait and level -> row of its `generate` job, in the vocabulary's order; empty for data that are there."""

    def inputs(self, conditions: Iterable[Iterable[Condition]], name: str = "data") -> tuple[Input, ...]:
        """The input of jobs that need the dialogues of these conditions; as many for each job."""
        if not self.made:
            return ()
        wanted = [[self.made[condition] for condition in each if condition in self.made] for each in conditions]
        return (Input(name, row_ids(row for rows in wanted for row in rows), width=len(wanted[0])),)


def repeated(rows: Rows, jobs: int, name: str = "data") -> tuple[Input, ...]:
    """The input of jobs that read the dialogues of every condition."""
    return rows.inputs([rows.made] * jobs, name)


def dialogue_rows(spec: DataSpec, arm: Arm, builder: Builder) -> Rows:
    """The rows of a data set; dialogues that are to be generated get one job for each trait and level of the arm.

    Both levels: held-out pairs and preferences need the other one. What nothing reads is left out later.
    """
    if not isinstance(spec, GeneratedDataSpec):
        return Rows(builder.resolver.data(spec, arm.vocabulary))
    words = arm.vocabulary
    conditions = [(trait, level) for trait in words.in_order(arm.traits) for level in words.levels]
    rows = _generate(spec.generate, conditions, arm, builder)
    return Rows(GeneratedData(levels=words.own_levels), dict(zip(conditions, rows, strict=True)))


def own_traits(arm: Arm) -> tuple[Trait, ...] | None:
    """The traits of an arm as a job over all of them names them; None where they are all of the Big Five."""
    whole = BIG_FIVE.whole_traits
    usual = arm.vocabulary.whole_traits == whole and set(arm.traits) <= set(whole)
    return None if usual else arm.vocabulary.in_order(arm.traits)


def _generate(spec: Generation, conditions: Sequence[Condition], arm: Arm, builder: Builder) -> array[int]:
    model, expert = builder.resolver.model(spec.model), builder.resolver.model(spec.expert.model)
    subtracts = spec.combine == "difference" and spec.anti_expert == "opposite"
    text = spec.expert.instruction
    told = [filled(text, trait, level) for trait, level in conditions]
    others = [filled(text, trait, arm.vocabulary.opposite(level)) if subtracts else None for trait, level in conditions]
    personas = [spec.persona and condition_prompt(spec.persona, *each) for each in conditions]
    columns: dict[str, Sequence[object]] = {
        "trait": [trait for trait, _ in conditions],
        "level": [level for _, level in conditions],
        "instruction": told,
        "opposite": others,
        "persona": personas,
    }
    template = {
        "model": model,
        "expert": expert,
        "scenarios": builder.resolver.data(spec.scenarios),
        "limit": spec.limit,
        "combine": spec.combine,
        "gamma": spec.gamma[0],
        "filter_p": spec.filter_p,
        **{name: getattr(spec.decoding, name) for name in ("temperature", "top_p", "max_new_tokens", "seed")},
    }
    rows = range(len(conditions))
    table = Table({name: Column(tuple(values), row_ids(rows)) for name, values in columns.items()}, len(conditions))
    where = Table({name: table[name] for name in ("trait", "level")}, len(conditions))
    inputs = (
        *constant_input("model", prepare(builder, model), len(rows)),
        *constant_input("expert_model", prepare(builder, expert), len(rows)),
        *_experts(spec, conditions, arm, builder, subtracts),
    )
    return builder.add("generate", template, table, inputs, where=where)


def _experts(
    spec: Generation, conditions: Sequence[Condition], arm: Arm, builder: Builder, subtracts: bool
) -> Iterator[Input]:
    """The trained expert of each condition, and that of the opposite level where it is subtracted."""
    if spec.expert.train is None:
        return
    trained = dict(zip(conditions, _train_experts(spec.expert, conditions, arm, builder), strict=True))
    yield Input("expert", row_ids(trained[condition] for condition in conditions))
    if subtracts:
        yield Input("anti", row_ids(trained[trait, arm.vocabulary.opposite(level)] for trait, level in conditions))


def _train_experts(expert: Expert, conditions: Sequence[Condition], arm: Arm, builder: Builder) -> array[int]:
    assert expert.data is not None, "validation: an expert with `train` has `data`"
    assert expert.train is not None, "only such an expert is trained"
    training = expert.train
    if training.instruction is None:  # an expert is trained on what it will see
        training = training.model_copy(update={"instruction": expert.instruction, "instruction_place": "user"})
    model = builder.resolver.model(expert.model)
    template: dict[str, object] = {
        "model": model,
        "data": builder.resolver.data(expert.data, arm.vocabulary),
        "training": training,
    }
    wanted: list[tuple[Trait | None, Level | None]] = [  # what the expert of each condition is for; None: for all
        {"separate": (trait, level), "trait": (trait, None), "joint": (None, None)}[expert.conditions]
        for trait, level in conditions
    ]
    distinct = list(dict.fromkeys(wanted))
    place = row_ids(range(len(distinct)))
    traits, levels = (Column(tuple(values), place) for values in zip(*distinct, strict=True))
    columns = {"trait": traits, "seed": Column.constant(0, len(distinct))}
    kind = "train_joint"
    if expert.conditions == "separate":
        kind, columns["level"] = "train", levels
    elif expert.conditions == "joint":
        template["traits"] = own_traits(arm)
    shown = {name: column.map(lambda value: value or "") for name, column in (("trait", traits), ("level", levels))}
    inputs = constant_input("model", prepare(builder, model), len(distinct))
    where = Table(shown, len(distinct))
    rows = builder.add(kind, template, Table(columns, len(distinct)), inputs, where=where)
    return row_ids(rows[distinct.index(each)] for each in wanted)
