"""The graph of a plan for other programs: Mermaid, Graphviz and JSON, collapsed by stage or in full.

With a selection it is reduced to the selected jobs and those that they need, and tells one from the other.
"""

from __future__ import annotations

import json
from collections import Counter
from collections.abc import Iterable, Sequence
from dataclasses import asdict, dataclass
from itertools import chain

from traitgraph.compiler.ir.ir import MISSING, PRESENT, STATUS_WORDS, Draft
from traitgraph.compiler.label import labels_of


@dataclass(frozen=True)
class Node:
    """One box: a job, or all jobs of one kind and benchmark."""

    id: str
    kind: str
    label: str
    jobs: int
    present: int
    missing: int
    selected: int
    """Jobs that a selection names; without one all of them. The others are there because selected ones need them."""


@dataclass(frozen=True)
class Graph:
    """Boxes and the arrows between them; an arrow carries how many single inputs it stands for."""

    nodes: tuple[Node, ...]
    edges: tuple[tuple[str, str, int], ...]


def graph_text(draft: Draft, form: str = "mermaid", *, full: bool = False) -> str:
    """The graph of a draft as `mermaid`, `dot` or `json`; `full` shows every job. Raises KeyError for another form."""
    graph = _job_graph(draft) if full else _stage_graph(draft)
    return {"mermaid": _mermaid, "dot": _dot, "json": _as_json}[form](graph)


def _stage_graph(draft: Draft) -> Graph:
    """One node for each kind of job and benchmark, whatever arms and templates its jobs have."""
    name_of = [stage.title for stage in draft.stages]
    counts: dict[str, Counter[str]] = {}
    edges: Counter[tuple[str, str]] = Counter()
    for row in _shown(draft):
        name = name_of[draft.stage_of(row)]
        counts.setdefault(name, Counter()).update(("jobs", STATUS_WORDS[_status(draft, row)], *_selected(draft, row)))
        edges.update((name_of[draft.stage_of(ref)], name) for ref in _needs(draft, row))
    nodes = (
        Node(
            _id(name),
            name.partition(" ")[0],
            name,
            *(count[what] for what in ("jobs", "present", "missing", "selected")),
        )
        for name, count in counts.items()
    )
    return Graph(tuple(nodes), tuple((_id(one), _id(two), count) for (one, two), count in edges.items()))


def _job_graph(draft: Draft) -> Graph:
    """One node for each job, named by the start of its key."""
    nodes, edges, labels = [], [], labels_of(draft)
    for row in _shown(draft):
        stage, _ = draft.locate(row)
        status, name = _status(draft, row), draft.keys[row].hex()
        counts = (int(status == PRESENT), int(status == MISSING), len(_selected(draft, row)))
        nodes.append(Node(name, stage.kind, labels[row], 1, *counts))
        edges += [(draft.keys[ref].hex(), name, 1) for ref in _needs(draft, row)]
    return Graph(tuple(nodes), tuple(edges))


def _shown(draft: Draft) -> Sequence[int]:
    """All rows; with a selection the selected ones, what runs for them, and what that reads."""
    if draft.wanted is None:
        return range(draft.rows)
    run = [row for row, status in enumerate(draft.status) if status == MISSING]
    return sorted({*draft.wanted, *run, *chain.from_iterable(map(draft.needs, run))})


def _needs(draft: Draft, row: int) -> Iterable[int]:
    """The inputs of a row that are shown: what is there needs nothing any more when only a part is asked for."""
    return draft.needs(row) if draft.wanted is None or draft.status[row] == MISSING else ()


def _status(draft: Draft, row: int) -> int:
    return draft.status[row] if draft.status else MISSING


def _selected(draft: Draft, row: int) -> tuple[str, ...]:
    return ("selected",) if draft.wanted is None or row in draft.wanted else ()


def _id(name: str) -> str:
    return "".join(character if character.isalnum() else "_" for character in name)


def _mermaid(graph: Graph) -> str:
    """A Mermaid flowchart, as Markdown pages show it."""
    lines = ["flowchart LR"]
    captions = [_caption(node).replace('"', "#quot;") for node in graph.nodes]
    lines += [f'  {node.id}["{caption}"]' for node, caption in zip(graph.nodes, captions, strict=True)]
    lines += [f"  {one} -->{f'|{count:,}|' if count > 1 else ''} {two}" for one, two, count in graph.edges]
    done = [node.id for node in graph.nodes if node.jobs == node.present]
    if done:
        lines += ["  classDef present fill:#d7ead9,stroke:#4b7f52", f"  class {','.join(done)} present"]
    needed = [node.id for node in graph.nodes if not node.selected]
    if needed:
        lines += ["  classDef needed stroke-dasharray:4", f"  class {','.join(needed)} needed"]
    return "\n".join(lines) + "\n"


def _dot(graph: Graph) -> str:
    """A Graphviz digraph."""
    lines = ["digraph study {", "  rankdir=LR", "  node [shape=box]"]
    for node in graph.nodes:
        words = ["filled"] * (node.jobs == node.present) + ["dashed"] * (not node.selected)
        style = f' style="{",".join(words)}"' if words else ""
        style += ' fillcolor="#d7ead9"' if "filled" in words else ""
        lines.append(f"  {json.dumps(node.id)} [label={json.dumps(_caption(node))}{style}]")
    for one, two, count in graph.edges:
        caption = f' [label="{count:,}"]' if count > 1 else ""
        lines.append(f"  {json.dumps(one)} -> {json.dumps(two)}{caption}")
    return "\n".join([*lines, "}"]) + "\n"


def _as_json(graph: Graph) -> str:
    """One JSON document: {"nodes": [...], "edges": [{"from", "to", "inputs"}]}."""
    nodes = [asdict(node) for node in graph.nodes]
    edges = [{"from": one, "to": two, "inputs": count} for one, two, count in graph.edges]
    return json.dumps({"nodes": nodes, "edges": edges}, indent=1) + "\n"


def _caption(node: Node) -> str:
    number = f" x {node.jobs:,}" if node.jobs > 1 else ""
    told = [f"{node.present:,} present"] if node.present and number else []
    if not node.selected:
        told.append("needed")
    elif node.selected < node.jobs:
        told.append(f"{node.jobs - node.selected:,} only needed")
    return node.label + number + (f" ({', '.join(told)})" if told else "")
