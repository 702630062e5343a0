"""The rows of a training: what the trainer is given, which are held back, and which are too long.

Knows data and chat templates; must not know a trainer.
"""

from __future__ import annotations

import math
from collections import Counter
from collections.abc import Sequence
from hashlib import blake2b
from typing import Any

from traitgraph.runtime.data.conversations import Said
from traitgraph.runtime.data.dialogues import joint_rows, load_dialogues, reply_pairs, training_rows
from traitgraph.runtime.data.rows import DialogueError
from traitgraph.runtime.jobs.context import JobContext
from traitgraph.runtime.models.chat import TEMPLATE_VARIABLES, PromptMessage, messages
from traitgraph.runtime.models.loading import LoadedModel
from traitgraph.specs.fields.templates import filled
from traitgraph.specs.jobs.params import Prompt, TrainJointParams, TrainParams
from traitgraph.specs.study.training import DpoTraining, Training
from traitgraph.specs.study.vocabulary import BIG_FIVE, Level, Trait, Vocabulary

from .callbacks import say

ASKED = "asked"
"""Field of a row that holds its prompt as text, without the instruction that tells its condition."""
MAX_CUT = 0.05
"""Share of rows that may lose their end where a spec does not say: of more, the model learns not to stop."""

Row = dict[str, Any]
AnyTrain = TrainParams | TrainJointParams


def trainer_rows(context: JobContext, params: AnyTrain) -> list[Row]:
    """What the trainer is given: replies of each level, or pairs of replies to one prompt.

    Of a pair each level's reply is chosen, and that of the opposite level rejected; of a level in the middle those of
    both ends. Raises DialogueError when the data have
    no such row or pair.
    """
    dialogues, scale = load_dialogues(context, params.data), Vocabulary.of_levels(params.data.levels)
    traits: tuple[Trait, ...] = (params.trait,) if params.trait else ()
    if isinstance(params, TrainParams):
        levels: tuple[Level, ...] = (params.level,)
    else:
        there = {row.trait for row in dialogues if row.split == "train"}
        traits = traits or params.traits or BIG_FIVE.in_order(there)
        levels = tuple(scale.levels)
    if isinstance(params.training, DpoTraining):
        return [
            _row(
                params.training, trait, level, pair.prompt, chosen=pair.replies[level], rejected=pair.replies[opposite]
            )
            for trait in traits
            for level in levels
            for opposite in scale.opposites(level)
            for pair in reply_pairs(dialogues, trait, "train", scale.in_descent(level, opposite))
        ]
    if isinstance(params, TrainParams):
        found = training_rows(dialogues, params.trait, params.level)
    else:
        found = joint_rows(dialogues, traits, levels)
    return [_row(params.training, row.trait, row.level, row.prompt, completion=row.reply) for row in found]


def _row(training: Training, trait: Trait, level: Level, asked: Said, **replies: str) -> Row:
    """A row as trl wants it, under its instruction, and the bare prompt, by which rows are held back."""
    instruction, place = training.instruction, training.instruction_place
    text = filled(instruction, trait, level) if instruction else None
    prompt_message = PromptMessage.of(Prompt(system=text, place=place)) if text else None
    said = {name: [{"role": "assistant", "content": text}] for name, text in replies.items()}
    row = {ASKED: str(asked), "prompt": messages(asked, prompt_message)}
    return {**row, **said, "chat_template_kwargs": TEMPLATE_VARIABLES}


def hold_back(rows: Sequence[Row], share: float, seed: int) -> tuple[list[Row], list[Row]]:
    """Rows to train on and rows to measure, about `share` of all, in their order; drawn by the seed.

    Rows with one prompt stay together, whatever their instruction and the blanks around it, so that nothing that is
    measured was seen in training. Raises DialogueError when nothing would be left on one side.
    """
    groups = Counter(row[ASKED].strip() for row in rows)
    drawn, wanted = set[str](), share * len(rows)
    count = 0
    for text in sorted(groups, key=lambda text: blake2b(f"{seed}/{text}".encode()).digest()):
        if drawn and count + groups[text] / 2 > wanted:
            break
        drawn.add(text)
        count += groups[text]
    if count == len(rows):
        raise DialogueError(f"{len(rows)} rows with {len(groups)} different prompts are too few to hold some back")
    kept = [row for row in rows if row[ASKED].strip() not in drawn]
    return kept, [row for row in rows if row[ASKED].strip() in drawn]


def cut_rows(training: Training, loaded: LoadedModel, rows: Sequence[Row], dropped: int, tell: bool) -> int:
    """How many rows lose their end at `max_length`, beside those that are `dropped` whole; says so in the log.

    Raises DialogueError where both together are more than the spec allows.
    """
    render = loaded.tokenizer.apply_chat_template
    lengths = [
        max(
            len(render(row["prompt"] + row[name], return_dict=True, **row["chat_template_kwargs"])["input_ids"])
            for name in ("completion", "chosen", "rejected")
            if name in row
        )
        for row in rows
    ]
    too_long, longest = sum(length > training.max_length for length in lengths), max(lengths)
    allowed = MAX_CUT if training.max_cut is None else training.max_cut
    told = f"{too_long} of {len(rows)} rows are longer than `max_length`, {training.max_length} tokens"
    if too_long > allowed * len(rows):
        raise DialogueError(
            f"{told}: they would lose their end, and the model learn not to stop. The longest has {longest} tokens: "
            f"raise `max_length`, or allow it by `max_cut: {math.ceil(too_long / len(rows) * 100) / 100:g}`"
        )
    if too_long and tell:
        say(f"{told}: {too_long - dropped} lose their end, {dropped} are left out whole")
    return too_long - dropped
