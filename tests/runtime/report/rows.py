"""Synthetic rows for tests of the report: made numbers in the shape of a real study, never shown as results."""

from __future__ import annotations

import random
from collections.abc import Iterator

from traitgraph.runtime.results.provenance import About, Failure, Stage
from traitgraph.runtime.results.table import ResultRow
from traitgraph.specs.jobs.results import AXES
from traitgraph.specs.source.hashing import digest

SUBJECT = ("arm", "method", "model", "trait", "level", "merge", "alpha", "gamma")
ALPHAS = ("-1", "-0.5", "0", "0.25", "0.5", "0.75", "1", "1.5")
TRAITS = ("extraversion", "neuroticism")
DOMAINS = ("openness", "conscientiousness", "extraversion", "agreeableness", "neuroticism")


def row(**fields: object) -> ResultRow:
    """A row with everything empty that is not given."""
    empty: dict[str, object] = {**dict.fromkeys(("arm", "method", "benchmark", "metric"), ""), **dict.fromkeys(AXES)}
    base: dict[str, object] = {
        "study": "made-up",
        "model": "tiny",
        "repeat": None,
        "value": 0.0,
        "stderr": None,
        "n": 12,
        "role": "score",
    }
    base |= {"effective_alpha": None, "survives": None, "method_label": fields.get("method", "")}
    base["merge_label"] = fields.get("merge", "")
    of_job = (*SUBJECT, "seed", "benchmark")  # each measurement is a job of its own
    apart = {"job": digest("job", [str(fields.get(name, "")) for name in of_job]), "same_as": None}
    return ResultRow(**{**empty, **base, **apart, **fields})  # type: ignore[typeddict-item]  # made from text


def subjects() -> Iterator[tuple[dict[str, str], dict[str, float]]]:
    """Every subject with the push it gives to each trait."""
    yield {"arm": "base", "method": "direct"}, {}
    for trait in TRAITS:
        for level, sign in (("high", 1.0), ("low", -1.0)):
            yield {"arm": "prompt", "method": "prompt", "trait": trait, "level": level}, {trait: 0.12 * sign}
    for trait in TRAITS:
        for level, sign in (("high", 0.62), ("low", -0.8)):
            for alpha in ALPHAS:
                where = {"trait": trait, "level": level, "alpha": alpha, "merge": "task_arithmetic"}
                yield (
                    {"arm": "vectors", "method": "vector", **where},
                    {t: float(alpha) * (sign if t == trait else 0.15) for t in TRAITS},
                )


def study_rows() -> list[ResultRow]:
    """A study like the quickstart: a contrast that moves, a questionnaire that does not, a task that holds."""
    random.seed(7)
    found = []
    for place, (subject, push) in enumerate(subjects()):
        seed = "" if subject["method"] in ("direct", "prompt") else "0"
        for kind, rows in enumerate((_contrast(push), _questionnaire(), _task(push))):
            name = ("reply_contrast", "mini-ipip", "everyday_reasoning")[kind]
            found += [
                row(**{**subject, "seed": seed, "benchmark": name, "job": f"{place * 3 + kind:032x}", **each})
                for each in rows
            ]
    return found


def _contrast(push: dict[str, float]) -> Iterator[dict[str, object]]:
    for trait in TRAITS:
        value = -0.3 + push.get(trait, 0) + random.gauss(0, 0.03)
        yield {"metric": trait, "value": value, "stderr": 0.21}
        for level in ("high", "low"):
            yield {
                "metric": f"{trait}.{level}_loglik",
                "value": -3.6 + random.gauss(0, 0.2),
                "stderr": 0.2,
                "role": "validity",
            }


def _questionnaire() -> Iterator[dict[str, object]]:
    for domain in DOMAINS:
        for repeat in range(5):
            yield {"metric": domain, "repeat": repeat, "value": round(3 + random.gauss(0, 0.4), 2), "n": 4}
        yield {"metric": f"{domain}.expected", "value": 3 + random.gauss(0, 0.03), "n": 4}
    for name, value in (("option_mass", 0.81), ("order_correlation", -0.93), ("yes_bias", -0.31)):
        yield {"metric": name, "value": value + random.gauss(0, 0.02), "n": 20, "role": "validity"}


def _task(push: dict[str, float]) -> Iterator[dict[str, object]]:
    for metric in ("acc", "acc_norm"):
        yield {"metric": metric, "value": 0.67 + random.choice([-1, 0, 0, 1]) / 24, "stderr": 0.097, "n": 24}
    yield {"metric": "chance", "value": 0.25, "n": 24, "role": "validity"}


def about(**changes: object) -> About:
    """How the made-up study was made."""
    fields: dict[str, object] = {
        "study": "made-up",
        "spec": "study: made-up\nmodel: tiny\ntraits: [extraversion, neuroticism]\n",
        "versions": {"python": "3.11.9", "torch": "2.13.0", "traitgraph": "0.1.0"},
        "seeds": ["0"],
        "stages": [Stage("train", 4, 201.3), Stage("vector", 4, 2.0), Stage("assess", 111, 311.0)],
        "facts": {"model": "a made-up model", "seeds": "0 (train)"},
    }
    return About(**{**fields, **changes})  # type: ignore[arg-type]  # made from text


FAILURE = Failure("out of memory", ["train extraversion high", "train neuroticism low"], "runs/1/logs/train.txt")
