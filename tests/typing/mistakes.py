"""A program with mistakes, each of which mypy must find: an ignored error that is none is an error itself."""

import traitgraph

study = traitgraph.load_study("spec.yaml", override=["alpha=1"])  # type: ignore[call-arg]
plan = traitgraph.plan(study, selection="alpha=1")  # type: ignore[call-arg]
print(plan.count)  # type: ignore[attr-defined]
traitgraph.run(study, launcher="pbs")  # type: ignore[arg-type]
traitgraph.results(study)[0]["score"]  # type: ignore[typeddict-item]
traitgraph.answer(study)  # type: ignore[attr-defined]
traitgraph.materialize(study, "models", dtype="int8")  # type: ignore[arg-type]
traitgraph.merging.merge_state_dict  # type: ignore[attr-defined]  # noqa: B018
