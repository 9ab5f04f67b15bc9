"""What the system lets this session have, open files and processes, and how many copy processes that is enough for."""

from __future__ import annotations

import contextlib
import os
import sys
from collections.abc import Sequence
from typing import NamedTuple

import psutil

from softcopy_napari.engine.errors import TargetsError
from softcopy_napari.engine.formatting import count_text
from softcopy_napari.engine.reasons import Reason, ReasonCode, make_reason

if sys.platform != "win32":
    import resource

_ENOUGH = (1 << 20, 1 << 16, 10240, 4096, 1024)
"""Open files to ask for where the system names no limit, but does not take that either (macOS)."""
_PLENTY = 4096
"""Processes above which a limit on them is not looked into: to count them takes a while."""


class _Limit(NamedTuple):
    """A limit that the system sets for this session."""

    what: str
    code: ReasonCode
    """Says why there are fewer copy processes."""
    option: str
    """The option of `ulimit` that raises it."""
    most: int
    used: int
    of_engine: int
    of_target: int
    of_process: int
    """What a copy process takes."""

    def left_for_workers(self, targets: int) -> int:
        """Return how many are left for copy processes."""
        return self.most - self.used - self.of_engine - self.of_target * targets

    def command(self, needed: int) -> str:
        """Return the command that allows so many: a power of two, which is easy to type."""
        return f"ulimit -{self.option} {1 << (needed - 1).bit_length()}"


def allow_many_files() -> None:
    """Raise the limit of open files as far as the system lets us: a ledger may be one, and plates have thousands."""
    if sys.platform == "win32":
        return
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    if soft == resource.RLIM_INFINITY:
        return
    for wanted in (hard, *_ENOUGH) if hard != resource.RLIM_INFINITY else _ENOUGH:
        if wanted <= soft:
            return
        with contextlib.suppress(OSError, ValueError):
            resource.setrlimit(resource.RLIMIT_NOFILE, (wanted, hard))
            return


def fit_processes(wanted: Sequence[int]) -> tuple[list[int], Reason | None]:
    """Fit the numbers of the targets' copy processes to what the system allows.

    Returns
    -------
    tuple of list of int and Reason or None
        How many they can have, and why that is less where it is.

    Raises
    ------
    TargetsError
        There are too many targets.
    """
    fitting, note = list(wanted), None
    for limit in _limits():
        room = limit.left_for_workers(len(wanted))
        cap = max(fitting, default=1)
        while cap > 1 and limit.of_process * sum(min(one, cap) for one in fitting) > room:
            cap -= 1
        capped = [min(one, cap) for one in fitting]
        needed = limit.most + limit.of_process * sum(capped) - room
        if needed > limit.most:
            raise TargetsError(
                f"not enough {limit.what} for {count_text(len(wanted), 'target')}: about {needed} are needed, and this "
                f"session may have {limit.most}; before the start, {limit.command(needed)} allows more"
            )
        if capped != fitting:
            command = limit.command(limit.most - room + limit.of_process * sum(wanted))
            note = make_reason(limit.code, processes=cap, most=limit.most, command=command)
            fitting = capped
    return fitting, note


def _limits() -> list[_Limit]:
    """Return the limits that there are, and that may matter."""
    if sys.platform == "win32":
        return []
    limits = []
    files, _ = resource.getrlimit(resource.RLIMIT_NOFILE)
    if files != resource.RLIM_INFINITY:
        # A target has a lock, a watch, ledgers, digests, and what it reads for a moment; a process has two pipes. The
        # engine has its door and front ends, and more are open while a process is started.
        limits.append(_Limit("open files", ReasonCode.FEW_OPEN_FILES, "n", files, _files_open(), 16, 8, 2))
    processes, _ = resource.getrlimit(resource.RLIMIT_NPROC)
    if processes != resource.RLIM_INFINITY and processes < _PLENTY and os.geteuid() != 0:  # root is not held to it
        # Threads count. A target has its own, one that watches, and some for a moment; a process has two here, and two.
        limits.append(_Limit("processes and threads", ReasonCode.FEW_THREADS, "u", processes, _processes(), 6, 4, 4))
    return limits


def _files_open() -> int:
    """Return the number of files that this process has open, or a guess."""
    for folder in ("/proc/self/fd", "/dev/fd"):
        with contextlib.suppress(OSError):
            return len(os.listdir(folder))
    return 16


def _processes() -> int:
    """Return the number of processes and threads of this user."""
    user, found = os.getuid(), 0
    for process in psutil.process_iter():
        with contextlib.suppress(psutil.Error, OSError):
            if process.uids().real == user:
                found += process.num_threads()
    return found
