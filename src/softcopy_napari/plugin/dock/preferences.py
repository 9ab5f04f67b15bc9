"""Preferences from napari's settings, and the remembered paths of earlier copies.

Cheap enough for the main thread: the paths are read once, and written by a thread.
"""

from __future__ import annotations

import contextlib
import json
import threading
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from softcopy_napari.engine.fs.atomic_write import write_atomically
from softcopy_napari.engine.state_folder.folder import read_regular_file, state_folder
from softcopy_napari.engine.targets.target import Settings

PLUGIN = "softcopy-napari"
"""The plugin's name in napari."""
IMAGES = ("destination", "source", "none")
"""Where the image below the overlay may be read from."""

_FILE = "remembered.json"
_MAX_SIZE = 1 << 20
_MOST = 12
"""Paths of each kind that are remembered."""


@dataclass(frozen=True, slots=True)
class Preferences:
    """The Softcopy page of napari's preferences; the defaults are those of the manifest."""

    nprocs: int = 4
    """Copy processes for each target."""
    sleep_time: float = 0.0
    """Seconds each copy process sleeps between copies."""
    settle: float = 30.0
    """Seconds of quiet before a source with all its chunk files counts as finished."""
    refresh_rate: float = 5.0
    """Updates of the table and the overlay per second."""
    image: str = "destination"
    """Where the image below the overlay is read from, one of `IMAGES`."""

    @property
    def settings(self) -> Settings:
        """Settings for targets that have none of their own."""
        return Settings(nprocs=self.nprocs, sleep_time=self.sleep_time, settle=self.settle)


def preferences() -> Preferences:
    """Return what the user has set in napari; the defaults where napari has no such page (before 0.9)."""
    pages = _pages()
    if pages is None:
        return Preferences()
    copying, showing = pages.copying, pages.showing
    return Preferences(
        nprocs=copying.nprocs,
        sleep_time=copying.sleep_time,
        settle=copying.settle,
        refresh_rate=showing.refresh_rate,
        image=showing.image,
    )


def on_change(call: Callable[[], object]) -> Callable[[], None]:
    """Have a function called whenever a preference changes; return a function that ends that."""
    pages = _pages()
    if pages is None:
        return lambda: None

    def changed(_: Any) -> None:
        call()

    emitters = [page.events for page in (pages.copying, pages.showing)]
    for emitter in emitters:
        emitter.connect(changed)

    def end() -> None:
        for emitter in emitters:
            emitter.disconnect(changed)

    return end


def _pages() -> Any:
    """Return napari's settings of this plugin; None where napari is too old, or knows only its widget."""
    try:
        from napari.settings import get_plugin_settings
    except ImportError:
        return None
    try:
        return get_plugin_settings(PLUGIN)
    except KeyError:
        return None


@dataclass(frozen=True, slots=True)
class Remembered:
    """Paths of earlier copies, newest first."""

    sources: tuple[str, ...] = ()
    destinations: tuple[str, ...] = ()
    targets_files: tuple[str, ...] = ()


_known = Remembered()
_known_from: Path | None = None
_changing = threading.Lock()
_writing = threading.Lock()


def remembered() -> Remembered:
    """Return the paths of earlier copies; the first call reads a small file."""
    with _changing:
        return _load()


def remember(sources: Sequence[str] = (), destinations: Sequence[str] = (), targets_file: str = "") -> Remembered:
    """Put paths first among those of their kind, the last of them as the newest, and have a thread save that.

    Returns
    -------
    Remembered
        All paths that are remembered now.
    """
    global _known
    with _changing:
        before = _load()
        _known = Remembered(
            sources=_first(sources, before.sources),
            destinations=_first(destinations, before.destinations),
            targets_files=_first([targets_file] if targets_file else [], before.targets_files),
        )
        if _known != before and _known_from is not None:
            threading.Thread(target=_write, args=(_known_from,), name="softcopy-remember", daemon=True).start()
        return _known


def _load() -> Remembered:
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


def _read(path: Path) -> Remembered:
    """Read the file; a damaged one counts as empty, as it is only a convenience."""
    with contextlib.suppress(OSError, ValueError, RecursionError):
        found = json.loads(read_regular_file(path, _MAX_SIZE))
        if isinstance(found, dict):
            return Remembered(**{kind: _texts(found.get(kind)) for kind in Remembered.__slots__})
    return Remembered()


def _texts(value: object) -> tuple[str, ...]:
    if not isinstance(value, list):
        return ()
    return tuple(one for one in value if isinstance(one, str) and one)[:_MOST]


def _write(path: Path) -> None:
    """Write the paths known by now, followed by those that another napari has added meanwhile."""
    with _writing, contextlib.suppress(OSError):
        theirs = _read(path)
        with _changing:
            ours = _known if path == _known_from else Remembered()
        merged = {
            kind: tuple(dict.fromkeys((*getattr(ours, kind), *getattr(theirs, kind))))[:_MOST]
            for kind in Remembered.__slots__
        }
        write_atomically(path, json.dumps(merged, indent=1).encode(), flush=False, mode=0o600)
