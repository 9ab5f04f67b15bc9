"""Keeps a destination's progress file true: says what is complete, and takes back what no longer is before it changes.

Part of a target's job, and called from its thread alone. What is claimed follows from the ledgers (array_watermark.py);
a thread of its own writes (progress_writer.py). Nothing is copied while something is still to be taken back.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Iterable, Iterator, Sequence

from softcopy_napari.engine.fs.own_files import run_of_temporary
from softcopy_napari.engine.fs.relative_paths import is_below, join, nearest_folder, parent
from softcopy_napari.engine.inventory.inventory import Inventory
from softcopy_napari.engine.inventory.ledger import Ledger
from softcopy_napari.engine.inventory.tracked_array import TrackedArray
from softcopy_napari.engine.protocol.messages import ArrayMark, WatermarkSnapshot
from softcopy_napari.engine.reasons import Reason, ReasonCode, make_reason
from softcopy_napari.engine.source.source_metadata import SourceMetadata
from softcopy_napari.engine.states import ChunkState, TargetState
from softcopy_napari.engine.targets.store_url import StoreUrl
from softcopy_napari.engine.targets.target import Target
from softcopy_napari.engine.watermark.array_watermark import ArrayWatermark, Counted
from softcopy_napari.engine.watermark.progress_file import ProgressFile
from softcopy_napari.engine.watermark.progress_lines import Claim, ProgressState, Ranges, encode_claim, encode_line
from softcopy_napari.engine.watermark.progress_writer import Outcome, ProgressWriter
from softcopy_napari.engine.watermark.store_progress_file import StoreProgressFile
from softcopy_napari.engine.wording import describe
from softcopy_napari.engine.zarr_layout.array_layout import ArrayLayout
from softcopy_napari.engine.zarr_layout.file_names import METADATA_NAMES

_INTERVAL = 1.0
"""Seconds between lines that claim something."""
_RETRY = 3.0
_LONGEST_WAIT = 30.0
"""Seconds for which copying waits for a progress file that can be neither written nor removed."""
_ARRIVED = (ChunkState.COPIED, ChunkState.VERIFIED)
_NOTHING = Claim("", 0, 0, 0)
_MOST_ARRAYS = 16
"""Arrays that front ends are told of one by one."""


class Watermark:
    """Says how far a target is complete.

    Parameters
    ----------
    target : Target
    marker : str
        Name of the file by which the destination is known.
    inventory : Inventory
    metadata : SourceMetadata
    post : callable
        Has a function called in the job's thread.
    notice : callable
        Takes what the target's user should know.

    Attributes
    ----------
    summary : WatermarkSnapshot or None
        What was said, for front ends; None while nothing is.
    """

    def __init__(
        self,
        target: Target,
        marker: str,
        inventory: Inventory,
        metadata: SourceMetadata,
        post: Callable[[Callable[[], None]], None],
        notice: Callable[[Reason], None],
    ) -> None:
        self.summary: WatermarkSnapshot | None = None
        self._target, self._marker = target, marker
        self._writer: ProgressWriter | None = None
        """None where no progress file is wanted."""
        if target.progress_file and marker:
            self._writer = ProgressWriter(_progress_file(target, marker), post)
        self._inventory, self._metadata, self._notice = inventory, metadata, notice
        self._disturbed = inventory.ledgers.sums.disturbed
        self._arrays: dict[str, ArrayWatermark] = {}
        self._by_ledger: dict[Ledger, ArrayWatermark] = {}
        self._in_well: dict[str, dict[str, ArrayWatermark]] = {}
        self._wells: dict[str, Claim] = {}
        """What was said of each well last."""
        self._claimed_before: dict[str, Ranges] = {}
        """What earlier engines have claimed of arrays that are not known yet."""
        self._counted = Counted()
        self._missing = 0
        self._untracked: set[str] = set()
        self._complete_written = False
        self._started = self._begun = self._anew = False
        """Whether the file is to be begun, whether it is, and whether for another dataset."""
        self._out = self._urgent = 0
        """Writes under way, and those of them that copying waits for."""
        self._next = self._next_try = 0.0
        self._failing_since: float | None = None
        self._is_removed = False
        """Whether there is no file that could be untrue, since it could not be written."""
        self._seen: tuple[int, Counted] = -1, self._counted
        """The inventory's count of changes, and what counted, when all arrays were looked at last."""

    # -- the file -------------------------------------------------------------------------------------

    def adopt_file(self, before: Watermark) -> None:
        """Go on with another one's file, of whose dataset nothing holds any longer."""
        self._writer, self._anew = before._writer, True

    def start(self, anew: bool, now: float) -> None:
        """Begin the progress file, before the first file is copied; `anew` if another dataset is copied from now on."""
        if self._writer is not None and not self._started:
            self._started, self._anew = True, self._anew or anew
            self._begin(now)
        elif self._counted.complete:
            self._counted = self._counted._replace(complete=False)
            self._complete_written = False
            if self._begun:
                self._add_lines([encode_line("resumed"), *self._claim_all()], urgent=True)

    def _begin(self, now: float) -> None:
        assert self._writer is not None
        self._next_try = now + _RETRY
        self._out += 1
        verify = "checksum" if self._counted.in_doubt else self._target.verify
        sides = {"source": str(self._target.source), "destination": str(self._target.destination)}
        run = {"run": run_of_temporary(self._marker), "verify": verify, "anew": self._anew}
        self._writer.begin(encode_line("begin", **run, **sides), self._anew, self._handle_begun)

    def _handle_begun(self, before: ProgressState | None, outcome: Outcome, problem: str) -> None:
        self._out -= 1
        if before is None:
            self._note_failure(outcome, problem)
            return
        if not self._anew:
            self._claimed_before = before.claimed | {
                path: array.claimed_ranges() for path, array in self._arrays.items()
            }
        self._begun, self._anew, self._failing_since = True, False, None
        self._missing, self._complete_written = 0, False
        for known in (self._arrays, self._by_ledger, self._in_well, self._wells, self._untracked):
            known.clear()
        self._inventory.relaid.update(self._inventory.arrays)

    def _note_failure(self, outcome: Outcome, problem: str) -> None:
        """Begin once more, later: the first line of that will take everything back."""
        self._begun, self._is_removed = False, outcome is Outcome.REMOVED
        if outcome is not Outcome.AWAY:
            self._failing_since = self._failing_since or time.monotonic()
            where = str(self._target.destination)
            self._notice(make_reason(ReasonCode.PROGRESS_FILE_FAILED, destination=where, problem=problem))

    def _add_lines(self, lines: Iterable[bytes], urgent: bool = False) -> None:
        """Add lines; if they are urgent, nothing is copied before they are written."""
        data = b"".join(lines)
        if self._writer is None or not data:
            return
        self.summary = self._make_summary()
        self._out += 1
        self._urgent += urgent

        def handle(_: ProgressState | None, outcome: Outcome, problem: str) -> None:
            self._out -= 1
            self._urgent -= urgent
            if outcome is not Outcome.WRITTEN:
                self._note_failure(outcome, problem)

        self._writer.add(data, urgent, handle)

    def _make_summary(self) -> WatermarkSnapshot | None:
        said = [(path, array.last_claim) for path, array in self._arrays.items() if array.last_claim is not None]
        if not said:
            return None
        axis = said[0][1].axis
        all_of_them = _furthest_of_all([claim for _, claim in said if claim.axis == axis])
        arrays = [ArrayMark(path=path, **claim._asdict()) for path, claim in said] if len(said) <= _MOST_ARRAYS else []
        wells = sum(0 < claim.of <= claim.copied for claim in self._wells.values())
        return WatermarkSnapshot(
            **all_of_them._asdict(), arrays=tuple(arrays), wells=wells, of_wells=len(self._metadata.wells)
        )

    # -- steps ----------------------------------------------------------------------------------------

    def allows_changes(self, now: float) -> bool:
        """Whether the destination may be changed: nothing that the progress file says becomes untrue by that."""
        if self._writer is None:
            return True
        if not self._started:
            return False
        if not self._begun:
            if not self._out and now >= self._next_try:
                self._begin(now)
            waited_enough = self._failing_since is not None and now - self._failing_since > _LONGEST_WAIT
            return self._is_removed or waited_enough
        self._retract(now)
        return not self._urgent

    def update_if_due(self, now: float) -> None:
        """Say what has become complete, once a second at most."""
        if self._writer is None or not self._begun or self._out or now < self._next:
            return
        self._next = now + _INTERVAL
        self._retract(now)
        self._add_lines([*self._claim_all(), *self._encode_missing(), *self._encode_complete()])

    def note_doubt(self) -> None:
        """Let nothing count any more but what has been read back: it may not be at the destination."""
        if not self._counted.in_doubt:
            self._counted = self._counted._replace(in_doubt=True)
            for array in self._arrays.values():
                array.start_over()
            if self._begun:
                self._add_lines(self._claim_all(), urgent=True)

    def note_complete(self, now: float) -> None:
        """Say that all is complete."""
        self._counted = self._counted._replace(complete=True)
        if self._begun:
            self._retract(now)
            self._add_lines([*self._claim_all(), *self._encode_missing(), *self._encode_complete()])

    def note_end(self, state: TargetState, reason: Reason) -> None:
        """Say how the copy ends, if it is not complete."""
        if self._begun and not self._counted.complete:
            self._add_lines([encode_line("end", state=str(state), reason=describe(reason))])

    def close(self, timeout: float) -> None:
        """Close the file when everything is written; wait so many seconds at most."""
        if self._writer is not None:
            self._writer.close(timeout)

    # -- what is taken back ---------------------------------------------------------------------------

    def _retract(self, now: float) -> None:
        """Take back what is not as it was said any more."""
        if not (self._disturbed or self._inventory.relaid):
            return
        found: dict[ArrayWatermark, Ranges] = {}
        lines, gone = list[bytes](), list[ArrayWatermark]()
        for path in self._inventory.relaid:
            if (known := self._inventory.arrays.get(path)) is not None:
                found |= self._follow(path, known, now)
            elif (array := self._arrays.pop(path, None)) is not None:
                lines.append(self._forget(array))
                gone.append(array)
        if self._inventory.relaid:
            self._inventory.relaid.clear()
            self._seen = -1, self._seen[1]
        for ledger in self._disturbed:
            if (array := self._by_ledger.get(ledger)) is not None and (changed := array.retract(now)):
                found[array] = [*found.get(array, ()), *changed]
        self._disturbed.clear()
        lines += [line for array, changed in found.items() for line in self._claim(array, changed)]
        self._add_lines([*lines, *self._claim_wells([*found, *gone])], urgent=True)

    def _forget(self, array: ArrayWatermark) -> bytes:
        """Take back what was said of an array that is known no longer."""
        del self._by_ledger[array.ledger]
        self._in_well.get(array.well or "", {}).pop(array.path, None)
        return encode_claim("array", array.path, _NOTHING, array.claimed_ranges())

    def _follow(self, path: str, known: TrackedArray, now: float) -> dict[ArrayWatermark, Ranges]:
        """Follow an array that is new, has another shape, or is another one.

        Return it if something is to be taken back, with the indices that have changed.
        """
        before, claimed, changed = self._arrays.get(path), self._claimed_before.pop(path, []), list[tuple[int, int]]()
        if before is not None:
            del self._by_ledger[before.ledger]
            changed = before.retract(now)
            kept = _still_there(before.layout, known.layout)
            claimed = [(start, min(stop, kept)) for start, stop in before.claimed_ranges() if start < kept]
            changed += [(max(start, kept), stop) for start, stop in before.claimed_ranges() if stop > kept]
        array = ArrayWatermark(path, known.layout, known.ledger, claimed, before)
        self._arrays[path] = self._by_ledger[known.ledger] = array
        if array.well is not None:
            self._in_well[array.well][path] = array
        changed += array.retract(now)
        return {array: changed} if changed or array.has_fallen(self._counted) else {}

    # -- what is said ---------------------------------------------------------------------------------

    def _claim_all(self) -> Iterator[bytes]:
        """Yield what has become complete, or is no longer, since it was said last."""
        seen = self._inventory.changes, self._counted
        force = self._seen[1] != self._counted
        if self._seen == seen and not any(array.blocked for array in self._arrays.values()):
            return
        self._seen = seen
        moved: list[ArrayWatermark] = []
        for array in self._arrays.values():
            if (force or array.may_have_changed) and (lines := self._claim(array)):
                moved.append(array)
                yield from lines
        yield from self._claim_wells(moved)

    def _claim(self, array: ArrayWatermark, changed: Sequence[tuple[int, int]] = ()) -> list[bytes]:
        names = self._metadata.axes.get(array.path) or array.layout.dimension_names or ()
        array.axis = (names[0] or "") if len(names) == len(array.layout.shape) > 0 else ""
        claim = array.make_claim(self._counted, self._is_readable(array.path))
        if claim == array.last_claim and not changed:
            return []
        array.note_claim(claim)
        return [encode_claim("array", array.path, claim, changed)]

    def _is_readable(self, path: str) -> bool:
        """Whether the destination has the metadata of an array and of the groups that it lies in, as the source has."""
        files = self._inventory.plain_files
        own = [join(path, name) for name in METADATA_NAMES]
        if not any(files.state(one) in _ARRIVED or one in self._inventory.kept for one in own):
            return False
        while all(files.state(join(path, name)) in (ChunkState.ABSENT, *_ARRIVED) for name in METADATA_NAMES):
            if not path:
                return True
            path = parent(path)
        return False

    def _claim_wells(self, moved: Iterable[ArrayWatermark]) -> Iterator[bytes]:
        """Yield how far the wells of some arrays are complete: as far as all their arrays, if all have come."""
        wells: dict[str, None] = {}
        for array in moved if self._metadata.wells else ():
            if array.well is None and (well := nearest_folder(array.path, self._metadata.wells)) is not None:
                array.well = well
                self._in_well.setdefault(well, {})[array.path] = array
            if array.well is not None:
                wells[array.well] = None
        missing = self._metadata.missing_nodes() if wells else []
        for well in wells:
            claim = _furthest_of_all(
                [array.last_claim or _NOTHING for array in self._in_well[well].values()] or [_NOTHING]
            )
            if any(is_below(node, well) for node in missing):
                claim = claim._replace(copied=0, verified=0)
            if self._wells.get(well) != claim:
                self._wells[well] = claim
                yield encode_claim("well", well, claim)

    def _encode_missing(self) -> Iterator[bytes]:
        """Yield how many arrays and groups are still to come, and of which nothing can be said, if that is news."""
        missing = len(self._metadata.missing_nodes())
        if missing != self._missing:
            self._missing = missing
            yield encode_line("promised", missing=missing)
        for path in self._metadata.opaque.keys() - self._untracked:
            self._untracked.add(path)
            yield encode_line("untracked", path=path)

    def _encode_complete(self) -> Iterator[bytes]:
        if self._counted.complete and not self._complete_written:
            self._complete_written = True
            counts = self._inventory.counts()
            unproven = counts[ChunkState.COPIED] + self._inventory.plain_files.count_in(ChunkState.COPIED)
            yield encode_line("complete", verified=not unproven)


def _furthest_of_all(claims: Sequence[Claim]) -> Claim:
    """Return how far all arrays are that something is claimed of."""
    _, copied, verified, of = zip(*claims, strict=True)
    return Claim(claims[0].axis, min(copied), min(verified), max(of))


def _still_there(before: ArrayLayout, now: ArrayLayout) -> int:
    """Return how many indices of an array are still made of the same chunk files, now that it has another layout."""
    if before.difference(now, ignore_shape=True) is not None or before.grid[1:] != now.grid[1:]:
        return 0
    return min(before.shape[:1] + now.shape[:1], default=1)


def _progress_file(target: Target, marker: str) -> ProgressFile:
    if isinstance(target.destination, StoreUrl):
        return StoreProgressFile(target.source, target.destination)
    return ProgressFile(target.source, target.destination, marker, target.permissions, target.group_id)
