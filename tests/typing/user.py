"""A program of a user, which mypy takes in its strict mode."""

from pathlib import Path

import traitgraph
from traitgraph import Diagnostic, Outcome, Plan, Results, Study

study: Study = traitgraph.load_study("spec.yaml", overrides=["alpha=[0,1]"])
faults: list[Diagnostic] = traitgraph.check(study)
plan: Plan = traitgraph.plan(study, "store", select="alpha=1")
missing: int = plan.counts.missing
outcome: Outcome = traitgraph.run(plan, workers=2, tell=None)
causes: list[str] = [failure.cause for failure in outcome.failures]
rows: Results = traitgraph.results(study, traitgraph.Store(Path("store")))
value: float | None = rows[0]["value"]
answers = traitgraph.answers(study, rows[0])
page: Path = traitgraph.report(study)
folders: list[Path] = traitgraph.materialize(study, "models", form="adapter", rank=8)
left: int = traitgraph.status(study).missing
merge = traitgraph.merging.merge_vectors
