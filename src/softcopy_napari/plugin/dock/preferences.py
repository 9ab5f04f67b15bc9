"""What the plugin remembers: preferences from napari's settings, and the paths of earlier copies.

Cheap enough for the main thread: what is remembered is read once, and written by a thread.
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
"""Its name in napari."""
IMAGES = ("destination", "source", "none")
"""Whose data may be shown below the overlay."""

_FILE = "remembered.json"
_MAX_SIZE = 1 << 20
_MOST = 12
"""Paths of a kind that are remembered."""


@dataclass(frozen=True, slots=True)
class Preferences:
    """The page Softcopy of napari's preferences. The defaults are those of the manifest."""

    nprocs: int = 4
    """Copy processes for each target."""
    sleep_time: float = 0.0
    """Seconds that each copy process sleeps between copies."""
    settle: float = 30.0
    """Seconds of quiet before a source with all its chunk files counts as finished."""
    refresh_rate: float = 5.0
    """How often a second the table and the overlay are brought up to date."""
    image: str = "destination"
    """Whose data is shown below the overlay, one of `IMAGES`."""

    @property
    def settings(self) -> Settings:
        """For targets that do not say otherwise."""
        return Settings(nprocs=self.nprocs, sleep_time=self.sleep_time, settle=self.settle)


def preferences() -> Preferences:
    """What the user has set in napari, or the defaults where napari has no such page (before 0.9)."""
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
    """Have something called whenever the user changes a preference; returns what ends that."""
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
    """napari's settings of this plugin; None where it is too old, or knows the plugin by its widget only."""
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
    """The paths of earlier copies; reads a small file when called for the first time."""
    with _changing:
        return _load()


def remember(sources: Sequence[str] = (), destinations: Sequence[str] = (), targets_file: str = "") -> Remembered:
    """Put paths first among those of their kind, the last of them as the newest, and have that written, by a thread.

    Returns
    -------
    Remembered
        What is known now.
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
    except OSError:  # whoever starts something is told
        return _known
    if path != _known_from:
        _known, _known_from = _read(path), path
    return _known


def _first(new: Sequence[str], known: Sequence[str]) -> tuple[str, ...]:
    return tuple(dict.fromkeys([*reversed(new), *known]))[:_MOST]


def _read(path: Path) -> Remembered:
    """Read what was written; whatever is wrong with it counts as nothing: it is a convenience."""
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
    """Write what is known by now, whole or not at all, before what another napari has added meanwhile."""
    with _writing, contextlib.suppress(OSError):
        theirs = _read(path)
        with _changing:
            ours = _known if path == _known_from else Remembered()
        merged = {
            kind: tuple(dict.fromkeys((*getattr(ours, kind), *getattr(theirs, kind))))[:_MOST]
            for kind in Remembered.__slots__
        }
        write_atomically(path, json.dumps(merged, indent=1).encode(), flush=False, mode=0o600)
