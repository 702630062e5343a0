"""`traitgraph lock SPEC`: write down every revision, digest and version that a study rests on."""

from __future__ import annotations

import argparse
import json
from pathlib import Path

from .options import add_spec, add_store, plan_of
from .output import UsageError, say, write_whole


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """SPEC [key=value ...] [--store DIR] [-o FILE] [--check]."""
    add_spec(parser)
    add_store(parser)
    where = "the lock file (default: the spec with .lock.json)"
    parser.add_argument("-o", "--output", type=Path, metavar="FILE", help=where)
    parser.add_argument("--check", action="store_true", help="compare with the lock file instead of writing it")


def run(options: argparse.Namespace) -> int:
    """Write the lock, or with --check say what differs from it; 1 when something does."""
    from traitgraph.compiler.views.lock import lock_differences, lock_document, unpinned
    from traitgraph.runtime.store.artifacts import installed_versions

    plan = plan_of(options)
    lock = lock_document(plan, installed_versions())
    path = options.output or options.spec.with_suffix(".lock.json")
    if options.check:
        differences = lock_differences(_read(path), lock)
        say("\n".join(differences) or f"{path}: nothing differs")
        return 1 if differences else 0
    write_whole(path, json.dumps(lock, indent=1, ensure_ascii=False) + "\n")
    for name in unpinned(lock):
        repair = "; give a commit as `revision`" if "/" in name else " (the harness names no commit)"
        say(f"not pinned: {name}{repair}")
    say(f"wrote {path}")
    return 0


def _read(path: Path) -> dict[str, object]:
    try:
        document = json.loads(path.read_bytes())
    except (OSError, ValueError) as problem:
        reason = getattr(problem, "strerror", None) or problem
        raise UsageError(f"cannot read the lock {path}: {reason}; write it without --check") from problem
    if not isinstance(document, dict):
        raise UsageError(f"{path} is no lock; write it without --check")
    return document
