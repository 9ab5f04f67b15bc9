"""How messages name a value that a user wrote: `the text "abc"`, `a list`, `empty`."""

from __future__ import annotations

import datetime
from dataclasses import dataclass

from softcopy_napari.engine.formatting import quote


@dataclass(frozen=True, slots=True)
class Unreadable:
    """A value that YAML makes nothing of, such as the date 2024-13-01. No setting allows it."""

    text: str


def value_text(value: object) -> str:
    """Return what a value is, to go on after "not"."""
    match value:
        case None:
            return "empty"
        case bool():
            return str(value).lower()
        case int() if value.bit_length() > 64:
            return "a huge number"
        case int() | float():
            return str(value)
        case str():
            return f"the text {quote(value)}" if value else "an empty text"
        case list() | tuple():
            return "a list"
        case dict():
            return "a mapping"
        case datetime.date():
            return "a date"
        case Unreadable():
            return f"{quote(value.text)}, which YAML cannot read"
        case _:
            return "a value of another kind"
