"""Text that may be shown: file names, which can hold line breaks and bytes that are no text, sizes and times."""

from __future__ import annotations

import itertools
import time
from collections.abc import Iterable
from typing import NamedTuple

_WEEK = 6 * 86400.0

MOST_NAMES = 5
"""Of things of one kind that are named to a user; the others are counted."""


class CountedNames(NamedTuple):
    """How many things there are, and the names of the first."""

    total: int
    first: tuple[str, ...]

    def __str__(self) -> str:
        more = self.total - len(self.first)
        return ", ".join(self.first) + (f" and {more:,} more" if more else "")

    def plus(self, other: CountedNames) -> CountedNames:
        """Return both together."""
        return CountedNames(self.total + other.total, (*self.first, *other.first)[:MOST_NAMES])


NO_NAMES = CountedNames(0, ())


def count_names(names: Iterable[str]) -> CountedNames:
    """Return how many names there are, and the first of them."""
    names = iter(names)
    first = tuple(itertools.islice(names, MOST_NAMES))
    return CountedNames(len(first) + sum(1 for _ in names), first)


def printable(text: str) -> str:
    """Spell text so that it stays on one line, and can be encoded, whatever is in it."""
    if text.isprintable():
        return text
    return "".join(c if c.isprintable() else ascii(c)[1:-1] for c in text)


def quote(text: str) -> str:
    """Return text in quotes for a message, not too long."""
    return f'"{printable(text if len(text) <= 160 else f"{text[:75]}...{text[-75:]}")}"'


def count_text(number: int, what: str, several: str = "") -> str:
    """Return a number of things: `1 file`, `1,000 files`; `several` is their plural where that is not by an s."""
    return f"{number:,} {what}" if number == 1 else f"{number:,} {several or f'{what}s'}"


def size_text(size: float) -> str:
    """Return a number of bytes with its unit, in powers of 1000: `1.2 MB`, `12.3 MB`, `123 MB`."""
    unit = "B"
    for unit in ("B", "kB", "MB", "GB", "TB", "PB"):
        if size < 999.5 or unit == "PB":
            break
        size /= 1000
    return f"{size:.0f} {unit}" if unit == "B" or size >= 99.95 else f"{size:.1f} {unit}"


def clock_text(when: float, now: float) -> str:
    """Return a time of day, with the day where that is not today's: `15:46`, `Tue 15:46`, `2026-11-29 15:46`."""
    there = time.localtime(when)
    if there[:3] == time.localtime(now)[:3]:
        return time.strftime("%H:%M", there)
    return time.strftime("%a %H:%M" if abs(when - now) < _WEEK else "%Y-%m-%d %H:%M", there)


def span_text(seconds: float) -> str:
    """Return a length of time as somebody would set it: `8 s`, `5 min`, `1.5 h`."""
    if seconds >= 3600:
        return f"{seconds / 3600:.3g} h"
    return f"{seconds / 60:g} min" if seconds >= 120 and seconds % 60 == 0 else f"{seconds:g} s"


def rough_time_text(seconds: float) -> str:
    """Return a length of time that is not known any better: `4 min`, `2.8 h`, `12 h`."""
    if seconds < 5400:
        return f"{max(1, round(seconds / 60))} min"
    return f"{seconds / 3600:.0f} h" if seconds >= 36000 else f"{seconds / 3600:.1f} h"


def time_text(seconds: float) -> str:
    """Return a length of time: `8 s`, `3:05 min`, `2:03:05 h`."""
    whole = round(seconds)
    if whole < 60:
        return f"{seconds:.1f} s" if seconds < 10 else f"{whole} s"
    if whole < 3600:
        return f"{whole // 60}:{whole % 60:02d} min"
    return f"{whole // 3600}:{whole // 60 % 60:02d}:{whole % 60:02d} h"
