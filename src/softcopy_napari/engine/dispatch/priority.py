"""Keeps copy processes out of the acquisition's way: low CPU and disk priority."""

from __future__ import annotations

import errno
import os
import sys
import time
from pathlib import Path

import psutil

from softcopy_napari.engine.reasons import Reason, ReasonCode, make_reason

_NICE_WORKER = 19
_NICE_ENGINE = 10
_ATTEMPTS = 10
_PAUSE = 0.11
"""Seconds until the system lets somebody who is not root set the priority of another session."""


def lower_priority(pid: int | None = None) -> Reason | None:
    """Give a process the lowest CPU and disk priority; the calling one, without pid, a low CPU priority.

    Returns
    -------
    Reason or None
        What could not be done, the same for every process; None where all could.
    """
    try:
        process = psutil.Process(pid)
        if sys.platform == "win32":
            process.nice(psutil.IDLE_PRIORITY_CLASS if pid else psutil.BELOW_NORMAL_PRIORITY_CLASS)
            if pid:
                process.ionice(psutil.IOPRIO_VERYLOW)
        else:
            wanted = _NICE_WORKER if pid else _NICE_ENGINE
            if process.nice() < wanted:
                process.nice(wanted)
            if pid and sys.platform == "linux":
                process.ionice(psutil.IOPRIO_CLASS_IDLE)
    except psutil.NoSuchProcess:
        return None
    except (psutil.Error, OSError) as error:
        # Not what psutil says, which names the process: that would be another notice for each of them.
        reason = error.strerror if isinstance(error, OSError) and error.strerror else "permission denied"
        return make_reason(ReasonCode.NO_LOW_PRIORITY, problem=reason)
    return None


def lower_session(pid: int, engine: bool = False) -> None:
    """Give the session of a copy process or engine, which has one of its own, a low CPU priority.

    Linux may share out the processor among sessions first (sched_autogroup, on by default on desktops): a low priority
    then counts only within the session, and copying would take as much as the acquisition. May take a second.
    `SOFTCOPY_SESSION_PRIORITY=0` leaves sessions as they are: what must be quick on a machine that is never idle.
    """
    if os.environ.get("SOFTCOPY_SESSION_PRIORITY") == "0":
        return
    path = Path(f"/proc/{pid}/autogroup")
    for _ in range(_ATTEMPTS):
        try:
            path.write_text(str(_NICE_ENGINE if engine else _NICE_WORKER))
            return
        except OSError as error:
            if error.errno != errno.EAGAIN:  # this system has no such thing, or the process has ended
                return
            time.sleep(_PAUSE)  # one session a tenth of a second, for all users together
