"""Which files and folders of the source would be one at the destination? Neither is copied, and both are named."""

from __future__ import annotations

from collections.abc import Sequence

from softcopy_napari.engine.fs.relative_paths import prefix_of
from softcopy_napari.engine.reasons import Reason, ReasonCode, make_reason


class ClashingFiles:
    """Files and folders whose names clash, by the folder that they lie in."""

    def __init__(self) -> None:
        self._folders: dict[str, dict[str, Reason]] = {}
        self._paths: set[str] = set()

    def __bool__(self) -> bool:
        return bool(self._paths)

    def replace_folder(
        self, folder: str, pairs: Sequence[tuple[str, str]]
    ) -> tuple[dict[str, Reason], dict[str, Reason]]:
        """Note the names that clash in a folder now, in place of those that did before.

        Returns
        -------
        before, now : dict of str to Reason
            Paths that clash, and why they are not copied.
        """
        before = self._folders.pop(folder, {})
        now: dict[str, Reason] = {}
        prefix = prefix_of(folder)
        for pair in pairs:
            for name, other in (pair, pair[::-1]):
                now[prefix + name] = make_reason(ReasonCode.ONE_NAME, other=other)
        if now:
            self._folders[folder] = now
        self._paths.difference_update(before)
        self._paths.update(now)
        return before, now

    def blocks(self, path: str) -> bool:
        """Whether a file, or a folder that it lies in, is not to be copied."""
        while path:
            if path in self._paths:
                return True
            path = path.rpartition("/")[0]
        return False
