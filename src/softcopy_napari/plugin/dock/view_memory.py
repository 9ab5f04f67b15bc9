"""How the dock was left: overlay, following, image and open sections, which are there again in the next session.

Cheap enough for the main thread: a small file is read once, and written by a thread.
"""

from __future__ import annotations

import contextlib
import json
import threading
from dataclasses import asdict, dataclass, fields, replace
from pathlib import Path

from softcopy_napari.engine.fs.atomic_write import write_atomically
from softcopy_napari.engine.state_folder.folder import read_regular_file, state_folder

_FILE = "dock.json"
_MAX_SIZE = 1 << 16


@dataclass(frozen=True, slots=True)
class ViewMemory:
    """What a user has set in the dock and expects to find again."""

    overlay: str = "problems"
    """What the overlay marks: "problems", "frontier", "all" or "off"."""
    follow: bool = True
    """Whether the sliders move to the newest plane that has arrived."""
    image: str = ""
    """Where the image is read from; empty: as napari's preferences say."""
    sections: str = ""
    """Names of the sections that are open, separated by blanks."""


_known = ViewMemory()
_known_from: Path | None = None
_changing = threading.Lock()
_writing = threading.Lock()


def view_memory() -> ViewMemory:
    """Return how the dock was left; the first call reads a small file."""
    with _changing:
        return _load()


def remember_view(**changes: str | bool) -> ViewMemory:
    """Change what is remembered, by the names of `ViewMemory`, and have a thread save that."""
    global _known
    with _changing:
        before = _load()
        _known = replace(before, **changes)  # type: ignore[arg-type]
        if _known != before and _known_from is not None:
            threading.Thread(target=_write, args=(_known_from,), name="softcopy-remember", daemon=True).start()
        return _known


def _load() -> ViewMemory:
    global _known, _known_from
    try:
        path = state_folder() / _FILE
    except OSError:  # reported when a copy is started
        return _known
    if path != _known_from:
        _known, _known_from = _read(path), path
    return _known


def _read(path: Path) -> ViewMemory:
    """Read the file; what is damaged in it counts as not set, as it is only a convenience."""
    with contextlib.suppress(OSError, ValueError, RecursionError):
        found = json.loads(read_regular_file(path, _MAX_SIZE))
        if isinstance(found, dict):
            kinds = {one.name: type(one.default) for one in fields(ViewMemory)}
            return ViewMemory(**{name: found[name] for name, kind in kinds.items() if type(found.get(name)) is kind})
    return ViewMemory()


def _write(path: Path) -> None:
    with _writing, contextlib.suppress(OSError):
        with _changing:
            known = _known
        write_atomically(path, json.dumps(asdict(known), indent=1).encode(), flush=False, mode=0o600)
