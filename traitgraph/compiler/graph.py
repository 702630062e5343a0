"""The graph of a plan for other programs: Mermaid, Graphviz and JSON, collapsed by stage or in full."""

from __future__ import annotations

import json
from collections import Counter
from collections.abc import Callable
from dataclasses import asdict, dataclass

from .ir import Draft
from .label import Labels

WORDS = ("present", "missing", "unneeded")


@dataclass(frozen=True)
class Node:
    """One box: a job, or all jobs of one kind and benchmark."""

    id: str
    kind: str
    label: str
    jobs: int
    present: int
    missing: int


@dataclass(frozen=True)
class Graph:
    """Boxes and the arrows between them; an arrow carries how many single inputs it stands for."""

    nodes: tuple[Node, ...]
    edges: tuple[tuple[str, str, int], ...]


def stage_graph(draft: Draft) -> Graph:
    """One node for each kind of job and benchmark, whatever arms and templates its jobs have."""
    name_of = [f"{stage.kind} {stage.name}" if stage.name != stage.kind else stage.kind for stage in draft.stages]
    counts: dict[str, Counter[str]] = {}
    edges: Counter[tuple[str, str]] = Counter()
    for index, stage in enumerate(draft.stages):
        count = counts.setdefault(name_of[index], Counter())
        for row in range(draft.offsets[index], draft.offsets[index + 1]):
            count["jobs"] += 1
            count[WORDS[draft.status[row]] if draft.status else "missing"] += 1
        for each in stage.inputs:
            edges.update((name_of[draft.stage_of(ref)], name_of[index]) for ref in each.refs)
    nodes = (
        Node(_id(name), name.partition(" ")[0], name, count["jobs"], count["present"], count["missing"])
        for name, count in counts.items()
    )
    return Graph(tuple(nodes), tuple((_id(one), _id(two), count) for (one, two), count in edges.items()))


def job_graph(draft: Draft) -> Graph:
    """One node for each job, named by the start of its key."""
    nodes, edges, labels = [], [], Labels(draft)
    for row in range(draft.rows):
        stage, _ = draft.locate(row)
        status = WORDS[draft.status[row]] if draft.status else "missing"
        name = draft.keys[row].hex()
        nodes.append(Node(name, stage.kind, labels.of(row), 1, int(status == "present"), int(status == "missing")))
        for refs in draft.inputs_of(row).values():
            edges += [(draft.keys[ref].hex(), name, 1) for ref in refs]
    return Graph(tuple(nodes), tuple(edges))


def _id(name: str) -> str:
    return "".join(character if character.isalnum() else "_" for character in name)


def mermaid(graph: Graph) -> str:
    """A Mermaid flowchart, as Markdown pages show it."""
    lines = ["flowchart LR"]
    lines += [f'  {node.id}["{_escaped(_caption(node))}"]' for node in graph.nodes]
    lines += [f"  {one} -->{_count(count)} {two}" for one, two, count in graph.edges]
    done = [node.id for node in graph.nodes if node.jobs == node.present]
    if done:
        lines += ["  classDef present fill:#d7ead9,stroke:#4b7f52", f"  class {','.join(done)} present"]
    return "\n".join(lines) + "\n"


def dot(graph: Graph) -> str:
    """A Graphviz digraph."""
    lines = ["digraph study {", "  rankdir=LR", "  node [shape=box]"]
    for node in graph.nodes:
        style = ' style=filled fillcolor="#d7ead9"' if node.jobs == node.present else ""
        lines.append(f"  {json.dumps(node.id)} [label={json.dumps(_caption(node))}{style}]")
    for one, two, count in graph.edges:
        caption = f' [label="{count:,}"]' if count > 1 else ""
        lines.append(f"  {json.dumps(one)} -> {json.dumps(two)}{caption}")
    return "\n".join([*lines, "}"]) + "\n"


def as_json(graph: Graph) -> str:
    """One JSON document: {"nodes": [...], "edges": [{"from", "to", "inputs"}]}."""
    nodes = [asdict(node) for node in graph.nodes]
    edges = [{"from": one, "to": two, "inputs": count} for one, two, count in graph.edges]
    return json.dumps({"nodes": nodes, "edges": edges}, indent=1) + "\n"


FORMATS: dict[str, Callable[[Graph], str]] = {"mermaid": mermaid, "dot": dot, "json": as_json}


def graph_text(draft: Draft, form: str = "mermaid", *, full: bool = False) -> str:
    """The graph of a draft in one of `FORMATS`; `full` shows every job. Raises KeyError for an unknown format."""
    return FORMATS[form](job_graph(draft) if full else stage_graph(draft))


def _caption(node: Node) -> str:
    if node.jobs == 1:
        return node.label
    return f"{node.label} x {node.jobs:,}" + (f" ({node.present:,} present)" if node.present else "")


def _escaped(text: str) -> str:
    return text.replace('"', "#quot;")


def _count(count: int) -> str:
    return f"|{count:,}|" if count > 1 else ""
