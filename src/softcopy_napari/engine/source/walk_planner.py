"""Plans the walks that compare source and destination, folder by folder; the workers carry them out.

The file system is the truth and events miss some of it: a full pass over all folders at the start, after a loss of
events and before saying "complete" is what decides. In between, looks at folders whose own time has changed
catch what nobody reported.
"""

from __future__ import annotations

from collections import deque
from dataclasses import dataclass, field

from softcopy_napari.engine.fs.relative_paths import is_below, nearest_folder, parent, prefix_of
from softcopy_napari.engine.fs.system_names import lies_in_system_folder, system_name
from softcopy_napari.engine.reasons import Reason, ReasonCode, make_reason
from softcopy_napari.engine.worker.folder_batch import COMPARED, UNCHANGED, FolderBatch
from softcopy_napari.engine.worker.folder_diff import FolderDiff
from softcopy_napari.engine.worker.numbered_folders import ALL_BELOW

_NEVER = -1
_FOLDERS_A_TASK = 512
_MOST_MISSES = 5
"""Times that a folder which its parent lists is looked for."""


@dataclass(slots=True)
class Walk:
    """One walk over all folders of the source, and what it found."""

    full: bool
    """Whether every folder is listed; else only those whose time has changed."""
    changes: int = 0
    """The count of changes when it began, and those that it came across itself."""
    flushes: bool = False
    """Whether the destination's folders are flushed on the way."""
    ended: float = 0.0
    """When it came to its end, monotonic."""
    open: int = 0
    """Folders asked for and not answered."""
    newest: int = 0
    """Latest modification time seen, ns."""
    newest_change: int = 0
    """Latest change time of a file at the destination that is up to date, by the destination's clock, ns."""
    found: int = 0
    """Files found that have to be copied and that were not known to."""
    size: int = 0
    """Bytes of the regular files that are up to date at the destination."""
    gone: list[str] = field(default_factory=list)
    """What only the destination has: paths of files and folders, which end in `/`."""
    system: set[str] = field(default_factory=set)
    """Names of what only the destination has because its system made it, wherever in it."""
    errors: dict[str, Reason] = field(default_factory=dict)
    """Folders that could not be listed, and why."""
    unlisted: set[str] = field(default_factory=set)
    """Folders that could not be listed either, and that hold no data: a system made them."""


class WalkPlanner:
    """Decides which folders are to be compared, and follows the walk under way.

    Attributes
    ----------
    known : dict of str to int
        All folders of the source seen so far, each with the modification time (ns) at which its content
        is known, or 0; -1 for those that were never compared.
    current : Walk or None
        The pass under way.
    missed : dict of str to int
        Folders that were not found, and how often.
    """

    def __init__(self) -> None:
        self.missed: dict[str, int] = {}
        self.known: dict[str, int] = {}
        self.current: Walk | None = None
        self.full_begun = 0
        """Passes over every folder begun so far."""
        self._number = 0
        """Of the latest pass."""
        self._waiting: deque[str] = deque()
        self._asked: dict[str, int] = {}
        """Folders waiting or with a worker, and the number of the pass they count for; 0 for none."""
        self._out: set[str] = set()
        """Those of them that are with a worker."""
        self._touched: dict[str, set[str]] = {}
        """Files that something happened to while their folder was with a worker, by folder."""
        self._sizes: dict[str, int] = {}
        """Bytes found so far in folders that are with a worker."""
        self._again: dict[str, int] = {}
        """Those of them to be compared once more when the worker has answered, as in `_asked`."""
        self._unvisited: set[str] = set()
        """Folders known before the pass under way over every folder, that it has not come to yet."""

    def start(self, full: bool, changes: int = 0, flushes: bool = False) -> Walk:
        """Begin a pass over all known folders, and those it will find; it takes the place of one under way.

        One over every folder finds them from the top, each in the folder that it lies in. Others ask for each of them.
        """
        self._number += 1
        self.full_begun += full
        self.current = Walk(full, changes, flushes)
        self._unvisited = set(self.known) if full else set()
        self.request("", for_pass=True)
        for folder in () if full else list(self.known):
            self.request(folder, for_pass=True)
        return self.current

    def request(self, folder: str, for_pass: bool = False) -> None:
        """Have a folder compared; once more, if it is being compared just now."""
        number = self._number if for_pass and self.current is not None else 0
        if folder not in self._asked:
            self._waiting.append(folder)
            self._asked[folder] = 0
            self.known.setdefault(folder, _NEVER)
        if folder not in self._out:
            self._count(self._asked, folder, number)
        elif not (number and self._asked[folder] == number):
            self._count(self._again, folder, number)

    def forget(self, folder: str) -> None:
        """Forget a folder that is another one than before: what lies in it has to be found anew."""
        for path in [path for path in self.known if is_below(path, folder)]:
            del self.known[path]

    def was_compared(self, folder: str) -> bool:
        """Return whether a folder has been compared: its metadata, if it has any, have been read."""
        return self.known.get(folder, _NEVER) != _NEVER

    def _count(self, numbers: dict[str, int], folder: str, number: int) -> None:
        """Have a folder count for a pass, once."""
        before = numbers.setdefault(folder, 0)
        if number and before != number and self.current is not None:
            numbers[folder] = number
            self.current.open += 1

    def take_folders(self, workers: int) -> list[tuple[str, int]]:
        """Take folders for one task of one of several workers, with the times at which they need not be listed."""
        share = max(1, min(len(self._waiting) // (4 * workers), _FOLDERS_A_TASK))
        taken: list[tuple[str, int]] = []
        while self._waiting and len(taken) < share:
            folder = self._waiting.popleft()
            known = self.known.get(folder, 0)
            light = self.current is not None and not self.current.full and self._counts(folder)
            if known == _NEVER or folder in self._unvisited:
                known = ALL_BELOW
            taken.append((folder, known if light or known == ALL_BELOW else 0))
            self._out.add(folder)
        return taken

    def _counts(self, folder: str) -> bool:
        """Return whether a folder that was asked for counts for the walk under way."""
        return self.current is not None and self._asked.get(folder) == self._number

    def touch(self, folder: str, name: str) -> None:
        """Note that something happens to a file: what a comparison under way says of it may be old."""
        if self._out and (folder in self._out or nearest_folder(folder, self._out) is not None):
            self._touched.setdefault(folder, set()).add(name)

    def touched(self, folder: str) -> set[str]:
        """Return the files of a folder of which a comparison under way may say something old."""
        return self._touched.get(folder, set())

    def is_touched(self, batch: FolderBatch) -> bool:
        """Whether a batch may say something old of any file."""
        return any(is_below(folder, batch.base) for folder in self._touched)

    @property
    def is_full(self) -> bool:
        """Whether there is a pass over every folder under way."""
        return self.current is not None and self.current.full

    @property
    def flushes(self) -> bool:
        """Whether the pass under way flushes the destination's folders."""
        return self.current is not None and self.current.flushes

    @property
    def waiting(self) -> bool:
        """Whether folders wait for a worker."""
        return bool(self._waiting)

    def put_back(self, folders: list[tuple[str, int]]) -> None:
        """Take back the folders that a worker which died has not answered."""
        left = [folder for folder, _ in folders if folder in self._out]
        self._out.difference_update(left)
        for folder in left:
            self._sizes.pop(folder, None)  # the next worker counts anew
        self._waiting.extendleft(left)

    def apply_folder_diff(self, part: FolderDiff) -> list[str]:
        """Note a part of a comparison.

        Returns
        -------
        list of str
            Folders to be asked for: those not seen before, to be watched first, and those that the pass has to come to.
        """
        prefix = prefix_of(part.folder)
        current = self.current
        self._sizes[part.folder] = self._sizes.get(part.folder, 0) + part.size
        if current is not None and self._counts(part.folder):
            current.newest = max(current.newest, part.newest)
            current.newest_change = max(current.newest_change, part.newest_change)
            self._note_gone(current, part, prefix)
            if part.error and lies_in_system_folder(part.folder):
                current.unlisted.add(part.folder)
            elif part.error:
                current.errors[part.folder] = make_reason(ReasonCode.FOLDER_NOT_LISTED, problem=part.error)
            elif part.unflushed:
                current.errors[part.folder] = make_reason(ReasonCode.NOT_FLUSHED, problem=part.unflushed)
        if part.last:
            self._end(part.folder, 0 if part.error else part.modified, part.missing, part.unchanged)
        return [prefix + name for name in part.folders if self._is_to_come(prefix + name)]

    def _is_to_come(self, folder: str) -> bool:
        """Whether a folder that was found has to be asked for."""
        return folder not in self.known or folder in self._unvisited

    def apply_folder_batch(self, batch: FolderBatch, one_by_one: bool = False) -> list[str]:
        """Note what a batch says.

        Parameters
        ----------
        batch : FolderBatch
        one_by_one : bool
            The folders that were compared are noted when each of them comes as a FolderDiff.

        Returns
        -------
        list of str
            Folders to be asked for, as of `apply_folder_diff`.
        """
        current, number = self.current, 0
        to_come: list[str] = []
        for folder, kind, modified, _, _ in batch.folders:
            if folder in self._out:  # that was asked for; those below it follow
                number = self._number if self._counts(folder) else 0
                if kind == UNCHANGED or (kind == COMPARED and not one_by_one):
                    self._end(folder, modified, missing=False, unchanged=kind == UNCHANGED)
            elif kind != COMPARED:
                if self._is_to_come(folder):
                    to_come.append(folder)
            elif not one_by_one:
                self.known[folder] = modified
                if number:
                    self._unvisited.discard(folder)
            else:
                self._out.add(folder)
                self.known.setdefault(folder, _NEVER)
                self._count(self._asked, folder, number)
        if number and current is not None:
            current.newest = max(current.newest, batch.newest)
            current.newest_change = max(current.newest_change, batch.newest_change)
            if not one_by_one:
                current.size += batch.size
        return to_come

    def return_folder_batch(self, batch: FolderBatch) -> None:
        """Have the folders of a batch that were asked for compared once more."""
        for folder, kind, *_ in batch.folders:
            if folder in self._out and kind in (COMPARED, UNCHANGED):
                self._end(folder, 0, missing=False, unchanged=False)
                self.request(folder, for_pass=True)

    @staticmethod
    def _note_gone(current: Walk, part: FolderDiff, prefix: str) -> None:
        """Note what only the destination has. A file server may make something of its own in each of its folders."""
        if not part.extra or lies_in_system_folder(part.folder):
            return
        for name in part.extra:
            if system := system_name(name):
                current.system.add(system)
            else:
                current.gone.append(prefix + name)

    def _end(self, folder: str, modified: int, missing: bool, unchanged: bool) -> None:
        """Note the last that a worker said of a folder that was asked for."""
        size = self._sizes.pop(folder, 0)
        if self.current is not None and self._counts(folder):
            self.current.open -= 1
            self.current.size += size
            self._unvisited.discard(folder)
        self._asked.pop(folder, None)
        self._out.discard(folder)
        for path in [path for path in self._touched if nearest_folder(path, self._out) is None]:
            del self._touched[path]
        if missing:
            self.known.pop(folder, None)
        else:
            self.missed.pop(folder, None)
            self.known[folder] = self.known.get(folder, 0) if unchanged else modified
        if folder in self._again:
            self._asked[folder] = self._again.pop(folder)
            self._waiting.append(folder)
            self.known.setdefault(folder, 0)

    def recheck_missing(self, folder: str) -> None:
        """Look once more at the parent of a folder that was not found: shares say so for a moment, and mean nothing."""
        self.missed[folder] = self.missed.get(folder, 0) + 1
        if self.missed[folder] <= _MOST_MISSES:
            self.request(parent(folder), for_pass=True)
        elif self.current is not None:
            self.current.errors[folder] = make_reason(ReasonCode.FOLDER_NOT_FOUND)

    def pop_finished(self) -> Walk | None:
        """Return the walk under way if it has just come to its end; there is none then."""
        if self.current is None or self.current.open:
            return None
        left, self._unvisited = self._unvisited, set()
        for folder in left & self.known.keys():  # nothing lists them any more
            self.request(folder, for_pass=True)
        if self.current.open:
            return None
        done, self.current = self.current, None
        return done
