"""Acts upon a progress file all the while, as a lab's programs may, and says where it was promised too much.

`python -m tests.soak.follower DESTINATION PLANES`; it ends when its standard input is closed. It reads the chunk files
of time points that are claimed. What it has read must be whole, and must stay the same for as long as no line says that
the time point changes. One line of JSON for each problem, and at the end one with what was done.
"""

from __future__ import annotations

import hashlib
import json
import random
import sys
import threading
from collections import Counter
from pathlib import Path

from tests.soak.selftelling import check


class Claims:
    """What the file says: read as the documentation tells, without softcopy."""

    def __init__(self, path: Path) -> None:
        self.copied = self.begun = self.complete = 0
        self.changes: Counter[int] = Counter()
        """How often it was said of each time point that it changes."""
        content = path.read_bytes() if path.exists() else b""
        for line in content.split(b"\n")[:-1]:
            said = json.loads(line)  # a line that is no JSON is a problem, too
            if said["event"] == "begin":
                self.copied, self.begun = 0, self.begun + 1
            elif said["event"] == "progress":
                self.copied = said["copied"]
                for first, last in said.get("changed", ()):
                    self.changes.update(range(first, last))
            self.complete = said["event"] == "complete"


def main(destination: Path, planes: int) -> None:
    """Read until told to stop, and then once more."""
    stop, choose = threading.Event(), random.Random(1)
    threading.Thread(target=lambda: (sys.stdin.read(), stop.set()), daemon=True).start()
    path = destination.with_name(destination.name + ".progress.jsonl")
    known: dict[tuple[int, int], str] = {}
    done = Counter[str]()
    last = False
    while not last:
        last = stop.is_set()
        before = Claims(path)
        times = range(before.copied) if last else [choose.randrange(before.copied)] if before.copied else []
        for time in times:
            problems, digest = [], hashlib.sha256()
            for plane in range(planes):
                key = f"c/{time}/{plane}/0/0"
                try:
                    content = (destination / key).read_bytes()
                    problem, _ = check(key, content)
                    digest.update(content)
                except FileNotFoundError:
                    problem = "is not there"
                problems += [f"{key} {problem}"] if problem else []
            version = time, before.changes[time]
            after = Claims(path)
            done["read"] += 1
            if after.changes[time] != before.changes[time]:
                done["taken back"] += 1  # while it was read: it has to be read again
                continue
            if known.setdefault(version, digest.hexdigest()) != digest.hexdigest():
                problems.append(f"time point {time} has changed, and nobody said so")
            for problem in problems:
                print(json.dumps({"problem": problem}), flush=True)
        done["changed"] = sum(before.changes.values())
        done["begun"], done["complete"], done["claimed"] = before.begun, int(before.complete), before.copied
        stop.wait(0.002)
    print(json.dumps(done), flush=True)


if __name__ == "__main__":
    main(Path(sys.argv[1]), int(sys.argv[2]))
