"""The graph for other programs: equal boxes and arrows in every format."""

from __future__ import annotations

import json

from traitgraph.compiler.ir.selector import parse_selector
from traitgraph.compiler.views.graph import graph_text

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


SELECTED = """\
flowchart LR
  train["train x 2 (2 present, needed)"]
  vector["vector x 2 (needed)"]
  merge["merge x 4 (2 only needed)"]
  assess_arc_easy["assess arc_easy x 2"]
  train -->|2| vector
  vector -->|4| merge
  merge -->|2| assess_arc_easy
  classDef present fill:#d7ead9,stroke:#4b7f52
  class train present
  classDef needed stroke-dasharray:4
  class train,vector needed
"""


def test_a_selection_reduces_the_graph_and_marks_what_is_only_needed() -> None:
    ends = ("level=high,alpha=1,benchmark=arc_easy", "level=high,alpha=0.5,kind=merge")
    plan = plan_of(SWEEP, present=lambda kind, key: kind == "train", select=tuple(map(parse_selector, ends)))
    assert graph_text(plan.draft, "mermaid") == SELECTED
    nodes = json.loads(graph_text(plan.draft, "json", full=True))["nodes"]
    assert sorted(node["label"] for node in nodes if not node["selected"]) == sorted(
        f"{kind} {trait} high{end}"
        for trait in ("extraversion", "neuroticism")
        for kind, end in (("train", ""), ("vector", ""), ("merge", " alpha 1"))
    )
