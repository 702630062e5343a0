"""What people call a job: 'train extraversion high', 'assess mini-ipip extraversion high alpha 0.5'."""

from __future__ import annotations

from .ir import Stage

NAMED = ("alpha", "gamma", "seed")
"""Coordinates that are bare numbers, so that the label says what they count."""


def label(stage: Stage, place: int) -> str:
    """The label of one job, from its kind, its benchmark and its coordinates. Never hashed."""
    words = [stage.kind] if stage.name == stage.kind else [stage.kind, stage.name]
    for name, column in stage.where.columns.items():
        value = str(column[place])
        if value:
            words.append(f"{name} {value}" if name in NAMED else value)
    return " ".join(words)
