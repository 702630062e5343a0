"""A plan as text for people and as plain data for machines: how each count comes about, what is there, what runs."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from itertools import groupby

from traitgraph.compiler.cost.hardware import Range, span
from traitgraph.compiler.ir.ir import TaskDraft
from traitgraph.compiler.plan import ArmCounts, Plan


def plan_text(plan: Plan) -> str:
    """The plan as plain text, with aligned columns."""
    width = max((len(arm.name) for arm in plan.arms), default=0)
    blocks = [
        [_headline(plan), *(f"  {arm.name:<{width}}  {arm_formula(arm)}{_forms(arm)}" for arm in plan.arms)],
        _job_lines(plan),
        _task_lines(plan.tasks) or ["nothing to run: everything is in the store"],
        _price_lines(plan) if plan.tasks else [],
    ]
    blocks = [block for block in blocks if block]
    return "\n\n".join("\n".join(block) for block in blocks) + "\n"


def _headline(plan: Plan) -> str:
    if plan.context.select:
        return f"study {plan.study}: {selection_text(plan)}"
    several = f": {len(plan.arms):,} arms, {_count(plan.models, 'model')}" if len(plan.arms) > 1 else ""
    return f"study {plan.study}{several}"


def selection_text(plan: Plan) -> str:
    """How much of a study a selection takes: '20 of 1,173 jobs selected, 1 more needed by them'."""
    counts = plan.counts
    return f"{counts.selected:,} of {counts.jobs:,} jobs selected, {counts.needed:,} more needed by them"


def plan_json(plan: Plan) -> dict[str, object]:
    """The plan as plain data: study, arms, counts of jobs, tasks."""
    counts = plan.counts
    told = ("conditions", "models", "subjects", "assessments", "jobs", "missing")
    names = ("jobs", "present", "missing", "unneeded", "by_kind", "missing_by_kind", "selected", "needed")
    return {
        "study": plan.study,
        "arms": [
            {"name": arm.name, "method": arm.method, "axes": dict(arm.axes)}
            | {name: getattr(arm, name) for name in told}
            | ({"forms": dict(arm.forms)} if arm.forms else {})
            for arm in plan.arms
        ],
        "counts": {name: getattr(counts, name) for name in names},
        "price": price_json(plan),
        "tasks": [
            {"id": task.id, "jobs": len(task.rows), "after": list(task.after), "minutes": round(task.minutes, 2)}
            for task in plan.tasks
        ],
    }


def arm_formula(arm: ArmCounts) -> str:
    """How an arm's count comes about.

    '5 traits x 2 levels x 20 alphas = 200 models, 200 subjects, 1,000 assessments'
    '2 traits x 2 levels x 8 alphas = 32 conditions: 29 models, 29 subjects, 87 assessments (alpha 0 counts once)'
    """
    numbers = ((arm.models, "model"), (arm.subjects, "subject"), (arm.assessments, "assessment"))
    counts = ", ".join(_count(number, noun) for number, noun in numbers)
    axes = [f"{length:,} {noun}" for noun, length in arm.axes if length > 1]
    if not arm.subjects:
        return _count(arm.jobs, "job")  # a selection of trainings and the like
    if not axes and not arm.included:
        return counts
    points = " x ".join(axes) or "1"
    points += f" - {arm.excluded:,} excluded" if arm.excluded else ""
    points += f" + {arm.included:,} included" if arm.included else ""
    if arm.subjects == arm.conditions == arm.models:
        return f"{points} = {counts}"
    why = "alpha 0 counts once" if arm.only_zeros_equal else "equal ones count once"
    shared = f" ({why})" if arm.subjects < arm.conditions else ""
    return f"{points} = {_count(arm.conditions, 'condition')}: {counts}{shared}"


def _forms(arm: ArmCounts) -> str:
    """What each assessment asks in how many forms: ', mini-ipip in 2,500 forms'."""
    return "".join(f", {name} in {_count(number, 'form')}" for name, number in arm.forms.items())


def _count(number: int, noun: str) -> str:
    return f"{number:,} {noun}" + ("" if number == 1 else "s")


def _job_lines(plan: Plan) -> list[str]:
    """Jobs by kind; of a selection also those that run beside its own because they need them."""
    counts, selects = plan.counts, bool(plan.context.select)
    selected, needed, missing = counts.selected_by_kind, counts.needed_by_kind, counts.missing_by_kind
    kinds = [kind for kind in counts.by_kind if kind in selected or kind in needed]
    rows = [(kind, selected.get(kind, 0), needed.get(kind, 0), missing.get(kind, 0)) for kind in kinds]
    rows.append(("all", counts.selected, counts.needed, counts.missing))
    head = ("selected", "in store", "needed by them", "to run") if selects else ("all", "in store", "to run")
    table: list[Sequence[str]] = [("jobs", *head)]
    for kind, asked, more, run in rows:
        numbers = (asked, asked + more - run, more, run) if selects else (asked, asked - run, run)
        table.append((kind, *(f"{number:,}" for number in numbers)))
    return list(aligned(table))


def aligned(table: Sequence[Sequence[str]]) -> Iterator[str]:
    """Lines of a table: the first column to the left, numbers to the right."""
    widths = [max(map(len, column)) for column in zip(*table, strict=True)]
    for first, *rest in table:
        cells = (f"{text:>{width}}" for text, width in zip(rest, widths[1:], strict=True))
        yield "  ".join([f"{first:<{widths[0]}}", *cells])


def _task_lines(tasks: Iterable[TaskDraft]) -> list[str]:
    table = [("tasks", "number", "jobs", "minutes per task")]
    for name, group in groupby(tasks, lambda task: task.id.rpartition("-")[0]):
        wave = list(group)
        minutes = sorted(task.minutes for task in wave)
        table.append(
            (name, f"{len(wave):,}", f"{sum(len(task.rows) for task in wave):,}", _span(minutes[0], minutes[-1]))
        )
    return list(aligned(table)) if len(table) > 1 else []


def _price_lines(plan: Plan) -> list[str]:
    """What running the missing jobs takes, as ranges."""
    price = plan.price
    lines = []
    if price.gpu_hours.high:
        lines.append(("cost", f"{span(price.gpu_hours)} GPU hours on {price.device}"))
    if price.cpu_hours.high and not price.gpu_hours.high:
        lines.append(("cost", f"{span(price.cpu_hours)} hours on a CPU"))
    at_once = f" with {plan.context.throttle} tasks at once" if plan.context.throttle else ""
    lines.append(("wall time", f"{span(price.wall_hours)} hours{at_once}, if no task waits in a queue"))
    if price.download_bytes.high:
        lines.append(("download", f"up to {_short_bytes(price.download_bytes.high)}"))
    lines += [("API calls", text) for text in judge_texts(plan)]
    lines.append(("disk", f"{_short_bytes(price.disk_bytes.low)}-{_short_bytes(price.disk_bytes.high)}"))
    lines.append(("basis", f"such jobs in the store: {price.measured:.0%}; size and hardware: the rest"))
    return [f"{name:<9}  {text}" for name, text in lines]


def judge_texts(plan: Plan) -> list[str]:
    """A line for each judge behind an interface: '6,000 to judge-2026-01-15 at https://judge.example/v1'."""
    return [f"{_number(each.calls)} to {each.model} at {each.url}" for each in plan.judge_calls]


def _number(count: Range) -> str:
    return f"{count.low:,.0f}" if count.low == count.high else span(count)


def _short_bytes(size: float) -> str:
    for unit, factor in (("TB", 1e12), ("GB", 1e9), ("MB", 1e6), ("kB", 1e3)):
        if size >= factor:
            return f"{span(Range.exactly(size / factor))} {unit}"
    return f"{size:.0f} bytes"


def price_json(plan: Plan) -> dict[str, object]:
    """The price as plain data; ranges are [low, high]."""
    ranges = {name: list(each) for name, each in vars(plan.price).items() if isinstance(each, Range)}
    return {
        "device": plan.price.device,
        **ranges,
        "measured": plan.price.measured,
        "api_calls": [{"model": each.model, "url": each.url, "calls": list(each.calls)} for each in plan.judge_calls],
    }


def _span(low: float, high: float) -> str:
    short, long = (f"{value:.0f}" if value >= 10 else f"{value:.1f}" for value in (low, high))
    return short if short == long else f"{short}-{long}"
