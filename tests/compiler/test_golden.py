"""Every pass against golden files: a spec above `---`, the draft after the pass below it.

Rewrite them with --rewrite-golden and review the difference like code. A comment `# present: KIND ...` says which kinds
the store already holds, `# minutes: N` how long tasks should be,
`# select: SELECTOR` what is asked for.
"""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import pytest

from traitgraph.compiler.ir.context import Context
from traitgraph.compiler.ir.ir import Draft
from traitgraph.compiler.ir.selector import parse_selector
from traitgraph.compiler.pipeline import PASSES, run_passes
from traitgraph.compiler.print_draft import draft_text

from .invariants import check_keys, check_repeats, check_shape, check_tasks
from .specs import context, study_of

GOLDEN = Path(__file__).parent.parent / "golden"
PASS_OF = {each.__name__: number for number, each in enumerate(PASSES)}
CASES = sorted(file for name in PASS_OF for file in (GOLDEN / name).glob("*.yaml"))


def _context(spec: str) -> Context:
    options = {
        line[2:].partition(":")[0]: line.partition(":")[2].split() for line in spec.splitlines() if line[0] == "#"
    }
    present = options.get("present", [])
    minutes = float(options.get("minutes", ["30"])[0])
    select = tuple(parse_selector(each) for each in options.get("select", []))
    return context(present=lambda kind, key: kind in present, task_minutes=minutes, select=select)


def _after(spec: str, name: str) -> Draft:
    study = study_of(spec)
    return run_passes(Draft(study.study, source=study), _context(spec), PASSES[: PASS_OF[name] + 1])


@pytest.mark.parametrize("file", CASES, ids=lambda file: f"{file.parent.name}/{file.stem}")
def test_pass_gives_what_the_golden_file_says(file: Path, rewrite_golden: bool) -> None:
    spec, _, expected = file.read_text(encoding="utf-8").partition("\n---\n")
    draft = _after(spec, file.parent.name)
    printed = draft_text(draft)
    if rewrite_golden:
        file.write_text(f"{spec}\n---\n{printed}", encoding="utf-8")
        expected = printed
    assert printed == expected
    check_shape(draft)
    if draft.keys:
        check_keys(draft)
    if draft.tasks:
        check_tasks(draft)
    check_repeats(PASSES[PASS_OF[file.parent.name]], _comparable(draft), _context(spec))


def _comparable(draft: Draft) -> Draft:
    """Lowering starts from arms that have no jobs yet; every other pass takes its own result."""
    return replace(draft, keys=list(draft.keys)) if draft.keys else draft


def test_every_pass_has_a_golden_file() -> None:
    assert {file.parent.name for file in CASES} == set(PASS_OF)
