"""What every benchmark hands back: raw answers and metrics, and the files they become."""

from __future__ import annotations

import json
import math
import re
from collections.abc import Iterable, Iterator, Sequence
from pathlib import Path
from typing import Any, Literal, NamedTuple, Self

from traitgraph.runtime.store.durable import write_json_lines

ANSWERS_FILE = "answers.jsonl"
METRICS_FILE = "metrics.jsonl"
OF_SOME = ("higher_is_better", "filter", "form")
"""Fields that only the metrics of a task have, or of a form."""
_AI = re.compile(
    r"\b(?:as|i am|i['\u2019]m)\s+(?:just|only|merely)?\s*an?\s+"
    r"(?:AI\b|artificial intelligence|(?:large )?language model)",
    re.IGNORECASE,
)


class Metric(NamedTuple):
    """One number about one subject; `value` is None where it is undefined (never a stand-in such as 0)."""

    metric: str
    value: float | None
    n: int
    """How many items, pairs or documents it rests on."""
    stderr: float | None = None
    repeat: int | None = None
    role: Literal["score", "validity"] = "score"
    higher_is_better: bool | None = None
    """Of a task: which way a loss goes; None where nobody says, and then nothing is judged."""
    filter: str | None = None
    """Of a task with several: which one read the answers; it ends the name of the metric."""
    form: str | None = None
    """Of a questionnaire asked in several: 'option_order=backward,labels=digits'; None for what is over all of them."""

    @classmethod
    def over(
        cls, name: str, values: Sequence[float], repeat: int | None = None, role: Literal["score", "validity"] = "score"
    ) -> Self:
        """The mean of some values with its standard error, where each stands for itself."""
        return cls(name, mean(values), len(values), standard_error(values), repeat, role)

    @classmethod
    def share(cls, name: str, held: Iterable[bool]) -> Self:
        """Of how many the one or the other is true: a check of validity, without a standard error."""
        values = [float(each) for each in held]
        return cls(name, mean(values), len(values), role="validity")


class Measurement(NamedTuple):
    """Everything one benchmark found."""

    answers: list[dict[str, object]]
    """Raw rows, enough to compute every metric again."""
    metrics: list[Metric]


def write_measurement(folder: Path, measurement: Measurement) -> None:
    """Write `answers.jsonl` and `metrics.jsonl` into a folder."""
    metrics = [
        {
            "metric": metric.metric,
            "repeat": metric.repeat,
            "value": _finite(metric.value),
            "stderr": _finite(metric.stderr),
            "n": metric.n,
            "role": metric.role,
            **{name: value for name in OF_SOME if (value := getattr(metric, name)) is not None},
        }
        for metric in measurement.metrics
    ]
    write_json_lines(folder / ANSWERS_FILE, measurement.answers)
    write_json_lines(folder / METRICS_FILE, metrics)


def read_rows(path: Path) -> Iterator[dict[str, Any]]:
    """The rows of one of these files."""
    with path.open(encoding="utf-8") as stream:
        yield from (json.loads(line) for line in stream if line.strip())


def disclaimers(texts: Iterable[str]) -> Metric:
    """The share of raw texts that call their author an AI; counted before anything is cut from them.

    >>> disclaimers(["As an AI language model, I have no feelings.", "I'm just a language model.", "I like AI."]).value
    0.6666666666666666
    """
    return Metric.share("disclaimers", (bool(_AI.search(text)) for text in texts))


def _finite(value: float | None) -> float | None:
    return value if value is not None and math.isfinite(value) else None


def mean(values: Sequence[float]) -> float | None:
    """Arithmetic mean; None of nothing."""
    return math.fsum(values) / len(values) if values else None


def standard_error(values: Sequence[float]) -> float | None:
    """Standard error of the mean, s / sqrt(n) with the n - 1 variance; None for fewer than two values."""
    if len(values) < 2:
        return None
    centre = math.fsum(values) / len(values)
    variance = math.fsum((value - centre) ** 2 for value in values) / (len(values) - 1)
    return math.sqrt(variance / len(values))


def correlation(left: Sequence[float], right: Sequence[float]) -> float | None:
    """Pearson's r; None when it is undefined (fewer than two pairs, or a side that does not vary)."""
    if len(left) < 2 or any(min(side) == max(side) for side in (left, right)):  # their mean may not be that value
        return None
    centre_left, centre_right = math.fsum(left) / len(left), math.fsum(right) / len(right)
    pairs = [(a - centre_left, b - centre_right) for a, b in zip(left, right, strict=True)]
    spread = math.fsum(a * a for a, _ in pairs) * math.fsum(b * b for _, b in pairs)
    return math.fsum(a * b for a, b in pairs) / math.sqrt(spread) if spread > 0 else None
