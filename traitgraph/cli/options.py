"""Options that several commands share, and what they mean: the spec, its overrides, the store, a selection."""

from __future__ import annotations

import argparse
import os
import re
import shlex
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING

from traitgraph.api.calls import STORE_VARIABLE, default_store, say
from traitgraph.specs.source.diagnostics import Diagnostic, SpecError, error
from traitgraph.specs.source.library import exists

if TYPE_CHECKING:
    from traitgraph.api.planning import Plan
    from traitgraph.specs.study.study import Study

DEFAULT_STORE = default_store()


def add_spec(parser: argparse.ArgumentParser) -> None:
    """SPEC [key=value ...] [-m]."""
    parser.add_argument("spec", type=Path, metavar="SPEC", help="the YAML file of a study")
    parser.add_argument("overrides", nargs="*", default=[], metavar="key=value", help="values in place of the file's")
    sweep = "sweep: key=a,b and key=range(...) give one study per value, all in one graph"
    parser.add_argument("-m", "--multirun", action="store_true", help=sweep)


_WORD_OF_A_VALUE = re.compile(r"""'[^']*\s[^']*'|"[^"]*\s[^"]*"|[^\s,=:(){}\[\]'"]+""")
"""A word, or a sentence in quotes, which is no path."""
_FILES = (".jsonl", ".json", ".gguf", ".yaml", ".csv")


def from_spec(spec: Path, overrides: Sequence[str]) -> list[str]:
    """The overrides with paths that lie where the call is typed as they are found from the folder of the spec.

    Says which. Raises SpecError for a path at which something lies in both places.
    """
    folder, here = spec.absolute().parent, Path.cwd()
    faults = list[Diagnostic]()

    def found(word: re.Match[str]) -> str:
        text = word[0]
        looks = text.startswith(("./", "../")) or text.endswith(_FILES)
        if not looks or Path(text).is_absolute() or not exists(here / text):
            return text
        if not exists(folder / text):
            path = Path(os.path.relpath((here / text).resolve(), folder.resolve())).as_posix()
            path = path if path.startswith("../") else f"./{path}"
            say(f"{text} lies in the working folder: read as {path}, from the folder of the spec")
            return path
        if not (here / text).samefile(folder / text):
            hint = f"give it in full: {shlex.quote(str(folder / text))}, or {shlex.quote(str(here / text))}"
            faults.append(error("TG112", f"'{text}' lies beside the spec and in the working folder", None, "", hint))
        return text

    parts = [override.partition("=") for override in overrides]
    moved = [
        key + mark + (value if key.endswith("description") else _WORD_OF_A_VALUE.sub(found, value))
        for key, mark, value in parts
    ]
    if faults:
        raise SpecError(faults)
    return moved


def add_store(parser: argparse.ArgumentParser) -> None:
    """--store DIR."""
    where = f"where results are kept (default: %(default)s; set by {STORE_VARIABLE})"
    parser.add_argument("--store", type=Path, default=DEFAULT_STORE, metavar="DIR", help=where)


def add_select(parser: argparse.ArgumentParser) -> None:
    """--select SELECTOR."""
    help_text = "only these: 'trait=openness,alpha>0.5' or kind=vector+; can be repeated; see: traitgraph explain TG203"
    parser.add_argument("--select", action="append", default=[], metavar="SELECTOR", help=help_text)


def add_json(parser: argparse.ArgumentParser) -> None:
    """--json."""
    parser.add_argument("--json", action="store_true", help="print one JSON document for machines")


def add_run(parser: argparse.ArgumentParser) -> None:
    """--run ID."""
    parser.add_argument("--run", metavar="ID", dest="run_id", help="another run than the newest of the study")


SHARED = {"spec": add_spec, "store": add_store, "select": add_select, "json": add_json, "run": add_run}


def study_of(options: argparse.Namespace) -> Study:
    """The study that the words after the command mean. Raises SpecError with every fault.

    Where neither the call nor the environment names a store, the one of the study's cluster becomes `options.store`.
    """
    from traitgraph.api.planning import load_study, store_of

    study = load_study(options.spec, options.overrides, sweep=options.multirun)
    if getattr(options, "store", None) == DEFAULT_STORE:
        options.store = store_of(study)
    return study


def plan_of(options: argparse.Namespace, *, on_cluster: bool = False) -> Plan:
    """The plan of a study, reduced to the selection; `on_cluster`: packed for the study's cluster."""
    from traitgraph.api.planning import planned

    study = study_of(options)
    return planned(study, options.store, getattr(options, "select", ()), on_cluster=on_cluster)


def same_call(command: str, options: argparse.Namespace) -> str:
    """The words of another command about the same study, for "next:" lines; a report is of all that there is."""
    from traitgraph.specs.composition.hydra_defaults import in_application

    if in_application():  # its own words find the spec, and what Hydra reads of it
        kept = [word for word in sys.argv if not word.startswith("hydra.sweeper.command=")]
        return shlex.join(["python", *kept, f"hydra.sweeper.command={command}"])
    words = ["traitgraph", command, str(options.spec), *options.overrides]
    words += ["-m"] if options.multirun else []
    words += ["--store", str(options.store)] if getattr(options, "store", DEFAULT_STORE) != DEFAULT_STORE else []
    for selector in getattr(options, "select", ()) if command != "report" else ():
        words += ["--select", selector]
    return shlex.join(words)
