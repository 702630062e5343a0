"""The graph for other programs: equal boxes and arrows in every format."""

from __future__ import annotations

import json

from traitgraph.compiler.graph import graph_text

from .specs import SWEEP, plan_of

MERMAID = """\
flowchart LR
  train["train x 4 (4 present)"]
  vector["vector x 4"]
  merge["merge x 8"]
  assess_mini_ipip["assess mini-ipip x 9"]
  assess_arc_easy["assess arc_easy x 9"]
  collect["collect"]
  train -->|4| vector
  vector -->|8| merge
  merge -->|8| assess_mini_ipip
  merge -->|8| assess_arc_easy
  assess_mini_ipip -->|9| collect
  assess_arc_easy -->|9| collect
  classDef present fill:#d7ead9,stroke:#4b7f52
  class train present
"""


def test_stages_as_mermaid() -> None:
    plan = plan_of(SWEEP, present=lambda kind, key: kind == "train")
    assert graph_text(plan.draft, "mermaid") == MERMAID


def test_stages_as_dot() -> None:
    text = graph_text(plan_of(SWEEP).draft, "dot")
    assert text.startswith("digraph study {")
    assert '"vector" -> "merge" [label="8"]' in text


def test_the_full_graph_has_every_job_and_every_input() -> None:
    draft = plan_of(SWEEP).draft
    document = json.loads(graph_text(draft, "json", full=True))
    assert {node["id"] for node in document["nodes"]} == {key.hex() for key in draft.keys}
    assert len(document["edges"]) == sum(len(each.refs) for stage in draft.stages for each in stage.inputs)


def test_collapsed_and_full_graph_count_the_same_jobs() -> None:
    draft = plan_of(SWEEP).draft
    small = json.loads(graph_text(draft, "json"))
    assert sum(node["jobs"] for node in small["nodes"]) == draft.rows
    assert sum(edge["inputs"] for edge in small["edges"]) == sum(
        len(each.refs) for stage in draft.stages for each in stage.inputs
    )
