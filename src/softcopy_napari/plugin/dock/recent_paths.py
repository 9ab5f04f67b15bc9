"""The paths of earlier copies, which the plugin offers again in the next session.

Cheap enough for the main thread: a small file is read once, and written by a thread.
"""

from __future__ import annotations

import contextlib
import json
import threading
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from softcopy_napari.engine.fs.atomic_write import write_atomically
from softcopy_napari.engine.state_folder.folder import read_regular_file, state_folder

_FILE = "remembered.json"
_MAX_SIZE = 1 << 20
_MOST = 12
"""Paths of each kind that are remembered."""


@dataclass(frozen=True, slots=True)
class RecentPaths:
    """Paths of earlier copies, newest first."""

    sources: tuple[str, ...] = ()
    destinations: tuple[str, ...] = ()
    targets_files: tuple[str, ...] = ()


_known = RecentPaths()
_known_from: Path | None = None
_changing = threading.Lock()
_writing = threading.Lock()


def recent_paths() -> RecentPaths:
    """Return the paths of earlier copies; the first call reads a small file."""
    with _changing:
        return _load()


def remember_paths(
    sources: Sequence[str] = (), destinations: Sequence[str] = (), targets_file: str = ""
) -> RecentPaths:
    """Put paths first among those of their kind, the last of them as the newest, and have a thread save that.

    Returns
    -------
    RecentPaths
        All paths that are remembered now.
    """
    global _known
    with _changing:
        before = _load()
        _known = RecentPaths(
            sources=_first(sources, before.sources),
            destinations=_first(destinations, before.destinations),
            targets_files=_first([targets_file] if targets_file else [], before.targets_files),
        )
        if _known != before and _known_from is not None:
            threading.Thread(target=_write, args=(_known_from,), name="softcopy-remember", daemon=True).start()
        return _known


def _load() -> RecentPaths:
    global _known, _known_from
    try:
        path = state_folder() / _FILE
    except OSError:  # reported when a copy is started
        return _known
    if path != _known_from:
        _known, _known_from = _read(path), path
    return _known


def _first(new: Sequence[str], known: Sequence[str]) -> tuple[str, ...]:
    return tuple(dict.fromkeys([*reversed(new), *known]))[:_MOST]


def _read(path: Path) -> RecentPaths:
    """Read the file; a damaged one counts as empty, as it is only a convenience."""
    with contextlib.suppress(OSError, ValueError, RecursionError):
        found = json.loads(read_regular_file(path, _MAX_SIZE))
        if isinstance(found, dict):
            return RecentPaths(**{kind: _texts(found.get(kind)) for kind in RecentPaths.__slots__})
    return RecentPaths()


def _texts(value: object) -> tuple[str, ...]:
    if not isinstance(value, list):
        return ()
    return tuple(one for one in value if isinstance(one, str) and one)[:_MOST]


def _write(path: Path) -> None:
    """Write the paths known by now, followed by those that another napari has added meanwhile."""
    with _writing, contextlib.suppress(OSError):
        theirs = _read(path)
        with _changing:
            ours = _known if path == _known_from else RecentPaths()
        merged = {
            kind: tuple(dict.fromkeys((*getattr(ours, kind), *getattr(theirs, kind))))[:_MOST]
            for kind in RecentPaths.__slots__
        }
        write_atomically(path, json.dumps(merged, indent=1).encode(), flush=False, mode=0o600)
