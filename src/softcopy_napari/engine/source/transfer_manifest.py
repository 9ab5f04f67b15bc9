"""Follows the list of finished files that some writers keep in the source, line by line while it grows.

The form is that of Squid's `transfer_manifest.jsonl`, version 1: lines of JSON with an `event`. `start` opens a run,
`complete` names a file (or with `kind: dir` a folder with all in it) that is not written again, `end` says that nothing
is written any more. docs/folders.md describes what is accepted.

Part of what is known of a target's source (source_tracker.py), and called from its job's thread alone.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Set
from typing import Any

from softcopy_napari.engine.fs.relative_paths import nearest_folder
from softcopy_napari.engine.reasons import Reason, ReasonCode, make_reason
from softcopy_napari.engine.worker.tasks import TailDone, TailTask
from softcopy_napari.engine.zarr_layout.file_names import METADATA_NAMES

MANIFEST = "transfer_manifest.jsonl"
"""Name of the list, at the source's top."""
_SCHEMA = 1
"""The version of the form that is understood."""
_INTERVAL = 1.0
"""Seconds between two looks at a list that may grow without being reported."""
_LONGEST_LINE = 1 << 20


class TransferManifest:
    """What the source's own list says of its files.

    Attributes
    ----------
    open : bool
        Whether a run has begun, as far as is known, and not ended: then only files that it names are finished.
    ended : bool
        Whether the run has ended by its last line.
    modified : int
        When the list was written last, ns.
    """

    def __init__(self) -> None:
        self.open = self.ended = False
        self.modified = 0
        self._notices: list[Reason] = []
        self._noted: set[Reason] = set()
        self._exists = self._refused = False
        self._names: set[str] = set()
        """Files that are finished."""
        self._folders: dict[str, None] = {}
        """Folders that are finished with all in them."""
        self._fresh: list[str] = []
        """Those of both that were named since they were asked for last."""
        self._identity: tuple[int, int] | None = None
        self._offset = 0
        self._rest = b""
        self._next_read = 0.0
        self._reading = self._understood = False

    def note_found(self) -> None:
        """Note that the list is there: until it is read, nothing counts as finished."""
        if not self._exists:
            self._exists = self.open = True

    def read_soon(self) -> None:
        """Have it read now: it has changed."""
        self.note_found()
        self._next_read = 0.0

    def pop_task(self, now: float, new_id: Callable[[], int]) -> TailTask | None:
        """Return the task to read what was appended to it; None where that is not due."""
        if not self._exists or self._reading or self._refused or now < self._next_read:
            return None
        self._next_read, self._reading = now + _INTERVAL, True
        return TailTask(new_id(), MANIFEST, self._offset)

    @property
    def awaited(self) -> bool:
        """Whether it is being read, or was never read so far."""
        return self._exists and not self._refused and (self._reading or self._identity is None)

    def withholds(self, path: str) -> bool:
        """Return whether a file is not finished, so that it must not be copied yet.

        Zarr metadata are copied as they come: without them nobody can look at the copy while it grows. The list itself
        comes last: at the destination it shall not name what is not there.
        """
        if not self.open or path.rpartition("/")[2] in METADATA_NAMES:
            return False
        return path not in self._names and nearest_folder(path, self._folders) is None

    def names_folder(self, path: str) -> bool:
        """Return whether it names a folder as finished, with all in it."""
        return path in self._folders

    @property
    def names(self) -> Set[str]:
        """The files that it names as finished, without those of whole folders."""
        return self._names

    def pop_new_names(self) -> list[str]:
        """Return the files and folders that were named since the last call."""
        fresh, self._fresh = self._fresh, []
        return fresh

    def add_tail(self, tail: TailDone) -> bool:
        """Take in what was read; return whether that changes what is known."""
        self._reading = False
        if tail.identity is None:  # it has gone, or cannot be read
            known, self._exists, self.open = self.open, False, False
            self._identity = None
            return known
        if tail.size < self._offset or self._identity not in (None, tail.identity):
            self._start_over()
            self._identity = tail.identity
            return True
        self._identity, self.modified = tail.identity, tail.modified
        self._offset += len(tail.data)
        if self._offset < tail.size:
            self._next_read = 0.0
        before = self.open, self.ended, len(self._fresh)
        *lines, self._rest = (self._rest + tail.data).split(b"\n")
        for line in lines:
            self._add_line(line)
        # The last line may lack its newline: it counts when it is whole, and else when more of it has come.
        if self._rest and (event := _parse(self._rest)) is not None and event.get("event") == "end":
            self._add_event(event)
        if len(self._rest) > _LONGEST_LINE:
            self._refuse(make_reason(ReasonCode.MANIFEST_NOT_FOLLOWED, file=MANIFEST))
        if lines and not self._understood and not self._refused:  # some other program's file of that name
            self._refuse(make_reason(ReasonCode.MANIFEST_NOT_FOLLOWED, file=MANIFEST))
        return before != (self.open, self.ended, len(self._fresh))

    def _start_over(self) -> None:
        """Read it from its start, since another one is in its place."""
        self._offset, self._rest, self._next_read = 0, b"", 0.0
        self._names.clear()
        self._folders.clear()
        self.ended, self.open, self._understood = False, True, False

    def _add_line(self, line: bytes) -> None:
        if self._refused or not line.strip():
            return
        event = _parse(line)
        if event is None:
            self._note(make_reason(ReasonCode.MANIFEST_BAD_LINE, file=MANIFEST))
        else:
            self._add_event(event)

    def _add_event(self, event: dict[str, Any]) -> None:
        match event.get("event"):
            case "start":
                schema = event.get("schema", _SCHEMA)
                if schema != _SCHEMA:
                    self._refuse(
                        make_reason(ReasonCode.MANIFEST_OF_OTHER_VERSION, file=MANIFEST, version=str(schema)[:20])
                    )
                    return
                self.open, self.ended = True, False
            case "complete":
                path = event.get("path")
                if not isinstance(path, str) or not _leads_inside(path):
                    self._note(make_reason(ReasonCode.MANIFEST_BAD_LINE, file=MANIFEST))
                elif event.get("kind", "file") == "dir":
                    self._folders[path] = None
                    self._fresh.append(path)
                elif path not in self._names:
                    self._names.add(path)
                    self._fresh.append(path)
            case "end":
                self.ended, self.open = True, False
            case "timepoint_done":
                pass
            case _:
                return
        self._understood = True

    def _refuse(self, why: Reason) -> None:
        self._refused, self.open, self.ended = True, False, False
        self._note(why)

    def _note(self, what: Reason) -> None:
        if what not in self._noted:
            self._noted.add(what)
            self._notices.append(what)

    def pop_notices(self) -> list[Reason]:
        """Return what its user should know, each thing once."""
        notices, self._notices = self._notices, []
        return notices


def _parse(line: bytes) -> dict[str, Any] | None:
    """Return what a line says; None where it is no JSON object."""
    try:
        event = json.loads(line)
    except (ValueError, RecursionError):
        return None
    return event if isinstance(event, dict) else None


def _leads_inside(path: str) -> bool:
    """Return whether a path is relative and stays in the folder that it starts from."""
    names = path.split("/")
    return bool(path) and not any(name in ("", ".", "..") for name in names) and "\\" not in path and "\0" not in path
