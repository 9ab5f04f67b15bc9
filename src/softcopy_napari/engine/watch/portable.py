"""Watches a source on Windows and macOS, with watchdog."""

from __future__ import annotations

import os
import time
from collections.abc import Callable, Iterable
from pathlib import Path

from watchdog.events import FileSystemEvent, FileSystemEventHandler
from watchdog.observers import Observer

from softcopy_napari.engine.activity_board import ActivitySlot
from softcopy_napari.engine.watch.burst_meter import BurstMeter
from softcopy_napari.engine.watch.events import EventQueue, FileEvent, share_problem
from softcopy_napari.engine.zarr_layout.file_names import TEMPORARY_ENDINGS


class PortableWatcher(EventQueue, FileSystemEventHandler):
    """watchdog's own observer over the whole tree, for Windows and macOS, which do not tell of closing."""

    tells_closing = False

    def __init__(self, source: Path, wake: Callable[[], None], slot: ActivitySlot | None = None) -> None:
        super().__init__(wake)
        self._meter = BurstMeter(slot or ActivitySlot.private())
        self.problem = share_problem(source)
        self._root = os.fspath(source)
        os.stat(self._root)  # watchdog leaves threads behind when it cannot start
        self._observer = Observer()
        self._observer.schedule(self, self._root, recursive=True)
        self._observer.start()

    @property
    def unread(self) -> bool:
        return not self._observer.event_queue.empty()

    def pop_hold_times(self) -> list[float]:
        return self._meter.pop_hold_times()

    def watch(self, folder: str) -> bool:
        """Do nothing: the whole tree is watched."""
        return False

    def let_go(self, folders: Iterable[str]) -> None:
        """Do nothing: the whole tree stays watched."""

    def on_any_event(self, event: FileSystemEvent) -> None:
        """Queue an event, in watchdog's dispatching thread."""
        self._measure(event)
        match event.event_type:
            case "created":
                self._put(FileEvent.FOLDER if event.is_directory else FileEvent.OPENED, event.src_path)
            case "modified" if not event.is_directory:
                self._put(FileEvent.MODIFIED, event.src_path)
            case "closed" if not event.is_directory:
                self._put(FileEvent.WRITTEN, event.src_path)
            case "deleted" if not event.is_directory:
                self._put(FileEvent.DELETED, event.src_path)
            case "deleted" if self._relative(event.src_path) == "":
                self.put(FileEvent.ROOT_GONE, "")
                self._wake_for_first()
            case "moved":
                if event.is_directory:
                    old, new = self._relative(event.src_path), self._relative(event.dest_path)
                    if not (old.startswith("../") or new.startswith("../")):
                        self.put(FileEvent.FOLDER_RENAMED, f"{old}\0{new}")
                self._put(FileEvent.FOLDER if event.is_directory else FileEvent.RENAMED, event.dest_path)

    def _measure(self, event: FileSystemEvent) -> None:
        """Measure a burst: of temporaries alone it is certain that another event follows, a rename or a removal."""
        self._meter.begin(time.monotonic_ns())
        match event.event_type:
            case "created" if os.fsdecode(event.src_path).endswith(TEMPORARY_ENDINGS):
                self._meter.created(event.src_path)
            case "modified":
                self._meter.written(event.src_path)
            case "closed" | "moved":
                self._meter.closed(event.src_path)
            case "deleted":
                self._meter.removed(event.src_path)
        self._meter.end()

    def _put(self, event: FileEvent, path: bytes | str) -> None:
        relative = self._relative(path)
        if relative and not relative.startswith("../"):
            self.put(event, relative)
            self._wake_for_first()

    def _wake_for_first(self) -> None:
        if len(self.events) == 1:  # looked at after it was left: whoever empties it before has seen this one
            self.wake()

    def _relative(self, path: bytes | str) -> str:
        relative = os.path.relpath(os.fsdecode(path), self._root).replace(os.sep, "/")
        return "" if relative == "." else relative

    def stop(self) -> None:
        self._observer.stop()
        self._observer.join(5)
