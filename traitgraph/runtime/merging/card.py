"""The model card of a merged checkpoint: what it was made of, how, and how much of the change it holds."""

from __future__ import annotations

import json
from collections.abc import Mapping
from typing import Any


def model_card(record: Mapping[str, Any]) -> str:
    """A README.md with the metadata that model hubs read, the ingredients, and the whole recipe as JSON."""
    sources = [str(each) for each in record.get("sources", ())]
    lines = ["---", "library_name: transformers", "tags:", "- merge", "- traitgraph"]
    if record.get("base_name"):
        lines += ["base_model:", f"- {json.dumps(str(record['base_name']))}"]
    lines += [
        "---",
        "",
        "# A merged model",
        "",
        "Made by traitgraph from a base and the differences of tuned models.",
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
        lines += [
            f"Effective alpha {statistics['effective_alpha']:.3f}: the share of the change that the number format "
            f"holds (relative error {statistics['relative_error']:.2g}).",
            "",
        ]
    return lines
