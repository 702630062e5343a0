"""What people call a job: 'train extraversion high', 'assess mini-ipip extraversion high alpha 0.5'."""

from __future__ import annotations

from .ir import Stage

BARE_NUMBERS = ("alpha", "gamma", "seed")
"""Coordinates that are bare numbers, so that the label says what they count."""

ALWAYS = ("trait", "level", "alpha", "gamma")
"""Coordinates that are told even if there is only one value; an axis with one value appears in no name otherwise."""


def label(stage: Stage, place: int) -> str:
    """The label of one job, from its kind, its benchmark and its coordinates. Never hashed."""
    words = [stage.kind] if stage.name == stage.kind else [stage.kind, stage.name]
    for name, column in stage.where.columns.items():
        value = str(column[place])
        if value and (name in ALWAYS or len(column.values) > 1):
            words.append(f"{name} {value}" if name in BARE_NUMBERS else value)
    return " ".join([*words, *_subject_words(stage)])


def _subject_words(stage: Stage) -> list[str]:
    """What tells subjects of one trait and level apart: a tuned model, a prompted one; a merge has its alpha."""
    if stage.kind != "assess":
        return []
    tuned = any(each.name == "tuned" for each in stage.inputs)
    prompted = "prompt" in stage.table or stage.template.get("prompt") is not None
    return ["tuned"] * tuned + ["prompted"] * prompted
