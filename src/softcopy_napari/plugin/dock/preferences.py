"""Preferences of the plugin, from napari's settings."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

from softcopy_napari.engine.targets.target import Settings

PLUGIN = "softcopy-napari"
"""The plugin's name in napari."""
IMAGES = ("destination", "source", "none")
"""Where the image below the overlay may be read from."""


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
    """Updates of the cards and the overlay per second."""
    image: str = "destination"
    """Where the image below the overlay is read from, one of `IMAGES`."""
    desktop_notifications: bool = False
    """Whether the system tells of endings, too, while another program's window is active."""

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
        desktop_notifications=showing.desktop_notifications,
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
