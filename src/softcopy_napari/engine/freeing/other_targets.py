"""Finds who else may need a source: other copies of it, complete or not, and copies that fill it.

This user's engines are asked, and the results of earlier ones read. Engines of other users cannot be asked: where they
could read the source, the mere fact that one runs counts.
"""

from __future__ import annotations

import contextlib
import os
from collections.abc import Collection
from pathlib import Path

import psutil

from softcopy_napari.engine.client import EngineGone, engines
from softcopy_napari.engine.freeing.refusal import refuse
from softcopy_napari.engine.protocol.messages import TargetSnapshot
from softcopy_napari.engine.reasons import ReasonCode
from softcopy_napari.engine.state_folder import history
from softcopy_napari.engine.state_folder.destination_lock import destination_id
from softcopy_napari.engine.states import TargetState

_PROGRAM = "softcopy_napari"
_COMMAND = "softcopy"
_OTHERS_MAY_ENTER = 0o011


def refuse_if_needed(source: Path, destination: Path, despite: Collection[str]) -> None:
    """Make sure that nobody but the complete copy at `destination` needs a source.

    Parameters
    ----------
    source, destination : Path
    despite : collection of str
        Processes and destinations whose copies do not matter, as users write them.

    Raises
    ------
    FreeRefused
    """
    ignored = {*despite, *(destination_id(Path(one).absolute()) for one in despite)}
    _ask_engines(source, destination, ignored)
    for ending in history.endings():
        if not ending.check:
            _check(source, destination, ending.target, ending.state_text, ignored)
    _refuse_if_other_user_copies(source, ignored)


def _ask_engines(source: Path, destination: Path, ignored: Collection[str]) -> None:
    for engine in engines():
        if str(engine.run.pid) in ignored:
            continue
        try:
            targets = [target for target in engine.snapshot().targets if not target.over]
        except (EngineGone, ValueError):
            if engine.run.alive():
                refuse(ReasonCode.FREE_ENGINE_SILENT, pid=engine.run.pid, source=str(source))
            continue
        finally:
            engine.close()
        for target in targets:
            if target.state is not TargetState.CHECKING:
                _check(source, destination, target, target.state_text, ignored, running=True)


def _check(
    source: Path,
    destination: Path,
    target: TargetSnapshot,
    state: str,
    ignored: Collection[str],
    running: bool = False,
) -> None:
    """Refuse if a target, which runs or has ended, needs the source."""
    there = destination_id(Path(target.destination))
    if there in ignored:
        return
    is_ours = there == destination_id(destination)
    # One that watches on will give way to what frees its source; another one would see the files go.
    complete = target.state is TargetState.COMPLETE and (is_ours or not running)
    if not complete and overlap(source, Path(target.destination)):
        refuse(ReasonCode.FREE_IS_FILLED, source=str(source), other=target.source, state=state)
    if complete or not overlap(source, Path(target.source)):
        return
    if is_ours:
        refuse(ReasonCode.FREE_LAST_FAILED, destination=str(destination), state=state)
    refuse(ReasonCode.FREE_OTHER_COPY, source=str(source), other=target.destination, state=state)


def overlap(one: Path, other: Path) -> bool:
    """Whether two folders are one, or one lies in the other, however they are spelled or mounted."""
    real, there = Path(os.path.realpath(one)), Path(os.path.realpath(other))
    return _lies_in(real, there) or _lies_in(there, real)


def _lies_in(inner: Path, outer: Path) -> bool:
    lineage = [inner, *inner.parents]
    if os.path.normcase(outer) in map(os.path.normcase, lineage):
        return True
    with contextlib.suppress(OSError):
        wanted = os.stat(outer)
        for folder in lineage:
            with contextlib.suppress(OSError):
                if os.path.samestat(wanted, os.stat(folder)) and wanted.st_ino:
                    return True
    return False


def _refuse_if_other_user_copies(source: Path, ignored: Collection[str]) -> None:
    if os.name != "posix" or not _can_others_reach(source):
        return
    for process in psutil.process_iter():
        with contextlib.suppress(psutil.Error, OSError, KeyError):
            if process.uids().real != os.getuid() and _runs_softcopy(process) and str(process.pid) not in ignored:
                user = process.username()
                refuse(ReasonCode.FREE_OTHER_USER, user=user, pid=process.pid, source=str(source))


def _can_others_reach(folder: Path) -> bool:
    """Whether anybody but its owner could enter a folder, as far as permissions tell."""
    real = Path(os.path.realpath(folder))
    return all(os.stat(one).st_mode & _OTHERS_MAY_ENTER for one in (real, *real.parents))


def _runs_softcopy(process: psutil.Process) -> bool:
    """Whether a process is an engine, or a command that copies."""
    words = process.cmdline()[:4]
    return any(word.startswith(_PROGRAM) or os.path.basename(word) == _COMMAND for word in words)
