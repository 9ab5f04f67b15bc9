"""Files that are not copied yet although nobody is known to be writing them.

In a folder of any files, those that grow wait until they have been quiet for long enough (recopy_delays.py); where the
source has a list of its finished files, all others wait until they are on it (transfer_manifest.py). Until then they
count as held by their writers. At the end of the acquisition all of them are copied.

Part of what is known of a target's source (source_tracker.py), and called from its job's thread alone.
"""

from __future__ import annotations

import math

from softcopy_napari.engine.fs.relative_paths import is_below
from softcopy_napari.engine.inventory.inventory import Inventory
from softcopy_napari.engine.reasons import Reason, ReasonCode, make_reason
from softcopy_napari.engine.source.recopy_delays import RecopyDelays
from softcopy_napari.engine.source.transfer_manifest import MANIFEST, TransferManifest


class HeldBack:
    """Holds back files that are not to be copied yet.

    Parameters
    ----------
    inventory : Inventory
    any_files : bool
        Whether the source is a folder of any files, which may grow for hours.

    Attributes
    ----------
    manifest : TransferManifest
        The source's own list of its finished files.
    suspended : bool
        Whether nothing is held back, because the acquisition is over.
    any_files : bool
        As given: then files that are known to be open wait until they are closed.
    """

    def __init__(self, inventory: Inventory, any_files: bool = False) -> None:
        self.manifest = TransferManifest()
        self.suspended = False
        self.any_files = any_files
        self._inventory = inventory
        self._delays = RecopyDelays(inventory)
        self._waiting: dict[str, float] = {}
        """Files that are held back, each with the seconds for which it has to be quiet; infinite for unlisted ones."""

    @property
    def active(self) -> bool:
        """Whether anything may have to be held back."""
        return not self.suspended and (self.any_files or self.manifest.open)

    def __contains__(self, path: str) -> bool:
        return path in self._waiting

    def withholds(self, path: str) -> bool:
        """Return whether a file waits for the source's own list."""
        return not self.suspended and self.manifest.withholds(path)

    def delay(self, path: str) -> float:
        """Return for how many seconds a file that has changed must be quiet; infinite if its list is to name it."""
        if self.withholds(path):
            return math.inf
        return self._delays.delay(path) if self.any_files and not self.suspended else 0.0

    def hold(self, path: str, seconds: float) -> None:
        """Hold a file back: it counts as being written."""
        self._waiting[path] = seconds
        self._inventory.writers.note_held(path, itself=True)

    def let_go(self, path: str) -> None:
        """Note that a file is copied now, or has gone."""
        self._waiting.pop(path, None)

    def pop_released(self) -> list[str]:
        """Return the files that may be copied now, and hold them back no longer."""
        fresh = self.manifest.pop_new_names()
        if self.suspended:
            found = list(self._waiting)
        elif not self.manifest.open:
            found = [path for path, seconds in self._waiting.items() if math.isinf(seconds)]
        else:
            found = [path for path in fresh if path in self._waiting]
            if len(found) < len(fresh):  # folders are among them, or what was not seen yet
                finished = [path for path in fresh if path not in self._waiting and self.manifest.names_folder(path)]
                for folder in finished:
                    found += [path for path in self._waiting if is_below(path, folder)]
        for path in found:
            self._waiting.pop(path, None)
        return [path for path in found if path in self._inventory.writers.held]

    def explain(self) -> Reason | None:
        """Say what is waited for; None where nothing is held back."""
        if not self._waiting:
            return None
        path, seconds = next(iter(self._waiting.items()))
        if math.isinf(seconds):
            return make_reason(ReasonCode.NOT_LISTED_YET, path=path, file=MANIFEST, files=len(self._waiting))
        return make_reason(ReasonCode.STILL_GROWING, path=path, seconds=seconds)
