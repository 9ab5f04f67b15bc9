"""Links that lead out of a source, as its user is told of them: what they lead to is not copied."""

from __future__ import annotations

from softcopy_napari.engine.fs.followed_links import KEEP
from softcopy_napari.engine.fs.relative_paths import join
from softcopy_napari.engine.reasons import Reason, ReasonCode, make_reason
from softcopy_napari.engine.worker.folder_diff import FolderDiff

_SHOWN = 10


class LinksOut:
    """Collects the links that the walks have found so far.

    Parameters
    ----------
    setting : str
        A target's `links`.
    """

    def __init__(self, setting: str) -> None:
        self._code = ReasonCode.LINK_OUT if setting == KEEP else ReasonCode.LINK_OUT_AS_IT_IS
        self._found: dict[str, str] = {}
        self._more = False

    def add_folder_diff(self, part: FolderDiff) -> None:
        """Note the links that a part of a folder's comparison found."""
        for name, target in part.links.items():
            if len(self._found) < _SHOWN:
                self._found[join(part.folder, name)] = target
            else:
                self._more = self._more or f"{part.folder}/{name}".lstrip("/") not in self._found

    def notices(self) -> list[Reason]:
        """Say of each that it is only a link."""
        found = [make_reason(self._code, path=path, target=target) for path, target in self._found.items()]
        return [*found, make_reason(ReasonCode.MORE_LINKS_OUT)][: len(found) + self._more]
