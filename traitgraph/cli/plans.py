"""Commands that show what a spec comes to and run nothing: its plan, its graph, a lock, a difference, a job."""

from __future__ import annotations

import argparse
import json
import shlex
import sys
from collections.abc import Sequence
from pathlib import Path

from traitgraph.api.calls import UsageError, colour_wanted, say
from traitgraph.specs.source.diagnostics import Diagnostic, has_errors, near_names, render_json, render_text

from .options import DEFAULT_STORE, add_json, add_store, plan_of, same_call, study_of
from .output import print_json, write_whole


def plan_arguments(parser: argparse.ArgumentParser) -> None:
    """[-o FILE]."""
    save = "save the plan; `traitgraph run FILE` executes exactly it, or refuses"
    parser.add_argument("-o", "--output", type=Path, metavar="FILE", help=save)


def do_plan(options: argparse.Namespace) -> int:
    """Print the plan; nothing is run. 0, or 2 when data that its jobs read cannot be used."""
    from traitgraph.api import preflight

    plan = plan_of(options, on_cluster=True)
    lacking, faults = preflight.without_runtime(plan), preflight.small_data_faults(plan)
    if options.json:
        told = render_json(faults)["diagnostics"]
        from traitgraph.compiler.views.print_plan import plan_json

        forms = preflight.small_data_forms(plan)
        print_json({**plan_json(plan), "without_runtime": lacking, "data_faults": told, "data_forms": forms})
    else:
        sys.stdout.write(f"{plan}\n")
    for text in preflight.unversioned_tasks(plan.spec):
        say(text)
    if lacking:
        say("warning: these parts of the study can be planned but not run yet:\n  " + "\n  ".join(lacking))
    lacks_some = preflight.package_faults(plan.draft.locations.values())
    for package in preflight.missing_packages(plan.job_table()) if lacks_some else ():
        say(f"warning: {package}")
    if faults:
        from traitgraph.api.data_check import stops_a_run

        if any(map(stops_a_run, faults)):
            return _with_faults(faults, options)
        sys.stderr.write(render_text(faults, colour_wanted()))
    if options.output:
        from traitgraph.compiler.views.saved import save_plan

        write_whole(options.output, save_plan(plan).model_dump_json())
        where = [] if options.store == DEFAULT_STORE else ["--store", str(options.store)]
        say(f"saved; next: {shlex.join(['traitgraph', 'run', str(options.output), *where])}")
    elif not options.json:
        rest = "    # the rest, by --select" if lacking else ""
        where_to = " --launcher slurm" if plan.spec.cluster and plan.counts.missing else ""
        say(f"next: {same_call('run' if plan.counts.missing else 'report', options)}{where_to}{rest}")
    return 0


def _with_faults(faults: Sequence[Diagnostic], options: argparse.Namespace) -> int:
    """Say what is wrong with the data instead of what comes next: `run` would refuse the plan as it is."""
    sys.stderr.write("\n" + render_text(faults, colour_wanted()))
    if options.output:
        raise UsageError("not saved: `run` would refuse the plan until its data are repaired")
    asked = argparse.Namespace(spec=options.spec, overrides=options.overrides, multirun=options.multirun)
    say(f"`run` would refuse this; next: repair the data, then {same_call('check', asked)}")
    return 2 if has_errors(faults) else 0


def graph_arguments(parser: argparse.ArgumentParser) -> None:
    """[--format mermaid|dot|json] [--full]."""
    parser.add_argument(
        "--format", choices=("mermaid", "dot", "json"), default="mermaid", help="(default: %(default)s)"
    )
    parser.add_argument("--full", action="store_true", help="every job, not one box per kind and benchmark")


def do_graph(options: argparse.Namespace) -> int:
    """Print the job graph for other programs."""
    from traitgraph.compiler.views.graph import graph_text

    sys.stdout.write(graph_text(plan_of(options).draft, options.format, full=options.full))
    return 0


def compile_arguments(parser: argparse.ArgumentParser) -> None:
    """[--after PASS]."""
    after = "print the form after this pass, led by what the pass does (default: the last one)"
    parser.add_argument("--after", metavar="PASS", help=after)


def do_compile(options: argparse.Namespace) -> int:
    """Print the tables as they stand after a pass, for whoever looks into the compiler; no store is looked at."""
    from traitgraph.compiler.ir.context import Context
    from traitgraph.compiler.pipeline import PASSES, draft_after

    sys.stdout.write(draft_after(study_of(options), Context(), options.after or PASSES[-1].__name__))
    return 0


def explain_arguments(parser: argparse.ArgumentParser) -> None:
    """CODE | KEY|LABEL SPEC [key=value ...] [--store DIR]."""
    what = "the code of a message (TG101); or a job by the start of its key or its label ('train extraversion high')"
    parser.add_argument("what", metavar="CODE|KEY|LABEL", help=what)
    parser.add_argument("spec", nargs="?", type=Path, metavar="SPEC", help="for a job: the YAML file of its study")
    parser.add_argument("overrides", nargs="*", metavar="key=value", help="values that replace those of the file")
    parser.set_defaults(multirun=False)
    add_store(parser)


def do_explain(options: argparse.Namespace) -> int:
    """Print what a message means, or what a job is and why it runs."""
    if options.spec is not None:
        from traitgraph.api.planning import stored_rows
        from traitgraph.compiler.views.explain import explain_job, find_job

        plan = plan_of(options)
        row = find_job(plan, options.what)
        sys.stdout.write(explain_job(plan, row, stored_rows(plan.store, plan.draft.locate(row)[0].kind)))
        return 0
    from traitgraph.specs.source.codes import CODES, explain

    text = explain(options.what)
    if text is None:
        near = ", ".join(near_names(options.what, CODES)) or "codes look like TG101"
        raise UsageError(
            f"no message has the code {options.what!r}; near: {near}\n"
            "for a job, by the start of its key or its label: traitgraph explain KEY SPEC"
        )
    sys.stdout.write(text)
    return 0


def diff_arguments(parser: argparse.ArgumentParser) -> None:
    """OLD NEW [--store DIR] [--json] [--exit-code]."""
    parser.add_argument("old", type=Path, metavar="OLD", help="a spec")
    parser.add_argument("new", type=Path, metavar="NEW", help="another spec")
    add_store(parser)
    add_json(parser)
    parser.add_argument("--exit-code", action="store_true", help="exit with 1 when results would differ")


def do_diff(options: argparse.Namespace) -> int:
    """Print which jobs of two specs differ, and by which field; names, comments and resources are no difference."""
    from traitgraph import Store
    from traitgraph.api.planning import plan_study
    from traitgraph.compiler.views.diff import diff_json, diff_plans, diff_text
    from traitgraph.specs.checks.validate import load_study

    store = Store(options.store)
    difference = diff_plans(*(plan_study(load_study(path), store) for path in (options.old, options.new)))
    if options.json:
        print_json(diff_json(difference))
    else:
        sys.stdout.write(diff_text(difference))
    return 1 if options.exit_code and difference.changes_results else 0


def lock_arguments(parser: argparse.ArgumentParser) -> None:
    """[-o FILE] [--check]."""
    where = "the lock file (default: the spec with .lock.json)"
    parser.add_argument("-o", "--output", type=Path, metavar="FILE", help=where)
    parser.add_argument("--check", action="store_true", help="compare with the lock file instead of writing it")


def do_lock(options: argparse.Namespace) -> int:
    """Write every revision, digest and version that a study rests on; with --check say what differs, and return 1."""
    from traitgraph.compiler.views.lock import lock_differences, lock_document, unpinned
    from traitgraph.runtime.store.artifacts import installed_versions

    lock = lock_document(plan_of(options), installed_versions())
    path = options.output or options.spec.with_suffix(".lock.json")
    if options.check:
        differences = lock_differences(_read_lock(path), lock)
        say("\n".join(differences) or f"{path}: nothing differs")
        return 1 if differences else 0
    write_whole(path, json.dumps(lock, indent=1, ensure_ascii=False) + "\n")
    for name in unpinned(lock):
        repair = "; give a commit as `revision`" if "/" in name else " (the harness names no commit)"
        say(f"not pinned: {name}{repair}")
    say(f"wrote {path}")
    return 0


def _read_lock(path: Path) -> dict[str, object]:
    try:
        document = json.loads(path.read_bytes())
    except (OSError, ValueError) as problem:
        reason = getattr(problem, "strerror", None) or problem
        raise UsageError(f"cannot read the lock {path}: {reason}; write it without --check") from problem
    if not isinstance(document, dict):
        raise UsageError(f"{path} is no lock; write it without --check")
    return document
