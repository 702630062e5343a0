"""Whose reading of a method: every detail that published implementations decide differently, in one table.

paper                     the method's paper; where it is silent, the choice that keeps the meaning of alpha
authors                   the reference code of the paper's authors
mergekit, peft, mergelm   the libraries, as of mergekit 0.1.5, peft 0.21 and the MergeLM repository
personality-vector-repo   the code released with arXiv:2509.19727: what it runs, which is not always what it is asked
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import TYPE_CHECKING, Any, TypeVar

if TYPE_CHECKING:
    from .merge_methods import Conventions, MergeMethod


Options = TypeVar("Options", bound="MergeMethod")

_ELECTION = {"elect": "mass", "elect_on": "weighted", "zero_sum": "positive", "mean": "count"}
_TRIM = {"scope": "model", "kept": "threshold"}
_AUTHORS_ELECTION = {"elect_on": "plain", "zero_sum": "majority"}

PAPER: dict[str, dict[str, Any]] = {
    "task_arithmetic": {"scale": 1.0, "normalise": False},
    "linear": {"normalise": True},
    "common_mode": {"scale": 1.0},
    "ties": {**_TRIM, **_ELECTION},
    "dare": {"scale": 1.0, "rescale": "inverse", "normalise": False},
    "dare_ties": {"rescale": "inverse", **_TRIM, **_ELECTION},
    "magnitude_prune": {"scale": 1.0, **_TRIM},
    "breadcrumbs": {"scope": "tensor", "scale": 1.0, "elect_on": "weighted", "mean": "sum", "normalise": False},
    "della": {"scale": 1.0, "rescale": "inverse", **_ELECTION},
    "della_linear": {"scale": 1.0, "rescale": "inverse", "normalise": False},
    "slerp": {},
}
"""The default, for every method: which options there are, and their values."""

_AUTHORS: dict[str, dict[str, Any]] = {
    "task_arithmetic": {},
    "ties": _AUTHORS_ELECTION,
    "dare": {},
    "dare_ties": {**_AUTHORS_ELECTION, "trim_density": 0.2},
}

DIFFERENCES: dict[Conventions, dict[str, dict[str, Any]]] = {
    "paper": {kind: {} for kind in PAPER},
    "authors": _AUTHORS,
    "mergekit": {
        "task_arithmetic": {},
        "linear": {},
        "slerp": {},
        "ties": {"scope": "tensor", "kept": "exact", "mean": "weight"},
        "dare": {"rescale": "l1"},
        "dare_ties": {"rescale": "l1", "mean": "sum"},
        "breadcrumbs": {},
        "della": {"rescale": "l1", "mean": "weight"},
        "della_linear": {"rescale": "l1"},
    },
    "peft": {
        "task_arithmetic": {},
        "ties": {"scope": "tensor", "kept": "exact", "elect_on": "plain"},
        "dare": {},
        "dare_ties": {"elect_on": "plain"},
        "magnitude_prune": {"scope": "tensor", "kept": "exact"},
    },
    "mergelm": _AUTHORS,
    "personality-vector-repo": {
        "task_arithmetic": {},
        "ties": _AUTHORS_ELECTION,
        "dare": {},
        "dare_ties": {"elect": None, "mean": "sum"},
    },
}
"""Where each convention departs from the paper, for the methods that it has."""


def _decided(kind: str, conventions: Conventions) -> dict[str, Any]:
    """The value of every option of a method on which implementations differ."""
    return {**PAPER[kind], **DIFFERENCES[conventions].get(kind, {})}


def resolve(options: Options) -> Options:
    """The same options with every absent one set by the conventions; those of a package outside as they are.

    Two ways to write one merge resolve to one set of options, and so to one job key.
    """
    kind = options.name
    if kind not in PAPER:
        return options
    values = {"conventions": "paper", "rounding": "nearest", **_decided(kind, options.conventions or "paper")}
    absent = {name: value for name, value in values.items() if getattr(options, name) is None}
    return options.model_copy(update=absent)


def objection(options: MergeMethod) -> str | None:
    """Why options cannot be what their conventions say, or None."""
    kind = options.name
    if kind not in PAPER:
        return None
    chosen, found = options.conventions or "paper", resolve(options).model_dump()
    if kind not in DIFFERENCES[chosen]:
        return f"conventions '{chosen}' have no method '{kind}'; they have: {', '.join(DIFFERENCES[chosen])}"
    if chosen == "personality-vector-repo" and kind == "ties" and found["density"] != 0.2:
        return (
            "conventions 'personality-vector-repo' trim TIES to density 0.2 whatever is asked; drop `density`, or "
            "choose other conventions"
        )
    if found.get("normalise") and found.get("elect") is not None:
        return "`normalise` has no effect with an election; set `mean: weight`"
    if found.get("mean", "sum") != "sum" and found["elect"] is None:
        return f"`mean: {found['mean']}` has no effect without an election; drop it, or set `elect`"
    default = _decided(kind, chosen)
    for needed, useless in NEEDS.items():
        for name in useless if found.get(needed, ...) is None else ():
            if name in default and found[name] != default[name]:
                return f"`{name}` has no effect without `{needed}`; drop it, or set `{needed}`"
    return None


NEEDS = {"elect": ("elect_on", "zero_sum"), "trim_density": ("scope", "kept")}
"""Options that act only where another one is set."""


def conditions(kind: str) -> Iterator[dict[str, Any]]:
    """What `objection` refuses of a method, as conditions of JSON Schema; none for those of a package outside."""
    if kind not in PAPER:
        return
    known = [name for name, table in DIFFERENCES.items() if kind in table]
    yield {"properties": {"conventions": {"enum": [*known, None]}}}
    if kind == "ties":
        yield {"if": _chosen("personality-vector-repo"), "then": {"properties": {"density": {"const": 0.2}}}}
    for name in known:
        options = _decided(kind, name)
        if "elect_on" in options and options.get("elect") is None:
            elected = {"required": ["elect"], "properties": {"elect": {"type": "string"}}}
            not_elected = {"properties": {"mean": {"enum": ["sum", None]}, **_useless("elect", options)}}
            not_normalised = {"properties": {"normalise": {"enum": [False, None]}}}
            yield {"if": _chosen(name), "then": {"if": elected, "then": not_normalised, "else": not_elected}}
        if kind == "dare_ties" and "trim_density" not in options:
            trimmed = {"required": ["trim_density"], "properties": {"trim_density": {"type": "number"}}}
            yield {
                "if": _chosen(name),
                "then": {"if": {"not": trimmed}, "then": {"properties": _useless("trim_density", options)}},
            }


def _useless(needed: str, options: dict[str, Any]) -> dict[str, Any]:
    return {name: {"enum": [options[name], None]} for name in NEEDS[needed] if name in options}


def _chosen(conventions: str) -> dict[str, Any]:
    if conventions == "paper":
        return {"properties": {"conventions": {"enum": ["paper", None]}}}
    return {"properties": {"conventions": {"const": conventions}}, "required": ["conventions"]}
