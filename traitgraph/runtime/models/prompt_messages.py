"""The text of a subject's prompt, with the replies that stand in it as examples."""

from __future__ import annotations

import random
from collections.abc import Iterable

from traitgraph.runtime.data.dialogues import Dialogue, load_dialogues, training_rows
from traitgraph.runtime.data.rows import DialogueError
from traitgraph.runtime.jobs.context import JobContext
from traitgraph.specs.jobs.params import Demonstrations, Prompt

from .chat import Lead

PLACE = "{examples}"


def lead_of(context: JobContext, prompt: Prompt | None) -> Lead | None:
    """What precedes a conversation under a prompt; None without one.

    Raises DialogueError when the data hold fewer replies than the prompt shows.
    """
    if prompt is None:
        return None
    text = prompt.system
    if prompt.examples is not None:
        wanted = prompt.examples
        replies = replies_to_show(load_dialogues(context, wanted.data, "examples"), wanted)
        drawn = random.Random(wanted.seed).sample(replies, wanted.count)  # without repeats
        text = text.replace(PLACE, "\n".join(f"- {reply}" for reply in drawn))
    return Lead(text, prompt.place or "system")


def replies_to_show(dialogues: Iterable[Dialogue], wanted: Demonstrations) -> list[str]:
    """Distinct training replies of the condition, each on one line. Raises DialogueError for fewer than are shown."""
    rows = training_rows(dialogues, wanted.trait, wanted.level)
    replies = list(dict.fromkeys(" ".join(row.reply.split()) for row in rows))
    if len(replies) < wanted.count:
        raise DialogueError(
            f"a prompt shows {wanted.count} replies of {wanted.trait} {wanted.level}, and the data hold {len(replies)}"
        )
    return replies
