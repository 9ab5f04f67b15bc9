"""What softcopy is compared with: commands, and why one is not there. `install_peers.sh` installs them."""

from __future__ import annotations

import os
import shutil
import subprocess
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from common import COMMAND, environment

_FLOOR = Path(__file__).with_name("floor.c")
MINE = "softcopy"


@dataclass(frozen=True)
class Peer:
    """A way to copy."""

    name: str
    command: Callable[[Path, Path], list[str]]
    """From source and destination."""
    missing: str = ""
    """Why it cannot be had; empty where it can."""
    once: bool = False
    """Whether one round must do."""
    again: bool = False
    """Whether it finds by itself that there is nothing to copy."""


def _needs(*names: str) -> str:
    absent = [name for name in names if not shutil.which(name)]
    return f"{', '.join(absent)} is not installed" if absent else ""


def build_floor(work: Path) -> tuple[str, str]:
    """Compile floor.c; returns the program, and why it could not be made."""
    program = work / "floor"
    if problem := _needs("gcc"):
        return str(program), problem
    done = subprocess.run(["gcc", "-O2", "-pthread", _FLOOR, "-o", program], capture_output=True, text=True)
    return str(program), done.stderr.strip()


def rclone() -> Peer:
    """With as many files at a time as people give it on shares."""
    options = ["--transfers", "16", "--config", os.devnull]
    return Peer("rclone", lambda s, d: ["rclone", "copy", *options, f"{s}", f"{d}"], _needs("rclone"), again=True)


def mine(*options: str) -> Peer:
    """Softcopy, for a dataset that is complete."""
    return Peer(MINE, lambda s, d: [*COMMAND, f"{s}", f"{d}", "--finish-idle", "0", *options], again=True)


def for_datasets(work: Path, nprocs: int) -> list[Peer]:
    """Those that copy a dataset that is complete, and end."""
    floor, problem = build_floor(work)
    jobs = work / "fpsync"
    return [
        Peer("cp -r", lambda s, d: ["cp", "-r", f"{s}", f"{d}"], _needs("cp")),
        Peer("rsync -a", lambda s, d: ["rsync", "-a", f"{s}/", f"{d}/"], _needs("rsync"), again=True),
        rclone(),
        Peer(
            f"fpsync -n {nprocs}",
            lambda s, d: ["fpsync", "-n", f"{nprocs}", "-t", f"{jobs}", f"{s}/", f"{d}/"],
            _needs("fpsync", "rsync"),
        ),
        Peer("floor", lambda s, d: [floor, f"{s}", f"{d}", f"{nprocs}"], problem),
        mine("--nprocs", f"{nprocs}"),
    ]


def for_acquisitions(work: Path, nprocs: int | None = None) -> list[Peer]:
    """Those that follow a source which is being written, and have to be stopped."""

    def loop(source: Path, destination: Path) -> list[str]:
        return ["sh", "-c", f"while :; do rsync -a --exclude='*.__lock' {source}/ {destination}/; sleep 1; done"]

    own = [] if nprocs is None else ["--nprocs", f"{nprocs}"]
    return [
        Peer(MINE, lambda s, d: [*COMMAND, f"{s}", f"{d}", "--settle", "3600", "--verbose", *own]),
        Peer("rsync loop, every 1 s", loop, _needs("rsync")),
    ]


def follow(peer: Peer, source: Path, destination: Path, work: Path) -> subprocess.Popen[Any]:
    """Start one that follows a source; what it says goes to `log`."""
    destination.parent.mkdir(parents=True, exist_ok=True)
    with open(work / "log", "w") as log:
        return subprocess.Popen(
            peer.command(source, destination),
            env=environment(work / "state"),
            stdout=log,
            stderr=log,
            stdin=subprocess.DEVNULL,
            start_new_session=True,
        )


def available(peers: list[Peer], write_line: Callable[[str], None]) -> list[Peer]:
    """Those that can be had; the others are named."""
    for peer in peers:
        if peer.missing:
            write_line(f"Skipped: {peer.name}: {peer.missing}.")
    return [peer for peer in peers if not peer.missing]


def in_turns(contenders: list[Any], number: int) -> list[Any]:
    """Who takes part in a round, None (nobody) among them: another one begins each time, so that none always follows
    the same one."""
    first = number % len(contenders)
    order = contenders[first:] + contenders[:first]
    return [peer for peer in order if peer is None or not (peer.once and number)]
