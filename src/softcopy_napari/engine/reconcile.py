"""Plans the walks that compare source and destination, folder by folder; the workers carry them out.

The file system is the truth and events are hints: a full pass over all folders at the start, after a loss of
events and before saying "complete" is what decides. In between, looks at folders whose own time has changed
catch what nobody reported.
"""

from __future__ import annotations

from collections import deque
from dataclasses import dataclass, field

from softcopy_napari.engine.compare import FolderPart

_FOLDERS_A_TASK = 64


@dataclass(slots=True)
class Pass:
    """One walk over all folders of the source, and what it found."""

    full: bool
    """Whether every folder is listed; else only those whose time has changed."""
    open: int = 0
    """Folders asked for and not answered."""
    newest: int = 0
    """Latest modification time seen, ns."""
    news: int = 0
    """Files found that have to be copied and that were not known to."""
    gone: list[str] = field(default_factory=list)
    """What only the destination has: paths of files and folders."""
    scratch: list[str] = field(default_factory=list)
    """Writers' temporaries."""
    errors: dict[str, str] = field(default_factory=dict)
    """Folders that could not be listed, and why."""


class Walks:
    """Which folders are to be compared, and the pass under way.

    Attributes
    ----------
    known : dict of str to int
        All folders of the source seen so far, each with the modification time (ns) at which its content
        is known, or 0.
    current : Pass or None
        The pass under way.
    """

    def __init__(self) -> None:
        self.known: dict[str, int] = {}
        self.current: Pass | None = None
        self._waiting: deque[str] = deque()
        self._asked: dict[str, bool] = {}
        """Folders waiting or with a worker; whether they count for the pass under way."""
        self._again: set[str] = set()

    def start(self, full: bool) -> Pass:
        """Begin a pass over all known folders, and those it will find."""
        self.current = Pass(full)
        for folder in self.known or [""]:
            self.ask(folder, for_pass=True)
        return self.current

    def ask(self, folder: str, for_pass: bool = False) -> None:
        """Have a folder compared; once more, if it is being compared just now."""
        if folder not in self._asked:
            self._waiting.append(folder)
            self._asked[folder] = False
            self.known.setdefault(folder, 0)
        elif not for_pass:
            self._again.add(folder)
        if for_pass and self.current is not None and not self._asked[folder]:
            self._asked[folder] = True
            self.current.open += 1

    def next(self, workers: int) -> list[tuple[str, int]]:
        """Folders for one task of one of several workers, with the times at which they need not be listed."""
        light = self.current is not None and not self.current.full
        share = max(1, min(len(self._waiting) // (4 * workers), _FOLDERS_A_TASK))
        taken: list[tuple[str, int]] = []
        while self._waiting and len(taken) < share:
            folder = self._waiting.popleft()
            skip = light and self._asked[folder]
            taken.append((folder, self.known.get(folder, 0) if skip else 0))
        return taken

    @property
    def waiting(self) -> bool:
        """Whether folders wait for a worker."""
        return bool(self._waiting)

    def put_back(self, folders: list[tuple[str, int]]) -> None:
        """Take back folders whose worker died."""
        self._waiting.extendleft(folder for folder, _ in folders if folder in self._asked)

    def took(self, part: FolderPart) -> list[str]:
        """Note a part of a comparison.

        Returns
        -------
        list of str
            Folders not seen before; to be watched first, and then asked for.
        """
        prefix = part.folder + "/" if part.folder else ""
        current = self.current if self._asked.get(part.folder) else None
        if current is not None:
            current.newest = max(current.newest, part.newest)
            current.gone += [prefix + name for name in part.gone]
            current.scratch += [prefix + name for name in part.scratch]
            if part.error:
                current.errors[part.folder] = part.error
        if part.last:
            self._end(part, current)
        return [prefix + name for name in part.folders if prefix + name not in self.known]

    def _end(self, part: FolderPart, current: Pass | None) -> None:
        self._asked.pop(part.folder, None)
        if part.missing:
            self.known.pop(part.folder, None)
            self._again.discard(part.folder)
        elif not part.unchanged:
            self.known[part.folder] = 0 if part.error else part.modified
        if current is not None:
            current.open -= 1
        if part.folder in self._again:
            self._again.discard(part.folder)
            self.ask(part.folder)

    def finished(self) -> Pass | None:
        """The pass under way, if it has just come to its end."""
        if self.current is not None and self.current.open == 0:
            done, self.current = self.current, None
            return done
        return None
