"""Links that lead out of a source, as its user is told of them: what they lead to is not copied."""

from __future__ import annotations

from softcopy_napari.engine.formatting import quote
from softcopy_napari.engine.fs.followed_links import KEEP
from softcopy_napari.engine.worker.folder_diff import FolderDiff

_SHOWN = 10
_OFFER = "; `links: copy` (--links copy) copies what it leads to"


class LinksOut:
    """Those that the walks have found so far.

    Parameters
    ----------
    setting : str
        A target's `links`.
    """

    def __init__(self, setting: str) -> None:
        self._offer = _OFFER if setting == KEEP else ""
        self._found: dict[str, str] = {}
        self._more = False

    def take(self, part: FolderDiff) -> None:
        """Take in a part of a folder's comparison."""
        for name, target in part.links.items():
            if len(self._found) < _SHOWN:
                self._found[f"{part.folder}/{name}" if part.folder else name] = target
            else:
                self._more = self._more or f"{part.folder}/{name}".lstrip("/") not in self._found

    def notices(self) -> list[str]:
        """Say of each that it is only a link."""
        texts = [
            f"{path} is a link out of the source, to {quote(target)}: only the link is copied{self._offer}"
            for path, target in self._found.items()
        ]
        return [*texts, "there are more links out of the source; of them, too, only the link is copied"][
            : len(texts) + self._more
        ]
