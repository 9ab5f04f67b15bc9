"""How copies and checks ended: the latest result of each destination, kept in the state folder.

A job writes its destination's record when it begins and when it ends, so that a record without an end whose engine has
gone tells of a crash or a power failure. What can be made of a record (its words, whether it needs somebody) is not
stored. Front ends list what `endings` returns, and call `dismiss` when somebody has seen a failure.
"""

from __future__ import annotations

import contextlib
import hashlib
import os
import time
from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import Annotated

from pydantic import Field

from softcopy_napari.engine.fs.atomic_write import write_atomically
from softcopy_napari.engine.protocol.message import Message
from softcopy_napari.engine.protocol.messages import TargetSnapshot
from softcopy_napari.engine.state_folder.folder import private_folder, read_regular_file
from softcopy_napari.engine.state_folder.run_file import is_running, own_start_time
from softcopy_napari.engine.states import TargetState

KEPT = 100
"""Endings at most; the oldest go first, those that need nobody before the others."""
_MAX_SIZE = 1 << 20
"""Bytes of a record at most: it names up to a hundred failures."""
_FAILURES = (TargetState.FAILED, TargetState.INCOMPLETE)
_CRASHED = "Copying crashed"
_CRASHED_CHECK = "Checking crashed"


class Ending(Message):
    """The latest result of one destination.

    Attributes
    ----------
    at : float
        Unix time at which the target ended, or began where it crashed.
    target : TargetSnapshot
        Its last snapshot, without its arrays: `source`, `destination`, `state`, `why`, counts, failures, findings.
    """

    at: float
    pid: Annotated[int, Field(gt=0, lt=1 << 31)]
    process_started: Annotated[float, Field(ge=0, lt=1e11)]
    """Tells the engine's process from a later one with the same pid."""
    check: bool = False
    """Whether its two sides were only compared."""
    dismissed: bool = False
    """Whether somebody has seen that it failed."""
    target: TargetSnapshot

    @property
    def source(self) -> str:
        """The source, as an absolute path."""
        return self.target.source

    @property
    def destination(self) -> str:
        """The destination, as an absolute path."""
        return self.target.destination

    @property
    def crashed(self) -> bool:
        """Whether its engine has gone without a word: it was ended by force, or the computer was."""
        return not self.target.state.ended

    @property
    def failed(self) -> bool:
        """Whether it is a failure, a difference that was found, or a copy that the system ended."""
        return self.crashed or self.target.ended_by_system or self.target.state in _FAILURES

    @property
    def needs_attention(self) -> bool:
        """Whether it is a failure, or a source was not freed, and that was neither dismissed nor started again."""
        return (self.failed or self.target.not_freed is not None) and not self.dismissed

    @property
    def state_text(self) -> str:
        """How it ended, in a few words for users."""
        if self.crashed:
            return _CRASHED_CHECK if self.check else _CRASHED
        return self.target.model_copy(update={"watching": False}).state_text

    @property
    def reason(self) -> str:
        """Why it ended so, in words for users; empty where the state says it all."""
        return "run it again; nothing is lost" if self.crashed else self.target.reason

    @property
    def name(self) -> str:
        """The name of its file."""
        # A check says something else of a destination than a copy: neither takes the other's place.
        kind = "check" if self.check else "copy"
        return f"{hashlib.sha256(os.fsencode(os.path.normcase(self.destination))).hexdigest()[:32]}-{kind}.json"


class HistoryWriter:
    """Writes the record of one target; for its job. Nothing depends on it: what cannot be written is left out.

    Parameters
    ----------
    check : bool
        Whether its two sides are only compared.
    """

    def __init__(self, check: bool) -> None:
        self._check = check
        self._noted: tuple[TargetState, float] | None = None

    def note(self, target: TargetSnapshot) -> None:
        """Write the record, if the target has just begun or ended, or is under way again after an end."""
        ended = target.state.ended
        now = (target.state if ended else TargetState.WAITING, target.completed)
        if now == self._noted:
            return
        self._noted = now
        ending = Ending(
            at=target.completed or time.time(),
            pid=os.getpid(),
            process_started=own_start_time(),
            check=self._check,
            target=target.model_copy(update={"arrays": ()}),
        )
        with contextlib.suppress(OSError):
            _write(ending)
            if ended:
                _drop_oldest()


def endings() -> list[Ending]:
    """Return the latest result of each destination, the newest first; reads up to a hundred small files.

    Those that are under way are left out. One that is complete and whose source is watched on is there, although a
    front end that shows running engines shows it already.
    """
    found = [one for one in _records() if one.target.state.ended or not is_running(one.pid, one.process_started)]
    return sorted(found, key=lambda one: one.at, reverse=True)


def dismiss(seen: Iterable[Ending]) -> None:
    """Keep failures as ones that somebody has seen. What has been written since then stays as it is.

    Parameters
    ----------
    seen : iterable of Ending
        As `endings` returned them.
    """
    for one in _unchanged(seen):
        with contextlib.suppress(OSError):
            _write(one.model_copy(update={"dismissed": True}))


def forget(gone: Iterable[Ending]) -> None:
    """Remove endings. What has been written since then stays.

    Parameters
    ----------
    gone : iterable of Ending
        As `endings` returned them.
    """
    for one in _unchanged(gone):
        with contextlib.suppress(OSError):
            (_folder() / one.name).unlink()


def _unchanged(known: Iterable[Ending]) -> Iterator[Ending]:
    """Leave out those of which another record has been written."""
    for one in known:
        with contextlib.suppress(OSError, ValueError):
            if _read(_folder() / one.name) == one:
                yield one


def _folder() -> Path:
    return private_folder("history")


def _write(ending: Ending) -> None:
    path = _folder() / ending.name
    write_atomically(path, ending.model_dump_json().encode(), path.with_suffix(".tmp"), flush=False, mode=0o600)


def _read(path: Path) -> Ending:
    return Ending.model_validate_json(read_regular_file(path, _MAX_SIZE))


def _records() -> list[Ending]:
    """Return all records that can be read."""
    found = []
    with contextlib.suppress(OSError):
        for path in _folder().glob("*.json"):
            with contextlib.suppress(OSError, ValueError):
                found.append(_read(path))
    return found


def _drop_oldest() -> None:
    if sum(1 for _ in _folder().glob("*.json")) <= KEPT:
        return
    found = sorted(endings(), key=lambda one: (one.needs_attention, one.at))
    forget(found[: max(0, len(found) - KEPT)])
