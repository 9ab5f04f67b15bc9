"""A small value that the plugin keeps from one session to the next, in a JSON file of the state folder.

Cheap enough for the main thread: the file is read once, and written by a thread.
"""

from __future__ import annotations

import contextlib
import json
import threading
from collections.abc import Callable
from dataclasses import asdict
from pathlib import Path
from typing import TYPE_CHECKING, Any, Generic, TypeVar

from softcopy_napari.engine.fs.atomic_write import write_atomically
from softcopy_napari.engine.state_folder.folder import read_regular_file, state_folder

if TYPE_CHECKING:
    from _typeshed import DataclassInstance

T = TypeVar("T", bound="DataclassInstance")

_MAX_SIZE = 1 << 20


class SavedValue(Generic[T]):
    """A frozen dataclass in a file.

    Parameters
    ----------
    name : str
        Name of the file.
    parse : callable
        Make a value of the object in the file, which may hold anything; what is damaged in it counts as not set, as all
        of this is only a convenience.
    merge : callable, optional
        Join the value of this process and what another one has saved meanwhile; by default the former replaces it.
    """

    def __init__(
        self, name: str, parse: Callable[[dict[str, Any]], T], merge: Callable[[T, T], T] = lambda ours, theirs: ours
    ) -> None:
        self._name, self._parse, self._merge = name, parse, merge
        self._value = parse({})
        self._path: Path | None = None
        """The file that was read; another state folder has another one."""
        self._changing = threading.Lock()
        self._writing = threading.Lock()

    def get(self) -> T:
        """Return the value; the first call reads a small file."""
        with self._changing:
            return self._load()

    def change(self, change: Callable[[T], T]) -> T:
        """Change the value, have a thread save it, and return it."""
        with self._changing:
            before = self._load()
            self._value = change(before)
            if self._value != before and self._path is not None:
                threading.Thread(target=self._write, args=(self._path,), name="softcopy-remember", daemon=True).start()
            return self._value

    def _load(self) -> T:
        try:
            path = state_folder() / self._name
        except OSError:  # reported when a copy is started
            return self._value
        if path != self._path:
            self._value, self._path = self._read(path), path
        return self._value

    def _read(self, path: Path) -> T:
        with contextlib.suppress(OSError, ValueError, RecursionError):
            found = json.loads(read_regular_file(path, _MAX_SIZE))
            if isinstance(found, dict):
                return self._parse(found)
        return self._parse({})

    def _write(self, path: Path) -> None:
        with self._writing, contextlib.suppress(OSError):
            theirs = self._read(path)
            with self._changing:
                ours = self._value if path == self._path else self._parse({})
            merged = asdict(self._merge(ours, theirs))
            write_atomically(path, json.dumps(merged, indent=1).encode(), flush=False, mode=0o600)
