"""The last notification that could not be sent, in the state folder: `softcopy status` and napari show it."""

from __future__ import annotations

import contextlib
import os
import time
from collections.abc import Mapping
from pathlib import Path

from pydantic import TypeAdapter

from softcopy_napari.engine.fs.atomic_write import write_atomically
from softcopy_napari.engine.protocol.message import Why
from softcopy_napari.engine.reasons import Reason, ReasonCode, make_reason
from softcopy_napari.engine.state_folder.folder import read_regular_file, state_folder

_MAX_SIZE = 1 << 16
_REASON: TypeAdapter[Reason] = TypeAdapter(Why)


def note_result(problems: Mapping[str, Reason], *, sent: bool) -> None:
    """Note what became of a notification.

    Parameters
    ----------
    problems : mapping of str to Reason
        Why it could not be sent, by the name of a URL.
    sent : bool
        Whether it was really sent to the others: then older problems are over.
    """
    for url, problem in list(problems.items())[:1]:
        note_problem(make_reason(ReasonCode.NOTIFICATION_FAILED, url=url, at=time.time(), problem=problem))
    if sent and not problems:
        forget_problem()


def note_problem(problem: Reason) -> None:
    """Note why notifications cannot be sent."""
    with contextlib.suppress(OSError):
        write_atomically(_path(), _REASON.dump_json(problem), flush=False, mode=0o600)


def read_problem() -> Reason | None:
    """Return why the last notification could not be sent; None if it could."""
    with contextlib.suppress(OSError, ValueError):
        return _REASON.validate_json(read_regular_file(_path(), _MAX_SIZE))
    return None


def forget_problem() -> None:
    """Forget it: somebody has seen it, or it is over."""
    with contextlib.suppress(OSError):
        os.unlink(_path())


def _path() -> Path:
    return state_folder() / "notification-problem.json"
