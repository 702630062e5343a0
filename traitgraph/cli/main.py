"""The table of commands and the one way into each.

A command is a function `do_NAME(options) -> int` of a module of this folder; where it takes more than it shares with
others, `NAME_arguments(parser)` stands before it. The module is imported only when the command is asked for, so that
`--help` starts without the compiler.
"""

from __future__ import annotations

import argparse
import contextlib
import difflib
import errno
import gc
import importlib
import os
import shlex
import sys
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import TextIO, cast

from traitgraph import StoreError, __version__
from traitgraph.api.calls import NEEDED, UsageError, colour_wanted, from_home, not_installed, say, write_to_nobody
from traitgraph.specs.fields.registry import problems
from traitgraph.specs.source.diagnostics import SpecError, render_text

from .options import SHARED, from_spec
from .output import Plain

COMMANDS: dict[str, tuple[str, str, str]] = {
    "init": ("language", "", "Write a first spec, and the schema that editors check it with"),
    "check": ("language", "spec json", "Find every fault of a spec, with its place and its repair"),
    "plan": ("plans", "spec store select json", "Say what a spec would run, what is there already, and what it takes"),
    "run": ("runs", "spec store select", "Run what is missing, here or on SLURM; then write the report"),
    "status": ("runs", "spec store select json", "Say how far a study is, and what failed"),
    "wait": ("runs", "spec store run", "Return when a SLURM run is over"),
    "logs": ("runs", "", "Print the log of a job"),
    "retry": ("runs", "spec store run", "Submit again what a SLURM run left missing"),
    "cancel": ("runs", "spec store run", "Take a SLURM run out of the queue"),
    "results": ("stores", "spec store select", "Print the rows of the results table"),
    "report": ("stores", "spec store", "Write the report again from what the store holds"),
    "verify": ("stores", "store", "Read every artifact of a store and set damaged ones aside"),
    "clean": ("stores", "", "Remove what a store keeps beside its artifacts and nobody uses any more"),
    "materialize": ("models", "spec store select", "Write merged models of a study as checkpoints or adapters"),
    "merge": ("models", "", "Do one merge without a study, from a recipe of ours or of mergekit"),
    "diff": ("plans", "", "Say which jobs of two specs differ, and why"),
    "lock": ("plans", "spec store", "Write down every revision, digest and version that a study rests on"),
    "explain": ("plans", "", "Say what a message means, or what a job is and why it runs"),
    "compile": ("plans", "spec", "Print the intermediate form of a study after a pass of the compiler"),
    "graph": ("plans", "spec store select", "Print the job graph as Mermaid, Graphviz or JSON"),
    "schema": ("language", "", "Print the JSON Schema of a spec, for editors"),
    "doctor": ("runs", "spec store json", "Look at a SLURM site and say what to repair"),
}
"""Name -> its module, the arguments that it shares with others, and a summary, in the order a user meets them."""

OVERVIEW = """\
traitgraph: one YAML file in; a checked job graph, its runs and a report out.

usage: traitgraph COMMAND SPEC [key=value ...] [options]

{commands}

traitgraph COMMAND --help tells its options.
Exit codes: 0 done, 1 a job failed, 2 the spec or the call is wrong.
Start with: traitgraph init my-study"""

UNUSABLE = (
    errno.EACCES,
    errno.EPERM,
    errno.EROFS,
    errno.ENOTDIR,
    errno.EEXIST,
    errno.ENAMETOOLONG,
    errno.ENOSPC,
    errno.EDQUOT,
    errno.EIO,
    errno.ESTALE,
)
"""What the system says of a place that cannot be used, or not any more; all else is a bug of ours."""


def main(arguments: Sequence[str] | None = None) -> int:
    """Run one command line; returns the exit code: 0 done, 1 a job failed, 2 the spec or the call is wrong."""
    os.environ.setdefault("PYDANTIC_DISABLE_PLUGINS", "__all__")  # looked for in every installed package: 10 ms
    gc.set_threshold(100_000)  # a command makes many objects at its start and hardly a cycle: 10 ms of each are saved
    words = list(sys.argv[1:] if arguments is None else arguments)
    name = words[0] if words else ""
    try:
        with contextlib.redirect_stdout(cast("TextIO", Plain(sys.stdout))):
            code = _answer(words)
        sys.stdout.flush()  # here, where a failure can be told, and not while Python ends
        return code
    except SpecError as problem:
        say(render_text(problem.diagnostics, colour_wanted()).removesuffix("\n"), painted=True)
        return 2
    except (UsageError, StoreError) as problem:
        say(f"traitgraph {name}: {problem}")
        return 2
    except ModuleNotFoundError as problem:
        library = (problem.name or "").partition(".")[0]
        if library not in (*NEEDED, "numpy", "scipy", "safetensors", "huggingface_hub"):
            raise
        say(f"traitgraph {name}: {not_installed([library])}")
        return 2
    except BrokenPipeError:  # the reader of our output went away (`| head`): not our failure
        write_to_nobody(sys.stdout)
        return 0
    except OSError as problem:
        if problem.errno not in UNUSABLE:
            raise
        place = f"cannot use {problem.filename}: {problem.strerror}; name another place (--store, -o)"
        say(f"traitgraph {name}: {place if problem.filename else problem.strerror}")
        write_to_nobody(sys.stdout)
        return 2
    except KeyboardInterrupt:  # Ctrl-C, which is how `logs -f` and `status --watch` end
        say(f"traitgraph {name}: stopped")
        return 1
    finally:
        for sentence in problems():
            say(f"warning: {sentence}")


def _answer(words: Sequence[str]) -> int:
    if not words or words[0] in ("-h", "--help", "help"):
        width = max(map(len, COMMANDS))
        lines = (f"  {name:<{width}}  {summary}" for name, (_, _, summary) in COMMANDS.items())
        print(OVERVIEW.format(commands="\n".join(lines)))
        return 0 if words else 2
    if words[0] in ("-V", "--version"):
        print(f"traitgraph {__version__}")
        return 0
    return _run_command(words[0], words[1:]) if words[0] in COMMANDS else _unknown(words)


def _run_command(name: str, words: Sequence[str]) -> int:
    summary = COMMANDS[name][-1]
    parser = argparse.ArgumentParser(prog=f"traitgraph {name}", description=summary + ".", allow_abbrev=False)
    parser.register("type", Path, from_home)
    do = add_command(name, parser)
    try:
        options = parser.parse_intermixed_args(words)
    except SystemExit:  # --help, or a wrong call
        sys.stdout.flush()
        raise
    if getattr(options, "overrides", None) and options.spec is not None:
        options.overrides = from_spec(options.spec, options.overrides)
    return do(options)


def add_command(name: str, parser: argparse.ArgumentParser) -> Callable[[argparse.Namespace], int]:
    """Tell a parser what a command takes, first what it shares with others; gives the command itself."""
    module, shared, _ = COMMANDS[name]
    functions = vars(importlib.import_module(f"traitgraph.cli.{module}"))
    for each in shared.split():
        SHARED[each](parser)
    if own := functions.get(f"{name}_arguments"):
        own(parser)
    do: Callable[[argparse.Namespace], int] = functions[f"do_{name}"]
    return do


def _unknown(words: Sequence[str]) -> int:
    name = words[0]
    if name.endswith((".yaml", ".yml")):
        say(f"traitgraph: '{name}' is a spec, and no command; next: {shlex.join(['traitgraph', 'run', *words])}")
        return 2
    near = difflib.get_close_matches(name, COMMANDS, n=2)
    say(f"traitgraph: no command '{name}'" + (f"; near: {', '.join(near)}" if near else ""))
    say(f"commands: {', '.join(COMMANDS)}")
    return 2
