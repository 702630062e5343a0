"""What people call a job: 'train extraversion high', 'assess mini-ipip extraversion high alpha 0.5'. Never hashed."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator, Mapping
from functools import cached_property
from pathlib import PurePath

from traitgraph.compiler.ir.dimensions import FURTHER, text_of
from traitgraph.compiler.ir.ir import Draft, Stage
from traitgraph.specs.jobs.refs import HubModel
from traitgraph.specs.source.hashing import encode
from traitgraph.specs.study.training import DpoTraining

WITH_NAME = ("alpha", "gamma", "seed", "data")
"""Coordinates whose values do not say what they are."""

ALWAYS = ("trait", "level", "alpha", "gamma")
"""Coordinates that are told even if there is only one value; an axis with one value appears in no name otherwise."""

APART = ("model", "gamma")
"""Shared parameters that are told where stages of one name differ in them."""


class Labels:
    """The labels of a study's jobs."""

    def __init__(self, draft: Draft) -> None:
        self._draft = draft
        self._apart = dict(_told_apart(draft))
        data = (stage.where["data"].values for stage in draft.stages if "data" in stage.where)
        self._several_data = len({name for names in data for name in names}) > 1

    def of(self, row: int) -> str:
        """The label of one job; where coordinates do not tell jobs apart, as in a sweep, with the start of its key."""
        texts, jobs = self._told
        text = texts[row]
        return f"{text} #{self._draft.keys[row].hex()[:8]}" if jobs[text] > 1 else text

    @cached_property
    def _told(self) -> tuple[list[str], Counter[str]]:
        texts = list(map(self._text, range(self._draft.rows)))
        return texts, Counter(texts)

    def _text(self, row: int) -> str:
        """A job's kind, its benchmark and its coordinates."""
        stage, place = self._draft.locate(row)
        words = [stage.title]
        for name, column in stage.where.columns.items():
            value = str(column[place])
            if value and (name in ALWAYS or self._tells(stage, name)):
                words.append(f"{name} {value}" if name in WITH_NAME else value)
        return " ".join([*words, *_subject_words(stage), *self._apart[id(stage)]])

    def _tells(self, stage: Stage, name: str) -> bool:
        """Whether a coordinate tells jobs apart; stages are split by data, and a method's text holds the others."""
        if name in FURTHER:
            return name == "data" and self._several_data and "method" not in stage.where
        return len(stage.where[name].values) > 1


def _subject_words(stage: Stage) -> list[str]:
    """What tells subjects of one trait and level apart: a tuned model, a prompted one; a merge has its alpha."""
    if isinstance(stage.template.get("training"), DpoTraining):
        return ["by dpo"]
    if stage.kind != "assess":
        return []
    tuned = any(each.name == "tuned" for each in stage.inputs)
    prompted = "prompt" in stage.table or stage.template.get("prompt") is not None
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
