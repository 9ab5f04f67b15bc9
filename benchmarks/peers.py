"""What softcopy is compared with: commands, and why one is not there. `install_peers.sh` installs them."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from common import COMMAND, environment

OLD = Path(sys.prefix) / "peers" / "bin" / "softcopy"
"""softcopy 0.0.13 of PyPI, in an environment of its own."""
_FLOOR = Path(__file__).with_name("floor.c")
MINE, OLDER, FLOOR = "softcopy", "softcopy 0.0.13", "floor (C)"


@dataclass(frozen=True)
class Peer:
    """A way to copy."""

    name: str
    command: Callable[[Path, Path], list[str]]
    """From source and destination."""
    missing: str = ""
    """Why it cannot be had; empty where it can."""
    once: bool = False
    """Whether it is so slow that one round must do."""


def _needs(*names: str) -> str:
    absent = [name for name in names if not (shutil.which(name) or Path(name).is_file())]
    return f"{', '.join(absent)} is not installed" if absent else ""


def build_floor(work: Path) -> tuple[str, str]:
    """Compile floor.c; returns the program, and why it could not be made."""
    program = work / "floor"
    if problem := _needs("gcc"):
        return str(program), problem
    done = subprocess.run(["gcc", "-O2", "-pthread", _FLOOR, "-o", program], capture_output=True, text=True)
    return str(program), done.stderr.strip()


def for_datasets(work: Path, nprocs: int) -> list[Peer]:
    """Those that copy a dataset that is complete, and end."""
    floor, problem = build_floor(work)
    jobs = work / "fpsync"
    return [
        Peer("cp -r", lambda s, d: ["cp", "-r", f"{s}", f"{d}"], _needs("cp")),
        Peer("rsync -a", lambda s, d: ["rsync", "-a", f"{s}/", f"{d}/"], _needs("rsync")),
        Peer(
            "rclone copy --transfers 8",
            lambda s, d: ["rclone", "copy", "--transfers", "8", "--config", os.devnull, f"{s}", f"{d}"],
            _needs("rclone"),
        ),
        Peer(
            f"fpsync -n {nprocs}",
            lambda s, d: ["fpsync", "-n", f"{nprocs}", "-t", f"{jobs}", f"{s}/", f"{d}/"],
            _needs("fpsync", "rsync"),
            once=True,
        ),
        Peer(
            OLDER,
            lambda s, d: [f"{OLD}", "--nprocs", f"{nprocs}", "--sleep-time", "0", f"{s}", f"{d}"],
            _needs(f"{OLD}"),
            once=True,
        ),
        Peer(FLOOR, lambda s, d: [floor, f"{s}", f"{d}", f"{nprocs}"], problem),
        Peer(MINE, lambda s, d: [*COMMAND, f"{s}", f"{d}", "--nprocs", f"{nprocs}", "--finish-idle", "0"]),
    ]  # fmt: skip


def for_acquisitions(work: Path, nprocs: int | None = None) -> list[Peer]:
    """Those that follow a source which is being written, and have to be stopped."""
    config = work / "lsyncd.lua"

    def lsyncd(source: Path, destination: Path) -> list[str]:
        """With the shortest delay at which it still collects events."""
        config.write_text(
            f'settings {{ nodaemon = true, logfile = "{work}/lsyncd.log" }}\n'
            f'sync {{ default.rsync, source = "{source}", target = "{destination}", delay = 1, delete = false,\n'
            '  exclude = { "*.__lock" }, rsync = { archive = true } }\n'
        )
        return ["lsyncd", f"{config}"]

    def loop(source: Path, destination: Path) -> list[str]:
        return ["sh", "-c", f"while :; do rsync -a --exclude='*.__lock' {source}/ {destination}/; sleep 1; done"]

    mine = [] if nprocs is None else ["--nprocs", f"{nprocs}"]
    return [
        Peer(MINE, lambda s, d: [*COMMAND, f"{s}", f"{d}", "--settle", "3600", "--verbose", *mine]),
        Peer("lsyncd, delay 1 s", lsyncd, _needs("lsyncd", "rsync")),
        Peer("rsync loop, every 1 s", loop, _needs("rsync")),
        Peer(OLDER, lambda s, d: [f"{OLD}", "--sleep-time", "0", *mine, f"{s}", f"{d}"], _needs(f"{OLD}"), True),
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


def available(peers: list[Peer], say: Callable[[str], None]) -> list[Peer]:
    """Those that can be had; the others are named."""
    for peer in peers:
        if peer.missing:
            say(f"Skipped: {peer.name}: {peer.missing}.")
    return [peer for peer in peers if not peer.missing]


def in_turns(contenders: list[Any], number: int) -> list[Any]:
    """Who takes part in a round, None (nobody) among them: another one begins each time, so that none always follows
    the same one."""
    first = number % len(contenders)
    order = contenders[first:] + contenders[:first]
    return [peer for peer in order if peer is None or not (peer.once and number)]
