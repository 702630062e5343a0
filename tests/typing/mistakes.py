"""A program with mistakes that mypy must find, one in each line with a mark."""

import traitgraph

study = traitgraph.load_study("spec.yaml", override=["alpha=1"])  # mistake
plan = traitgraph.plan(study, selection="alpha=1")  # mistake
print(plan.count)  # mistake
traitgraph.run(study, launcher="pbs")  # mistake
traitgraph.results(study)[0]["score"]  # mistake
traitgraph.answer(study)  # mistake
traitgraph.materialize(study, "models", dtype="int8")  # mistake
