"""A dozen made-up dialogue rows: two traits, two levels, training and held-out pairs."""

from __future__ import annotations

import json
from pathlib import Path

REPLIES = {
    ("extraversion", "high"): "I call all my friends and we go out. I love it!",
    ("extraversion", "low"): "I stay at home with a book. Quiet is what I like.",
    ("neuroticism", "high"): "I worry about it all night.",
    ("neuroticism", "low"): "It will be fine. I rarely worry, and I sleep well whatever comes.",
}
PROMPTS = ["What do you do at the weekend?", "A friend calls.", "Do you like parties?", "You have a free day."]


def dialogue_rows() -> list[dict[str, str]]:
    """Two training and two held-out prompts for each trait, one reply a level."""
    return [
        {
            "id": f"{trait}-{level}-{number}",
            "trait": trait,
            "level": level,
            "split": "train" if number < 2 else "heldout",
            "prompt": prompt,
            "reply": f"{reply} {number}" * (1 + number % 2),
            "pair": f"{trait}-{number}",
        }
        for (trait, level), reply in REPLIES.items()
        for number, prompt in enumerate(PROMPTS)
    ]


def write_dialogues(path: Path) -> Path:
    """Write the rows as JSONL and return the path."""
    path.write_text("".join(json.dumps(row) + "\n" for row in dialogue_rows()), encoding="utf-8")
    return path
