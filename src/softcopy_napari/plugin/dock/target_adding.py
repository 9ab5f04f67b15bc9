"""Puts targets into the list: those of the panel for a new copy, and those of targets files. Saves the list, too."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from functools import partial
from pathlib import Path

from softcopy_napari.engine.errors import TargetsError
from softcopy_napari.engine.formatting import count_text
from softcopy_napari.engine.targets.build import check_targets, make_target
from softcopy_napari.engine.targets.target import Settings, Target
from softcopy_napari.engine.targets.targets_file import dump_targets, load_targets
from softcopy_napari.plugin.dock.copy_preview import preview_copy
from softcopy_napari.plugin.dock.dock_parts import DockParts
from softcopy_napari.plugin.dock.engine_contact import Key
from softcopy_napari.plugin.dock.recent_paths import RecentPaths, remember_paths
from softcopy_napari.widgets.log_view import Level


class TargetAdding:
    """Makes targets of paths and files, in threads where that may take long.

    Parameters
    ----------
    parts : DockParts
    show_recent : callable
        Offers paths in the panel.
    """

    def __init__(self, parts: DockParts, show_recent: Callable[[RecentPaths], object]) -> None:
        self._parts = parts
        self._show_recent = show_recent

    def preview(self, source: str, destination: str) -> None:
        """Have the panel show what a copy would do."""
        self._parts.queue.fetch(
            partial(preview_copy, source, destination, self._settings(), self._others()),
            partial(self._parts.panel.show_preview, source, destination),
        )

    def add_new(self, source: str, destination: str, then: Callable[[Key], object]) -> None:
        """List the copy that the panel is filled in for, and close the panel for it; mistakes are shown there."""
        self._make(source, destination, self._others(), "new", lambda target: then(self._list(target)))

    def add(self, source: str, destination: str) -> Key | None:
        """List a target at once; mistakes are shown in the panel."""
        target = _make(source, destination, self._settings(), [])
        if isinstance(target, TargetsError):
            self._parts.panel.set_problem("", str(target))
            return None
        self._parts.panel.set_problem("", "")
        return self._list(target)

    def make(self, source: str, destination: str, then: Callable[[Target], object]) -> None:
        """Make a target without listing it; mistakes are shown in the panel."""
        self._make(source, destination, [], "", then)

    def _make(
        self, source: str, destination: str, others: list[Target], place: str, then: Callable[[Target], object]
    ) -> None:
        """Make a target in a thread, and close the panel for a new copy; mistakes are shown in a place of the panel."""

        def made(target: Target | TargetsError) -> None:
            if isinstance(target, TargetsError):
                self._parts.panel.set_problem(place, str(target))
            else:
                self._parts.panel.close_new_copy()
                then(target)

        self._parts.queue.fetch(partial(_make, source, destination, self._settings(), others), made)

    def _settings(self) -> Settings:
        """Return the settings of the copy that the panel is filled in for."""
        kind = "folder" if self._parts.panel.any_files else "zarr"
        return self._parts.settings().model_copy(update={"kind": kind})

    def load(self, path: Path) -> None:
        """List the targets of a file at once."""
        self._add_loaded(path, _load(path, self._parts.settings()))

    def load_soon(self, path: Path) -> None:
        """List the targets of a file when a thread has read it: a network drive may be slow."""
        self._parts.queue.fetch(partial(_load, path, self._parts.settings()), partial(self._add_loaded, path))

    def save(self, path: str) -> None:
        """Write all targets into a file."""
        targets = self._parts.targets.targets(self._parts.targets.keys(), self._parts.settings())

        def done(problem: str) -> None:
            if problem:
                self._parts.panel.set_problem("", problem)
            else:
                self._parts.panel.log(Level.INFO, f"Saved {count_text(len(targets), 'target')} to {path}")

        self._parts.queue.fetch(partial(_save, targets, Path(path)), done)

    def _others(self) -> list[Target]:
        """Return the targets that a new one would run beside."""
        listed = self._parts.targets
        return listed.targets(listed.running() + listed.not_started(), self._parts.settings())

    def _list(self, target: Target) -> Key:
        key = self._parts.targets.add(target)
        self._parts.show_rows()
        self._parts.panel.select([key])
        return key

    def _add_loaded(self, path: Path, loaded: Sequence[Target] | TargetsError) -> None:
        if isinstance(loaded, TargetsError):
            self._parts.panel.set_problem("", str(loaded))
            for line in str(loaded).splitlines():
                self._parts.panel.log(Level.ERROR, line)
            return
        self._parts.panel.set_problem("", "")
        for target in loaded:
            self._parts.targets.add(target)
        self._parts.show_rows()
        self._parts.panel.select(self._parts.targets.not_started())
        self._parts.panel.log(Level.INFO, f"Loaded {count_text(len(loaded), 'target')} from {path}")
        self._show_recent(remember_paths(targets_file=str(path)))


def _make(source: str, destination: str, defaults: Settings, others: Sequence[Target]) -> Target | TargetsError:
    """Make a target that may run beside others; return the error where that is not possible."""
    try:
        target = make_target(source, destination, defaults)
        check_targets([*(other for other in others if other.destination != target.destination), target], by_name=True)
    except TargetsError as error:
        return error
    return target


def _load(path: Path, defaults: Settings) -> tuple[Target, ...] | TargetsError:
    try:
        return load_targets(path, defaults)
    except TargetsError as error:
        return error


def _save(targets: Sequence[Target], path: Path) -> str:
    try:
        dump_targets(targets, path)
    except OSError as error:
        return f"{path} cannot be written: {error.strerror}"
    except TargetsError as error:
        return str(error)
    return ""
