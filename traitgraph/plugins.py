"""What a package of others may import, and what of it stays where it is: everything else in the house may move.

A plug-in is a module and one entry point of the group `traitgraph.plugins` that names it (or an object with
attributes). Each of its members is registered by what it is, so nothing else is edited:

    a method                  a subclass of `Method` with `lower(group, builder)`
    a prompt style            a subclass of `Prompt` with `system(trait, level, intensity)`
    a merge method            a subclass of `MergeMethod` with `steps()`
    a steering operator       a subclass of `SteeringOperator` with `apply(hidden, direction, coefficient)`
    a questionnaire mode      a `Mode`
    a benchmark               a subclass of `Benchmark` whose `function` measures
    a judge                   a subclass of `JudgeSpec` whose `function` opens it
    an engine                 a subclass of `AnswerEngine` with `write(...)` and `likelihoods(...)`
    an analysis               a subclass of `Analysis` with `compare(scores)`
    a job kind                a `JobKind`

docs/extending/ has a page for each, whose code runs in the tests. Names are loaded when they are asked for: importing
this module loads neither torch nor the compiler.
"""

from __future__ import annotations

from importlib import import_module
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:  # the same for type checkers; a test compares
    from traitgraph.compiler.ir.builder import Builder as Builder
    from traitgraph.compiler.ir.builder import Group as Group
    from traitgraph.compiler.ir.builder import Made as Made
    from traitgraph.compiler.ir.ir import Column as Column
    from traitgraph.compiler.ir.ir import Input as Input
    from traitgraph.compiler.ir.ir import Table as Table
    from traitgraph.compiler.ir.ir import row_ids as row_ids
    from traitgraph.compiler.lowering.dialogues import dialogue_rows as dialogue_rows
    from traitgraph.runtime.assessment.measurement import Measurement as Measurement
    from traitgraph.runtime.assessment.measurement import Metric as Metric
    from traitgraph.runtime.assessment.questionnaires.modes import items_of as items_of
    from traitgraph.runtime.assessment.questionnaires.scores import domain_means as domain_means
    from traitgraph.runtime.data.dialogues import load_dialogues as load_dialogues
    from traitgraph.runtime.jobs.context import JobContext as JobContext
    from traitgraph.runtime.jobs.context import without_torch as without_torch
    from traitgraph.runtime.jobs.locations import verified as verified
    from traitgraph.runtime.merging.methods import Drop as Drop
    from traitgraph.runtime.merging.methods import Election as Election
    from traitgraph.runtime.merging.methods import RankDrop as RankDrop
    from traitgraph.runtime.merging.methods import Steps as Steps
    from traitgraph.runtime.merging.methods import Trim as Trim
    from traitgraph.runtime.merging.methods import TrimBothEnds as TrimBothEnds
    from traitgraph.runtime.models.chat import answer_ids as answer_ids
    from traitgraph.runtime.models.chat import prompt_ids as prompt_ids
    from traitgraph.runtime.models.chat import prompt_message_of as lead_of  # noqa: F401  # the old name
    from traitgraph.runtime.models.chat import prompt_message_of as prompt_message_of
    from traitgraph.runtime.models.generation import Written as Written
    from traitgraph.runtime.models.generation import engine_of as engine_of
    from traitgraph.runtime.models.generation import written as written
    from traitgraph.runtime.models.generation import written_texts as written_texts
    from traitgraph.runtime.models.likelihood import Likelihood as Likelihood
    from traitgraph.runtime.models.likelihood import Request as Request
    from traitgraph.runtime.models.likelihood import continuation_likelihoods as continuation_likelihoods
    from traitgraph.runtime.models.loading import LoadedModel as LoadedModel
    from traitgraph.runtime.models.loading import open_model as open_model
    from traitgraph.runtime.training.checkpoints import resumable as resumable
    from traitgraph.runtime.training.checkpoints import train_with_checkpoints as train_with_checkpoints
    from traitgraph.runtime.training.rows import trainer_rows as trainer_rows
    from traitgraph.runtime.training.training import train as train
    from traitgraph.runtime.training.training import train_on as train_on
    from traitgraph.specs.fields.axes import Axis as Axis
    from traitgraph.specs.jobs.params import AssessParams as AssessParams
    from traitgraph.specs.jobs.params import Prompt as PromptText  # noqa: F401  # for others
    from traitgraph.specs.jobs.params import Steering as Steering
    from traitgraph.specs.jobs.params import TrainParams as TrainParams
    from traitgraph.specs.jobs.refs import ModelRef as ModelRef
    from traitgraph.specs.study.analyses import Analysis as Analysis
    from traitgraph.specs.study.benchmarks import Benchmark as Benchmark
    from traitgraph.specs.study.benchmarks import Mode as Mode
    from traitgraph.specs.study.data import Data as Data
    from traitgraph.specs.study.job_kinds import JobKind as JobKind
    from traitgraph.specs.study.job_kinds import JobParams as JobParams
    from traitgraph.specs.study.judges import JudgeSpec as JudgeSpec
    from traitgraph.specs.study.merge_methods import MergeMethod as MergeMethod
    from traitgraph.specs.study.method import Method as Method
    from traitgraph.specs.study.method import SteeringOperator as SteeringOperator
    from traitgraph.specs.study.prompts import Prompt as Prompt
    from traitgraph.specs.study.training import AnswerEngine as AnswerEngine
    from traitgraph.specs.study.training import DpoTraining as DpoTraining
    from traitgraph.specs.study.training import Sampling as Sampling
    from traitgraph.specs.study.training import SftTraining as SftTraining
    from traitgraph.specs.study.training import Training as Training
    from traitgraph.specs.study.vocabulary import Pole as Pole
    from traitgraph.specs.study.vocabulary import TraitWords as TraitWords
    from traitgraph.specs.study.vocabulary import Vocabulary as Vocabulary

HOMES = {
    "traitgraph.compiler.ir.builder": ("Builder", "Group", "Made"),
    "traitgraph.compiler.ir.ir": ("Column", "Input", "Table", "row_ids"),
    "traitgraph.compiler.lowering.dialogues": ("dialogue_rows",),
    "traitgraph.runtime.assessment.measurement": ("Measurement", "Metric"),
    "traitgraph.runtime.assessment.questionnaires.modes": ("items_of",),
    "traitgraph.runtime.assessment.questionnaires.scores": ("domain_means",),
    "traitgraph.runtime.data.dialogues": ("load_dialogues",),
    "traitgraph.runtime.jobs.context": ("JobContext", "without_torch"),
    "traitgraph.runtime.jobs.locations": ("verified",),
    "traitgraph.runtime.merging.methods": ("Drop", "Election", "RankDrop", "Steps", "Trim", "TrimBothEnds"),
    "traitgraph.runtime.models.chat": ("answer_ids", "lead_of", "prompt_ids", "prompt_message_of"),
    "traitgraph.runtime.models.generation": ("Written", "engine_of", "written", "written_texts"),
    "traitgraph.runtime.models.likelihood": ("Likelihood", "Request", "continuation_likelihoods"),
    "traitgraph.runtime.models.loading": ("LoadedModel", "open_model"),
    "traitgraph.runtime.training.checkpoints": ("resumable", "train_with_checkpoints"),
    "traitgraph.runtime.training.rows": ("trainer_rows",),
    "traitgraph.runtime.training.training": ("train", "train_on"),
    "traitgraph.specs.fields.axes": ("Axis",),
    "traitgraph.specs.jobs.params": ("AssessParams", "PromptText", "Steering", "TrainParams"),
    "traitgraph.specs.jobs.refs": ("ModelRef",),
    "traitgraph.specs.study.analyses": ("Analysis",),
    "traitgraph.specs.study.benchmarks": ("Benchmark", "Mode"),
    "traitgraph.specs.study.data": ("Data",),
    "traitgraph.specs.study.job_kinds": ("JobKind", "JobParams"),
    "traitgraph.specs.study.judges": ("JudgeSpec",),
    "traitgraph.specs.study.merge_methods": ("MergeMethod",),
    "traitgraph.specs.study.method": ("Method", "SteeringOperator"),
    "traitgraph.specs.study.prompts": ("Prompt",),
    "traitgraph.specs.study.training": ("AnswerEngine", "DpoTraining", "Sampling", "SftTraining", "Training"),
    "traitgraph.specs.study.vocabulary": ("Pole", "TraitWords", "Vocabulary"),
}
"""What is for others, by the module where it is."""
RENAMED = {"PromptText": "Prompt", "lead_of": "prompt_message_of"}
"""Names that two modules have, and old ones."""
PLACES = {name: module for module, names in HOMES.items() for name in names}


def __getattr__(name: str) -> Any:
    if name not in PLACES:
        raise AttributeError(f"traitgraph.plugins has no {name!r}; it has: {', '.join(sorted(PLACES))}")
    return getattr(import_module(PLACES[name]), RENAMED.get(name, name))


def __dir__() -> list[str]:
    return sorted(PLACES)
