"""Whoever builds on the library is helped by its types: right calls pass mypy's strict mode, wrong ones do not."""

from __future__ import annotations

import re
import subprocess
import sys
from pathlib import Path

HERE = Path(__file__).parent


def test_right_calls_pass_and_every_wrong_one_is_found() -> None:
    files = ["tests/typing/user.py", "tests/typing/mistakes.py"]
    words = [sys.executable, "-m", "mypy", "--strict", "--no-error-summary", *files]
    told = subprocess.run(words, cwd=HERE.parents[1], capture_output=True, text=True, check=False)
    found = {(name, int(line)) for name, line in re.findall(r"^tests/typing/(\w+).py:(\d+): error", told.stdout, re.M)}
    lines = (HERE / "mistakes.py").read_text(encoding="utf-8").splitlines()
    assert found == {("mistakes", number) for number, line in enumerate(lines, 1) if "# mistake" in line}, told.stdout
