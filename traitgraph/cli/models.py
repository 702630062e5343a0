"""Commands that write merged models: those of a study, or one from a recipe without a study."""

from __future__ import annotations

import argparse
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

from traitgraph.api.calls import UsageError, say

from .options import study_of
from .output import bytes_bar, print_json, size_text


def materialize_arguments(parser: argparse.ArgumentParser) -> None:
    """-o DIR [--form weights|adapter] [--rank R] [--dtype FORMAT]."""
    parser.add_argument("-o", "--output", type=Path, required=True, metavar="DIR", help="a folder per model goes here")
    form = "weights: transformers loads it; adapter: peft and vLLM load it (default: %(default)s)"
    parser.add_argument("--form", choices=("weights", "adapter"), default="weights", help=form)
    rank = "of an adapter: the best of that rank (default: exact)"
    parser.add_argument("--rank", type=int, metavar="R", help=rank)
    parser.add_argument("--dtype", choices=("float32", "bfloat16", "float16"), help="number format of the weights")


def do_materialize(options: argparse.Namespace) -> int:
    """Write every selected merge that the store holds, in one pass over the base."""
    from traitgraph.api.materializing import check_form, materialize

    check_form(options.form, options.rank, options.dtype)
    study = study_of(options)
    with bytes_bar("writing") as progress:
        folders = materialize(
            study,
            options.output,
            options.store,
            select=options.select,
            form=options.form,
            rank=options.rank,
            dtype=options.dtype,
            progress=progress,
        )
    for folder in folders:
        print(folder)
    say(f"{len(folders)} written to {options.output}")
    return 0


def merge_arguments(parser: argparse.ArgumentParser) -> None:
    """RECIPE (-o DIR | --dry-run) [--dtype FORMAT] [--json]."""
    parser.add_argument("recipe", type=Path, metavar="RECIPE", help="YAML: ours (docs/merging.md), or mergekit's")
    parser.add_argument(
        "-o", "--output", type=Path, metavar="DIR", help="new folder for the model; a dry run needs none"
    )
    names = "read names and shapes only: what matches, what does not, and the bytes"
    parser.add_argument("--dry-run", action="store_true", help=names)
    formats = ("float32", "bfloat16", "float16")
    parser.add_argument("--dtype", choices=formats, help="number format of the result, in place of the file's")
    parser.add_argument("--json", action="store_true", help="print the whole report as JSON")


def do_merge(options: argparse.Namespace) -> int:
    """Merge, write, and say what was done."""
    if options.output is None and not options.dry_run:
        raise UsageError("name the new folder: -o DIR; or look first: --dry-run")
    from traitgraph.runtime.merge_files.from_file import merge_from_file
    from traitgraph.runtime.tensors.checkpoint import MergeError

    try:
        with bytes_bar("merging") as progress:
            report = merge_from_file(
                options.recipe, options.output, dry_run=options.dry_run, dtype=options.dtype, progress=progress
            )
    except (MergeError, OSError) as problem:
        raise UsageError(str(problem)) from problem
    if options.json:
        print_json(report.as_data())
        return 0
    for line in _lines(report.as_data()):
        say(line)
    say("nothing was written" if options.dry_run else f"wrote {options.output}")
    return 0


def _lines(done: Mapping[str, Any]) -> Iterator[str]:
    """What matched, what it comes to, and everything that the user should know."""
    changed, whole = (size_text(done[key]) for key in ("bytes_changed", "bytes_written"))
    yield f"{len(done['matched'])} tensors matched, {changed} of {whole} changed (every name: --json)"
    other = [(theirs, ours) for theirs, ours in done["matched"].items() if theirs != ours]
    if other:
        yield f"{len(other)} under other names, first {other[0][0]} -> {other[0][1]}"
    for what in ("unmatched", "left_as_in_the_base"):
        if names := list(done[what]):
            more = f" and {len(names) - 5} more" if len(names) > 5 else ""
            yield f"{what.replace('_', ' ')}: {', '.join(map(str, names[:5]))}{more}"
    for name, rows in done["rows_in_common"].items():
        yield f"rows in common: the first {rows} of {name}"
    if statistics := done["statistics"]:
        if statistics["effective_alpha"] is None:
            none = "the change lies in none of" if statistics["norm"] else "no change: the vectors add nothing to"
            yield f"{none} the sampled weights, and there is no effective alpha"
        else:
            yield "effective alpha {effective_alpha:.4f}, relative error {relative_error:.2g}".format(**statistics)
    yield from (f"warning: {text}" for text in done["warnings"])
    yield from (f"note: {text}" for text in done["notes"])
