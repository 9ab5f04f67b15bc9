"""All benchmarks, one after another, into docs/dev/benchmarks.md: what `make bench` runs.

python benchmarks/everything.py                               all, and write the page
python benchmarks/everything.py bulk --only nested            one script with its options; --write writes its rows
"""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
import time
from pathlib import Path

from common import stop
from report import ORDER

HERE = Path(__file__).parent
LIMIT = 30 * 60.0
WINDOWS = {"overlay", "napari_cost"}
SCREEN = ["xvfb-run", "-a", "-s", "-screen 0 1280x1024x24"]
_MISSED = 1


def run(name: str, options: list[str], seconds: float) -> int:
    """Run a script; returns its exit code."""
    print(f"\n== {name}", flush=True)
    command = [sys.executable, str(HERE / f"{name}.py"), *options]
    if name in WINDOWS and shutil.which("xvfb-run"):
        command = SCREEN + command
    elif name in WINDOWS and not os.environ.get("DISPLAY"):
        print("skipped: there is no display, and no xvfb-run")
        return 0
    process = subprocess.Popen(command, start_new_session=True)
    try:
        return process.wait(seconds)
    except subprocess.TimeoutExpired:
        print(f"{name}: {LIMIT / 60:.0f} minutes are over", file=sys.stderr)
        return -1
    finally:
        stop(process, patience=20.0)  # Ctrl-C, too, must leave nothing behind


def main() -> int:
    """Run them; the exit code is not 0 where one broke, or time ran out. Goals that are missed are told on the page."""
    name, *options = sys.argv[1:] or [""]
    if name in ORDER:
        code = run(name, options, LIMIT)
        return 0 if code == _MISSED else code
    if name:
        print(f"usage: everything.py [{' | '.join(ORDER)}] [OPTIONS]\n\n{__doc__}")
        return 0 if name in ("-h", "--help") else 2
    began, broken = time.monotonic(), []
    for name in ORDER:
        left = max(1.0, LIMIT - (time.monotonic() - began))
        if run(name, ["--write"], left) not in (0, _MISSED):
            broken.append(name)
    print(f"\n{(time.monotonic() - began) / 60:.1f} minutes" + (f"; broken: {', '.join(broken)}" if broken else ""))
    return 2 if broken else 0


if __name__ == "__main__":
    sys.exit(main())
