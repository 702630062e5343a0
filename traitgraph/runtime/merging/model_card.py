"""The model card of a merged checkpoint: what it was made of, how, and how much of the change it holds."""

from __future__ import annotations

import json
import re
from collections.abc import Mapping
from pathlib import Path
from typing import Any

_HUB_ID = re.compile(r"\w[\w.-]*/\w[\w.-]*")


def model_card(record: Mapping[str, Any]) -> str:
    """A README.md with the metadata that model hubs read, the ingredients, and the whole recipe as JSON."""
    sources = [str(each) for each in record.get("sources", ())]
    lines = ["---", "library_name: transformers", "tags:", "- merge", "- traitgraph"]
    base = str(record.get("base_name") or "")
    if _HUB_ID.fullmatch(base) and not Path(base).exists():  # hubs refuse a card that names anything else
        lines += ["base_model:", f"- {json.dumps(base)}"]
    lines += [
        "---",
        "",
        "# A merged model",
        "",
        f"Made by traitgraph from a base{f', `{base}`,' if base else ''} and the differences of tuned models.",
        "",
    ]
    lines += _ingredients(record, sources)
    lines += ["## Recipe", "", "```json", json.dumps(dict(record), indent=1), "```", ""]
    return "\n".join(lines)


def _ingredients(record: Mapping[str, Any], sources: list[str]) -> list[str]:
    vectors = record.get("vectors", ())
    coefficients = record.get("params", {}).get("coefficients", record.get("coefficients", ()))
    resolved = record.get("resolved", {})
    lines = [f"Method: {resolved.get('kind', 'unknown')}, conventions: {resolved.get('conventions', 'paper')}.", ""]
    if vectors:
        lines += ["| vector | coefficient | fingerprint |", "| --- | ---: | --- |"]
        for place, vector in enumerate(vectors):
            name = sources[place] if place < len(sources) else vector.get("key", "")[:8]
            weight = coefficients[place] if place < len(coefficients) else ""
            lines.append(f"| {name} | {weight} | `{vector['fingerprint'][:8]}` |")
        lines.append("")
    if statistics := record.get("statistics"):
        lines += [_survival(statistics), ""]
    return lines


def _survival(statistics: Mapping[str, Any]) -> str:
    if statistics["effective_alpha"] is None:
        return "No change: the vectors, with these coefficients and options, add nothing to the sampled weights."
    return (
        f"Effective alpha {statistics['effective_alpha']:.3f}: the share of the change that the number format "
        f"holds (relative error {statistics['relative_error']:.2g})."
    )
