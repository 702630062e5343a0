"""`traitgraph materialize SPEC -o DIR`: write merged models of a study as checkpoints or adapters."""

from __future__ import annotations

import argparse
from pathlib import Path

from .options import add_select, add_spec, add_store, study_of
from .output import bytes_bar, say


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """SPEC [key=value ...] --select SELECTOR -o DIR [--form weights|adapter] [--rank R] [--dtype FORMAT]."""
    add_spec(parser)
    add_store(parser)
    add_select(parser)
    parser.add_argument("-o", "--output", type=Path, required=True, metavar="DIR", help="a folder per model goes here")
    form = "weights: transformers loads it; adapter: peft and vLLM load it (default: %(default)s)"
    parser.add_argument("--form", choices=("weights", "adapter"), default="weights", help=form)
    rank = "of an adapter: the best of that rank (default: exact)"
    parser.add_argument("--rank", type=int, metavar="R", help=rank)
    parser.add_argument("--dtype", choices=("float32", "bfloat16", "float16"), help="number format of the weights")


def run(options: argparse.Namespace) -> int:
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
