"""Reads all files of a destination over and over, as its users may, and says which are torn or older than before.

`python -m tests.soak.reader DESTINATION`; it ends when its standard input is closed. One line of JSON for each
problem, and at the end one with the number of files read.
"""

from __future__ import annotations

import json
import os
import sys
import threading
from pathlib import Path

from tests.soak.selftelling import check


def main(destination: Path) -> None:
    """Read until told to stop, and then once more."""
    stop = threading.Event()
    threading.Thread(target=lambda: (sys.stdin.read(), stop.set()), daemon=True).start()
    newest: dict[str, int] = {}
    read = 0
    last = False
    while not last:
        last = stop.is_set()
        for folder, _, names in os.walk(destination):
            for name in names:
                if name.startswith(".softcopy-"):
                    continue
                path = Path(folder, name)
                key = path.relative_to(destination).as_posix()
                try:
                    content = path.read_bytes()
                except FileNotFoundError:
                    print(json.dumps({"path": key, "problem": "was there, and is not"}), flush=True)
                    continue
                read += 1
                problem, version = check(key, content)
                if version >= 0 and version < newest.get(key, -1):
                    problem = f"went back from version {newest[key]} to {version}"
                newest[key] = max(version, newest.get(key, -1))
                if problem:
                    print(json.dumps({"path": key, "problem": problem}), flush=True)
        stop.wait(0.002)
    print(json.dumps({"read": read, "versions": sum(max(0, version) for version in newest.values())}), flush=True)


if __name__ == "__main__":
    main(Path(sys.argv[1]))
