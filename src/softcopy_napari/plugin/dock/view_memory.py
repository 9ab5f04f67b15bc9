"""How the dock was left: overlay, following and open sections, which are there again in the next session.

Cheap enough for the main thread: a small file is read once, and written by a thread.
"""

from __future__ import annotations

from dataclasses import dataclass, fields, replace
from typing import Any

from softcopy_napari.plugin.dock.saved_value import SavedValue


@dataclass(frozen=True, slots=True)
class ViewMemory:
    """What a user has set in the dock and expects to find again."""

    overlay: str = "problems"
    """What the overlay marks: "problems", "frontier", "all" or "off"."""
    follow: bool = True
    """Whether the sliders move to the newest plane that has arrived."""
    sections: str = ""
    """Names of the sections that are open, separated by blanks."""


def view_memory() -> ViewMemory:
    """Return how the dock was left; the first call reads a small file."""
    return _saved.get()


def remember_view(**changes: str | bool) -> ViewMemory:
    """Change what is remembered, by the names of `ViewMemory`, and have a thread save that."""
    return _saved.change(lambda known: replace(known, **changes))  # type: ignore[arg-type]


def _parse(found: dict[str, Any]) -> ViewMemory:
    kinds = {one.name: type(one.default) for one in fields(ViewMemory)}
    return ViewMemory(**{name: found[name] for name, kind in kinds.items() if type(found.get(name)) is kind})


_saved = SavedValue("dock.json", _parse)
