"""Look for a text that makes the checker crash: `python -m benchmarks.fuzz_specs --seconds 300`.

Stops at the first text that the checker neither understands nor refuses, and prints its seed and the text;
`--seed N --texts 1` tries it again. With `--plan` every sound spec of a moderate size is compiled as well.
At the end it says how many texts were tried, how many of them were sound specs, and the time of the slowest.
"""

from __future__ import annotations

import argparse
import sys
import tempfile
import time
import traceback
from contextlib import suppress
from math import prod
from pathlib import Path
from random import Random

from tests.errors.mutation import answer, mutated
from traitgraph.api.planning import plan_study
from traitgraph.runtime.store.store import Store
from traitgraph.specs.source.diagnostics import SpecError
from traitgraph.specs.study.study import Study


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--seconds", type=float, default=300)
    parser.add_argument("--texts", type=int, default=sys.maxsize)
    parser.add_argument("--seed", type=int, default=None)
    parser.add_argument("--plan", action="store_true")
    options = parser.parse_args()
    first = options.seed if options.seed is not None else time.time_ns()
    return search(first, options.seconds, options.texts, options.plan)


LARGEST = 20_000
"""Points of a study that is still compiled here."""


def plan(study: Study, folder: Path) -> None:
    """Compile a study of a moderate size; a file that it names may be unreadable, all else must work."""
    if sum(prod(len(values) for values in arm.axes().values()) for arm in study.arms) <= LARGEST:
        with suppress(SpecError):
            assert plan_study(study, Store(folder / "store")).counts.jobs >= 0


def search(first: int, seconds: float, texts: int, planned: bool) -> int:
    """Try texts until one crashes, the time is over, or enough were tried; the exit code."""
    end, tried, sound, slowest = time.monotonic() + seconds, 0, 0, (0.0, 0)
    with tempfile.TemporaryDirectory() as folder:
        while time.monotonic() < end and tried < texts:
            seed = first + tried
            text = mutated(Random(seed))
            start = time.perf_counter()
            try:
                study = answer(text, Path(folder) / "spec.yaml")
                sound += study is not None
                if study is not None and planned:
                    plan(study, Path(folder))
            except Exception:  # whatever it is, it is what we look for
                traceback.print_exc()
                print(f"seed {seed}:\n{text}")
                return 1
            slowest = max(slowest, (time.perf_counter() - start, seed))
            tried += 1
    print(f"{tried:,} texts, {sound:,} of them sound, no crash; slowest {slowest[0]:.2f} s (seed {slowest[1]})")
    return 0


if __name__ == "__main__":
    sys.exit(main())
