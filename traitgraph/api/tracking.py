"""Mirror a finished study to Weights & Biases: one run for each subject, each training, and the study as a whole.

Reads the store and writes nothing into it but a note of what was sent. No result depends on it, and what goes wrong
here is told and fails nothing. Jobs do not log to W&B themselves: compute nodes often have no network, and an offline
run that is resumed counts its steps twice.
"""

from __future__ import annotations

import json
import os
import re
import shlex
from collections.abc import Iterator, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from traitgraph.compiler.plan import Plan
from traitgraph.runtime.assessment.questionnaires.item_scores import ItemScores
from traitgraph.runtime.results.subjects import Subject, subject_name, subject_of
from traitgraph.runtime.results.summaries import BenchmarkScores, summarise
from traitgraph.runtime.results.table import ResultRow, result_rows, table_of
from traitgraph.runtime.store.durable import write_json
from traitgraph.runtime.store.errors import StoreError
from traitgraph.runtime.store.store import Store
from traitgraph.runtime.training.training import RECORD_FILE
from traitgraph.specs.jobs.results import MEASURED
from traitgraph.specs.source.credentials import masked
from traitgraph.specs.source.hashing import digest
from traitgraph.specs.study.job_kinds import is_training
from traitgraph.specs.study.study import Study, Wandb
from traitgraph.specs.study.vocabulary import BIG_FIVE

MAX_RUNS = 2000
"""Subjects beyond this are left to the table of the study's run: each run takes the client about 0.1 s."""
LONGEST = 128
"""Characters that the service takes in a name."""
NOTE = "wandb.json"


@dataclass(frozen=True)
class MirrorRun:
    """One run as W&B shows it. Equal runs have equal ids, so that nothing is sent twice."""

    id: str
    name: str
    job_type: str
    config: Mapping[str, Any]
    summary: Mapping[str, Any] = field(default_factory=dict)
    history: Sequence[Mapping[str, float]] = ()
    """One entry a step."""
    tags: tuple[str, ...] = ()

    @property
    def content(self) -> str:
        """A digest of everything in it but its name and labels: a training that is renamed is not sent again."""
        return digest("wandb run", json.dumps([self.config, self.summary, self.history], sort_keys=True, default=str))


def mirror(study: Study, plan: Plan, store: Store, report: Path) -> str | None:
    """Send what is new or changed since the last time; a line for people, None when no tracker is asked for.

    `report` is the page of the report; its folder takes the files of runs that are kept offline.
    """
    tracker = study.tracking.wandb
    if tracker is None or os.environ.get("WANDB_MODE") == "disabled":
        return None
    rows, _ = result_rows(plan.cells, store)
    note = report.parent / NOTE
    notes = _notes(note)
    sent = notes.setdefault(f"{tracker.entity or ''}/{tracker.project}", {})
    runs = [
        run
        for run in (*training_runs(plan, store), *subject_runs(rows, ItemScores(store)))
        if sent.get(run.id) != run.content
    ]
    whole = study_run(study, plan, rows)
    if not runs and sent.get(whole.id) == whole.content:
        return "W&B: everything was sent before"
    try:
        for run in [*runs, whole]:
            _send(run, tracker, study.study, report.parent, rows if run is whole else ())
            sent[run.id] = run.content
    except ImportError:
        return "W&B: not mirrored: not installed; next: pip install 'traitgraph[wandb]'"
    except Exception as error:  # the boundary: whatever the client raises, the study is done
        return masked(f"W&B: not mirrored: {type(error).__name__}: {error}")
    finally:
        with suppress(OSError):  # what was sent is sent again, under the same ids
            write_json(note, notes)
    if tracker.mode == "online":
        return f"W&B: {len(runs) + 1} runs in project {tracker.project}"
    offline = shlex.quote(str(_folder(report.parent) / "wandb"))
    return f"W&B: {len(runs) + 1} runs offline; next, with network: wandb sync {offline}/offline-run-*"


def _notes(note: Path) -> dict[str, dict[str, str]]:
    """Project -> id of a run -> its content when it was sent."""
    try:
        return dict(json.loads(note.read_text(encoding="utf-8")))
    except (OSError, ValueError):
        return {}


def _folder(report: Path) -> Path:
    return Path(os.environ.get("WANDB_DIR") or report)


# ---------------------------------------------------------------- what is sent


def subject_runs(rows: Sequence[ResultRow], items: ItemScores | None = None) -> Iterator[MirrorRun]:
    """One run for each subject: its coordinates as config, its mean scores with their errors as summary."""
    seeds: dict[tuple[Subject, int | None], list[ResultRow]] = {}
    for row in rows:
        seeds.setdefault((subject_of(row), row["seed"]), []).append(row)
    several = [name for name in ("model", "merge") if len({getattr(subject, name) for subject, _ in seeds} - {""}) > 1]
    for (subject, seed), own in list(seeds.items())[:MAX_RUNS]:
        coordinates = {**subject._asdict(), "seed": "" if seed is None else str(seed)}
        axes = {name: values[0] for name, (_, values) in table_of(own[:1]).items() if name not in ("study", *MEASURED)}
        told = [getattr(subject, name) for name in several] + ([] if seed is None else [f"seed {seed}"])
        yield MirrorRun(
            id=digest("wandb subject", {"study": own[0]["study"], **coordinates}),
            name=", ".join(filter(None, [subject_name(subject), *told])),
            job_type="subject",
            config={
                **{name: value for name, value in axes.items() if value is not None},
                "jobs": sorted({row["job"] for row in own}),
            },
            summary=dict(_scores(summarise(own, items))),
            tags=tuple(dict.fromkeys(filter(None, (*subject.trait.split("+"), *subject.level.split("+"))))),
        )


def _scores(benchmarks: Sequence[BenchmarkScores]) -> Iterator[tuple[str, float]]:
    for benchmark in benchmarks:
        for group, metrics in (("", benchmark.scores), ("validity/", benchmark.validity)):
            for metric, scores in metrics.items():
                name = f"{benchmark.name}/{group}{metric}"
                for score in scores.values():
                    yield name, score.value
                    if score.stderr is not None:
                        yield f"{name}.stderr", score.stderr


def training_runs(plan: Plan, store: Store) -> Iterator[MirrorRun]:
    """One run for each training that the store holds: its parameters, and the loss of every step."""
    draft = plan.draft
    stages = [place for place, stage in enumerate(draft.stages) if is_training(stage.kind)]
    for row in (plan.job_row(n) for place in stages for n in range(draft.offsets[place], draft.offsets[place + 1])):
        try:
            record = json.loads((store.open(row.kind, row.key).path / RECORD_FILE).read_text(encoding="utf-8"))
        except (StoreError, OSError, ValueError):
            continue
        facts = {name: value for name, value in record.items() if isinstance(value, int | float)}
        yield MirrorRun(
            id=row.key,
            name=row.label or row.key[:8],
            job_type=row.kind,
            config=row.params,
            summary={**facts, **({"final_loss": record["losses"][-1]} if record.get("losses") else {})},
            history=[{"loss": loss} for loss in record.get("losses", ())],
            tags=tuple(str(row.params[name]) for name in ("trait", "level") if row.params.get(name)),
        )


def study_run(study: Study, plan: Plan, rows: Sequence[ResultRow]) -> MirrorRun:
    """The run of the study: the resolved spec as config, counts as summary; results, figures and files come with it."""
    jobs = {row["job"] for row in rows}
    return MirrorRun(
        id=digest("wandb study", study.study),
        name=study.study,
        job_type="study",
        config=_resolved(study),
        summary={
            "jobs": plan.counts.jobs,
            "assessments": len(jobs),
            "assessments_missing": len({cell.job for cell in plan.cells} - jobs),
            "results_digest": digest("results", [[str(value) for value in row.values()] for row in rows]),
        },
    )


def _resolved(study: Study) -> dict[str, Any]:
    """The study as plain data; of another vocabulary than the default its names and levels, without all the prose."""
    plain = study.model_dump(
        mode="json", exclude={"file": True, "overrides": True, "arms": {"__all__": {"vocabulary"}}}
    )
    for arm, told in zip(study.arms, plain["arms"], strict=True):
        if arm.vocabulary not in (BIG_FIVE, BIG_FIVE.complete):
            told["vocabulary"] = {"traits": list(arm.vocabulary.traits), "levels": arm.vocabulary.levels}
    return plain


# ---------------------------------------------------------------- sending


def _send(run: MirrorRun, tracker: Wandb, study: str, folder: Path, table: Sequence[ResultRow]) -> None:
    """Write one run; with a table, also the rows, the figures and the files of the report."""
    import wandb

    settings = wandb.Settings(
        init_timeout=20,
        login_timeout=60,
        console="off",
        silent=True,
        disable_git=True,
        disable_code=True,
        x_disable_stats=True,
    )
    place = _folder(folder)
    place.mkdir(parents=True, exist_ok=True)
    with wandb.init(
        project=tracker.project, entity=tracker.entity, mode=tracker.mode, id=run.id, resume="allow",
        name=fitting_name(run), group=study, job_type=run.job_type, tags=[*tracker.tags, *run.tags],
        config=dict(run.config), dir=place, settings=settings,
    ) as sent:  # fmt: skip
        for entry in run.history:
            sent.log(dict(entry))
        if table:
            columns = table_of(table)
            data = list(zip(*(values for _, values in columns.values()), strict=True))
            figures = {
                f"figures/{path.stem}": wandb.Html(path.read_text(encoding="utf-8"), inject=False)
                for path in sorted(folder.glob("figures/*.svg"))
            }
            sent.log({"results": wandb.Table(columns=list(columns), data=data), **figures})
            stem = re.sub(r"[^A-Za-z0-9._-]+", "-", run.name)[: LONGEST - 7]
            artifact = wandb.Artifact(f"{stem}-report", type="report")  # both files as one, with versions
            for name in ("report.html", "results.csv"):
                artifact.add_file(str(folder / name))
            sent.log_artifact(artifact)
        sent.summary.update(dict(run.summary))


def fitting_name(run: MirrorRun) -> str:
    """A name that the service takes: of a longer one the start, and that of the run's id, so that none are alike."""
    return run.name if len(run.name) <= LONGEST else f"{run.name[: LONGEST - 9]} {run.id[:8]}"
