"""The table of commands and the one way into each.

A command `NAME` is two functions of a module of this folder: `NAME_arguments(parser)` and `do_NAME(options) -> int`.
The module is imported only when the command is asked for, so that `--help` starts without the compiler.
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
from collections.abc import Sequence
from pathlib import Path
from typing import TextIO, cast

from traitgraph import StoreError, __version__
from traitgraph.api.calls import NEEDED, UsageError, colour_wanted, from_home, not_installed, say, write_to_nobody
from traitgraph.specs.fields.registry import problems
from traitgraph.specs.source.diagnostics import SpecError, render_text

from .options import from_spec
from .output import Plain

COMMANDS: dict[str, tuple[str, str]] = {
    "init": ("language", "Write a first spec, and the schema that editors check it with"),
    "check": ("language", "Find every fault of a spec, with its place and its repair"),
    "plan": ("plans", "Say what a spec would run, what is there already, and what it takes"),
    "run": ("runs", "Run what is missing, here or on SLURM; then write the report"),
    "status": ("runs", "Say how far a study is, and what failed"),
    "wait": ("runs", "Return when a SLURM run is over"),
    "logs": ("runs", "Print the log of a job"),
    "retry": ("runs", "Submit again what a SLURM run left missing"),
    "cancel": ("runs", "Take a SLURM run out of the queue"),
    "results": ("stores", "Print the rows of the results table"),
    "report": ("stores", "Write the report again from what the store holds"),
    "verify": ("stores", "Read every artifact of a store and set damaged ones aside"),
    "clean": ("stores", "Remove what a store keeps beside its artifacts and nobody uses any more"),
    "materialize": ("models", "Write merged models of a study as checkpoints or adapters"),
    "merge": ("models", "Do one merge without a study, from a recipe of ours or of mergekit"),
    "diff": ("plans", "Say which jobs of two specs differ, and why"),
    "lock": ("plans", "Write down every revision, digest and version that a study rests on"),
    "explain": ("plans", "Say what a message means, or what a job is and why it runs"),
    "compile": ("plans", "Print the intermediate form of a study after a pass of the compiler"),
    "graph": ("plans", "Print the job graph as Mermaid, Graphviz or JSON"),
    "schema": ("language", "Print the JSON Schema of a spec, for editors"),
    "doctor": ("runs", "Look at a SLURM site and say what to repair"),
}
"""Name -> its module and a summary, in the order a user meets them."""


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
        print(_overview())
        return 0 if words else 2
    if words[0] in ("-V", "--version"):
        print(f"traitgraph {__version__}")
        return 0
    return _run_command(words[0], words[1:]) if words[0] in COMMANDS else _unknown(words)


def _run_command(name: str, words: Sequence[str]) -> int:
    module, summary = COMMANDS[name]
    functions = vars(importlib.import_module(f"traitgraph.cli.{module}"))
    parser = argparse.ArgumentParser(prog=f"traitgraph {name}", description=summary + ".", allow_abbrev=False)
    parser.register("type", Path, from_home)
    functions[f"{name}_arguments"](parser)
    try:
        options = parser.parse_intermixed_args(words)
    except SystemExit:  # --help, or a wrong call
        sys.stdout.flush()
        raise
    if getattr(options, "overrides", None) and options.spec is not None:
        options.overrides = from_spec(options.spec, options.overrides)
    code: int = functions[f"do_{name}"](options)
    return code


def _overview() -> str:
    width = max(map(len, COMMANDS))
    lines = [f"  {name:<{width}}  {summary}" for name, (_, summary) in COMMANDS.items()]
    return "\n".join(
        [
            "traitgraph: one YAML file in; a checked job graph, its runs and a report out.",
            "",
            "usage: traitgraph COMMAND SPEC [key=value ...] [options]",
            "",
            *lines,
            "",
            "traitgraph COMMAND --help tells its options.",
            "Exit codes: 0 done, 1 a job failed, 2 the spec or the call is wrong.",
            "Start with: traitgraph init my-study",
        ]
    )


def _unknown(words: Sequence[str]) -> int:
    name = words[0]
    if name.endswith((".yaml", ".yml")):
        say(f"traitgraph: '{name}' is a spec, and no command; next: {shlex.join(['traitgraph', 'run', *words])}")
        return 2
    near = difflib.get_close_matches(name, COMMANDS, n=2)
    say(f"traitgraph: no command '{name}'" + (f"; near: {', '.join(near)}" if near else ""))
    say(f"commands: {', '.join(COMMANDS)}")
    return 2
