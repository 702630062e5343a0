"""Commands about what a store holds: results, the report, a look for damage, and what may go."""

from __future__ import annotations

import argparse
import sys
from pathlib import Path

from traitgraph.api.calls import UsageError, say

from .options import add_store, study_of
from .output import size_text
from .runs import run_call


def results_arguments(parser: argparse.ArgumentParser) -> None:
    """[--csv | --json | -o FILE]."""
    form = parser.add_mutually_exclusive_group()
    form.add_argument("--csv", action="store_true", help="comma-separated values with a header (the default)")
    form.add_argument("--json", action="store_true", help="one JSON array of objects, with typed values")
    where = "write them to a file instead, as its suffix says: .csv, .json or .parquet"
    form.add_argument("-o", "--output", type=Path, metavar="FILE", help=where)


def do_results(options: argparse.Namespace) -> int:
    """Print or write every row whose assessment is in the store; say on standard error how many are missing."""
    from traitgraph.api.results import results, to_json, write_csv

    study = study_of(options)
    found = results(study, options.store, select=options.select)
    if not found:
        raise UsageError(f"no result of {study.study} is in {options.store}; next: {run_call(options, study)}")
    if options.output:
        found.write(options.output)
    elif options.json:
        sys.stdout.write(to_json(found))
    else:
        write_csv(found, sys.stdout)
    if found.missing:
        say(f"{found.absent:,} of {found.asked:,} assessments are not in {options.store}")
        say(f"next: {run_call(options, study)}")
    return 0


def do_report(options: argparse.Namespace) -> int:
    """Write the report and print its path; mirror the study where the spec asks for it."""
    from traitgraph.api.results import NoResultError, report

    study = study_of(options)
    try:
        page = report(study, options.store)
    except NoResultError as nothing:
        what = f"no result of study {study.study} is in {options.store}"
        raise UsageError(f"{what}; next: {run_call(options, study)}") from nothing
    sys.stdout.write(f"{page}\n")
    return 0


def verify_arguments(parser: argparse.ArgumentParser) -> None:
    """[--keep]."""
    parser.add_argument("--keep", action="store_true", help="leave damaged artifacts where they are")


def do_verify(options: argparse.Namespace) -> int:
    """Read everything, say what is damaged, and move it to STORE/damaged, so that the next run makes it again.

    1 when something was; what cannot be read, or was written by another version, stays, and is no success either.
    """
    from traitgraph.api.results import report_faults
    from traitgraph.api.upkeep import existing_store

    artifacts = size = damaged = moved = unread = 0
    for finding in existing_store(options.store).verify(move=not options.keep):
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


def clean_arguments(parser: argparse.ArgumentParser) -> None:
    """[runs] [damaged] [partial] [--store DIR] [--older-than DAYS] [--dry-run]."""
    which = "which of them: runs (records and logs), damaged (set aside), partial (unfinished work); default: all"
    parser.add_argument("kinds", nargs="*", metavar="KIND", help=which)
    add_store(parser)
    age = "only what has not changed for so many days (default: any age)"
    parser.add_argument("--older-than", type=float, default=0.0, metavar="DAYS", help=age)
    parser.add_argument("--dry-run", action="store_true", help="say what would go, and remove nothing")


def do_clean(options: argparse.Namespace) -> int:
    """Remove it and say how much that was; 1 when something cannot go. Artifacts and what a run may use stay."""
    from traitgraph.api.upkeep import WHAT, clean

    gone, failed = clean(options.store, options.kinds, options.older_than, dry_run=options.dry_run)
    for kind, sizes in gone.items():
        verb = "would go" if options.dry_run else "removed"
        say(f"{kind}: {len(sizes):,} {verb}, {size_text(sum(sizes))} ({WHAT[kind]})")
    return 1 if failed else 0
