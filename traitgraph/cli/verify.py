"""`traitgraph verify`: read every artifact of a store from the first byte to the last."""

from __future__ import annotations

import argparse

from .options import add_store
from .output import UsageError, say, size_text


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """[--store DIR] [--keep]."""
    add_store(parser)
    parser.add_argument("--keep", action="store_true", help="leave damaged artifacts where they are")


def run(options: argparse.Namespace) -> int:
    """Say what is damaged and move it to STORE/damaged, so that the next run makes it again; 1 when something was."""
    from traitgraph.runtime.store import Store

    if not options.store.is_dir():
        raise UsageError(f"there is no store at {options.store}")
    artifacts = size = damaged = 0
    for finding in Store(options.store).verify(move=not options.keep):
        artifacts, size = artifacts + 1, size + finding.bytes
        if finding.faults:
            damaged += 1
            say(f"damaged: {finding.kind} {finding.key[:8]}: {'; '.join(finding.faults)}")
    say(f"{artifacts:,} artifacts, {size_text(size)} read, {damaged} damaged")
    if damaged and not options.keep:
        say(f"moved to {options.store / 'damaged'}; run the study again to make them anew")
    return 1 if damaged else 0
