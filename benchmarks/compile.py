"""What planning costs as a whole process: CPU seconds and memory by number of jobs, beside Snakemake where installed.

The graph is that of the 200-model study: 10 trainings -> 10 vectors -> 10 n merges -> 20 n assessments -> 1 table.
Every figure is that of a fresh process (interpreter, imports, reading, compiling, printing), from the operating system.

    python benchmarks/compile.py                      621 and 62,001 and 620,001 jobs, best of several runs
    python benchmarks/compile.py --snakemake PROGRAM  the same graph as a Snakefile, dry run, in the same session
"""

from __future__ import annotations

import argparse
import os
import platform
import shutil
import subprocess
import sys
import tempfile
from collections.abc import Sequence
from pathlib import Path
from typing import NamedTuple

SIZES = {621: 20, 62_001: 2_066, 620_001: 20_666}
"""Jobs -> values of alpha: 21 + 30 n."""

BARS = {621: (0.30, 70), 62_001: (1.2, 160), 620_001: (8.0, 900)}
"""Jobs -> CPU seconds and MiB that must not be exceeded."""

SPEC = """\
study: sweep
model: llama-3.1-8b-instruct
traits: all
levels: [high, low]
data: big5-chat
method: vector
train: {{method: sft, learning_rate: 1e-5, epochs: 1}}
alpha: {{from: {step}, to: {last}, step: {step}}}
benchmarks: [ipip-neo-120, truthfulqa_mc2]
"""

COMPOSED = """\
defaults:
  - train: big5-chat-sft-8b
  - _self_
"""

SNAKEFILE = """\
TRAITS = ["openness", "conscientiousness", "extraversion", "agreeableness", "neuroticism"]
LEVELS, BENCHMARKS, ALPHAS = ["high", "low"], ["ipip", "truthfulqa"], list(range(1, {alphas} + 1))
NAMES = [trait + "-" + level for trait in TRAITS for level in LEVELS]
TABLE = expand("assess/{{test}}/{{name}}/{{alpha}}", test=BENCHMARKS, name=NAMES, alpha=ALPHAS)

rule all:
    input: "table.csv"

rule train:
    output: "train/{{trait}}-{{level}}"
    shell: "touch {{output}}"

rule vector:
    input: "train/{{name}}"
    output: "vector/{{name}}"
    shell: "touch {{output}}"

rule merge:
    input: "vector/{{name}}"
    output: "merge/{{name}}/{{alpha}}"
    shell: "touch {{output}}"

rule assess:
    input: "merge/{{name}}/{{alpha}}"
    output: "assess/{{test}}/{{name}}/{{alpha}}"
    shell: "touch {{output}}"

rule table:
    input: TABLE
    output: "table.csv"
    shell: "touch {{output}}"
"""


class Cost(NamedTuple):
    """One run of a whole process."""

    cpu_s: float
    mib: float
    wall_s: float


def measure(command: Sequence[str], folder: Path) -> Cost:
    """Cost of a command, its children included. Raises CalledProcessError when it fails."""
    started = os.times().elapsed
    with subprocess.Popen(command, cwd=folder, stdout=subprocess.DEVNULL, stderr=subprocess.PIPE) as process:
        assert process.stderr is not None
        errors = process.stderr.read()
        _, status, usage = os.wait4(process.pid, 0)
        process.returncode = os.waitstatus_to_exitcode(status)
    if process.returncode:
        raise subprocess.CalledProcessError(process.returncode, command, stderr=errors)
    unit = 1024 if platform.system() == "Linux" else 1024 * 1024  # macOS counts bytes
    return Cost(usage.ru_utime + usage.ru_stime, usage.ru_maxrss / unit, os.times().elapsed - started)


def best(command: Sequence[str], folder: Path, runs: int) -> Cost:
    """The run with the least CPU time: the others were disturbed."""
    return min(measure(command, folder) for _ in range(runs))


def spec_text(alphas: int) -> str:
    """The study with so many values of alpha."""
    step = "0.1" if alphas <= 20 else "0.001"
    last = f"{alphas / (10 if alphas <= 20 else 1000):g}"
    return SPEC.format(step=step, last=last)


def traitgraph(*words: str) -> list[str]:
    """A command line of the program that runs this benchmark."""
    return [sys.executable, "-m", "traitgraph", *words]


Row = tuple[str, int, Cost, tuple[float, int] | None]


def run(sizes: Sequence[int], snakemake: str | None, peers: Sequence[int]) -> list[Row]:
    """Every measurement: what, number of jobs, cost, bar."""
    rows: list[Row] = []
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        for jobs in sizes:
            (folder / "spec.yaml").write_text(spec_text(SIZES[jobs]), encoding="utf-8")
            runs = 7 if jobs < 1000 else 3
            rows.append(("plan", jobs, best(traitgraph("plan", "spec.yaml"), folder, runs), BARS[jobs]))
        (folder / "small.yaml").write_text(spec_text(20), encoding="utf-8")
        rows.append(("check", 621, best(traitgraph("check", "small.yaml"), folder, 7), (0.25, 70)))
        text = COMPOSED + spec_text(20).replace("train: {method: sft, learning_rate: 1e-5, epochs: 1}\n", "")
        (folder / "composed.yaml").write_text(text, encoding="utf-8")
        rows.append(("plan, composed by Hydra", 621, best(traitgraph("plan", "composed.yaml"), folder, 7), (0.5, 90)))
        if snakemake:
            rows += [("Snakemake, dry run", jobs, peer(snakemake, folder, jobs), None) for jobs in peers]
    return rows


def peer(snakemake: str, folder: Path, jobs: int) -> Cost:
    """Snakemake on the same graph: what it needs to say what it would run."""
    (folder / "Snakefile").write_text(SNAKEFILE.format(alphas=SIZES[jobs]), encoding="utf-8")
    return best([snakemake, "--dry-run", "--quiet", "all", "--cores", "1"], folder, 3 if jobs < 1000 else 1)


def main() -> int:
    """Print the table; 1 when a bar is missed."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument(
        "--sizes", type=int, nargs="+", default=list(SIZES), choices=list(SIZES), help="numbers of jobs"
    )
    parser.add_argument(
        "--snakemake", default=shutil.which("snakemake"), help="Snakemake's program (default: on the path)"
    )
    parser.add_argument("--large-peers", action="store_true", help="peers on 62,001 jobs as well (minutes)")
    options = parser.parse_args()
    peers = [jobs for jobs in options.sizes if jobs <= 62_001] if options.large_peers else [621]
    rows = run(options.sizes, options.snakemake, peers)
    missed = 0
    print("| what | jobs | CPU s | MiB | wall s | bar |\n|---|--:|--:|--:|--:|---|")
    for what, jobs, cost, bar in rows:
        verdict = "" if bar is None else f"{bar[0]} s, {bar[1]} MiB"
        if bar and (cost.cpu_s > bar[0] or cost.mib > bar[1]):
            verdict, missed = verdict + " MISSED", missed + 1
        print(f"| {what} | {jobs:,} | {cost.cpu_s:.2f} | {cost.mib:.0f} | {cost.wall_s:.2f} | {verdict} |")
    return 1 if missed else 0


if __name__ == "__main__":
    sys.exit(main())
