"""Answers to single items, read back from raw answers: what every verdict of the report is tested on.

All subjects answer the same items, so that a difference between two of them is known better than either mean; and
items, not repeats, are what a verdict on a trait generalises over.
"""

from __future__ import annotations

import math
import operator
from collections import Counter, defaultdict
from collections.abc import Iterable, Iterator, Mapping
from functools import lru_cache
from typing import Any, NamedTuple

from traitgraph.runtime.assessment.measurement import ANSWERS_FILE, read_rows
from traitgraph.runtime.store.errors import StoreError
from traitgraph.runtime.store.store import Store

from .scores import keyed_value, option_probabilities


class ItemAnswer(NamedTuple):
    """What one subject answers to one item, as it counts for the metric: a reversed item is turned round."""

    keyed: int
    """1, or -1 for a reversed item; 0 where no item is turned round."""
    values: tuple[float | None, ...]
    """One a repeat, or one a task that shares a document; None without a usable answer. The expected answer alone where
    the options' probabilities are known.
    """
    weight: float = 1.0
    """What it weighs in the mean of its trait."""

    @property
    def value(self) -> float | None:
        """The mean over repeats; None where fewer than half of them have a usable answer."""
        usable = [value for value in self.values if value is not None]
        return sum(usable) / len(usable) if usable and 2 * len(usable) >= len(self.values) else None


ItemAnswers = Mapping[str, Mapping[str, ItemAnswer]]
"""Metric -> item -> answer."""


class ItemScores:
    """Answers item by item of the assessments in a store. Files are read when asked for, and remembered."""

    def __init__(self, store: Store) -> None:
        self._store = store
        self.of = lru_cache(maxsize=512)(self._read)

    def _read(self, job: str) -> ItemAnswers:
        """The answers behind an assessment's metrics (by its key).

        Empty where the store does not hold it; a metric is absent that is no mean over items.
        """
        try:
            artifact = self._store.open("assess", job)
        except StoreError:
            return {}
        sampling = artifact.row.params.get("sampling")
        temperature = sampling["temperature"] if isinstance(sampling, Mapping) else 1.0  # as the questionnaire has it
        return item_answers(read_rows(artifact.path / ANSWERS_FILE), float(temperature))

    def scale(self, job: str) -> tuple[float, float] | None:
        """Least and largest value of the scale on which an assessment's items were answered; None without one."""
        try:
            rows = read_rows(self._store.open("assess", job).path / ANSWERS_FILE)
        except StoreError:
            return None
        low, high = next(rows, {}).get("scale") or (None, None)
        return None if low is None or high is None else (float(low), float(high))


def item_answers(rows: Iterable[Mapping[str, Any]], temperature: float) -> dict[str, dict[str, ItemAnswer]]:
    """Answers to the items behind metrics, from raw answers; empty where a metric is no mean over items.

    A questionnaire has one per item (by option likelihoods the expected answer at the sampling temperature), a reply
    contrast one per pair [nats/token], open questions one per question, a task of lm-eval one per document:
    under its metric (`acc`), which may be that of a group, and under its own name (`mmlu_law.acc`). A document that
    several tasks ask of is one item with several values.
    A benchmark of a plug-in has those that it gives as rows with `metric`, `item` and `value`, and with `keyed` and
    `repeat` if items are turned round or asked again.
    """
    found: dict[str, dict[str, ItemAnswer]] = {}
    contrasts: dict[str, dict[str, float]] = defaultdict(lambda: defaultdict(float))
    times = Counter[tuple[str, ...]]()
    documents: dict[str, str] = {}
    forms: dict[tuple[str, str, object], list[float | None]] = {}
    upper = ""
    for row in rows:
        if "document" in row:
            name = f"{row['task']}/{row['document']}"
            row = {**row, "item": documents.setdefault(row.get("content", name), name)}
        if "loglik" in row:
            reply = (row["trait"], row["pair"], row["level"])
            name = f"{row['pair']}/{times[reply]}"  # several pairs may have one name
            times[reply] += 1
            upper = upper or row["level"]  # of each pair that of the highest level comes first
            sign = 1 if row["level"] == upper else -1
            contrasts[row["trait"]][name] += sign * row["loglik"] / row["tokens"]
        if not (weight := row.get("weight", 1.0)):
            continue  # asked, and not scored
        for metric, item, keyed, answer in _answers(row, temperature):
            known = found.setdefault(metric, {}).setdefault(item, ItemAnswer(keyed, (), weight))
            if "form" in row:
                forms.setdefault((metric, item, row.get("repeat")), []).append(answer)
            else:
                found[metric][item] = known._replace(values=(*known.values, answer))
    for (metric, item, _), answers in forms.items():  # of one repeat: their mean, as scores have it
        usable = [answer for answer in answers if answer is not None]
        mean = math.fsum(usable) / len(usable) if usable else None
        found[metric][item] = found[metric][item]._replace(values=(*found[metric][item].values, mean))
    for trait, pairs in contrasts.items():
        found[trait] = {name: ItemAnswer(0, (value,)) for name, value in pairs.items()}
    return found


def _answers(row: Mapping[str, Any], temperature: float) -> Iterator[tuple[str, str, int, float | None]]:
    """Metric, item, keying and answer of a raw row; several where it counts for several metrics."""
    if "logprobs_forward" in row:
        listed = (name for name in row if name.startswith("logprobs_") and name != "logprobs_yes_no")
        orders = [option_probabilities(row[order], temperature) for order in listed]
        shares = [sum(each) / len(orders) for each in zip(*orders, strict=True)]
        if "points" in row:
            for trait, points in row["points"].items():
                yield trait, str(row["item"]), row["keyed"], math.fsum(map(operator.mul, shares, points))
            return
        low, high = row["scale"]
        step = sum(map(operator.mul, range(len(shares)), shares))
        yield row["trait"], str(row["item"]), row["keyed"], keyed_value(low + step, row["keyed"], low, high)
    elif "scale" in row and {"answer", "rating"} & row.keys():
        value, keyed = row.get("answer", row.get("rating")), row.get("keyed", 0)
        name = str(row.get("item", row.get("question_id")))
        if "counted" in row:
            yield from ((trait, name, keyed, counted) for trait, counted in row["counted"].items())
            return
        yield row["trait"], name, keyed, None if value is None else keyed_value(value, keyed, *row["scale"])
    elif isinstance(row.get("values"), dict):
        for kind, value in row["values"].items():
            if isinstance(value, int | float):
                metric = kind if row["filter"] == "none" else f"{kind}.{row['filter']}"
                yield metric, row["item"], 0, float(value)
                yield f"{row['task']}.{metric}", row["item"], 0, float(value)
    elif {"metric", "item", "value"} <= row.keys():
        yield row["metric"], str(row["item"]), int(row.get("keyed", 0)), row["value"]
