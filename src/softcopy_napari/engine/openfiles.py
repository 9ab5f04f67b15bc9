"""How many files this process may have open, and how many copy processes that is enough for."""

from __future__ import annotations

import contextlib
import os
import sys
from collections.abc import Sequence

from softcopy_napari.engine.mistakes import TargetsError
from softcopy_napari.engine.text import count_text

if sys.platform != "win32":
    import resource

_OF_TARGET = 8
"""Files that a target has open: its lock, its watch, ledgers, digests, and what it reads for a moment."""
_OF_PROCESS = 2
"""Pipes of a copy process."""
_OF_ENGINE = 16
"""Its door, front ends, and what is open while a process is started."""
_ENOUGH = (1 << 20, 1 << 16, 10240, 4096, 1024)
"""Limits to try where the system sets none, but does not take that either (macOS)."""


def allow_many_files() -> None:
    """Raise the limit as far as the system lets us: each ledger may be a file, and plates have thousands."""
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


def fit_processes(wanted: Sequence[int]) -> tuple[list[int], str]:
    """Fit the numbers of the targets' copy processes to the files that may be open.

    Parameters
    ----------
    wanted : sequence of int
        Copy processes of each target.

    Returns
    -------
    tuple of list of int and str
        How many they can have, and a note for the user where that is less; else empty.

    Raises
    ------
    TargetsError
        There are too many targets.
    """
    limit = _limit()
    if limit is None:
        return list(wanted), ""
    room = limit - _open_now() - _OF_ENGINE - _OF_TARGET * len(wanted)
    most = max(wanted, default=1)
    while most > 1 and _OF_PROCESS * sum(min(one, most) for one in wanted) > room:
        most -= 1
    fitting = [min(one, most) for one in wanted]
    if (lacking := _OF_PROCESS * sum(fitting) - room) > 0:
        needed = limit + lacking
        raise TargetsError(
            f"{count_text(len(wanted), 'target')} need about {needed} open files, and this session may have {limit}: "
            f"raise the limit before the start (ulimit -n {_round_up(needed)}), or start fewer targets at a time"
        )
    if fitting == list(wanted):
        return fitting, ""
    needed = limit - room + _OF_PROCESS * sum(wanted)
    return fitting, (
        f"copy processes of each target: {most} at most, as this session may have {limit} open files; "
        f"before the start, ulimit -n {_round_up(needed)} allows more"
    )


def _round_up(number: int) -> int:
    """The next power of two: something to type."""
    return 1 << (number - 1).bit_length()


def _limit() -> int | None:
    """Files that may be open; None where there is no limit that matters."""
    if sys.platform == "win32":
        return None
    soft, _ = resource.getrlimit(resource.RLIMIT_NOFILE)
    return None if soft == resource.RLIM_INFINITY else soft


def _open_now() -> int:
    for folder in ("/proc/self/fd", "/dev/fd"):
        with contextlib.suppress(OSError):
            return len(os.listdir(folder))
    return _OF_ENGINE
