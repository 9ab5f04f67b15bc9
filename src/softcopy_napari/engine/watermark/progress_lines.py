"""The lines of a progress file: how they are spelled, and what they say when they are taken together.

`docs/progress.md` and `docs/progress.schema.json` describe them for readers. Nothing heavy is imported here: commands
that only read a progress file start at once.
"""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from datetime import datetime
from typing import Any, NamedTuple

FORMAT = 1
"""Goes up when a reader of this version would be wrong about what a file says."""
HEAD = b'{"softcopy_progress":'
"""What every progress file begins with."""

LONGEST_LINE = 1 << 20
"""Bytes of a line, at most: of the longest path, and of all ranges that are named."""

Ranges = list[tuple[int, int]]
"""Indices along an axis as pairs: from the first, up to but not the second."""


class Claim(NamedTuple):
    """How far an array, or a well, is complete along its slowest axis."""

    axis: str
    """Name of the axis; empty where it has none."""
    copied: int
    """Number of indices from 0 all of whose chunk files are at the destination."""
    verified: int
    """Number of indices from 0 all of whose chunk files were read back from the destination."""
    of: int
    """Length of the axis, as far as is known."""


def encode_line(event: str, **fields: Any) -> bytes:
    """Spell a line; one that begins a file's part of an engine says so first."""
    head = {"softcopy_progress": FORMAT} if event == "begin" else {}
    now = datetime.now().astimezone().isoformat(timespec="milliseconds")
    return json.dumps({**head, "event": event, "time": now, **fields}).encode() + b"\n"


def encode_claim(key: str, path: str, claim: Claim, changed: Sequence[tuple[int, int]] = ()) -> bytes:
    """Spell a line about an array or a well; `key` says which of them it is."""
    more = {"changed": [list(one) for one in changed]} if changed else {}
    numbers = {"copied": claim.copied, "verified": claim.verified, "of": claim.of}
    return encode_line("progress", **{key: path}, axis=claim.axis or None, **numbers, **more)


class ProgressState:
    """What all lines so far say together.

    Attributes
    ----------
    begun : mapping or None
        The line with which the engine that wrote last began; None before there is one.
    arrays, wells : dict of str to Claim
        How far each is, by path.
    claimed : dict of str to list of tuple of int and int
        Indices of each array that were once claimed, and have not changed since as far as was said.
    missing : int
        Arrays and groups that OME metadata promise, and that have not come.
    untracked : set of str
        Folders of which no more is known than that they are copied when all is complete.
    complete : mapping or None
        The line that says that all is complete; None while it is not.
    ended : mapping or None
        The line that says that the engine has ended before that.
    newer : bool
        Whether the file is of a version that this one cannot read.
    """

    def __init__(self) -> None:
        self.begun: Mapping[str, Any] | None = None
        self.claimed: dict[str, Ranges] = {}
        self.newer = False
        self._start_over()

    def _start_over(self) -> None:
        self.arrays: dict[str, Claim] = {}
        self.wells: dict[str, Claim] = {}
        self.missing = 0
        self.untracked: set[str] = set()
        self.complete: Mapping[str, Any] | None = None
        self.ended: Mapping[str, Any] | None = None

    @property
    def is_over(self) -> bool:
        """Whether nothing more is to come, unless the copy is started again or its source changes."""
        return self.complete is not None or self.ended is not None

    def apply_line(self, line: bytes) -> None:
        """Take in a whole line; what is no line of a progress file is passed over."""
        try:
            fields = json.loads(line)
            if isinstance(fields, dict):
                self._apply(fields)
        except (ValueError, TypeError, KeyError, OverflowError, RecursionError):
            return

    def _apply(self, fields: Mapping[str, Any]) -> None:
        match fields["event"]:
            case "begin":
                self.newer = fields["softcopy_progress"] > FORMAT
                self._start_over()
                self.begun = fields
                if fields.get("anew"):
                    self.claimed.clear()
            case "progress":
                self._apply_claim(fields)
            case "promised":
                self.missing = int(fields["missing"])
            case "untracked":
                self.untracked.add(str(fields["path"]))
            case "complete":
                self.complete, self.ended = fields, None
            case "resumed":
                self.complete = self.ended = None
            case "end":
                self.ended = fields

    def _apply_claim(self, fields: Mapping[str, Any]) -> None:
        claim = Claim(str(fields.get("axis") or ""), int(fields["copied"]), int(fields["verified"]), int(fields["of"]))
        if "well" in fields:
            self.wells[str(fields["well"])] = claim
            return
        path = str(fields["array"])
        self.arrays[path] = claim
        claimed = self.claimed.get(path, [])
        for start, stop in fields.get("changed", ()):
            claimed = _without(claimed, int(start), int(stop))
        self.claimed[path] = _with_first(claimed, claim.copied)


def _without(ranges: Ranges, start: int, stop: int) -> Ranges:
    if start >= stop:
        return ranges
    parts = [part for one in ranges for part in ((one[0], min(one[1], start)), (max(one[0], stop), one[1]))]
    return [(first, last) for first, last in parts if first < last]


def _with_first(ranges: Ranges, count: int) -> Ranges:
    """Add the indices below a number."""
    if count <= 0:
        return ranges
    stop = max([count, *(last for first, last in ranges if first <= count)])
    return [(0, stop), *(one for one in ranges if one[0] > count)]
