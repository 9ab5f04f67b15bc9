"""The paths of earlier copies, which the plugin offers again in the next session."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import Any

from softcopy_napari.plugin.dock.saved_value import SavedValue

_MOST = 12
"""Paths of each kind that are remembered."""


@dataclass(frozen=True, slots=True)
class RecentPaths:
    """Paths of earlier copies, newest first."""

    sources: tuple[str, ...] = ()
    destinations: tuple[str, ...] = ()
    targets_files: tuple[str, ...] = ()

    def preceded_by(self, newer: RecentPaths) -> RecentPaths:
        """Return these after newer ones of each kind, each once, and not too many."""
        return RecentPaths(
            _first((*newer.sources, *self.sources)),
            _first((*newer.destinations, *self.destinations)),
            _first((*newer.targets_files, *self.targets_files)),
        )


def recent_paths() -> RecentPaths:
    """Return the paths of earlier copies; the first call reads a small file."""
    return _saved.get()


def remember_paths(
    sources: Sequence[str] = (), destinations: Sequence[str] = (), targets_file: str = ""
) -> RecentPaths:
    """Put paths first among those of their kind, the last of them as the newest, and have a thread save that.

    Returns
    -------
    RecentPaths
        All paths that are remembered now.
    """
    newer = RecentPaths(
        tuple(reversed(sources)), tuple(reversed(destinations)), (targets_file,) if targets_file else ()
    )
    return _saved.change(lambda known: known.preceded_by(newer))


def _first(paths: Iterable[object]) -> tuple[str, ...]:
    return tuple(dict.fromkeys(path for path in paths if isinstance(path, str) and path))[:_MOST]


def _parse(found: dict[str, Any]) -> RecentPaths:
    kinds = {kind: found.get(kind) for kind in RecentPaths.__slots__}
    return RecentPaths(**{kind: _first(paths) for kind, paths in kinds.items() if isinstance(paths, list)})


_saved: SavedValue[RecentPaths] = SavedValue("remembered.json", _parse, lambda ours, theirs: theirs.preceded_by(ours))
