"""Studies for the compiler's tests, made from spec text; contents of files are their names, so keys are stable."""

from __future__ import annotations

from pathlib import Path
from tempfile import TemporaryDirectory

from traitgraph.compiler.ir.context import Context
from traitgraph.compiler.pipeline import compile_study
from traitgraph.compiler.plan import Plan
from traitgraph.specs.checks.validate import load_study
from traitgraph.specs.source.hashing import digest
from traitgraph.specs.study.study import Study

SWEEP = """\
study: sweep
model: owner/model
traits: [extraversion, neuroticism]
levels: [high, low]
data: owner/dialogues
train: {method: sft, learning_rate: 1e-4, steps: 10}
method: vector
alpha: [0, 0.5, 1]
benchmarks: [mini-ipip, {kind: lm_eval, task: arc_easy}]
"""


def named_digest(path: Path) -> str:
    """Stands for the content digest: the same for the same file name, on every machine."""
    return digest("test file", path.name)


def study_of(text: str, *overrides: str) -> Study:
    """The study that a spec text means. Raises SpecError."""
    with TemporaryDirectory() as folder:
        file = Path(folder) / "spec.yaml"
        file.write_text(text, encoding="utf-8")
        for name in ("rows.jsonl", "other.jsonl"):
            (Path(folder) / name).write_text("{}\n", encoding="utf-8")
        return load_study(file, overrides)


def context(**fields: object) -> Context:
    """A context that reads no file."""
    return Context(digest_of=named_digest, **fields)  # type: ignore[arg-type]  # the caller names fields of Context


def plan_of(text: str, *overrides: str, **fields: object) -> Plan:
    """The plan of a spec text."""
    return compile_study(study_of(text, *overrides), context(**fields))


def keys_by_label(plan: Plan) -> dict[str, str]:
    """Every job's key by its label."""
    rows = (plan.job_row(row) for row in range(plan.draft.rows))
    return {row.label: row.key for row in rows}


def keys_of(plan: Plan, kind: str) -> set[str]:
    """The keys of all jobs of a kind."""
    return {row.key for row in map(plan.job_row, range(plan.draft.rows)) if row.kind == kind}
