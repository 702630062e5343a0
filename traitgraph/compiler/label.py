"""What people call a job: 'train extraversion high', 'assess mini-ipip extraversion high alpha 0.5'. Never hashed."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator, Mapping
from pathlib import PurePath

from traitgraph.compiler.ir.dimensions import FURTHER, text_of
from traitgraph.compiler.ir.ir import Draft, Stage
from traitgraph.specs.jobs.params import Prompt
from traitgraph.specs.jobs.refs import HubModel
from traitgraph.specs.source.hashing import encode
from traitgraph.specs.study.training import DpoTraining

WITH_NAME = ("alpha", "gamma", "seed", "data", "context")
"""Coordinates whose values do not say what they are."""

ALWAYS = ("trait", "level", "alpha", "gamma")
"""Coordinates that are told even if there is only one value; an axis with one value appears in no name otherwise."""

APART = ("model", "gamma")
"""Shared parameters that are told where stages of one name differ in them."""


def labels_of(draft: Draft) -> list[str]:
    """The label of each job, by its row; equal ones, as of the values of a sweep, are told apart by their keys."""
    texts, apart = list[str](), dict(_told_apart(draft))
    data = (stage.where["data"].values for stage in draft.stages if "data" in stage.where)
    several_data = len({name for names in data for name in names}) > 1
    for stage in draft.stages:
        columns = stage.where.columns.items()
        told = [(name, column) for name, column in columns if name in ALWAYS or _tells(stage, name, several_data)]
        rest = [*_subject_words(stage), *apart[id(stage)]]
        for place in range(stage.rows):
            values = ((name, str(column[place])) for name, column in told)
            words = (f"{name} {value}" if name in WITH_NAME else value for name, value in values if value)
            texts.append(" ".join([stage.title, *words, *rest]))
    jobs = Counter(texts)
    return [f"{text} #{key.hex()[:8]}" if jobs[text] > 1 else text for text, key in zip(texts, draft.keys, strict=True)]


def _tells(stage: Stage, name: str, several_data: bool) -> bool:
    """Whether a coordinate tells jobs apart; stages are split by data, and a method's text holds the others."""
    if name in FURTHER:
        return name == "data" and several_data and "method" not in stage.where
    return len(stage.where[name].values) > 1


def _subject_words(stage: Stage) -> list[str]:
    """What tells subjects of one trait and level apart: a tuned model, a prompted one; a merge has its alpha."""
    if isinstance(stage.template.get("training"), DpoTraining):
        return ["by dpo"]
    if stage.kind != "assess":
        return []
    tuned = any(each.name == "tuned" for each in stage.inputs)
    prompts = stage.table["prompt"].values if "prompt" in stage.table else ()
    prompted = any(isinstance(each, Prompt) and each.system for each in (*prompts, stage.template.get("prompt")))
    return ["tuned"] * tuned + ["prompted"] * prompted


def _told_apart(draft: Draft) -> Iterator[tuple[int, list[str]]]:
    """For each stage what tells it from others of its kind and name, where its coordinates do not show it."""
    files = {digest: PurePath(place).name.removesuffix(".gguf") for digest, place in draft.locations.items()}
    namesakes: dict[tuple[str, str], list[Stage]] = {}
    for stage in draft.stages:
        namesakes.setdefault((stage.kind, stage.name), []).append(stage)
    for stages in namesakes.values():
        differ = [name for name in APART if len({encode(stage.template.get(name)) for stage in stages}) > 1]
        for stage in stages:
            shown = {name for name in differ if name in stage.where and len(stage.where[name].values) > 1}
            names = (name for name in differ if name in stage.template and name not in shown)
            yield id(stage), [_word(name, stage.template[name], files) for name in names]


def _word(name: str, value: object, files: Mapping[str, str]) -> str:
    if name == "gamma":
        return f"gamma {text_of(value)}"
    digest = getattr(value, "digest", "")
    return f"on {value.id.rpartition('/')[2] if isinstance(value, HubModel) else files.get(digest, digest[:8])}"
