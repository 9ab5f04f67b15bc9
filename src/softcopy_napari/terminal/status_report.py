"""What `softcopy status --json` prints: a document of plain values, whose JSON schema is docs/status.schema.json.

Its fields stay, and new ones may come: `schema_version` changes where a program that reads them would have to.
"""

from __future__ import annotations

import getpass
import os
import socket
import time
from collections.abc import Iterable
from typing import Annotated, Literal

from pydantic import BaseModel, ConfigDict, Field

from softcopy_napari import __version__
from softcopy_napari.engine.protocol.message import Text
from softcopy_napari.engine.protocol.messages import EngineSnapshot, TargetSnapshot
from softcopy_napari.engine.reasons import Reason
from softcopy_napari.engine.state_folder.history import Ending
from softcopy_napari.engine.states import ChunkState, TargetState
from softcopy_napari.engine.wording import describe

Whole = Annotated[int, Field(ge=0)]
State = Literal[
    "waiting", "copying", "caught_up", "finishing", "complete", "checking", "paused", "incomplete", "failed", "stopped"
]


class _Part(BaseModel):
    model_config = ConfigDict(frozen=True, extra="ignore", allow_inf_nan=False, use_attribute_docstrings=True)


class ChunkCounts(_Part):
    """Chunk files in each state."""

    absent: Whole
    writing: Whole
    pending: Whole
    copying: Whole
    copied: Whole
    verified: Whole
    failed: Whole


class CopyReport(_Part):
    """One copy or check, running or ended."""

    user: Text
    """Whose it is."""
    pid: Whole
    """The process of its engine."""
    source: Text
    destination: Text
    check: bool
    """Whether both sides are only compared."""
    running: bool
    """Whether an engine works on it, or watches its source."""
    crashed: bool
    """Whether its engine has died."""
    state: State
    state_text: Text
    """The state in words."""
    reason: Text
    """Why it is in this state, in words; may be empty."""
    reason_code: Text
    """The same as a code; may be empty."""
    started: float
    """Unix time."""
    ended: float | None
    """Unix time at which it ended, or was complete."""
    elapsed_seconds: float
    acquiring: bool
    """Whether more is expected to be written to the source."""
    watching: bool
    """Whether it is complete, and its source is watched on."""
    chunk_files: ChunkCounts
    files_pending: Whole
    """Files seen at the source that are still to be copied."""
    files_copied: Whole
    """Files copied in this run, rewrites included."""
    files_failed: Whole
    files_lost: Whole
    """Chunk files that left the source before they were copied."""
    bytes_copied: Whole
    bytes_per_second: float
    eta_seconds: float | None
    """Seconds until everything is copied, where that is known."""
    lag_seconds: float | None
    """Seconds of work that wait, estimated; null while nothing is copied."""
    quiet_seconds: float | None
    """Seconds since the source changed last, where that was seen."""
    forecast: Text
    """When the copy will be complete, in words; may be empty."""
    warnings: tuple[Text, ...]
    """What will go wrong if nothing is done."""
    notices: tuple[Text, ...]
    """What its user should know."""
    failures: tuple[Text, ...]
    """The first files that could not be copied, and why."""


class StatusReport(_Part):
    """What runs on a computer, and how the last copies ended."""

    schema_version: Literal[1] = 1
    softcopy: Text
    """The version of softcopy."""
    computer: Text
    time: float
    """Unix time of this report."""
    copies: tuple[CopyReport, ...]
    """Running ones first."""
    not_shown: tuple[Text, ...]
    """What could not be shown, and why, in words: engines of another version, other users' copies."""
    notification_problem: Text
    """Why the last notification could not be sent; empty if it could."""


def make_report(
    engines: Iterable[EngineSnapshot], endings: Iterable[Ending], not_shown: Iterable[str], problem: Reason | None
) -> StatusReport:
    """Return the report of this user's copies; endings of those that are running are left out."""
    user, now = user_name(), time.time()
    running = [_running(user, engine, one, now) for engine in engines for one in engine.targets if not one.over]
    there = {one.destination for one in running}
    ended = [_ended(user, one) for one in endings if one.destination not in there]
    return StatusReport(
        softcopy=__version__,
        computer=socket.gethostname(),
        time=now,
        copies=(*running, *ended),
        not_shown=tuple(not_shown),
        notification_problem=describe(problem),
    )


def user_name() -> str:
    """Return what this user is called; a number where the system has no name."""
    try:
        return getpass.getuser()
    except (OSError, KeyError, ImportError):
        return str(os.getuid()) if hasattr(os, "getuid") else "?"


def _running(user: str, engine: EngineSnapshot, target: TargetSnapshot, now: float) -> CopyReport:
    check = target.state is TargetState.CHECKING or target.findings is not None
    whole = (target.state_text, target.reason, target.why.code if target.why is not None else "")
    return _report(user, engine.pid, target, whole, running=True, check=check, ended=target.completed or None)


def _ended(user: str, ending: Ending) -> CopyReport:
    why = ending.target.why
    whole = (ending.state_text, ending.reason, why.code if why is not None and not ending.crashed else "")
    ended = None if ending.crashed else ending.at
    return _report(user, ending.pid, ending.target, whole, check=ending.check, crashed=ending.crashed, ended=ended)


def _report(
    user: str,
    pid: int,
    target: TargetSnapshot,
    words: tuple[str, str, str],
    *,
    check: bool,
    ended: float | None,
    running: bool = False,
    crashed: bool = False,
) -> CopyReport:
    text, reason, code = words
    return CopyReport(
        user=user,
        pid=pid,
        source=target.source,
        destination=target.destination,
        check=check,
        running=running,
        crashed=crashed,
        state=target.state.name.lower(),
        state_text=text,
        reason=reason,
        reason_code=str(code),
        started=target.started,
        ended=ended,
        elapsed_seconds=target.elapsed,
        acquiring=target.acquiring and running,
        watching=target.watching and running,
        chunk_files=ChunkCounts(**{state.name.lower(): target.counts[state] for state in ChunkState}),
        files_pending=target.files_left,
        files_copied=target.files_copied,
        files_failed=target.failed_files,
        files_lost=target.lost,
        bytes_copied=target.bytes_copied,
        bytes_per_second=target.bytes_per_second,
        eta_seconds=target.eta,
        lag_seconds=target.lag if running else None,
        quiet_seconds=target.quiet,
        forecast=target.forecast.words if running else "",
        warnings=target.forecast.warnings if running else (),
        notices=target.notices,
        failures=tuple(f"{one.path} {one.reason}" for one in target.failures),
    )
