"""Correlations between the measured traits over conditions, and their distance to a human matrix (BIG5-CHAT).

Conditions that push one trait to its end make correlations near one by construction, so the distance of shuffled scores
stands beside the measured one: without it a distance says nothing.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Container, Mapping, Sequence
from itertools import combinations
from pathlib import Path
from typing import TYPE_CHECKING, Any

from traitgraph.runtime.assessment.measurement import METRICS_FILE, Measurement, Metric, read_rows
from traitgraph.runtime.data.data_files import DataError, fault_at, json_value, text_of
from traitgraph.specs.study.vocabulary import BIG_FIVE, Trait

if TYPE_CHECKING:
    import numpy as np

    Matrix = np.ndarray[tuple[int, int], np.dtype[np.float64]]


SEED = 0
SAME = 1e-5
"""Correlations that differ by less are written with other numbers of digits."""
REFERENCE = "reference."
"""Start of the names under which the entries of the reference stand."""
Scores = Mapping[str, float]


def mean_scores(assessment: Path, names: Container[str] | None = None) -> dict[str, float]:
    """Mean of each score over the repeats of one assessment, or of these; one without any value is absent."""
    found: dict[str, list[float]] = defaultdict(list)
    for row in read_rows(assessment / METRICS_FILE):
        wanted = row["role"] == "score" if names is None else row["metric"] in names
        if wanted and row["value"] is not None and row.get("form") is None:
            found[row["metric"]].append(row["value"])
    return {metric: sum(values) / len(values) for metric, values in found.items()}


def read_reference(path: Path, traits: Sequence[Trait]) -> list[list[float]]:
    """A matrix of correlations between traits, in their order. Raises DataError for anything else."""
    rows: Any = json_value(text_of(path))
    try:
        matrix = [[float(cell) for cell in row] for row in rows]
        turned = [list(column) for column in zip(*matrix, strict=True)]
    except (TypeError, ValueError):
        matrix, turned = [], []
    cells = [pair for row, column in zip(matrix, turned, strict=False) for pair in zip(row, column, strict=False)]
    symmetric = all(abs(left) <= 1 and abs(left - right) < SAME for left, right in cells)
    letters = {trait: letter for letter, trait in BIG_FIVE.trait_of_letter.items()} if len(traits) == 5 else {}
    if len(cells) != len(traits) ** 2 or not symmetric or any(row[i] < 1 - SAME for i, row in enumerate(matrix)):
        size, order = (
            f"{len(traits)} x {len(traits)}",
            " ".join(letters.get(trait, trait) for trait in traits),
        )
        what = f"must hold a symmetric {size} matrix with ones on its diagonal, in the order {order}"
        raise DataError([fault_at(path, None, what)])
    return matrix


def trait_correlation(
    conditions: Mapping[str, Scores], traits: Sequence[str], reference: Sequence[Sequence[float]], shuffles: int
) -> Measurement:
    """`openness ~ extraversion` and so on, and `distance`: the Frobenius norm of the difference to the reference.

    `distance.shuffled` is the mean distance when each trait's scores are shuffled over conditions, with its standard
    error, `distance.shuffled_share` the share of shuffles that are at least as near. Conditions in which a trait has no
    score are left out, and counted in `left_out`. Undefined where a trait has the same score everywhere.
    `reference.openness ~ extraversion` and so on are the reference itself, so that a distance keeps what it is to.
    """
    import numpy as np

    rows: list[dict[str, object]] = [
        {"condition": name, **{trait: scores.get(trait) for trait in traits}} for name, scores in conditions.items()
    ]
    human = np.array(reference)
    whole = [[scores[trait] for trait in traits] for scores in conditions.values() if len(scores) == len(traits)]
    table = np.array(whole, dtype=np.float64).reshape(-1, len(traits))
    count = len(table)
    undefined = count < 3 or (table == table[0]).all(axis=0).any()
    found: Matrix = np.full_like(human, np.nan) if undefined else np.corrcoef(table, rowvar=False)
    pairs = [(f"{traits[i]} ~ {traits[j]}", i, j) for i, j in combinations(range(len(traits)), 2)]
    metrics = [Metric("left_out", len(conditions) - count, len(conditions), role="validity")]
    metrics += [Metric(REFERENCE + name, reference[i][j], count, role="validity") for name, i, j in pairs]
    metrics += [Metric(name, None if undefined else float(found[i, j]), count) for name, i, j in pairs]
    distance = None if undefined else float(np.linalg.norm(found - human))
    metrics.append(Metric("distance", distance, count))
    return Measurement(rows, metrics + ([] if distance is None else _shuffled(table, human, distance, shuffles)))


def _shuffled(table: Matrix, reference: Matrix, distance: float, shuffles: int) -> list[Metric]:
    import numpy as np

    if shuffles == 0:
        return []
    generator = np.random.default_rng(SEED)
    drawn = [generator.permuted(table, axis=0) for _ in range(shuffles)]
    distances = np.array([np.linalg.norm(np.corrcoef(each, rowvar=False) - reference) for each in drawn])
    error = float(distances.std(ddof=1) / np.sqrt(shuffles)) if shuffles > 1 else None
    share = float((distances <= distance).mean())
    return [
        Metric("distance.shuffled", float(distances.mean()), shuffles, error, role="validity"),
        Metric("distance.shuffled_share", share, shuffles, role="validity"),
    ]
