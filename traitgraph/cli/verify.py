"""`traitgraph verify`: read every artifact and report of a store from the first byte to the last."""

from __future__ import annotations

import argparse

from .options import add_store
from .output import UsageError, say, size_text


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """[--store DIR] [--keep]."""
    add_store(parser)
    parser.add_argument("--keep", action="store_true", help="leave damaged artifacts where they are")


def run(options: argparse.Namespace) -> int:
    """Say what is damaged and move it to STORE/damaged, so that the next run makes it again; 1 when something was.

    What cannot be read, or was written by another version, stays, and is no success either.
    """
    from traitgraph import Store
    from traitgraph.api.reporting import report_faults

    if not options.store.is_dir():
        raise UsageError(f"there is no store at {options.store}")
    artifacts = size = damaged = moved = unread = 0
    for finding in Store(options.store).verify(move=not options.keep):
        artifacts, size, moved = artifacts + 1, size + finding.bytes, moved + finding.moved
        if not finding.is_readable:
            unread += 1
            say(f"left alone: {finding.kind} {finding.key[:8]}: {'; '.join(finding.faults)}")
        elif finding.faults:
            damaged += 1
            say(f"damaged: {finding.kind} {finding.key[:8]}: {'; '.join(finding.faults)}")
    reports = sorted(options.store.glob("reports/*"))
    changed = [(folder, faults) for folder in reports if (faults := report_faults(folder))]
    for folder, faults in changed:
        say(f"changed: report {folder.name}: {'; '.join(faults)}")
    say(
        f"{artifacts:,} artifacts, {size_text(size)} read, {damaged} damaged"
        + (f", {len(changed)} of {len(reports)} reports changed" if changed else "")
        + (f", {unread:,} left alone" if unread else "")
    )
    if moved:
        say(f"moved to {options.store / 'damaged'}; run the study again to make them anew")
    if changed:
        say("`traitgraph report SPEC` renders a report again")
    return 1 if damaged or unread or changed else 0
