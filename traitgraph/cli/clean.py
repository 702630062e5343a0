"""`traitgraph clean`: remove what a store keeps beside its artifacts and nobody uses any more."""

from __future__ import annotations

import argparse

from .options import add_store
from .output import UsageError, say, size_text


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """[runs] [damaged] [partial] [--store DIR] [--older-than DAYS] [--dry-run]."""
    which = "which of them: runs (records and logs), damaged (set aside), partial (unfinished work); default: all"
    parser.add_argument("kinds", nargs="*", metavar="KIND", help=which)
    add_store(parser)
    age = "only what has not changed for so many days (default: any age)"
    parser.add_argument("--older-than", type=float, default=0.0, metavar="DAYS", help=age)
    parser.add_argument("--dry-run", action="store_true", help="say what would go, and remove nothing")


def run(options: argparse.Namespace) -> int:
    """Remove it and say how much that was; 1 when something cannot go. Artifacts and what a run may use stay."""
    from traitgraph import Store
    from traitgraph.api.cleaning import WHAT, leftovers

    if unknown := set(options.kinds) - WHAT.keys():
        raise UsageError(f"nothing to clean is called {', '.join(sorted(unknown))}; there are: {', '.join(WHAT)}")
    if not options.store.is_dir():
        raise UsageError(f"there is no store at {options.store}")
    store, failed = Store(options.store), 0
    gone: dict[str, list[int]] = {kind: [] for kind in WHAT if kind in (options.kinds or WHAT)}
    for each in leftovers(store, options.older_than):
        if each.kind not in gone:
            continue
        if each.reason_to_stay:
            say(f"stays: {each.kind}/{each.path.name}: {each.reason_to_stay}")
        elif options.dry_run or each.remove():
            gone[each.kind].append(each.bytes)
        else:
            failed += 1
            say(f"cannot be removed: {each.path}")
    for kind, sizes in gone.items():
        verb = "would go" if options.dry_run else "removed"
        say(f"{kind}: {len(sizes):,} {verb}, {size_text(sum(sizes))} ({WHAT[kind]})")
    if not options.dry_run:
        store.collect_leftovers()
    return 1 if failed else 0
