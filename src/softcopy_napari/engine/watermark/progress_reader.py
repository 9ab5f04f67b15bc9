"""Follows a destination's progress file until it says that something is there: for `softcopy wait` and for programs.

It needs no engine, only a path that leads to the destination, and works on any computer that sees it.
"""

from __future__ import annotations

import re
import shutil
import tempfile
import time
import weakref
from collections.abc import Mapping
from dataclasses import dataclass
from enum import Enum, auto
from pathlib import Path
from typing import Any

from softcopy_napari.engine.receipt.files_beside_store import FilesBesideStore
from softcopy_napari.engine.targets.store_url import Destination, StoreUrl
from softcopy_napari.engine.watermark.progress_file import find_progress_file, possible_progress_files
from softcopy_napari.engine.watermark.progress_lines import LONGEST_LINE, Claim, ProgressState

_GRACE = 10.0
"""Seconds for which a copy that has ended may be started again before that counts."""
_UNTIL = re.compile(r"(?:(?P<axis>[^\W\d]\w*)=)?(?P<index>\d{1,18})")


class WaitResult(Enum):
    """What a progress file says of something that is waited for."""

    REACHED = auto()
    WAITING = auto()
    ENDED = auto()
    """The copy has ended without it, or is complete and does not have it."""


class GoalError(ValueError):
    """What is waited for can never come; the message says why."""


@dataclass(frozen=True, slots=True)
class Goal:
    """What is waited for.

    Attributes
    ----------
    index : int or None
        An index along the slowest axis, which counts with all before it; None for the end of the copy.
    axis : str
        Name that the slowest axis must have; empty for any.
    array, well : str or None
        The array, or the well; by default all arrays with such an axis.
    verified : bool
        Whether it must have been read back.
    """

    index: int | None = None
    axis: str = ""
    array: str | None = None
    well: str | None = None
    verified: bool = False

    @classmethod
    def parse(cls, until: str, array: str | None = None, well: str | None = None, verified: bool = False) -> Goal:
        """Read `t=120`, `120` or `end`.

        Raises
        ------
        GoalError
            It is none of these.
        """
        array, well = (None if name is None else name.strip("/") for name in (array, well))
        if until == "end":
            return cls(None, "", array, well, verified)
        if (found := _UNTIL.fullmatch(until)) is None:
            raise GoalError(f"it must be like t=120 or 120, or the word end, not {until!r}")
        return cls(int(found["index"]), found["axis"] or "", array, well, verified)

    def check(self, state: ProgressState) -> WaitResult:
        """Compare what a file says with what is waited for.

        Raises
        ------
        GoalError
            It can never come.
        """
        if state.newer:
            raise GoalError("the progress file was written by a newer version of softcopy")
        is_there = None
        if self.index is not None and self.array not in state.untracked:
            is_there = bool(claims := self._claims(state)) and all(map(self._has, claims))
        if is_there is None:  # no more is known than that it is copied in the end
            is_there = state.complete is not None and (not self.verified or bool(state.complete.get("verified")))
        if is_there:
            return WaitResult.REACHED
        return WaitResult.ENDED if state.is_over else WaitResult.WAITING

    def _has(self, claim: Claim) -> bool:
        return self.index is not None and (claim.verified if self.verified else claim.copied) > self.index

    def _claims(self, state: ProgressState) -> list[Claim]:
        """Return what is said of all that is waited for; nothing while some of it may still come."""
        name, known = (self.array, state.arrays) if self.well is None else (self.well, state.wells)
        if name is not None:
            claim = known.get(name)
            if claim is not None and self._is_other_axis(claim):
                raise GoalError(f"the slowest axis of {name or 'the array'} is {claim.axis}, not {self.axis}")
            return [claim] if claim is not None else []
        claims = [claim for claim in state.arrays.values() if not self._is_other_axis(claim)]
        if state.missing:
            return []
        if state.arrays and not claims:
            axes = ", ".join(sorted({claim.axis for claim in state.arrays.values()}))
            raise GoalError(f"no array has {self.axis} as its slowest axis, but {axes}")
        return claims

    def _is_other_axis(self, claim: Claim) -> bool:
        return bool(self.axis and claim.axis) and claim.axis != self.axis


class ProgressReader:
    """Reads a destination's progress file as it grows.

    Attributes
    ----------
    state : ProgressState
        What it said when it was read last.
    """

    def __init__(self, destination: Path) -> None:
        self.state = ProgressState()
        self._destination = destination
        self._path: Path | None = None
        self._first = b""
        self._read = 0

    def read(self) -> ProgressState:
        """Read what was added since the last call; from its beginning if it is another file now.

        Raises
        ------
        OSError
            It cannot be read, for another reason than that it is not there.
        """
        path = find_progress_file(self._destination)
        if path is None:
            self._start_over(None, b"")
            return self.state
        try:
            with open(path, "rb") as file:
                first = file.readline(LONGEST_LINE)
                if path != self._path or first != self._first:
                    self._start_over(path, first)
                file.seek(self._read)
                while (line := file.readline(LONGEST_LINE)).endswith(b"\n"):  # else it is being written, or never was
                    self.state.apply_line(line)
                    self._read += len(line)
        except FileNotFoundError:
            self._start_over(None, b"")
        return self.state

    def _start_over(self, path: Path | None, first: bytes) -> None:
        self._path, self._first, self._read = path, first, 0
        self.state = ProgressState()


class StoreProgressReader(ProgressReader):
    """Reads the progress file of a destination in an object store, which is fetched when it is another than before.

    Parameters
    ----------
    url : StoreUrl
    """

    def __init__(self, url: StoreUrl) -> None:
        folder = tempfile.mkdtemp(prefix="softcopy-")
        weakref.finalize(self, shutil.rmtree, folder, ignore_errors=True)
        self._files = FilesBesideStore(url, Path(folder))
        self._versions: dict[Path, str] = {}
        super().__init__(self._files.destination)

    def read(self) -> ProgressState:
        """Read what was added since the last call, see `ProgressReader.read`.

        Raises
        ------
        OSError
            The store cannot be asked.
        """
        *beside, _ = possible_progress_files(self._files.destination)
        versions = {path: self._files.version_of(path) for path in beside}
        self._files.fetch(path for path in beside if versions[path] != self._versions.get(path, ""))
        self._versions = versions
        return super().read()


class Waiter:
    """Judges again and again whether something has been reached.

    A copy that had ended before anybody waited has some seconds to be started again: both may be started together.
    """

    def __init__(self, destination: Destination, goal: Goal) -> None:
        self._reader = (
            StoreProgressReader(destination) if isinstance(destination, StoreUrl) else ProgressReader(destination)
        )
        self._goal = goal
        self._since = time.monotonic()
        self._first: tuple[Mapping[str, Any] | None, bool] | None = None
        """How the engine had begun that wrote last, and whether it had ended, when the file was read first."""

    def check(self) -> WaitResult:
        """Read the file, and say how far it is.

        Raises
        ------
        GoalError
            It can never come.
        OSError
            The file cannot be read.
        """
        state = self._reader.read()
        begun, was_over = self._first = self._first or (state.begun, state.is_over)
        is_early = state.begun == begun and time.monotonic() - self._since < _GRACE
        result = self._goal.check(state)
        if result is WaitResult.ENDED and was_over and is_early:
            return WaitResult.WAITING
        never = self._goal.verified and state.begun is not None and state.begun.get("verify") == "size"
        if result is WaitResult.WAITING and never and not is_early:
            raise GoalError("this copy is not read back: start it with --verify checksum")
        return result
