"""All benchmarks, one after another, into docs/dev/benchmarks.md: what `make bench` runs.

    python benchmarks/everything.py [--quick] [--only NAME,NAME]

Where others measure on this machine, too, let all lock one file: SOFTCOPY_BENCH_LOCK=FILE make bench.
"""

from __future__ import annotations

import argparse
import os
import shutil
import subprocess
import sys
import time
from pathlib import Path

from common import stop
from report import ORDER

HERE = Path(__file__).parent
LIMIT = 25 * 60.0
WINDOWS = {"overlay", "napari_cost"}
SCREEN = ["xvfb-run", "-a", "-s", "-screen 0 1280x1024x24"]
_MISSED = 1


def main() -> int:
    """Run them; the exit code is not 0 where one broke, or time ran out. Goals that are missed are told on the page."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawTextHelpFormatter)
    parser.add_argument("--quick", action="store_true", help="a fraction of it, too little to judge by; not written")
    parser.add_argument("--only", default=",".join(ORDER), help="some of them: " + ", ".join(ORDER))
    options = parser.parse_args()
    began, broken = time.monotonic(), []
    for name in options.only.split(","):
        print(f"\n== {name}", flush=True)
        command = [sys.executable, str(HERE / f"{name}.py"), "--quick" if options.quick else "--write"]
        if name in WINDOWS and shutil.which("xvfb-run"):
            command = SCREEN + command
        elif name in WINDOWS and not os.environ.get("DISPLAY"):
            print("skipped: there is no display, and no xvfb-run")
            continue
        left = max(1.0, LIMIT - (time.monotonic() - began))
        if os.environ.get("SOFTCOPY_BENCH_LOCK"):  # nobody knows how long others take
            left = None
        process = subprocess.Popen(command, start_new_session=True)
        try:
            code = process.wait(left)
        except subprocess.TimeoutExpired:
            print(f"{name}: {LIMIT / 60:.0f} minutes are over", file=sys.stderr)
            code = -1
        finally:
            stop(process, patience=20.0)  # Ctrl-C, too, must leave nothing behind
        if code not in (0, _MISSED):
            broken.append(name)
    print(f"\n{(time.monotonic() - began) / 60:.1f} minutes" + (f"; broken: {', '.join(broken)}" if broken else ""))
    return 2 if broken else 0


if __name__ == "__main__":
    sys.exit(main())
